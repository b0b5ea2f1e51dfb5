//! Policy profiles: the limits that outside systems set, as data.
//!
//! Two profiles are committed under `policies/`: `guide`, the cautious figures of the practice guide and the default,
//! and `wecom-official`, those of WeCom's documents. Name rules apply to names that *we* create (existing ones are
//! linted, never rejected) and rates to writes. Whatever a policy refuses names the profile that it was refused under.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

const GUIDE: &str = include_str!("../policies/guide.json");
const WECOM_OFFICIAL: &str = include_str!("../policies/wecom-official.json");

/// Returns the policy of a profile.
pub fn policy(profile: Profile) -> &'static Policy {
    static GUIDE_POLICY: LazyLock<Policy> = LazyLock::new(|| read(Profile::Guide));
    static OFFICIAL_POLICY: LazyLock<Policy> = LazyLock::new(|| read(Profile::WecomOfficial));
    match profile {
        Profile::Guide => LazyLock::force(&GUIDE_POLICY),
        Profile::WecomOfficial => LazyLock::force(&OFFICIAL_POLICY),
    }
}

/// Whose limits apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// The practice guide's cautious figures.
    #[default]
    Guide,
    /// The figures of WeCom's documents.
    WecomOfficial,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 2] = [Self::Guide, Self::WecomOfficial];

    /// The profile's name as `--profile` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Guide => "guide",
            Self::WecomOfficial => "wecom-official",
        }
    }

    /// Reads a profile's name; `None` where there is no such profile.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The limits of one profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The profile.
    pub profile: Profile,
    /// What the name of a tag or a tag group may be.
    pub tag_name: NamePolicy,
    /// How many writing calls may fall into any 60 seconds.
    pub writes_per_minute: u32,
    /// How many writing calls may fall into any 60 minutes; `None`: no such limit.
    pub writes_per_hour: Option<u32>,
    /// How much there may be of what.
    pub limits: Limits,
    /// What the error codes of the outside system mean.
    pub errors: BTreeMap<i64, ErrorNote>,
}

/// What a name may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamePolicy {
    /// The longest name, in user-perceived characters.
    pub max_chars: usize,
    /// The longest name that can still be edited in WeCom's own console, in user-perceived characters.
    pub ui_max_chars: usize,
    /// The characters that a name may hold.
    pub charset: Charset,
}

/// The characters that a name may hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Charset {
    /// These and no others.
    Allow(Vec<CharClass>),
    /// All but these.
    Deny(Vec<CharClass>),
}

impl Charset {
    /// Tells whether a name may hold characters of this class.
    pub fn admits(&self, class: CharClass) -> bool {
        match self {
            Self::Allow(classes) => classes.contains(&class),
            Self::Deny(classes) => !classes.contains(&class),
        }
    }
}

/// What kind of character it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CharClass {
    /// A Chinese character.
    Han,
    /// One of `A` to `Z` and `a` to `z`.
    Latin,
    /// One of `0` to `9`.
    Digit,
    /// `/`, which separates group and tag in references.
    Slash,
    /// A control character, such as a tab or a line break.
    Control,
    /// A character without width of its own, such as a zero-width space or a mark of direction.
    ZeroWidth,
    /// A full-width form of a Latin letter, a digit or a sign.
    FullWidth,
    /// An emoji.
    Emoji,
    /// Anything else: spaces, punctuation, other scripts.
    Other,
}

/// How much there may be of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// How many tags one corp may have.
    pub tags_per_corp: u32,
    /// How many tags one follow may hold.
    pub tags_per_follow: u32,
    /// From which share of a limit on a warning is due, in percent.
    pub warn_at_percent: u32,
}

/// What an error code of the outside system means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorNote {
    /// What it means under this profile.
    pub meaning: String,
    /// Where sources disagree about it, and how; `None` where they agree.
    pub note: Option<String>,
}

fn read(profile: Profile) -> Policy {
    // The files are part of the build and a test reads them; should one ever be broken, we err on the side of caution.
    parse(profile).unwrap_or_else(|_| most_cautious(profile))
}

fn parse(profile: Profile) -> serde_json::Result<Policy> {
    serde_json::from_str(match profile {
        Profile::Guide => GUIDE,
        Profile::WecomOfficial => WECOM_OFFICIAL,
    })
}

fn most_cautious(profile: Profile) -> Policy {
    Policy {
        profile,
        tag_name: NamePolicy {
            max_chars: 15,
            ui_max_chars: 15,
            charset: Charset::Allow(vec![CharClass::Han, CharClass::Latin, CharClass::Digit]),
        },
        writes_per_minute: 60,
        writes_per_hour: None,
        limits: Limits { tags_per_corp: 3000, tags_per_follow: 3000, warn_at_percent: 80 },
        errors: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_committed_profile_is_read_under_its_own_name() {
        for profile in Profile::ALL {
            let parsed = parse(profile).expect("a sound policy file");
            assert_eq!(parsed.profile, profile);
            assert_eq!(policy(profile), &parsed);
            assert_eq!(Profile::parse(profile.name()), Some(profile));
        }
    }

    #[test]
    fn the_profiles_differ_where_their_sources_do_s24_s31_s42() {
        let (guide, official) = (policy(Profile::default()), policy(Profile::WecomOfficial));
        assert_eq!((guide.tag_name.max_chars, official.tag_name.max_chars), (20, 30));
        assert_eq!((guide.writes_per_minute, official.writes_per_minute), (60, 10_000));
        assert_eq!(guide.errors[&41005].meaning, "the secret has expired");
        assert!(official.errors[&41005].meaning.starts_with("not in"));
        assert_eq!((guide.limits.tags_per_corp, official.limits.tags_per_corp), (10_000, 10_000));
    }
}

//! The rules for names of tags and tag groups (S23 to S26), applied to names before we create them.
//!
//! Characters are counted as people see them: an emoji of several code points is one. What a name may hold and how long
//! it may be comes from a [`Policy`], and every message says from which profile.

use std::fmt;

use serde::Serialize;
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

use crate::policy::{CharClass, Charset, Policy, Profile};

/// Returns every problem of a new name of a tag or a tag group, in the order of its characters; empty for a good name.
///
/// Each user-perceived character is reported at most once.
pub fn validate_tag_name(name: &str, policy: &Policy) -> Vec<NameProblem> {
    let profile = policy.profile;
    if name.trim().is_empty() {
        return vec![NameProblem::Empty { profile }];
    }
    let charset = &policy.tag_name.charset;
    let mut problems = Vec::new();
    for (index, grapheme) in name.graphemes(true).enumerate() {
        if let Some((character, class)) = refused(grapheme, charset) {
            let code_point = format!("U+{:04X}", u32::from(character));
            let instead = instead_of(character, class, name, charset);
            problems.push(NameProblem::BadChar { profile, character, code_point, position: index + 1, class, instead });
        }
    }
    let (max, actual) = (policy.tag_name.max_chars, length(name));
    if actual > max {
        problems.push(NameProblem::TooLong { profile, max, actual });
    }
    problems
}

/// Finds a group that already bears the name, compared after trim, NFKC and case folding (S25).
///
/// `existing` holds id and name of every living group. The same *tag* name in two groups is allowed and is no matter of
/// this.
pub fn find_duplicate_group(name: &str, existing: &[(String, String)], policy: &Policy) -> Option<NameProblem> {
    let folded = fold(name);
    existing.iter().find(|(_, group_name)| fold(group_name) == folded).map(|(group_id, group_name)| {
        NameProblem::GroupDuplicate {
            profile: policy.profile,
            name: name.to_owned(),
            group_id: group_id.clone(),
            group_name: group_name.clone(),
        }
    })
}

/// Tells whether a name is too long to be edited in WeCom's own console, though it may be allowed.
pub fn exceeds_console(name: &str, policy: &Policy) -> bool {
    length(name) > policy.tag_name.ui_max_chars
}

/// What is wrong with a new name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "code")]
pub enum NameProblem {
    /// There is nothing in it but white space.
    #[serde(rename = "NAME_EMPTY")]
    Empty {
        /// The profile that refuses it.
        profile: Profile,
    },
    /// It holds a character that names may not hold.
    #[serde(rename = "NAME_BAD_CHAR")]
    BadChar {
        /// The profile that refuses it.
        profile: Profile,
        /// The character.
        character: char,
        /// Its code point, such as `U+002F`.
        code_point: String,
        /// Where it is, counted in user-perceived characters from 1.
        position: usize,
        /// What kind of character it is.
        class: CharClass,
        /// What to write instead, where that can be told.
        instead: Option<String>,
    },
    /// It is too long.
    #[serde(rename = "NAME_TOO_LONG")]
    TooLong {
        /// The profile that refuses it.
        profile: Profile,
        /// The longest name allowed, in user-perceived characters.
        max: usize,
        /// The length of this one.
        actual: usize,
    },
    /// Another group bears the name already.
    #[serde(rename = "GROUP_NAME_DUP")]
    GroupDuplicate {
        /// The profile it was checked under.
        profile: Profile,
        /// The new name.
        name: String,
        /// The other group.
        group_id: String,
        /// The other group's name, which may be written differently.
        group_name: String,
    },
}

impl NameProblem {
    /// The stable machine-readable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty { .. } => "NAME_EMPTY",
            Self::BadChar { .. } => "NAME_BAD_CHAR",
            Self::TooLong { .. } => "NAME_TOO_LONG",
            Self::GroupDuplicate { .. } => "GROUP_NAME_DUP",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Empty { .. } => Some("give it a name".to_owned()),
            Self::BadChar { instead: Some(instead), .. } => Some(instead.clone()),
            Self::BadChar { profile: Profile::Guide, .. } => {
                Some("names hold Chinese characters, Latin letters and digits".to_owned())
            }
            Self::BadChar { .. } => Some("leave it out".to_owned()),
            Self::TooLong { max, actual, .. } => Some(format!("shorten it by {}", actual.saturating_sub(*max))),
            Self::GroupDuplicate { .. } => Some("use the group that is there, or choose another name".to_owned()),
        }
    }
}

impl fmt::Display for NameProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { profile } => write!(f, "the name is empty (profile `{profile}`)"),
            Self::BadChar { profile, character, code_point, position, class, .. } => {
                let shown = shown(*character, *class);
                write!(f, "{shown} ({code_point}) at position {position} may not be in a name (profile `{profile}`)")
            }
            Self::TooLong { profile, max, actual } => {
                write!(f, "the name has {actual} characters and may have {max} (profile `{profile}`)")
            }
            Self::GroupDuplicate { profile, name, group_id, group_name } => {
                write!(f, "the group `{group_id}` is named `{group_name}`, the same as `{name}` (profile `{profile}`)")
            }
        }
    }
}

/// The length of a name in user-perceived characters.
fn length(name: &str) -> usize {
    name.graphemes(true).count()
}

/// The character for which a user-perceived character is refused, if it is.
fn refused(grapheme: &str, charset: &Charset) -> Option<(char, CharClass)> {
    let classified = || grapheme.chars().map(|character| (character, class_of(character)));
    // What joins the parts of an emoji has no width of its own, but belongs to the emoji.
    if let Some(emoji) = classified().find(|(_, class)| *class == CharClass::Emoji) {
        return (!charset.admits(CharClass::Emoji)).then_some(emoji);
    }
    classified().find(|(_, class)| !charset.admits(*class))
}

fn class_of(character: char) -> CharClass {
    match character {
        'A'..='Z' | 'a'..='z' => CharClass::Latin,
        '0'..='9' => CharClass::Digit,
        '/' => CharClass::Slash,
        control if control.is_control() => CharClass::Control,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' => {
            CharClass::ZeroWidth
        }
        '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}' => {
            CharClass::ZeroWidth
        }
        '\u{3000}' | '\u{ff01}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' => CharClass::FullWidth,
        '\u{20e3}' | '\u{231a}'..='\u{23ff}' | '\u{2600}'..='\u{27bf}' | '\u{2b00}'..='\u{2bff}' => CharClass::Emoji,
        '\u{1f000}'..='\u{1faff}' => CharClass::Emoji,
        '\u{3005}' | '\u{3007}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' => CharClass::Han,
        '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}' => CharClass::Han,
        _ => CharClass::Other,
    }
}

/// What to write instead of a refused character, as a hint.
fn instead_of(character: char, class: CharClass, name: &str, charset: &Charset) -> Option<String> {
    match class {
        CharClass::Slash => {
            let (group, tag) = name.split_once('/')?;
            let (group, tag) = (group.trim(), tag.trim());
            let is_split = !group.is_empty() && !tag.is_empty() && !tag.contains('/');
            is_split.then(|| format!("split it: the tag `{tag}` in the group `{group}`"))
        }
        CharClass::FullWidth => {
            let plain: String = std::iter::once(character).nfkc().collect();
            let is_good = plain.chars().all(|character| charset.admits(class_of(character)));
            is_good.then(|| format!("write `{plain}`"))
        }
        CharClass::ZeroWidth | CharClass::Control => Some("leave it out: it cannot be seen".to_owned()),
        _ => None,
    }
}

/// A character for a message: what cannot be seen is described only.
fn shown(character: char, class: CharClass) -> String {
    match class {
        CharClass::Control => "a control character".to_owned(),
        CharClass::ZeroWidth => "a zero-width character".to_owned(),
        CharClass::FullWidth => format!("the full-width character `{character}`"),
        CharClass::Emoji => format!("the emoji `{character}`"),
        _ => format!("`{character}`"),
    }
}

/// A name as it is compared: trimmed, in NFKC, with case folded by way of capitals, so that `ß` equals `SS`.
fn fold(name: &str) -> String {
    let compatible: String = name.nfkc().collect();
    let folded = compatible.trim().to_uppercase().to_lowercase();
    folded.nfkc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::policy;

    /// What a good name gives.
    const GOOD: [NameProblem; 0] = [];

    fn guide(name: &str) -> Vec<NameProblem> {
        validate_tag_name(name, policy(Profile::Guide))
    }

    fn messages(problems: &[NameProblem]) -> Vec<String> {
        problems.iter().map(NameProblem::to_string).collect()
    }

    #[test]
    fn chinese_latin_and_digits_are_a_good_name_s26() {
        assert_eq!(guide("双11意向客户VIP"), GOOD);
    }

    #[test]
    fn a_bad_character_is_told_with_code_point_and_position_s23() {
        let cases = [
            ("高净值🎉", "the emoji `🎉` (U+1F389) at position 4"),
            ("一👨‍👩‍👧家", "the emoji `👨` (U+1F468) at position 2"),
            ("VIP\u{200b}客户", "a zero-width character (U+200B) at position 4"),
            ("VIP\u{200d}客户", "a zero-width character (U+200D) at position 3"),
            ("ＶIP", "the full-width character `Ｖ` (U+FF36) at position 1"),
            ("a\tb", "a control character (U+0009) at position 2"),
            ("#意向等级", "`#` (U+0023) at position 1"),
        ];
        for (name, expected) in cases {
            let expected = format!("{expected} may not be in a name (profile `guide`)");
            assert_eq!(messages(&guide(name)), [expected], "{name:?}");
            assert_eq!(guide(name)[0].code(), "NAME_BAD_CHAR");
        }
        assert_eq!(guide("ＶIP")[0].hint().as_deref(), Some("write `V`"));
    }

    #[test]
    fn twenty_characters_pass_and_twenty_one_fail_s24() {
        assert_eq!(guide(&"标".repeat(20)), GOOD);
        assert_eq!(guide(&"标".repeat(21)), [NameProblem::TooLong { profile: Profile::Guide, max: 20, actual: 21 }]);
        let official = policy(Profile::WecomOfficial);
        // An emoji of five code points is one character, and the official profile takes it.
        assert_eq!(validate_tag_name(&"👨‍👩‍👧".repeat(30), official), GOOD);
        let too_long = validate_tag_name(&"标".repeat(31), official);
        assert_eq!(messages(&too_long), ["the name has 31 characters and may have 30 (profile `wecom-official`)"]);
    }

    #[test]
    fn a_name_may_be_allowed_and_yet_too_long_for_the_console() {
        let official = policy(Profile::WecomOfficial);
        assert!(!exceeds_console(&"标".repeat(15), official));
        assert!(exceeds_console(&"标".repeat(16), official));
    }

    #[test]
    fn a_slash_is_refused_with_a_split_as_advice_s26() {
        let problems = guide("会员等级/VIP");
        assert_eq!(messages(&problems), ["`/` (U+002F) at position 5 may not be in a name (profile `guide`)"]);
        assert_eq!(problems[0].hint().as_deref(), Some("split it: the tag `VIP` in the group `会员等级`"));
        assert_eq!(guide("a/b/c").len(), 2);
        assert_eq!(validate_tag_name("会员等级/VIP", policy(Profile::WecomOfficial)), GOOD);
    }

    #[test]
    fn white_space_alone_is_no_name() {
        assert_eq!(guide(" \u{3000} "), [NameProblem::Empty { profile: Profile::Guide }]);
    }

    #[test]
    fn group_names_are_compared_trimmed_folded_and_in_one_form_s25() {
        let existing = [("g1".to_owned(), "会员 Level".to_owned())];
        let duplicate = |name: &str| find_duplicate_group(name, &existing, policy(Profile::Guide));
        let found = duplicate("　会员 ＬＥＶＥＬ ").expect("a duplicate");
        assert_eq!(found.code(), "GROUP_NAME_DUP");
        let expected = "the group `g1` is named `会员 Level`, the same as `　会员 ＬＥＶＥＬ ` (profile `guide`)";
        assert_eq!(found.to_string(), expected);
        assert_eq!(duplicate("会员"), None);
    }
}

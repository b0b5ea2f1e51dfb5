//! The documents around a segment: what is done with its answer.
//!
//! A [`rule`] turns a segment into a tag, an [`audience`] hands its answer out, and a [`plan`] says step by step what
//! will change, who agreed and what happened.

use crate::ids::TagId;
use crate::segment::TagRef;
use crate::segment::parse::TAG_REF_INVALID;
use crate::yaml::{At, Problem, Yaml, codes};

/// Declares an enum whose values are words, the same in documents, in JSON and in stores.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:tt,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every value beside its word.
            pub const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$variant),)+];

            /// The word for the value.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// Reads the word; `None` where there is no such word.
            pub fn parse(word: &str) -> Option<Self> {
                Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, value)| *value)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub mod audience;
pub mod plan;
pub mod rule;

/// What a tag looks like in a document.
const TAG_HINT: &str = "write `tag: group/tag`, or `tag: {id: …}`";

/// Reads `group/tag` or `{id: …}`.
fn tag_ref(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<TagRef> {
    if matches!(at.node.value, Yaml::Mapping(_)) {
        let fields = at.fields("a tag", problems)?;
        fields.known(&["id"], problems);
        let id = fields.need("id", TAG_HINT, problems)?.text("a tag's id", problems)?;
        return Some(TagRef::Id(TagId(id)));
    }
    let name = at.text("a tag", problems)?;
    // A name may hold slashes itself, so that all that is asked is one with something on both sides.
    let has_group = name.char_indices().any(|(index, c)| c == '/' && index > 0 && index + 1 < name.len());
    if !has_group {
        problems.push(at.problem(TAG_REF_INVALID, format!("`{name}` does not say its tag group")).with_hint(TAG_HINT));
        return None;
    }
    Some(TagRef::Name(name))
}

/// Reports a key that the documents will have and that has no effect yet.
fn not_supported(at: &At<'_>, what: &str, problems: &mut Vec<Problem>) {
    let message = format!("{what} is not supported yet");
    problems.push(at.problem(codes::NOT_SUPPORTED_YET, message).with_hint("leave it out, so that nobody relies on it"));
}

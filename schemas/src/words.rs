//! Closed lists of words: an enum and the words for its values, in one place.

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

pub(crate) use words;

/// The words of a list alone, in its order, for hints and for the JSON Schema.
pub(crate) fn word_list<T>(words: &[(&'static str, T)]) -> Vec<&'static str> {
    words.iter().map(|(word, _)| *word).collect()
}

#[cfg(test)]
mod tests {
    use crate::segment::{Never, Universe};

    #[test]
    fn a_word_stands_for_one_value_in_documents_json_and_messages() {
        assert_eq!(Universe::WORDS.len(), 3);
        for (word, value) in Universe::WORDS {
            assert_eq!((value.as_str(), value.to_string().as_str()), (*word, *word));
            assert_eq!(Universe::parse(word), Some(*value));
            assert_eq!(serde_json::json!(value), *word);
        }
        assert_eq!((Universe::parse("Followed"), Never::parse("since created")), (None, None));
    }
}

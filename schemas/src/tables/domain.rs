//! The values that a column takes where its type alone would admit more.

/// The values of a column that takes fewer than its type has. NULL is judged by the column, never by the domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// One of these words, written exactly so. Never empty.
    Words(&'static [&'static str]),
    /// A whole number from the first to the second, both included.
    Range(i64, i64),
}

impl Domain {
    /// Whether a text is a value of the domain; a range holds no text.
    pub fn holds_word(&self, text: &str) -> bool {
        matches!(self, Self::Words(words) if words.contains(&text))
    }

    /// Whether a number is a value of the domain; words hold no number.
    pub fn holds_number(&self, number: i64) -> bool {
        matches!(self, Self::Range(from, to) if (*from..=*to).contains(&number))
    }

    /// Says what would be valid, as the tail of a message: ``one of `temporary` and `long_term` `` or `1 to 12`.
    pub fn describe(&self) -> String {
        match self {
            Self::Words(words) => {
                let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                match quoted.split_last() {
                    Some((last, before)) if !before.is_empty() => format!("one of {} and {last}", before.join(", ")),
                    _ => quoted.concat(),
                }
            }
            Self::Range(from, to) => format!("{from} to {to}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::{ColumnType, TABLES};

    #[test]
    fn a_domain_says_what_would_be_valid() {
        let check = |domain: Domain, expected: &str| assert_eq!(domain.describe(), expected);
        check(Domain::Words(&["open", "renew", "close"]), "one of `open`, `renew` and `close`");
        check(Domain::Words(&["temporary", "long_term"]), "one of `temporary` and `long_term`");
        check(Domain::Words(&["open"]), "`open`");
        check(Domain::Range(1, 12), "1 to 12");
    }

    #[test]
    fn a_domain_holds_its_own_values_alone() {
        let words = Domain::Words(&["temporary", "long_term"]);
        assert!(words.holds_word("temporary") && !words.holds_word("Temporary") && !words.holds_word(""));
        assert!(!words.holds_number(1));
        let months = Domain::Range(1, 12);
        assert!(months.holds_number(1) && months.holds_number(12));
        assert!(!months.holds_number(0) && !months.holds_number(13) && !months.holds_word("5"));
    }

    #[test]
    fn every_domain_fits_the_type_of_its_column_and_its_words_stand_in_the_description() {
        for table in TABLES {
            for column in table.columns {
                let place = format!("{}.{}", table.name, column.name);
                match column.domain {
                    Some(Domain::Words(words)) => {
                        assert_eq!(column.ty, ColumnType::Text, "{place}");
                        let is_told = |word: &&str| column.doc.contains(&format!("`{word}`"));
                        assert!(!words.is_empty() && words.iter().all(is_told), "{place}: {}", column.doc);
                    }
                    Some(Domain::Range(from, to)) => {
                        assert!(matches!(column.ty, ColumnType::Int32 | ColumnType::Int64), "{place}");
                        assert!(from <= to, "{place}");
                    }
                    None => {}
                }
            }
        }
    }
}

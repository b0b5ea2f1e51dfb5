//! Small helpers of wording: a sentence in both languages, numbers with thousands, and lists that end early.

/// One statement in English and in Chinese.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// The English sentence.
    pub english: String,
    /// The Chinese sentence.
    pub chinese: String,
}

impl Sentence {
    /// Puts both languages together.
    pub fn new(english: impl Into<String>, chinese: impl Into<String>) -> Self {
        Self { english: english.into(), chinese: chinese.into() }
    }
}

/// A number with a comma between thousands, as both languages write it.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with its English noun: `1 customer`, `2,345 customers`.
pub(super) fn counted(number: u64, singular: &str, plural: &str) -> String {
    format!("{} {}", thousands(number), if number == 1 { singular } else { plural })
}

/// The first `limit` names, each between the given quotes, and how many were left off.
pub(super) fn listed(names: &[String], limit: usize, quotes: (&str, &str), between: &str) -> (String, usize) {
    let shown: Vec<String> = names.iter().take(limit).map(|name| format!("{}{name}{}", quotes.0, quotes.1)).collect();
    (shown.join(between), names.len().saturating_sub(limit))
}

//! Finds living tags that say the same: equal names once case, width, spaces and punctuation are set aside.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization;

use super::{StaleOptions, TagFacts};

/// Names that mean something only within their group: `会员等级/其他` and `来源渠道/其他` have nothing in common.
const ANSWER_WORDS: [&str; 16] = [
    "其他", "其它", "未知", "无", "有", "是", "否", "不详", "待定", "默认", "other", "others", "unknown", "none",
    "yes", "no",
];

/// For each fact, in the same order, the full names of its twins, sorted; empty for a deleted tag.
///
/// Two living tags are twins when their names are equal after NFKC, case folding and trimming, or after spaces and
/// punctuation are taken out as well.
pub(super) fn find(facts: &[TagFacts], options: &StaleOptions) -> Vec<Vec<String>> {
    let keys: Vec<Option<String>> =
        facts.iter().map(|fact| fact.is_living(options.as_of).then(|| key(&fact.tag_name)).flatten()).collect();
    let mut by_key: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, key) in keys.iter().enumerate() {
        if let Some(key) = key {
            by_key.entry(key.as_str()).or_default().push(index);
        }
    }
    let twins_of = |(index, key): (usize, &Option<String>)| {
        let same = key.as_deref().and_then(|key| by_key.get(key)).map(Vec::as_slice).unwrap_or_default();
        let mut names: Vec<String> =
            same.iter().filter(|other| **other != index).map(|other| facts[*other].full_name()).collect();
        names.sort();
        names
    };
    keys.iter().enumerate().map(twins_of).collect()
}

/// The form under which two names are the same; `None` for a name that says nothing outside its group.
///
/// A name of punctuation alone keeps it, so that `?` and `!` stay two names.
fn key(name: &str) -> Option<String> {
    let folded = fold(name);
    let bare = bare(&folded);
    let key = if bare.is_empty() { folded } else { bare };
    (!key.is_empty() && !ANSWER_WORDS.contains(&key.as_str())).then_some(key)
}

/// Takes out spaces and punctuation, except where they tell two names apart: in numbers (`1-5万`, `15万`) and in grades
/// (`A-`, `A+`).
fn bare(folded: &str) -> String {
    let text: Vec<char> = folded.chars().collect();
    let is_digit = |at: usize| text.get(at).is_some_and(char::is_ascii_digit);
    let is_kept = |at: usize, c: char| {
        let is_in_number = at > 0 && is_digit(at - 1) && is_digit(at + 1);
        let is_grade = c == '-' && at + 1 == text.len();
        c.is_alphanumeric() || "+<>=≥≤%".contains(c) || is_in_number || is_grade
    };
    text.iter().enumerate().filter(|(at, c)| is_kept(*at, **c)).map(|(_, c)| *c).collect()
}

/// A name in compatibility form (NFKC), case folded and trimmed.
pub(super) fn fold(name: &str) -> String {
    // Folding can leave the normal form (`ŉ` becomes two characters), hence once before and once after.
    let normal: String = name.nfkc().collect();
    let folded: String = normal.to_lowercase().nfkc().collect();
    folded.trim().to_owned()
}

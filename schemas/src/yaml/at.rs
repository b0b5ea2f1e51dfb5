//! Reading values out of a document: every reader says what it expected and goes on.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::problem::shortened;
use super::{Position, Problem, Spanned, Yaml, codes, near_hint, one_of};

/// Returns the JSON pointer of a member: `parent` and one more step, escaped as RFC 6901 says.
pub fn pointer(parent: &str, step: &str) -> String {
    format!("{parent}/{}", step.replace('~', "~0").replace('/', "~1"))
}

/// A value of a document together with its place: what a parser reads from and points at.
///
/// Every reader returns `None` after it has pushed a problem, so that the caller can go on with the next value.
#[derive(Debug, Clone)]
pub struct At<'a> {
    /// The value.
    pub node: &'a Spanned,
    /// The JSON pointer of the value; empty for the document as a whole.
    pub path: String,
}

impl<'a> At<'a> {
    /// The document as a whole.
    pub fn root(node: &'a Spanned) -> Self {
        Self::new(node, "")
    }

    /// A value whose JSON pointer is known.
    pub fn new(node: &'a Spanned, path: impl Into<String>) -> Self {
        Self { node, path: path.into() }
    }

    /// Makes a problem that points at this value.
    pub fn problem(&self, code: &'static str, message: impl Into<String>) -> Problem {
        Problem::new(Some(self.node.position), self.path.as_str(), code, message)
    }

    /// Makes the problem that something else was expected here (`TYPE_WRONG`): `expected WHAT, found …`.
    pub fn expected(&self, what: &str) -> Problem {
        self.problem(codes::TYPE_WRONG, format!("expected {what}, found {}", self.node.value.describe()))
    }

    /// The text of a scalar, however it was written.
    pub fn scalar(&self) -> Option<&'a str> {
        match &self.node.value {
            Yaml::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The text of a scalar that was written without quotes.
    pub fn plain(&self) -> Option<&'a str> {
        match &self.node.value {
            Yaml::Scalar { text, quoted: false } => Some(text),
            _ => None,
        }
    }

    /// Reads a text that is not empty. A number or a date is a text too, as it is written.
    pub fn text(&self, what: &str, problems: &mut Vec<Problem>) -> Option<String> {
        match self.scalar() {
            None => problems.push(self.expected(what)),
            Some(text) if text.trim().is_empty() => {
                problems.push(self.problem(codes::VALUE_EMPTY, format!("expected {what}, found an empty text")));
            }
            Some(text) => return Some(text.to_owned()),
        }
        None
    }

    /// Reads `true` or `false`.
    pub fn boolean(&self, problems: &mut Vec<Problem>) -> Option<bool> {
        match self.plain() {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => {
                problems.push(self.expected("`true` or `false`"));
                None
            }
        }
    }

    /// Reads a whole number within a range, both ends included.
    pub fn integer(&self, range: RangeInclusive<i64>, problems: &mut Vec<Problem>) -> Option<i64> {
        let what = format!("a whole number from {} to {}", range.start(), range.end());
        match self.plain().and_then(|text| text.parse::<i64>().ok()) {
            Some(number) if range.contains(&number) => return Some(number),
            Some(_) => {
                let message = format!("expected {what}, found {}", self.node.value.describe());
                problems.push(self.problem(codes::VALUE_INVALID, message));
            }
            None => problems.push(self.expected(&what)),
        }
        None
    }

    /// Reads a word of a closed list and returns what it stands for.
    ///
    /// `what` names the list in the message, as in ``unknown universe `x` ``.
    pub fn word<T: Copy>(&self, what: &str, words: &[(&str, T)], problems: &mut Vec<Problem>) -> Option<T> {
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        let Some(text) = self.scalar() else {
            problems.push(self.expected(&one_of(&names)));
            return None;
        };
        let found = words.iter().find(|(name, _)| *name == text).map(|(_, meaning)| *meaning);
        if found.is_none() {
            problems.push(self.unknown_word(what, &names));
        }
        found
    }

    /// Makes the problem that this is no word of a closed list (`WORD_UNKNOWN`), with the nearest and all words in
    /// its hint.
    pub fn unknown_word(&self, what: &str, words: &[&str]) -> Problem {
        let text = self.scalar().unwrap_or_default();
        let message = format!("unknown {what} `{}`", shortened(text));
        self.problem(codes::WORD_UNKNOWN, message).with_hint(near_hint(text, words))
    }

    /// Reads the items of a list that is not empty.
    pub fn items(&self, what: &str, problems: &mut Vec<Problem>) -> Option<Vec<At<'a>>> {
        match &self.node.value {
            Yaml::Sequence(items) if !items.is_empty() => {
                let at = |(index, node): (usize, &'a Spanned)| At::new(node, pointer(&self.path, &index.to_string()));
                return Some(items.iter().enumerate().map(at).collect());
            }
            Yaml::Sequence(_) => {
                problems.push(self.problem(codes::VALUE_EMPTY, format!("expected {what}, found an empty list")));
            }
            Yaml::Scalar { text, .. } => {
                let hint = format!("write a list: `[{}]`", shortened(text));
                problems.push(self.expected(what).with_hint(hint));
            }
            Yaml::Null | Yaml::Mapping(_) => problems.push(self.expected(what)),
        }
        None
    }

    /// Reads a value or a list of values that is not empty; a value alone is a list of one.
    pub fn one_or_more(&self, what: &str, problems: &mut Vec<Problem>) -> Option<Vec<At<'a>>> {
        match &self.node.value {
            Yaml::Sequence(_) => self.items(what, problems),
            _ => Some(vec![self.clone()]),
        }
    }

    /// Reads a list of texts; neither the list nor a text may be empty.
    pub fn texts(&self, what: &str, problems: &mut Vec<Problem>) -> Option<Vec<String>> {
        let items = self.items(what, problems)?;
        read_each(&items, |item| item.text("a text", problems))
    }

    /// Reads the keys of a mapping. A key that is no text or comes twice is a problem; of two equal keys the first
    /// stays.
    pub fn fields(&self, what: &str, problems: &mut Vec<Problem>) -> Option<Fields<'a>> {
        let Yaml::Mapping(pairs) = &self.node.value else {
            problems.push(self.expected(what));
            return None;
        };
        let mut first_lines: BTreeMap<&str, usize> = BTreeMap::new();
        let mut entries = Vec::with_capacity(pairs.len());
        for (key, node) in pairs {
            let Yaml::Scalar { text, .. } = &key.value else {
                let message = format!("expected a key, found {}", key.value.describe());
                problems.push(Problem::new(Some(key.position), self.path.as_str(), codes::TYPE_WRONG, message));
                continue;
            };
            let value = At::new(node, pointer(&self.path, text));
            let entry = Entry { key: text, key_position: key.position, value };
            if let Some(line) = first_lines.get(entry.key) {
                let message = format!("`{}` is written twice", shortened(text));
                let hint = format!("the first is in line {line}");
                problems.push(entry.problem(codes::KEY_DUPLICATE, message).with_hint(hint));
            } else {
                first_lines.insert(entry.key, key.position.line);
                entries.push(entry);
            }
        }
        Some(Fields { at: self.clone(), entries })
    }
}

/// Reads every item with `read` before it gives up on any, so that the problems of all of them come out.
pub fn read_each<'a, T>(items: &[At<'a>], read: impl FnMut(&At<'a>) -> Option<T>) -> Option<Vec<T>> {
    let read: Vec<Option<T>> = items.iter().map(read).collect();
    read.into_iter().collect()
}

/// The keys of a mapping.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    /// The mapping itself.
    pub at: At<'a>,
    /// Its entries in the order of the document, each key once.
    pub entries: Vec<Entry<'a>>,
}

impl<'a> Fields<'a> {
    /// Reports every key that is not in `keys`, with the nearest of them.
    pub fn known(&self, keys: &[&str], problems: &mut Vec<Problem>) {
        let unknown = self.entries.iter().filter(|entry| !keys.contains(&entry.key));
        problems.extend(unknown.map(|entry| entry.unknown(keys)));
    }

    /// The value of a key. A key without a value (`null`) counts as not written.
    pub fn get(&self, key: &str) -> Option<At<'a>> {
        let entry = self.entry(key)?;
        (entry.value.node.value != Yaml::Null).then(|| entry.value.clone())
    }

    /// The value of a key that has to be written; `hint` shows what could be written.
    pub fn need(&self, key: &str, hint: &str, problems: &mut Vec<Problem>) -> Option<At<'a>> {
        let found = self.get(key);
        if found.is_none() {
            problems.push(self.missing(key, hint));
        }
        found
    }

    /// Makes the problem that a key is missing (`KEY_MISSING`).
    pub fn missing(&self, key: &str, hint: &str) -> Problem {
        let message = format!("`{key}` is missing");
        match self.entry(key) {
            Some(entry) => entry.problem(codes::KEY_MISSING, message).with_hint(hint),
            None => self.at.problem(codes::KEY_MISSING, message).with_hint(hint),
        }
    }

    /// The entry of a key, even one without a value.
    pub fn entry(&self, key: &str) -> Option<&Entry<'a>> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

/// A key of a mapping and its value.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// The key.
    pub key: &'a str,
    /// Where the key stands.
    pub key_position: Position,
    /// The value.
    pub value: At<'a>,
}

impl Entry<'_> {
    /// Makes a problem that points at the key.
    pub fn problem(&self, code: &'static str, message: impl Into<String>) -> Problem {
        Problem::new(Some(self.key_position), self.value.path.as_str(), code, message)
    }

    /// Makes the problem that this key has no meaning here (`KEY_UNKNOWN`).
    pub fn unknown(&self, keys: &[&str]) -> Problem {
        let message = format!("unknown key `{}`", shortened(self.key));
        self.problem(codes::KEY_UNKNOWN, message).with_hint(near_hint(self.key, keys))
    }
}

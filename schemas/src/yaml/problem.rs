//! What is wrong with a document: every problem has a place, a code, a message and mostly a hint.

use std::fmt;

use serde::Serialize;

use super::Position;
use crate::error::{Diagnose, ErrorKind, did_you_mean, near_names};

/// The codes that all documents share; a document's own parser adds its own.
pub mod codes {
    /// The text is not YAML.
    pub const SYNTAX: &str = "YAML_SYNTAX";
    /// An anchor, an alias, a YAML tag or a second document.
    pub const FEATURE: &str = "YAML_FEATURE";
    /// The document exceeds a limit of size, depth or number of values.
    pub const TOO_LARGE: &str = "DOCUMENT_TOO_LARGE";
    /// A list where a text was expected, and the like.
    pub const TYPE_WRONG: &str = "TYPE_WRONG";
    /// A key that has no meaning here.
    pub const KEY_UNKNOWN: &str = "KEY_UNKNOWN";
    /// A key that has to be written and is not.
    pub const KEY_MISSING: &str = "KEY_MISSING";
    /// The same key twice in one mapping.
    pub const KEY_DUPLICATE: &str = "KEY_DUPLICATE";
    /// A key that has a meaning, but not together with what stands beside it.
    pub const KEY_MISPLACED: &str = "KEY_MISPLACED";
    /// A word that is not in the closed list of its place.
    pub const WORD_UNKNOWN: &str = "WORD_UNKNOWN";
    /// A value of the right type that is not acceptable.
    pub const VALUE_INVALID: &str = "VALUE_INVALID";
    /// An empty text or an empty list.
    pub const VALUE_EMPTY: &str = "VALUE_EMPTY";
    /// Something that the documents will have and that does not work yet.
    pub const NOT_SUPPORTED_YET: &str = "NOT_SUPPORTED_YET";
}

/// One thing that is wrong with a document, or with a value that stands for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where it is in the text; `None` where no text is at hand.
    pub position: Option<Position>,
    /// Where it is in the document, as a JSON pointer such as `/where/all/0/op`; empty for the document as a whole.
    pub path: String,
    /// A stable machine-readable code in capitals.
    pub code: &'static str,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// Makes a problem without a hint.
    pub fn new(
        position: Option<Position>,
        path: impl Into<String>,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { position, path: path.into(), code, message: message.into(), hint: None }
    }

    /// Returns the problem with a hint.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for Problem {
    /// Writes `line 3, column 5 (/where/all/0): message`, without the parts that are not known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.position, self.path.as_str()) {
            (Some(Position { line, column }), "") => write!(f, "line {line}, column {column}: ")?,
            (Some(Position { line, column }), path) => write!(f, "line {line}, column {column} ({path}): ")?,
            (None, "") => {}
            (None, path) => write!(f, "{path}: ")?,
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnose for Problem {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidInput
    }

    fn code(&self) -> &'static str {
        self.code
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

/// Everything that is wrong with a document, in the order of its text. Displayed one a line, each with its hint below
/// it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", listed(.0))]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Gives what a parser read where it found no problem, and else all its problems, sorted by their place.
    ///
    /// # Errors
    /// When there is a problem, or nothing was read.
    pub fn resolve<T>(found: Option<T>, mut problems: Vec<Problem>) -> Result<T, Self> {
        if let (Some(found), true) = (found, problems.is_empty()) {
            return Ok(found);
        }
        if problems.is_empty() {
            problems.push(Problem::new(None, "", codes::VALUE_INVALID, "the document could not be read"));
        }
        // Stable, so that problems of one place stay in the order in which they were found.
        problems.sort_by_key(|problem| problem.position);
        Err(Self(problems))
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl Diagnose for Problems {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidInput
    }

    fn code(&self) -> &'static str {
        "DOCUMENT_INVALID"
    }
}

fn listed(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems
        .iter()
        .map(|problem| match &problem.hint {
            Some(hint) => format!("{problem}\n  hint: {hint}"),
            None => problem.to_string(),
        })
        .collect();
    lines.join("\n")
}

/// Lists words for a message: `` `a`, `b` or `c` ``.
pub fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// Makes the hint for a word that is not in a closed list: the nearest ones first, then all of them.
pub fn near_hint(wanted: &str, words: &[&str]) -> String {
    let all = format!("write {}", one_of(words));
    match did_you_mean(&near_names(wanted, words.iter().copied())) {
        Some(question) => format!("{question} {all}"),
        None => all,
    }
}

/// A value as a message shows it: on one line, and not longer than a line.
pub(super) fn shortened(text: &str) -> String {
    const MAX_CHARS: usize = 60;
    let mut short: String = text.chars().take(MAX_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        short.push('…');
    }
    short
}

//! Documents written by people: one reader for YAML, and so for JSON, that keeps the place of everything.
//!
//! [`read`] turns a text into a tree of [`Spanned`] values and refuses what makes documents hard to review (anchors,
//! aliases, YAML tags, several documents in one file) or dangerous to hold (endless size or depth). [`At`] and
//! [`Fields`] walk the tree: whatever they do not find as expected goes into a list of [`Problem`]s and the walk goes
//! on, so that a document's problems come out together. What the keys of a document mean is the business of its own
//! parser.

mod at;
mod problem;

use std::borrow::Cow;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError};
use serde::Serialize;

pub use at::{At, Entry, Fields, pointer, read_each};
pub use problem::{Problem, Problems, codes, near_hint, one_of};

/// The largest document that is read, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// The deepest nesting of lists and mappings that is read.
pub const MAX_DEPTH: usize = 64;
/// The largest number of values, lists and mappings together that is read; a mapping's keys count as well.
pub const MAX_NODES: usize = 50_000;

/// Reads one document.
///
/// An empty document is [`Yaml::Null`]. A key that is written twice stays in the tree twice: [`At::fields`] reports it.
///
/// # Errors
/// The first thing that keeps the text from being read: it is not YAML (`YAML_SYNTAX`), uses anchors, aliases, tags
/// or more than one document (`YAML_FEATURE`), or exceeds a limit (`DOCUMENT_TOO_LARGE`).
pub fn read(text: &str) -> Result<Spanned, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    check_text(text)?;
    let mut tree = Tree::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| not_yaml(&error))?;
        tree.take(event, Position::of(span.start))?;
    }
    Ok(tree.root.unwrap_or(Spanned { position: Position { line: 1, column: 1 }, value: Yaml::Null }))
}

/// A place in a document's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl Position {
    fn of(marker: Marker) -> Self {
        Self { line: marker.line(), column: marker.col() + 1 }
    }
}

/// A value and the place where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned {
    /// Where the value begins.
    pub position: Position,
    /// The value.
    pub value: Yaml,
}

/// A value of a document, as it was written: what a plain scalar means is decided by whoever reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Yaml {
    /// Nothing: an empty place, `~` or `null`.
    Null,
    /// A scalar.
    Scalar {
        /// Its text, without quotes and with escapes resolved.
        text: String,
        /// Whether it was written in quotes or as a block (`|`, `>`), and so is a text whatever it looks like.
        quoted: bool,
    },
    /// A list.
    Sequence(Vec<Spanned>),
    /// A mapping in the order of the document; keys may be of any kind and may repeat.
    Mapping(Vec<(Spanned, Spanned)>),
}

impl Yaml {
    /// Says what this is, for a message: ``a list``, ``nothing``, `` `2026-06-01` ``.
    pub fn describe(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Scalar { text, quoted: false } => format!("`{}`", problem::shortened(text)),
            Self::Scalar { text, quoted: true } => format!("the text `{}`", problem::shortened(text)),
            Self::Sequence(_) => "a list".to_owned(),
            Self::Mapping(_) => "a mapping".to_owned(),
        }
    }
}

/// The tree while it grows.
#[derive(Default)]
struct Tree {
    open: Vec<Open>,
    root: Option<Spanned>,
    node_count: usize,
    document_count: usize,
}

/// A list or mapping whose end has not come yet.
enum Open {
    Sequence { position: Position, items: Vec<Spanned> },
    Mapping { position: Position, entries: Vec<(Spanned, Spanned)>, key: Option<Spanned> },
}

impl Tree {
    fn take(&mut self, event: Event<'_>, position: Position) -> Result<(), Problem> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.admit(anchor > 0, tag.is_some(), position)?;
                self.place(Spanned { position, value: scalar(text, style) });
            }
            Event::SequenceStart(anchor, tag) => {
                self.admit(anchor > 0, tag.is_some(), position)?;
                self.enter(Open::Sequence { position, items: Vec::new() }, position)?;
            }
            Event::MappingStart(anchor, tag) => {
                self.admit(anchor > 0, tag.is_some(), position)?;
                self.enter(Open::Mapping { position, entries: Vec::new(), key: None }, position)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.leave(),
            Event::Alias(_) => return Err(self.refused(position, "an alias (`*`)", QUOTE_ANCHOR)),
            Event::DocumentStart(_) => {
                self.document_count += 1;
                if self.document_count > 1 {
                    let hint = "put each document into its own file";
                    return Err(self.refused(position, "a second document (`---`)", hint));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn admit(&mut self, has_anchor: bool, has_tag: bool, position: Position) -> Result<(), Problem> {
        self.node_count += 1;
        if self.node_count > MAX_NODES {
            let message = format!("the document has more than {MAX_NODES} values");
            return Err(Problem::new(Some(position), self.path(), codes::TOO_LARGE, message));
        }
        // The parser reports a tag without a value at whatever comes next: the key is the safer place.
        let position = self.key().map_or(position, |key| key.position);
        if has_anchor {
            return Err(self.refused(position, "an anchor (`&`)", QUOTE_ANCHOR));
        }
        if has_tag {
            return Err(self.refused(position, "a YAML tag (`!`)", QUOTE_TAG));
        }
        Ok(())
    }

    /// The key whose value comes next.
    fn key(&self) -> Option<&Spanned> {
        match self.open.last() {
            Some(Open::Mapping { key, .. }) => key.as_ref(),
            _ => None,
        }
    }

    fn refused(&self, position: Position, what: &str, hint: &str) -> Problem {
        let message = format!("{what} is not supported in documents");
        Problem::new(Some(position), self.path(), codes::FEATURE, message).with_hint(hint)
    }

    fn enter(&mut self, open: Open, position: Position) -> Result<(), Problem> {
        if self.open.len() == MAX_DEPTH {
            let message = format!("the document is nested deeper than {MAX_DEPTH} levels");
            return Err(Problem::new(Some(position), self.path(), codes::TOO_LARGE, message));
        }
        self.open.push(open);
        Ok(())
    }

    fn leave(&mut self) {
        match self.open.pop() {
            Some(Open::Sequence { position, items }) => self.place(Spanned { position, value: Yaml::Sequence(items) }),
            Some(Open::Mapping { position, entries, .. }) => {
                self.place(Spanned { position, value: Yaml::Mapping(entries) });
            }
            None => {}
        }
    }

    fn place(&mut self, node: Spanned) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::Sequence { items, .. }) => items.push(node),
            Some(Open::Mapping { entries, key, .. }) => match key.take() {
                None => *key = Some(node),
                Some(known) => entries.push((known, node)),
            },
        }
    }

    /// The JSON pointer of the value that comes next.
    fn path(&self) -> String {
        self.open.iter().fold(String::new(), |path, open| match open {
            Open::Sequence { items, .. } => pointer(&path, &items.len().to_string()),
            Open::Mapping { key: Some(Spanned { value: Yaml::Scalar { text, .. }, .. }), .. } => pointer(&path, text),
            Open::Mapping { .. } => path,
        })
    }
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle) -> Yaml {
    let quoted = style != ScalarStyle::Plain;
    if !quoted && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL") {
        return Yaml::Null;
    }
    Yaml::Scalar { text: text.into_owned(), quoted }
}

/// Refuses what the parser would not stop at: it ends silently at a NUL, and it holds whatever it is given.
fn check_text(text: &str) -> Result<(), Problem> {
    if text.len() > MAX_BYTES {
        let message = format!("the document has {} bytes, more than {MAX_BYTES}", text.len());
        return Err(Problem::new(None, "", codes::TOO_LARGE, message));
    }
    let is_refused = |c: char| c.is_ascii_control() && !matches!(c, '\t' | '\n' | '\r');
    let Some((index, c)) = text.char_indices().find(|(_, c)| is_refused(*c)) else {
        return Ok(());
    };
    let before = &text[..index];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let message = format!("the control character U+{:04X} is not allowed in a document", u32::from(c));
    let problem = Problem::new(Some(Position { line, column }), "", codes::SYNTAX, message);
    Err(problem.with_hint("save the file as plain UTF-8 text"))
}

const QUOTE_ANCHOR: &str = "write the value out where it is used; a text that begins with `&` or `*` needs quotes";
const QUOTE_TAG: &str = "a value that begins with `!` needs quotes, as in `op: \"!=\"`";

/// The first matching word in the parser's own message picks the hint.
const SYNTAX_HINTS: [(&str, &str); 8] = [
    ("block scalar", "a value that begins with `>` or `|` needs quotes, as in `op: \">=\"`"),
    ("anchor", QUOTE_ANCHOR),
    (" tag", QUOTE_TAG),
    ("mapping values", "check the indentation; a value that holds a colon and a space needs quotes"),
    ("unexpected character", "a value that begins with `%`, `@` or a backquote needs quotes"),
    ("quoted scalar", "check that every quote is closed and every backslash in double quotes is doubled"),
    ("tab", "indent with spaces"),
    ("flow", "check that every bracket and brace is closed and every item is followed by a comma"),
];

fn not_yaml(error: &ScanError) -> Problem {
    let info = error.info();
    let hint = SYNTAX_HINTS.iter().find(|(word, _)| info.contains(word)).map(|(_, hint)| *hint);
    let position = Position::of(*error.marker());
    Problem::new(Some(position), "", codes::SYNTAX, format!("this is not YAML: {info}"))
        .with_hint(hint.unwrap_or("check the indentation and the quotes of this line and of the one before"))
}

#[cfg(test)]
mod tests;

//! What a run did, in numbers that add up.

use chrono::{DateTime, Utc};
use serde::Serialize;

/// What a run did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunReport {
    /// The source.
    pub source: String,
    /// When the run began to read.
    pub read_from: DateTime<Utc>,
    /// When it ended reading.
    pub read_until: DateTime<Utc>,
    /// Every raw file that was read to its end.
    pub files: Vec<FileCount>,
    /// Every target table.
    pub tables: Vec<TableCount>,
    /// Rows not taken, by target and code.
    pub refused: Vec<(String, String, u64)>,
    /// What a person should know: what was mended, what is not row-wise.
    pub notes: Vec<String>,
}

/// One raw file: raw = parsed + unparsable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileCount {
    /// The path.
    pub path: String,
    /// Rows in the file.
    pub raw: u64,
    /// Rows that became rows of the raw table.
    pub parsed: u64,
    /// Rows that did not.
    pub unparsable: u64,
}

/// One target table: mapped = accepted + rejected + duplicate + unmatched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TableCount {
    /// The target.
    pub table: String,
    /// How its rows were meant: `full`, `upsert` or `append`.
    pub mode: String,
    /// Rows that its SELECT gave.
    pub mapped: u64,
    /// Rows that were taken, whether they changed anything or not.
    pub accepted: u64,
    /// Rows that do not fit the table's contract.
    pub rejected: u64,
    /// Rows that say again what another said.
    pub duplicate: u64,
    /// Rows that refer to what is not known.
    pub unmatched: u64,
    /// For a row-wise SELECT: rows that it left out. parsed = mapped + filtered.
    pub filtered: Option<u64>,
    /// What changed, in words and numbers, such as `opened` 120.
    pub changes: Vec<(String, u64)>,
}

impl TableCount {
    /// Whether every mapped row is accounted for.
    pub fn adds_up(&self) -> bool {
        self.mapped == self.accepted + self.rejected + self.duplicate + self.unmatched
    }

    pub(crate) fn change(&mut self, what: &str, count: u64) {
        if count > 0 {
            self.changes.push((what.to_owned(), count));
        }
    }
}

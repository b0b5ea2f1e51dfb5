//! What a run did, in numbers that add up.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

use crate::raw::FileTally;

/// What a run did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunReport {
    /// The source.
    pub source: String,
    /// When the run began to read.
    pub read_from: DateTime<Utc>,
    /// When it ended reading.
    pub read_until: DateTime<Utc>,
    /// Every raw file of the source.
    pub files: Vec<FileCount>,
    /// Every target table.
    pub tables: Vec<TableCount>,
    /// How many late events were added on each business day, in the warehouse's zone, that has any. They lie before the
    /// latest event that earlier runs had read of the source, or had waited for their person, whatever source brought
    /// them. So these are the days that had been read and have more events now.
    pub late_events: BTreeMap<NaiveDate, u64>,
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

impl From<FileTally> for FileCount {
    fn from(tally: FileTally) -> Self {
        Self { path: tally.path, raw: tally.raw, parsed: tally.parsed, unparsable: tally.unparsable }
    }
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
    /// Rows that were taken, whether they changed anything or not: a row that an earlier run has brought is taken again.
    pub accepted: u64,
    /// Rows that do not fit the table's contract.
    pub rejected: u64,
    /// Rows that say again what another row of the run said.
    pub duplicate: u64,
    /// Rows that refer to what is not known. Those of events wait in `unmatched_event`.
    pub unmatched: u64,
    /// For a row-wise SELECT: the rows of the raw table that it reads.
    pub parsed: Option<u64>,
    /// For a row-wise SELECT: rows that it left out. parsed = mapped + filtered.
    pub filtered: Option<u64>,
    /// What changed, in words and numbers, such as `opened` 120.
    pub changes: Vec<(String, u64)>,
}

impl TableCount {
    /// Whether every mapped row is accounted for.
    pub fn adds_up(&self) -> bool {
        let is_told = self.mapped == self.accepted + self.rejected + self.duplicate + self.unmatched;
        is_told && self.parsed == self.filtered.map(|filtered| self.mapped + filtered)
    }

    pub(crate) fn change(&mut self, what: &str, count: u64) {
        if count > 0 {
            self.changes.push((what.to_owned(), count));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_a_row_wise_select_read_are_mapped_or_filtered() {
        let count = |parsed, filtered| TableCount {
            mapped: 3,
            accepted: 2,
            rejected: 1,
            parsed,
            filtered,
            ..TableCount::default()
        };
        assert!(count(None, None).adds_up());
        assert!(count(Some(5), Some(2)).adds_up());
        assert!(!count(Some(5), Some(1)).adds_up());
        // More rows than were read leave nothing that could have been filtered.
        assert!(!count(Some(2), None).adds_up());
    }
}

//! The shrink guard: a run whose counts fall too far is kept staged and not published.

use serde::{Deserialize, Serialize};

/// How far a count may fall: to seven tenths of what it was.
const KEPT_SHARE: f64 = 0.7;

/// One count that a run brings, beside the one of the run before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardCount {
    /// What is counted, in words: `customers listed`.
    pub what: String,
    /// The count of the same source's run before.
    pub before: u64,
    /// The count of this run.
    pub after: u64,
    /// Whether a fall short of nothing at all is watched too. A source that brings changes only may bring few.
    pub is_full: bool,
}

/// What the guard says of one count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardVerdict {
    /// The count.
    pub count: GuardCount,
    /// Whether it fell too far.
    pub is_refused: bool,
}

impl GuardVerdict {
    /// Judges one count.
    pub fn of(count: GuardCount) -> Self {
        let is_emptied = count.after == 0 && count.before > 0;
        // Counts stay far below 2⁵², where a double is exact.
        let has_shrunk = count.is_full && (count.after as f64) < count.before as f64 * KEPT_SHARE;
        Self { is_refused: is_emptied || has_shrunk, count }
    }
}

impl std::fmt::Display for GuardVerdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let GuardCount { what, before, after, .. } = &self.count;
        if *before == 0 {
            return write!(f, "{what}: {after}, none before");
        }
        let change = (*after as f64 - *before as f64) / *before as f64 * 100.0;
        let verdict = if self.is_refused { "too far (at most -30 % is let through)" } else { "ok" };
        write!(f, "{what}: {after} after {before} ({change:+.1} %), {verdict}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: u64, after: u64, is_full: bool, is_refused: bool) {
        let count = GuardCount { what: "customers listed".to_owned(), before, after, is_full };
        assert_eq!(GuardVerdict::of(count).is_refused, is_refused, "{before} to {after}, full {is_full}");
    }

    #[test]
    fn a_fall_by_thirty_percent_passes_and_by_more_does_not() {
        check(100, 70, true, false);
        check(100, 69, true, true);
    }

    #[test]
    fn an_emptied_source_is_refused_even_where_it_brings_changes_only() {
        check(100, 0, false, true);
        check(100, 1, false, false);
    }

    #[test]
    fn a_first_run_has_nothing_to_fall_from() {
        check(0, 0, true, false);
    }
}

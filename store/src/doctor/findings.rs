//! What the doctor finds, and how findings of several snapshots become one.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use tagmill_schemas::ids::SnapshotId;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something kept is lost, or answers may be wrong.
    Error,
    /// Nothing is lost, and somebody should do something about it.
    Warning,
    /// Worth knowing, and nothing has to be done.
    Note,
}

impl Severity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One thing that is not as it was written, or that was left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The snapshots that it touches; none where it belongs to no snapshot.
    pub snapshots: BTreeSet<SnapshotId>,
    /// The table that it is about; `None` for what is about no table.
    pub table: Option<String>,
    /// What was found, in words.
    pub what: String,
    /// What to do about it, in words.
    pub hint: Option<String>,
}

impl Finding {
    /// A finding about no table and no snapshot yet.
    pub fn new(severity: Severity, what: impl Into<String>) -> Self {
        Self { severity, snapshots: BTreeSet::new(), table: None, what: what.into(), hint: None }
    }

    /// The same about a table.
    #[must_use]
    pub fn of_table(mut self, table: &str) -> Self {
        self.table = Some(table.to_owned());
        self
    }

    /// The same in one snapshot more.
    #[must_use]
    pub fn of_snapshot(mut self, snapshot: SnapshotId) -> Self {
        self.snapshots.insert(snapshot);
        self
    }

    /// The same with advice.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The ids of its snapshots, runs of them drawn together: `1-3, 7`. Empty where there are none.
    pub fn snapshot_words(&self) -> String {
        let mut runs: Vec<(i64, i64)> = Vec::new();
        for SnapshotId(id) in &self.snapshots {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == *id => *last = *id,
                _ => runs.push((*id, *id)),
            }
        }
        let words =
            |(first, last): (i64, i64)| if first == last { format!("{first}") } else { format!("{first}-{last}") };
        runs.into_iter().map(words).collect::<Vec<_>>().join(", ")
    }
}

/// Findings as they come. What is found again in another snapshot is the same finding.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
    places: HashMap<(Option<String>, String), usize>,
}

impl Findings {
    /// Takes a finding in.
    pub(super) fn add(&mut self, finding: Finding) {
        match self.places.entry((finding.table.clone(), finding.what.clone())) {
            Entry::Occupied(place) => {
                if let Some(known) = self.list.get_mut(*place.get()) {
                    known.snapshots.extend(finding.snapshots);
                }
            }
            Entry::Vacant(place) => {
                place.insert(self.list.len());
                self.list.push(finding);
            }
        }
    }

    /// All of them, in the order in which they came.
    pub(super) fn into_list(self) -> Vec<Finding> {
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_again_in_another_snapshot_is_one_finding_and_its_snapshots_are_told_in_runs() {
        let mut findings = Findings::default();
        for id in [7, 1, 2, 3] {
            findings.add(Finding::new(Severity::Error, "gone").of_table("customer").of_snapshot(SnapshotId(id)));
        }
        findings.add(Finding::new(Severity::Error, "gone").of_table("event").of_snapshot(SnapshotId(2)));
        let told: Vec<String> = findings.into_list().iter().map(Finding::snapshot_words).collect();
        assert_eq!(told, ["1-3, 7", "2"]);
    }
}

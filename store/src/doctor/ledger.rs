//! The ledger by itself: parents chain, ids rise, and time does not go back.

use std::collections::BTreeSet;

use serde::Deserialize;
use tagmill_schemas::ids::SnapshotId;

use super::findings::{Finding, Findings, Severity};
use crate::ledger::LedgerRow;
use crate::location::Location;
use crate::publish::LEDGER;
use crate::retention::PRUNED;

/// A pruned snapshot, as it is remembered.
#[derive(Debug, Deserialize)]
struct Pruned {
    snapshot_id: SnapshotId,
}

/// Holds every row of the ledger against the one before it. Rows are ascending by id.
pub(super) async fn check(location: &Location, rows: &[LedgerRow], findings: &mut Findings) {
    let pruned = pruned(location).await;
    let mut before = None;
    for row in rows {
        for fault in faults(before, row, &pruned) {
            let finding = Finding::new(Severity::Error, fault).of_table(LEDGER).of_snapshot(row.snapshot_id);
            findings.add(finding.with_hint("no run writes such a row: compare the ledger with a backup"));
        }
        before = Some(row);
    }
}

/// The snapshots that have been pruned. A list that cannot be read names none, so that their children are told.
async fn pruned(location: &Location) -> BTreeSet<SnapshotId> {
    let content = location.objects().read(PRUNED).await.ok().flatten().unwrap_or_default();
    let pruned: Vec<Pruned> = serde_json::from_slice(&content).unwrap_or_default();
    pruned.into_iter().map(|pruned| pruned.snapshot_id).collect()
}

/// What is wrong with a row beside the kept one before it, in words.
fn faults(before: Option<&LedgerRow>, row: &LedgerRow, pruned: &BTreeSet<SnapshotId>) -> Vec<String> {
    let (id, mut faults) = (row.snapshot_id, Vec::new());
    if row.taken_at < row.read_until {
        faults.push(format!("snapshot {id} is dated before its source had been read"));
    }
    faults.extend(parent_fault(before, row, pruned));
    let Some(before) = before else { return faults };
    if before.snapshot_id == id {
        faults.push(format!("the id {id} is given twice"));
    }
    if row.taken_at < before.taken_at {
        let (at, earlier) = (row.taken_at.to_rfc3339(), before.taken_at.to_rfc3339());
        faults.push(format!("snapshot {id} was taken at {at}, before snapshot {} ({earlier})", before.snapshot_id));
    }
    for (table, version) in &row.tables {
        if let Some(older) = before.tables.get(table).filter(|older| *older > version) {
            let parent = before.snapshot_id;
            faults.push(format!("snapshot {id} names version {version} of `{table}`, and snapshot {parent} {older}"));
        }
    }
    faults
}

/// What is wrong with the snapshot that a row says it was built on. That is the one before it, kept or pruned.
fn parent_fault(before: Option<&LedgerRow>, row: &LedgerRow, pruned: &BTreeSet<SnapshotId>) -> Option<String> {
    let (id, before) = (row.snapshot_id, before.map(|row| row.snapshot_id));
    match row.parent_snapshot_id {
        parent if parent == before => None,
        None => Some(format!("snapshot {id} names no snapshot that it was built on")),
        Some(parent) if parent >= id => {
            Some(format!("snapshot {id} was built on snapshot {parent}, which is no older"))
        }
        Some(parent) if Some(parent) < before => {
            Some(format!("snapshot {id} was built on snapshot {parent}, and a later one was there already"))
        }
        Some(parent) if pruned.contains(&parent) => None,
        Some(parent) => Some(format!("snapshot {id} was built on snapshot {parent}, which is neither kept nor pruned")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: i64, parent: Option<i64>) -> LedgerRow {
        let at = chrono::DateTime::from_timestamp(1_762_000_000, 0).unwrap();
        LedgerRow {
            snapshot_id: SnapshotId(id),
            parent_snapshot_id: parent.map(SnapshotId),
            published_at: at,
            read_from: at,
            read_until: at,
            taken_at: at,
            source: "shop".to_owned(),
            tables: [("customer".to_owned(), 3)].into(),
            row_counts: [("customer".to_owned(), 9)].into(),
            guard: Vec::new(),
            latest_events: Default::default(),
            sources: Default::default(),
        }
    }

    /// Holds a row against the one before; 4 was pruned.
    fn check(before: Option<&LedgerRow>, row: &LedgerRow, expected: &[&str]) {
        let found = faults(before, row, &BTreeSet::from([SnapshotId(4)]));
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (fault, words) in found.iter().zip(expected) {
            assert!(fault.contains(words), "{fault}");
        }
    }

    #[test]
    fn a_chain_is_sound_and_so_is_one_with_pruned_links() {
        check(None, &row(1, None), &[]);
        check(Some(&row(1, None)), &row(3, Some(1)), &[]);
        check(None, &row(5, Some(4)), &[]);
        check(Some(&row(3, Some(1))), &row(5, Some(4)), &[]);
    }

    #[test]
    fn a_broken_chain_is_told() {
        let first = row(3, None);
        check(Some(&first), &row(5, None), &["names no snapshot"]);
        check(Some(&first), &row(5, Some(6)), &["no older"]);
        check(Some(&first), &row(7, Some(5)), &["neither kept nor pruned"]);
        check(Some(&first), &row(7, Some(2)), &["a later one was there already"]);
        check(Some(&row(3, None)), &row(3, Some(2)), &["a later one was there already", "given twice"]);
    }

    #[test]
    fn time_and_versions_do_not_fall() {
        let (before, mut after) = (row(1, None), row(2, Some(1)));
        after.taken_at -= chrono::TimeDelta::seconds(1);
        after.tables.insert("customer".to_owned(), 2);
        check(Some(&before), &after, &["is dated before its source", "before snapshot 1", "version 2 of `customer`"]);
    }
}

//! The table versions that the ledger names: whether they open, are those of their snapshot, and have their files and
//! rows.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use tagmill_schemas::ids::SnapshotId;

use super::findings::{Finding, Findings, Severity};
use super::{AT_ONCE, files, in_words};
use crate::delta::{DataFile, open_table};
use crate::error::StoreError;
use crate::ledger::LedgerRow;
use crate::location::Location;

/// What the kept snapshots hold.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// By table, the path of each file that a kept snapshot holds, with what is wrong with it.
    files: BTreeMap<String, BTreeMap<String, Option<String>>>,
    /// The tables that cannot be read as a snapshot has them.
    pub(super) unreadable: BTreeSet<(SnapshotId, String)>,
    /// The tables of which some version that a snapshot names cannot be opened, so that its files are not known.
    unopened: BTreeSet<String>,
}

impl Tables {
    /// How many files the kept snapshots hold together.
    pub(super) fn file_count(&self) -> u64 {
        self.files.values().map(|files| files.len() as u64).sum()
    }

    /// Whether a kept snapshot holds a file, by its path below its table's folder.
    pub(super) fn holds(&self, table: &str, path: &str) -> bool {
        self.files.get(table).is_some_and(|files| files.contains_key(path))
    }

    /// Whether every version of a table that a snapshot names could be opened.
    pub(super) fn knows_all_files_of(&self, table: &str) -> bool {
        !self.unopened.contains(table)
    }
}

/// Looks at every table version that the ledger names. Rows are ascending by id.
pub(super) async fn check(location: &Location, rows: &[LedgerRow], findings: &mut Findings) -> Tables {
    let mut walk = Walk { location, findings, tables: Tables::default(), last: BTreeMap::new() };
    let mut before = None;
    for row in rows {
        let mut opened = walk.open_changed(row).await;
        for table in row.tables.keys() {
            walk.look_at(row, before, table, opened.remove(table)).await;
        }
        before = Some(row);
    }
    walk.tables
}

/// The way through the snapshots, from the oldest on.
struct Walk<'w> {
    location: &'w Location,
    findings: &'w mut Findings,
    tables: Tables,
    /// By table, the version that was opened last, because the next snapshot most often names the same.
    last: BTreeMap<String, Version>,
}

/// A table version that was opened, or why it could not be.
struct Version {
    version: u64,
    opened: Result<Opened, String>,
}

/// What a table version holds.
struct Opened {
    files: Vec<DataFile>,
    /// The snapshot that committed last, up to this version.
    committed_by: Option<i64>,
}

impl Walk<'_> {
    /// Opens the tables of a snapshot that have another version there than the one that was opened last.
    async fn open_changed(&self, row: &LedgerRow) -> BTreeMap<String, Version> {
        let mut opening = Vec::new();
        for (table, version) in &row.tables {
            if self.last.get(table).is_none_or(|last| last.version != *version) {
                opening.push(open_version(self.location, table, *version));
            }
        }
        stream::iter(opening).buffered(AT_ONCE).collect().await
    }

    /// Looks at one table of one snapshot; `opened` is its version there, where another one was opened last.
    async fn look_at(&mut self, row: &LedgerRow, before: Option<&LedgerRow>, table: &str, opened: Option<Version>) {
        let last = self.last.remove(table);
        if let Some(Version { version, opened: Ok(now) }) = &opened
            && let Some(fault) = commit_fault(row, before, last.as_ref(), now)
        {
            let what = format!("version {version}, which snapshot {} names, {fault}", row.snapshot_id);
            self.add(row, table, what, "another program has written to the table: compare it with a backup");
        }
        let Some(found) = opened.or(last) else { return };
        match &found.opened {
            Ok(opened) => self.look_into(row, table, &opened.files).await,
            Err(words) => {
                let what = format!("version {} cannot be opened: {words}", found.version);
                self.add(row, table, what, FROM_A_BACKUP);
                self.tables.unreadable.insert((row.snapshot_id, table.to_owned()));
                self.tables.unopened.insert(table.to_owned());
            }
        }
        self.last.insert(table.to_owned(), found);
    }

    /// Looks at the files of one table of one snapshot, each file once.
    async fn look_into(&mut self, row: &LedgerRow, table: &str, files: &[DataFile]) {
        let rows: u64 = files.iter().map(|file| file.rows).sum();
        match row.row_counts.get(table) {
            Some(told) if *told == rows => {}
            Some(told) => {
                let id = row.snapshot_id;
                let what = format!("the ledger says {told} rows for snapshot {id}, and the table's log {rows}");
                self.add(row, table, what, "compare the ledger and the table with a backup");
            }
            None => self.add(row, table, "the ledger says no row count".to_owned(), "compare the ledger with a backup"),
        }
        for fault in self.faults(table, files).await {
            self.add(row, table, fault, FROM_A_BACKUP);
            self.tables.unreadable.insert((row.snapshot_id, table.to_owned()));
        }
    }

    /// What is wrong with these files; only those are looked at that no snapshot before holds.
    async fn faults(&mut self, table: &str, files: &[DataFile]) -> Vec<String> {
        let known = self.tables.files.entry(table.to_owned()).or_default();
        let mut looking = Vec::new();
        for file in files.iter().filter(|file| !known.contains_key(&file.path)) {
            looking.push(look_at_file(self.location, table, file));
        }
        let looked: Vec<(String, Option<String>)> = stream::iter(looking).buffered(AT_ONCE).collect().await;
        known.extend(looked);
        files.iter().filter_map(|file| known.get(&file.path).cloned().flatten()).collect()
    }

    fn add(&mut self, row: &LedgerRow, table: &str, what: String, hint: &str) {
        let finding = Finding::new(Severity::Error, what).of_table(table).of_snapshot(row.snapshot_id);
        self.findings.add(finding.with_hint(hint));
    }
}

/// What to do about what is lost.
const FROM_A_BACKUP: &str = "nothing else holds these rows: put the file back from a backup";

async fn look_at_file(location: &Location, table: &str, file: &DataFile) -> (String, Option<String>) {
    (file.path.clone(), files::fault(location, table, file).await)
}

async fn open_version(location: &Location, table: &str, version: u64) -> (String, Version) {
    let opened = open(location, table, version).await.map_err(|cause| in_words(&cause));
    (table.to_owned(), Version { version, opened })
}

async fn open(location: &Location, table: &str, version: u64) -> Result<Opened, StoreError> {
    let opened = open_table(location, table, Some(version)).await?;
    let committed_by = opened.last_snapshot_id().await?;
    Ok(Opened { files: opened.files, committed_by })
}

/// What is wrong with who committed a version that the snapshot before does not name, in words.
///
/// A run commits under its own id. What recovery has given back is committed under an older one, or under none, and
/// holds what the snapshot before holds.
fn commit_fault(row: &LedgerRow, before: Option<&LedgerRow>, last: Option<&Version>, now: &Opened) -> Option<String> {
    match now.committed_by {
        Some(id) if id == row.snapshot_id.0 => return None,
        Some(id) if id > row.snapshot_id.0 => return Some(format!("was committed by snapshot {id}, a later one")),
        _ => {}
    }
    if row.parent_snapshot_id != before.map(|before| before.snapshot_id) {
        // A snapshot that is no longer kept may have committed it.
        return None;
    }
    let held: &[DataFile] = match (before, last) {
        (None, _) => &[],
        (Some(_), Some(Version { opened: Ok(last), .. })) => &last.files,
        (Some(_), _) => return None,
    };
    (held != now.files)
        .then(|| "was committed by no run, and does not hold what the snapshot before it holds".to_owned())
}

//! Mending what is ahead of the ledger, before the next run begins.
//!
//! A run writes down its ledger row before its first commit. If every table got its commit, the row is all that lacks and is
//! appended (roll forward). Otherwise each table whose head is not what the ledger names gets one more commit that gives it
//! back the files and columns of the ledger's version (take back), whoever had changed it. Readers notice neither: they read
//! versions that the ledger names.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};

use tagmill_schemas::tables::TABLES;

use crate::delta::{DataFile, TableCommit, TableVersion, open_table};
use crate::erase;
use crate::error::StoreError;
use crate::ledger::LedgerRow;
use crate::location::Location;
use crate::parquet_file::StagedFile;
use crate::publish::{LEDGER, PENDING, Pending, append_row};
use crate::warehouse::Warehouse;

/// What was found and done.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// The greatest snapshot id in any table's transactions, which is never given again.
    pub(crate) greatest_id: i64,
    /// Table to the version of its head, which now holds what the ledger says.
    pub(crate) heads: BTreeMap<String, u64>,
    /// What was done, in words.
    pub(crate) notes: Vec<String>,
}

/// Looks at every table's head and mends those that are not what the ledger names.
pub(crate) async fn recover(warehouse: &Warehouse) -> Result<Recovered, StoreError> {
    let mut recovered = Recovered::default();
    erase::finish_if_begun(warehouse, &mut recovered.notes).await?;
    let location = warehouse.location();
    let ledger = warehouse.read_ledger().await?;
    let last = ledger.rows.last();
    let left = location.objects().read(PENDING).await?;
    let pending = left.as_deref().and_then(|content| read_pending(location, content, &mut recovered.notes));
    let mut heads = Vec::new();
    for table in TABLES.iter().filter(|table| table.name != LEDGER) {
        heads.push(Head::open(location, table.name, last).await?);
    }
    let newest = open_table(location, LEDGER, None).await?.last_snapshot_id().await?.unwrap_or(0);
    recovered.greatest_id = heads.iter().map(|head| head.snapshot_id).fold(newest, i64::max);
    recovered.heads = heads.iter().map(|head| (head.now.table.clone(), head.now.version)).collect();
    let last_id = last.map(|row| row.snapshot_id);
    let unfinished = pending.filter(|pending| Some(pending.row.snapshot_id) > last_id).map(|pending| pending.row);
    match unfinished {
        Some(row) if row.parent_snapshot_id == last_id && is_whole(&row, &heads) => {
            let id = row.snapshot_id;
            append_row(warehouse, &ledger, row).await?;
            recovered.notes.push(format!("finished snapshot {id}, whose run was killed before its last step"));
        }
        unfinished => take_back_all(warehouse, heads, unfinished.as_ref(), &mut recovered).await?,
    }
    if left.is_some() {
        location.objects().remove(PENDING).await?;
    }
    Ok(recovered)
}

/// The head of a table, beside what the ledger says of the table.
struct Head {
    now: TableVersion,
    /// The snapshot id of the newest commit of ours; 0 where there is none.
    snapshot_id: i64,
    /// The version that the ledger names, where the head holds other files or other columns.
    kept: Option<TableVersion>,
}

impl Head {
    /// The version tells whether anything was committed, by whomever; a head that was taken back before has another version
    /// and holds the same.
    async fn open(location: &Location, table: &str, last: Option<&LedgerRow>) -> Result<Self, StoreError> {
        let now = open_table(location, table, None).await?;
        let snapshot_id = now.last_snapshot_id().await?.unwrap_or(0);
        // Before the first snapshot, a table is as it was made.
        let version = last.and_then(|row| row.tables.get(table).copied()).unwrap_or(0);
        if version == now.version {
            return Ok(Self { now, snapshot_id, kept: None });
        }
        let kept = open_table(location, table, Some(version)).await?;
        let is_ahead = kept.files != now.files || kept.schema != now.schema;
        Ok(Self { now, snapshot_id, kept: is_ahead.then_some(kept) })
    }
}

/// Whether every table is as a run wanted to leave it, by commits of that run.
fn is_whole(row: &LedgerRow, heads: &[Head]) -> bool {
    heads.iter().all(|head| {
        let is_ours = head.kept.is_none() || head.snapshot_id == row.snapshot_id.0;
        is_ours && row.tables.get(&head.now.table) == Some(&head.now.version)
    })
}

/// Gives every table that is ahead of the ledger back what the ledger names, and says so.
async fn take_back_all(
    warehouse: &Warehouse,
    heads: Vec<Head>,
    unfinished: Option<&LedgerRow>,
    recovered: &mut Recovered,
) -> Result<(), StoreError> {
    let (mut of_the_run, mut of_others) = (Vec::new(), Vec::new());
    for head in heads {
        let Some(kept) = &head.kept else { continue };
        let version = take_back(warehouse, &head, kept).await?;
        recovered.heads.insert(head.now.table.clone(), version);
        let is_of_the_run = unfinished.is_some_and(|row| row.snapshot_id.0 == head.snapshot_id);
        let list = if is_of_the_run { &mut of_the_run } else { &mut of_others };
        list.push(format!("`{}`", head.now.table));
    }
    if let Some(row) = unfinished.filter(|_| !of_the_run.is_empty()) {
        let (id, tables) = (row.snapshot_id, of_the_run.join(", "));
        recovered.notes.push(format!("took back what snapshot {id}, whose run was killed, had changed in {tables}"));
    }
    if !of_others.is_empty() {
        recovered.notes.push(format!(
            "took back what belonged to no snapshot in {}: another program's change, or a killed run's",
            of_others.join(", ")
        ));
    }
    Ok(())
}

/// Commits a table's kept files and columns on top of its head; returns the version made.
async fn take_back(warehouse: &Warehouse, head: &Head, kept: &TableVersion) -> Result<u64, StoreError> {
    let kept_paths: HashSet<&str> = kept.files.iter().map(|file| file.path.as_str()).collect();
    let head_paths: HashSet<&str> = head.now.files.iter().map(|file| file.path.as_str()).collect();
    let gone = head.now.files.iter().filter(|file| !kept_paths.contains(file.path.as_str())).cloned().collect();
    let back = kept.files.iter().filter(|file| !head_paths.contains(file.path.as_str())).map(as_staged).collect();
    let schema = (kept.schema != head.now.schema).then(|| kept.schema.clone());
    let change = TableCommit { add: back, remove: gone, schema };
    head.now.commit(change, head.snapshot_id, warehouse.clock().now()).await
}

fn as_staged(file: &DataFile) -> StagedFile {
    let stats = serde_json::json!({ "numRecords": file.rows }).to_string();
    StagedFile { path: file.path.clone(), size: file.size, rows: file.rows, stats }
}

/// What an unfinished run has written down. Without it the run cannot be finished, only taken back.
fn read_pending(location: &Location, content: &[u8], notes: &mut Vec<String>) -> Option<Pending> {
    match serde_json::from_slice(content) {
        Ok(pending) => Some(pending),
        Err(cause) => {
            let path = location.shown(PENDING);
            notes.push(format!("`{path}`, which an unfinished run had left, was damaged and is gone now: {cause}"));
            None
        }
    }
}

//! Mending what a killed run left behind, before the next run begins.
//!
//! A run writes down its ledger row before its first commit. If every table got its commit, the row is all that lacks and is
//! appended (roll forward). Otherwise each table that is ahead of the ledger gets one more commit that gives it back the
//! files of the ledger's version (restore). Readers notice neither: they read versions that the ledger names.

use std::collections::HashSet;

use tagmill_schemas::tables::TABLES;

use crate::delta::{DataFile, TableCommit, TableVersion, open_table};
use crate::error::StoreError;
use crate::parquet_file::StagedFile;
use crate::publish::{Pending, append_row, pending_path, remove_if_there};
use crate::warehouse::Warehouse;

/// What was found and done.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// The greatest snapshot id in any table's transactions, which is never given again.
    pub(crate) greatest_id: i64,
    /// What was done, in words.
    pub(crate) notes: Vec<String>,
}

/// Looks at every table's head and mends those that are ahead of the ledger.
pub(crate) async fn recover(warehouse: &Warehouse) -> Result<Recovered, StoreError> {
    let location = warehouse.location();
    let ledger = warehouse.ledger().await?;
    let last = ledger.last();
    let mut recovered = Recovered::default();
    let mut heads = Vec::new();
    for table in TABLES {
        let head = open_table(location, table.name, None).await?;
        recovered.greatest_id = recovered.greatest_id.max(head.last_snapshot_id().await?.unwrap_or(0));
        heads.push(head);
    }
    let last_id = last.map_or(0, |row| row.snapshot_id.0);
    let pending = read_pending(warehouse)?;
    let mut ahead = Vec::new();
    for head in heads.iter().filter(|head| head.table != "snapshot") {
        if head.last_snapshot_id().await?.unwrap_or(0) > last_id && !is_restored(warehouse, head, last).await? {
            ahead.push(head);
        }
    }
    if let Some(pending) = pending.filter(|pending| pending.row.snapshot_id.0 > last_id) {
        let is_whole = heads
            .iter()
            .filter(|head| head.table != "snapshot")
            .all(|head| pending.row.tables.get(&head.table) == Some(&head.version));
        let id = pending.row.snapshot_id;
        if is_whole {
            append_row(warehouse, &ledger, pending.row).await?;
            recovered.notes.push(format!("finished snapshot {id}, whose run was killed before its last step"));
            ahead.clear();
        } else if !ahead.is_empty() {
            recovered.notes.push(format!("took back {} tables of snapshot {id}, whose run was killed", ahead.len()));
        }
    }
    for head in ahead {
        restore(warehouse, head, last).await?;
    }
    remove_if_there(&pending_path(location))?;
    Ok(recovered)
}

/// Whether a head that is ahead holds the ledger's files all the same, because it was restored before.
async fn is_restored(
    warehouse: &Warehouse,
    head: &TableVersion,
    last: Option<&crate::ledger::LedgerRow>,
) -> Result<bool, StoreError> {
    let kept = kept_files(warehouse, head, last).await?;
    Ok(kept == head.files)
}

/// The files of the version that the ledger names; none before the first snapshot.
async fn kept_files(
    warehouse: &Warehouse,
    head: &TableVersion,
    last: Option<&crate::ledger::LedgerRow>,
) -> Result<Vec<DataFile>, StoreError> {
    match last.and_then(|row| row.tables.get(&head.table)) {
        Some(version) => Ok(open_table(warehouse.location(), &head.table, Some(*version)).await?.files),
        None => Ok(Vec::new()),
    }
}

async fn restore(
    warehouse: &Warehouse,
    head: &TableVersion,
    last: Option<&crate::ledger::LedgerRow>,
) -> Result<(), StoreError> {
    let kept = kept_files(warehouse, head, last).await?;
    let kept_paths: HashSet<&str> = kept.iter().map(|file| file.path.as_str()).collect();
    let head_paths: HashSet<&str> = head.files.iter().map(|file| file.path.as_str()).collect();
    let gone = head.files.iter().filter(|file| !kept_paths.contains(file.path.as_str())).cloned().collect();
    let back = kept.iter().filter(|file| !head_paths.contains(file.path.as_str())).map(as_staged).collect();
    let id = head.last_snapshot_id().await?.unwrap_or(0);
    let change = TableCommit { add: back, remove: gone, schema: None };
    head.commit(change, id, warehouse.clock().now()).await?;
    Ok(())
}

fn as_staged(file: &DataFile) -> StagedFile {
    let stats = serde_json::json!({ "numRecords": file.rows }).to_string();
    StagedFile { path: file.path.clone(), size: file.size, rows: file.rows, stats }
}

fn read_pending(warehouse: &Warehouse) -> Result<Option<Pending>, StoreError> {
    let path = pending_path(warehouse.location());
    match std::fs::read(&path) {
        // A run killed while it wrote the file down had not committed anything yet.
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StoreError::File { step: "read", path: path.display().to_string(), source }),
    }
}

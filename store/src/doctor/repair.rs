//! What can be repaired from what is there: a killed run is finished or taken back, and what it had staged is removed.
//!
//! A file is removed only under the writer's lock, if it is named as runs name theirs, if it is older than the newest
//! commit, and if no commit, no kept snapshot and no refused run names it. Where a table's log is not whole, nobody can
//! tell, and nothing of that table is removed. In a folder, drafts of files go that were never finished: while the lock is
//! held, nobody is writing them.

use tagmill_schemas::tables::TABLES;

use super::counted;
use super::files::log_fault;
use super::findings::Findings;
use super::orphans::{self, Known, Orphan, Whose};
use super::tables::{self, Tables};
use crate::error::StoreError;
use crate::location::Location;
use crate::lock::WriterLock;
use crate::recover::recover;
use crate::retention::remove_drafts;
use crate::warehouse::Warehouse;

/// What a repair did and did not do, in words.
#[derive(Debug, Default)]
pub struct Repaired {
    /// What was done.
    pub done: Vec<String>,
    /// What was left alone, and why.
    pub left: Vec<String>,
}

/// Repairs what can be derived. Safe to call again.
///
/// # Errors
/// `StoreError::Locked` where a run is writing; what recovery failed with, where the warehouse is too damaged for a run
/// to begin; `StoreError::LeaseLost` where the lock is lost on the way, and the next repair does what is left.
pub async fn repair(warehouse: &Warehouse) -> Result<Repaired, StoreError> {
    let lock = WriterLock::take(warehouse.location()).await?;
    let repaired = repair_locked(warehouse, &lock).await;
    lock.release().await;
    repaired
}

async fn repair_locked(warehouse: &Warehouse, lock: &WriterLock) -> Result<Repaired, StoreError> {
    let location = warehouse.location();
    let recovered = recover(warehouse).await?;
    let mut repaired = Repaired { done: recovered.notes, left: Vec::new() };
    let rows = warehouse.ledger().await?;
    let tables = tables::check(location, &rows, &mut Findings::default()).await;
    let known = Known::read(location, &tables).await?;
    for table in TABLES {
        let mut orphans = orphans::find(location, table.name, &known).await?;
        orphans.retain(|orphan| orphan.whose == Whose::Nobodys);
        if !orphans.is_empty() {
            lock.confirm().await?;
            remove_orphans(location, table.name, &orphans, &tables, &mut repaired).await?;
        }
    }
    let drafts = remove_drafts(location).await?;
    if drafts > 0 {
        repaired.done.push(format!("removed {} that nobody had finished", counted(drafts, "draft")));
    }
    Ok(repaired)
}

/// Removes what is nobody's in a table's folder.
async fn remove_orphans(
    location: &Location,
    table: &str,
    orphans: &[Orphan],
    tables: &Tables,
    repaired: &mut Repaired,
) -> Result<(), StoreError> {
    let unknown = match log_fault(location, table).await? {
        None if tables.knows_all_files_of(table) => None,
        None => Some("a version of it cannot be opened".to_owned()),
        fault => fault,
    };
    let files = counted(orphans.len(), "file");
    if let Some(reason) = unknown {
        repaired.left.push(format!("{files} of `{table}` that no commit seems to name stay: {reason}"));
        return Ok(());
    }
    let bytes: u64 = orphans.iter().map(|orphan| orphan.size).sum();
    let paths: Vec<String> = orphans.iter().map(|orphan| orphan.path.clone()).collect();
    location.objects().remove_all(&paths).await?;
    repaired.done.push(format!("removed {files} of `{table}` that no commit names, {bytes} bytes"));
    Ok(())
}

//! What can be repaired from what is there: a killed run is finished or taken back, and what it had staged is removed.
//!
//! A file is removed only under the writer's lock, if it is named as runs name theirs, if it is older than the newest
//! commit, and if no commit, no kept snapshot and no refused run names it. Where a table's log is not whole, nobody can
//! tell, and nothing of that table is removed.

use tagmill_schemas::tables::TABLES;

use super::files::log_fault;
use super::findings::Findings;
use super::orphans::{self, Whose};
use super::{counted, tables};
use crate::error::StoreError;
use crate::location::Location;
use crate::publish::remove_if_there;
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
/// to begin.
pub async fn repair(warehouse: &Warehouse) -> Result<Repaired, StoreError> {
    // Beginning a run takes the writer's lock and mends what is ahead of the ledger; it is held to the end.
    let run = warehouse.begin().await?;
    let mut repaired = Repaired { done: run.notes().to_vec(), left: Vec::new() };
    let location = warehouse.location();
    let rows = warehouse.ledger().await?;
    let tables = tables::check(location, &rows, &mut Findings::default()).await;
    for table in TABLES {
        remove_orphans(location, table.name, &tables, &mut repaired)?;
    }
    drop(run);
    Ok(repaired)
}

/// Removes what is nobody's in a table's folder.
fn remove_orphans(
    location: &Location,
    table: &str,
    tables: &tables::Tables,
    repaired: &mut Repaired,
) -> Result<(), StoreError> {
    let mut orphans = orphans::find(location, table, tables)?;
    orphans.retain(|orphan| orphan.whose == Whose::Nobodys);
    if orphans.is_empty() {
        return Ok(());
    }
    let unknown = match log_fault(&location.table_folder(table))? {
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
    for orphan in &orphans {
        remove_if_there(&orphan.path)?;
    }
    repaired.done.push(format!("removed {files} of `{table}` that no commit names, {bytes} bytes"));
    Ok(())
}

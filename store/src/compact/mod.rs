//! Compaction: the many small files that runs leave become few, with the same rows.
//!
//! A compaction is a run like any other, with the same lock, the same recovery and the same commit point, so that a kill
//! leaves the snapshot before. It reads no source and brings nothing: its snapshot is taken when its parent was, knows of
//! the sources what its parent knew, and holds the same rows. In tables of customers these lie sorted by customer
//! ([`merge`]); which files are worth it is decided in [`candidates`]. Older snapshots keep their files until they are
//! pruned ([`crate::retention`]).

mod candidates;
mod merge;
#[cfg(test)]
mod tests;

use futures::future::try_join_all;
use tagmill_schemas::tables::{Table, contract};

use crate::delta::{TableVersion, open_table};
use crate::error::StoreError;
use crate::ledger::LedgerRow;
use crate::location::Location;
use crate::publish::{Outcome, Run, RunSummary};
use crate::warehouse::Warehouse;
use candidates::{Group, Limits, choose};

/// Who a compaction says it is in the ledger.
const SOURCE: &str = "compaction";

/// What a compaction did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compaction {
    /// Every table that has files, by name.
    pub tables: Vec<CompactedTable>,
    /// The snapshot that holds the merged files; `None` for a dry run, and where nothing was worth merging.
    pub published: Option<Box<LedgerRow>>,
    /// What had to be mended before, in words.
    pub notes: Vec<String>,
}

/// A table, and how many files it comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactedTable {
    /// Its name.
    pub table: String,
    /// Its files in the snapshot before.
    pub files: u64,
    /// Its files afterwards.
    pub files_after: u64,
    /// The bytes of its files before.
    pub bytes: u64,
    /// The bytes of its files afterwards; `None` where a dry run cannot know.
    pub bytes_after: Option<u64>,
    /// How many files are merged.
    pub merged_files: u64,
    /// Their bytes: what is read and written anew.
    pub merged_bytes: u64,
}

impl Compaction {
    /// How many files are merged in all tables.
    pub fn merged_files(&self) -> u64 {
        self.tables.iter().map(|table| table.merged_files).sum()
    }
}

/// A table of the snapshot that is compacted, and the files of it that are worth merging.
struct Plan {
    table: &'static Table,
    version: TableVersion,
    groups: Vec<Group>,
}

impl Warehouse {
    /// Merges the small files of the newest snapshot where many lie together, and publishes a snapshot with the same rows.
    /// Where none are worth it, nothing is published; doing it twice merges nothing more.
    ///
    /// What does not fit into 1 GiB of memory is sorted in the machine's temporary folder.
    ///
    /// # Errors
    /// `StoreError::Locked` where a run is writing; `StoreError::Merge` and `StoreError::Damaged` where a file cannot be
    /// read as it was written; as [`Run::publish`] otherwise. Whatever the error, nothing is changed.
    pub async fn compact(&self) -> Result<Compaction, StoreError> {
        let mut run = self.begin().await?;
        let notes = run.notes().to_vec();
        let base = run.base().map(|base| base.row().clone());
        let plans = plans(self.location(), base.as_ref()).await?;
        let mut tables: Vec<CompactedTable> = plans.iter().map(Plan::told).collect();
        let Some(base) = base.filter(|_| plans.iter().any(|plan| !plan.groups.is_empty())) else {
            return Ok(Compaction { tables, published: None, notes });
        };
        for (plan, told) in plans.iter().zip(&mut tables) {
            let written = merge_table(&mut run, plan).await?;
            told.bytes_after = Some(told.bytes - told.merged_bytes + written);
        }
        let published = publish(run, &base).await?;
        Ok(Compaction { tables, published: Some(published), notes })
    }

    /// What [`Self::compact`] would do. Takes no lock, mends nothing and changes nothing.
    ///
    /// # Errors
    /// As [`Warehouse::ledger`], and `StoreError::Delta` where a table cannot be opened.
    pub async fn compact_dry(&self) -> Result<Compaction, StoreError> {
        let base = self.ledger().await?.pop();
        let plans = plans(self.location(), base.as_ref()).await?;
        Ok(Compaction { tables: plans.iter().map(Plan::told).collect(), published: None, notes: Vec::new() })
    }
}

impl Plan {
    /// How many files the table comes to.
    fn told(&self) -> CompactedTable {
        let files = self.version.files.len() as u64;
        let bytes = self.version.files.iter().map(|file| file.size).sum();
        let merged_files = self.groups.iter().map(|group| group.files.len() as u64).sum();
        CompactedTable {
            table: self.version.table.clone(),
            files,
            files_after: files - merged_files + self.groups.len() as u64,
            bytes,
            bytes_after: self.groups.is_empty().then_some(bytes),
            merged_files,
            merged_bytes: self.groups.iter().map(Group::bytes).sum(),
        }
    }
}

/// What is worth merging in the tables of a snapshot; nothing before the first. Tables without files are left out.
async fn plans(location: &Location, base: Option<&LedgerRow>) -> Result<Vec<Plan>, StoreError> {
    let pinned = base.into_iter().flat_map(|row| &row.tables);
    let known = pinned.filter_map(|(name, version)| Some((contract(name)?, *version)));
    let opened = known.map(|(table, version)| async move {
        let version = open_table(location, table.name, Some(version)).await?;
        let groups = choose(&version.files, table.is_bucketed, Limits::default());
        Ok::<_, StoreError>(Plan { table, version, groups })
    });
    let mut plans = try_join_all(opened).await?;
    plans.retain(|plan| !plan.version.files.is_empty());
    Ok(plans)
}

/// Stages what a table's files are merged into, and lets it take their place; returns the bytes that were written.
async fn merge_table(run: &mut Run, plan: &Plan) -> Result<u64, StoreError> {
    let name = plan.table.name;
    let mut written = 0;
    for group in &plan.groups {
        let staged = merge::merge(run.warehouse().location(), &run.stager(name)?, &plan.version, group).await?;
        written += staged.size();
        run.replace_files(name, group.files.iter().map(|file| file.path.clone()))?;
        run.add(name, staged)?;
    }
    Ok(written)
}

/// Publishes the run as a snapshot of the same instant as its parent: it brings no new knowledge of the outside world.
async fn publish(run: Run, base: &LedgerRow) -> Result<Box<LedgerRow>, StoreError> {
    let summary = RunSummary {
        source: SOURCE.to_owned(),
        read_from: base.taken_at,
        read_until: base.taken_at,
        counts: Vec::new(),
        accept_shrink: false,
        state: None,
    };
    match run.publish(summary).await? {
        Outcome::Published(row) => Ok(row),
        Outcome::Refused(_) => {
            Err(StoreError::Damaged { what: SOURCE.to_owned(), reason: "a run without counts was refused".to_owned() })
        }
    }
}

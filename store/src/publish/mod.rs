//! A run: stage files, let the guard look, commit each table, and append the ledger row last.

mod files;
mod guard;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use tagmill_schemas::ids::SnapshotId;
use tagmill_schemas::tables::{TABLES, contract};

pub use files::{Staged, Stager};
pub(crate) use files::{pending_path, remove_if_there};
pub use guard::{GuardCount, GuardVerdict};

use files::{refused_path, write_json};

use crate::delta::{DataFile, TableCommit, TableVersion, open_table};
use crate::error::StoreError;
use crate::ledger::{self, LedgerRow, SourceState};
use crate::lock::WriterLock;
use crate::parquet_file::StagedFile;
use crate::recover;
use crate::snapshot::Snapshot;
use crate::warehouse::Warehouse;

/// What a run says of itself when it publishes.
#[derive(Debug, Clone)]
pub struct RunSummary {
    /// The source of the run, or `rule:ID`.
    pub source: String,
    /// When it began to read.
    pub read_from: DateTime<Utc>,
    /// When it ended reading.
    pub read_until: DateTime<Utc>,
    /// The counts the guard looks at.
    pub counts: Vec<GuardCount>,
    /// Whether a person has said that a shrink is meant.
    pub accept_shrink: bool,
    /// What the warehouse shall remember of this source; `None` where nothing changes.
    pub state: Option<SourceState>,
}

/// How a run ended.
#[derive(Debug)]
#[must_use]
pub enum Outcome {
    /// It is the newest snapshot.
    Published(Box<LedgerRow>),
    /// The guard refused it; its files are kept under `staged/`.
    Refused(Vec<GuardVerdict>),
}

/// A run that holds the writer's lock. Dropping it unpublished leaves nothing visible.
#[derive(Debug)]
pub struct Run {
    warehouse: Warehouse,
    _lock: WriterLock,
    ledger: Vec<LedgerRow>,
    base: Option<Snapshot>,
    snapshot_id: SnapshotId,
    notes: Vec<String>,
    changes: BTreeMap<String, Change>,
}

#[derive(Debug, Clone, Default)]
struct Change {
    add: Vec<StagedFile>,
    replaced: Replaced,
    schema: Option<SchemaRef>,
}

/// Which files of the base a change takes the place of.
#[derive(Debug, Clone, Default)]
enum Replaced {
    #[default]
    Nothing,
    Everything,
    Buckets(BTreeSet<u32>),
}

/// What a run that is publishing has written down before its first commit: enough to finish it or to undo it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Pending {
    /// The ledger row that would publish it.
    pub(crate) row: LedgerRow,
}

impl Run {
    pub(crate) async fn begin(warehouse: &Warehouse) -> Result<Self, StoreError> {
        let lock = WriterLock::take(warehouse.location())?;
        let recovered = recover::recover(warehouse).await?;
        let ledger = warehouse.ledger().await?;
        let base = match ledger.last() {
            Some(row) => Some(Snapshot::open(warehouse.location(), row.clone()).await?),
            None => None,
        };
        let newest = ledger.last().map_or(0, |row| row.snapshot_id.0).max(recovered.greatest_id);
        Ok(Self {
            warehouse: warehouse.clone(),
            _lock: lock,
            ledger,
            base,
            snapshot_id: SnapshotId(newest + 1),
            notes: recovered.notes,
            changes: BTreeMap::new(),
        })
    }

    /// The warehouse.
    pub fn warehouse(&self) -> &Warehouse {
        &self.warehouse
    }

    /// The newest snapshot, on which this run builds; `None` for the first.
    pub fn base(&self) -> Option<&Snapshot> {
        self.base.as_ref()
    }

    /// The id that this run's snapshot will have.
    pub fn snapshot_id(&self) -> SnapshotId {
        self.snapshot_id
    }

    /// What had to be mended before this run could begin, in words.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The columns of a table as this run writes them.
    ///
    /// # Errors
    /// `StoreError::Contract` for a name that is no table.
    pub fn schema(&self, table: &str) -> Result<SchemaRef, StoreError> {
        if let Some(schema) = self.changes.get(table).and_then(|change| change.schema.clone()) {
            return Ok(schema);
        }
        if let Some(schema) = self.base.as_ref().and_then(|base| base.schema(table)) {
            return Ok(schema);
        }
        let table = contract(table)
            .ok_or_else(|| StoreError::Contract { table: table.to_owned(), reason: "there is no such table".into() })?;
        Ok(crate::arrow_types::arrow_schema(table, &[]))
    }

    /// Adds declared columns to a table that may have some; columns it has already are left alone.
    ///
    /// # Errors
    /// `StoreError::Contract` where a column exists with another type.
    pub fn declare(&mut self, table: &str, schema: &Schema) -> Result<(), StoreError> {
        let current = self.schema(table)?;
        let mut fields: Vec<_> = current.fields().iter().cloned().collect();
        for field in schema.fields() {
            match current.field_with_name(field.name()) {
                Ok(there) if there.data_type() == field.data_type() => {}
                Ok(there) => {
                    return Err(StoreError::Contract {
                        table: table.to_owned(),
                        reason: format!(
                            "column `{}` is {}, not {}",
                            field.name(),
                            there.data_type(),
                            field.data_type()
                        ),
                    });
                }
                Err(_) => fields.push(field.clone()),
            }
        }
        if fields.len() > current.fields().len() {
            self.changes.entry(table.to_owned()).or_default().schema = Some(Arc::new(Schema::new(fields)));
        }
        Ok(())
    }

    /// A handle that stages files of a table, usable from any thread.
    ///
    /// # Errors
    /// `StoreError::Contract` for a name that is no table.
    pub fn stager(&self, table: &str) -> Result<Stager, StoreError> {
        let folder = self.warehouse.location().table_folder(table);
        Ok(Stager { folder, schema: self.schema(table)?, snapshot_id: self.snapshot_id })
    }

    /// Takes a staged file into the run.
    pub fn add(&mut self, table: &str, staged: Staged) {
        self.changes.entry(table.to_owned()).or_default().add.push(staged.0);
    }

    /// Says that the run's files take the place of all rows of a table.
    pub fn replace_all(&mut self, table: &str) {
        self.changes.entry(table.to_owned()).or_default().replaced = Replaced::Everything;
    }

    /// Says that the run's files take the place of one bucket of a table.
    pub fn replace_bucket(&mut self, table: &str, bucket: u32) {
        let change = self.changes.entry(table.to_owned()).or_default();
        match &mut change.replaced {
            Replaced::Buckets(buckets) => {
                buckets.insert(bucket);
            }
            Replaced::Nothing => change.replaced = Replaced::Buckets(BTreeSet::from([bucket])),
            Replaced::Everything => {}
        }
    }

    /// Publishes the run, or refuses it.
    ///
    /// Nothing is visible before the ledger row is committed, and everything is after it.
    ///
    /// # Errors
    /// `StoreError::Overtaken` where the head moved; nothing of this run is visible then.
    pub async fn publish(self, summary: RunSummary) -> Result<Outcome, StoreError> {
        let verdicts: Vec<_> = summary.counts.iter().cloned().map(GuardVerdict::of).collect();
        let location = self.warehouse.location().clone();
        if verdicts.iter().any(|verdict| verdict.is_refused) && !summary.accept_shrink {
            self.keep_refused(&summary.source, &verdicts)?;
            return Ok(Outcome::Refused(verdicts));
        }
        let heads = self.open_heads().await?;
        let row = self.ledger_row(&summary, &verdicts, &heads);
        write_json(&pending_path(&location), &Pending { row: row.clone() })?;
        self.commit_tables(heads).await?;
        append_row(&self.warehouse, &self.ledger, row.clone()).await?;
        remove_if_there(&pending_path(&location))?;
        remove_if_there(&refused_path(&location, &summary.source))?;
        Ok(Outcome::Published(Box::new(row)))
    }

    /// Commits what the run changes, table by table. None of it is visible before the ledger says so.
    async fn commit_tables(&self, heads: Vec<(TableVersion, Option<TableCommit>)>) -> Result<(), StoreError> {
        let now = self.warehouse.clock().now();
        for (head, change) in heads {
            if let Some(change) = change {
                head.commit(change, self.snapshot_id.0, now).await?;
            }
        }
        Ok(())
    }

    /// Opens every table at the version this run builds on, with what the run changes there.
    async fn open_heads(&self) -> Result<Vec<(TableVersion, Option<TableCommit>)>, StoreError> {
        let mut heads = Vec::new();
        for table in TABLES.iter().filter(|table| table.name != "snapshot") {
            // The head may be newer than the base where a killed run was taken back; its files are the base's all the same.
            let head = open_table(self.warehouse.location(), table.name, None).await?;
            let commit = self.changes.get(table.name).map(|change| TableCommit {
                add: change.add.clone(),
                remove: head.files.iter().filter(|file| change.replaced.covers(file)).cloned().collect(),
                schema: change.schema.clone(),
            });
            let is_empty =
                commit.as_ref().is_none_or(|c| c.add.is_empty() && c.remove.is_empty() && c.schema.is_none());
            heads.push((head, commit.filter(|_| !is_empty)));
        }
        Ok(heads)
    }

    fn ledger_row(
        &self,
        summary: &RunSummary,
        verdicts: &[GuardVerdict],
        heads: &[(TableVersion, Option<TableCommit>)],
    ) -> LedgerRow {
        let parent = self.ledger.last();
        let (mut tables, mut row_counts) = (BTreeMap::new(), BTreeMap::new());
        for (head, change) in heads {
            let (version, rows) = match change {
                None => (head.version, head.rows()),
                Some(change) => {
                    let added: u64 = change.add.iter().map(|file| file.rows).sum();
                    let removed: u64 = change.remove.iter().map(|file| file.rows).sum();
                    (head.version + 1, head.rows() + added - removed)
                }
            };
            tables.insert(head.table.clone(), version);
            row_counts.insert(head.table.clone(), rows);
        }
        let mut sources = parent.map(|row| row.sources.clone()).unwrap_or_default();
        let mut latest_events = parent.map(|row| row.latest_events.clone()).unwrap_or_default();
        if let Some(state) = &summary.state {
            if let Some(latest) = state.event_types.values().max() {
                latest_events.insert(summary.source.clone(), *latest);
            }
            sources.insert(summary.source.clone(), state.clone());
        }
        let mut guard: Vec<String> = verdicts.iter().map(ToString::to_string).collect();
        if summary.accept_shrink && verdicts.iter().any(|verdict| verdict.is_refused) {
            guard.push("published all the same: the shrink was accepted".to_owned());
        }
        LedgerRow {
            snapshot_id: self.snapshot_id,
            parent_snapshot_id: parent.map(|row| row.snapshot_id),
            published_at: self.warehouse.clock().now(),
            read_from: summary.read_from,
            read_until: summary.read_until,
            taken_at: parent.map_or(summary.read_until, |row| row.taken_at.max(summary.read_until)),
            source: summary.source.clone(),
            tables,
            row_counts,
            guard,
            latest_events,
            sources,
        }
    }

    /// Keeps what was refused where a person can look at it. The files stay staged and invisible.
    fn keep_refused(&self, source: &str, verdicts: &[GuardVerdict]) -> Result<(), StoreError> {
        let files: BTreeMap<&String, Vec<&StagedFile>> =
            self.changes.iter().map(|(table, change)| (table, change.add.iter().collect())).collect();
        let kept = serde_json::json!({
            "source": source,
            "refused_at": self.warehouse.clock().now(),
            "verdicts": verdicts.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "files": files,
        });
        write_json(&refused_path(self.warehouse.location(), source), &kept)
    }
}

impl Replaced {
    fn covers(&self, file: &DataFile) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Buckets(buckets) => {
                let bucket = file.path.split_once('/').and_then(|(folder, _)| folder.strip_prefix('b')?.parse().ok());
                bucket.is_some_and(|bucket: u32| buckets.contains(&bucket))
            }
        }
    }
}

/// Commits the ledger with one row more: the commit point of a snapshot.
pub(crate) async fn append_row(warehouse: &Warehouse, rows: &[LedgerRow], row: LedgerRow) -> Result<(), StoreError> {
    let location = warehouse.location();
    let head = open_table(location, "snapshot", None).await?;
    let schema = head.schema.clone();
    let id = row.snapshot_id;
    let all: Vec<LedgerRow> = rows.iter().cloned().chain([row]).collect();
    let batch = ledger::to_batch(&all, &schema)?;
    let stager = Stager { folder: location.table_folder("snapshot"), schema, snapshot_id: id };
    let staged = stager.stage(None, [batch])?;
    let change = TableCommit { add: vec![staged.0], remove: head.files.clone(), schema: None };
    head.commit(change, id.0, warehouse.clock().now()).await?;
    Ok(())
}

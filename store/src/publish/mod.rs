//! A run: stage files, let the guard look, commit each table, and append the ledger row last.

mod change;
mod files;
mod guard;
mod refused;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use tagmill_schemas::ids::SnapshotId;
use tagmill_schemas::tables::TABLES;

pub(crate) use files::{LEDGER, PENDING, STAGED, bucket_of, staged_for};
pub use files::{Staged, Stager};
pub use guard::{GuardCount, GuardVerdict};
pub(crate) use refused::{RefusedRun, refused_files};

use change::{Change, Replaced};
use files::{data_table, known_table, misuse, write_json};

use crate::arrow_types::arrow_schema;
use crate::delta::{TableCommit, TableVersion, open_table};
use crate::error::StoreError;
use crate::ledger::{self, Ledger, LedgerRow, SourceState};
use crate::lock::WriterLock;
use crate::recover;
use crate::snapshot::Snapshot;
use crate::warehouse::Warehouse;

/// What a run says of itself when it publishes.
#[derive(Debug, Clone)]
pub struct RunSummary {
    /// The source of the run, `rule:ID`, `import:NAME` or `compaction`.
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
    /// The guard refused it, and nothing of it is visible. Its verdicts and the list of its files are kept in
    /// `staged/refused-SOURCE-HASH.json`, and the files beside those of their tables, until the same source is published or
    /// refused again.
    Refused(Vec<GuardVerdict>),
}

/// A run that holds the writer's lock, or a dry one, which holds none and changes nothing. Dropping it unpublished leaves
/// nothing visible.
#[derive(Debug)]
pub struct Run {
    warehouse: Warehouse,
    /// `None` for a dry run.
    lock: Option<WriterLock>,
    ledger: Ledger,
    base: Option<Snapshot>,
    /// Table to the version of its head that holds what the base holds.
    heads: BTreeMap<String, u64>,
    snapshot_id: SnapshotId,
    notes: Vec<String>,
    changes: BTreeMap<String, Change>,
}

/// What a run that is publishing has written down before its first commit: enough to finish it or to undo it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Pending {
    /// The ledger row that would publish it.
    pub(crate) row: LedgerRow,
}

impl Run {
    pub(crate) async fn begin(warehouse: &Warehouse) -> Result<Self, StoreError> {
        let lock = WriterLock::take(warehouse.location()).await?;
        let began = async {
            let recovered = recover::recover(warehouse).await?;
            Ok((recovered, Self::begin_dry(warehouse).await?))
        };
        match began.await {
            Ok((recovered, run)) => Ok(Self {
                lock: Some(lock),
                heads: recovered.heads,
                snapshot_id: SnapshotId(run.snapshot_id.0.max(recovered.greatest_id + 1)),
                notes: recovered.notes,
                ..run
            }),
            Err(cause) => {
                lock.release().await;
                Err(cause)
            }
        }
    }

    pub(crate) async fn begin_dry(warehouse: &Warehouse) -> Result<Self, StoreError> {
        let ledger = warehouse.read_ledger().await?;
        let base = match ledger.rows.last() {
            Some(row) => Some(Snapshot::open(warehouse.location(), row.clone()).await?),
            None => None,
        };
        let newest = ledger.rows.last().map_or(0, |row| row.snapshot_id.0);
        Ok(Self {
            warehouse: warehouse.clone(),
            lock: None,
            ledger,
            base,
            heads: BTreeMap::new(),
            snapshot_id: SnapshotId(newest + 1),
            notes: Vec::new(),
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
        Ok(arrow_schema(known_table(table)?, &[]))
    }

    /// Adds declared columns to a table that may have some. Of a column that is there already, what is newly said (that it
    /// is private) is added to what was said before.
    ///
    /// # Errors
    /// `StoreError::Contract` where a column exists with another type, and for a name that is no table a run may fill.
    pub fn declare(&mut self, table: &str, schema: &Schema) -> Result<(), StoreError> {
        data_table(table)?;
        let current = self.schema(table)?;
        let mut fields: Vec<_> = current.fields().iter().cloned().collect();
        for field in schema.fields() {
            let Some(there) = fields.iter_mut().find(|there| there.name() == field.name()) else {
                fields.push(field.clone());
                continue;
            };
            if there.data_type() != field.data_type() {
                let (name, kept, given) = (field.name(), there.data_type(), field.data_type());
                return Err(misuse(table, format!("column `{name}` is {kept}, not {given}")));
            }
            let mut said = there.metadata().clone();
            said.extend(field.metadata().clone());
            *there = Arc::new(Field::clone(there).with_metadata(said));
        }
        let declared = Arc::new(Schema::new(fields));
        if declared.fields() != current.fields() {
            self.change(table)?.schema = Some(declared);
        }
        Ok(())
    }

    /// A handle that stages files of a table, usable from any thread.
    ///
    /// # Errors
    /// `StoreError::Contract` for a name that is no table a run may fill, `StoreError::DryRun` for a dry run.
    pub fn stager(&self, table: &str) -> Result<Stager, StoreError> {
        self.check_lock("stage files")?;
        let table = data_table(table)?;
        Ok(Stager::new(self.warehouse.location(), table, self.schema(table.name)?, self.snapshot_id))
    }

    /// Takes a staged file into the run.
    ///
    /// # Errors
    /// `StoreError::Contract` where it was staged for another table.
    pub fn add(&mut self, table: &str, staged: Staged) -> Result<(), StoreError> {
        if staged.table.name != table {
            return Err(misuse(table, format!("the file was staged for `{}`", staged.table.name)));
        }
        self.change(table)?.add.push(staged.file);
        Ok(())
    }

    /// Says that the run's files take the place of all rows of a table.
    ///
    /// # Errors
    /// `StoreError::Contract` for a name that is no table a run may fill.
    pub fn replace_all(&mut self, table: &str) -> Result<(), StoreError> {
        self.change(table)?.replaced = Replaced::Everything;
        Ok(())
    }

    /// Says that the run's files take the place of one bucket of a table.
    ///
    /// # Errors
    /// `StoreError::Contract` for a name that is no table split by bucket.
    pub fn replace_bucket(&mut self, table: &str, bucket: u32) -> Result<(), StoreError> {
        if !data_table(table)?.is_bucketed {
            return Err(misuse(table, "it is not split by bucket".to_owned()));
        }
        self.change(table)?.replace_bucket(bucket);
        Ok(())
    }

    fn change(&mut self, table: &str) -> Result<&mut Change, StoreError> {
        Ok(self.changes.entry(data_table(table)?.name.to_owned()).or_default())
    }

    /// A dry run changes nothing, however it is called; nor does one that may no longer be the only writer.
    fn check_lock(&self, step: &'static str) -> Result<(), StoreError> {
        self.lock.as_ref().ok_or(StoreError::DryRun { step })?.check()
    }

    /// Publishes the run, or refuses it.
    ///
    /// Nothing is visible before the ledger row is committed, and everything is after it.
    ///
    /// # Errors
    /// `StoreError::Overtaken` where a head moved, `StoreError::LeaseLost` where another may be writing by now,
    /// `StoreError::DryRun` for a dry run. Whatever the error, nothing of this run is visible, unless the store could not
    /// be asked whether its last commit is made.
    pub async fn publish(mut self, summary: RunSummary) -> Result<Outcome, StoreError> {
        let outcome = self.publish_locked(summary).await;
        if let Some(lock) = self.lock.take() {
            lock.release().await;
        }
        outcome
    }

    async fn publish_locked(&self, summary: RunSummary) -> Result<Outcome, StoreError> {
        self.check_lock("publish")?;
        let verdicts: Vec<_> = summary.counts.iter().cloned().map(GuardVerdict::of).collect();
        if verdicts.iter().any(|verdict| verdict.is_refused) && !summary.accept_shrink {
            self.keep_refused(&summary.source, &verdicts).await?;
            return Ok(Outcome::Refused(verdicts));
        }
        let heads = self.open_heads().await?;
        let row = self.ledger_row(&summary, &verdicts, &heads);
        let objects = self.warehouse.location().objects();
        write_json(objects, PENDING, &Pending { row: row.clone() }).await?;
        self.commit_tables(heads).await?;
        self.check_lock("publish")?;
        append_row(&self.warehouse, &self.ledger, row.clone()).await?;
        self.clear_away(&summary.source).await;
        Ok(Outcome::Published(Box::new(row)))
    }

    /// Removes what a published run has no more use for. It is published all the same where that fails, and whoever writes
    /// next clears away what is left.
    async fn clear_away(&self, source: &str) {
        let location = self.warehouse.location();
        let removed = [location.objects().remove(PENDING).await, refused::forget(location, source).await];
        for cause in removed.into_iter().filter_map(Result::err) {
            tracing::warn!(snapshot = self.snapshot_id.0, cause = ?cause, "published, and an object under `staged` is left");
        }
    }

    /// Commits what the run changes, table by table. None of it is visible before the ledger says so.
    async fn commit_tables(&self, heads: Vec<(TableVersion, Option<TableCommit>)>) -> Result<(), StoreError> {
        let now = self.warehouse.clock().now();
        for (head, change) in heads {
            if let Some(change) = change {
                self.check_lock("publish")?;
                head.commit(change, self.snapshot_id.0, now).await?;
            }
        }
        Ok(())
    }

    /// Opens every table at the version this run builds on, with what the run changes there.
    async fn open_heads(&self) -> Result<Vec<(TableVersion, Option<TableCommit>)>, StoreError> {
        let mut heads = Vec::new();
        for table in TABLES.iter().filter(|table| table.name != LEDGER) {
            // The head may be newer than the base where something was taken back; its files are the base's all the same. What
            // has been committed by others since the run began is not built upon: it makes the commit fail.
            let version = self.heads.get(table.name).copied();
            let head = open_table(self.warehouse.location(), table.name, version).await?;
            let commit = self.changes.get(table.name).and_then(|change| change.commit_on(&head));
            heads.push((head, commit));
        }
        Ok(heads)
    }

    fn ledger_row(
        &self,
        summary: &RunSummary,
        verdicts: &[GuardVerdict],
        heads: &[(TableVersion, Option<TableCommit>)],
    ) -> LedgerRow {
        let parent = self.ledger.rows.last();
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
            // As the table keeps it.
            published_at: self.warehouse.clock().now().trunc_subsecs(6),
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
    async fn keep_refused(&self, source: &str, verdicts: &[GuardVerdict]) -> Result<(), StoreError> {
        let refused = RefusedRun {
            source: source.to_owned(),
            refused_at: self.warehouse.clock().now(),
            verdicts: verdicts.iter().map(ToString::to_string).collect(),
            files: self.changes.iter().map(|(table, change)| (table.clone(), change.add.clone())).collect(),
        };
        refused::keep(self.warehouse.location(), &refused).await
    }
}

/// Commits the ledger with one row more: the commit point of a snapshot.
pub(crate) async fn append_row(warehouse: &Warehouse, ledger: &Ledger, row: LedgerRow) -> Result<(), StoreError> {
    let id = row.snapshot_id;
    let all: Vec<LedgerRow> = ledger.rows.iter().cloned().chain([row]).collect();
    replace_ledger(warehouse, ledger.version, &all, id).await
}

/// Commits the ledger with these rows in the place of all that it has, on top of the version that they were made from: who
/// has been overtaken by another writer takes nothing of that one's away. `id` is the newest snapshot's.
///
/// # Errors
/// `StoreError::Overtaken` where the ledger is no longer at that version.
pub(crate) async fn replace_ledger(
    warehouse: &Warehouse,
    based_on: u64,
    rows: &[LedgerRow],
    id: SnapshotId,
) -> Result<(), StoreError> {
    let location = warehouse.location();
    let head = open_table(location, LEDGER, Some(based_on)).await?;
    let schema = head.schema.clone();
    let batch = ledger::to_batch(rows, &schema)?;
    let staged = Stager::new(location, known_table(LEDGER)?, schema, id).stage(None, [batch]).await?;
    let change = TableCommit { add: vec![staged.file], remove: head.files.clone(), schema: None };
    head.commit(change, id.0, warehouse.clock().now()).await.map(drop)
}

//! The Delta log, and nothing else of Delta: open a table at a version, list its files, commit files that we wrote.
//!
//! The profile is strict, so that every reader understands the tables: reader version 1, no deletion vectors, no column
//! mapping, no partition columns. Log cleanup is off, because snapshots are pruned by the ledger and not by age. A commit
//! goes to the version it read plus one and is never retried by the library: whoever was overtaken must start again.

#[cfg(test)]
pub(crate) mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use deltalake_core::kernel::engine::arrow_conversion::{TryIntoArrow, TryIntoKernel};
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake_core::kernel::{Action, Add, MetadataExt, Remove, StructField, StructType, Transaction};
use deltalake_core::logstore::{LogStoreRef, StorageConfig, default_logstore};
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::table::state::DeltaTableState;
use deltalake_core::{DeltaTable, DeltaTableError};
use futures::{StreamExt, TryStreamExt};
use object_store::prefix::PrefixStore;

use crate::error::StoreError;
use crate::location::Location;
use crate::objects::Objects;
use crate::parquet_file::StagedFile;

/// The name under which every commit of ours records its snapshot id.
const APP_ID: &str = "tagmill";
/// The reader version of the profile. Deletion vectors and column mapping ask for a greater one.
const READER_VERSION: i32 = 1;
/// The folder of a table's commits.
pub(crate) const LOG: &str = "_delta_log";
/// How many commits are read at once.
const COMMITS_AT_ONCE: usize = 8;

/// One data file of a table version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataFile {
    /// The path below the table's folder.
    pub(crate) path: String,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Its rows.
    pub(crate) rows: u64,
}

/// A table pinned to one version.
#[derive(Debug, Clone)]
pub(crate) struct TableVersion {
    /// The table's name.
    pub(crate) table: String,
    /// The version.
    pub(crate) version: u64,
    /// The columns.
    pub(crate) schema: SchemaRef,
    /// The files, ordered by path.
    pub(crate) files: Vec<DataFile>,
    delta: DeltaTable,
}

/// What one commit changes.
#[derive(Debug, Clone, Default)]
pub(crate) struct TableCommit {
    /// Files to add, written before.
    pub(crate) add: Vec<StagedFile>,
    /// Files to take away.
    pub(crate) remove: Vec<DataFile>,
    /// The new columns, where some were declared.
    pub(crate) schema: Option<SchemaRef>,
}

/// Makes an empty table with these columns, where there is none yet.
pub(crate) async fn create_table(location: &Location, table: &str, schema: &Schema) -> Result<(), StoreError> {
    let failed = |source: DeltaTableError| delta_error(table, "make it", source);
    let fields = kernel_fields(table, schema)?;
    CreateBuilder::new()
        .with_log_store(log_store(location, table)?)
        .with_table_name(table)
        .with_save_mode(SaveMode::Ignore)
        .with_columns(fields)
        .with_configuration([
            ("delta.enableExpiredLogCleanup".to_owned(), Some("false".to_owned())),
            // Opening a table in a bucket costs two requests for each commit since the last checkpoint.
            ("delta.checkpointInterval".to_owned(), Some("10".to_owned())),
        ])
        .await
        .map_err(failed)?;
    Ok(())
}

/// The log of a table, in the objects of the warehouse.
fn log_store(location: &Location, table: &str) -> Result<LogStoreRef, StoreError> {
    let objects = location.objects();
    let of_table = PrefixStore::new(objects.root().clone(), objects.path(&location.table_folder(table))?);
    let url = location.table_url(table)?;
    Ok(default_logstore(Arc::new(of_table), objects.root().clone(), &url, &StorageConfig::default()))
}

/// Opens a table at a version, or at its head.
///
/// # Errors
/// `StoreError::Profile` where that version asks for more than the profile.
pub(crate) async fn open_table(
    location: &Location,
    table: &str,
    version: Option<u64>,
) -> Result<TableVersion, StoreError> {
    let failed = |source: DeltaTableError| delta_error(table, "open it", source);
    let mut delta = DeltaTable::new(log_store(location, table)?);
    match version {
        Some(version) => delta.load_version(version).await,
        None => delta.load().await,
    }
    .map_err(failed)?;
    let state = delta.snapshot().map_err(failed)?;
    check_profile(table, state)?;
    let mut files: Vec<DataFile> = Vec::new();
    for view in state.log_data().iter() {
        let rows = view.num_records().ok_or_else(|| StoreError::Damaged {
            what: format!("table `{table}`"),
            reason: format!("its file `{}` carries no row count", view.path()),
        })?;
        files.push(DataFile {
            path: view.path().into_owned(),
            size: u64::try_from(view.size()).unwrap_or_default(),
            rows: rows as u64,
        });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let schema: Schema = state
        .schema()
        .as_ref()
        .try_into_arrow()
        .map_err(|cause| StoreError::Damaged { what: format!("table `{table}`"), reason: cause.to_string() })?;
    Ok(TableVersion { table: table.to_owned(), version: state.version(), schema: schema.into(), files, delta })
}

/// Our scan reads plain Parquet files. A table that another program has given deletion vectors or mapped columns would be
/// read wrongly.
fn check_profile(table: &str, state: &DeltaTableState) -> Result<(), StoreError> {
    let protocol = state.protocol();
    let reader_version = protocol.min_reader_version();
    if reader_version <= READER_VERSION {
        return Ok(());
    }
    let features = protocol.reader_features().unwrap_or_default();
    let features: Vec<String> = features.iter().map(|feature| format!("`{feature}`")).collect();
    let needs = if features.is_empty() {
        format!("reader version {reader_version}")
    } else {
        format!("reader version {reader_version} with {}", features.join(", "))
    };
    Err(StoreError::Profile { table: table.to_owned(), version: state.version(), needs })
}

/// Of these files of a table, by path below its folder, those that no commit has ever named. The log is never cleaned up,
/// so that it tells of every version there was.
pub(crate) async fn never_committed(
    objects: &Objects,
    table: &str,
    mut names: Vec<String>,
) -> Result<Vec<String>, StoreError> {
    if names.is_empty() {
        return Ok(names);
    }
    let log = format!("tables/{table}/{LOG}");
    let mut commits = objects.list(&log).await?;
    commits.retain(|object| object.path.ends_with(".json"));
    let paths = commits.into_iter().map(|object| format!("{log}/{}", object.path));
    let read = |path: String| async move { objects.read(&path).await };
    let mut texts = futures::stream::iter(paths).map(read).buffer_unordered(COMMITS_AT_ONCE);
    while let Some(content) = texts.try_next().await? {
        let text = String::from_utf8_lossy(content.as_deref().unwrap_or_default());
        names.retain(|name| !text.contains(name.as_str()));
    }
    Ok(names)
}

impl TableVersion {
    /// All rows of this version.
    pub(crate) fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// The snapshot id of the newest commit of ours.
    pub(crate) async fn last_snapshot_id(&self) -> Result<Option<i64>, StoreError> {
        let failed = |source| delta_error(&self.table, "read its last transaction", source);
        let state = self.delta.snapshot().map_err(failed)?;
        state.transaction_version(self.delta.log_store().as_ref(), APP_ID).await.map_err(failed)
    }

    /// Commits a change on top of this version and returns the version made.
    ///
    /// # Errors
    /// `StoreError::Overtaken` where the head is no longer this version. An error means that the commit is not made, or
    /// that nobody can be asked whether it is.
    pub(crate) async fn commit(
        &self,
        change: TableCommit,
        snapshot_id: i64,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let failed = |source: DeltaTableError| match source {
            DeltaTableError::Transaction { .. } | DeltaTableError::VersionAlreadyExists(_) => {
                StoreError::Overtaken { table: self.table.clone(), source: Box::new(source) }
            }
            other => delta_error(&self.table, "commit to it", other),
        };
        let state = self.delta.snapshot().map_err(failed)?;
        let mut actions = Vec::new();
        if let Some(schema) = &change.schema {
            let columns = StructType::try_new(kernel_fields(&self.table, schema)?)
                .map_err(|cause| self.bad_schema(&cause.to_string()))?;
            actions.push(Action::Metadata(
                state.metadata().clone().with_schema(&columns).map_err(|cause| failed(cause.into()))?,
            ));
        }
        let millis = now.timestamp_millis();
        actions.extend(change.remove.iter().map(|file| Action::Remove(remove_action(file, millis))));
        actions.extend(change.add.iter().map(|file| Action::Add(add_action(file, millis))));
        let mode = if change.remove.is_empty() { SaveMode::Append } else { SaveMode::Overwrite };
        let operation = DeltaOperation::Write { mode, partition_by: None, predicate: None };
        let properties = CommitProperties::default()
            .with_max_retries(0)
            .with_cleanup_expired_logs(Some(false))
            .with_application_transaction(Transaction::new(APP_ID, snapshot_id));
        let commit = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(state), self.delta.log_store(), operation)
            .await;
        let cause = match commit {
            Ok(commit) => return Ok(commit.version()),
            Err(cause) => cause,
        };
        if !self.is_followed_by(&change, snapshot_id).await {
            return Err(failed(cause));
        }
        // What the library does after a commit, such as a checkpoint, may fail; the commit stands all the same.
        tracing::warn!(table = %self.table, cause = ?cause, "a commit is made, and what should follow it failed");
        Ok(self.version + 1)
    }

    /// Whether the commit after this version is that change, made for that snapshot, whatever was said of it.
    async fn is_followed_by(&self, change: &TableCommit, snapshot_id: i64) -> bool {
        let mut next = self.clone();
        next.version += 1;
        if next.delta.load_version(next.version).await.is_err() || next.delta.version() != Some(next.version) {
            return false;
        }
        // Two writers of a bucket, one of whom has lost its lease, make snapshots of the same id; no two make files of the
        // same name.
        let Ok(state) = next.delta.snapshot() else { return false };
        let there: HashSet<String> = state.log_data().iter().map(|file| file.path().into_owned()).collect();
        let is_added = change.add.iter().all(|file| there.contains(&file.path));
        if !is_added || change.remove.iter().any(|file| there.contains(&file.path)) {
            return false;
        }
        let id = Some(snapshot_id);
        // A commit without files may be made under an id that was there before, which proves nothing.
        let is_told_by_its_files = !change.add.is_empty() || !change.remove.is_empty();
        let is_proved = is_told_by_its_files || self.last_snapshot_id().await.is_ok_and(|before| before != id);
        is_proved && next.last_snapshot_id().await.is_ok_and(|after| after == id)
    }

    fn bad_schema(&self, reason: &str) -> StoreError {
        StoreError::Contract { table: self.table.clone(), reason: reason.to_owned() }
    }
}

fn kernel_fields(table: &str, schema: &Schema) -> Result<Vec<StructField>, StoreError> {
    let bad = |reason: String| StoreError::Contract { table: table.to_owned(), reason };
    schema
        .fields()
        .iter()
        .map(|field| field.as_ref().try_into_kernel().map_err(|cause| bad(cause.to_string())))
        .collect()
}

fn add_action(file: &StagedFile, millis: i64) -> Add {
    Add {
        path: file.path.clone(),
        partition_values: HashMap::new(),
        size: i64::try_from(file.size).unwrap_or(i64::MAX),
        modification_time: millis,
        data_change: true,
        stats: Some(file.stats.clone()),
        ..Add::default()
    }
}

fn remove_action(file: &DataFile, millis: i64) -> Remove {
    Remove {
        path: file.path.clone(),
        data_change: true,
        deletion_timestamp: Some(millis),
        extended_file_metadata: Some(true),
        partition_values: Some(HashMap::new()),
        size: Some(i64::try_from(file.size).unwrap_or(i64::MAX)),
        ..Remove::default()
    }
}

fn delta_error(table: &str, step: &'static str, source: DeltaTableError) -> StoreError {
    StoreError::Delta { table: table.to_owned(), step, source: Box::new(source) }
}

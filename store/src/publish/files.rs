//! The files of a run: staged data, and what is written down beside it.

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use serde::Serialize;
use tagmill_schemas::ids::{BUCKET_BITS, SnapshotId};
use tagmill_schemas::tables::{Table, contract};

use crate::arrow_types::private_columns;
use crate::error::StoreError;
use crate::location::Location;
use crate::objects::Objects;
use crate::parquet_file::{StagedFile, stage_file};

/// The table whose rows are the snapshots. Publishing fills it, and no run does.
pub(crate) const LEDGER: &str = "snapshot";
/// Where runs write down what they do beside the tables.
pub(crate) const STAGED: &str = "staged";
/// What a run that is publishing has written down.
pub(crate) const PENDING: &str = "staged/pending.json";

/// A table that a run may fill.
///
/// # Errors
/// `StoreError::Contract` for a name that is no table, and for the ledger.
pub(super) fn data_table(name: &str) -> Result<&'static Table, StoreError> {
    let table = known_table(name)?;
    if table.name == LEDGER {
        return Err(misuse(name, "publishing fills it, and no run does".to_owned()));
    }
    Ok(table)
}

pub(super) fn known_table(name: &str) -> Result<&'static Table, StoreError> {
    contract(name).ok_or_else(|| misuse(name, "there is no such table".to_owned()))
}

/// A call that the contract of a table does not allow.
pub(super) fn misuse(table: &str, reason: String) -> StoreError {
    StoreError::Contract { table: table.to_owned(), reason }
}

/// The snapshot that a data file was staged for, by its path below its table's folder; `None` for a file that is not named
/// as a [`Stager`] names its files: `s000012-` and 32 hexadecimal digits.
pub(crate) fn staged_for(path: &str) -> Option<SnapshotId> {
    let name = path.rsplit('/').next()?;
    let (id, unique) = name.strip_prefix('s')?.strip_suffix(".parquet")?.split_once('-')?;
    let is_id = id.len() >= 6 && id.bytes().all(|byte| byte.is_ascii_digit());
    let is_unique = unique.len() == 32 && unique.bytes().all(|byte| byte.is_ascii_hexdigit());
    id.parse().ok().filter(|_| is_id && is_unique).map(SnapshotId)
}

/// Stages files of one table from any thread.
#[derive(Debug, Clone)]
pub struct Stager {
    table: &'static Table,
    objects: Objects,
    folder: String,
    schema: SchemaRef,
    snapshot_id: SnapshotId,
}

impl Stager {
    pub(super) fn new(location: &Location, table: &'static Table, schema: SchemaRef, id: SnapshotId) -> Self {
        let (objects, folder) = (location.objects().clone(), location.table_folder(table.name));
        Self { table, objects, folder, schema, snapshot_id: id }
    }

    /// The columns of the table as the run writes them.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Writes rows as one durable file of the table. `bucket` is the one of all its customers, for a table split by it.
    ///
    /// # Errors
    /// `StoreError::Contract` where the columns differ from the table's, and where a table that is split by bucket is given
    /// none or another is given one.
    pub async fn stage<I>(&self, bucket: Option<u32>, batches: I) -> Result<Staged, StoreError>
    where
        I: IntoIterator<Item = RecordBatch> + Send + 'static,
    {
        let unique = uuid::Uuid::new_v4().simple();
        let name = format!("s{:06}-{unique}.parquet", self.snapshot_id.0);
        let name = match (bucket, self.table.is_bucketed) {
            (Some(bucket), true) => format!("{}/{name}", bucket_folder(bucket)),
            (None, false) => name,
            (Some(bucket), false) => {
                let reason = format!("its files have no bucket, and {bucket} was given");
                return Err(misuse(self.table.name, reason));
            }
            (None, true) => {
                let reason = format!("each of its files has one bucket of 2^{BUCKET_BITS} customers; none was given");
                return Err(misuse(self.table.name, reason));
            }
        };
        let columns = (&self.schema, &private_columns(self.table, &self.schema));
        let file = stage_file(&self.objects, &self.folder, &name, columns, batches).await?;
        Ok(Staged { table: self.table, file })
    }
}

/// A staged file, to be added to its run.
#[derive(Debug, Clone)]
pub struct Staged {
    pub(super) table: &'static Table,
    pub(super) file: StagedFile,
}

impl Staged {
    /// Its rows.
    pub(crate) fn rows(&self) -> u64 {
        self.file.rows
    }

    /// Its size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.file.size
    }
}

/// The folder of a bucket below its table's.
fn bucket_folder(bucket: u32) -> String {
    format!("b{bucket:04}")
}

/// The bucket that a file is in, by its path below its table's folder.
pub(crate) fn bucket_of(path: &str) -> Option<u32> {
    let (folder, _) = path.split_once('/')?;
    folder.strip_prefix('b')?.parse().ok()
}

pub(super) async fn write_json<T: Serialize>(objects: &Objects, below: &str, value: &T) -> Result<(), StoreError> {
    // Maps with text keys and plain values always serialise.
    objects.write(below, serde_json::to_vec_pretty(value).unwrap_or_default()).await
}

//! The files of a run: staged data, and what is written down beside it.

use std::path::{Path, PathBuf};

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use serde::Serialize;
use tagmill_schemas::ids::SnapshotId;

use crate::error::StoreError;
use crate::location::Location;
use crate::parquet_file::{StagedFile, stage_file};

/// Stages files from any thread.
#[derive(Debug, Clone)]
pub struct Stager {
    pub(super) folder: PathBuf,
    pub(super) schema: SchemaRef,
    pub(super) snapshot_id: SnapshotId,
}

impl Stager {
    /// The columns of the table as the run writes them.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Writes rows as one durable file of a table. `bucket` is the customer number divided by 2²⁰, for tables split by it.
    ///
    /// # Errors
    /// `StoreError::Contract` where the columns differ from the table's.
    pub fn stage(
        &self,
        bucket: Option<u32>,
        batches: impl IntoIterator<Item = RecordBatch>,
    ) -> Result<Staged, StoreError> {
        let unique = uuid::Uuid::new_v4().simple();
        let name = format!("s{:06}-{unique}.parquet", self.snapshot_id.0);
        let name = match bucket {
            Some(bucket) => format!("b{bucket:04}/{name}"),
            None => name,
        };
        stage_file(&self.folder, &name, &self.schema, batches).map(Staged)
    }
}

/// A staged file, to be added to its run.
#[derive(Debug, Clone)]
pub struct Staged(pub(super) StagedFile);

pub(crate) fn pending_path(location: &Location) -> PathBuf {
    location.folder().join("staged").join("pending.json")
}

pub(super) fn refused_path(location: &Location, source: &str) -> PathBuf {
    let safe: String = source.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    location.folder().join("staged").join(format!("refused-{safe}.json"))
}

pub(super) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), StoreError> {
    let failed = |source| StoreError::File { step: "write", path: path.display().to_string(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let draft = path.with_extension("tmp");
    let text = serde_json::to_vec_pretty(value).unwrap_or_default();
    std::fs::write(&draft, text).map_err(failed)?;
    std::fs::File::open(&draft).and_then(|file| file.sync_all()).map_err(failed)?;
    std::fs::rename(&draft, path).map_err(failed)
}

pub(crate) fn remove_if_there(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(StoreError::File { step: "remove", path: path.display().to_string(), source }),
    }
}

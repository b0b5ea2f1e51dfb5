//! Parquet files: written once under a fresh name, with the statistics that the Delta log wants beside them.

use std::fs::File;
use std::path::Path;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::parquet::file::statistics::Statistics;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::durable::{file_error, sync_folder_of};
use crate::error::StoreError;

/// Rows in a row group: small enough that a scan of a few customers skips most of a file.
const ROW_GROUP_ROWS: usize = 1 << 20;
/// Rows in a page: what a row selection can skip.
const PAGE_ROWS: usize = 16_384;

/// A file that was written and is not part of any table version yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StagedFile {
    /// The path below the table's folder.
    pub(crate) path: String,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Its rows.
    pub(crate) rows: u64,
    /// Delta statistics as JSON text.
    pub(crate) stats: String,
}

/// Writes batches as one Parquet file and makes it durable before it returns.
///
/// # Errors
/// `StoreError::File` or `StoreError::Parquet`; a partly written file may be left behind and is nobody's.
pub(crate) fn stage_file(
    folder: &Path,
    name: &str,
    schema: &SchemaRef,
    batches: impl IntoIterator<Item = RecordBatch>,
) -> Result<StagedFile, StoreError> {
    let path = folder.join(name);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|source| file_error("make the folder of", &path, source))?;
        sync_folder_of(parent)?;
    }
    let metadata = write_batches(&path, schema, batches)?;
    let size = std::fs::metadata(&path).map_err(|source| file_error("look at", &path, source))?.len();
    let rows = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or_default();
    Ok(StagedFile { path: name.to_owned(), size, rows, stats: delta_stats(&metadata).to_string() })
}

/// Writes batches as one Parquet file, zstd compressed, and syncs it and its name to disk.
///
/// # Errors
/// `StoreError::File` or `StoreError::Parquet`.
pub fn write_batches(
    path: &Path,
    schema: &SchemaRef,
    batches: impl IntoIterator<Item = RecordBatch>,
) -> Result<ParquetMetaData, StoreError> {
    let failed = |source| parquet_error("write", path, source);
    let file = File::create(path).map_err(|source| file_error("make", path, source))?;
    let sync = file.try_clone().map_err(|source| file_error("make", path, source))?;
    let level = ZstdLevel::try_new(3).map_err(failed)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .build();
    let mut writer = ArrowWriter::try_new(file, schema.clone(), Some(properties)).map_err(failed)?;
    for batch in batches {
        writer.write(&batch).map_err(failed)?;
    }
    let metadata = writer.close().map_err(failed)?;
    sync.sync_all().map_err(|source| file_error("sync", path, source))?;
    sync_folder_of(path)?;
    Ok(metadata)
}

/// Reads a whole Parquet file; for small ones only.
///
/// # Errors
/// `StoreError::File` or `StoreError::Parquet`.
pub fn read_batches(path: &Path) -> Result<Vec<RecordBatch>, StoreError> {
    let file = File::open(path).map_err(|source| file_error("open", path, source))?;
    let failed = |source| parquet_error("read", path, source);
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|builder| builder.build()).map_err(failed)?;
    reader.map(|batch| batch.map_err(|cause| failed(ParquetError::from(cause)))).collect()
}

/// Row count, null counts, and the bounds of integer columns: what lets a reader of the log skip files.
fn delta_stats(metadata: &ParquetMetaData) -> Value {
    let schema = metadata.file_metadata().schema_descr();
    let (mut nulls, mut min, mut max) = (Map::new(), Map::new(), Map::new());
    for (index, column) in schema.columns().iter().enumerate() {
        let name = column.name();
        let groups = metadata.row_groups().iter().map(|group| group.column(index).statistics());
        let mut null_count = Some(0_u64);
        let mut bounds = Some((i64::MAX, i64::MIN));
        for statistics in groups {
            null_count = null_count.zip(statistics.and_then(Statistics::null_count_opt)).map(|(a, b)| a + b);
            bounds = match (bounds, statistics.and_then(integer_bounds)) {
                (Some((low, high)), Some((from, to))) => Some((low.min(from), high.max(to))),
                _ => None,
            };
        }
        if let Some(count) = null_count {
            nulls.insert(name.to_owned(), json!(count));
        }
        let is_plain_integer = column.logical_type_ref().is_none() && column.converted_type() == PLAIN;
        if let (true, Some((low, high))) = (is_plain_integer && metadata.num_row_groups() > 0, bounds) {
            min.insert(name.to_owned(), json!(low));
            max.insert(name.to_owned(), json!(high));
        }
    }
    json!({
        "numRecords": metadata.file_metadata().num_rows(),
        "minValues": min,
        "maxValues": max,
        "nullCount": nulls,
    })
}

/// Columns with a converted type (timestamps, decimals) write their bounds in a form of their own, which nobody needs yet.
const PLAIN: datafusion::parquet::basic::ConvertedType = datafusion::parquet::basic::ConvertedType::NONE;

fn integer_bounds(statistics: &Statistics) -> Option<(i64, i64)> {
    match statistics {
        Statistics::Int64(values) => Some((*values.min_opt()?, *values.max_opt()?)),
        Statistics::Int32(values) => Some((i64::from(*values.min_opt()?), i64::from(*values.max_opt()?))),
        _ => None,
    }
}

fn parquet_error(step: &'static str, path: &Path, source: ParquetError) -> StoreError {
    StoreError::Parquet { step, path: path.display().to_string(), source }
}

//! Parquet files: written once under a fresh name, with the statistics that the Delta log wants beside them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use datafusion::parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use datafusion::parquet::file::reader::ChunkReader;
use datafusion::parquet::file::statistics::Statistics;
use object_store::buffered::BufWriter;
use object_store::{Error as ObjectError, ObjectStoreExt};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use crate::durable::{file_error, sync_folder_of};
use crate::error::StoreError;
use crate::objects::{Objects, object_error};

/// The level of compression.
pub(crate) const ZSTD_LEVEL: i32 = 3;
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

/// How many bytes of a file are handed to the store at once: the part of an upload.
const PART_BYTES: usize = 8 << 20;
/// How much of the end of a file is read for its footer at first.
const FOOTER_BYTES: u64 = 64 << 10;
/// How many parts may wait for the store before encoding waits for it.
const WAITING_PARTS: usize = 2;

/// Writes batches as one Parquet object. It is encoded on a thread of its own while what is ready is being written, so
/// that no more than a row group and a few parts are in memory. Its statistics say nothing of `private` columns.
///
/// # Errors
/// `StoreError::Object` or `StoreError::Parquet`; nothing is at the path then.
pub(crate) async fn stage_file<I>(
    objects: &Objects,
    folder: &str,
    name: &str,
    (schema, private): (&SchemaRef, &BTreeSet<String>),
    batches: I,
) -> Result<StagedFile, StoreError>
where
    I: IntoIterator<Item = RecordBatch> + Send + 'static,
{
    let below = format!("{folder}/{name}");
    let (sender, mut parts) = mpsc::channel(WAITING_PARTS);
    let encoding = tokio::task::spawn_blocking({
        let (below, schema) = (below.clone(), schema.clone());
        move || encode(PartWriter { sender, part: Vec::new() }, &below, &schema, batches)
    });
    let mut writer = BufWriter::with_capacity(objects.root().clone(), objects.path(&below)?, PART_BYTES);
    let mut size = 0;
    let mut stored = Ok(());
    while let Some(part) = parts.recv().await {
        size += part.len() as u64;
        stored = writer.put(part).await;
        if stored.is_err() {
            break;
        }
    }
    // Whoever encodes gives up where nobody takes its parts.
    drop(parts);
    let encoded = encoding.await.map_err(|cause| StoreError::Object {
        step: "encode",
        path: below.clone(),
        source: Box::new(cause.into()),
    })?;
    let failed = |source| object_error("write", &below, source);
    if stored.is_err() || encoded.is_err() {
        // What cannot be taken back is an upload that was never completed.
        let _ = writer.abort().await;
    }
    stored.map_err(failed)?;
    let metadata = encoded?;
    // An upload whose last step fails is one that was never completed.
    writer.shutdown().await.map_err(|cause| failed(ObjectError::Generic { store: "upload", source: cause.into() }))?;
    let rows = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or_default();
    Ok(StagedFile { path: name.to_owned(), size, rows, stats: delta_stats(&metadata, private).to_string() })
}

/// Takes the bytes of a file and hands them on in parts.
struct PartWriter {
    sender: mpsc::Sender<Bytes>,
    part: Vec<u8>,
}

impl PartWriter {
    fn hand_on(&mut self) -> std::io::Result<()> {
        let part = std::mem::replace(&mut self.part, Vec::with_capacity(PART_BYTES));
        self.sender.blocking_send(part.into()).map_err(|_| std::io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for PartWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.part.extend_from_slice(bytes);
        if self.part.len() >= PART_BYTES {
            self.hand_on()?;
        }
        Ok(bytes.len())
    }

    /// The writer of a file flushes often; what is not yet a part waits for more.
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn encode(
    parts: PartWriter,
    name: &str,
    schema: &SchemaRef,
    batches: impl IntoIterator<Item = RecordBatch>,
) -> Result<ParquetMetaData, StoreError> {
    let failed = |source| parquet_error("write", name, source);
    let mut writer =
        ArrowWriter::try_new(parts, schema.clone(), Some(properties().map_err(failed)?)).map_err(failed)?;
    for batch in batches {
        writer.write(&batch).map_err(failed)?;
    }
    let metadata = writer.finish().map_err(failed)?;
    writer.inner_mut().hand_on().map_err(|cause| failed(ParquetError::External(Box::new(cause))))?;
    Ok(metadata)
}

fn properties() -> Result<WriterProperties, ParquetError> {
    Ok(writer_properties(ZSTD_LEVEL)?.build())
}

/// How files are written, at a level of compression.
pub(crate) fn writer_properties(zstd_level: i32) -> Result<WriterPropertiesBuilder, ParquetError> {
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(zstd_level)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS))
}

/// Writes batches as one local Parquet file, zstd compressed, and syncs it and its name to disk.
///
/// # Errors
/// `StoreError::File` or `StoreError::Parquet`.
pub fn write_batches(
    path: &Path,
    schema: &SchemaRef,
    batches: impl IntoIterator<Item = RecordBatch>,
) -> Result<(), StoreError> {
    let failed = |source| parquet_error("write", &path.display().to_string(), source);
    let file = File::create(path).map_err(|source| file_error("make", path, source))?;
    let sync = file.try_clone().map_err(|source| file_error("make", path, source))?;
    let mut writer = ArrowWriter::try_new(file, schema.clone(), Some(properties().map_err(failed)?)).map_err(failed)?;
    for batch in batches {
        writer.write(&batch).map_err(failed)?;
    }
    writer.close().map_err(failed)?;
    sync.sync_all().map_err(|source| file_error("sync", path, source))?;
    sync_folder_of(path)
}

/// Reads a whole Parquet object; for small ones only.
///
/// # Errors
/// `StoreError::Object` or `StoreError::Parquet`; `StoreError::Damaged` where it is not there.
pub(crate) async fn read_object(objects: &Objects, below: &str) -> Result<Vec<RecordBatch>, StoreError> {
    let content = objects
        .read(below)
        .await?
        .ok_or_else(|| StoreError::Damaged { what: below.to_owned(), reason: "it is gone".to_owned() })?;
    batches_of(Bytes::from(content), below)
}

/// The rows of a Parquet object of that size, by its footer; little else of it is read.
///
/// # Errors
/// `StoreError::Object`, or `StoreError::Parquet` where the footer is not one.
pub(crate) async fn footer_rows(objects: &Objects, below: &str, size: u64) -> Result<u64, StoreError> {
    let path = objects.path(below)?;
    let mut wanted = FOOTER_BYTES;
    loop {
        let from = size.saturating_sub(wanted);
        let read = objects.root().get_range(&path, from..size).await;
        let bytes = read.map_err(|source| object_error("read the footer of", below, source))?;
        let mut reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Skip);
        match reader.try_parse_sized(&bytes, size).and_then(|()| reader.finish()) {
            Ok(metadata) => return Ok(u64::try_from(metadata.file_metadata().num_rows()).unwrap_or_default()),
            Err(ParquetError::NeedMoreData(needed)) if from > 0 => wanted = (needed as u64).max(wanted * 2),
            Err(cause) => return Err(parquet_error("read the footer of", below, cause)),
        }
    }
}

/// Reads a whole local Parquet file; for small ones only.
///
/// # Errors
/// `StoreError::File` or `StoreError::Parquet`.
pub fn read_batches(path: &Path) -> Result<Vec<RecordBatch>, StoreError> {
    let file = File::open(path).map_err(|source| file_error("open", path, source))?;
    batches_of(file, &path.display().to_string())
}

fn batches_of(file: impl ChunkReader + 'static, name: &str) -> Result<Vec<RecordBatch>, StoreError> {
    let failed = |source| parquet_error("read", name, source);
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|builder| builder.build()).map_err(failed)?;
    reader.map(|batch| batch.map_err(|cause| failed(ParquetError::from(cause)))).collect()
}

/// Row count, null counts, and the bounds of integer columns: what lets a reader of the log skip files. The log stays as it
/// is for ever, so that it says nothing of private columns: what it said would outlive an erasure.
fn delta_stats(metadata: &ParquetMetaData, private: &BTreeSet<String>) -> Value {
    let schema = metadata.file_metadata().schema_descr();
    let (mut nulls, mut min, mut max) = (Map::new(), Map::new(), Map::new());
    for (index, column) in schema.columns().iter().enumerate() {
        let name = column.name();
        if private.contains(name) {
            continue;
        }
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

/// The error of a step that failed on a Parquet file.
pub(crate) fn parquet_error(step: &'static str, name: &str, source: ParquetError) -> StoreError {
    StoreError::Parquet { step, path: name.to_owned(), source }
}

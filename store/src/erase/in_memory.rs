//! A Parquet file in memory: opened once, read row group by row group, as often as it takes.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Int32Type, Int64Type, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use datafusion::parquet::errors::ParquetError;

use crate::arrow_types::column_type;
use crate::error::StoreError;
use crate::parquet_file::parquet_error;

/// How many rows are decoded at once.
const BATCH_ROWS: usize = 16_384;

/// A Parquet file in memory.
pub(super) struct InMemory {
    name: String,
    content: Bytes,
    metadata: ArrowReaderMetadata,
}

impl InMemory {
    /// Opens a file by its content; `name` is what errors call it.
    ///
    /// # Errors
    /// `StoreError::Parquet` where it is none.
    pub(super) fn open(content: Bytes, name: &str) -> Result<Self, StoreError> {
        let load = |options: ArrowReaderOptions| {
            ArrowReaderMetadata::load(&content, options).map_err(|source| parquet_error("read", name, source))
        };
        let mut metadata = load(ArrowReaderOptions::new())?;
        let is_ours = metadata.schema().fields().iter().all(|field| column_type(field.data_type()).is_some());
        if !is_ours {
            // Another program may call texts by names of its own; the file itself has one kind of them.
            metadata = load(ArrowReaderOptions::new().with_skip_arrow_metadata(true))?;
        }
        Ok(Self { name: name.to_owned(), content, metadata })
    }

    /// What errors call it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its length in bytes.
    pub(super) fn size(&self) -> usize {
        self.content.len()
    }

    /// Its bytes.
    pub(super) fn into_content(self) -> Bytes {
        self.content
    }

    /// What comes after its last page: indexes, zeros, and the metadata with its bounds.
    pub(super) fn behind_its_pages(&self) -> &[u8] {
        let groups = self.metadata.metadata().row_groups();
        let ends = groups.iter().flat_map(|group| group.columns()).map(|column| {
            let (start, length) = column.byte_range();
            usize::try_from(start + length).unwrap_or(usize::MAX)
        });
        self.content.get(ends.max().unwrap_or(0)..).unwrap_or_default()
    }

    /// Its columns.
    pub(super) fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// How many rows its footer counts.
    pub(super) fn rows(&self) -> i64 {
        self.metadata.metadata().file_metadata().num_rows()
    }

    /// Its row groups, in order.
    pub(super) fn groups(&self) -> Range<usize> {
        0..self.metadata.metadata().num_row_groups()
    }

    /// The rows of a row group, in order. `columns` leaves out all others; those that the file lacks are not there.
    pub(super) fn batches(
        &self,
        group: usize,
        columns: Option<&[&str]>,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, StoreError>>, StoreError> {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.content.clone(), self.metadata.clone());
        let mask = match columns {
            Some(columns) => ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied()),
            None => ProjectionMask::all(),
        };
        let reader = builder.with_batch_size(BATCH_ROWS).with_row_groups(vec![group]).with_projection(mask).build();
        let name = &self.name;
        let reader = reader.map_err(|source| parquet_error("read", name, source))?;
        Ok(reader.map(move |batch| batch.map_err(|cause| parquet_error("read", name, ParquetError::from(cause)))))
    }

    /// Looks at all rows in order.
    pub(super) fn each_batch(
        &self,
        columns: Option<&[&str]>,
        mut look: impl FnMut(&RecordBatch) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for group in self.groups() {
            for batch in self.batches(group, columns)? {
                look(&batch?)?;
            }
        }
        Ok(())
    }
}

/// A cell as text: a text, or a whole number in digits; `None` for NULL and for all other types.
pub(super) fn cell_text(column: &ArrayRef, row: usize) -> Option<Cow<'_, str>> {
    if column.is_null(row) {
        return None;
    }
    match column.data_type() {
        DataType::Utf8 => Some(column.as_string::<i32>().value(row).into()),
        DataType::Int64 => Some(column.as_primitive::<Int64Type>().value(row).to_string().into()),
        DataType::Int32 => Some(column.as_primitive::<Int32Type>().value(row).to_string().into()),
        _ => None,
    }
}

/// A text cell of the column of that name; `None` for NULL, and where there is no such column of texts.
pub(super) fn text_at<'b>(batch: &'b RecordBatch, column: &str, row: usize) -> Option<&'b str> {
    let texts = batch.column_by_name(column)?.as_string_opt::<i32>()?;
    (!texts.is_null(row)).then(|| texts.value(row))
}

/// The customer's number of a row; `None` where it has none.
pub(super) fn number_at(batch: &RecordBatch, row: usize) -> Option<i64> {
    let numbers = batch.column_by_name("customer_no")?.as_primitive_opt::<Int64Type>()?;
    (!numbers.is_null(row)).then(|| numbers.value(row))
}

/// Of every row of a batch, whether its customer's number is one of these.
pub(super) fn is_of(batch: &RecordBatch, numbers: &[i64]) -> Vec<bool> {
    let there = batch.column_by_name("customer_no").and_then(|column| column.as_primitive_opt::<Int64Type>());
    match there {
        Some(there) => there.iter().map(|number| number.is_some_and(|number| numbers.contains(&number))).collect(),
        None => vec![false; batch.num_rows()],
    }
}

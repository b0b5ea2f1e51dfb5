//! Gathers checked records of text into batches of the columns that a query asks for.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, Int64Builder, StringArray, StringBuilder};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};

use super::columns::Output;
use super::digest::RowIds;
use super::error::RawError;

/// The most rows of a batch.
pub(super) const BATCH_ROWS: usize = 8_192;
/// The most bytes of raw records behind a batch, give or take one record: records may be long, and a batch must stay
/// small.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// A batch of text rows in the making.
pub(super) struct TextRows<'a> {
    file: &'a str,
    schema: &'a SchemaRef,
    columns: Vec<Column>,
    row_ids: RowIds,
    rows: usize,
    bytes: usize,
}

enum Column {
    /// The field with this index in the record.
    Field {
        index: usize,
        values: StringBuilder,
    },
    File,
    Line(Int64Builder),
    Raw(StringBuilder),
    RowId(StringBuilder),
}

impl<'a> TextRows<'a> {
    /// Starts an empty batch of `outputs`, which `schema` describes; `fields` says where in a record each column of the
    /// table is.
    pub(super) fn new(file: &'a str, fields: &[usize], outputs: &[Output], schema: &'a SchemaRef) -> Self {
        let column = |output: &Output| match *output {
            Output::Column(column) => Column::Field { index: fields[column], values: StringBuilder::new() },
            Output::File => Column::File,
            Output::Line => Column::Line(Int64Builder::new()),
            Output::Raw => Column::Raw(StringBuilder::new()),
            Output::RowId => Column::RowId(StringBuilder::new()),
        };
        Self {
            file,
            schema,
            columns: outputs.iter().map(column).collect(),
            row_ids: RowIds::default(),
            rows: 0,
            bytes: 0,
        }
    }

    /// Adds a record that starts in `line` and came as `raw`; `field` gives the content of its fields, `None` for NULL.
    pub(super) fn push<'f>(&mut self, line: u64, raw: &[u8], field: impl Fn(usize) -> Option<&'f str>) {
        for column in &mut self.columns {
            match column {
                Column::Field { index, values } => values.append_option(field(*index)),
                Column::File => {}
                Column::Line(values) => values.append_value(i64::try_from(line).unwrap_or(i64::MAX)),
                Column::Raw(values) => values.append_value(String::from_utf8_lossy(raw)),
                Column::RowId(values) => values.append_value(self.row_ids.next_id(raw)),
            }
        }
        self.rows += 1;
        self.bytes += raw.len();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// Returns the rows gathered so far and starts anew; the ordinals behind `_row_id` go on.
    pub(super) fn take_batch(&mut self) -> Result<RecordBatch, RawError> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let file = self.file;
        let arrays = self.columns.iter_mut().map(|column| column.finish(file, rows)).collect();
        batch_of(self.schema, arrays, rows)
    }
}

impl Column {
    fn finish(&mut self, file: &str, rows: usize) -> ArrayRef {
        match self {
            Self::Field { values, .. } | Self::Raw(values) | Self::RowId(values) => Arc::new(values.finish()),
            Self::Line(values) => Arc::new(values.finish()),
            Self::File => file_column(file, rows),
        }
    }
}

/// Returns the `_file` column of `rows` rows.
pub(super) fn file_column(file: &str, rows: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(file, rows)))
}

/// Returns the `_line` column of `rows` rows that are numbered from `first` on.
pub(super) fn number_column(first: u64, rows: usize) -> ArrayRef {
    let first = i64::try_from(first).unwrap_or(i64::MAX);
    Arc::new(Int64Array::from_iter_values((first..).take(rows)))
}

/// Puts columns together; a batch without columns still has rows.
pub(super) fn batch_of(schema: &SchemaRef, arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, RawError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options).map_err(|source| RawError::Batch { source })
}

//! Rows that come and rows that are there, merged column by column.

use std::sync::Arc;

use datafusion::arrow::array::UInt32Array;
use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use datafusion::arrow::compute::{interleave, take};
use datafusion::arrow::datatypes::{Schema, SchemaRef};

use crate::error::IngestError;

/// One row of the result: where it is there already, and where it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    /// Its row in what is there.
    pub(crate) base: Option<usize>,
    /// Its row in what comes.
    pub(crate) incoming: Option<usize>,
}

/// Who wins a column in which both have a say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wins {
    /// What comes, even where it is missing.
    Incoming,
    /// What comes, where it has a value.
    IncomingValue,
    /// What is there, where it has a value.
    Base,
}

/// Merges rows: a column of `schema` is taken from `incoming` where that has it, as `wins` says, else from `base`.
///
/// Both batches may have further columns, which are left out. A column that neither has is NULL.
pub(crate) fn merge(
    schema: &SchemaRef,
    base: &RecordBatch,
    incoming: &RecordBatch,
    pairs: &[Pair],
    wins: impl Fn(&str) -> Wins,
) -> Result<RecordBatch, IngestError> {
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let none = new_null_array(field.data_type(), 1);
        let there = base.column_by_name(field.name()).unwrap_or(&none);
        let comes = incoming.column_by_name(field.name());
        let rule = wins(field.name());
        let picks: Vec<(usize, usize)> = pairs.iter().map(|pair| pick(*pair, base, there, comes, rule)).collect();
        let sources: [&dyn Array; 3] = [none.as_ref(), there.as_ref(), comes.unwrap_or(&none).as_ref()];
        columns.push(interleave(&sources, &picks).map_err(IngestError::internal)?);
    }
    RecordBatch::try_new(schema.clone(), columns).map_err(IngestError::internal)
}

/// Which array (0 nothing, 1 what is there, 2 what comes) and which row of it a cell is taken from.
fn pick(pair: Pair, base: &RecordBatch, there: &ArrayRef, comes: Option<&ArrayRef>, rule: Wins) -> (usize, usize) {
    // A column that the base lacks is one NULL long.
    let old =
        pair.base.filter(|_| there.len() == base.num_rows() && base.num_rows() > 0).map_or((0, 0), |row| (1, row));
    let (Some(comes), Some(new)) = (comes, pair.incoming) else { return old };
    let has_old = old.0 == 1 && !there.is_null(old.1);
    let takes_new = match rule {
        Wins::Incoming => true,
        Wins::IncomingValue => !comes.is_null(new) || !has_old,
        Wins::Base => !has_old,
    };
    if takes_new { (2, new) } else { old }
}

/// All batches as one; empty with these columns where there are none.
pub(crate) fn concat(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<RecordBatch, IngestError> {
    let schema = batches.first().map_or_else(|| schema.clone(), RecordBatch::schema);
    datafusion::arrow::compute::concat_batches(&schema, batches).map_err(IngestError::internal)
}

/// Some rows of a batch, in the order given.
pub(crate) fn take_rows(batch: &RecordBatch, rows: &[u32]) -> Result<RecordBatch, IngestError> {
    let indices = UInt32Array::from(rows.to_vec());
    let columns: Result<Vec<ArrayRef>, _> = batch.columns().iter().map(|column| take(column, &indices, None)).collect();
    RecordBatch::try_new(batch.schema(), columns.map_err(IngestError::internal)?).map_err(IngestError::internal)
}

/// A batch with a column put in or replaced.
pub(crate) fn with_column(batch: &RecordBatch, name: &str, array: ArrayRef) -> Result<RecordBatch, IngestError> {
    let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
    let mut columns = batch.columns().to_vec();
    let field = Arc::new(datafusion::arrow::datatypes::Field::new(name, array.data_type().clone(), true));
    match batch.schema().index_of(name) {
        Ok(index) => {
            fields[index] = field;
            columns[index] = array;
        }
        Err(_) => {
            fields.push(field);
            columns.push(array);
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(IngestError::internal)
}

/// Whether two batches hold the same rows in the same order.
pub(crate) fn is_same(a: &RecordBatch, b: &RecordBatch) -> bool {
    a.num_rows() == b.num_rows()
        && a.num_columns() == b.num_columns()
        && a.columns().iter().zip(b.columns()).all(|(a, b)| a.as_ref() == b.as_ref())
}

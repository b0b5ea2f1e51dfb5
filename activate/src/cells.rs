//! Typed cells of an answer.

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, Utc};

use crate::error::ActivateError;

/// A whole number; `None` for NULL.
pub(crate) fn number(batch: &RecordBatch, column: &str, row: usize) -> Result<Option<i64>, ActivateError> {
    let values =
        batch.column_by_name(column).and_then(|c| c.as_primitive_opt::<Int64Type>()).ok_or_else(|| bad(column))?;
    Ok((!values.is_null(row)).then(|| values.value(row)))
}

/// A dense number; `None` for NULL.
pub(crate) fn dense(batch: &RecordBatch, column: &str, row: usize) -> Result<Option<u32>, ActivateError> {
    number(batch, column, row)?.map(|number| u32::try_from(number).map_err(|_| bad(column))).transpose()
}

/// A text; `None` for NULL.
pub(crate) fn text(batch: &RecordBatch, column: &str, row: usize) -> Result<Option<String>, ActivateError> {
    let values = texts(batch, column)?;
    Ok((!values.is_null(row)).then(|| values.value(row).to_owned()))
}

/// A column of texts.
pub(crate) fn texts<'b>(batch: &'b RecordBatch, column: &str) -> Result<&'b StringArray, ActivateError> {
    batch.column_by_name(column).and_then(|c| c.as_string_opt::<i32>()).ok_or_else(|| bad(column))
}

/// True or false; `None` for NULL.
pub(crate) fn flag(batch: &RecordBatch, column: &str, row: usize) -> Result<Option<bool>, ActivateError> {
    let values = batch.column_by_name(column).and_then(|c| c.as_boolean_opt()).ok_or_else(|| bad(column))?;
    Ok((!values.is_null(row)).then(|| values.value(row)))
}

/// An instant; `None` for NULL.
pub(crate) fn instant(batch: &RecordBatch, column: &str, row: usize) -> Result<Option<DateTime<Utc>>, ActivateError> {
    let values = batch
        .column_by_name(column)
        .and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>())
        .ok_or_else(|| bad(column))?;
    Ok((!values.is_null(row)).then(|| DateTime::from_timestamp_micros(values.value(row))).flatten())
}

fn bad(column: &str) -> ActivateError {
    ActivateError::Internal { reason: format!("an answer has no column `{column}` of the type wanted") }
}

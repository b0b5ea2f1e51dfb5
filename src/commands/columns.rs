//! Small answers as values: reading the columns of a batch, and making a batch to print.

use std::sync::Arc;

use anyhow::Context;
use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, Utc};

/// The texts of a column.
///
/// # Errors
/// When there is no such column, or it has no text form.
pub(crate) fn texts(batch: &RecordBatch, name: &str) -> anyhow::Result<Vec<Option<String>>> {
    let column = cast(column(batch, name)?, &DataType::Utf8)?;
    Ok(column.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect())
}

/// The instants of a column.
///
/// # Errors
/// When there is no such column, or it holds no instants.
pub(crate) fn instants(batch: &RecordBatch, name: &str) -> anyhow::Result<Vec<Option<DateTime<Utc>>>> {
    let microseconds = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let column = cast(column(batch, name)?, &microseconds)?;
    let values = column.as_primitive::<TimestampMicrosecondType>();
    Ok(values.iter().map(|value| value.and_then(DateTime::from_timestamp_micros)).collect())
}

/// A column of texts to print.
pub(crate) fn text_column<T: AsRef<str>>(values: impl IntoIterator<Item = Option<T>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<StringArray>())
}

/// A column of whole numbers to print. A count beyond the type is shown as its greatest number.
pub(crate) fn count_column(values: impl IntoIterator<Item = Option<u64>>) -> ArrayRef {
    let clamped = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    Arc::new(values.into_iter().map(|value| value.map(clamped)).collect::<Int64Array>())
}

/// A column of shares to print, 0 to 1; a share of nothing is missing.
pub(crate) fn share_column(values: impl IntoIterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<Float64Array>())
}

/// A column of instants to print.
pub(crate) fn instant_column(values: impl IntoIterator<Item = Option<DateTime<Utc>>>) -> ArrayRef {
    let microseconds = values.into_iter().map(|value| value.map(|instant| instant.timestamp_micros()));
    Arc::new(microseconds.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

/// A batch to print. Every column may hold missing values.
///
/// # Errors
/// When the columns differ in length.
pub(crate) fn batch<'n>(columns: impl IntoIterator<Item = (&'n str, ArrayRef)>) -> anyhow::Result<RecordBatch> {
    let nullable = columns.into_iter().map(|(name, column)| (name, column, true));
    Ok(RecordBatch::try_from_iter_with_nullable(nullable)?)
}

fn column<'b>(batch: &'b RecordBatch, name: &str) -> anyhow::Result<&'b dyn Array> {
    let column = batch.column_by_name(name).with_context(|| format!("the answer has no column `{name}`"))?;
    Ok(column.as_ref())
}

//! An answer as CSV, written batch by batch as the engine hands it out.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, future, stream};
use serde_json::Value;
use tagmill_query::Rows;
use tagmill_query::export::neutralised;

use crate::cells::rows_of;
use crate::error::ApiError;
use crate::problem::chain;

/// The rows as a body: a header line, the batch already taken, then the rest as it comes, in constant memory.
///
/// An error after the first batch cuts the transfer short, which every HTTP client notices: the status is long sent.
pub(crate) fn csv_body(first: Option<RecordBatch>, rows: Rows) -> Result<Body, ApiError> {
    let head = header_line(&rows.schema)?;
    let batches = stream::try_unfold((first, rows), |(first, mut rows)| async move {
        let batch = match first {
            Some(batch) => Some(batch),
            None => rows.next().await.transpose()?,
        };
        let Some(batch) = batch else { return Ok(None) };
        Ok::<_, ApiError>(Some((lines(&batch)?, (None, rows))))
    });
    let batches = batches.inspect_err(|error| tracing::error!(cause = %chain(error), "a CSV answer was cut short"));
    Ok(Body::from_stream(stream::once(future::ready(Ok(head))).chain(batches)))
}

fn header_line(schema: &Schema) -> Result<Bytes, ApiError> {
    write([schema.fields().iter().map(|field| field.name().clone()).collect()])
}

fn lines(batch: &RecordBatch) -> Result<Bytes, ApiError> {
    let rows = rows_of(batch)?;
    write(rows.into_iter().map(|row| row.into_iter().map(text_of).collect()))
}

fn write(records: impl IntoIterator<Item = Vec<String>>) -> Result<Bytes, ApiError> {
    let mut text = Vec::new();
    write_records(&mut text, records).map_err(|source| ApiError::Csv { source })?;
    Ok(Bytes::from(text))
}

/// Adds records as lines. A spreadsheet would run a cell that looks like a formula, so none leaves as one.
fn write_records(text: &mut Vec<u8>, records: impl IntoIterator<Item = Vec<String>>) -> Result<(), csv::Error> {
    let mut writer = csv::Writer::from_writer(text);
    for record in records {
        writer.write_record(record.iter().map(|cell| neutralised(cell).into_owned()))?;
    }
    writer.flush()?;
    Ok(())
}

/// A cell as text: NULL is empty, a text is itself, the rest is as in JSON.
fn text_of(cell: Value) -> String {
    match cell {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    #[test]
    fn no_cell_and_no_column_name_runs_as_a_formula() {
        let names: ArrayRef = Arc::new(StringArray::from(vec![Some("=1+1"), Some("a,\"b\""), None]));
        let amounts: ArrayRef = Arc::new(Int64Array::from(vec![-5, 0, 7]));
        let batch = RecordBatch::try_from_iter([("@name", names), ("amount", amounts)]).expect("a batch");
        assert_eq!(header_line(&batch.schema()).expect("a line"), "'@name,amount\n");
        assert_eq!(lines(&batch).expect("lines"), "'=1+1,-5\n\"a,\"\"b\"\"\",0\n,7\n");
    }
}

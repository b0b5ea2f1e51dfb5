//! Rows of `event` on their way to disk: held in bounded memory, by bucket, and sorted by customer when they are staged.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray};
use datafusion::arrow::compute::{SortColumn, lexsort_to_indices, take};
use datafusion::arrow::datatypes::SchemaRef;
use tagmill_schemas::ids::BUCKET_BITS;

use super::context::RunContext;
use super::merge::{Pair, Wins, concat, merge, take_rows, with_column};
use crate::error::IngestError;

/// Rows of one bucket that wait in memory before they are sorted and staged.
const BUCKET_ROWS: usize = 1 << 20;
/// Bytes that wait in all buckets together before the largest of them is staged: properties may be long.
const HELD_BYTES: usize = 256 * 1024 * 1024;

/// Events that are to be staged.
#[derive(Default)]
pub(super) struct EventRows {
    by_bucket: BTreeMap<u32, Held>,
}

/// Rows of one bucket that wait.
#[derive(Default)]
struct Held {
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

impl EventRows {
    /// Takes rows in that have everything but what [`completed`] adds, each with its customer.
    pub(super) async fn add(
        &mut self,
        context: &mut RunContext<'_>,
        rows: &RecordBatch,
        customers: &[i64],
    ) -> Result<(), IngestError> {
        let rows = completed(context, rows, customers)?;
        self.keep(&rows, customers)?;
        self.stage_full(context).await
    }

    /// Stages what still waits.
    pub(super) async fn finish(mut self, context: &mut RunContext<'_>) -> Result<(), IngestError> {
        while let Some(bucket) = self.by_bucket.first_key_value().map(|(bucket, _)| *bucket) {
            self.stage(context, bucket).await?;
        }
        Ok(())
    }

    fn keep(&mut self, rows: &RecordBatch, customers: &[i64]) -> Result<(), IngestError> {
        let mut by_bucket: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (row, customer) in customers.iter().enumerate() {
            by_bucket.entry((*customer >> BUCKET_BITS) as u32).or_default().push(row as u32);
        }
        for (bucket, picked) in by_bucket {
            let rows = take_rows(rows, &picked)?;
            let held = self.by_bucket.entry(bucket).or_default();
            held.rows += picked.len();
            held.bytes += rows.get_array_memory_size();
            held.batches.push(rows);
        }
        Ok(())
    }

    /// Stages the buckets that are full, and the largest while too much waits in all of them together.
    async fn stage_full(&mut self, context: &mut RunContext<'_>) -> Result<(), IngestError> {
        loop {
            let is_too_much = self.by_bucket.values().map(|held| held.bytes).sum::<usize>() > HELD_BYTES;
            let full = self.by_bucket.iter().find(|(_, held)| held.rows >= BUCKET_ROWS);
            let largest = self.by_bucket.iter().filter(|_| is_too_much).max_by_key(|(_, held)| held.bytes);
            let Some(bucket) = full.or(largest).map(|(bucket, _)| *bucket) else { return Ok(()) };
            self.stage(context, bucket).await?;
        }
    }

    /// Sorts and stages what waits in one bucket.
    async fn stage(&mut self, context: &mut RunContext<'_>, bucket: u32) -> Result<(), IngestError> {
        let batches = self.by_bucket.remove(&bucket).unwrap_or_default().batches;
        let Some(schema) = batches.first().map(RecordBatch::schema) else { return Ok(()) };
        let sorted = sorted(&concat(&schema, &batches)?)?;
        context.stage("event", Some(bucket), vec![sorted]).await
    }
}

/// Rows in the columns of a table. What it does not have is left out; what they do not have is NULL.
pub(super) fn in_columns_of(schema: &SchemaRef, rows: &RecordBatch) -> Result<RecordBatch, IngestError> {
    let pairs: Vec<Pair> = (0..rows.num_rows()).map(|row| Pair { base: None, incoming: Some(row) }).collect();
    merge(schema, &RecordBatch::new_empty(schema.clone()), rows, &pairs, |_| Wins::Incoming)
}

/// Rows with `ingested_at`, the instant at which this run began to read.
pub(super) fn with_ingested_at(context: &RunContext<'_>, rows: &RecordBatch) -> Result<RecordBatch, IngestError> {
    let instants = vec![context.read_from.timestamp_micros(); rows.num_rows()];
    let instants: ArrayRef = Arc::new(TimestampMicrosecondArray::from(instants).with_timezone("UTC"));
    with_column(rows, "ingested_at", instants)
}

/// Rows with their customers and the instant of this run, in the columns of the table.
fn completed(context: &RunContext<'_>, rows: &RecordBatch, customers: &[i64]) -> Result<RecordBatch, IngestError> {
    let rows = with_column(rows, "customer_no", Arc::new(Int64Array::from(customers.to_vec())))?;
    let rows = with_ingested_at(context, &rows)?;
    in_columns_of(&context.run.schema("event")?, &rows)
}

fn sorted(rows: &RecordBatch) -> Result<RecordBatch, IngestError> {
    let by = ["customer_no", "occurred_at"]
        .iter()
        .filter_map(|name| rows.column_by_name(name))
        .map(|values| SortColumn { values: values.clone(), options: None })
        .collect::<Vec<_>>();
    let indices = lexsort_to_indices(&by, None).map_err(IngestError::internal)?;
    let columns: Result<Vec<ArrayRef>, _> = rows.columns().iter().map(|column| take(column, &indices, None)).collect();
    RecordBatch::try_new(rows.schema(), columns.map_err(IngestError::internal)?).map_err(IngestError::internal)
}

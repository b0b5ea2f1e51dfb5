//! Rows of `event` on their way to disk: held in bounded memory, by bucket, and sorted by customer beside the run when
//! they are staged.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, new_null_array,
};
use datafusion::arrow::compute::interleave_record_batch;
use datafusion::arrow::datatypes::{Int64Type, SchemaRef, TimestampMicrosecondType};
use tagmill_schemas::ids::BUCKET_BITS;
use tokio::task::JoinHandle;

use super::context::RunContext;
use super::merge::{take_rows, with_column};
use crate::error::IngestError;

/// Rows of one bucket that wait in memory before they are sorted and staged.
const BUCKET_ROWS: usize = 1 << 20;
/// Bytes that wait in all buckets together before the largest of them is staged: properties may be long.
const HELD_BYTES: usize = 256 * 1024 * 1024;
/// Buckets whose rows are being sorted while more come.
const SORTING_AT_ONCE: usize = 1;

/// Events that are to be staged.
#[derive(Default)]
pub(super) struct EventRows {
    by_bucket: BTreeMap<u32, Held>,
    /// Buckets whose rows are being sorted, the oldest first.
    sorting: VecDeque<(u32, JoinHandle<Result<RecordBatch, IngestError>>)>,
}

/// Rows of one bucket that wait.
#[derive(Default)]
struct Held {
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

impl EventRows {
    /// Takes rows in that have everything but what [`Completing`] adds, each with its customer. All of them have the same
    /// columns.
    pub(super) async fn add(
        &mut self,
        context: &mut RunContext<'_>,
        rows: &RecordBatch,
        customers: &[i64],
    ) -> Result<(), IngestError> {
        if customers.is_empty() {
            return Ok(());
        }
        let rows = with_column(rows, "customer_no", Arc::new(Int64Array::from(customers.to_vec())))?;
        self.keep(&rows, customers)?;
        self.stage_full(context).await
    }

    /// Stages what still waits.
    pub(super) async fn finish(mut self, context: &mut RunContext<'_>) -> Result<(), IngestError> {
        while let Some(bucket) = self.by_bucket.first_key_value().map(|(bucket, _)| *bucket) {
            self.sort(context, bucket).await?;
        }
        self.stage_sorted(context, 0).await
    }

    fn keep(&mut self, rows: &RecordBatch, customers: &[i64]) -> Result<(), IngestError> {
        for (bucket, picked) in by_bucket(customers) {
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
            self.sort(context, bucket).await?;
        }
    }

    /// Sorts what waits in one bucket, to be staged once that is done.
    async fn sort(&mut self, context: &mut RunContext<'_>, bucket: u32) -> Result<(), IngestError> {
        let batches = self.by_bucket.remove(&bucket).unwrap_or_default().batches;
        if batches.is_empty() {
            return Ok(());
        }
        let completing = Completing::of(context)?;
        self.stage_sorted(context, SORTING_AT_ONCE - 1).await?;
        let sorting = tokio::task::spawn_blocking(move || completing.rows(&sorted(&batches)?));
        self.sorting.push_back((bucket, sorting));
        Ok(())
    }

    /// Stages the buckets that were sorted first, until no more than some are left.
    async fn stage_sorted(&mut self, context: &mut RunContext<'_>, left: usize) -> Result<(), IngestError> {
        while self.sorting.len() > left {
            let Some((bucket, oldest)) = self.sorting.pop_front() else { break };
            let rows = oldest.await.map_err(IngestError::internal)??;
            context.stage("event", Some(bucket), vec![rows]).await?;
        }
        Ok(())
    }
}

/// The rows of each bucket, by their customers.
fn by_bucket(customers: &[i64]) -> Vec<(u32, Vec<u32>)> {
    // A customer number is below 2³², so that its bucket is small.
    let bucket_of = |customer: i64| (customer >> BUCKET_BITS) as usize;
    let mut rows: Vec<Vec<u32>> = Vec::new();
    for (row, customer) in customers.iter().enumerate() {
        let bucket = bucket_of(*customer);
        if bucket >= rows.len() {
            rows.resize_with(bucket + 1, Vec::new);
        }
        rows[bucket].push(row as u32);
    }
    (0..).zip(rows).filter(|(_, rows)| !rows.is_empty()).collect()
}

/// What every event of a run is completed with: the columns of the table that it lacks.
struct Completing {
    schema: SchemaRef,
    source: String,
    ingested_at: i64,
}

impl Completing {
    fn of(context: &RunContext<'_>) -> Result<Self, IngestError> {
        Ok(Self {
            schema: context.run.schema("event")?,
            source: context.source.name.clone(),
            ingested_at: context.read_from.timestamp_micros(),
        })
    }

    /// Rows in the columns of the table. Those that do not say which source brought them are of this run's.
    fn rows(&self, rows: &RecordBatch) -> Result<RecordBatch, IngestError> {
        let rows = with_column(rows, "ingested_at", instant_of_each(rows, self.ingested_at))?;
        if rows.column_by_name("source").is_some() {
            return in_columns_of(&self.schema, &rows);
        }
        let sources = StringArray::from_iter_values(std::iter::repeat_n(self.source.as_str(), rows.num_rows()));
        in_columns_of(&self.schema, &with_column(&rows, "source", Arc::new(sources))?)
    }
}

/// Rows in the columns of a table. What it does not have is left out; what they do not have is NULL.
pub(super) fn in_columns_of(schema: &SchemaRef, rows: &RecordBatch) -> Result<RecordBatch, IngestError> {
    let column = |name: &str| rows.column_by_name(name).cloned();
    let columns = schema
        .fields()
        .iter()
        .map(|field| column(field.name()).unwrap_or_else(|| new_null_array(field.data_type(), rows.num_rows())));
    RecordBatch::try_new(schema.clone(), columns.collect()).map_err(IngestError::internal)
}

/// Rows with `ingested_at`, the instant at which this run began to read.
pub(super) fn with_ingested_at(context: &RunContext<'_>, rows: &RecordBatch) -> Result<RecordBatch, IngestError> {
    with_column(rows, "ingested_at", instant_of_each(rows, context.read_from.timestamp_micros()))
}

fn instant_of_each(rows: &RecordBatch, micros: i64) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_value(micros, rows.num_rows()).with_timezone("UTC"))
}

/// The rows of batches with the same columns as one, sorted by customer and then by time; of equal ones, the first comes
/// first.
fn sorted(batches: &[RecordBatch]) -> Result<RecordBatch, IngestError> {
    let mut order: Vec<u128> = Vec::new();
    let mut places: Vec<(usize, usize)> = Vec::new();
    for (number, batch) in batches.iter().enumerate() {
        let customers = batch.column_by_name("customer_no").and_then(|c| c.as_primitive_opt::<Int64Type>());
        let times = batch.column_by_name("occurred_at").and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
        for row in 0..batch.num_rows() {
            let customer = customers.map_or(0, |customers| customers.value(row));
            let time = times.filter(|times| !times.is_null(row)).map_or(i64::MIN, |times| times.value(row));
            order.push(sort_key(customer, time, places.len()));
            places.push((number, row));
        }
    }
    order.sort_unstable();
    let picks: Vec<(usize, usize)> = order.into_iter().map(|key| places[place_in(key)]).collect();
    let batches: Vec<&RecordBatch> = batches.iter().collect();
    interleave_record_batch(&batches, &picks).map_err(IngestError::internal)
}

/// A number that sorts by customer, then by time, then by place; each has bits of its own.
fn sort_key(customer: i64, time: i64, place: usize) -> u128 {
    // Whole numbers sort like their bits once the sign is turned over.
    let time = time.cast_unsigned() ^ (1 << 63);
    (u128::from(customer as u32) << 96) | (u128::from(time) << 32) | u128::from(place as u32)
}

/// The place in a sort key.
fn place_in(key: u128) -> usize {
    key as u32 as usize
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn events(rows: &[(i64, Option<i64>, &str)]) -> RecordBatch {
        let times: TimestampMicrosecondArray = rows.iter().map(|row| row.1).collect();
        let columns: [(&str, ArrayRef); 3] = [
            ("customer_no", Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Int64Array>())),
            ("occurred_at", Arc::new(times.with_timezone("UTC"))),
            ("event_id", Arc::new(rows.iter().map(|row| Some(row.2)).collect::<StringArray>())),
        ];
        let columns = columns.into_iter().map(|(name, column)| (name, column, true));
        RecordBatch::try_from_iter_with_nullable(columns).expect("a batch")
    }

    fn ids(rows: &RecordBatch) -> String {
        let ids = rows.column_by_name("event_id").expect("ids").as_string::<i32>();
        ids.iter().map(|id| id.unwrap_or("-")).collect()
    }

    #[test]
    fn events_of_several_batches_are_sorted_by_customer_then_time_then_as_they_came() {
        let first = events(&[(7, Some(5), "d"), (7, Some(-5), "c"), (1, Some(9), "b")]);
        let second = events(&[(7, Some(5), "e"), (1, None, "a"), (4_294_967_295, Some(0), "f")]);
        assert_eq!(ids(&sorted(&[first, second]).expect("a batch")), "abcdef");
    }

    #[test]
    fn rows_are_put_apart_by_bucket_in_their_order() {
        let customers = [1 << 20, 3, (1 << 20) + 5, (3 << 20) + 1, 4];
        assert_eq!(by_bucket(&customers), [(0, vec![1, 4]), (1, vec![0, 2]), (3, vec![3])]);
    }

    #[test]
    fn an_event_is_completed_with_what_it_lacks_and_keeps_its_own_source() {
        let rows = events(&[(7, Some(5), "x")]);
        let texts = ["source", "event_id", "channel"].map(|name| Field::new(name, DataType::Utf8, true));
        let schema: SchemaRef = Arc::new(Schema::new(texts.to_vec()));
        let completing = Completing { schema, source: "shop".to_owned(), ingested_at: 1 };
        let shown = |rows: &RecordBatch| -> Vec<Option<String>> {
            let texts = completing.rows(rows).expect("rows");
            texts.columns().iter().map(|text| text.as_string::<i32>().iter().next()?.map(str::to_owned)).collect()
        };
        assert_eq!(shown(&rows), [Some("shop".to_owned()), Some("x".to_owned()), None]);
        let other = with_column(&rows, "source", Arc::new(StringArray::from(vec!["other"]))).expect("rows");
        assert_eq!(shown(&other), [Some("other".to_owned()), Some("x".to_owned()), None]);
    }
}

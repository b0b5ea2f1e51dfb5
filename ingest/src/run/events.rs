//! Events: matched to customers, told from repeats, sorted by customer, and appended.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMicrosecondArray};
use datafusion::arrow::compute::{SortColumn, lexsort_to_indices, take};
use datafusion::arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use datafusion::arrow::util::display::array_value_to_string;
use sha2::{Digest, Sha256};
use tagmill_schemas::ids::BUCKET_BITS;

use super::conform::{place_of, raw_of};
use super::context::{RunContext, Target};
use super::keys::{read_each, text_at};
use super::listed::{refuse_unmatched, with_source};
use super::merge::{Pair, Wins, concat, merge, take_rows, with_column};
use super::quarantine::Refusal;
use crate::error::IngestError;

/// Rows of one bucket that wait in memory before they are sorted and staged.
const BUCKET_ROWS: usize = 1 << 20;
/// Bytes that wait in all buckets together before the largest of them is staged: properties may be long.
const WAITING_BYTES: usize = 256 * 1024 * 1024;

/// Takes events in and stages them: rows wait in bounded memory, and every event of the source that was ever brought costs
/// a hash of its id and one of its content.
#[derive(Default)]
pub(super) struct EventSink {
    /// By event id, hashed to 128 bits.
    known: HashMap<u128, Known>,
    waiting: BTreeMap<u32, Waiting>,
    /// Events that no run has brought before.
    new: u64,
    /// Events that an earlier run has brought, the same as now.
    again: u64,
}

/// What is known of an event.
struct Known {
    /// The hash of its content.
    content: i64,
    /// Whether this run has listed it.
    is_listed: bool,
}

/// Rows of one bucket that wait.
#[derive(Default)]
struct Waiting {
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

/// What an event is to those that came before it.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Nobody has brought it.
    New,
    /// An earlier run has brought it, the same as now.
    Again,
    /// This run has brought it, the same as now.
    Duplicate,
    /// It was brought with other values.
    Conflict,
}

impl EventSink {
    /// Loads what this source brought before.
    pub(super) async fn open(context: &RunContext<'_>) -> Result<Self, IngestError> {
        let source = context.source.name.replace('\'', "''");
        let sql = format!("SELECT event_id, content_hash FROM event WHERE source = '{source}'");
        let mut known = HashMap::new();
        read_each(context.run.base(), "event", &sql, |batch| {
            let hashes = batch.column(1).as_primitive::<Int64Type>();
            for row in 0..batch.num_rows() {
                let event = Known { content: hashes.value(row), is_listed: false };
                known.insert(id_hash(text_at(batch, "event_id", row).unwrap_or_default()), event);
            }
            Ok(())
        })
        .await?;
        Ok(Self { known, ..Self::default() })
    }

    /// Takes conformed rows in.
    pub(super) async fn take(
        &mut self,
        context: &mut RunContext<'_>,
        rows: &RecordBatch,
        target: &mut Target<'_>,
    ) -> Result<(), IngestError> {
        let hashes = content_hashes(rows, target);
        let (mut kept, mut customers, mut kept_hashes) = (Vec::new(), Vec::new(), Vec::new());
        for (row, hash) in hashes.into_iter().enumerate() {
            let Some(customer) = context.customers.get(text_at(rows, "customer_id", row).unwrap_or_default()) else {
                refuse_unmatched(context, rows, "event", row)?;
                continue;
            };
            let id = text_at(rows, "event_id", row).unwrap_or_default();
            let refusal = match self.judge(id, hash) {
                Verdict::New => {
                    kept.push(row as u32);
                    customers.push(i64::from(customer));
                    kept_hashes.push(hash);
                    continue;
                }
                Verdict::Again => {
                    self.again += 1;
                    continue;
                }
                Verdict::Duplicate => Refusal::new("DUPLICATE", format!("event `{id}` was brought before")),
                Verdict::Conflict => {
                    let reason = format!("event `{id}` was brought before with other values; the first stays");
                    Refusal::new("EVENT_ID_CONFLICT", reason)
                }
            };
            context.quarantine.add("event", &place_of(rows, row), refusal, || raw_of(rows, row))?;
        }
        self.new += kept.len() as u64;
        let rows = take_rows(rows, &kept)?;
        note_types(context, &rows);
        let rows = completed(context, &rows, &customers, kept_hashes)?;
        self.keep(&rows, &customers)?;
        self.stage_full(context).await
    }

    /// Holds an event against what was brought before, and notes that this run lists it.
    fn judge(&mut self, id: &str, content: i64) -> Verdict {
        match self.known.entry(id_hash(id)) {
            Entry::Vacant(free) => {
                free.insert(Known { content, is_listed: true });
                Verdict::New
            }
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                if known.content != content {
                    return Verdict::Conflict;
                }
                let was_listed = std::mem::replace(&mut known.is_listed, true);
                if was_listed { Verdict::Duplicate } else { Verdict::Again }
            }
        }
    }

    /// Stages what still waits.
    pub(super) async fn finish(
        mut self,
        context: &mut RunContext<'_>,
        target: &mut Target<'_>,
    ) -> Result<(), IngestError> {
        target.count.accepted = self.new + self.again;
        target.count.change("new", self.new);
        target.count.change("known", self.again);
        while let Some(bucket) = self.waiting.first_key_value().map(|(bucket, _)| *bucket) {
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
            let waiting = self.waiting.entry(bucket).or_default();
            waiting.rows += picked.len();
            waiting.bytes += rows.get_array_memory_size();
            waiting.batches.push(rows);
        }
        Ok(())
    }

    /// Stages the buckets that are full, and the largest while too much waits in all of them together.
    async fn stage_full(&mut self, context: &mut RunContext<'_>) -> Result<(), IngestError> {
        loop {
            let is_too_much = self.waiting.values().map(|waiting| waiting.bytes).sum::<usize>() > WAITING_BYTES;
            let full = self.waiting.iter().find(|(_, waiting)| waiting.rows >= BUCKET_ROWS);
            let largest = self.waiting.iter().filter(|_| is_too_much).max_by_key(|(_, waiting)| waiting.bytes);
            let Some(bucket) = full.or(largest).map(|(bucket, _)| *bucket) else { return Ok(()) };
            self.stage(context, bucket).await?;
        }
    }

    /// Sorts and stages what waits in one bucket.
    async fn stage(&mut self, context: &mut RunContext<'_>, bucket: u32) -> Result<(), IngestError> {
        let batches = self.waiting.remove(&bucket).unwrap_or_default().batches;
        let Some(schema) = batches.first().map(RecordBatch::schema) else { return Ok(()) };
        let sorted = sorted(&concat(&schema, &batches)?)?;
        context.stage("event", Some(bucket), vec![sorted]).await
    }
}

/// Rows with everything that the warehouse fills, in the columns of the table.
fn completed(
    context: &RunContext<'_>,
    rows: &RecordBatch,
    customers: &[i64],
    hashes: Vec<i64>,
) -> Result<RecordBatch, IngestError> {
    let count = rows.num_rows();
    let ingested = vec![context.read_from.timestamp_micros(); count];
    let ingested: ArrayRef = Arc::new(TimestampMicrosecondArray::from(ingested).with_timezone("UTC"));
    let rows = with_column(rows, "customer_no", Arc::new(Int64Array::from(customers.to_vec())))?;
    let rows = with_column(&rows, "content_hash", Arc::new(Int64Array::from(hashes)))?;
    let rows = with_column(&rows, "ingested_at", ingested)?;
    let rows = with_source(&rows, &context.source.name)?;
    let schema = context.run.schema("event")?;
    let pairs: Vec<Pair> = (0..count).map(|row| Pair { base: None, incoming: Some(row) }).collect();
    merge(&schema, &RecordBatch::new_empty(schema.clone()), &rows, &pairs, |_| Wins::Incoming)
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

/// Notes the latest instant of each event type that came.
fn note_types(context: &mut RunContext<'_>, rows: &RecordBatch) {
    let Some(times) = rows.column_by_name("occurred_at").and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>())
    else {
        return;
    };
    for row in 0..rows.num_rows() {
        let (Some(event_type), Some(at)) =
            (text_at(rows, "type", row), chrono::DateTime::from_timestamp_micros(times.value(row)))
        else {
            continue;
        };
        match context.state.event_types.get_mut(event_type) {
            Some(latest) => *latest = at.max(*latest),
            None => {
                context.state.event_types.insert(event_type.to_owned(), at);
            }
        }
    }
}

/// An id as 128 bits of its SHA-256: two ids collide in no warehouse that will ever be.
fn id_hash(id: &str) -> u128 {
    let digest = Sha256::digest(id.as_bytes());
    digest.iter().take(16).fold(0, |hash, byte| (hash << 8) | u128::from(*byte))
}

/// A stable hash of what the source says of each event: FNV-1a over its columns in the order of the table.
fn content_hashes(rows: &RecordBatch, target: &Target<'_>) -> Vec<i64> {
    let mut hashes = vec![0xcbf2_9ce4_8422_2325_u64; rows.num_rows()];
    for column in target.columns.iter().filter(|column| column.name != "event_id") {
        let Some(array) = rows.column_by_name(&column.name) else { continue };
        for (row, hash) in hashes.iter_mut().enumerate() {
            // The name keeps values of different columns apart; what is missing says nothing, so that a column declared
            // later changes no event that lacks it.
            if !array.is_null(row) {
                absorb(hash, column.name.as_bytes());
                absorb_value(hash, array, row);
                absorb(hash, &[0xff]);
            }
        }
    }
    hashes.into_iter().map(|hash| i64::from_le_bytes(hash.to_le_bytes())).collect()
}

fn absorb_value(hash: &mut u64, array: &ArrayRef, row: usize) {
    if let Some(texts) = array.as_string_opt::<i32>() {
        absorb(hash, texts.value(row).as_bytes());
    } else if let Some(times) = array.as_primitive_opt::<TimestampMicrosecondType>() {
        absorb(hash, &times.value(row).to_le_bytes());
    } else {
        absorb(hash, array_value_to_string(array, row).unwrap_or_default().as_bytes());
    }
}

fn absorb(hash: &mut u64, bytes: &[u8]) {
    for byte in bytes {
        *hash = (*hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_again_is_known_from_an_earlier_run_and_a_duplicate_within_one() {
        let mut sink = EventSink::default();
        sink.known.insert(id_hash("earlier"), Known { content: 1, is_listed: false });
        let mut judged = |id: &str, content| sink.judge(id, content);
        assert_eq!([judged("earlier", 1), judged("earlier", 1)], [Verdict::Again, Verdict::Duplicate]);
        assert_eq!([judged("now", 1), judged("now", 1)], [Verdict::New, Verdict::Duplicate]);
        assert_eq!([judged("earlier", 2), judged("now", 2)], [Verdict::Conflict, Verdict::Conflict]);
    }

    #[test]
    fn an_id_always_has_the_same_hash_and_another_has_another() {
        assert_eq!(id_hash("a"), id_hash("a"));
        assert_ne!(id_hash("a"), id_hash("b"));
    }
}

//! Events: matched to customers, told from repeats, and appended. Those whose person is not known yet wait.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use datafusion::arrow::util::display::array_value_to_string;

use super::conform::{place_of, raw_of};
use super::context::{RunContext, Target};
use super::event_rows::EventRows;
use super::identity::{Found, Identities, WantedKeys};
use super::keys::{HashMap, id_hash, read_each, text_at};
use super::listed::with_source;
use super::merge::{take_rows, with_column};
use super::person::PersonColumns;
use super::quarantine::Refusal;
use super::unmatched::{UNMATCHED, UnmatchedRows, waiting_in};
use crate::error::IngestError;

/// Takes events in and stages them in bounded memory. Every event of the source that was ever brought costs a hash of its id
/// and one of its content.
#[derive(Default)]
pub(super) struct EventSink {
    /// By event id, hashed to 128 bits. Those that wait for their person are among them.
    known: HashMap<u128, Known>,
    /// The customers by what the source names them by, beside their outside id.
    identities: Identities,
    rows: EventRows,
    unmatched: UnmatchedRows,
    /// Events that no run has brought before.
    new: u64,
    /// Events that an earlier run has brought, the same as now.
    again: u64,
    /// Events that no run has brought before, and whose person is not known.
    waiting: u64,
}

/// What is known of an event.
struct Known {
    /// The hash of its content.
    content: i64,
    /// Whether this run has listed it.
    is_listed: bool,
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

/// The rows of a batch that are new, with the hashes of their content.
#[derive(Default)]
struct NewRows {
    matched: Vec<u32>,
    customers: Vec<i64>,
    matched_hashes: Vec<i64>,
    unmatched: Vec<u32>,
    unmatched_hashes: Vec<i64>,
}

impl EventSink {
    /// Loads what this source brought before, and the customers' keys that it names them by.
    pub(super) async fn open(context: &RunContext<'_>, target: &Target<'_>) -> Result<Self, IngestError> {
        let names = target.columns.iter().map(|column| column.name.as_str());
        let identities = Identities::load(context, WantedKeys::of_columns(names)).await?;
        let base = context.run.base();
        let source = context.source.name.replace('\'', "''");
        let mut known = HashMap::default();
        for table in ["event", UNMATCHED] {
            if table == UNMATCHED && waiting_in(base) == 0 {
                continue;
            }
            let sql = format!("SELECT event_id, content_hash FROM {table} WHERE source = '{source}'");
            read_each(base, table, &sql, |batch| {
                let hashes = batch.column(1).as_primitive::<Int64Type>();
                for row in 0..batch.num_rows() {
                    let event = Known { content: hashes.value(row), is_listed: false };
                    known.insert(id_hash(text_at(batch, "event_id", row).unwrap_or_default()), event);
                }
                Ok(())
            })
            .await?;
        }
        Ok(Self { known, identities, ..Self::default() })
    }

    /// Takes conformed rows in.
    pub(super) async fn take(
        &mut self,
        context: &mut RunContext<'_>,
        rows: &RecordBatch,
        target: &mut Target<'_>,
    ) -> Result<(), IngestError> {
        let new = self.sort_out(context, rows, content_hashes(rows, target))?;
        self.new += new.matched.len() as u64;
        self.waiting += new.unmatched.len() as u64;
        let matched = take_rows(rows, &new.matched)?;
        let unmatched = take_rows(rows, &new.unmatched)?;
        // What waits has been read all the same.
        note_types(context, &matched);
        note_types(context, &unmatched);
        let hashes: ArrayRef = Arc::new(Int64Array::from(new.matched_hashes));
        let matched = with_source(&with_column(&matched, "content_hash", hashes)?, &context.source.name)?;
        self.rows.add(context, &matched, &new.customers).await?;
        self.unmatched.add_new(context, &unmatched, new.unmatched_hashes).await
    }

    /// Finds out whose each row is and whether it is new; what is not taken goes into quarantine.
    fn sort_out(
        &mut self,
        context: &mut RunContext<'_>,
        rows: &RecordBatch,
        hashes: Vec<i64>,
    ) -> Result<NewRows, IngestError> {
        let person = PersonColumns::of(rows);
        let mut new = NewRows::default();
        for (row, hash) in hashes.into_iter().enumerate() {
            let found = self.identities.find(&person, row, |id| context.customers.get(id));
            let refusal = match found {
                Found::Unnamed(refusal) => Some(refusal),
                found => self.place(text_at(rows, "event_id", row).unwrap_or_default(), (row, hash), found, &mut new),
            };
            if let Some(refusal) = refusal {
                context.quarantine.add("event", &place_of(rows, row), refusal, || raw_of(rows, row))?;
            }
        }
        Ok(new)
    }

    /// Puts a row where it belongs, or says why it is not taken.
    fn place(&mut self, id: &str, (row, hash): (usize, i64), found: Found, new: &mut NewRows) -> Option<Refusal> {
        match (self.judge(id, hash), found) {
            (Verdict::New, Found::Customer(customer)) => {
                new.matched.push(row as u32);
                new.customers.push(i64::from(customer));
                new.matched_hashes.push(hash);
                None
            }
            (Verdict::New, Found::Nobody) => {
                new.unmatched.push(row as u32);
                new.unmatched_hashes.push(hash);
                None
            }
            (Verdict::New, Found::Ambiguous(reason)) => {
                // It is kept nowhere, so that it is no repeat when it comes again.
                self.known.remove(&id_hash(id));
                Some(Refusal::new("IDENTITY_CONFLICT", reason))
            }
            (Verdict::New, Found::Unnamed(refusal)) => Some(refusal),
            (Verdict::Again, _) => {
                self.again += 1;
                None
            }
            (Verdict::Duplicate, _) => Some(Refusal::new("DUPLICATE", format!("event `{id}` was brought before"))),
            (Verdict::Conflict, _) => {
                let reason = format!("event `{id}` was brought before with other values; the first stays");
                Some(Refusal::new("EVENT_ID_CONFLICT", reason))
            }
        }
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

    /// Stages what is still held.
    pub(super) async fn finish(self, context: &mut RunContext<'_>, target: &mut Target<'_>) -> Result<(), IngestError> {
        target.count.accepted = self.new + self.again;
        target.count.unmatched = self.waiting;
        target.count.change("new", self.new);
        target.count.change("known", self.again);
        self.rows.finish(context).await?;
        self.unmatched.finish(context).await
    }
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
    fn an_event_that_could_be_that_of_several_is_no_repeat_when_it_comes_again() {
        let (mut sink, mut new) = (EventSink::default(), NewRows::default());
        for row in 0..2 {
            let refusal = sink.place("e1", (row, 1), Found::Ambiguous("why".to_owned()), &mut new);
            assert_eq!(refusal, Some(Refusal::new("IDENTITY_CONFLICT", "why".to_owned())), "{row}");
        }
        assert_eq!(sink.place("e1", (2, 1), Found::Nobody, &mut new), None);
        let again = sink.place("e1", (3, 1), Found::Customer(7), &mut new).map(|refusal| refusal.code);
        assert_eq!((again, new.unmatched, new.matched), (Some("DUPLICATE"), vec![2], vec![]));
    }
}

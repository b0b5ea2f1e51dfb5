//! Events: matched to customers, told from repeats, and appended. Those whose person is not known yet wait.
//!
//! `event_reading` finds out beside the run whose each is; here they are taken in their order, because the first of equal
//! ones stays.

use std::sync::Arc;

use chrono::DateTime;
use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{Int64Type, TimestampMicrosecondType};

use super::conform::{place_of, raw_of};
use super::context::{RunContext, Target};
use super::event_reading::{EventReader, ReadEvent};
use super::event_rows::EventRows;
use super::identity::{Found, Identities, WantedKeys};
use super::keys::{HashMap, read_each, text_at};
use super::known_events::{KnownEvents, Verdict};
use super::merge::{only_columns, take_rows, with_column};
use super::person::texts;
use super::quarantine::Refusal;
use super::unmatched::{UNMATCHED, UnmatchedRows, waiting_in};
use crate::error::IngestError;

/// Takes events in and stages them in bounded memory. Every event of the source that was ever brought costs a hash of its id
/// and one of its content.
#[derive(Default)]
pub(super) struct EventSink {
    /// Those that wait for their person are among them.
    known: KnownEvents,
    /// The customers by what the source names them by, beside their outside id.
    identities: Arc<Identities>,
    rows: EventRows,
    unmatched: UnmatchedRows,
    /// Events that no run has brought before.
    new: u64,
    /// Events that an earlier run has brought, the same as now.
    again: u64,
    /// Events that no run has brought before, and whose person is not known.
    waiting: u64,
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
        let mut known = KnownEvents::default();
        let keys = known.keys().clone();
        for table in ["event", UNMATCHED] {
            if table == UNMATCHED && waiting_in(base) == 0 {
                continue;
            }
            let sql = format!("SELECT event_id, content_hash FROM {table} WHERE source = '{source}'");
            read_each(base, table, &sql, |batch| {
                let hashes = batch.column(1).as_primitive::<Int64Type>();
                for row in 0..batch.num_rows() {
                    let key = keys.of(text_at(batch, "event_id", row).unwrap_or_default());
                    known.put(key, hashes.value(row));
                }
                Ok(())
            })
            .await?;
        }
        Ok(Self { known, identities: Arc::new(identities), ..Self::default() })
    }

    /// What reads the rows of a target ahead.
    pub(super) fn reader(&self, context: &RunContext<'_>, target: &Target<'_>) -> EventReader {
        let columns = target.columns.iter().map(|column| column.name.clone());
        EventReader {
            customers: Arc::clone(&context.customers),
            identities: Arc::clone(&self.identities),
            keys: self.known.keys().clone(),
            columns: columns.filter(|name| name != "event_id").collect(),
        }
    }

    /// Takes conformed rows in, with what was read of each.
    pub(super) async fn take(
        &mut self,
        context: &mut RunContext<'_>,
        rows: &RecordBatch,
        read: Vec<ReadEvent>,
    ) -> Result<(), IngestError> {
        let new = self.sort_out(context, rows, read)?;
        self.new += new.matched.len() as u64;
        self.waiting += new.unmatched.len() as u64;
        let schema = context.run.schema("event")?;
        let kept = only_columns(rows, |name| schema.index_of(name).is_ok())?;
        let matched = take_rows(&kept, &new.matched)?;
        let unmatched = take_rows(&only_columns(rows, |name| name != "_raw")?, &new.unmatched)?;
        // What waits has been read all the same.
        note_types(context, &matched);
        note_types(context, &unmatched);
        context.late.note_new(&matched);
        let hashes: ArrayRef = Arc::new(Int64Array::from(new.matched_hashes));
        let matched = with_column(&matched, "content_hash", hashes)?;
        self.rows.add(context, &matched, &new.customers).await?;
        self.unmatched.add_new(context, &unmatched, new.unmatched_hashes).await
    }

    /// Finds out which rows are new; what is not taken goes into quarantine.
    fn sort_out(
        &mut self,
        context: &mut RunContext<'_>,
        rows: &RecordBatch,
        read: Vec<ReadEvent>,
    ) -> Result<NewRows, IngestError> {
        let mut new = NewRows::default();
        for (row, event) in read.into_iter().enumerate() {
            let id = || text_at(rows, "event_id", row).unwrap_or_default();
            if let Some(refusal) = self.place(id, row, event, &mut new) {
                context.quarantine.add("event", &place_of(rows, row), refusal, || raw_of(rows, row))?;
            }
        }
        Ok(new)
    }

    /// Puts a row where it belongs, or says why it is not taken.
    fn place<'r>(
        &mut self,
        id: impl FnOnce() -> &'r str,
        row: usize,
        event: ReadEvent,
        new: &mut NewRows,
    ) -> Option<Refusal> {
        let ReadEvent { found, key, content } = event;
        let found = match found {
            Found::Unnamed(refusal) => return Some(refusal),
            found => found,
        };
        match (self.known.judge(key, content), found) {
            (Verdict::New, Found::Customer(customer)) => {
                new.matched.push(row as u32);
                new.customers.push(i64::from(customer));
                new.matched_hashes.push(content);
                None
            }
            (Verdict::New, Found::Nobody) => {
                new.unmatched.push(row as u32);
                new.unmatched_hashes.push(content);
                None
            }
            (Verdict::New, Found::Ambiguous(reason)) => {
                // It is kept nowhere, so that it is no repeat when it comes again.
                self.known.forget(key);
                Some(Refusal::new("IDENTITY_CONFLICT", reason))
            }
            (Verdict::New, Found::Unnamed(refusal)) => Some(refusal),
            (Verdict::Again, _) => {
                self.again += 1;
                None
            }
            (Verdict::Duplicate, _) => Some(Refusal::new("DUPLICATE", format!("event `{}` was brought before", id()))),
            (Verdict::Conflict, _) => {
                let reason = format!("event `{}` was brought before with other values; the first stays", id());
                Some(Refusal::new("EVENT_ID_CONFLICT", reason))
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
    let noted = &mut context.state.event_types;
    for (event_type, latest) in latest_by_type(rows) {
        let Some(latest) = DateTime::from_timestamp_micros(latest) else { continue };
        match noted.get_mut(event_type) {
            Some(known) => *known = latest.max(*known),
            None => {
                noted.insert(event_type.to_owned(), latest);
            }
        }
    }
}

/// The latest instant of each event type, in microseconds; instants that no calendar reaches do not count.
fn latest_by_type(rows: &RecordBatch) -> HashMap<&str, i64> {
    let mut latest: HashMap<&str, i64> = HashMap::default();
    let times = rows.column_by_name("occurred_at").and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
    let (Some(types), Some(times)) = (texts(rows, "type"), times) else { return latest };
    for (event_type, at) in types.iter().zip(times.values()) {
        let Some(event_type) = event_type else { continue };
        let is_later = latest.get(event_type).is_none_or(|known| at > known);
        if is_later && DateTime::from_timestamp_micros(*at).is_some() {
            latest.insert(event_type, *at);
        }
    }
    latest
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{StringArray, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn an_event_that_could_be_that_of_several_is_no_repeat_when_it_comes_again() {
        let (mut sink, mut new) = (EventSink::default(), NewRows::default());
        let key = sink.known.keys().of("e1");
        let mut placed = |row: usize, found: Found| {
            let refusal = sink.place(|| "e1", row, ReadEvent { found, key, content: 1 }, &mut new);
            refusal.map(|refusal| (refusal.code, refusal.reason))
        };
        for row in 0..2 {
            let refusal = placed(row, Found::Ambiguous("why".to_owned()));
            assert_eq!(refusal, Some(("IDENTITY_CONFLICT", "why".to_owned())), "{row}");
        }
        assert_eq!(placed(2, Found::Nobody), None);
        let again = placed(3, Found::Customer(7));
        assert_eq!(again, Some(("DUPLICATE", "event `e1` was brought before".to_owned())));
        assert_eq!((new.unmatched, new.matched), (vec![2], vec![]));
    }

    #[test]
    fn an_event_that_says_nothing_of_its_person_is_not_known_by_it() {
        let (mut sink, mut new) = (EventSink::default(), NewRows::default());
        let key = sink.known.keys().of("e1");
        let why = Refusal::new("MISSING_VALUE", "why".to_owned());
        let event = ReadEvent { found: Found::Unnamed(why.clone()), key, content: 1 };
        assert_eq!(sink.place(|| "e1", 0, event, &mut new), Some(why));
        let event = ReadEvent { found: Found::Customer(7), key, content: 2 };
        assert_eq!(sink.place(|| "e1", 1, event, &mut new), None);
        assert_eq!((new.matched, new.customers, new.matched_hashes), (vec![1], vec![7], vec![2]));
    }

    #[test]
    fn of_each_type_the_latest_instant_within_the_calendar_counts() {
        let types: ArrayRef =
            Arc::new(StringArray::from(vec![Some("pay"), Some("login"), Some("pay"), None, Some("x")]));
        let times = TimestampMicrosecondArray::from(vec![3, -1, 2, 9, i64::MAX]).with_timezone("UTC");
        let columns = [("type", types, true), ("occurred_at", Arc::new(times) as ArrayRef, true)];
        let rows = RecordBatch::try_from_iter_with_nullable(columns).expect("a batch");
        let mut latest: Vec<_> = latest_by_type(&rows).into_iter().collect();
        latest.sort_unstable();
        assert_eq!(latest, [("login", -1), ("pay", 3)]);
    }
}

//! Late events: those that are added although they lie before what had been read of their source already. Whoever
//! counted such a day before counts more of it now, so a run tells which business days these are.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::TimestampMicrosecondType;
use tagmill_schemas::clock::BusinessZone;
use tagmill_store::Run;

/// Counts the late events of a run by business day.
pub(crate) struct LateEvents {
    /// The zone of the warehouse: its business days are meant, whatever zone the source writes its times in.
    zone: BusinessZone,
    /// The latest `occurred_at` that earlier runs have read of the source, in microseconds. Where they have read none,
    /// it is the least number, so that nothing is before it.
    read_until: i64,
    by_day: BTreeMap<NaiveDate, u64>,
}

impl LateEvents {
    /// None yet, for a run of that source.
    pub(crate) fn of(run: &Run, source: &str) -> Self {
        let latest = run.base().and_then(|base| base.row().latest_events.get(source));
        let read_until = latest.map_or(i64::MIN, DateTime::timestamp_micros);
        Self { zone: run.warehouse().zone(), read_until, by_day: BTreeMap::new() }
    }

    /// Notes events of the source that no run has brought before: those before the latest one that was read are late.
    pub(crate) fn note_new(&mut self, events: &RecordBatch) {
        for instant in instants(events).filter(|instant| *instant < self.read_until) {
            count(&mut self.by_day, self.zone, instant);
        }
    }

    /// Notes events that an earlier run has read, of whatever source, and that found their customer only now: all are
    /// late.
    pub(crate) fn note_waited(&mut self, events: &RecordBatch) {
        for instant in instants(events) {
            count(&mut self.by_day, self.zone, instant);
        }
    }

    /// How many of them there are on each business day that has any.
    pub(crate) fn into_days(self) -> BTreeMap<NaiveDate, u64> {
        self.by_day
    }
}

/// When each of the events happened, in microseconds.
fn instants(events: &RecordBatch) -> impl Iterator<Item = i64> {
    let times =
        events.column_by_name("occurred_at").and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    times.into_iter().flat_map(|times| times.iter().flatten())
}

fn count(by_day: &mut BTreeMap<NaiveDate, u64>, zone: BusinessZone, micros: i64) {
    // What no calendar reaches is told on the last day that one does.
    let end = if micros < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
    let instant = DateTime::from_timestamp_micros(micros).unwrap_or(end);
    *by_day.entry(zone.day_of(instant)).or_default() += 1;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, TimestampMicrosecondArray};

    use super::*;

    fn micros(instant: &str) -> i64 {
        DateTime::parse_from_rfc3339(instant).expect("an instant").timestamp_micros()
    }

    fn events(instants: &[&str]) -> RecordBatch {
        let instants: Vec<i64> = instants.iter().map(|instant| micros(instant)).collect();
        let instants: ArrayRef = Arc::new(TimestampMicrosecondArray::from(instants).with_timezone("UTC"));
        RecordBatch::try_from_iter([("occurred_at", instants)]).expect("a batch")
    }

    fn none_after(read_until: i64) -> LateEvents {
        LateEvents { zone: BusinessZone::default(), read_until, by_day: BTreeMap::new() }
    }

    fn days(late: LateEvents) -> Vec<(String, u64)> {
        late.into_days().into_iter().map(|(day, count)| (day.to_string(), count)).collect()
    }

    #[test]
    fn only_what_lies_before_the_latest_event_that_was_read_is_late() {
        let mut late = none_after(micros("2026-06-10T00:00:00Z"));
        late.note_new(&events(&["2026-06-10T00:00:00Z", "2026-06-09T23:59:59.999999Z", "2026-06-11T00:00:00Z"]));
        late.note_new(&events(&["2026-06-10T00:00:00.000001Z", "2026-06-01T00:00:00Z"]));
        assert_eq!(days(late), [("2026-06-01".to_owned(), 1), ("2026-06-10".to_owned(), 1)]);
    }

    #[test]
    fn nothing_is_late_in_a_first_reading() {
        let mut late = none_after(i64::MIN);
        late.note_new(&events(&["2026-06-02T00:00:00Z", "1969-12-31T00:00:00Z"]));
        assert!(days(late).is_empty());
    }

    #[test]
    fn what_waited_is_late_even_where_nothing_later_was_read() {
        let mut late = none_after(micros("2026-06-01T00:00:00Z"));
        late.note_waited(&events(&["2026-06-01T00:00:00Z", "2026-06-03T00:00:00Z"]));
        assert_eq!(days(late), [("2026-06-01".to_owned(), 1), ("2026-06-03".to_owned(), 1)]);
    }

    #[test]
    fn the_day_is_that_of_the_zone_of_the_warehouse() {
        let mut late = none_after(micros("2026-06-10T00:00:00Z"));
        late.note_new(&events(&["2026-06-01T15:59:59Z", "2026-06-01T16:00:00Z", "2026-06-01T17:00:00Z"]));
        assert_eq!(days(late), [("2026-06-01".to_owned(), 1), ("2026-06-02".to_owned(), 2)]);
    }

    #[test]
    fn an_instant_beyond_the_calendar_is_counted_at_its_end() {
        let mut by_day = BTreeMap::new();
        count(&mut by_day, BusinessZone::default(), i64::MIN);
        count(&mut by_day, BusinessZone::default(), i64::MAX);
        assert_eq!(by_day.into_iter().collect::<Vec<_>>(), [(NaiveDate::MIN, 1), (NaiveDate::MAX, 1)]);
    }
}

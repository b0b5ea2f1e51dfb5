//! The earlier of the two instants that bound a change: before it, nothing can have happened.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use tagmill_store::FullReading;

use super::super::context::RunContext;
use super::super::keys::{dense, read_each};
use super::super::numbers::{Instants, NumberSet};
use super::listing::{Key, NO_FOLLOW};
use super::tag_index::TagIndex;
use crate::error::IngestError;

/// Before which instant nothing can have happened.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    /// When each follow began, by its number.
    follow_added: Arc<Instants>,
    /// The source's last full reading.
    reading: Option<FullReading>,
    /// The follows that had ended before this run.
    ended: NumberSet,
}

impl Bounds {
    pub(super) async fn load(context: &RunContext<'_>) -> Result<Self, IngestError> {
        let follow_added = match &context.follow_added {
            Some(added) => Arc::clone(added),
            None => {
                let mut added = Instants::default();
                let sql = "SELECT follow_no, added_at FROM follow";
                read_each(context.run.base(), "follow", sql, |batch| note_added(&mut added, batch)).await?;
                Arc::new(added)
            }
        };
        let reading = context.state.tables.get("assignment").and_then(|fill| fill.full_reading.clone());
        let ended = ended_before(context).await?;
        Ok(Self { follow_added, reading, ended })
    }

    /// The instant at or after which something happened to a key; `None` where nothing bounds it.
    pub(super) fn seen_after(&self, key: &Key, tags: &TagIndex) -> Option<i64> {
        let last = self.reading.as_ref().filter(|reading| self.covers(reading, key));
        let last = last.map(|reading| reading.read_from.timestamp_micros());
        let added = self.follow_added.get(key.follow);
        [last, tags.created(key.tag), added].into_iter().flatten().max()
    }

    /// Whether a full reading would have listed a key: whom it is about was known then, and every row about them was taken.
    fn covers(&self, reading: &FullReading, key: &Key) -> bool {
        let was_known = if key.follow == NO_FOLLOW {
            key.customer < reading.next_customer_no
        } else {
            key.follow < reading.next_follow_no && !self.ended.contains(key.follow)
        };
        was_known && !reading.except_customers.contains(&key.customer)
    }
}

/// The follows that had ended before this run.
pub(super) async fn ended_before(context: &RunContext<'_>) -> Result<NumberSet, IngestError> {
    let mut ended = NumberSet::default();
    let sql = "SELECT follow_no FROM follow WHERE status = 'ended'";
    read_each(context.run.base(), "follow", sql, |batch| {
        for follow in batch.column(0).as_primitive::<Int64Type>().values() {
            ended.insert(dense(*follow)?);
        }
        Ok(())
    })
    .await?;
    Ok(ended)
}

/// Notes when each follow of some rows began, microseconds; follows that do not say are left out.
pub(in crate::run) fn note_added(noted: &mut Instants, rows: &RecordBatch) -> Result<(), IngestError> {
    let follows = rows.column_by_name("follow_no").and_then(|column| column.as_primitive_opt::<Int64Type>());
    let added =
        rows.column_by_name("added_at").and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let (Some(follows), Some(added)) = (follows, added) else { return Ok(()) };
    for (row, follow) in follows.values().iter().enumerate() {
        if !added.is_null(row) {
            noted.set(dense(*follow)?, added.value(row));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chrono::DateTime;
    use datafusion::arrow::array::{ArrayRef, Int64Array, TimestampMicrosecondArray};

    use super::*;

    /// A reading at 5 that knew the customers and follows 0 to 9, but could not take a row of customer 3; follow 4 had
    /// ended.
    fn check(customer: u32, follow: u32, expected: Option<i64>) {
        let read_from = DateTime::from_timestamp_micros(5).expect("an instant");
        let reading =
            FullReading { read_from, next_customer_no: 10, next_follow_no: 10, except_customers: BTreeSet::from([3]) };
        let follow_added = Arc::new(Instants::from_iter([(8, 7), (9, 1)]));
        let bounds = Bounds { follow_added, reading: Some(reading), ended: NumberSet::from_iter([4]) };
        let key = Key { customer, follow, tag: 0 };
        assert_eq!(bounds.seen_after(&key, &TagIndex::default()), expected, "customer {customer}, follow {follow}");
    }

    #[test]
    fn a_reading_bounds_what_it_covered_and_nothing_else() {
        check(2, 2, Some(5));
        check(9, 9, Some(5));
        check(8, 8, Some(7));
        check(2, 10, None);
        check(4, 4, None);
        check(3, 5, None);
        check(2, NO_FOLLOW, Some(5));
        check(10, NO_FOLLOW, None);
        check(3, NO_FOLLOW, None);
    }

    #[test]
    fn without_a_full_reading_only_the_tag_and_the_follow_bound_a_step() {
        let key = Key { customer: 1, follow: 1, tag: 0 };
        assert_eq!(Bounds::default().seen_after(&key, &TagIndex::default()), None);
        let bounds = Bounds { follow_added: Arc::new(Instants::from_iter([(1, 3)])), ..Bounds::default() };
        assert_eq!(bounds.seen_after(&key, &TagIndex::default()), Some(3));
    }

    #[test]
    fn a_follow_that_does_not_say_when_it_began_bounds_nothing() {
        let follows: ArrayRef = Arc::new(Int64Array::from(vec![4, 2]));
        let added: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![None, Some(6)]).with_timezone("UTC"));
        let rows = RecordBatch::try_from_iter([("follow_no", follows), ("added_at", added)]).expect("a batch");
        let mut noted = Instants::default();
        note_added(&mut noted, &rows).expect("instants");
        assert_eq!([2, 4].map(|follow| noted.get(follow)), [Some(6), None]);
    }
}

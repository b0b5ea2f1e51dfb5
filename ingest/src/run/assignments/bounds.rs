//! The earlier of the two instants that bound a change: before it, nothing can have happened.

use std::collections::{HashMap, HashSet};

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;
use tagmill_store::FullReading;

use super::super::context::RunContext;
use super::super::keys::{dense, instant_at, read, read_each};
use super::Step;
use super::listing::{Key, NO_FOLLOW};
use super::tag_index::TagIndex;
use crate::error::IngestError;

/// Before which instant nothing can have happened.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    /// When each follow began, by its number.
    follow_added: HashMap<u32, i64>,
    /// The source's last full reading.
    reading: Option<FullReading>,
    /// The follows that had ended before this run.
    ended: HashSet<u32>,
}

impl Bounds {
    pub(super) async fn load(context: &RunContext<'_>) -> Result<Self, IngestError> {
        let follow_added = match &context.follow_added {
            Some(added) => added.clone(),
            None => {
                let sql = "SELECT follow_no, added_at FROM follow";
                added_by_follow(&read(context.run.base(), "follow", sql).await?)?
            }
        };
        let mut ended = HashSet::new();
        let sql = "SELECT follow_no FROM follow WHERE status = 'ended'";
        read_each(context.run.base(), "follow", sql, |batch| {
            for follow in batch.column(0).as_primitive::<Int64Type>().values() {
                ended.insert(dense(*follow)?);
            }
            Ok(())
        })
        .await?;
        let reading = context.state.tables.get("assignment").and_then(|fill| fill.full_reading.clone());
        Ok(Self { follow_added, reading, ended })
    }

    /// The instant at or after which a step happened; `None` where nothing bounds it.
    pub(super) fn seen_after(&self, step: &Step, tags: &TagIndex) -> Option<i64> {
        let last = self.reading.as_ref().filter(|reading| self.covers(reading, &step.key));
        let last = last.map(|reading| reading.read_from.timestamp_micros());
        let added = self.follow_added.get(&step.key.follow).copied();
        [last, tags.created(step.key.tag), added].into_iter().flatten().max()
    }

    /// Whether a full reading would have listed a key: whom it is about was known then, and every row about them was taken.
    fn covers(&self, reading: &FullReading, key: &Key) -> bool {
        let was_known = if key.follow == NO_FOLLOW {
            key.customer < reading.next_customer_no
        } else {
            key.follow < reading.next_follow_no && !self.ended.contains(&key.follow)
        };
        was_known && !reading.except_customers.contains(&key.customer)
    }
}

/// When each follow of some rows began, microseconds; follows that do not say are left out.
pub(in crate::run) fn added_by_follow(batches: &[RecordBatch]) -> Result<HashMap<u32, i64>, IngestError> {
    let mut added = HashMap::new();
    for batch in batches {
        let Some(follows) = batch.column_by_name("follow_no").and_then(|c| c.as_primitive_opt::<Int64Type>()) else {
            continue;
        };
        for row in 0..batch.num_rows() {
            if let Some(at) = instant_at(batch, "added_at", row) {
                added.insert(dense(follows.value(row))?, at);
            }
        }
    }
    Ok(added)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chrono::DateTime;
    use tagmill_store::LogOp;

    use super::*;

    /// A reading at 5 that knew the customers and follows 0 to 9, but could not take a row of customer 3; follow 4 had
    /// ended.
    fn check(customer: u32, follow: u32, expected: Option<i64>) {
        let read_from = DateTime::from_timestamp_micros(5).expect("an instant");
        let reading =
            FullReading { read_from, next_customer_no: 10, next_follow_no: 10, except_customers: BTreeSet::from([3]) };
        let follow_added = HashMap::from([(8, 7), (9, 1)]);
        let bounds = Bounds { follow_added, reading: Some(reading), ended: HashSet::from([4]) };
        let step = Step { key: Key { customer, follow, tag: 0 }, op: LogOp::Open, assigned_at: i64::MIN };
        assert_eq!(bounds.seen_after(&step, &TagIndex::default()), expected, "customer {customer}, follow {follow}");
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
        let step = Step { key: Key { customer: 1, follow: 1, tag: 0 }, op: LogOp::Open, assigned_at: i64::MIN };
        assert_eq!(Bounds::default().seen_after(&step, &TagIndex::default()), None);
        let bounds = Bounds { follow_added: HashMap::from([(1, 3)]), ..Bounds::default() };
        assert_eq!(bounds.seen_after(&step, &TagIndex::default()), Some(3));
    }
}

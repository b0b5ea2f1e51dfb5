//! Settling a part of a listing: one row for each key, what is listed held against what is held, and the difference as
//! rows for the log. A part needs nothing from the others, so that several are settled at once.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use tagmill_schemas::ids::{CustomerNo, FollowNo, SnapshotId};
use tagmill_store::{LogOp, LogRow, log_batch};

use super::super::numbers::NumberSet;
use super::bounds::Bounds;
use super::listing::{Held, Key, NO_FOLLOW};
use super::parts::{Row, sorted};
use super::tag_index::TagIndex;
use crate::error::IngestError;

/// Rows of the log in one batch.
const BATCH: usize = 65_536;

/// What is the same for every part of a listing.
#[derive(Debug)]
pub(super) struct Settling {
    pub(super) schema: SchemaRef,
    pub(super) source: String,
    pub(super) snapshot_id: SnapshotId,
    /// The instant by which the listing had been read, in microseconds.
    pub(super) now: i64,
    pub(super) bounds: Bounds,
    /// The follows that have ended.
    pub(super) ended: Arc<NumberSet>,
    /// Where what is not listed is closed, the keys that are listed although no row of them could be taken; `None` where
    /// nothing is closed.
    pub(super) listed_too: Option<HashSet<Key>>,
}

/// What settling a part came to.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Rows for the log.
    pub(super) batches: Vec<RecordBatch>,
    /// Rows that say again what another says, each with one that outranks it.
    pub(super) repeated: Vec<(Row, Row)>,
    pub(super) counts: Counts,
}

/// Rows, and what became of them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    /// Keys that are listed.
    pub(super) listed: u64,
    pub(super) opened: u64,
    pub(super) renewed: u64,
    pub(super) closed: u64,
}

/// A row for the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) key: Key,
    pub(super) op: LogOp,
    pub(super) assigned_at: i64,
}

impl Settling {
    /// Settles the rows of a part, in pieces in the order in which they came, against what is held in it, sorted.
    pub(super) fn settle(&self, pieces: Vec<Vec<Row>>, held: &[Held], tags: &TagIndex) -> Result<Settled, IngestError> {
        let mut repeated = Vec::new();
        let listed = one_each(sorted(pieces), |row, stays| repeated.push((*row, *stays)));
        let mut steps = difference(held, &listed, self.listed_too.as_ref());
        // An ended follow keeps its last tags: they are no longer listed because the follow is not.
        steps.retain(|step| step.op != LogOp::Close || !self.ended.contains(step.key.follow));
        let counts = Counts::of(&listed, &steps);
        drop(listed);
        let batches: Result<Vec<RecordBatch>, IngestError> =
            steps.chunks(BATCH).map(|steps| self.batch(steps, tags)).collect();
        Ok(Settled { batches: batches?, repeated, counts })
    }

    fn batch(&self, steps: &[Step], tags: &TagIndex) -> Result<RecordBatch, IngestError> {
        let rows: Vec<LogRow<'_>> = steps
            .iter()
            .map(|step| LogRow {
                customer_no: CustomerNo(step.key.customer),
                follow_no: (step.key.follow != NO_FOLLOW).then_some(FollowNo(step.key.follow)),
                tag_id: tags.id(step.key.tag),
                op: step.op,
                cause: if step.op == LogOp::Close { "unlisted" } else { "listed" },
                assigned_at: (step.assigned_at != i64::MIN).then_some(step.assigned_at),
                seen_after: self.bounds.seen_after(&step.key, tags).map(|at| at.min(self.now)),
                seen_by: self.now,
            })
            .collect();
        Ok(log_batch(&self.schema, &self.source, self.snapshot_id, &rows)?)
    }
}

impl Counts {
    fn of(listed: &[Held], steps: &[Step]) -> Self {
        let mut counts = Self { listed: listed.len() as u64, ..Self::default() };
        for step in steps {
            match step.op {
                LogOp::Open => counts.opened += 1,
                LogOp::Renew => counts.renewed += 1,
                LogOp::Close => counts.closed += 1,
            }
        }
        counts
    }

    /// Adds those of another part.
    pub(super) fn add(&mut self, other: Self) {
        self.listed += other.listed;
        self.opened += other.opened;
        self.renewed += other.renewed;
        self.closed += other.closed;
    }
}

/// One row for each key of sorted rows: the one that was assigned last, and of equal ones the first. Each of the others is
/// handed to `repeated` with a row that outranks it.
fn one_each(rows: Vec<Row>, mut repeated: impl FnMut(&Row, &Row)) -> Vec<Held> {
    let mut listed: Vec<Held> = Vec::with_capacity(rows.len());
    let mut rows = rows.into_iter();
    let Some(mut last) = rows.next() else { return listed };
    for row in rows {
        if last.key == row.key && last.at == row.at {
            repeated(&row, &last);
            continue;
        }
        if last.key == row.key {
            repeated(&last, &row);
        } else {
            listed.push((last.key, last.at));
        }
        last = row;
    }
    listed.push((last.key, last.at));
    listed
}

/// What the log has to say, so that what is held becomes what is listed. Both sides are sorted.
///
/// What is held and not listed is closed where the listing is full, but for what it lists although no row could be taken
/// (`listed_too`); `None`: it is not full, and nothing is closed.
fn difference(held: &[Held], listed: &[Held], listed_too: Option<&HashSet<Key>>) -> Vec<Step> {
    let mut steps = Vec::new();
    let close = |(key, was): &Held| {
        let is_closed = listed_too.is_some_and(|listed| !listed.contains(key));
        is_closed.then_some(Step { key: *key, op: LogOp::Close, assigned_at: *was })
    };
    let mut there = held.iter().peekable();
    for (key, at) in listed {
        while let Some(gone) = there.next_if(|(other, _)| other < key) {
            steps.extend(close(gone));
        }
        match there.next_if(|(other, _)| other == key) {
            None => steps.push(Step { key: *key, op: LogOp::Open, assigned_at: *at }),
            Some((_, was)) if at > was => steps.push(Step { key: *key, op: LogOp::Renew, assigned_at: *at }),
            Some(_) => {}
        }
    }
    steps.extend(there.filter_map(close));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows by tag, assigned at, ordinal; compares what stays, and the ordinals of the others with those that outrank
    /// them.
    fn check_one_each(rows: &[(u32, i64, u32)], stays: &[(u32, i64)], others: &[(u32, u32)]) {
        let row = |(tag, at, ordinal): &(u32, i64, u32)| {
            let key = Key { customer: 1, follow: 1, tag: *tag };
            Row { key, at: *at, ordinal: *ordinal }
        };
        let mut told = Vec::new();
        let rows = sorted(vec![rows.iter().map(row).collect()]);
        let listed = one_each(rows, |row, stays| told.push((row.ordinal, stays.ordinal)));
        let listed: Vec<_> = listed.iter().map(|(key, at)| (key.tag, *at)).collect();
        assert_eq!((listed.as_slice(), told.as_slice()), (stays, others));
    }

    #[test]
    fn of_repeated_assignments_the_latest_stays_and_the_others_are_refused_with_their_own_place() {
        check_one_each(&[(0, 5, 2), (1, 5, 3)], &[(0, 5), (1, 5)], &[]);
        // Row 3 was assigned later than row 2 and than row 4.
        check_one_each(&[(0, 5, 2), (0, 9, 3), (0, i64::MIN, 4)], &[(0, 9)], &[(4, 2), (2, 3)]);
    }

    #[test]
    fn of_equal_assignments_the_first_stays() {
        check_one_each(&[(0, 5, 7), (0, 5, 2), (0, 5, 4)], &[(0, 5)], &[(4, 2), (7, 2)]);
        check_one_each(&[], &[], &[]);
    }

    fn key(customer: u32, tag: u32) -> Key {
        Key { customer, follow: customer, tag }
    }

    const HELD: [Held; 4] = [
        (Key { customer: 1, follow: 1, tag: 0 }, i64::MIN),
        (Key { customer: 2, follow: 2, tag: 0 }, 5),
        (Key { customer: 3, follow: 3, tag: 0 }, 5),
        (Key { customer: 5, follow: 5, tag: 0 }, 5),
    ];

    fn check(listed_too: Option<&[Key]>, expected: &[(u32, LogOp)]) {
        let listed = [(key(2, 0), 5), (key(3, 0), 9), (key(4, 0), i64::MIN)];
        let listed_too = listed_too.map(|keys| keys.iter().copied().collect::<HashSet<Key>>());
        let steps: Vec<_> =
            difference(&HELD, &listed, listed_too.as_ref()).iter().map(|step| (step.key.customer, step.op)).collect();
        assert_eq!(steps, expected);
    }

    #[test]
    fn a_full_listing_closes_what_it_no_longer_lists() {
        check(Some(&[]), &[(1, LogOp::Close), (3, LogOp::Renew), (4, LogOp::Open), (5, LogOp::Close)]);
    }

    #[test]
    fn what_only_a_refused_row_lists_is_not_closed() {
        check(Some(&[key(1, 0)]), &[(3, LogOp::Renew), (4, LogOp::Open), (5, LogOp::Close)]);
        check(Some(&[key(5, 0)]), &[(1, LogOp::Close), (3, LogOp::Renew), (4, LogOp::Open)]);
    }

    #[test]
    fn an_upsert_closes_nothing() {
        check(None, &[(3, LogOp::Renew), (4, LogOp::Open)]);
    }
}

//! Assignments: a listing compared with what the log says is held, and the difference appended to the log.
//!
//! WeCom tells no time per tag, so the log keeps the instants between which it happened: not before the last reading of
//! this source that covered the follow without the tag, not after the first reading with it. `listing` makes keys of the
//! rows as they come, so that only numbers are kept; `tag_index` finds the tags that they mean; `bounds` knows the earlier
//! of the two instants.

mod bounds;
mod listing;
mod tag_index;

use std::collections::{BTreeMap, HashSet};

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Int64Type, SchemaRef, TimestampMicrosecondType};
use tagmill_schemas::ids::{BUCKET_BITS, CustomerNo, FollowNo};
use tagmill_store::{FullReading, HELD_ASSIGNMENT, LogOp, LogRow, log_batch};

use super::conform::Conformed;
use super::context::{RunContext, Target};
use super::keys::{dense, read, text_at};
use crate::error::IngestError;
use bounds::Bounds;
pub(super) use bounds::added_by_follow;
use listing::{Held, Key, Listing, NO_FOLLOW};
use tag_index::TagIndex;

/// Rows of the log in one batch.
const BATCH: usize = 65_536;
/// Batches in one file of the log.
const FILE_BATCHES: usize = 32;
/// The most customers that a full reading may say nothing about; one with more bounds nothing.
const MAX_LEFT_OUT: usize = 1_000;

/// A row for the log.
#[derive(Debug, Clone, Copy)]
struct Step {
    key: Key,
    op: LogOp,
    assigned_at: i64,
}

/// Takes a listing in, and appends what it changes to the log.
#[derive(Debug)]
pub(super) struct AssignmentSink {
    listing: Listing,
}

impl AssignmentSink {
    /// Loads the tags that the rows may mean.
    pub(super) async fn open(context: &RunContext<'_>) -> Result<Self, IngestError> {
        Ok(Self { listing: Listing::new(TagIndex::load(context).await?) })
    }

    /// Takes conformed rows in.
    pub(super) fn take(
        &mut self,
        context: &mut RunContext<'_>,
        conformed: &Conformed,
        target: &mut Target<'_>,
    ) -> Result<(), IngestError> {
        self.listing.take(context, &conformed.rows, target)?;
        self.listing.take_refused(context, &conformed.refused, target);
        Ok(())
    }

    /// Compares what was listed with what is held, and stages the difference.
    pub(super) async fn finish(
        mut self,
        context: &mut RunContext<'_>,
        target: &mut Target<'_>,
    ) -> Result<(), IngestError> {
        let listed = self.listing.finish(context, target)?;
        let Listing { mut tags, listed_too, doubtful, .. } = self.listing;
        if let Some(made) = tags.made()? {
            target.count.change("new tags", made.num_rows() as u64);
            super::tags::make_known(context, &made).await?;
        }
        let held = held(context, &mut tags).await?;
        let mut steps = difference(&held, &listed, target.ends_unlisted().then_some(&listed_too));
        drop((listed, held, listed_too));
        // An ended follow keeps its last tags: they are no longer listed because the follow is not.
        let ended = ended_follows(context).await?;
        steps.retain(|step| step.op != LogOp::Close || !ended.contains(&step.key.follow));
        for (op, word) in [(LogOp::Open, "opened"), (LogOp::Renew, "renewed"), (LogOp::Close, "closed")] {
            target.count.change(word, steps.iter().filter(|step| step.op == op).count() as u64);
        }
        stage(context, &tags, steps).await?;
        if target.ends_unlisted() && doubtful.len() <= MAX_LEFT_OUT {
            let reading = FullReading {
                read_from: context.read_from,
                next_customer_no: context.customers.next(),
                next_follow_no: context.follows.next(),
                except_customers: doubtful,
            };
            context.state.tables.entry("assignment".to_owned()).or_default().full_reading = Some(reading);
        }
        Ok(())
    }
}

/// Says of customers that this source's last full reading tells nothing about them any more.
pub(super) fn leave_out(context: &mut RunContext<'_>, customers: Vec<u32>) {
    let Some(fill) = context.state.tables.get_mut("assignment") else { return };
    let Some(reading) = &mut fill.full_reading else { return };
    reading.except_customers.extend(customers);
    if reading.except_customers.len() > MAX_LEFT_OUT {
        fill.full_reading = None;
    }
}

/// Stages steps by bucket, in files that are small enough to be made in memory.
async fn stage(context: &mut RunContext<'_>, tags: &TagIndex, steps: Vec<Step>) -> Result<(), IngestError> {
    let bounds = Bounds::load(context).await?;
    let schema = context.run.schema("assignment_log")?;
    let mut by_bucket: BTreeMap<u32, Vec<Step>> = BTreeMap::new();
    for step in steps {
        by_bucket.entry(step.key.customer >> BUCKET_BITS).or_default().push(step);
    }
    for (bucket, steps) in by_bucket {
        for file in steps.chunks(BATCH * FILE_BATCHES) {
            let batches: Result<Vec<RecordBatch>, IngestError> =
                file.chunks(BATCH).map(|steps| steps_batch(context, &schema, tags, &bounds, steps)).collect();
            context.stage("assignment_log", Some(bucket), batches?).await?;
        }
    }
    Ok(())
}

async fn ended_follows(context: &RunContext<'_>) -> Result<HashSet<u32>, IngestError> {
    if let Some(ended) = &context.ended_follows {
        return Ok(ended.clone());
    }
    let sql = "SELECT follow_no, status FROM follow WHERE status = 'ended'";
    let mut ended = HashSet::new();
    for batch in read(context.run.base(), "follow", sql).await? {
        ended.extend(super::follows::ended(&batch)?);
    }
    Ok(ended)
}

/// What this source holds now, by the log, sorted.
async fn held(context: &RunContext<'_>, tags: &mut TagIndex) -> Result<Vec<Held>, IngestError> {
    let source = context.source.name.replace('\'', "''");
    let sql = format!(
        "SELECT customer_no, follow_no, tag_id, assigned_at FROM ({}) AS held WHERE source = '{source}'",
        HELD_ASSIGNMENT.sql
    );
    let mut held = Vec::new();
    for batch in read(context.run.base(), "assignment_log", &sql).await? {
        let [customers, follows] = [0, 1].map(|column| batch.column(column).as_primitive::<Int64Type>());
        let at = batch.column(3).as_primitive::<TimestampMicrosecondType>();
        for row in 0..batch.num_rows() {
            let key = Key {
                customer: dense(customers.value(row))?,
                follow: if follows.is_null(row) { NO_FOLLOW } else { dense(follows.value(row))? },
                tag: tags.number(text_at(&batch, "tag_id", row).unwrap_or_default()),
            };
            held.push((key, if at.is_null(row) { i64::MIN } else { at.value(row) }));
        }
    }
    held.sort_unstable();
    Ok(held)
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

fn steps_batch(
    context: &RunContext<'_>,
    schema: &SchemaRef,
    tags: &TagIndex,
    bounds: &Bounds,
    steps: &[Step],
) -> Result<RecordBatch, IngestError> {
    let now = context.read_by().timestamp_micros();
    let rows: Vec<LogRow<'_>> = steps
        .iter()
        .map(|step| LogRow {
            customer_no: CustomerNo(step.key.customer),
            follow_no: (step.key.follow != NO_FOLLOW).then_some(FollowNo(step.key.follow)),
            tag_id: tags.id(step.key.tag),
            op: step.op,
            cause: if step.op == LogOp::Close { "unlisted" } else { "listed" },
            assigned_at: (step.assigned_at != i64::MIN).then_some(step.assigned_at),
            seen_after: bounds.seen_after(step, tags).map(|at| at.min(now)),
            seen_by: now,
        })
        .collect();
    Ok(log_batch(schema, &context.source.name, context.run.snapshot_id(), &rows)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(customer: u32, tag: u32) -> Key {
        Key { customer, follow: customer, tag }
    }

    fn check(listed_too: Option<&[Key]>, expected: &[(u32, LogOp)]) {
        let held = [(key(1, 0), i64::MIN), (key(2, 0), 5), (key(3, 0), 5), (key(5, 0), 5)];
        let listed = [(key(2, 0), 5), (key(3, 0), 9), (key(4, 0), i64::MIN)];
        let listed_too = listed_too.map(|keys| keys.iter().copied().collect::<HashSet<Key>>());
        let steps: Vec<_> =
            difference(&held, &listed, listed_too.as_ref()).iter().map(|step| (step.key.customer, step.op)).collect();
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

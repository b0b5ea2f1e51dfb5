//! Assignments: a listing compared with what the log says is held, and the difference appended to the log.
//!
//! WeCom tells no time per tag, so the log keeps the instants between which it happened: not before the last reading of
//! this source that covered the follow without the tag, not after the first reading with it. `listing` makes keys of the
//! rows as they come, so that only numbers are kept; `bounds` knows the earlier of the two instants.

mod bounds;
mod listing;

use std::collections::{BTreeMap, HashSet};

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Int64Type, SchemaRef, TimestampMicrosecondType};
use tagmill_schemas::ids::{CustomerNo, FollowNo};
use tagmill_store::{LogOp, LogRow, log_batch};

use super::context::{RunContext, Target};
use super::customers::BUCKET_BITS;
use super::keys::{dense, read, text_at};
use crate::error::IngestError;
use crate::source::Mode;
use bounds::Bounds;
pub(super) use bounds::{added_by_follow, created_by_tag};
use listing::{Held, Key, Listing, NO_FOLLOW, TagNumbers};

/// Rows of the log in one batch.
const BATCH: usize = 65_536;
/// Batches in one file of the log.
const FILE_BATCHES: usize = 32;

/// A row for the log.
#[derive(Debug, Clone, Copy)]
struct Step {
    key: Key,
    op: LogOp,
    assigned_at: i64,
}

/// Takes a listing in, and appends what it changes to the log.
#[derive(Debug, Default)]
pub(super) struct AssignmentSink {
    listing: Listing,
}

impl AssignmentSink {
    /// Takes conformed rows in.
    pub(super) fn take(&mut self, context: &mut RunContext<'_>, rows: &RecordBatch) -> Result<(), IngestError> {
        self.listing.take(context, rows)
    }

    /// Compares what was listed with what is held, and stages the difference.
    pub(super) async fn finish(
        mut self,
        context: &mut RunContext<'_>,
        target: &mut Target<'_>,
    ) -> Result<(), IngestError> {
        let listed = self.listing.finish(context, target)?;
        let mut tags = self.listing.tags;
        let held = held(context, &mut tags).await?;
        let mut steps = difference(&held, &listed, target.select.mode == Mode::Full);
        drop((listed, held));
        // An ended follow keeps its last tags: they are no longer listed because the follow is not.
        let ended = ended_follows(context).await?;
        steps.retain(|step| step.op != LogOp::Close || !ended.contains(&step.key.follow));
        for (op, word) in [(LogOp::Open, "opened"), (LogOp::Renew, "renewed"), (LogOp::Close, "closed")] {
            target.count.change(word, steps.iter().filter(|step| step.op == op).count() as u64);
        }
        stage(context, &tags, steps).await
    }
}

/// Stages steps by bucket, in files that are small enough to be made in memory.
async fn stage(context: &mut RunContext<'_>, tags: &TagNumbers, steps: Vec<Step>) -> Result<(), IngestError> {
    let bounds = Bounds::load(context, tags).await?;
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
async fn held(context: &RunContext<'_>, tags: &mut TagNumbers) -> Result<Vec<Held>, IngestError> {
    let source = context.source.name.replace('\'', "''");
    let sql = format!(
        "SELECT customer_no, follow_no, tag_id, max(assigned_at) AS assigned_at FROM assignment_log WHERE source = '{source}' \
         GROUP BY customer_no, follow_no, tag_id \
         HAVING sum(CASE op WHEN 'open' THEN 1 WHEN 'close' THEN -1 ELSE 0 END) > 0"
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
fn difference(held: &[Held], listed: &[Held], is_full: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut there = held.iter().peekable();
    for (key, at) in listed {
        while let Some((gone, was)) = there.next_if(|(other, _)| other < key) {
            if is_full {
                steps.push(Step { key: *gone, op: LogOp::Close, assigned_at: *was });
            }
        }
        match there.next_if(|(other, _)| other == key) {
            None => steps.push(Step { key: *key, op: LogOp::Open, assigned_at: *at }),
            Some((_, was)) if at > was => steps.push(Step { key: *key, op: LogOp::Renew, assigned_at: *at }),
            Some(_) => {}
        }
    }
    if is_full {
        steps.extend(there.map(|(gone, was)| Step { key: *gone, op: LogOp::Close, assigned_at: *was }));
    }
    steps
}

fn steps_batch(
    context: &RunContext<'_>,
    schema: &SchemaRef,
    tags: &TagNumbers,
    bounds: &Bounds,
    steps: &[Step],
) -> Result<RecordBatch, IngestError> {
    let now = context.read_by().timestamp_micros();
    let rows: Vec<LogRow<'_>> = steps
        .iter()
        .map(|step| LogRow {
            customer_no: CustomerNo(step.key.customer),
            follow_no: (step.key.follow != NO_FOLLOW).then_some(FollowNo(step.key.follow)),
            tag_id: tags.ids[step.key.tag as usize].as_ref(),
            op: step.op,
            cause: if step.op == LogOp::Close { "unlisted" } else { "listed" },
            assigned_at: (step.assigned_at != i64::MIN).then_some(step.assigned_at),
            seen_after: bounds.seen_after(step).map(|at| at.min(now)),
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

    fn check(is_full: bool, expected: &[(u32, LogOp)]) {
        let held = [(key(1, 0), i64::MIN), (key(2, 0), 5), (key(3, 0), 5)];
        let listed = [(key(2, 0), 5), (key(3, 0), 9), (key(4, 0), i64::MIN)];
        let steps: Vec<_> =
            difference(&held, &listed, is_full).iter().map(|step| (step.key.customer, step.op)).collect();
        assert_eq!(steps, expected);
    }

    #[test]
    fn a_full_listing_closes_what_it_no_longer_lists() {
        check(true, &[(1, LogOp::Close), (3, LogOp::Renew), (4, LogOp::Open)]);
    }

    #[test]
    fn an_upsert_closes_nothing() {
        check(false, &[(3, LogOp::Renew), (4, LogOp::Open)]);
    }
}

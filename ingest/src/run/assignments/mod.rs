//! Assignments: a listing compared with what the log says is held, and the difference appended to the log.
//!
//! WeCom tells no time per tag, so the log keeps the instants between which it happened: not before the last reading of
//! this source that covered the follow without the tag, not after the first reading with it.
//!
//! The way of a row: `reading` finds out whom it is about, beside the run; `listing` what it says, in the order of the
//! rows, because one may make a tag known to the next, with `tag_index`, which finds the tags that words mean; `parts` and
//! `places` keep it as numbers; and when all are there, `settling` makes of each part what the log has to say, with
//! `bounds`, which knows the earlier of the two instants.

mod bounds;
mod listing;
mod parts;
mod places;
mod reading;
mod settling;
mod tag_index;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use tagmill_schemas::ids::BUCKET_BITS;
use tagmill_store::{FullReading, HELD_ASSIGNMENT};
use tokio::task::JoinHandle;

use super::conform::Conformed;
use super::context::{RunContext, Target};
use super::keys::{dense, read_each, text_at};
use super::numbers::NumberSet;
use crate::error::IngestError;
use bounds::Bounds;
pub(super) use bounds::note_added;
use listing::{Held, Key, Listing, NO_FOLLOW};
use parts::{Parts, part_of, parts_of_bucket};
use places::Places;
pub(super) use reading::{AssignmentReader, ReadAssignments};
use settling::{Counts, Settled, Settling};
use tag_index::TagIndex;

/// Parts that are settled at once: one for each core of a small machine.
const SETTLING_AT_ONCE: usize = 2;
/// Rows of the log in one file, give or take a batch.
const FILE_ROWS: usize = 1 << 21;
/// The most customers that a full reading may say nothing about; one with more bounds nothing.
const MAX_LEFT_OUT: usize = 1_000;

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

    /// What reads the rows ahead.
    pub(super) fn reader(context: &RunContext<'_>) -> AssignmentReader {
        AssignmentReader { customers: Arc::clone(&context.customers), follows: Arc::clone(&context.follows) }
    }

    /// Takes conformed rows in.
    pub(super) fn take(
        &mut self,
        context: &mut RunContext<'_>,
        conformed: &Conformed,
        read: &ReadAssignments,
        target: &mut Target<'_>,
    ) -> Result<(), IngestError> {
        self.listing.take(context, &conformed.rows, &read.rows, target)?;
        self.listing.take_refused(context, &conformed.refused, &read.refused, target);
        Ok(())
    }

    /// Compares what was listed with what is held, and stages the difference.
    pub(super) async fn finish(self, context: &mut RunContext<'_>, target: &mut Target<'_>) -> Result<(), IngestError> {
        let Listing { tags, listed_too, doubtful, mut rows, places } = self.listing;
        if let Some(made) = tags.made()? {
            target.count.change("new tags", made.num_rows() as u64);
            super::tags::make_known(context, &made).await?;
        }
        let settling = Settling {
            schema: context.run.schema("assignment_log")?,
            source: context.source.name.clone(),
            snapshot_id: context.run.snapshot_id(),
            now: context.read_by().timestamp_micros(),
            bounds: Bounds::load(context).await?,
            ended: ended_follows(context).await?,
            listed_too: target.ends_unlisted().then_some(listed_too),
        };
        let counts = settle(context, settling, &mut rows, tags, places).await?;
        target.count.accepted = counts.listed;
        for (count, word) in [(counts.opened, "opened"), (counts.renewed, "renewed"), (counts.closed, "closed")] {
            target.count.change(word, count);
        }
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

async fn ended_follows(context: &RunContext<'_>) -> Result<Arc<NumberSet>, IngestError> {
    match &context.ended_follows {
        Some(ended) => Ok(Arc::clone(ended)),
        None => Ok(Arc::new(bounds::ended_before(context).await?)),
    }
}

/// Settles every part of a listing, several at once, and stages what they have for the log in their order.
async fn settle(
    context: &mut RunContext<'_>,
    settling: Settling,
    listed: &mut Parts,
    tags: TagIndex,
    places: Places,
) -> Result<Counts, IngestError> {
    let (settling, mut tags) = (Arc::new(settling), Arc::new(tags));
    let mut log = Log { places, rows: 0, batches: Vec::new(), bucket: 0, counts: Counts::default() };
    let mut running: VecDeque<(u32, JoinHandle<Result<Settled, IngestError>>)> = VecDeque::new();
    for bucket in context.customers.buckets() {
        let held = Arc::new(held_in(context, bucket, &mut tags).await?);
        for part in parts_of_bucket(bucket) {
            let (pieces, range) = (listed.take(part), range_of(&held, part));
            if pieces.is_empty() && range.is_empty() {
                continue;
            }
            if running.len() >= SETTLING_AT_ONCE
                && let Some((bucket, oldest)) = running.pop_front()
            {
                log.take(context, bucket, oldest.await.map_err(IngestError::internal)??, &tags).await?;
            }
            let (settling, held, tags) = (Arc::clone(&settling), Arc::clone(&held), Arc::clone(&tags));
            let part = tokio::task::spawn_blocking(move || settling.settle(pieces, &held[range], &tags));
            running.push_back((bucket, part));
        }
    }
    for (bucket, part) in running {
        log.take(context, bucket, part.await.map_err(IngestError::internal)??, &tags).await?;
    }
    log.stage(context).await?;
    Ok(log.counts)
}

/// Rows of the log on their way to its files.
struct Log {
    places: Places,
    /// The bucket of the rows that wait.
    bucket: u32,
    batches: Vec<RecordBatch>,
    rows: usize,
    counts: Counts,
}

impl Log {
    /// Takes in what came of a part. Parts come by bucket.
    async fn take(
        &mut self,
        context: &mut RunContext<'_>,
        bucket: u32,
        part: Settled,
        tags: &TagIndex,
    ) -> Result<(), IngestError> {
        for (row, stays) in &part.repeated {
            listing::refuse_repeated(context, &self.places, tags, row, stays)?;
        }
        context.quarantine.settle().await?;
        self.counts.add(part.counts);
        if bucket != self.bucket {
            self.stage(context).await?;
            self.bucket = bucket;
        }
        for batch in part.batches {
            self.rows += batch.num_rows();
            self.batches.push(batch);
            if self.rows >= FILE_ROWS {
                self.stage(context).await?;
            }
        }
        Ok(())
    }

    /// Stages what waits as one file.
    async fn stage(&mut self, context: &mut RunContext<'_>) -> Result<(), IngestError> {
        self.rows = 0;
        context.stage("assignment_log", Some(self.bucket), std::mem::take(&mut self.batches)).await
    }
}

/// Where the keys of a part are in what is held in its bucket, sorted.
fn range_of(held: &[Held], part: usize) -> Range<usize> {
    let from = held.partition_point(|(key, _)| part_of(key.customer) < part);
    from..held.partition_point(|(key, _)| part_of(key.customer) <= part)
}

/// What this source holds now of the customers of a bucket, by the log, sorted.
async fn held_in(context: &RunContext<'_>, bucket: u32, tags: &mut Arc<TagIndex>) -> Result<Vec<Held>, IngestError> {
    let source = context.source.name.replace('\'', "''");
    let (from, to) = (u64::from(bucket) << BUCKET_BITS, (u64::from(bucket) + 1) << BUCKET_BITS);
    let sql = format!(
        "SELECT customer_no, follow_no, tag_id, assigned_at FROM ({}) AS held \
         WHERE source = '{source}' AND customer_no >= {from} AND customer_no < {to}",
        HELD_ASSIGNMENT.sql
    );
    let mut held = Vec::new();
    read_each(context.run.base(), "assignment_log", &sql, |batch| {
        let [customers, follows] = [0, 1].map(|column| batch.column(column).as_primitive::<Int64Type>());
        let at = batch.column(3).as_primitive::<TimestampMicrosecondType>();
        for row in 0..batch.num_rows() {
            let tag = text_at(batch, "tag_id", row).unwrap_or_default();
            let key = Key {
                customer: dense(customers.value(row))?,
                follow: if follows.is_null(row) { NO_FOLLOW } else { dense(follows.value(row))? },
                // A tag that only the log knows has no number yet.
                tag: tags.known_number(tag).unwrap_or_else(|| Arc::make_mut(tags).number(tag)),
            };
            held.push((key, if at.is_null(row) { i64::MIN } else { at.value(row) }));
        }
        Ok(())
    })
    .await?;
    held.sort_unstable();
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_put_apart_as_what_is_listed_is() {
        let held: Vec<Held> = [3, 7, (1 << 17) - 1, 1 << 17, (3 << 17) + 5]
            .into_iter()
            .map(|customer| (Key { customer, follow: 0, tag: 0 }, 0))
            .collect();
        let ranges: Vec<_> =
            parts_of_bucket(0).map(|part| range_of(&held, part)).filter(|found| !found.is_empty()).collect();
        assert_eq!(ranges, [0..3, 3..4, 4..5]);
    }
}

//! Assignments: a listing compared with what the log says is held, and the difference appended to the log.
//!
//! WeCom tells no time per tag, so the log keeps the instants between which it happened: not before the last reading of
//! this source that covered the follow without the tag, not after the first reading with it.

use std::collections::{BTreeMap, HashMap, HashSet};

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Int64Type, SchemaRef, TimestampMicrosecondType};
use tagmill_schemas::ids::{CustomerNo, FollowNo};
use tagmill_store::{LogOp, LogRow, log_batch};

use super::context::{RunContext, Target};
use super::customers::BUCKET_BITS;
use super::keys::{dense, instant_at, read, text_at};
use super::listed::refuse_unmatched;
use super::quarantine::Refusal;
use super::tags::made_tag_id;
use crate::error::IngestError;
use crate::source::Mode;

/// Rows of the log in one batch.
const BATCH: usize = 65_536;
/// Stands for "no follow" in a key: a customer-level assignment.
const NO_FOLLOW: u32 = u32::MAX;

/// Who holds which tag; sorts by customer, so that the log's files do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    customer: u32,
    follow: u32,
    tag: u32,
}

/// A key with the instant at which the source says the tag was given; `i64::MIN` where it says none.
type Held = (Key, i64);

/// A row for the log.
#[derive(Debug, Clone, Copy)]
struct Step {
    key: Key,
    op: LogOp,
    assigned_at: i64,
}

/// Tag ids as small numbers.
#[derive(Debug, Default)]
struct TagNumbers {
    by_id: HashMap<Box<str>, u32>,
    ids: Vec<Box<str>>,
}

impl TagNumbers {
    fn number(&mut self, id: &str) -> u32 {
        if let Some(number) = self.by_id.get(id) {
            return *number;
        }
        // Tags are counted in thousands.
        let number = self.ids.len() as u32;
        self.by_id.insert(id.into(), number);
        self.ids.push(id.into());
        number
    }
}

/// Applies the rows of `assignment`.
pub(super) async fn apply(
    context: &mut RunContext<'_>,
    rows: &RecordBatch,
    target: &mut Target<'_>,
) -> Result<(), IngestError> {
    let mut tags = TagNumbers::default();
    let listed = listed(context, rows, &mut tags, target)?;
    let held = held(context, &mut tags).await?;
    let mut steps = difference(&held, &listed, target.select.mode == Mode::Full);
    // An ended follow keeps its last tags: they are no longer listed because the follow is not.
    let ended = match &context.ended_follows {
        Some(ended) => ended.clone(),
        None => {
            let sql = "SELECT follow_no, status FROM follow WHERE status = 'ended'";
            let mut ended = HashSet::new();
            for batch in read(context.run.base(), "follow", sql).await? {
                ended.extend(super::follows::ended(&batch)?);
            }
            ended
        }
    };
    steps.retain(|step| step.op != LogOp::Close || !ended.contains(&step.key.follow));
    for (op, word) in [(LogOp::Open, "opened"), (LogOp::Renew, "renewed"), (LogOp::Close, "closed")] {
        target.count.change(word, steps.iter().filter(|step| step.op == op).count() as u64);
    }
    let bounds = Bounds::load(context, &tags).await?;
    let schema = context.run.schema("assignment_log")?;
    let mut by_bucket: BTreeMap<u32, Vec<Step>> = BTreeMap::new();
    for step in steps {
        by_bucket.entry(step.key.customer >> BUCKET_BITS).or_default().push(step);
    }
    for (bucket, steps) in by_bucket {
        let batches: Result<Vec<RecordBatch>, IngestError> =
            steps.chunks(BATCH).map(|steps| steps_batch(context, &schema, &tags, &bounds, steps)).collect();
        context.stage("assignment_log", Some(bucket), batches?).await?;
    }
    Ok(())
}

/// The rows of the listing as sorted keys; unmatched and repeated ones are put into quarantine.
fn listed(
    context: &mut RunContext<'_>,
    rows: &RecordBatch,
    tags: &mut TagNumbers,
    target: &mut Target<'_>,
) -> Result<Vec<Held>, IngestError> {
    let assigned = rows.column_by_name("assigned_at").and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
    let mut keyed: Vec<(Held, u32)> = Vec::with_capacity(rows.num_rows());
    for row in 0..rows.num_rows() {
        if let Some(key) = key_of(context, rows, tags, row)? {
            let at = assigned.filter(|at| !at.is_null(row)).map_or(i64::MIN, |at| at.value(row));
            keyed.push(((key, at), row as u32));
        }
    }
    // The latest of repeated rows comes last within its key.
    keyed.sort_unstable();
    let mut listed: Vec<Held> = Vec::with_capacity(keyed.len());
    for ((key, at), row) in keyed {
        match listed.last_mut() {
            Some((last, last_at)) if *last == key => {
                *last_at = at;
                let refusal = Refusal::new("DUPLICATE", "the same tag on the same follow was listed before".to_owned());
                let row = row as usize;
                let place = super::conform::place_of(rows, row);
                context.quarantine.add("assignment", &place, refusal, || super::conform::raw_of(rows, row))?;
            }
            _ => listed.push((key, at)),
        }
    }
    target.count.accepted = listed.len() as u64;
    Ok(listed)
}

/// The key of a row; `None` where it was put into quarantine.
fn key_of(
    context: &mut RunContext<'_>,
    rows: &RecordBatch,
    tags: &mut TagNumbers,
    row: usize,
) -> Result<Option<Key>, IngestError> {
    let Some(customer) = context.customers.get(text_at(rows, "customer_id", row).unwrap_or_default()) else {
        refuse_unmatched(context, rows, "assignment", row)?;
        return Ok(None);
    };
    let refuse = |context: &mut RunContext<'_>, code: &'static str, reason: String| {
        let place = super::conform::place_of(rows, row);
        context.quarantine.add("assignment", &place, Refusal::new(code, reason), || super::conform::raw_of(rows, row))
    };
    let follow = match text_at(rows, "staff_id", row) {
        None => NO_FOLLOW,
        Some(staff) => match context.follows.get(staff, customer) {
            Some(follow) => follow,
            None => {
                let reason = format!("`{staff}` is not known to follow this customer");
                refuse(context, "UNMATCHED_FOLLOW", reason)?;
                return Ok(None);
            }
        },
    };
    let named = text_at(rows, "group_name", row).zip(text_at(rows, "tag_name", row));
    let tag = match (text_at(rows, "tag_id", row), named) {
        (Some(id), _) => tags.number(id),
        (None, Some((group, name))) => tags.number(&made_tag_id(&context.source.name, group, name)),
        (None, None) => {
            refuse(context, "MISSING_VALUE", "neither `tag_id` nor `group_name` and `tag_name` is given".to_owned())?;
            return Ok(None);
        }
    };
    Ok(Some(Key { customer, follow, tag }))
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

/// Before which instant nothing can have happened.
struct Bounds {
    /// When each tag was made, by its number.
    tag_created: Vec<Option<i64>>,
    /// When each follow began, by its number.
    follow_added: HashMap<u32, i64>,
    /// When the source's last reading began, and which follows it covered.
    last_reading: Option<(i64, HashSet<u32>)>,
}

impl Bounds {
    async fn load(context: &RunContext<'_>, tags: &TagNumbers) -> Result<Self, IngestError> {
        let created = match &context.tag_created {
            Some(created) => created.clone(),
            None => {
                let sql = "SELECT tag_id, created_at FROM tag";
                created_by_tag(&read(context.run.base(), "tag", sql).await?)
            }
        };
        let follow_added = match &context.follow_added {
            Some(added) => added.clone(),
            None => {
                let sql = "SELECT follow_no, added_at FROM follow";
                added_by_follow(&read(context.run.base(), "follow", sql).await?)?
            }
        };
        let mut covered = HashSet::new();
        let sql = "SELECT follow_no FROM follow WHERE status <> 'ended'";
        for batch in read(context.run.base(), "follow", sql).await? {
            for follow in batch.column(0).as_primitive::<Int64Type>().values() {
                covered.insert(dense(*follow)?);
            }
        }
        // A source that has never listed assignments covered nothing.
        let has_listed = context.state.tables.contains_key("assignment");
        let last = context.state.last_read_from.filter(|_| has_listed);
        Ok(Self {
            tag_created: tags.ids.iter().map(|id| created.get(id.as_ref()).copied()).collect(),
            follow_added,
            last_reading: last.map(|at| (at.timestamp_micros(), covered)),
        })
    }

    /// The instant at or after which a step happened; `None` where nothing bounds it.
    fn seen_after(&self, step: &Step) -> Option<i64> {
        let last = self
            .last_reading
            .as_ref()
            .filter(|(_, covered)| step.key.follow == NO_FOLLOW || covered.contains(&step.key.follow))
            .map(|(at, _)| *at);
        let made = self.tag_created.get(step.key.tag as usize).copied().flatten();
        let added = self.follow_added.get(&step.key.follow).copied();
        [last, made, added].into_iter().flatten().max()
    }
}

/// When each tag of some rows was made, microseconds; tags that do not say are left out.
pub(super) fn created_by_tag(batches: &[RecordBatch]) -> HashMap<String, i64> {
    let mut created = HashMap::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            if let (Some(id), Some(at)) = (text_at(batch, "tag_id", row), instant_at(batch, "created_at", row)) {
                created.insert(id.to_owned(), at);
            }
        }
    }
    created
}

/// When each follow of some rows began, microseconds; follows that do not say are left out.
pub(super) fn added_by_follow(batches: &[RecordBatch]) -> Result<HashMap<u32, i64>, IngestError> {
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

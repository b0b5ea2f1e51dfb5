//! Computed tags: a plan's steps as assignments of the store, published as a snapshot.

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use tagmill_query::{Access, Engine, Limits, View};
use tagmill_schemas::documents::plan::{PlanHeader, PlanStep, StepOutcome};
use tagmill_schemas::segment::AsOf;
use tagmill_store::{LogOp, LogRow, Outcome, Run, RunSummary, Warehouse, log_batch};

use crate::cells::{dense, text};
use crate::error::ActivateError;
use crate::execute::{SinkOutcome, TagSink};

/// Customer numbers in one bucket of the log.
const BUCKET_BITS: u32 = 20;

/// Puts computed tags into the store and publishes them.
///
/// A computed tag is dated by the `taken_at` of the snapshot it was put on: it brings no new knowledge of the outside
/// world, so that `as_of: latest` stays where the sources left it.
#[derive(Debug, Clone)]
pub struct ComputedTagSink {
    warehouse: Warehouse,
}

/// A tag on a follow, or on a customer where there is none.
type Key = (u32, Option<u32>, String);

impl ComputedTagSink {
    /// Makes a sink for a warehouse.
    pub fn new(warehouse: Warehouse) -> Self {
        Self { warehouse }
    }
}

#[async_trait]
impl TagSink for ComputedTagSink {
    async fn apply(&self, header: &PlanHeader, steps: &[PlanStep]) -> Result<SinkOutcome, ActivateError> {
        // The lock is taken first, so that what is read is what the run builds on.
        let run = self.warehouse.begin().await?;
        let engine = Engine::new(self.warehouse.clone(), Limits::default())?;
        let view = engine.view(AsOf::Latest, Access::Full).await?;
        let mut held = held_by(&view, &header.source).await?;
        let ours = changed_by(&view, header).await?;
        let active = active_follows(&view).await?;
        let (mut outcomes, mut changes) = (Vec::with_capacity(steps.len()), Vec::new());
        for step in steps {
            outcomes.push(judge(step, &mut held, &ours, &active, &mut changes));
        }
        if changes.is_empty() {
            return Ok(SinkOutcome { outcomes, snapshot_id: None });
        }
        let snapshot_id = publish(run, &view, header, changes).await?;
        Ok(SinkOutcome { outcomes, snapshot_id: Some(snapshot_id) })
    }
}

/// Decides one step against what is there; notes the changes it makes.
fn judge(
    step: &PlanStep,
    held: &mut HashSet<Key>,
    ours: &HashSet<Key>,
    active: &HashSet<u32>,
    changes: &mut Vec<(Key, LogOp)>,
) -> (StepOutcome, Option<String>) {
    let follow = step.follow_no.map(|no| no.0);
    let is_gone = follow.is_some_and(|follow| !active.contains(&follow));
    if is_gone && !step.add.is_empty() {
        return (StepOutcome::Skipped, Some("the follow is no longer active".to_owned()));
    }
    let before = changes.len();
    let mut was_ours = false;
    let key = |tag: &tagmill_schemas::ids::TagId| (step.customer_no.0, follow, tag.0.clone());
    for tag in &step.add {
        if held.insert(key(tag)) {
            changes.push((key(tag), LogOp::Open));
        } else {
            was_ours |= ours.contains(&key(tag));
        }
    }
    for tag in &step.remove {
        if held.remove(&key(tag)) {
            changes.push((key(tag), LogOp::Close));
        } else {
            was_ours |= ours.contains(&key(tag));
        }
    }
    // A run that was killed between publishing and its receipts has done the step all the same.
    let is_done = changes.len() > before || was_ours;
    (if is_done { StepOutcome::Done } else { StepOutcome::Already }, None)
}

async fn publish(
    mut run: Run,
    view: &View,
    header: &PlanHeader,
    changes: Vec<(Key, LogOp)>,
) -> Result<tagmill_schemas::ids::SnapshotId, ActivateError> {
    let stager = run.stager("assignment_log")?;
    let taken_at = view.ledger_row().taken_at;
    let at = taken_at.timestamp_micros();
    let mut by_bucket: BTreeMap<u32, Vec<&(Key, LogOp)>> = BTreeMap::new();
    for change in &changes {
        by_bucket.entry(change.0.0 >> BUCKET_BITS).or_default().push(change);
    }
    for (bucket, changes) in by_bucket {
        let rows: Vec<LogRow<'_>> = changes
            .iter()
            .map(|((customer, follow, tag), op)| LogRow {
                customer_no: tagmill_schemas::ids::CustomerNo(*customer),
                follow_no: follow.map(tagmill_schemas::ids::FollowNo),
                tag_id: tag,
                op: *op,
                cause: header.plan_id.as_str(),
                assigned_at: (*op == LogOp::Open).then_some(at),
                seen_after: Some(at),
                seen_by: at,
            })
            .collect();
        let batch = log_batch(stager.schema(), &header.source, run.snapshot_id(), &rows)?;
        run.add("assignment_log", stager.stage(Some(bucket), [batch])?);
    }
    let summary = RunSummary {
        source: header.source.clone(),
        read_from: taken_at,
        read_until: taken_at,
        counts: Vec::new(),
        accept_shrink: false,
        state: None,
    };
    match run.publish(summary).await? {
        Outcome::Published(row) => Ok(row.snapshot_id),
        Outcome::Refused(_) => Err(ActivateError::Internal { reason: "a run without counts was refused".to_owned() }),
    }
}

async fn held_by(view: &View, source: &str) -> Result<HashSet<Key>, ActivateError> {
    let sql = format!(
        "SELECT customer_no, follow_no, tag_id FROM assignment_log WHERE source = '{}' GROUP BY customer_no, follow_no, tag_id \
         HAVING sum(CASE op WHEN 'open' THEN 1 WHEN 'close' THEN -1 ELSE 0 END) > 0",
        source.replace('\'', "''")
    );
    keys(view, &sql).await
}

async fn keys(view: &View, sql: &str) -> Result<HashSet<Key>, ActivateError> {
    let mut keys = HashSet::new();
    let mut rows = view.sql(sql).await?;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            let customer = dense(&batch, "customer_no", row)?.unwrap_or_default();
            let tag = text(&batch, "tag_id", row)?.unwrap_or_default();
            keys.insert((customer, dense(&batch, "follow_no", row)?, tag));
        }
    }
    Ok(keys)
}

/// What this plan has changed already: every row of the log names the plan that caused it.
async fn changed_by(view: &View, header: &PlanHeader) -> Result<HashSet<Key>, ActivateError> {
    let sql = format!(
        "SELECT DISTINCT customer_no, follow_no, tag_id FROM assignment_log WHERE source = '{}' AND cause = '{}'",
        header.source.replace('\'', "''"),
        header.plan_id
    );
    keys(view, &sql).await
}

async fn active_follows(view: &View) -> Result<HashSet<u32>, ActivateError> {
    let mut active = HashSet::new();
    let mut rows = view.sql("SELECT follow_no FROM follow WHERE status IN ('active', 'half')").await?;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            active.extend(dense(&batch, "follow_no", row)?);
        }
    }
    Ok(active)
}

//! Computed tags: a plan's steps as assignments of the store, published as a snapshot.

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use tagmill_query::{Access, Engine, Limits, View};
use tagmill_schemas::documents::plan::{PlanHeader, PlanStep, StepOutcome};
use tagmill_schemas::ids::{CustomerNo, FollowNo, SnapshotId, TagId};
use tagmill_schemas::segment::AsOf;
use tagmill_store::{LogOp, LogRow, Outcome, Run, RunSummary, Warehouse, log_batch};

use crate::cells::{dense, text};
use crate::error::ActivateError;
use crate::execute::{SinkOutcome, TagSink};

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
        let mut state = State {
            held: held_by(&view, &header.source).await?,
            changed_by_this_plan: changed_by(&view, header).await?,
            active: active_follows(&view).await?,
        };
        let mut changes = Vec::new();
        let outcomes = steps.iter().map(|step| state.judge(step, &mut changes)).collect();
        if changes.is_empty() {
            return Ok(SinkOutcome { outcomes, snapshot_id: None });
        }
        let snapshot_id = publish(run, &view, header, changes).await?;
        Ok(SinkOutcome { outcomes, snapshot_id: Some(snapshot_id) })
    }
}

/// What the steps of a plan are held against.
struct State {
    /// What the plan's source holds, with the changes of the steps before.
    held: HashSet<Key>,
    /// What the plan has changed already, in a run that was killed between publishing and its receipts.
    changed_by_this_plan: HashSet<Key>,
    /// The follows that are active or half.
    active: HashSet<u32>,
}

impl State {
    /// Decides one step; notes the changes it makes.
    ///
    /// What the plan has changed already is done, whatever has become of it since: another plan may have taken it back,
    /// and taking this one up again must not undo that.
    fn judge(&mut self, step: &PlanStep, changes: &mut Vec<(Key, LogOp)>) -> (StepOutcome, Option<String>) {
        let follow = step.follow_no.map(|no| no.0);
        let key = |tag: &TagId| (step.customer_no.0, follow, tag.0.clone());
        let is_changed = |tag: &TagId| self.changed_by_this_plan.contains(&key(tag));
        let (done, left): (Vec<_>, Vec<_>) = step
            .add
            .iter()
            .map(|tag| (tag, LogOp::Open))
            .chain(step.remove.iter().map(|tag| (tag, LogOp::Close)))
            .partition(|(tag, _)| is_changed(tag));
        let is_gone = follow.is_some_and(|follow| !self.active.contains(&follow));
        if is_gone && left.iter().any(|(_, op)| *op == LogOp::Open) {
            return (StepOutcome::Skipped, Some("the follow is no longer active".to_owned()));
        }
        let before = changes.len();
        for (tag, op) in left {
            let is_change = if op == LogOp::Open { self.held.insert(key(tag)) } else { self.held.remove(&key(tag)) };
            if is_change {
                changes.push((key(tag), op));
            }
        }
        let is_done = changes.len() > before || !done.is_empty();
        (if is_done { StepOutcome::Done } else { StepOutcome::Already }, None)
    }
}

async fn publish(
    mut run: Run,
    view: &View,
    header: &PlanHeader,
    changes: Vec<(Key, LogOp)>,
) -> Result<SnapshotId, ActivateError> {
    let stager = run.stager("assignment_log")?;
    let taken_at = view.ledger_row().taken_at;
    let at = taken_at.timestamp_micros();
    let mut by_bucket: BTreeMap<u32, Vec<&(Key, LogOp)>> = BTreeMap::new();
    for change in &changes {
        by_bucket.entry(CustomerNo(change.0.0).bucket()).or_default().push(change);
    }
    for (bucket, changes) in by_bucket {
        let rows: Vec<LogRow<'_>> = changes
            .iter()
            .map(|((customer, follow, tag), op)| LogRow {
                customer_no: CustomerNo(*customer),
                follow_no: follow.map(FollowNo),
                tag_id: tag,
                op: *op,
                cause: header.plan_id.as_str(),
                assigned_at: (*op == LogOp::Open).then_some(at),
                seen_after: Some(at),
                seen_by: at,
            })
            .collect();
        let batch = log_batch(stager.schema(), &header.source, run.snapshot_id(), &rows)?;
        run.add("assignment_log", stager.stage(Some(bucket), [batch]).await?)?;
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
        "SELECT customer_no, follow_no, tag_id FROM held_assignment WHERE source = '{}'",
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

#[cfg(test)]
mod tests {
    use tagmill_schemas::ids::CustomerKey;

    use super::*;

    const TAG: &str = "corp:活跃度/沉睡用户";

    fn key(follow: u32) -> Key {
        (7, Some(follow), TAG.to_owned())
    }

    fn step(follow: u32, op: LogOp) -> PlanStep {
        let (add, remove) = if op == LogOp::Open { (vec![TAG], vec![]) } else { (vec![], vec![TAG]) };
        let ids = |tags: Vec<&str>| tags.into_iter().map(TagId::new).collect();
        PlanStep {
            step_no: 1,
            customer_no: CustomerNo(7),
            customer: CustomerKey { id_space: "corp".to_owned(), customer_id: "wm7".to_owned() },
            follow_no: Some(FollowNo(follow)),
            staff_id: None,
            add: ids(add),
            remove: ids(remove),
            evidence: String::new(),
        }
    }

    /// Judges a step on follow 9, and returns what came of it and whether it changed something.
    fn judged(state: &mut State, op: LogOp) -> (StepOutcome, bool) {
        let mut changes = Vec::new();
        let (outcome, _) = state.judge(&step(9, op), &mut changes);
        (outcome, !changes.is_empty())
    }

    fn state(held: &[u32], changed_by_this_plan: &[u32], active: &[u32]) -> State {
        let keys = |follows: &[u32]| follows.iter().map(|follow| key(*follow)).collect();
        State {
            held: keys(held),
            changed_by_this_plan: keys(changed_by_this_plan),
            active: active.iter().copied().collect(),
        }
    }

    #[test]
    fn a_step_changes_what_is_not_as_it_wants_it() {
        assert_eq!(judged(&mut state(&[], &[], &[9]), LogOp::Open), (StepOutcome::Done, true));
        assert_eq!(judged(&mut state(&[9], &[], &[9]), LogOp::Open), (StepOutcome::Already, false));
        assert_eq!(judged(&mut state(&[9], &[], &[9]), LogOp::Close), (StepOutcome::Done, true));
        assert_eq!(judged(&mut state(&[], &[], &[9]), LogOp::Close), (StepOutcome::Already, false));
    }

    #[test]
    fn a_follow_that_is_no_longer_active_gets_no_tag_and_can_lose_one() {
        assert_eq!(judged(&mut state(&[], &[], &[8]), LogOp::Open), (StepOutcome::Skipped, false));
        assert_eq!(judged(&mut state(&[9], &[], &[8]), LogOp::Close), (StepOutcome::Done, true));
    }

    /// Invariant 5: the plan was published and killed before its receipts, and another plan has taken its changes back.
    #[test]
    fn what_the_plan_has_changed_already_is_done_whatever_has_become_of_it_since() {
        assert_eq!(judged(&mut state(&[], &[9], &[9]), LogOp::Open), (StepOutcome::Done, false));
        assert_eq!(judged(&mut state(&[9], &[9], &[9]), LogOp::Close), (StepOutcome::Done, false));
        assert_eq!(judged(&mut state(&[], &[9], &[8]), LogOp::Open), (StepOutcome::Done, false));
    }
}

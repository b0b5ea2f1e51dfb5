//! Executing a plan: a walk over its steps that makes no choices, leaves a receipt for each, and can be taken up again.

use async_trait::async_trait;
use tagmill_query::{Access, Engine, Limits};
use tagmill_schemas::documents::plan::{
    PlanHeader, PlanIdentity, PlanKind, PlanState, PlanStep, Receipt, StepOutcome, content_hash,
};
use tagmill_schemas::ids::{PlanId, SnapshotId};
use tagmill_schemas::segment::AsOf;
use tagmill_store::{ControlStore, StoreError, StoredPlan, Warehouse};

use crate::error::ActivateError;
use crate::lint::lint;
use crate::plan::{actor_name, header_of, keep_plan};

/// Where the steps of a plan take effect.
///
/// An implementation is idempotent: a step whose change is there already is `Already` and changes nothing.
#[async_trait]
pub trait TagSink: Send + Sync {
    /// Applies steps and says of each what happened.
    async fn apply(&self, header: &PlanHeader, steps: &[PlanStep]) -> Result<SinkOutcome, ActivateError>;
}

/// What a sink did.
#[derive(Debug, Clone, PartialEq)]
pub struct SinkOutcome {
    /// For each step, in order: what happened, and why where it was skipped or failed.
    pub outcomes: Vec<(StepOutcome, Option<String>)>,
    /// The snapshot that shows it, where one was published.
    pub snapshot_id: Option<SnapshotId>,
}

/// What an execution did.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    /// The plan after it.
    pub plan: StoredPlan,
    /// Steps that changed something.
    pub done: u64,
    /// Steps whose change was there already.
    pub already: u64,
    /// Steps that no longer applied.
    pub skipped: u64,
    /// Steps that did not work.
    pub failed: u64,
    /// The snapshot that shows it, where one was published by this call.
    pub snapshot_id: Option<SnapshotId>,
}

/// Executes an approved plan, or takes one up that was broken off. Executing an executed plan changes nothing.
///
/// # Errors
/// `ActivateError::NoActor`, `ActivateError::NotApproved`, `ActivateError::Altered` where the steps are not those that
/// were approved, and what the sink may fail with; after an error the plan can be executed again.
pub async fn execute_plan(
    warehouse: &Warehouse,
    plan_id: &PlanId,
    actor: &str,
    sink: &dyn TagSink,
) -> Result<Execution, ActivateError> {
    let actor = actor_name(actor)?;
    let control = warehouse.control()?;
    let plan = control.plan(plan_id)?;
    if matches!(plan.state, PlanState::Executed | PlanState::Undone) {
        return summary(&control, plan_id, None);
    }
    let is_agreed = plan.approvals.iter().any(|approval| approval.content_hash == plan.header.content_hash);
    if !matches!(plan.state, PlanState::Approved | PlanState::Executing) || !is_agreed {
        return Err(ActivateError::NotApproved { plan_id: plan_id.to_string(), state: plan.state.to_string() });
    }
    let steps = approved_steps(&control, &plan.header)?;
    control.move_plan(plan_id, PlanState::Executing, actor, warehouse.clock().now())?;
    let has_receipt: std::collections::HashSet<i64> =
        control.receipts(plan_id)?.iter().map(|receipt| receipt.step_no).collect();
    let left: Vec<PlanStep> = steps.into_iter().filter(|step| !has_receipt.contains(&step.step_no)).collect();
    let outcome = sink.apply(&plan.header, &left).await?;
    let at = warehouse.clock().now();
    let receipts: Vec<Receipt> = left
        .iter()
        .zip(outcome.outcomes)
        .map(|(step, (outcome, detail))| Receipt {
            plan_id: plan_id.clone(),
            step_no: step.step_no,
            outcome,
            detail,
            at,
        })
        .collect();
    control.add_receipts(&receipts)?;
    // Before the plan itself is executed for good, so that whoever takes up a broken-off undo comes by here again.
    mark_undone(&control, &plan.header, actor, at)?;
    control.move_plan(plan_id, PlanState::Executed, actor, at)?;
    summary(&control, plan_id, outcome.snapshot_id)
}

/// The kept steps, where they are those that were approved. A file that cannot be read as steps any more is not.
fn approved_steps(control: &ControlStore, header: &PlanHeader) -> Result<Vec<PlanStep>, ActivateError> {
    let altered = || ActivateError::Altered { plan_id: header.plan_id.to_string() };
    let steps = match control.steps(&header.plan_id) {
        Err(StoreError::Parquet { .. } | StoreError::Damaged { .. }) => return Err(altered()),
        steps => steps?,
    };
    let expected = control.expected_hash(header)?;
    if content_hash(&header.identity(), steps.iter()) == expected { Ok(steps) } else { Err(altered()) }
}

/// Makes the plan that takes an executed plan back: the steps that were done, the other way round.
///
/// # Errors
/// `ActivateError::NoActor`; `ActivateError::Lint` where the plan has not been executed, where taking it back would do
/// to a tag what no plan may, and where the same undo was rejected before.
pub async fn undo_plan(warehouse: &Warehouse, undone: &PlanId, author: &str) -> Result<PlanHeader, ActivateError> {
    let author = actor_name(author)?;
    let control = warehouse.control()?;
    let plan = control.plan(undone)?;
    if plan.state != PlanState::Executed {
        return Err(ActivateError::Lint {
            reason: format!("plan `{undone}` is {}, and only an executed plan can be taken back", plan.state),
            advice: format!("`tagmill plan show {undone}` tells how far it has come"),
        });
    }
    let steps = steps_back(&control, undone)?;
    let view = Engine::new(warehouse.clone(), Limits::default())?.view(AsOf::Latest, Access::Full).await?;
    lint(&view, &steps).await?;
    let identity = PlanIdentity {
        kind: PlanKind::Undo,
        source: &plan.header.source,
        author,
        snapshot_id: view.ledger_row().snapshot_id,
        // What is taken back is identified by its content.
        definition_hash: &plan.header.content_hash,
    };
    let title = format!("take back {undone}: {}", plan.header.title);
    let header = header_of(&identity, title, &steps, warehouse.clock().now());
    keep_plan(&control, &header, &steps)?;
    Ok(header)
}

/// The steps that a plan has done, the other way round.
fn steps_back(control: &ControlStore, undone: &PlanId) -> Result<Vec<PlanStep>, ActivateError> {
    let done: std::collections::HashSet<i64> = control
        .receipts(undone)?
        .iter()
        .filter(|receipt| receipt.outcome == StepOutcome::Done)
        .map(|receipt| receipt.step_no)
        .collect();
    let back = |(step, step_no): (PlanStep, i64)| PlanStep {
        step_no,
        add: step.remove,
        remove: step.add,
        evidence: format!("takes back step {} of {undone}", step.step_no),
        ..step
    };
    let steps = control.steps(undone)?.into_iter().filter(|step| done.contains(&step.step_no));
    Ok(steps.zip(1..).map(back).collect())
}

/// An undo plan whose steps are done moves what it took back on to `undone`.
fn mark_undone(
    control: &ControlStore,
    header: &PlanHeader,
    actor: &str,
    at: chrono::DateTime<chrono::Utc>,
) -> Result<(), ActivateError> {
    if header.kind != PlanKind::Undo {
        return Ok(());
    }
    for plan in control.plans()? {
        if plan.header.content_hash == header.definition_hash && plan.state == PlanState::Executed {
            control.move_plan(&plan.header.plan_id, PlanState::Undone, actor, at)?;
        }
    }
    Ok(())
}

fn summary(
    control: &ControlStore,
    plan_id: &PlanId,
    snapshot_id: Option<SnapshotId>,
) -> Result<Execution, ActivateError> {
    let receipts = control.receipts(plan_id)?;
    let count = |outcome| receipts.iter().filter(|receipt| receipt.outcome == outcome).count() as u64;
    Ok(Execution {
        plan: control.plan(plan_id)?,
        done: count(StepOutcome::Done),
        already: count(StepOutcome::Already),
        skipped: count(StepOutcome::Skipped),
        failed: count(StepOutcome::Failed),
        snapshot_id,
    })
}

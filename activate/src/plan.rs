//! Approving and rejecting: somebody other than the author agrees to exactly one content.

use tagmill_schemas::documents::plan::{Approval, PlanState};
use tagmill_schemas::ids::PlanId;
use tagmill_store::{StoredPlan, Warehouse};

use crate::error::ActivateError;

/// Approves a plan under a name that nobody has proved.
///
/// # Errors
/// `ActivateError::OwnPlan` for the author, `StoreError::PlanState` where it is not pending.
pub fn approve_plan(warehouse: &Warehouse, plan_id: &PlanId, actor: &str) -> Result<StoredPlan, ActivateError> {
    let control = warehouse.control()?;
    let plan = control.plan(plan_id)?;
    if plan.header.author == actor {
        return Err(ActivateError::OwnPlan { plan_id: plan_id.to_string(), actor: actor.to_owned() });
    }
    let at = warehouse.clock().now();
    control.move_plan(plan_id, PlanState::Approved, actor, at)?;
    control.add_approval(&Approval {
        plan_id: plan_id.clone(),
        content_hash: plan.header.content_hash,
        approved_by: actor.to_owned(),
        is_verified: false,
        at,
    })?;
    Ok(control.plan(plan_id)?)
}

/// Turns a plan down for good.
///
/// # Errors
/// `StoreError::PlanState` where it has been executed or is being executed.
pub fn reject_plan(
    warehouse: &Warehouse,
    plan_id: &PlanId,
    actor: &str,
    reason: &str,
) -> Result<StoredPlan, ActivateError> {
    let control = warehouse.control()?;
    let actor = if reason.is_empty() { actor.to_owned() } else { format!("{actor} ({reason})") };
    control.move_plan(plan_id, PlanState::Rejected, &actor, warehouse.clock().now())?;
    Ok(control.plan(plan_id)?)
}

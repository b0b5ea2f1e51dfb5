//! Making, approving and rejecting plans: somebody other than the author agrees to exactly one content.

use chrono::{DateTime, Utc};
use tagmill_schemas::documents::plan::{PlanHeader, PlanIdentity, PlanState, PlanStep, content_hash, plan_id};
use tagmill_schemas::ids::PlanId;
use tagmill_store::{ControlStore, StoredPlan, Warehouse};

use crate::error::ActivateError;

/// Approves a plan under a name that nobody has proved.
///
/// # Errors
/// `ActivateError::NoActor` for an empty name, `ActivateError::OwnPlan` for the author, `StoreError::PlanState` where
/// it is not pending.
pub fn approve_plan(warehouse: &Warehouse, plan_id: &PlanId, actor: &str) -> Result<StoredPlan, ActivateError> {
    let actor = actor_name(actor)?;
    let control = warehouse.control()?;
    if control.plan(plan_id)?.header.author.trim() == actor {
        return Err(ActivateError::OwnPlan { plan_id: plan_id.to_string(), actor: actor.to_owned() });
    }
    control.approve(plan_id, actor, warehouse.clock().now())?;
    Ok(control.plan(plan_id)?)
}

/// Turns a plan down for good.
///
/// # Errors
/// `ActivateError::NoActor` for an empty name, `StoreError::PlanState` where it has been executed or is being executed.
pub fn reject_plan(
    warehouse: &Warehouse,
    plan_id: &PlanId,
    actor: &str,
    reason: &str,
) -> Result<StoredPlan, ActivateError> {
    let actor = actor_name(actor)?;
    let control = warehouse.control()?;
    let actor = if reason.is_empty() { actor.to_owned() } else { format!("{actor} ({reason})") };
    control.move_plan(plan_id, PlanState::Rejected, &actor, warehouse.clock().now())?;
    Ok(control.plan(plan_id)?)
}

/// The name of who is acting, without the blanks around it, so that `li` and `li ` are one person.
pub(crate) fn actor_name(name: &str) -> Result<&str, ActivateError> {
    let name = name.trim();
    if name.is_empty() { Err(ActivateError::NoActor) } else { Ok(name) }
}

/// The header of the plan that has these steps.
pub(crate) fn header_of(
    identity: &PlanIdentity<'_>,
    title: String,
    steps: &[PlanStep],
    created_at: DateTime<Utc>,
) -> PlanHeader {
    let content = content_hash(identity, steps.iter());
    PlanHeader {
        plan_id: plan_id(&content),
        kind: identity.kind,
        title,
        source: identity.source.to_owned(),
        author: identity.author.to_owned(),
        created_at,
        snapshot_id: identity.snapshot_id,
        definition_hash: identity.definition_hash.to_owned(),
        step_count: steps.len() as u64,
        add_count: steps.iter().map(|step| step.add.len() as u64).sum(),
        remove_count: steps.iter().map(|step| step.remove.len() as u64).sum(),
        content_hash: content,
    }
}

/// Keeps a plan as pending; one that is kept already stays as it is. What was turned down once stays so, whoever makes
/// it the next time.
pub(crate) fn keep_plan(control: &ControlStore, header: &PlanHeader, steps: &[PlanStep]) -> Result<(), ActivateError> {
    for other in control.plans()? {
        let other_header = &other.header;
        // The author is part of what a plan is, and not of what it does.
        let by_its_author = PlanIdentity { author: &other_header.author, ..header.identity() };
        if other.state == PlanState::Rejected
            && by_its_author == other_header.identity()
            && content_hash(&by_its_author, steps.iter()) == other_header.content_hash
        {
            return Err(ActivateError::Lint {
                reason: format!("the same plan, `{}`, was rejected before", other_header.plan_id),
                advice: "change what it is made from, or make it on a newer snapshot".to_owned(),
            });
        }
    }
    Ok(control.save_plan(header, steps)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_around_a_name_make_nobody_else_and_blanks_alone_nobody() {
        assert_eq!(actor_name(" li ").expect("a name"), "li");
        assert_eq!(actor_name("李 雷").expect("a name"), "李 雷");
        for nobody in ["", " ", "\t\n", "\u{3000}"] {
            assert!(matches!(actor_name(nobody), Err(ActivateError::NoActor)), "{nobody:?}");
        }
    }
}

//! A computed tag: a rule makes a plan, somebody else approves it, executing it leaves a receipt for each step.

use std::time::Instant;

use tagmill_activate::{ComputedTagSink, Execution, RulePlan, approve_plan, execute_plan, load_rule, run_rule};
use tagmill_schemas::documents::plan::PlanState;
use tagmill_schemas::segment::sentence;

use super::corp::Corp;
use super::definitions::RULE;
use super::page::Page;
use crate::commands::plan::{TagNames, receipts_told, steps_table};
use crate::commands::rule::changes;
use crate::output::busy;

/// Who makes the plan.
const AUTHOR: &str = "demo-author";
/// Who agrees to it: never its author.
const APPROVER: &str = "demo-approver";
/// How many steps are shown.
const SHOWN_STEPS: usize = 3;

/// Turns a segment into a tag: rule, plan, approval, execution, receipt.
///
/// # Errors
/// What a step of it, or the writing, failed with.
pub(super) async fn sleeping_customers(page: &mut Page, corp: &Corp) -> anyhow::Result<()> {
    let started = Instant::now();
    let shown = busy("making and executing a plan");
    let rule = load_rule(&corp.definitions, RULE)?;
    let plan = run_rule(&corp.engine, &rule, AUTHOR).await?;
    let is_needed = plan.header.step_count > 0;
    let execution = if is_needed { execute(corp, &plan).await? } else { None };
    drop(shown);
    page.section("A computed tag: rule → plan → approval → receipt", started.elapsed())?;
    page.line(&plan.header.title)?;
    page.paragraph(&sentence::english(&rule.rule.when))?;
    page.paragraph(&format!("→ {}", changes(&rule, &plan)))?;
    if !is_needed {
        return page.note("An earlier demo gave the tag already: no step is left, so no plan was made.");
    }
    page.line("")?;
    let names = TagNames::load(&corp.view().await?).await?;
    let sample = plan.sample.get(..SHOWN_STEPS).unwrap_or(&plan.sample);
    page.fitting_table(steps_table(sample, &names).wrapping_only(4))?;
    page.line("")?;
    tell(page, corp, &plan, execution.as_ref())
}

/// Approves and executes a plan, as far as it has not been; `None` where somebody has turned it down.
async fn execute(corp: &Corp, plan: &RulePlan) -> anyhow::Result<Option<Execution>> {
    let plan_id = &plan.header.plan_id;
    let state = corp.warehouse.control()?.plan(plan_id)?.state;
    if state == PlanState::Rejected {
        return Ok(None);
    }
    if state == PlanState::Pending {
        approve_plan(&corp.warehouse, plan_id, APPROVER)?;
    }
    let sink = ComputedTagSink::new(corp.warehouse.clone());
    Ok(Some(execute_plan(&corp.warehouse, plan_id, APPROVER, &sink).await?))
}

fn tell(page: &Page, corp: &Corp, plan: &RulePlan, execution: Option<&Execution>) -> anyhow::Result<()> {
    let plan_id = &plan.header.plan_id;
    let Some(execution) = execution else {
        return page.line(&format!("{plan_id} was turned down, and is left alone"));
    };
    let receipts = corp.warehouse.control()?.receipts(plan_id)?;
    page.line(&format!("plan      {plan_id}, made by {AUTHOR} on snapshot {}", plan.header.snapshot_id))?;
    let approvers: Vec<&str> = execution.plan.approvals.iter().map(|approval| approval.approved_by.as_str()).collect();
    page.line(&format!("approved  by {}, for exactly these steps; its author could not", approvers.join(", ")))?;
    page.line(&format!("receipt   {}", receipts_told(&receipts)))?;
    match execution.snapshot_id {
        Some(snapshot_id) => {
            page.line(&format!("→ snapshot {snapshot_id} shows it; executing it again changes nothing more"))
        }
        None => page.line("→ nothing was left to change"),
    }
}

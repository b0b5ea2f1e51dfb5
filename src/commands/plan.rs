//! `tagmill plan`: what is to change, who agreed, and what happened.

mod steps;

use serde_json::{Value, json};
use tagmill_activate::ComputedTagSink;
use tagmill_query::{Access, Engine, Limits};
use tagmill_schemas::clock::BusinessZone;
use tagmill_schemas::documents::plan::{Approval, PlanHeader, PlanStep, Receipt, StepOutcome};
use tagmill_schemas::ids::PlanId;
use tagmill_schemas::segment::AsOf;
use tagmill_store::StoredPlan;

use super::columns::{batch, count_column, instant_column, text_column};
use crate::cli::{PlanIdArgs, PlanListArgs, PlanRejectArgs};
use crate::globals::Globals;
use crate::output::{Destination, ObjectFormat, local_time, say, thousands, write_batch, write_json, write_text};

pub(crate) use steps::{TagNames, steps_table};

/// How many steps of a plan are shown.
const SHOWN_STEPS: usize = 20;

/// Lists the plans, the newest first.
///
/// # Errors
/// What reading the control state, or the writing, failed with.
pub(crate) async fn list_plans(globals: &Globals, args: &PlanListArgs) -> anyhow::Result<()> {
    let format = args.output.resolved_format()?;
    let plans = globals.open_warehouse().await?.control()?.plans()?;
    let headers = || plans.iter().map(|plan| &plan.header);
    let approvers = plans.iter().map(|plan| approvers(&plan.approvals));
    let rows = batch([
        ("plan_id", text_column(headers().map(|header| Some(header.plan_id.as_str())))),
        ("state", text_column(plans.iter().map(|plan| Some(plan.state.as_str())))),
        ("title", text_column(headers().map(|header| Some(&header.title)))),
        ("steps", count_column(headers().map(|header| Some(header.step_count)))),
        ("adds", count_column(headers().map(|header| Some(header.add_count)))),
        ("removes", count_column(headers().map(|header| Some(header.remove_count)))),
        ("snapshot_id", count_column(headers().map(|header| u64::try_from(header.snapshot_id.0).ok()))),
        ("author", text_column(headers().map(|header| Some(&header.author)))),
        ("approved_by", text_column(approvers)),
        ("created_at", instant_column(headers().map(|header| Some(header.created_at)))),
    ])?;
    write_batch(&rows, format, &args.output.destination())?;
    if plans.is_empty() {
        say("there is no plan yet; `tagmill rule run NAME-or-FILE` makes one");
    }
    Ok(())
}

/// Shows a plan: what it is, who agreed, what was done to it, and its first steps.
///
/// # Errors
/// `StoreError::NoPlan` where there is none of that id.
pub(crate) async fn show_plan(globals: &Globals, args: &PlanIdArgs) -> anyhow::Result<()> {
    let engine = globals.open_engine(Limits::default()).await?;
    let control = engine.warehouse().control()?;
    let plan_id = PlanId::new(&args.plan_id);
    let plan = control.plan(&plan_id)?;
    let receipts = control.receipts(&plan_id)?;
    if args.format == ObjectFormat::Json {
        let mut shown = as_json(&plan);
        shown["receipts"] = receipt_counts(&receipts).into_iter().map(|(what, count)| (what, json!(count))).collect();
        return write_json(&shown, &Destination::Stdout);
    }
    write_text(&described(&plan, &receipts, engine.warehouse().zone()).join("\n"), &Destination::Stdout)?;
    let mut steps = control.steps(&plan_id)?;
    let step_count = steps.len();
    steps.truncate(SHOWN_STEPS);
    print_steps(&engine, &steps).await?;
    if step_count > steps.len() {
        say(format!("{} of {} steps are shown", steps.len(), thousands(step_count as u64)));
    }
    Ok(())
}

/// Agrees to a plan under the actor's name.
///
/// # Errors
/// `ActivateError::OwnPlan` for the plan's author; `StoreError::PlanState` where it is not pending.
pub(crate) async fn approve_plan(globals: &Globals, args: &PlanIdArgs) -> anyhow::Result<()> {
    let warehouse = globals.open_warehouse().await?;
    let plan = tagmill_activate::approve_plan(&warehouse, &PlanId::new(&args.plan_id), &globals.actor)?;
    tell(&plan, args.format)?;
    say(format!("next: `tagmill plan execute {}`", args.plan_id));
    Ok(())
}

/// Turns a plan down for good.
///
/// # Errors
/// `StoreError::PlanState` where it is too late for that.
pub(crate) async fn reject_plan(globals: &Globals, args: &PlanRejectArgs) -> anyhow::Result<()> {
    let warehouse = globals.open_warehouse().await?;
    let reason = args.reason.as_deref().unwrap_or_default();
    let plan = tagmill_activate::reject_plan(&warehouse, &PlanId::new(&args.plan_id), &globals.actor, reason)?;
    tell(&plan, ObjectFormat::Table)
}

/// Carries out an approved plan.
///
/// # Errors
/// `ActivateError::NotApproved` where nobody has agreed to it; what its steps failed with.
pub(crate) async fn execute_plan(globals: &Globals, args: &PlanIdArgs) -> anyhow::Result<()> {
    let warehouse = globals.open_warehouse().await?;
    let sink = ComputedTagSink::new(warehouse.clone());
    let plan_id = PlanId::new(&args.plan_id);
    let execution = tagmill_activate::execute_plan(&warehouse, &plan_id, &globals.actor, &sink).await?;
    if args.format == ObjectFormat::Json {
        let mut shown = as_json(&execution.plan);
        shown["receipts"] = json!({
            "done": execution.done,
            "already": execution.already,
            "skipped": execution.skipped,
            "failed": execution.failed,
        });
        shown["snapshot_id"] = json!(execution.snapshot_id);
        write_json(&shown, &Destination::Stdout)?;
    } else {
        say(format!("plan {plan_id} is {}", execution.plan.state));
        let control = warehouse.control()?;
        say(receipts_told(&control.receipts(&plan_id)?));
        match execution.snapshot_id {
            Some(snapshot_id) => say(format!("published snapshot {snapshot_id}, which shows it")),
            None => say("nothing more was changed, and no snapshot was published"),
        }
    }
    if execution.failed > 0 {
        anyhow::bail!("{} steps of plan `{plan_id}` failed", thousands(execution.failed));
    }
    Ok(())
}

/// Makes the plan that takes an executed one back.
///
/// # Errors
/// `ActivateError::Lint` where it was not executed.
pub(crate) async fn undo_plan(globals: &Globals, args: &PlanIdArgs) -> anyhow::Result<()> {
    let warehouse = globals.open_warehouse().await?;
    let header = tagmill_activate::undo_plan(&warehouse, &PlanId::new(&args.plan_id), &globals.actor).await?;
    if args.format == ObjectFormat::Json {
        return write_json(&header, &Destination::Stdout);
    }
    say(format!("made plan {}: {}", header.plan_id, size(&header)));
    say(format!("nothing is changed yet; next: `tagmill plan approve {} --as SOMEBODY`", header.plan_id));
    Ok(())
}

/// What happened to the steps: `6,020 done · 0 already · 0 skipped · 0 failed`.
pub(crate) fn receipts_told(receipts: &[Receipt]) -> String {
    let words = |(what, count): &(String, u64)| format!("{} {what}", thousands(*count));
    receipt_counts(receipts).iter().map(words).collect::<Vec<_>>().join(" · ")
}

async fn print_steps(engine: &Engine, steps: &[PlanStep]) -> anyhow::Result<()> {
    if steps.is_empty() {
        return Ok(());
    }
    let view = engine.view(AsOf::Latest, Access::Full).await?;
    write_text("", &Destination::Stdout)?;
    steps_table(steps, &TagNames::load(&view).await?).write(&Destination::Stdout)
}

/// Says where a plan stands now.
fn tell(plan: &StoredPlan, format: ObjectFormat) -> anyhow::Result<()> {
    if format == ObjectFormat::Json {
        return write_json(&as_json(plan), &Destination::Stdout);
    }
    say(format!("plan {} is {}: {}", plan.header.plan_id, plan.state, size(&plan.header)));
    if let Some(approval) = plan.approvals.last() {
        say(format!("approved by {}", approver(approval)));
    }
    Ok(())
}

/// The plan in words, a line for each thing to know.
fn described(plan: &StoredPlan, receipts: &[Receipt], zone: BusinessZone) -> Vec<String> {
    let header = &plan.header;
    let made = local_time(header.created_at, zone);
    let mut facts = vec![
        ("what", format!("{} ({})", header.title, header.kind)),
        ("changes", size(header)),
        ("held as", header.source.clone()),
        ("author", format!("{}, {made}, on snapshot {}", header.author, header.snapshot_id)),
        ("definition", header.definition_hash.clone()),
        ("content", header.content_hash.clone()),
    ];
    facts.extend(
        plan.approvals
            .iter()
            .map(|approval| ("approved by", format!("{}, {}", approver(approval), local_time(approval.at, zone)))),
    );
    if !receipts.is_empty() {
        facts.push(("receipts", receipts_told(receipts)));
    }
    facts.extend(plan.history.iter().zip(0..).map(|((at, actor, what), place)| {
        let label = if place == 0 { "history" } else { "" };
        (label, format!("{}: {what} by {actor}", local_time(*at, zone)))
    }));
    let lines = facts.into_iter().map(|(label, text)| format!("  {label:<11}  {text}"));
    [format!("{} is {}", header.plan_id, plan.state)].into_iter().chain(lines).collect()
}

/// `6,020 steps: 6,020 tags added, 0 removed`.
fn size(header: &PlanHeader) -> String {
    let [steps, adds, removes] = [header.step_count, header.add_count, header.remove_count].map(thousands);
    format!("{steps} steps: {adds} tags added, {removes} removed")
}

fn approver(approval: &Approval) -> String {
    let mark = if approval.is_verified { "" } else { " (unverified)" };
    format!("{}{mark}", approval.approved_by)
}

/// Everybody who agreed; `None` where nobody has.
fn approvers(approvals: &[Approval]) -> Option<String> {
    let names: Vec<String> = approvals.iter().map(approver).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// How many steps had which outcome, every outcome named.
fn receipt_counts(receipts: &[Receipt]) -> Vec<(String, u64)> {
    let count = |outcome| receipts.iter().filter(|receipt| receipt.outcome == outcome).count() as u64;
    StepOutcome::WORDS.iter().map(|(word, outcome)| ((*word).to_owned(), count(*outcome))).collect()
}

fn as_json(plan: &StoredPlan) -> Value {
    let history = plan.history.iter().map(|(at, actor, what)| json!({ "at": at, "actor": actor, "what": what }));
    json!({
        "plan": plan.header,
        "state": plan.state,
        "approvals": plan.approvals,
        "history": history.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn receipts_name_every_outcome() {
        let at = DateTime::parse_from_rfc3339("2026-11-11T18:00:00Z").expect("an instant").to_utc();
        let receipt = |step_no, outcome| Receipt { plan_id: PlanId::new("plan-1"), step_no, outcome, detail: None, at };
        let receipts = [receipt(1, StepOutcome::Done), receipt(2, StepOutcome::Done), receipt(3, StepOutcome::Already)];
        assert_eq!(receipts_told(&receipts), "2 done · 1 already · 0 skipped · 0 failed");
    }

    #[test]
    fn an_approval_that_nobody_proved_is_marked() {
        let at = DateTime::parse_from_rfc3339("2026-11-11T18:00:00Z").expect("an instant").to_utc();
        let approval = Approval {
            plan_id: PlanId::new("plan-1"),
            content_hash: "c".to_owned(),
            approved_by: "wang".to_owned(),
            is_verified: false,
            at,
        };
        assert_eq!(approvers(&[approval]).as_deref(), Some("wang (unverified)"));
        assert_eq!(approvers(&[]), None);
    }
}

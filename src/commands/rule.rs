//! `tagmill rule`: a segment turned into a plan of tag changes.

use serde_json::{Value, json};
use tagmill_activate::{LoadedRule, RulePlan};
use tagmill_query::{Access, Engine, Limits};
use tagmill_schemas::documents::rule::OnFollows;
use tagmill_schemas::segment::{AsOf, sentence};

use super::plan::{TagNames, steps_table};
use crate::cli::RuleRunArgs;
use crate::errors::SurfaceError;
use crate::globals::Globals;
use crate::output::{Destination, ObjectFormat, say, thousands, write_json, write_text};

/// Works out what a rule would change, as a plan that waits for an approval; nothing is changed.
///
/// # Errors
/// What is wrong with the rule, or with the answer; `ActivateError::Lint` and `ActivateError::SizeChange` where the
/// plan must not be.
pub(crate) async fn run_rule(globals: &Globals, args: &RuleRunArgs) -> anyhow::Result<()> {
    let rule = tagmill_activate::load_rule(&globals.definitions(), &args.rule)?;
    let engine = globals.open_engine(Limits::default()).await?;
    if globals.as_of(engine.warehouse().zone()) != AsOf::Latest {
        let message = "a rule is run on the newest snapshot, because that is the one its plan changes";
        return Err(SurfaceError::usage(message, "leave `--as-of` away").into());
    }
    let plan = tagmill_activate::run_rule(&engine, &rule, &globals.actor).await?;
    match args.format {
        ObjectFormat::Json => write_json(&as_json(&rule, &plan), &Destination::Stdout),
        ObjectFormat::Table => print_plan(&engine, &rule, &plan).await,
    }
}

/// `4,812 customers in the segment; 6,020 follows get the tag, 0 lose it, 0 keep it`.
pub(crate) fn changes(rule: &LoadedRule, plan: &RulePlan) -> String {
    let holders = if rule.rule.on == OnFollows::Customer { "customers" } else { "follows" };
    let [members, entering, leaving, unchanged] =
        [plan.members, plan.entering, plan.leaving, plan.unchanged].map(thousands);
    format!(
        "{members} customers in the segment; {entering} {holders} get the tag, {leaving} lose it, {unchanged} keep it"
    )
}

async fn print_plan(engine: &Engine, rule: &LoadedRule, plan: &RulePlan) -> anyhow::Result<()> {
    let header = &plan.header;
    let sentence = sentence::english(&rule.rule.when);
    let changes = changes(rule, plan);
    if header.step_count == 0 {
        write_text(&format!("{}\n{sentence}\n{changes}", header.title), &Destination::Stdout)?;
        say_unmatched(plan);
        say("there is nothing to change, so no plan was made");
        return Ok(());
    }
    write_text(&format!("{} · {}\n{sentence}\n{changes}", header.plan_id, header.title), &Destination::Stdout)?;
    say_unmatched(plan);
    if !plan.sample.is_empty() {
        let view = engine.view(AsOf::Latest, Access::Full).await?;
        write_text("", &Destination::Stdout)?;
        steps_table(&plan.sample, &TagNames::load(&view).await?).write(&Destination::Stdout)?;
        say(format!("{} of {} steps are shown", plan.sample.len(), thousands(header.step_count)));
    }
    say(format!("nothing is changed yet; next: `tagmill plan approve {} --as SOMEBODY`", header.plan_id));
    say(format!("SOMEBODY is anybody but its author `{}`", header.author));
    Ok(())
}

/// Says how many members `on: matched` passes over.
fn say_unmatched(plan: &RulePlan) {
    if plan.unmatched_members > 0 {
        let count = thousands(plan.unmatched_members);
        say(format!("{count} of the customers get no tag: the condition holds on none of their active follows"));
    }
}

fn as_json(rule: &LoadedRule, plan: &RulePlan) -> Value {
    json!({
        "plan": plan.header,
        "is_kept": plan.header.step_count > 0,
        "english": sentence::english(&rule.rule.when),
        "chinese": sentence::chinese(&rule.rule.when),
        "members": plan.members,
        "unmatched_members": plan.unmatched_members,
        "entering": plan.entering,
        "leaving": plan.leaving,
        "unchanged": plan.unchanged,
        "sample": plan.sample,
    })
}

//! The commands: each takes its arguments, calls the library crate that knows, and prints the answer.

mod audience;
mod backup;
mod columns;
mod crosstab;
mod demo;
mod doctor;
mod erase;
mod import;
mod ingest;
mod plan;
mod quarantine;
mod rule;
mod segment;
mod serve;
mod snapshot;
mod snapshot_compact;
mod snapshot_diff;
mod snapshot_prune;
mod sql;
mod stale;
mod tag;

use std::future::Future;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tagmill_query::{Limits, View};

use crate::cli::{
    AudienceCommand, Cli, Command, LimitArgs, PlanCommand, QuarantineCommand, RuleCommand, SegmentCommand,
    SnapshotCommand, StaleCommand, TagCommand,
};
use crate::errors::SurfaceError;
use crate::globals::Globals;
use crate::output::{local_time, say};

/// Runs what was typed.
///
/// # Errors
/// What the command failed with; see [`crate::errors`] for the exit codes.
pub(crate) async fn run(cli: Cli) -> anyhow::Result<()> {
    let globals = Globals::new(cli.globals);
    // The two that serve end by ctrl-c in good order, and say so themselves.
    let is_serving = matches!(cli.command, Command::Demo(_) | Command::Serve(_));
    let command = dispatch(&globals, cli.command);
    if is_serving { command.await } else { interruptible(command).await }
}

async fn dispatch(globals: &Globals, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Demo(args) => demo::run_demo(globals, &args).await,
        Command::Serve(args) => serve::serve_warehouse(globals, &args).await,
        Command::Ingest(args) => ingest::run_ingest(globals, &args).await,
        Command::Snapshot(SnapshotCommand::List(args)) => snapshot::list_snapshots(globals, &args).await,
        Command::Snapshot(SnapshotCommand::Show(args)) => snapshot::show_snapshot(globals, &args).await,
        Command::Snapshot(SnapshotCommand::Diff(args)) => snapshot::diff_snapshots(globals, &args).await,
        Command::Snapshot(SnapshotCommand::Prune(args)) => snapshot_prune::prune_snapshots(globals, &args).await,
        Command::Snapshot(SnapshotCommand::Compact(args)) => snapshot_compact::compact_snapshot(globals, &args).await,
        Command::Doctor(args) => doctor::examine_warehouse(globals, &args).await,
        Command::Erase(args) => erase::erase_customer(globals, &args).await,
        Command::Backup(args) => backup::back_up_warehouse(globals, &args).await,
        Command::Restore(args) => backup::restore_warehouse(globals, &args).await,
        Command::Quarantine(QuarantineCommand::List(args)) => quarantine::list_quarantine(globals, &args).await,
        Command::Sql(args) => sql::run_sql(globals, &args).await,
        Command::Segment(SegmentCommand::Validate(args)) => segment::validate_segments(globals, &args).await,
        Command::Segment(SegmentCommand::Explain(args)) => segment::explain_segment(globals, &args).await,
        Command::Segment(SegmentCommand::Count(args)) => segment::count_segment(globals, &args).await,
        Command::Segment(SegmentCommand::Members(args)) => segment::list_members(globals, &args).await,
        Command::Crosstab(args) => crosstab::run_crosstab(globals, &args).await,
        Command::Audience(AudienceCommand::Export(args)) => audience::export_audience(globals, &args).await,
        Command::Tag(TagCommand::List(args)) => tag::list_tags(globals, &args).await,
        Command::Tag(TagCommand::Lint(args)) => tag::lint_tags(globals, &args).await,
        Command::Rule(RuleCommand::Run(args)) => rule::run_rule(globals, &args).await,
        Command::Import(args) => import::import_list(globals, &args).await,
        Command::Stale(StaleCommand::Report(args)) => stale::report_stale(globals, &args).await,
        Command::Plan(PlanCommand::List(args)) => plan::list_plans(globals, &args).await,
        Command::Plan(PlanCommand::Show(args)) => plan::show_plan(globals, &args).await,
        Command::Plan(PlanCommand::Approve(args)) => plan::approve_plan(globals, &args).await,
        Command::Plan(PlanCommand::Reject(args)) => plan::reject_plan(globals, &args).await,
        Command::Plan(PlanCommand::Execute(args)) => plan::execute_plan(globals, &args).await,
        Command::Plan(PlanCommand::Undo(args)) => plan::undo_plan(globals, &args).await,
    }
}

/// Runs a command until it ends or ctrl-c is pressed; then its unfinished files are taken away.
async fn interruptible(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    // A command that computes without a pause does not notice: after a moment the process ends all the same. Nothing
    // that was published depends on an orderly end.
    tokio::spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            std::process::exit(1);
        }
    });
    tokio::select! {
        outcome = command => outcome,
        Ok(()) = tokio::signal::ctrl_c() => Err(SurfaceError::Interrupted.into()),
    }
}

/// What a question may take.
fn limits(args: &LimitArgs) -> Limits {
    Limits { memory_bytes: args.memory, timeout: args.timeout, ..Limits::default() }
}

/// Names, for an answer, the snapshot it was computed on, its instant, and up to when events were read.
fn say_provenance(view: &View, events_until: Option<DateTime<Utc>>) {
    let zone = view.zone();
    let events = match events_until {
        Some(instant) => format!("events until {}", local_time(instant, zone)),
        None => "no events".to_owned(),
    };
    say(format!("snapshot {} · as of {} · {events}", view.ledger_row().snapshot_id, local_time(view.as_of(), zone)));
}

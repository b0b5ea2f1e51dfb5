//! `tagmill ingest`: one run of a source, and what it did.

mod late;
mod report;

use std::sync::Arc;

use anyhow::Context;
use tagmill_ingest::raw::total_bytes;
use tagmill_ingest::{IngestOptions, RunOutcome, Source, SourceKind, run_source};
use tagmill_store::{GuardVerdict, LedgerRow, StoreError, Warehouse};
use tempfile::TempDir;

use crate::cli::IngestArgs;
use crate::errors::SurfaceError;
use crate::globals::Globals;
use crate::output::{local_time, reading, say};

/// Reads a source into the warehouse: one run, at most one new snapshot.
///
/// # Errors
/// `SurfaceError::ShrinkRefused` after each verdict of the guard was told; what is wrong with the source, or failed.
pub(crate) async fn run_ingest(globals: &Globals, args: &IngestArgs) -> anyhow::Result<()> {
    let source = Source::load(&args.source)?;
    let (warehouse, _folder) = open(globals, args.dry_run).await?;
    let outcome = run(&warehouse, &source, args).await?;
    let told = tell(outcome, &source, args, &warehouse);
    if warehouse.location().folder().is_none() {
        say(report::storage_line(&warehouse.traffic()));
    }
    told
}

fn tell(outcome: RunOutcome, source: &Source, args: &IngestArgs, warehouse: &Warehouse) -> anyhow::Result<()> {
    match outcome {
        RunOutcome::Published(row, run_report) => {
            say_lines(&report::lines(&run_report, warehouse.zone()));
            say_not_taken_hint(&run_report.refused, source);
            say_published(&row, args, warehouse);
        }
        RunOutcome::NothingNew(head, notes) => {
            say_lines(&report::notes(&notes));
            say(format!(
                "nothing new: `{}` holds what it held at its last run; snapshot {} stays the newest",
                source.name, head.snapshot_id
            ));
        }
        RunOutcome::Dry(run_report) => {
            say_lines(&report::lines(&run_report, warehouse.zone()));
            say("dry run: everything was read and checked, nothing was published");
        }
        RunOutcome::Refused(verdicts, run_report) => {
            say_lines(&report::lines(&run_report, warehouse.zone()));
            say_lines(&explained(&verdicts));
            return Err(refused(source, warehouse).into());
        }
    }
    Ok(())
}

/// The error of a run that the guard refused.
pub(crate) fn refused(source: &Source, warehouse: &Warehouse) -> SurfaceError {
    let kept_in = warehouse.location().shown("staged");
    SurfaceError::ShrinkRefused { run: source.name.clone(), kept_in }
}

/// Opens the warehouse. A dry run where there is none makes one in a folder that goes with what is returned.
async fn open(globals: &Globals, is_dry_run: bool) -> anyhow::Result<(Warehouse, Option<TempDir>)> {
    if !is_dry_run {
        return Ok((globals.open_or_create_warehouse().await?, None));
    }
    match globals.open_warehouse().await {
        Ok(warehouse) => Ok((warehouse, None)),
        Err(error) if matches!(error.downcast_ref(), Some(StoreError::NoWarehouse { .. })) => {
            let folder = tempfile::tempdir().context("could not make a temporary folder")?;
            let mut elsewhere = globals.clone();
            elsewhere.location = folder.path().display().to_string();
            elsewhere.state = None;
            Ok((elsewhere.open_or_create_warehouse().await?, Some(folder)))
        }
        Err(error) => Err(error),
    }
}

async fn run(warehouse: &Warehouse, source: &Source, args: &IngestArgs) -> anyhow::Result<RunOutcome> {
    let shown = reading(bytes_to_read(source));
    let options = IngestOptions {
        is_dry_run: args.dry_run,
        accept_shrink: args.accept_shrink,
        progress: Arc::new(shown.bytes()),
    };
    Ok(run_source(warehouse, source, &options).await?)
}

/// How many bytes the SELECTs will read: each reads the files that it names.
fn bytes_to_read(source: &Source) -> u64 {
    match &source.kind {
        SourceKind::Files { files, tables } => tables
            .iter()
            .flat_map(|table| files.iter().filter(move |file| table.select.contains(&file.name)))
            .map(|file| total_bytes(std::slice::from_ref(file)))
            .sum(),
        SourceKind::Sample(_) => 0,
    }
}

fn say_lines(lines: &[String]) {
    for line in lines {
        say(line);
    }
}

fn say_not_taken_hint(refused: &[(String, String, u64)], source: &Source) {
    if !refused.is_empty() {
        say(format!("  `tagmill quarantine list --rows --source {}` shows them, with file and line", source.name));
    }
}

fn say_published(row: &LedgerRow, args: &IngestArgs, warehouse: &Warehouse) {
    if args.accept_shrink {
        for verdict in &row.guard {
            say(format!("guard: {verdict}"));
        }
    }
    say(format!("published snapshot {}, taken {}", row.snapshot_id, local_time(row.taken_at, warehouse.zone())));
}

/// The verdicts in words: those that refuse, and how many let the run pass.
fn explained(verdicts: &[GuardVerdict]) -> Vec<String> {
    let (against, fine): (Vec<_>, Vec<_>) = verdicts.iter().partition(|verdict| verdict.is_refused);
    let mut lines = vec!["guard".to_owned()];
    lines.extend(against.iter().map(|verdict| format!("  {verdict}")));
    if !fine.is_empty() {
        lines.push(format!("  {} other counts are as one would expect", fine.len()));
    }
    lines
}

//! One run of a source: read, map, conform, resolve, find what changed, stage, publish.

mod assignments;
mod cast;
mod columns;
mod conform;
mod content_hash;
mod context;
mod customers;
mod dated;
mod erased;
mod event_reading;
mod event_rows;
mod events;
mod exact;
mod files;
mod follows;
mod identity;
mod input;
mod judge;
mod keys;
mod known_events;
mod late;
mod listed;
mod mapping;
mod merge;
mod numbers;
mod owners;
mod person;
mod prepare;
mod quarantine;
mod read_before;
pub(crate) mod report;
mod sink;
mod tags;
mod targets;
mod text_index;
mod unmatched;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tagmill_store::{GuardVerdict, LedgerRow, Outcome, RunSummary, SourceState, Warehouse};

use crate::error::IngestError;
use crate::raw::{NoProgress, Progress};
use crate::source::{Source, SourceKind, TakenAt};
use context::RunContext;
use input::Input;
use report::RunReport;

/// How a run is made.
#[derive(Clone)]
pub struct IngestOptions {
    /// Count and check everything, and change nothing.
    pub is_dry_run: bool,
    /// Publish although the guard finds that too much has gone.
    pub accept_shrink: bool,
    /// Is told the bytes as they are read.
    pub progress: Arc<dyn Progress>,
}

impl Default for IngestOptions {
    fn default() -> Self {
        Self { is_dry_run: false, accept_shrink: false, progress: Arc::new(NoProgress) }
    }
}

/// How a run ended.
#[derive(Debug)]
#[must_use]
pub enum RunOutcome {
    /// A new snapshot.
    Published(Box<LedgerRow>, RunReport),
    /// The input is the one of the source's last run: nothing was done. With the newest snapshot, and what had to be mended
    /// before that was known.
    NothingNew(Box<LedgerRow>, Vec<String>),
    /// The guard refused it; its files are kept staged.
    Refused(Vec<GuardVerdict>, RunReport),
    /// A dry run: what would have been published.
    Dry(RunReport),
}

/// Runs a source once, and publishes at most one snapshot.
///
/// The run holds the writer's lock from its beginning; a dry run takes none and mends nothing. Whatever fails, nothing of it
/// is visible.
///
/// # Errors
/// `IngestError::OlderReading` where the source states that it was read before its last reading; else the step that failed.
pub async fn run_source(
    warehouse: &Warehouse,
    source: &Source,
    options: &IngestOptions,
) -> Result<RunOutcome, IngestError> {
    let run = if options.is_dry_run { warehouse.begin_dry().await? } else { warehouse.begin().await? };
    let before = run.base().map(|base| base.row().clone());
    let state = before.as_ref().and_then(|row| row.sources.get(&source.name)).cloned();
    let input = Input::open(source, state.as_ref(), options)?;
    let Some(input) = input else {
        let row = before.ok_or_else(|| IngestError::internal("nothing new before the first snapshot"))?;
        return Ok(RunOutcome::NothingNew(Box::new(row), run.notes().to_vec()));
    };
    let stated = stated_instant(source, warehouse, &input);
    refuse_older(source, warehouse, state.as_ref(), stated)?;
    let mut context = RunContext::new(run, source, state, stated, options)?;
    context.fill(input).await?;
    let (run, finished) = context.finish().await?;
    if options.is_dry_run {
        return Ok(RunOutcome::Dry(finished.report));
    }
    let summary = RunSummary {
        source: source.name.clone(),
        read_from: finished.report.read_from,
        read_until: finished.report.read_until,
        counts: finished.counts,
        accept_shrink: options.accept_shrink,
        state: Some(finished.state),
    };
    Ok(match run.publish(summary).await? {
        Outcome::Published(row) => RunOutcome::Published(row, finished.report),
        Outcome::Refused(verdicts) => RunOutcome::Refused(verdicts, finished.report),
    })
}

/// Refuses a reading that is older than the source's last one: it would take back what that one has found out.
fn refuse_older(
    source: &Source,
    warehouse: &Warehouse,
    state: Option<&SourceState>,
    stated: Option<DateTime<Utc>>,
) -> Result<(), IngestError> {
    let (Some(stated), Some(last)) = (stated, state.and_then(|state| state.last_read_from)) else { return Ok(()) };
    if stated >= last {
        return Ok(());
    }
    let zone = source.zone_or(warehouse.zone());
    let shown = |instant: DateTime<Utc>| {
        format!("{} {}", instant.with_timezone(&zone.0).format("%Y-%m-%d %H:%M:%S"), zone.name())
    };
    Err(IngestError::OlderReading { name: source.name.clone(), stated: shown(stated), last: shown(last) })
}

/// The instant at which the source says it was read.
fn stated_instant(source: &Source, warehouse: &Warehouse, input: &Input) -> Option<DateTime<Utc>> {
    if let (SourceKind::Sample(_), Input::Sample { taken_at, .. }) = (&source.kind, input) {
        return Some(*taken_at);
    }
    match source.taken_at? {
        TakenAt::Instant(instant) => Some(instant),
        TakenAt::Local(local) => Some(source.zone_or(warehouse.zone()).instant_of(local)),
    }
}

//! The sample corp: its warehouse, its three snapshots and its definitions.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use tagmill_ingest::sample::SampleCorp;
use tagmill_ingest::{IngestOptions, RunOutcome, SampleSpec, Source, SourceKind, run_source};
use tagmill_query::{Access, Definitions, Engine, Limits, View};
use tagmill_schemas::clock::{BusinessZone, FixedClock};
use tagmill_schemas::segment::AsOf;
use tagmill_store::{LedgerRow, Warehouse};

use super::definitions;
use super::page::Page;
use crate::commands::ingest::refused;
use crate::errors::SurfaceError;
use crate::globals::Globals;
use crate::output::{TextTable, busy, thousands};

/// The name of the corp as a source.
const SOURCE: &str = "sample_corp";
const CORP: SampleSpec = SampleSpec { seed: 7, customers: 20_000, events: 300_000 };

/// The sample corp's warehouse, opened.
pub(super) struct Corp {
    pub(super) warehouse: Warehouse,
    pub(super) engine: Engine,
    pub(super) definitions: Definitions,
    /// The folder of the warehouse, beside which everything else is put.
    pub(super) folder: PathBuf,
}

impl Corp {
    /// Opens the demo's warehouse, making it where there is none. Its clock stands still, so that the answers are the
    /// same whatever the machine's clock says.
    ///
    /// # Errors
    /// Usage, where the warehouse holds something else than the demo.
    pub(super) async fn open(globals: &Globals) -> anyhow::Result<Self> {
        let warehouse = globals.open_or_create_warehouse().await?.with_clock(Arc::new(FixedClock(now())));
        refuse_foreign(&warehouse).await?;
        let folder = warehouse.location().folder().map(Path::to_path_buf).ok_or_else(|| {
            SurfaceError::usage(
                format!(
                    "the demo writes audiences and reports beside its warehouse, and `{}` is a bucket",
                    warehouse.location()
                ),
                "leave `--warehouse` away, or name a folder",
            )
        })?;
        let definitions = definitions::write_out(&folder)?;
        let engine = Engine::new(warehouse.clone(), Limits::default())?;
        Ok(Self { warehouse, engine, definitions, folder })
    }

    /// The newest state, with private columns as they are.
    ///
    /// # Errors
    /// What opening the snapshot failed with.
    pub(super) async fn view(&self) -> anyhow::Result<View> {
        Ok(self.engine.view(AsOf::Latest, Access::Full).await?)
    }
}

/// The instant at which the demo takes place: that of the corp's last reading.
pub(super) fn now() -> DateTime<Utc> {
    SampleCorp::taken_at(SampleCorp::pulls().len() - 1)
}

/// Reads the corp until it has nothing new, and shows the snapshots that there are.
///
/// # Errors
/// What a run, or the writing, failed with.
pub(super) async fn snapshots(page: &mut Page, corp: &Corp) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut published = 0;
    while pull(corp).await? {
        published += 1;
    }
    let ledger = corp.warehouse.ledger().await?;
    page.section("A corp as it was on three days", started.elapsed())?;
    page.table(snapshot_table(&ledger, corp.warehouse.zone()), 2)?;
    let told = match published {
        0 => "Nothing is new since the last demo.",
        _ => "A reader sees one of these states, and sees it whole.",
    };
    page.note(&format!("{told} Times are {}.", corp.warehouse.zone().name()))
}

/// Reads the corp once, at the instant of its next reading; `false` where it has nothing new.
async fn pull(corp: &Corp) -> anyhow::Result<bool> {
    let earlier = corp.warehouse.ledger().await?.iter().filter(|row| row.source == SOURCE).count();
    let clock = Arc::new(FixedClock(SampleCorp::taken_at(earlier)));
    let warehouse = corp.warehouse.clone().with_clock(clock);
    let source = source();
    let _shown = busy("reading the sample corp");
    match run_source(&warehouse, &source, &IngestOptions::default()).await? {
        RunOutcome::Published(..) => Ok(true),
        RunOutcome::NothingNew(..) | RunOutcome::Dry(_) => Ok(false),
        RunOutcome::Refused(..) => Err(refused(&source, &warehouse).into()),
    }
}

fn source() -> Source {
    Source {
        name: SOURCE.to_owned(),
        id_space: SOURCE.to_owned(),
        zone: None,
        taken_at: None,
        kind: SourceKind::Sample(CORP),
    }
}

/// The demo writes into its own warehouse only.
async fn refuse_foreign(warehouse: &Warehouse) -> anyhow::Result<()> {
    match warehouse.ledger().await?.first() {
        Some(first) if first.source != SOURCE => Err(SurfaceError::usage(
            format!("the warehouse at `{}` holds `{}`, and is not the demo's", warehouse.location(), first.source),
            "give the demo a folder of its own: `tagmill --warehouse ./demo demo`",
        )
        .into()),
        _ => Ok(()),
    }
}

fn snapshot_table(ledger: &[LedgerRow], zone: BusinessZone) -> TextTable {
    let headings = [
        ("snapshot", true),
        ("taken", false),
        ("customers", true),
        ("follows", true),
        ("tag names", true),
        ("tag changes", true),
        ("events", true),
    ];
    let mut table = TextTable::new(headings.map(|(heading, is_right)| (heading.to_owned(), is_right)));
    for row in ledger {
        let rows_of = |table: &str| thousands(row.row_counts.get(table).copied().unwrap_or_default());
        table.add_row(&[
            row.snapshot_id.to_string(),
            row.taken_at.with_timezone(&zone.0).format("%Y-%m-%d %H:%M").to_string(),
            rows_of("customer"),
            rows_of("follow"),
            rows_of("tag"),
            rows_of("assignment_log"),
            rows_of("event"),
        ]);
    }
    table
}

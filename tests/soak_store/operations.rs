//! What a fault may strike, one entry for each way of writing to a warehouse, and what becomes of it undisturbed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::bail;
use arrow::array::{ArrayRef, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::SchemaRef;
use tagmill_ingest::{IngestOptions, RunOutcome, Source, run_source};
use tagmill_store::doctor::repair;
use tagmill_store::{Ladder, Outcome, RunSummary, Warehouse};

use super::disturbed::{Ended, disturbed};
use super::prepared::{NEXT, SHRUNK, Start, id_of, prepared};
use super::scene::{Kind, Scene, now};
use super::state::State;
use crate::harness::faulty::FaultPlan;
use crate::harness::view::wait_for;

/// Who a run of [`Operation::Publish`] says it is.
const PUBLISHER: &str = "staff";
/// Of the snapshots, the last of each month and the newest stay.
const LADDER: Ladder = Ladder { all_days: 0, daily_days: 0 };

/// A way of writing to a warehouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// A reading that changes six tables and the quarantine.
    Ingest,
    /// A reading that the guard refuses.
    Refuse,
    /// A run that replaces two tables, small enough to be tried often.
    Publish,
    Prune,
    Compact,
    /// A customer goes from every file that holds anything of it.
    Erase,
    /// A run begins where one was killed between two tables.
    TakeBack,
    /// A run begins where one was killed before the ledger.
    RollForward,
    Repair,
}

/// What becomes of an operation that nothing disturbs.
pub struct Undisturbed {
    /// How many operations of the store it takes.
    pub operations: u64,
    pub before: State,
    pub after: State,
    /// The data files that lie beside each table afterwards.
    pub files: BTreeMap<String, usize>,
}

impl Operation {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 9] = [
        Self::Ingest,
        Self::Refuse,
        Self::Publish,
        Self::Prune,
        Self::Compact,
        Self::Erase,
        Self::TakeBack,
        Self::RollForward,
        Self::Repair,
    ];

    /// What the warehouse is like before it.
    pub fn start(self) -> Start {
        match self {
            Self::Ingest | Self::Refuse | Self::Publish | Self::Prune | Self::Compact | Self::Erase => Start::Whole,
            Self::TakeBack | Self::Repair => Start::Committing,
            Self::RollForward => Start::Committed,
        }
    }

    /// Whether its error says that nothing of it is visible.
    pub fn is_all_or_nothing(self) -> bool {
        matches!(self, Self::Ingest | Self::Refuse | Self::Publish | Self::Compact)
    }

    /// Whether readers see it come about file by file. One that was broken off is finished by whoever writes next.
    pub fn is_gradual(self) -> bool {
        self == Self::Erase
    }

    /// Whether it removes every file that nothing kept needs.
    pub fn sweeps(self) -> bool {
        self == Self::Prune
    }

    /// The call of the program that does the same; none where there is no such call.
    pub fn call(self) -> Option<Vec<String>> {
        let words: &[&str] = match self {
            Self::Ingest => return Some(vec!["ingest".to_owned(), prepared().source(NEXT).display().to_string()]),
            Self::Prune => &["snapshot", "prune", "--keep-all=0", "--keep-daily=0"],
            Self::Compact => &["snapshot", "compact"],
            Self::Repair => &["doctor", "--repair"],
            Self::Refuse | Self::Publish | Self::Erase | Self::TakeBack | Self::RollForward => return None,
        };
        Some(words.iter().map(|word| (*word).to_owned()).collect())
    }

    /// Does it. Done again, it changes nothing more.
    pub async fn run(self, warehouse: &Warehouse) -> anyhow::Result<()> {
        match self {
            Self::Ingest => ingest(warehouse, &prepared().source(NEXT)).await?,
            Self::Refuse => be_refused(warehouse).await?,
            Self::Publish => publish(warehouse).await?,
            Self::Prune => drop(warehouse.prune(LADDER).await?),
            Self::Compact => drop(warehouse.compact().await?),
            Self::Erase => drop(warehouse.erase(&format!("wecom:{}", id_of(1)), "tester").await?),
            Self::TakeBack | Self::RollForward => drop(warehouse.begin().await?),
            Self::Repair => drop(repair(warehouse).await?),
        }
        Ok(())
    }

    /// What becomes of it undisturbed, tried once by whoever asks first.
    pub fn undisturbed(self) -> &'static Undisturbed {
        static TRIED: [OnceLock<Undisturbed>; Operation::ALL.len()] = [const { OnceLock::new() }; Operation::ALL.len()];
        TRIED[self as usize].get_or_init(|| wait_for(|| async { self.tried().await.unwrap() }))
    }

    async fn tried(self) -> anyhow::Result<Undisturbed> {
        let scene = Scene::with(Kind::Memory, prepared().start(self.start())).await?;
        let before = State::of(&scene.warehouse().await?).await?;
        let plan = FaultPlan::none();
        match disturbed(&plan, async { self.run(&scene.under(&plan).await?).await }).await {
            Ended::Done => {}
            ended => bail!("{self:?} fails undisturbed: {ended:?}"),
        }
        let after = State::of(&scene.warehouse().await?).await?;
        Ok(Undisturbed { operations: plan.begun(), before, after, files: scene.data_files().await? })
    }
}

/// Reads a source, which publishes or has nothing new.
pub async fn ingest(warehouse: &Warehouse, source: &Path) -> anyhow::Result<()> {
    match run_source(warehouse, &Source::load(source)?, &IngestOptions::default()).await? {
        RunOutcome::Published(..) | RunOutcome::NothingNew(..) => Ok(()),
        outcome => bail!("the reading ended otherwise: {outcome:?}"),
    }
}

async fn be_refused(warehouse: &Warehouse) -> anyhow::Result<()> {
    let source = Source::load(&prepared().source(SHRUNK))?;
    match run_source(warehouse, &source, &IngestOptions::default()).await? {
        RunOutcome::Refused(..) => Ok(()),
        outcome => bail!("the reading is not refused: {outcome:?}"),
    }
}

/// Replaces staff and departments, where that has not been done.
async fn publish(warehouse: &Warehouse) -> anyhow::Result<()> {
    let mut run = warehouse.begin().await?;
    if run.base().is_some_and(|base| base.row().source == PUBLISHER) {
        return Ok(());
    }
    for (table, key, ids) in
        [("staff", "staff_id", ["wang", "li"]), ("department", "department_id", ["north", "south"])]
    {
        let batch = rows(&run.schema(table)?, key, &ids)?;
        let staged = run.stager(table)?.stage(None, [batch]).await?;
        run.replace_all(table)?;
        run.add(table, staged)?;
    }
    // It brings nothing from outside, so that no reading is older than it.
    let (source, at) = (PUBLISHER.to_owned(), run.base().map_or_else(now, |base| base.row().taken_at));
    let summary =
        RunSummary { source, read_from: at, read_until: at, counts: Vec::new(), accept_shrink: false, state: None };
    match run.publish(summary).await? {
        Outcome::Published(_) => Ok(()),
        outcome => bail!("the run is not published: {outcome:?}"),
    }
}

/// Rows of a table that say nothing beside their keys.
pub fn rows(schema: &SchemaRef, key: &str, ids: &[&str]) -> anyhow::Result<RecordBatch> {
    let text = |values: Vec<&str>| -> ArrayRef { Arc::new(StringArray::from(values)) };
    let columns = schema.fields().iter().map(|field| match field.name().as_str() {
        name if name == key => text(ids.to_vec()),
        "source" => text(vec![PUBLISHER; ids.len()]),
        _ => new_null_array(field.data_type(), ids.len()),
    });
    Ok(RecordBatch::try_new(schema.clone(), columns.collect())?)
}

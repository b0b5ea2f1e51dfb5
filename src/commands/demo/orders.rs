//! Real orders: every invoice line of a British gift shop over a year, in a warehouse of their own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use tagmill_ingest::{IngestOptions, RunOutcome, Source, run_source};
use tagmill_query::{Access, Definitions, Engine, Limits};
use tagmill_schemas::clock::FixedClock;
use tagmill_store::{LedgerRow, Warehouse};

use super::corp;
use super::page::Page;
use crate::commands::ingest::refused;
use crate::globals::Globals;
use crate::output::{TextTable, busy, thousands};

/// Where the source is, from the root of the repository.
const SOURCE: &str = "tests/data/online_retail/source.yaml";
/// The segments beside the source that are asked.
const SEGMENTS: [&str; 3] = ["net_spend_1000", "quiet_90d", "loyal_no_refund"];

/// Reads the orders and asks three segments of them; without the data, says why they are skipped.
///
/// # Errors
/// What the run, the questions, or the writing failed with.
pub(super) async fn real_orders(page: &mut Page, globals: &Globals) -> anyhow::Result<()> {
    let started = Instant::now();
    let Some(file) = source_file() else {
        page.section("Real orders: skipped", started.elapsed())?;
        return page.paragraph(&format!("They come with the repository, and `{SOURCE}` is not to be found from here."));
    };
    let source = Source::load(&file)?;
    let warehouse = open(globals).await?;
    let is_new = pull(&warehouse, &source).await?;
    let ledger = warehouse.ledger().await?;
    let answers = ask(warehouse, &file).await?;
    page.section("Real orders: a British gift shop, December 2010 to December 2011", started.elapsed())?;
    if let Some(newest) = ledger.last() {
        page.line(&rows_told(newest, is_new))?;
    }
    page.table(answers, 2)
}

/// The location of the orders' warehouse: beside the demo's own.
pub(super) fn location(globals: &Globals) -> String {
    format!("{}-orders", globals.location.trim_end_matches('/'))
}

/// The source's file: from the current folder, as `make demo` runs it, else where the program was built.
fn source_file() -> Option<PathBuf> {
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join(SOURCE);
    [PathBuf::from(SOURCE), built_in].into_iter().find(|file| file.is_file())
}

async fn open(globals: &Globals) -> anyhow::Result<Warehouse> {
    let mut orders = globals.clone();
    orders.location = location(globals);
    Ok(orders.open_or_create_warehouse().await?.with_clock(Arc::new(FixedClock(corp::now()))))
}

/// Reads the orders; `false` where they are there already.
async fn pull(warehouse: &Warehouse, source: &Source) -> anyhow::Result<bool> {
    let _shown = busy("reading half a million invoice lines");
    match run_source(warehouse, source, &IngestOptions::default()).await? {
        RunOutcome::Published(..) => Ok(true),
        RunOutcome::NothingNew(..) | RunOutcome::Dry(_) => Ok(false),
        RunOutcome::Refused(..) => Err(refused(source, warehouse).into()),
    }
}

/// Counts the segments that lie beside the source.
async fn ask(warehouse: Warehouse, source_file: &Path) -> anyhow::Result<TextTable> {
    let _shown = busy("asking three segments");
    let definitions = Definitions::new(source_file.parent().map(|folder| folder.join("segments")));
    let engine = Engine::new(warehouse, Limits::default())?;
    let headings = [("customers", true), ("segment", false), ("what it says", false)];
    let mut table = TextTable::new(headings.map(|(heading, is_right)| (heading.to_owned(), is_right)));
    for name in SEGMENTS {
        let loaded = definitions.load(name)?;
        let view = engine.view(loaded.segment.as_of, Access::Full).await?;
        let count = view.evaluate(&loaded).await?.count().count;
        table.add_row(&[thousands(count), name.to_owned(), loaded.segment.name.unwrap_or_default()]);
    }
    Ok(table)
}

/// `406,829 events of 4,372 customers; 135,080 lines in quarantine, with reasons`.
fn rows_told(newest: &LedgerRow, is_new: bool) -> String {
    let rows_of = |table: &str| thousands(newest.row_counts.get(table).copied().unwrap_or_default());
    let [events, customers, quarantined] = ["event", "customer", "quarantine"].map(rows_of);
    let told = format!("{events} events of {customers} customers; {quarantined} lines in quarantine");
    if is_new { format!("{told}, with reasons") } else { format!("{told}; nothing new") }
}

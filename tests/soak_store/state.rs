//! What a reader finds in a warehouse: its snapshots, and what each holds in its tables.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use anyhow::Context;
use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use tagmill_query::{Access, Engine, Limits, View};
use tagmill_schemas::ids::SnapshotId;
use tagmill_schemas::segment::AsOf;
use tagmill_store::{LedgerRow, Warehouse};

/// The snapshots that a warehouse has before anything happens to it. Whatever comes later is `new`: a run that is tried
/// again gets another id than the one that was killed.
pub const BASE_SNAPSHOTS: i64 = 4;
/// Columns that hold the id of the run.
const OF_THE_RUN: [&str; 2] = ["snapshot_id", "run"];

/// The snapshots, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State(Vec<Seen>);

/// One snapshot as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    /// What its ledger row says, without what differs from run to run.
    row: String,
    /// By table with rows: a hash of them, in any order.
    tables: BTreeMap<String, u64>,
}

impl State {
    /// Reads every row of every snapshot.
    pub async fn of(warehouse: &Warehouse) -> anyhow::Result<Self> {
        let engine = Engine::new(warehouse.clone(), Limits::default())?;
        // Many snapshots hold the same version of a table.
        let mut known: HashMap<(String, u64), u64> = HashMap::new();
        let mut snapshots = Vec::new();
        for row in warehouse.ledger().await? {
            let with_rows = row.tables.iter().filter(|(table, _)| row.row_counts.get(*table) != Some(&0));
            let mut view = None;
            let mut tables = BTreeMap::new();
            for (table, version) in with_rows {
                let place = (table.clone(), *version);
                let hash = match known.get(&place) {
                    Some(hash) => *hash,
                    None => {
                        let view = match &mut view {
                            Some(view) => view,
                            empty => empty.insert(opened(&engine, row.snapshot_id).await?),
                        };
                        hash_of(view, table).await?
                    }
                };
                known.insert(place, hash);
                tables.insert(table.clone(), hash);
            }
            snapshots.push(Seen { row: row_words(&row), tables });
        }
        Ok(Self(snapshots))
    }

    /// Whether these are the snapshots of a ledger, by their rows alone.
    pub fn has_rows(&self, ledger: &[LedgerRow]) -> bool {
        self.0.iter().map(|seen| seen.row.clone()).eq(ledger.iter().map(row_words))
    }

    /// The tables of the newest snapshot, with a hash of the rows of each.
    pub fn newest_tables(&self) -> BTreeMap<String, u64> {
        self.0.last().map(|seen| seen.tables.clone()).unwrap_or_default()
    }

    /// Where this differs from what was expected, in words.
    pub fn difference(&self, expected: &Self) -> String {
        if self.0.len() != expected.0.len() {
            return format!("{} snapshots instead of {}", self.0.len(), expected.0.len());
        }
        let pairs = self.0.iter().zip(&expected.0);
        let told = pairs.filter(|(seen, expected)| seen != expected).map(|(seen, expected)| {
            if seen.row != expected.row {
                return format!("`{}` instead of `{}`", seen.row, expected.row);
            }
            let all = seen.tables.keys().chain(expected.tables.keys());
            let differs = |table: &&String| seen.tables.get(*table) != expected.tables.get(*table);
            format!("`{}` holds other rows in {:?}", seen.row, all.filter(differs).collect::<Vec<_>>())
        });
        told.collect::<Vec<_>>().join("; ")
    }
}

async fn opened(engine: &Engine, id: SnapshotId) -> anyhow::Result<View> {
    let view = engine.view(AsOf::Snapshot(id), Access::Full).await;
    view.with_context(|| format!("snapshot {id} cannot be opened"))
}

fn row_words(row: &LedgerRow) -> String {
    let name = |id: SnapshotId| if id.0 > BASE_SNAPSHOTS { "new".to_owned() } else { id.to_string() };
    let (id, parent) = (name(row.snapshot_id), row.parent_snapshot_id.map(name));
    let LedgerRow { source, read_from, read_until, taken_at, row_counts, guard, latest_events, sources, .. } = row;
    format!(
        "{id} after {parent:?} by {source}, read {read_from} to {read_until}, taken {taken_at}: {row_counts:?} {guard:?} \
         {latest_events:?} {sources:?}"
    )
}

async fn hash_of(view: &View, table: &str) -> anyhow::Result<u64> {
    let schema = view.snapshot().schema(table).with_context(|| format!("no table `{table}`"))?;
    let names = schema.fields().iter().map(|field| field.name());
    let columns: Vec<String> =
        names.filter(|name| !OF_THE_RUN.contains(&name.as_str())).map(|name| format!("\"{name}\"")).collect();
    let sql = format!("SELECT {} FROM {table}", columns.join(", "));
    let batches = view.sql(&sql).await?.collect().await.with_context(|| format!("`{table}` cannot be read"))?;
    let mut rows = Vec::new();
    for batch in &batches {
        rows.extend(row_texts(batch)?);
    }
    rows.sort_unstable();
    let mut hasher = DefaultHasher::new();
    rows.hash(&mut hasher);
    Ok(hasher.finish())
}

fn row_texts(batch: &RecordBatch) -> anyhow::Result<Vec<String>> {
    let options = FormatOptions::new().with_null("\u{0}");
    let columns = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<Result<Vec<_>, _>>()?;
    let text = |row: usize| columns.iter().map(|column| format!("{}\u{1}", column.value(row))).collect::<String>();
    Ok((0..batch.num_rows()).map(text).collect())
}

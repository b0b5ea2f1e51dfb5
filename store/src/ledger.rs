//! The snapshot ledger: one row for each published state.
//!
//! The ledger is a Delta table of one small file that each publish replaces by a file with one more row, so that opening
//! a warehouse reads one file however old it is. The commit of that file is the commit point of a snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{Int64Type, SchemaRef, TimestampMicrosecondType};
use datafusion::arrow::record_batch::RecordBatch;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tagmill_schemas::ids::SnapshotId;

use crate::error::StoreError;

/// One published state of the warehouse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// The snapshot.
    pub snapshot_id: SnapshotId,
    /// The snapshot before; none for the first.
    pub parent_snapshot_id: Option<SnapshotId>,
    /// When it was published, by the clock of the writer.
    pub published_at: DateTime<Utc>,
    /// When the run began to read its source.
    pub read_from: DateTime<Utc>,
    /// When the run ended reading its source.
    pub read_until: DateTime<Utc>,
    /// The later of its own and its parent's `read_until`.
    pub taken_at: DateTime<Utc>,
    /// The source of the run, or `rule:ID`.
    pub source: String,
    /// Table to Delta version.
    pub tables: BTreeMap<String, u64>,
    /// Table to rows.
    pub row_counts: BTreeMap<String, u64>,
    /// What the shrink guard saw, in words.
    pub guard: Vec<String>,
    /// Source to the latest `occurred_at` of its events.
    pub latest_events: BTreeMap<String, DateTime<Utc>>,
    /// Source to what it fills and what it brought last.
    pub sources: BTreeMap<String, SourceState>,
}

/// What the warehouse remembers of a source from run to run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceState {
    /// The name space of its ids.
    pub id_space: String,
    /// The instant its last reading began.
    pub last_read_from: Option<DateTime<Utc>>,
    /// Table to what the source fills there and what it brought last.
    pub tables: BTreeMap<String, TableFill>,
    /// The event types it brought, with the latest `occurred_at` of each.
    pub event_types: BTreeMap<String, DateTime<Utc>>,
}

/// What one source fills in one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFill {
    /// The columns it gives.
    pub columns: Vec<String>,
    /// Its rank where another source gives the same columns; the greater wins.
    pub priority: Option<i32>,
    /// SHA-256 over the input and the SELECT of its last run, to tell "same input twice".
    pub input_digest: String,
    /// How many rows its last run listed: accepted ones, and those that said again what was known.
    pub listed: u64,
}

/// The ledger's rows as one batch of the `snapshot` contract, ascending.
pub(crate) fn to_batch(rows: &[LedgerRow], schema: &SchemaRef) -> Result<RecordBatch, StoreError> {
    let ids = |pick: fn(&LedgerRow) -> Option<i64>| Arc::new(Int64Array::from_iter(rows.iter().map(pick))) as ArrayRef;
    let instants = |pick: fn(&LedgerRow) -> DateTime<Utc>| {
        let micros = rows.iter().map(|row| pick(row).timestamp_micros());
        Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC")) as ArrayRef
    };
    let texts =
        |pick: fn(&LedgerRow) -> String| Arc::new(StringArray::from_iter_values(rows.iter().map(pick))) as ArrayRef;
    let columns = vec![
        ids(|row| Some(row.snapshot_id.0)),
        ids(|row| row.parent_snapshot_id.map(|id| id.0)),
        instants(|row| row.published_at),
        instants(|row| row.read_from),
        instants(|row| row.read_until),
        instants(|row| row.taken_at),
        texts(|row| row.source.clone()),
        texts(|row| json_text(&row.tables)),
        texts(|row| json_text(&row.row_counts)),
        texts(|row| json_text(&row.guard)),
        texts(|row| json_text(&row.latest_events)),
        texts(|row| json_text(&row.sources)),
    ];
    RecordBatch::try_new(schema.clone(), columns)
        .map_err(|cause| StoreError::Contract { table: "snapshot".to_owned(), reason: cause.to_string() })
}

/// Reads the ledger's rows back, ascending by id.
pub(crate) fn from_batches(batches: &[RecordBatch]) -> Result<Vec<LedgerRow>, StoreError> {
    let mut rows = Vec::new();
    for batch in batches {
        for index in 0..batch.num_rows() {
            rows.push(read_row(batch, index)?);
        }
    }
    rows.sort_by_key(|row| row.snapshot_id);
    Ok(rows)
}

fn read_row(batch: &RecordBatch, index: usize) -> Result<LedgerRow, StoreError> {
    let row = RowReader { batch, index };
    Ok(LedgerRow {
        snapshot_id: SnapshotId(row.id("snapshot_id")?.ok_or_else(|| damaged("a row without snapshot_id"))?),
        parent_snapshot_id: row.id("parent_snapshot_id")?.map(SnapshotId),
        published_at: row.instant("published_at")?,
        read_from: row.instant("read_from")?,
        read_until: row.instant("read_until")?,
        taken_at: row.instant("taken_at")?,
        source: row.text("source")?.to_owned(),
        tables: row.json("tables")?,
        row_counts: row.json("row_counts")?,
        guard: row.json("guard")?,
        latest_events: row.json("latest_events")?,
        sources: row.json("sources")?,
    })
}

/// Reads typed cells of one row.
struct RowReader<'b> {
    batch: &'b RecordBatch,
    index: usize,
}

impl RowReader<'_> {
    fn column(&self, name: &str) -> Result<&ArrayRef, StoreError> {
        self.batch.column_by_name(name).ok_or_else(|| damaged(&format!("no column `{name}`")))
    }

    fn id(&self, name: &str) -> Result<Option<i64>, StoreError> {
        let column = self.column(name)?;
        let values = column.as_primitive_opt::<Int64Type>().ok_or_else(|| damaged(name))?;
        Ok((!values.is_null(self.index)).then(|| values.value(self.index)))
    }

    fn instant(&self, name: &str) -> Result<DateTime<Utc>, StoreError> {
        let column = self.column(name)?;
        let values = column.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| damaged(name))?;
        DateTime::from_timestamp_micros(values.value(self.index)).ok_or_else(|| damaged(name))
    }

    fn text(&self, name: &str) -> Result<&str, StoreError> {
        let column = self.column(name)?;
        let values = column.as_string_opt::<i32>().ok_or_else(|| damaged(name))?;
        Ok(values.value(self.index))
    }

    fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, StoreError> {
        serde_json::from_str(self.text(name)?).map_err(|cause| damaged(&format!("column `{name}`: {cause}")))
    }
}

fn json_text<T: Serialize>(value: &T) -> String {
    // Maps with text keys and plain values always serialise.
    serde_json::to_string(value).unwrap_or_default()
}

fn damaged(reason: &str) -> StoreError {
    StoreError::Damaged { what: "the snapshot ledger".to_owned(), reason: reason.to_owned() }
}

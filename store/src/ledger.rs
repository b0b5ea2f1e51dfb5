//! The snapshot ledger: one row for each published state.
//!
//! The ledger is a Delta table of one small file that each publish replaces by a file with one more row, so that opening
//! a warehouse reads one file however old it is. The commit of that file is the commit point of a snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{Int64Type, SchemaRef, TimestampMicrosecondType};
use datafusion::arrow::record_batch::RecordBatch;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tagmill_schemas::ids::SnapshotId;

use crate::error::StoreError;

/// The ledger as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    /// The version of its table: what is published next is committed on top of it.
    pub(crate) version: u64,
    /// Its rows, ascending by id.
    pub(crate) rows: Vec<LedgerRow>,
}

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
    /// The source of the run, `rule:ID`, `import:NAME` or `compaction`.
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
    /// For `assignment`: the last reading that covered everything; `None` before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_reading: Option<FullReading>,
    /// For a target that only adds: the files of patterns and folders that it has taken everything from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_files: Option<ReadFiles>,
}

/// Files that a source has read for a target and need not read again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadFiles {
    /// SHA-256 over everything that decides what comes of a file; where it is another, all are read again.
    pub reading: String,
    /// SHA-256 of the content of each file.
    pub files: BTreeSet<String>,
}

/// A reading that listed all there was: what it did not list was not there when it began.
///
/// It speaks of the customers and follows that were known by its end and of no others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FullReading {
    /// When it began.
    pub read_from: DateTime<Utc>,
    /// The number that the next new customer was to get at its end.
    pub next_customer_no: u32,
    /// The number that the next new follow was to get at its end.
    pub next_follow_no: u32,
    /// Customers of whom it says nothing, because a row of theirs was not taken or a follow of theirs has come back since.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub except_customers: BTreeSet<u32>,
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

#[cfg(test)]
mod tests {
    use tagmill_schemas::tables::contract;

    use super::*;
    use crate::arrow_types::arrow_schema;

    fn row(id: i64) -> LedgerRow {
        let at = |hours: i64| DateTime::from_timestamp(1_762_000_000 + hours * 3600, 0).unwrap();
        let fill = TableFill { columns: vec!["name".to_owned()], priority: Some(2), listed: 7, ..TableFill::default() };
        let state = SourceState {
            id_space: "corp".to_owned(),
            last_read_from: Some(at(1)),
            tables: [("customer".to_owned(), fill)].into(),
            event_types: [("order_paid".to_owned(), at(0))].into(),
        };
        LedgerRow {
            snapshot_id: SnapshotId(id),
            parent_snapshot_id: (id > 1).then(|| SnapshotId(id - 1)),
            published_at: at(4),
            read_from: at(1),
            read_until: at(2),
            taken_at: at(3),
            source: "商城".to_owned(),
            tables: [("customer".to_owned(), 5)].into(),
            row_counts: [("customer".to_owned(), 9)].into(),
            guard: vec!["rows for `customer`: 9, none before".to_owned()],
            latest_events: [("商城".to_owned(), at(0))].into(),
            sources: [("商城".to_owned(), state)].into(),
        }
    }

    fn schema() -> SchemaRef {
        arrow_schema(contract("snapshot").unwrap(), &[])
    }

    #[test]
    fn rows_are_read_back_as_they_were_and_ascending() {
        let batch = to_batch(&[row(2), row(1)], &schema()).unwrap();
        assert_eq!(from_batches(&[batch]).unwrap(), [row(1), row(2)]);
    }

    #[test]
    fn a_ledger_without_one_of_its_columns_is_damaged_and_names_it() {
        let mut batch = to_batch(&[row(1)], &schema()).unwrap();
        batch.remove_column(batch.schema().index_of("tables").unwrap());
        let refused = from_batches(&[batch]).unwrap_err();
        assert!(matches!(refused, StoreError::Damaged { .. }) && refused.to_string().contains("tables"), "{refused}");
    }
}

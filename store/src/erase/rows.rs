//! What stands in the place of a customer's private values, row by row: NULL, or where there must be something a
//! tombstone. Nothing else changes, so that every count of every snapshot stays what it was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray};
use datafusion::arrow::compute::nullif;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::parquet::errors::ParquetError;
use serde_json::{Map, Value};

use super::files::{HeldFile, Holdings, QUARANTINE, WAITING};
use super::in_memory::{is_of, text_at};
use super::same_length::Replaced;
use super::values::{ERASED_TEXT, Search};
use crate::error::StoreError;
use crate::parquet_file::parquet_error;

/// Columns that name other things than the customer, by which rows are found: they stay, whatever they are like.
pub(super) const OTHERS_KEYS: [&str; 6] = ["source", "id_space", "staff_id", "tag_id", "chat_id", "platform"];

/// What is replaced in the rows of one file.
pub(super) struct Scrub<'e> {
    search: &'e Search,
    table: &'static str,
    /// Whether its rows are of customers by number.
    pub(super) is_by_number: bool,
    /// The numbers by which the file calls the customer.
    numbers: &'e [i64],
    private: BTreeSet<String>,
    /// The private columns of an event, which one that waits has in its content.
    of_events: BTreeSet<String>,
}

/// The cells of a batch that get another value: column to row to value, `None` for NULL.
type NewCells = BTreeMap<usize, BTreeMap<usize, Option<String>>>;

impl<'e> Scrub<'e> {
    /// What is replaced in a file.
    pub(super) fn new(file: &'e HeldFile, holdings: &Holdings, search: &'e Search) -> Self {
        Self {
            search,
            table: file.table.name,
            is_by_number: file.is_by_number(),
            numbers: &file.numbers,
            private: holdings.private_in(file.table.name),
            of_events: holdings.private_in("event"),
        }
    }

    /// Whether a batch, of which only the numbers of the customers need be there, may hold anything to replace.
    pub(super) fn concerns(&self, batch: &RecordBatch) -> Result<bool, StoreError> {
        if self.is_by_number { Ok(!self.their_rows(batch).is_empty()) } else { Ok(self.apply(batch)?.is_some()) }
    }

    /// A batch without the customer's values; `None` where it holds none.
    ///
    /// # Errors
    /// `StoreError::Parquet` where the new values make no batch.
    pub(super) fn apply(&self, batch: &RecordBatch) -> Result<Option<Replaced>, StoreError> {
        let cells = match self.table {
            QUARANTINE => self.in_quarantine(batch),
            WAITING => self.in_waiting(batch),
            _ => self.in_their_rows(batch),
        };
        if cells.is_empty() {
            return Ok(None);
        }
        let rows: BTreeSet<usize> = cells.values().flat_map(|rows| rows.keys().copied()).collect();
        let failed = |source| parquet_error("write anew", self.table, source);
        let mut columns = batch.columns().to_vec();
        for (index, replaced) in &cells {
            columns[*index] = with_cells(&columns[*index], replaced).map_err(failed)?;
        }
        let batch = RecordBatch::try_new(batch.schema(), columns).map_err(|cause| failed(cause.into()))?;
        Ok(Some((batch, rows.len() as u64)))
    }

    /// The rows of a batch that are the customer's.
    fn their_rows(&self, batch: &RecordBatch) -> Vec<usize> {
        let theirs = is_of(batch, self.numbers).into_iter().enumerate();
        theirs.filter_map(|(row, is_theirs)| is_theirs.then_some(row)).collect()
    }

    /// In rows of the customer: what is private goes, and what names the customer in another column.
    fn in_their_rows(&self, batch: &RecordBatch) -> NewCells {
        let rows = self.their_rows(batch);
        let mut cells = NewCells::new();
        for (index, (field, column)) in batch.schema().fields().iter().zip(batch.columns()).enumerate() {
            for row in rows.iter().copied().filter(|row| column.is_valid(*row)) {
                if let Some(value) = self.own_cell(batch, field.name(), row, column) {
                    cells.entry(index).or_default().insert(row, value);
                }
            }
        }
        cells
    }

    /// What takes the place of a cell in a row of the customer; the outer `None` where it stays.
    fn own_cell(&self, batch: &RecordBatch, name: &str, row: usize, column: &ArrayRef) -> Option<Option<String>> {
        let values = &self.search.values;
        let text = column.as_string_opt::<i32>().map(|texts| texts.value(row));
        let is_tombstone = text.is_some_and(|text| text.starts_with(&values.tombstone()));
        match (self.table, name) {
            ("customer", "customer_id") => (!is_tombstone).then(|| Some(values.tombstone())),
            ("id_map", "platform_id") => (!is_tombstone).then(|| {
                let platform = text_at(batch, "platform", row).unwrap_or_default();
                Some(values.platform_tombstone(platform, text.unwrap_or_default()))
            }),
            (_, name) if self.private.contains(name) => Some(None),
            (_, name) if OTHERS_KEYS.contains(&name) => None,
            _ => self.search.without_ids(text?).map(Some),
        }
    }

    /// A row that was not taken and is about the customer says nothing any more but where it stood and why, as a code.
    fn in_quarantine(&self, batch: &RecordBatch) -> NewCells {
        let mut cells = NewCells::new();
        for row in 0..batch.num_rows() {
            let said = ["raw", "reason"].map(|name| text_at(batch, name, row));
            if !said.iter().flatten().any(|text| *text != ERASED_TEXT && self.search.is_meant_in(text)) {
                continue;
            }
            for (name, text) in ["raw", "reason"].into_iter().zip(said) {
                put(&mut cells, batch, name, row, text.map(|_| Some(ERASED_TEXT.to_owned())));
            }
        }
        cells
    }

    /// An event that waits for the customer keeps what is not private; one that waits for another keeps all that does
    /// not name the customer.
    fn in_waiting(&self, batch: &RecordBatch) -> NewCells {
        let mut cells = NewCells::new();
        for row in 0..batch.num_rows() {
            let is_theirs = self.waits_for_them(batch, row);
            let content = text_at(batch, "content", row).and_then(|text| self.cleaned_content(text, is_theirs));
            put(&mut cells, batch, "content", row, content.map(Some));
            if !is_theirs {
                continue;
            }
            for name in self.private.iter().filter(|name| *name != "content") {
                put(&mut cells, batch, name, row, text_at(batch, name, row).map(|_| None));
            }
            let values = &self.search.values;
            let is_id = text_at(batch, "customer_id", row).is_some_and(|id| id == values.key.customer_id);
            put(&mut cells, batch, "customer_id", row, is_id.then(|| Some(values.tombstone())));
        }
        cells
    }

    /// Whether one of the keys of an event that waits is the customer's.
    fn waits_for_them(&self, batch: &RecordBatch, row: usize) -> bool {
        let text = |name: &str| text_at(batch, name, row).filter(|text| !text.is_empty());
        let (search, values) = (self.search, &self.search.values);
        let space = text("id_space").unwrap_or_default();
        text("customer_id").is_some_and(|id| values.is_key(space, id))
            || text("unionid").is_some_and(|unionid| values.unionids.contains(unionid))
            || text("mobile").is_some_and(|mobile| search.has_mobile(mobile))
            || text("mobile_sha256").is_some_and(|hash| search.has_mobile_hash(hash))
            || text("mobile_md5").is_some_and(|hash| search.has_mobile_hash(hash))
            || text("platform").zip(text("platform_id")).is_some_and(|(platform, id)| {
                values.platform_ids.iter().any(|(on, theirs)| on == platform && theirs == id)
            })
    }

    /// The content of an event that waits without what must go; `None` where all of it may stay.
    fn cleaned_content(&self, content: &str, is_theirs: bool) -> Option<String> {
        let Ok(told) = serde_json::from_str::<Map<String, Value>>(content) else {
            // What is no event cannot be kept in part.
            return (is_theirs || self.search.is_named_in(content)).then(|| "{}".to_owned());
        };
        let is_private = |name: &String| is_theirs && self.of_events.contains(name);
        let names_them = |value: &Value| value.as_str().is_some_and(|text| self.search.is_named_in(text));
        let kept: Map<String, Value> =
            told.iter().filter(|(name, value)| !is_private(name) && !names_them(value)).map(copied).collect();
        (kept.len() < told.len()).then(|| Value::Object(kept).to_string())
    }
}

fn copied((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

/// Notes a new value of a cell, where there is one and the batch has such a column.
fn put(cells: &mut NewCells, batch: &RecordBatch, name: &str, row: usize, value: Option<Option<String>>) {
    if let (Some(value), Ok(index)) = (value, batch.schema().index_of(name)) {
        cells.entry(index).or_default().insert(row, value);
    }
}

/// A column with other values in some rows. Columns that are no texts can only get NULL.
fn with_cells(column: &ArrayRef, replaced: &BTreeMap<usize, Option<String>>) -> Result<ArrayRef, ParquetError> {
    match column.data_type() {
        DataType::Utf8 => {
            let texts = column.as_string::<i32>();
            let cell = |row: usize| match replaced.get(&row) {
                Some(value) => value.as_deref(),
                None => texts.is_valid(row).then(|| texts.value(row)),
            };
            Ok(Arc::new((0..texts.len()).map(cell).collect::<StringArray>()))
        }
        _ => {
            let is_replaced: BooleanArray = (0..column.len()).map(|row| Some(replaced.contains_key(&row))).collect();
            Ok(nullif(column, &is_replaced)?)
        }
    }
}

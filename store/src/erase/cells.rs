//! The cells of a Parquet file, and whose it is what stands in them.

use std::collections::BTreeSet;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Int32Type, Int64Type};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::array_value_to_string;

use super::in_memory::{is_of, text_at};
use super::rows::OTHERS_KEYS;
use super::values::{Needle, Search, ValueKind};

/// Whose an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Ours: data files, logs, the control state, the steps of plans.
    Ours,
    /// What the owner of the warehouse has put beside them.
    Yours,
}

/// What the cells of a file hold of a customer.
pub(super) struct Cells<'s> {
    search: &'s Search,
    whose: Whose,
    /// The numbers by which the file calls the customer.
    numbers: &'s [i64],
    /// The values that were seen in any cell, by their place among those that tell.
    pub(super) seen: BTreeSet<usize>,
    /// In how many cells of others they stand.
    pub(super) of_others: u64,
    /// Whether anything is left that the contract of the table calls private.
    pub(super) is_private_left: bool,
    left: BTreeSet<ValueKind>,
}

impl<'s> Cells<'s> {
    /// Nothing so far.
    pub(super) fn new(search: &'s Search, whose: Whose, numbers: &'s [i64]) -> Self {
        let (seen, left) = (BTreeSet::new(), BTreeSet::new());
        Self { search, whose, numbers, seen, of_others: 0, is_private_left: false, left }
    }

    /// Looks at all cells of a batch.
    pub(super) fn look(&mut self, batch: &RecordBatch) {
        let search = self.search;
        let is_by_number = self.whose == Whose::Ours && batch.column_by_name("customer_no").is_some();
        let theirs = is_by_number.then(|| is_of(batch, self.numbers));
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            for (index, needle) in search.telling().iter().enumerate() {
                for row in rows_with(column, needle) {
                    self.seen.insert(index);
                    let is_theirs = theirs.as_ref().map(|theirs| theirs[row]);
                    self.judge(needle.kind, field.name(), is_theirs);
                }
            }
        }
        if self.whose == Whose::Yours {
            self.look_for_the_id(batch);
        }
    }

    /// What is left, in words.
    pub(super) fn left_in_words(&self) -> Vec<String> {
        let private = self.is_private_left.then(|| "private column".to_owned());
        self.left.iter().map(|kind| kind.as_str().to_owned()).chain(private).collect()
    }

    /// Decides whose it is what stands in a cell. `is_theirs` says whether the row is the customer's, where it is any
    /// customer's.
    fn judge(&mut self, kind: ValueKind, column: &str, is_theirs: Option<bool>) {
        let is_left = match (self.whose, is_theirs) {
            (Whose::Yours, _) => true,
            (_, Some(false)) => false,
            // Staff, places and tags may be called as the customer was, and what is private is judged by its column.
            _ => kind.is_unique() && !OTHERS_KEYS.contains(&column),
        };
        if is_left {
            self.left.insert(kind);
        } else {
            self.of_others += 1;
        }
    }

    /// In an export, a short id is found by its column.
    fn look_for_the_id(&mut self, batch: &RecordBatch) {
        let id = self.search.values.key.customer_id.as_str();
        if (0..batch.num_rows()).any(|row| text_at(batch, "customer_id", row) == Some(id)) {
            self.left.insert(ValueKind::CustomerId);
        }
    }
}

/// The rows of a column that hold a value.
fn rows_with(column: &ArrayRef, needle: &Needle) -> Vec<usize> {
    let rows = 0..column.len();
    match column.data_type() {
        DataType::Utf8 => {
            let texts = column.as_string::<i32>();
            // Most columns hold it nowhere, which one look at all their texts says.
            if !needle.is_in(texts.value_data()) {
                return Vec::new();
            }
            rows.filter(|row| texts.is_valid(*row) && needle.is_in(texts.value(*row).as_bytes())).collect()
        }
        DataType::Binary => {
            let values = column.as_binary::<i32>();
            rows.filter(|row| values.is_valid(*row) && needle.is_in(values.value(*row))).collect()
        }
        DataType::Int64 => {
            let (numbers, wanted) = (column.as_primitive::<Int64Type>(), needle.number);
            rows.filter(|row| numbers.is_valid(*row) && wanted == Some(numbers.value(*row))).collect()
        }
        DataType::Int32 => {
            let (numbers, wanted) = (column.as_primitive::<Int32Type>(), needle.number);
            rows.filter(|row| numbers.is_valid(*row) && wanted == Some(i64::from(numbers.value(*row)))).collect()
        }
        nested if nested.is_nested() => {
            let shown = |row: &usize| array_value_to_string(column, *row).unwrap_or_default();
            rows.filter(|row| needle.is_in(shown(row).as_bytes())).collect()
        }
        _ => Vec::new(),
    }
}

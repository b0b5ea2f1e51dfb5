//! Judging the values of one column: which rows lack one that they need, or have one that it does not take.

use std::collections::BTreeMap;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use datafusion::arrow::datatypes::{DataType, Int32Type, Int64Type};
use datafusion::arrow::util::display::array_value_to_string;
use tagmill_schemas::tables::Domain;

use super::quarantine::Refusal;
use super::targets::InputColumn;

/// Judges the rows of one column.
pub(super) struct Judge<'c> {
    pub(super) column: &'c InputColumn,
    pub(super) domain: Option<Domain>,
    pub(super) given: &'c ArrayRef,
    pub(super) cast: &'c ArrayRef,
    /// The rows whose value the cast changed.
    pub(super) changed: Option<BooleanArray>,
}

impl Judge<'_> {
    /// Notes the first thing that is wrong with each row, by row.
    pub(super) fn judge(&self, refused: &mut BTreeMap<usize, Refusal>) {
        if self.is_flawless() {
            return;
        }
        for row in 0..self.given.len() {
            if refused.contains_key(&row) {
                continue;
            }
            let is_null = self.given.is_null(row);
            if self.column.is_needed && (is_null || is_empty_text(self.cast, row)) {
                let reason = format!("`{}` is missing", self.column.name);
                refused.insert(row, Refusal::new("MISSING_VALUE", reason));
            } else if !is_null && let Some(reason) = self.fault(row) {
                refused.insert(row, Refusal::new("BAD_VALUE", reason));
            }
        }
    }

    /// Whether nothing can be wrong with any row: true of most batches, and found out for all rows at once.
    fn is_flawless(&self) -> bool {
        let is_whole = self.cast.null_count() == self.given.null_count() && self.changed.is_none();
        let is_told = !self.column.is_needed || (self.given.null_count() == 0 && !has_empty_text(self.cast));
        is_whole && is_told && self.domain.is_none_or(|domain| are_all_within(domain, self.cast))
    }

    /// What is wrong with a value that is there.
    fn fault(&self, row: usize) -> Option<String> {
        let name = &self.column.name;
        if self.cast.is_null(row) {
            return Some(format!("{} is no {} for `{name}`", self.shown(row), type_word(&self.column.ty)));
        }
        if self.changed.as_ref().is_some_and(|changed| changed.value(row)) {
            return Some(match self.column.ty {
                DataType::Decimal128(_, scale) => {
                    format!("{} has more than {scale} places after the point for `{name}`", self.shown(row))
                }
                _ => format!("{} is no {} for `{name}`", self.shown(row), type_word(&self.column.ty)),
            });
        }
        let domain = self.domain.filter(|domain| !is_within(*domain, self.cast, row))?;
        Some(format!("{} is no value for `{name}`, which takes {}", self.shown(row), domain.describe()))
    }

    fn shown(&self, row: usize) -> String {
        // Reasons are public, private columns are not; the raw row, which is private too, keeps the value.
        if self.column.is_private {
            return "the value".to_owned();
        }
        let value = array_value_to_string(self.given, row).unwrap_or_default();
        format!("`{}`", value.chars().take(80).collect::<String>())
    }
}

fn is_within(domain: Domain, cast: &ArrayRef, row: usize) -> bool {
    match cast.data_type() {
        DataType::Utf8 => domain.holds_word(cast.as_string::<i32>().value(row)),
        DataType::Int32 => domain.holds_number(i64::from(cast.as_primitive::<Int32Type>().value(row))),
        DataType::Int64 => domain.holds_number(cast.as_primitive::<Int64Type>().value(row)),
        _ => true,
    }
}

/// Whether every value that is there is one of the domain.
fn are_all_within(domain: Domain, cast: &ArrayRef) -> bool {
    match cast.data_type() {
        DataType::Utf8 => cast.as_string::<i32>().iter().flatten().all(|word| domain.holds_word(word)),
        DataType::Int32 => {
            cast.as_primitive::<Int32Type>().iter().flatten().all(|number| domain.holds_number(i64::from(number)))
        }
        DataType::Int64 => cast.as_primitive::<Int64Type>().iter().flatten().all(|number| domain.holds_number(number)),
        _ => true,
    }
}

/// Whether any row of a column without NULLs is a text of no characters.
fn has_empty_text(array: &ArrayRef) -> bool {
    let texts = array.as_string_opt::<i32>();
    texts.is_some_and(|texts| texts.value_offsets().windows(2).any(|ends| ends[0] == ends[1]))
}

fn is_empty_text(array: &ArrayRef, row: usize) -> bool {
    array.as_string_opt::<i32>().is_some_and(|texts| !texts.is_null(row) && texts.value(row).is_empty())
}

fn type_word(ty: &DataType) -> &'static str {
    match ty {
        DataType::Int32 | DataType::Int64 => "whole number",
        DataType::Decimal128(..) => "amount with at most 14 digits before the point",
        DataType::Timestamp(..) => "time",
        DataType::Date32 => "day",
        DataType::Boolean => "true or false",
        _ => "text",
    }
}

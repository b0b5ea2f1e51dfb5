//! Tables that are a plain list with a key: staff, departments, group chats, group members, the id map.
//!
//! They are small: the whole table is read, merged and written again. A row that a `full` source no longer lists goes.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::util::display::array_value_to_string;

use super::context::{RunContext, Target};
use super::keys::{read, text_at};
use super::merge::{Pair, Wins, concat, is_same, merge, take_rows, with_column};
use super::quarantine::Refusal;
use crate::error::IngestError;
use crate::source::Mode;

/// The columns that identify a row.
fn key_columns(table: &str) -> &'static [&'static str] {
    match table {
        "staff" => &["staff_id"],
        "department" => &["department_id"],
        "id_map" => &["platform", "platform_id"],
        "group_chat" => &["chat_id"],
        "group_member" => &["chat_id", "customer_no"],
        _ => &[],
    }
}

/// Applies the rows of one target.
pub(super) async fn apply(
    context: &mut RunContext<'_>,
    rows: &RecordBatch,
    target: &mut Target<'_>,
) -> Result<(), IngestError> {
    let table = static_name(&target.select.table)?;
    let rows = resolve_customers(context, rows, table)?;
    let rows = without_duplicates(context, &rows, table, key_columns(table))?;
    target.count.accepted = rows.num_rows() as u64;
    let rows = with_source(&rows, &context.source.name)?;
    let schema = context.run.schema(table)?;
    let base = concat(&schema, &read(context.run.base(), table, &format!("SELECT * FROM {table}")).await?)?;
    let keys = key_columns(table);
    let incoming: HashMap<String, usize> = (0..rows.num_rows()).map(|row| (key_of(&rows, keys, row), row)).collect();
    let mut pairs = Vec::new();
    let mut is_listed = vec![false; rows.num_rows()];
    let mut gone = 0;
    for row in 0..base.num_rows() {
        let found = incoming.get(&key_of(&base, keys, row)).copied();
        if let Some(found) = found {
            is_listed[found] = true;
        }
        let is_ours = text_at(&base, "source", row) == Some(context.source.name.as_str());
        if found.is_none() && is_ours && target.select.mode == Mode::Full {
            gone += 1;
            continue;
        }
        pairs.push(Pair { base: Some(row), incoming: found.filter(|_| is_ours) });
    }
    let new = (0..rows.num_rows()).filter(|row| !is_listed[*row]);
    pairs.extend(new.map(|row| Pair { base: None, incoming: Some(row) }));
    target.count.change("new", is_listed.iter().filter(|listed| !**listed).count() as u64);
    target.count.change("gone", gone);
    let merged = merge(&schema, &base, &rows, &pairs, |_| Wins::Incoming)?;
    if !is_same(&merged, &base) {
        context.run.replace_all(table);
        context.stage(table, None, vec![merged]).await?;
    }
    Ok(())
}

/// Rows with the source that brings them.
pub(super) fn with_source(rows: &RecordBatch, source: &str) -> Result<RecordBatch, IngestError> {
    let names: ArrayRef = Arc::new(StringArray::from(vec![source; rows.num_rows()]));
    with_column(rows, "source", names)
}

/// Replaces `customer_id` by `customer_no` where the table refers to customers; unknown ones are put into quarantine.
fn resolve_customers(
    context: &mut RunContext<'_>,
    rows: &RecordBatch,
    table: &str,
) -> Result<RecordBatch, IngestError> {
    if !matches!(table, "id_map" | "group_member") {
        return Ok(rows.clone());
    }
    let (mut kept, mut numbers) = (Vec::new(), Vec::new());
    for row in 0..rows.num_rows() {
        let id = text_at(rows, "customer_id", row).unwrap_or_default();
        match context.customers.get(id) {
            Some(number) => {
                kept.push(row as u32);
                numbers.push(i64::from(number));
            }
            None => refuse_unmatched(context, rows, table, row)?,
        }
    }
    with_column(&take_rows(rows, &kept)?, "customer_no", Arc::new(Int64Array::from(numbers)))
}

/// Puts a row whose customer is not known into quarantine.
pub(super) fn refuse_unmatched(
    context: &mut RunContext<'_>,
    rows: &RecordBatch,
    table: &str,
    row: usize,
) -> Result<(), IngestError> {
    let id = text_at(rows, "customer_id", row).unwrap_or_default();
    let refusal =
        Refusal::new("UNMATCHED_CUSTOMER", format!("no customer `{}:{id}` is known", context.source.id_space));
    let place = super::conform::place_of(rows, row);
    context.quarantine.add(table, &place, refusal, || super::conform::raw_of(rows, row))
}

/// Takes out rows whose key came before: equal ones as duplicates, different ones as conflicts. The first stays.
pub(super) fn without_duplicates(
    context: &mut RunContext<'_>,
    rows: &RecordBatch,
    table: &str,
    keys: &[&str],
) -> Result<RecordBatch, IngestError> {
    let mut first: HashMap<String, usize> = HashMap::with_capacity(rows.num_rows());
    let mut kept = Vec::with_capacity(rows.num_rows());
    for row in 0..rows.num_rows() {
        let key = key_of(rows, keys, row);
        match first.get(&key) {
            None => {
                first.insert(key, row);
                kept.push(row as u32);
            }
            Some(earlier) => refuse_again(context, rows, table, (*earlier, row), &key)?,
        }
    }
    if kept.len() == rows.num_rows() { Ok(rows.clone()) } else { take_rows(rows, &kept) }
}

fn refuse_again(
    context: &mut RunContext<'_>,
    rows: &RecordBatch,
    table: &str,
    (earlier, row): (usize, usize),
    key: &str,
) -> Result<(), IngestError> {
    let schema = rows.schema();
    let is_equal = schema.fields().iter().zip(rows.columns()).all(|(field, column)| {
        field.name().starts_with('_') || column.slice(earlier, 1).as_ref() == column.slice(row, 1).as_ref()
    });
    // The id on another platform is private, and a reason is not.
    let shown = if table == "id_map" { "the id".to_owned() } else { format!("`{}`", key.replace('\u{1f}', ", ")) };
    let refusal = if is_equal {
        Refusal::new("DUPLICATE", format!("{shown} was given before with the same values"))
    } else {
        Refusal::new("KEY_CONFLICT", format!("{shown} was given before with other values; the first stays"))
    };
    let place = super::conform::place_of(rows, row);
    context.quarantine.add(table, &place, refusal, || super::conform::raw_of(rows, row))
}

/// A row's key as one text; the parts are kept apart by a character that no id holds.
pub(super) fn key_of(batch: &RecordBatch, keys: &[&str], row: usize) -> String {
    let part = |key: &&str| {
        let array = batch.column_by_name(key)?;
        (!array.is_null(row)).then(|| array_value_to_string(array, row).unwrap_or_default())
    };
    keys.iter().map(|key| part(key).unwrap_or_default()).collect::<Vec<_>>().join("\u{1f}")
}

fn static_name(table: &str) -> Result<&'static str, IngestError> {
    tagmill_schemas::tables::contract(table)
        .map(|table| table.name)
        .ok_or_else(|| IngestError::internal(format!("`{table}` is no table")))
}

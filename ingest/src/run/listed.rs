//! Tables that are a plain list with a key: group chats, group members, the id map.
//!
//! They are small: the whole table is read, merged and written again. A row that a `full` source no longer lists goes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::util::display::array_value_to_string;

use super::conform::Conformed;
use super::context::{RunContext, Target};
use super::keys::{read, text_at};
use super::merge::{Pair, Wins, concat, is_same, merge, take_rows, with_column};
use super::quarantine::Refusal;
use crate::error::IngestError;

/// The columns that identify a row.
fn key_columns(table: &str) -> &'static [&'static str] {
    match table {
        "id_map" => &["platform", "platform_id"],
        "group_chat" => &["chat_id"],
        "group_member" => &["chat_id", "customer_no"],
        _ => &[],
    }
}

/// Applies the rows of one target.
pub(super) async fn apply(
    context: &mut RunContext<'_>,
    listing: &Conformed,
    target: &mut Target<'_>,
) -> Result<(), IngestError> {
    let table = static_name(&target.select.table)?;
    let keys = key_columns(table);
    let schema = context.run.schema(table)?;
    let base = concat(&schema, &read(context.run.base(), table, &format!("SELECT * FROM {table}")).await?)?;
    let refused = numbered(context, &listing.refused, table)?;
    let rows = numbered(context, &listing.rows, table)?;
    let (rows, unmatched) = without_unmatched(context, &rows, table)?;
    let rows = without_duplicates(context, &rows, table, keys)?;
    let held = held_by_others(context, &base, keys);
    let rows = without_held(context, &rows, table, keys, &held)?;
    target.count.accepted = rows.num_rows() as u64;
    let rows = with_source(&rows, &context.source.name)?;
    let not_taken = [&refused, &unmatched];
    let listed_too: HashSet<String> = not_taken.into_iter().flat_map(|rows| keys_of(rows, keys)).collect();
    let pairs = pair(context, &base, &rows, keys, target.ends_unlisted().then_some(&listed_too));
    let kept = pairs.iter().filter(|pair| pair.base.is_some()).count();
    target.count.change("new", (pairs.len() - kept) as u64);
    target.count.change("gone", (base.num_rows() - kept) as u64);
    let merged = merge(&schema, &base, &rows, &pairs, |_| Wins::Incoming)?;
    if table == "id_map" {
        context.people.keep_id_map(&merged);
    }
    if !is_same(&merged, &base) {
        context.run.replace_all(table)?;
        context.stage(table, None, vec![merged]).await?;
    }
    Ok(())
}

/// Pairs what is there with what comes, then what is new. What a full listing no longer has goes, but for keys of which
/// it says that they are `listed_too`; `None`: nothing goes.
fn pair(
    context: &RunContext<'_>,
    base: &RecordBatch,
    rows: &RecordBatch,
    keys: &[&str],
    listed_too: Option<&HashSet<String>>,
) -> Vec<Pair> {
    let mut incoming: HashMap<String, usize> = keys_of(rows, keys).zip(0..).collect();
    let mut pairs = Vec::with_capacity(base.num_rows() + rows.num_rows());
    for (row, key) in keys_of(base, keys).enumerate() {
        let found = incoming.remove(&key);
        let is_ours = text_at(base, "source", row) == Some(context.source.name.as_str());
        let is_gone = is_ours && found.is_none() && listed_too.is_some_and(|listed| !listed.contains(&key));
        if !is_gone {
            pairs.push(Pair { base: Some(row), incoming: found });
        }
    }
    let mut new: Vec<usize> = incoming.into_values().collect();
    new.sort_unstable();
    pairs.extend(new.into_iter().map(|row| Pair { base: None, incoming: Some(row) }));
    pairs
}

/// The keys of what other sources brought, with their sources.
fn held_by_others(context: &RunContext<'_>, base: &RecordBatch, keys: &[&str]) -> HashMap<String, String> {
    let held = keys_of(base, keys).enumerate().filter_map(|(row, key)| {
        let holder = text_at(base, "source", row)?;
        (holder != context.source.name).then(|| (key, holder.to_owned()))
    });
    held.collect()
}

fn keys_of(rows: &RecordBatch, keys: &[&str]) -> impl Iterator<Item = String> {
    (0..rows.num_rows()).map(move |row| key_of(rows, keys, row))
}

/// Rows with the source that brings them.
pub(super) fn with_source(rows: &RecordBatch, source: &str) -> Result<RecordBatch, IngestError> {
    let names: ArrayRef = Arc::new(StringArray::from(vec![source; rows.num_rows()]));
    with_column(rows, "source", names)
}

/// Rows with `customer_no` where the table refers to customers; it is NULL for those that are not known.
fn numbered(context: &RunContext<'_>, rows: &RecordBatch, table: &str) -> Result<RecordBatch, IngestError> {
    if !refers_to_customers(table) {
        return Ok(rows.clone());
    }
    let number_of = |row: usize| text_at(rows, "customer_id", row).and_then(|id| context.customers.get(id));
    let numbers: Int64Array = (0..rows.num_rows()).map(|row| number_of(row).map(i64::from)).collect();
    with_column(rows, "customer_no", Arc::new(numbers))
}

fn refers_to_customers(table: &str) -> bool {
    matches!(table, "id_map" | "group_member")
}

/// Splits numbered rows into those of known customers and the others, which are put into quarantine.
fn without_unmatched(
    context: &mut RunContext<'_>,
    rows: &RecordBatch,
    table: &str,
) -> Result<(RecordBatch, RecordBatch), IngestError> {
    let numbers = rows.column_by_name("customer_no").filter(|_| refers_to_customers(table));
    let Some(numbers) = numbers else { return Ok((rows.clone(), rows.slice(0, 0))) };
    let (kept, unmatched): (Vec<u32>, Vec<u32>) =
        (0..rows.num_rows() as u32).partition(|row| !numbers.is_null(*row as usize));
    for row in &unmatched {
        refuse_unmatched(context, rows, table, *row as usize)?;
    }
    Ok((take_rows(rows, &kept)?, take_rows(rows, &unmatched)?))
}

/// Puts a row whose customer is not known into quarantine.
pub(super) fn refuse_unmatched(
    context: &mut RunContext<'_>,
    rows: &RecordBatch,
    table: &str,
    row: usize,
) -> Result<(), IngestError> {
    let refusal = unmatched_customer(context, text_at(rows, "customer_id", row).unwrap_or_default());
    let place = super::conform::place_of(rows, row);
    context.quarantine.add(table, &place, refusal, || super::conform::raw_of(rows, row))
}

/// Says that no customer bears an id.
pub(super) fn unmatched_customer(context: &RunContext<'_>, id: &str) -> Refusal {
    Refusal::new("UNMATCHED_CUSTOMER", format!("no customer `{}:{id}` is known", context.source.id_space))
}

/// Takes out rows whose key another source holds: who brought it first keeps it.
pub(super) fn without_held(
    context: &mut RunContext<'_>,
    rows: &RecordBatch,
    table: &str,
    keys: &[&str],
    held: &HashMap<String, String>,
) -> Result<RecordBatch, IngestError> {
    if held.is_empty() {
        return Ok(rows.clone());
    }
    let mut kept = Vec::with_capacity(rows.num_rows());
    for (row, key) in keys_of(rows, keys).enumerate() {
        match held.get(&key) {
            None => kept.push(row as u32),
            Some(holder) => refuse_held(context, rows, (table, row), &shown(table, &key), holder)?,
        }
    }
    if kept.len() == rows.num_rows() { Ok(rows.clone()) } else { take_rows(rows, &kept) }
}

/// Puts a row whose key another source holds into quarantine.
pub(super) fn refuse_held(
    context: &mut RunContext<'_>,
    rows: &RecordBatch,
    (table, row): (&str, usize),
    shown: &str,
    holder: &str,
) -> Result<(), IngestError> {
    let reason = format!("{shown} was brought by the source `{holder}`, which keeps it");
    let refusal = Refusal::new("HELD_BY_OTHER_SOURCE", reason);
    let place = super::conform::place_of(rows, row);
    context.quarantine.add(table, &place, refusal, || super::conform::raw_of(rows, row))
}

/// A key in the words of a reason. The id on another platform is private, and a reason is not.
fn shown(table: &str, key: &str) -> String {
    if table == "id_map" { "the id".to_owned() } else { format!("`{}`", key.replace('\u{1f}', ", ")) }
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
            Some(earlier) => refuse_again(context, rows, table, (*earlier, row), keys)?,
        }
    }
    if kept.len() == rows.num_rows() { Ok(rows.clone()) } else { take_rows(rows, &kept) }
}

/// Puts a row whose key came before into quarantine.
pub(super) fn refuse_again(
    context: &mut RunContext<'_>,
    rows: &RecordBatch,
    table: &str,
    (earlier, row): (usize, usize),
    keys: &[&str],
) -> Result<(), IngestError> {
    let schema = rows.schema();
    let is_equal = schema.fields().iter().zip(rows.columns()).all(|(field, column)| {
        field.name().starts_with('_') || column.slice(earlier, 1).as_ref() == column.slice(row, 1).as_ref()
    });
    let shown = shown(table, &key_of(rows, keys, row));
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

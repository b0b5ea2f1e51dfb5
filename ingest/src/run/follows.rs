//! Follows: one row for ever for a staff member and a customer, ended where a full listing no longer has it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use tagmill_schemas::ids::BUCKET_BITS;

use super::conform::Conformed;
use super::context::{RunContext, Target};
use super::keys::{dense, read, text_at};
use super::listed::{refuse_held, refuse_unmatched, with_source, without_duplicates};
use super::merge::{Pair, Wins, concat, is_same, merge, take_rows, with_column};
use crate::error::IngestError;

/// The column that says whose customer it is.
const OWNER: &str = "is_owner";

/// Applies the rows of `follow`.
pub(super) async fn apply(
    context: &mut RunContext<'_>,
    listing: &Conformed,
    target: &mut Target<'_>,
) -> Result<(), IngestError> {
    let schema = context.run.schema("follow")?;
    let base = concat(&schema, &read(context.run.base(), "follow", "SELECT * FROM follow").await?)?;
    let rows = without_duplicates(context, &listing.rows, "follow", &["staff_id", "customer_id"])?;
    let rows = resolved(context, &rows, &base, target)?;
    target.count.accepted = rows.num_rows() as u64;
    let pairs = pair(&base, &rows);
    let merged = merge(&schema, &base, &rows, &pairs, |column| match column {
        "source" => Wins::Base,
        _ => Wins::Incoming,
    })?;
    let returned = returned_customers(&base, &merged, &pairs)?;
    super::assignments::leave_out(context, returned);
    let listed_too = known_follows(context, &listing.refused);
    let merged = end_unlisted(context, &merged, &pairs, &listed_too, target)?;
    let is_told = context.others().map(|(_, state)| state).chain([&context.state]);
    let is_told =
        is_told.filter_map(|state| state.tables.get("follow")).any(|fill| fill.columns.contains(&OWNER.into()));
    let is_told = is_told || target.columns.iter().any(|column| column.name == OWNER);
    let merged = with_column(&merged, OWNER, owners(&merged, is_told))?;
    context.ended_follows = Some(ended(&merged)?);
    context.follow_added = Some(super::assignments::added_by_follow(std::slice::from_ref(&merged))?);
    let before = concat(&schema, std::slice::from_ref(&base))?;
    write_changed_buckets(context, &before, &merged).await
}

/// Rows with the numbers of customer and follow; rows of unknown customers, and of follows that another source brought,
/// are put into quarantine.
fn resolved(
    context: &mut RunContext<'_>,
    rows: &RecordBatch,
    base: &RecordBatch,
    target: &mut Target<'_>,
) -> Result<RecordBatch, IngestError> {
    let held = held_by_others(base, &context.source.name);
    let (mut kept, mut customers, mut follows, mut new) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for row in 0..rows.num_rows() {
        let id = text_at(rows, "customer_id", row).unwrap_or_default();
        let Some(customer) = context.customers.get(id) else {
            refuse_unmatched(context, rows, "follow", row)?;
            continue;
        };
        let staff = text_at(rows, "staff_id", row).unwrap_or_default();
        let known = context.follows.get(staff, customer);
        if let Some(holder) = known.and_then(|follow| held.get(&i64::from(follow))) {
            refuse_held(context, rows, ("follow", row), &format!("the follow of `{staff}`"), holder)?;
            continue;
        }
        let (follow, is_new) = context.follows.get_or_give(staff, customer);
        new += u64::from(is_new);
        kept.push(row as u32);
        customers.push(i64::from(customer));
        follows.push(i64::from(follow));
    }
    target.count.change("new", new);
    let rows = take_rows(rows, &kept)?;
    let statuses: StringArray =
        (0..rows.num_rows()).map(|row| Some(text_at(&rows, "status", row).unwrap_or("active").to_owned())).collect();
    let none: StringArray = (0..rows.num_rows()).map(|_| None::<&str>).collect();
    let rows = with_column(&rows, "customer_no", Arc::new(Int64Array::from(customers)))?;
    let rows = with_column(&rows, "follow_no", Arc::new(Int64Array::from(follows)))?;
    let rows = with_column(&rows, "status", Arc::new(statuses))?;
    let rows = with_column(&rows, "ended_cause", Arc::new(none))?;
    with_source(&rows, &context.source.name)
}

/// The follows that other sources brought, with their sources.
fn held_by_others<'b>(base: &'b RecordBatch, source: &str) -> HashMap<i64, &'b str> {
    let follows = numbers(base, "follow_no").into_iter().enumerate();
    let held = follows.filter_map(|(row, follow)| Some((follow, text_at(base, "source", row)?)));
    held.filter(|(_, holder)| *holder != source).collect()
}

/// The follows that refused rows are about: they are listed, although nothing else of the rows can be taken.
fn known_follows(context: &RunContext<'_>, refused: &RecordBatch) -> HashSet<i64> {
    let follow_of = |row: usize| {
        let customer = context.customers.get(text_at(refused, "customer_id", row)?)?;
        context.follows.get(text_at(refused, "staff_id", row)?, customer).map(i64::from)
    };
    (0..refused.num_rows()).filter_map(follow_of).collect()
}

/// Pairs by `follow_no`, in the order of customer and follow.
fn pair(base: &RecordBatch, rows: &RecordBatch) -> Vec<Pair> {
    let coming: HashMap<i64, usize> =
        numbers(rows, "follow_no").into_iter().enumerate().map(|(r, no)| (no, r)).collect();
    let there = numbers(base, "follow_no");
    let mut pairs: Vec<(i64, i64, Pair)> = Vec::with_capacity(there.len() + coming.len());
    for ((row, follow), customer) in there.iter().enumerate().zip(numbers(base, "customer_no")) {
        pairs.push((customer, *follow, Pair { base: Some(row), incoming: coming.get(follow).copied() }));
    }
    let known: HashSet<i64> = there.into_iter().collect();
    for ((row, follow), customer) in numbers(rows, "follow_no").iter().enumerate().zip(numbers(rows, "customer_no")) {
        if !known.contains(follow) {
            pairs.push((customer, *follow, Pair { base: None, incoming: Some(row) }));
        }
    }
    pairs.sort_unstable_by_key(|(customer, follow, _)| (*customer, *follow));
    pairs.into_iter().map(|(.., pair)| pair).collect()
}

/// The customers of follows that had ended and are there again.
fn returned_customers(base: &RecordBatch, merged: &RecordBatch, pairs: &[Pair]) -> Result<Vec<u32>, IngestError> {
    let has_ended = |rows: &RecordBatch, row: usize| text_at(rows, "status", row) == Some("ended");
    let has_returned = |row: usize| pairs[row].base.is_some_and(|old| has_ended(base, old)) && !has_ended(merged, row);
    let customers = numbers(merged, "customer_no").into_iter().enumerate();
    customers.filter(|(row, _)| has_returned(*row)).map(|(_, customer)| dense(customer)).collect()
}

/// Ends this source's follows that a full listing no longer has; `listed_too` are those that only refused rows list.
fn end_unlisted(
    context: &RunContext<'_>,
    merged: &RecordBatch,
    pairs: &[Pair],
    listed_too: &HashSet<i64>,
    target: &mut Target<'_>,
) -> Result<RecordBatch, IngestError> {
    if !target.ends_unlisted() {
        return Ok(merged.clone());
    }
    let follows = numbers(merged, "follow_no");
    let ends = |row: usize| {
        pairs[row].incoming.is_none()
            && !listed_too.contains(&follows[row])
            && text_at(merged, "source", row) == Some(context.source.name.as_str())
            && text_at(merged, "status", row) != Some("ended")
    };
    let rows = 0..merged.num_rows();
    target.count.change("ended", rows.clone().filter(|row| ends(*row)).count() as u64);
    let statuses: StringArray =
        rows.clone().map(|row| if ends(row) { Some("ended") } else { text_at(merged, "status", row) }).collect();
    let causes: StringArray =
        rows.map(|row| if ends(row) { Some("unlisted") } else { text_at(merged, "ended_cause", row) }).collect();
    let merged = with_column(merged, "status", Arc::new(statuses))?;
    with_column(&merged, "ended_cause", Arc::new(causes))
}

/// Exactly one owner for each customer who is followed: the one the source names, else the follow added first, ties by
/// staff id; among active follows where there are any.
///
/// `is_told` says whether any source names owners; without one, the flags that are there were computed and are made anew.
fn owners(merged: &RecordBatch, is_told: bool) -> ArrayRef {
    let customers = numbers(merged, "customer_no");
    let added =
        merged.column_by_name("added_at").and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let named = merged.column_by_name(OWNER).and_then(|column| column.as_boolean_opt()).filter(|_| is_told);
    let rank = |row: usize| {
        let is_active = matches!(text_at(merged, "status", row), Some("active" | "half"));
        let is_named = named.is_some_and(|named| !named.is_null(row) && named.value(row));
        let added = added.filter(|added| !added.is_null(row)).map_or(i64::MAX, |added| added.value(row));
        (!is_active, !is_named, added, text_at(merged, "staff_id", row).unwrap_or_default())
    };
    let mut owner_of: HashMap<i64, usize> = HashMap::new();
    for (row, customer) in customers.iter().enumerate() {
        let owner = owner_of.entry(*customer).or_insert(row);
        if rank(row) < rank(*owner) {
            *owner = row;
        }
    }
    let owners: BooleanArray =
        customers.iter().enumerate().map(|(row, customer)| Some(owner_of.get(customer) == Some(&row))).collect();
    Arc::new(owners)
}

/// The follows that have ended.
pub(super) fn ended(rows: &RecordBatch) -> Result<HashSet<u32>, IngestError> {
    let follows = numbers(rows, "follow_no").into_iter().enumerate();
    follows.filter(|(row, _)| text_at(rows, "status", *row) == Some("ended")).map(|(_, follow)| dense(follow)).collect()
}

/// Stages the buckets in which any row differs from before.
async fn write_changed_buckets(
    context: &mut RunContext<'_>,
    before: &RecordBatch,
    after: &RecordBatch,
) -> Result<(), IngestError> {
    let split = |batch: &RecordBatch| {
        let mut rows: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (row, customer) in numbers(batch, "customer_no").into_iter().enumerate() {
            // A customer number is below 2³², so that its bucket is small.
            rows.entry((customer >> BUCKET_BITS) as u32).or_default().push(row as u32);
        }
        rows
    };
    let old = split(before);
    for (bucket, rows) in split(after) {
        let after = take_rows(after, &rows)?;
        let before = take_rows(before, old.get(&bucket).map_or(&[][..], Vec::as_slice))?;
        if !is_same(&sorted(&before)?, &sorted(&after)?) {
            context.run.replace_bucket("follow", bucket)?;
            context.stage("follow", Some(bucket), vec![after]).await?;
        }
    }
    Ok(())
}

fn sorted(batch: &RecordBatch) -> Result<RecordBatch, IngestError> {
    let follows = numbers(batch, "follow_no");
    let mut rows: Vec<u32> = (0..batch.num_rows() as u32).collect();
    rows.sort_unstable_by_key(|row| follows[*row as usize]);
    take_rows(batch, &rows)
}

fn numbers(batch: &RecordBatch, column: &str) -> Vec<i64> {
    let column = batch.column_by_name(column).and_then(|column| column.as_primitive_opt::<Int64Type>());
    column.map(|column| column.values().to_vec()).unwrap_or_default()
}

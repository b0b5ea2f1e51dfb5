//! Dated tables: tag groups, tags, departments and staff. A key is for ever, what its row says may change, and what is no
//! longer listed has ended.
//!
//! A row is a key while it said one thing: a renamed tag has a row for each name it bore, the former ones ended, and so
//! has a tag that ended and came back. The tables are small: the whole of one is read, merged and written again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, TimestampMicrosecondArray};
use datafusion::arrow::compute::{SortColumn, SortOptions, lexsort_to_indices};
use datafusion::arrow::datatypes::{Field, Schema};
use tagmill_store::timestamp_type;

use super::conform::Conformed;
use super::context::{RunContext, Target};
use super::keys::{instant_at, read, text_at};
use super::listed::{with_source, without_duplicates, without_held};
use super::merge::{Pair, Wins, concat, is_same, merge, take_rows, with_column};
use crate::error::IngestError;

/// A dated table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DatedTable {
    /// Its name.
    pub(super) name: &'static str,
    /// The column that identifies what a row is about.
    key: &'static str,
    /// A change of one of these ends a row and begins another; other columns change in place.
    versioned: &'static [&'static str],
}

/// Tag groups.
pub(super) const TAG_GROUP: DatedTable = DatedTable { name: "tag_group", key: "group_id", versioned: &["group_name"] };
/// Tags.
pub(super) const TAG: DatedTable = DatedTable { name: "tag", key: "tag_id", versioned: &["group_name", "tag_name"] };
const DEPARTMENT: DatedTable =
    DatedTable { name: "department", key: "department_id", versioned: &["parent_department_id", "name"] };
const STAFF: DatedTable =
    DatedTable { name: "staff", key: "staff_id", versioned: &["name", "department_id", "is_active"] };

/// Applies the rows of `department` or `staff`.
pub(super) async fn apply(
    context: &mut RunContext<'_>,
    listing: &Conformed,
    target: &mut Target<'_>,
) -> Result<(), IngestError> {
    let table = if target.select.table == STAFF.name { &STAFF } else { &DEPARTMENT };
    take_in(context, table, listing, target).await.map(|_| ())
}

/// Merges a listing whose rows have their key into its table, and ends what it no longer lists; returns the rows that
/// were taken.
pub(super) async fn take_in(
    context: &mut RunContext<'_>,
    table: &DatedTable,
    listing: &Conformed,
    target: &mut Target<'_>,
) -> Result<RecordBatch, IngestError> {
    let base = base_of(context, table).await?;
    let rows = without_duplicates(context, &listing.rows, table.name, &[table.key])?;
    let held = held_by_others(context, table, &base);
    let rows = without_held(context, &rows, table.name, &[table.key], &held)?;
    target.count.accepted = rows.num_rows() as u64;
    let rows = with_source(&rows, &context.source.name)?;
    let refused: HashSet<String> = keys_of(&listing.refused, table).map(|(key, _)| key.to_owned()).collect();
    let counts = merge_in(context, table, &base, &rows, target.ends_unlisted().then_some(&refused)).await?;
    for (what, count) in [("new", counts.new), ("changed", counts.changed), ("ended", counts.ended)] {
        target.count.change(what, count);
    }
    Ok(rows)
}

/// Adds rows that no listing brought; what is there stays. Their keys have to be new.
pub(super) async fn add(
    context: &mut RunContext<'_>,
    table: &DatedTable,
    rows: &RecordBatch,
) -> Result<(), IngestError> {
    let base = base_of(context, table).await?;
    let rows = with_source(rows, &context.source.name)?;
    merge_in(context, table, &base, &rows, None).await?;
    Ok(())
}

/// What is there: the rows of one key in the order of their start, so that the latest is the one that stays.
async fn base_of(context: &RunContext<'_>, table: &DatedTable) -> Result<RecordBatch, IngestError> {
    let schema = context.run.schema(table.name)?;
    let sql = format!("SELECT * FROM {}", table.name);
    let base = concat(&schema, &read(context.run.base(), table.name, &sql).await?)?;
    if base.num_rows() == 0 {
        return Ok(base);
    }
    // A row without start is older than those with one; one without end is the latest of those with the same start.
    let by: Vec<SortColumn> = [(table.key, true), ("valid_from", true), ("valid_to", false)]
        .iter()
        .filter_map(|(name, nulls_first)| {
            let options = SortOptions { descending: false, nulls_first: *nulls_first };
            Some(SortColumn { values: base.column_by_name(name)?.clone(), options: Some(options) })
        })
        .collect();
    let order = lexsort_to_indices(&by, None).map_err(IngestError::internal)?;
    take_rows(&base, order.values())
}

/// The keys of some rows, with their rows.
fn keys_of<'b>(batch: &'b RecordBatch, table: &'b DatedTable) -> impl Iterator<Item = (&'b str, usize)> {
    (0..batch.num_rows()).filter_map(move |row| Some((text_at(batch, table.key, row)?, row)))
}

/// The keys that other sources hold, with their holders.
///
/// A source that does not fill the table holds there only what its other rows made known, and yields it to who lists it.
fn held_by_others(context: &RunContext<'_>, table: &DatedTable, base: &RecordBatch) -> HashMap<String, String> {
    let yielding: HashSet<&str> = context
        .others()
        .filter(|(_, state)| !state.tables.contains_key(table.name))
        .map(|(name, _)| name.as_str())
        .collect();
    let latest: HashMap<&str, usize> = keys_of(base, table).collect();
    let held = latest.into_iter().filter_map(|(key, row)| {
        let holder = text_at(base, "source", row)?;
        let is_held = holder != context.source.name && !yielding.contains(holder);
        is_held.then(|| (key.to_owned(), holder.to_owned()))
    });
    held.collect()
}

/// What a merge came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    new: u64,
    changed: u64,
    ended: u64,
}

/// Merges rows into their table and stages it where it changes.
///
/// `listed_too` are keys that the source lists although no row says so, where its listing ends what it does not list;
/// `None`: what is not listed stays.
async fn merge_in(
    context: &mut RunContext<'_>,
    table: &DatedTable,
    base: &RecordBatch,
    rows: &RecordBatch,
    listed_too: Option<&HashSet<String>>,
) -> Result<Counts, IngestError> {
    // A warehouse keeps the columns it was made with; an undated table becomes dated by its first change.
    let dates = ["valid_from", "valid_to"].map(|name| Field::new(name, timestamp_type(), true));
    context.run.declare(table.name, &Schema::new(dates.to_vec()))?;
    let schema = context.run.schema(table.name)?;
    let now = context.read_by().timestamp_micros();
    let dating = Dating { source: &context.source.name, table, base, rows, listed_too, now };
    let dated = dating.rows();
    let pairs: Vec<Pair> = dated.iter().map(|row| row.pair).collect();
    let merged = merge(&schema, base, rows, &pairs, |_| Wins::Incoming)?;
    let instants = |pick: fn(&Dated) -> Option<i64>| {
        Arc::new(TimestampMicrosecondArray::from_iter(dated.iter().map(pick)).with_timezone("UTC")) as ArrayRef
    };
    let merged = with_column(&merged, "valid_from", instants(|row| row.valid_from))?;
    let merged = with_column(&merged, "valid_to", instants(|row| row.valid_to))?;
    if *table == TAG {
        context.tags = Some(merged.clone());
    }
    if !is_same(&merged, base) {
        context.run.replace_all(table.name)?;
        context.stage(table.name, None, vec![merged]).await?;
    }
    let count = |change: Change| dated.iter().filter(|row| row.change == Some(change)).count() as u64;
    Ok(Counts { new: count(Change::New), changed: count(Change::Changed), ended: count(Change::Ended) })
}

/// One row of the merge, with its dates.
struct Dated {
    pair: Pair,
    valid_from: Option<i64>,
    valid_to: Option<i64>,
    change: Option<Change>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Its key was not known.
    New,
    /// Its key said something else, or had ended.
    Changed,
    /// It is no longer listed.
    Ended,
}

/// What is needed to date the rows of a merge.
struct Dating<'d> {
    source: &'d str,
    table: &'d DatedTable,
    base: &'d RecordBatch,
    rows: &'d RecordBatch,
    listed_too: Option<&'d HashSet<String>>,
    now: i64,
}

impl Dating<'_> {
    /// What is there, each row in its place and after it what its key says now, then what is new.
    fn rows(&self) -> Vec<Dated> {
        let listed: HashMap<&str, usize> = keys_of(self.rows, self.table).collect();
        let latest: HashMap<&str, usize> = keys_of(self.base, self.table).collect();
        let mut dated = Vec::with_capacity(self.base.num_rows() + self.rows.num_rows());
        for row in 0..self.base.num_rows() {
            let key = text_at(self.base, self.table.key, row).unwrap_or_default();
            let is_former = latest.get(key) != Some(&row);
            match listed.get(key) {
                _ if is_former => dated.push(self.old(row, None)),
                Some(new) => self.date(row, *new, &mut dated),
                None => dated.push(self.old(row, self.ends(row, key).then_some(Change::Ended))),
            }
        }
        let mut new: Vec<usize> =
            listed.iter().filter(|(key, _)| !latest.contains_key(*key)).map(|(_, row)| *row).collect();
        new.sort_unstable();
        dated.extend(new.into_iter().map(|row| Dated {
            pair: Pair { base: None, incoming: Some(row) },
            valid_from: Some(self.now),
            valid_to: None,
            change: Some(Change::New),
        }));
        dated
    }

    /// Whether a row that no row of the listing is about ends by that. What another source brought stays as it is.
    fn ends(&self, row: usize, key: &str) -> bool {
        let is_ours = text_at(self.base, "source", row) == Some(self.source);
        let is_living = instant_at(self.base, "valid_to", row).is_none();
        is_ours && is_living && self.listed_too.is_some_and(|listed| !listed.contains(key))
    }

    /// A row as it is there, ended now where it has not ended yet and changes.
    fn old(&self, row: usize, change: Option<Change>) -> Dated {
        let valid_to = instant_at(self.base, "valid_to", row);
        Dated {
            pair: Pair { base: Some(row), incoming: None },
            valid_from: instant_at(self.base, "valid_from", row),
            valid_to: if change.is_some() { valid_to.or(Some(self.now)) } else { valid_to },
            change,
        }
    }

    fn date(&self, row: usize, new: usize, dated: &mut Vec<Dated>) {
        let pair = Pair { base: Some(row), incoming: Some(new) };
        let valid_to = instant_at(self.base, "valid_to", row);
        if valid_to.is_none() && !self.says_something_else(row, new) {
            let valid_from = instant_at(self.base, "valid_from", row);
            dated.push(Dated { pair, valid_from, valid_to: None, change: None });
            return;
        }
        // Counted once, by the new row; a listing that is older than the end of the old one begins with that end.
        let former = self.old(row, Some(Change::Changed));
        let valid_from = former.valid_to.max(Some(self.now));
        dated.push(Dated { change: None, ..former });
        dated.push(Dated { pair, valid_from, valid_to: None, change: Some(Change::Changed) });
    }

    /// Whether a listed row tells another value of a column that makes a version. What was not told before is filled in.
    fn says_something_else(&self, row: usize, new: usize) -> bool {
        self.table.versioned.iter().any(|name| {
            let (Some(old), Some(listed)) = (self.base.column_by_name(name), self.rows.column_by_name(name)) else {
                return false;
            };
            !old.is_null(row) && old.slice(row, 1).as_ref() != listed.slice(new, 1).as_ref()
        })
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::StringArray;

    use super::*;

    /// A tag as it is there: id, name, start, end.
    type There = (&'static str, &'static str, i64, Option<i64>);
    /// A dated row: where it is there, where it is listed, start, end.
    type Told = (Option<usize>, Option<usize>, i64, Option<i64>);

    /// All of the source `ours` but those whose id begins with `x`.
    fn there(rows: &[There]) -> RecordBatch {
        let source = |id: &str| if id.starts_with('x') { "theirs" } else { "ours" };
        let instants = |pick: fn(&There) -> Option<i64>| {
            Arc::new(TimestampMicrosecondArray::from_iter(rows.iter().map(pick)).with_timezone("UTC")) as ArrayRef
        };
        let texts = |array: StringArray| Arc::new(array) as ArrayRef;
        RecordBatch::try_from_iter_with_nullable([
            ("tag_id", texts(rows.iter().map(|row| Some(row.0)).collect()), true),
            ("tag_name", texts(rows.iter().map(|row| Some(row.1)).collect()), true),
            ("source", texts(rows.iter().map(|row| Some(source(row.0))).collect()), true),
            ("valid_from", instants(|row| Some(row.2)), true),
            ("valid_to", instants(|row| row.3), true),
        ])
        .expect("a batch")
    }

    fn listing(rows: &[(&str, &str)]) -> RecordBatch {
        let texts = |array: StringArray| Arc::new(array) as ArrayRef;
        RecordBatch::try_from_iter_with_nullable([
            ("tag_id", texts(rows.iter().map(|row| Some(row.0)).collect()), true),
            ("tag_name", texts(rows.iter().map(|row| Some(row.1)).collect()), true),
        ])
        .expect("a batch")
    }

    /// Dates a listing that is read at 9.
    fn check(base: &[There], rows: &[(&str, &str)], listed_too: Option<&[&str]>, expected: &[Told]) {
        let (base, rows) = (there(base), listing(rows));
        let listed_too = listed_too.map(|keys| keys.iter().map(|key| (*key).to_owned()).collect::<HashSet<String>>());
        let (base, rows) = (&base, &rows);
        let dating = Dating { source: "ours", table: &TAG, base, rows, listed_too: listed_too.as_ref(), now: 9 };
        let told: Vec<Told> = dating
            .rows()
            .iter()
            .map(|row| (row.pair.base, row.pair.incoming, row.valid_from.unwrap_or_default(), row.valid_to))
            .collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn what_a_full_listing_no_longer_has_ends_and_what_another_source_brought_stays() {
        let base = [("a", "A", 1, None), ("b", "B", 1, None), ("x", "X", 1, None)];
        let stays = (Some(2), None, 1, None);
        check(&base, &[("a", "A")], Some(&[]), &[(Some(0), Some(0), 1, None), (Some(1), None, 1, Some(9)), stays]);
        check(&base, &[("a", "A")], None, &[(Some(0), Some(0), 1, None), (Some(1), None, 1, None), stays]);
    }

    #[test]
    fn a_key_whose_row_was_refused_is_listed_and_unchanged() {
        check(&[("a", "A", 1, None)], &[], Some(&["a"]), &[(Some(0), None, 1, None)]);
    }

    #[test]
    fn a_new_name_ends_the_old_row_and_begins_another() {
        let renamed = [(Some(0), None, 1, Some(9)), (Some(0), Some(0), 9, None)];
        check(&[("a", "A", 1, None)], &[("a", "B")], Some(&[]), &renamed);
    }

    #[test]
    fn a_tag_that_ended_and_comes_back_keeps_its_former_row() {
        let back = [(Some(0), None, 1, Some(5)), (Some(0), Some(0), 9, None)];
        check(&[("a", "A", 1, Some(5))], &[("a", "A")], Some(&[]), &back);
        // Rows of one key follow each other: only the latest is the one that comes back.
        let twice = [("a", "A", 1, Some(3)), ("a", "A", 4, Some(5))];
        let expected = [(Some(0), None, 1, Some(3)), (Some(1), None, 4, Some(5)), (Some(1), Some(0), 9, None)];
        check(&twice, &[("a", "A")], Some(&[]), &expected);
        check(&[("a", "A", 1, Some(5))], &[], Some(&[]), &[(Some(0), None, 1, Some(5))]);
    }
}

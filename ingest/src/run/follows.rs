//! Follows: one row for ever for a staff member and a customer, ended where a full listing no longer has it.
//!
//! Rows get their numbers in the order in which they come; then each bucket of customers is merged by itself.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray, new_null_array};
use datafusion::arrow::datatypes::DataType;
use tagmill_schemas::ids::BUCKET_BITS;

use super::conform::Conformed;
use super::context::{RunContext, Target};
use super::customers::pair_sorted;
use super::keys::{CustomerKeys, FollowKeys, Near, cell, dense, numbers, read};
use super::listed::{refuse_again, refuse_held, refuse_unmatched, with_source};
use super::merge::{Pair, Wins, concat, is_same, merge, take_rows, with_column};
use super::numbers::{FirstRows, Instants, NumberSet};
use super::owners::{OWNER, owners};
use super::person::texts;
use crate::error::IngestError;

/// A follow as it sorts: by its customer, then by its number; with its row.
type Listed = ((u32, u32), usize);

/// Applies the rows of `follow`.
pub(super) async fn apply(
    context: &mut RunContext<'_>,
    listing: &Conformed,
    target: &mut Target<'_>,
) -> Result<(), IngestError> {
    let (customers, follows) = context.follow_keys()?;
    let numbered = number_rows(customers, follows, &listing.rows);
    for (first, row) in &numbered.again {
        refuse_again(context, &listing.rows, "follow", (*first, *row), &["staff_id", "customer_id"])?;
    }
    for row in &numbered.unmatched {
        refuse_unmatched(context, &listing.rows, "follow", *row)?;
    }
    let rows = dressed(context, &listing.rows, &numbered.numbers)?;
    let mut merging = Merging {
        rows: &rows,
        listed_too: known_follows(context, &listing.refused),
        is_owner_told: is_owner_told(context, target),
        accepted: 0,
        ended: 0,
        now_ended: NumberSet::default(),
        added: Instants::default(),
    };
    let mut listed = numbered.listed.as_slice();
    for bucket in context.customers.buckets() {
        let (of_bucket, others) =
            listed.split_at(listed.partition_point(|((customer, _), _)| customer >> BUCKET_BITS <= bucket));
        listed = others;
        merging.merge_bucket(context, target, bucket, of_bucket).await?;
    }
    target.count.accepted = merging.accepted;
    target.count.change("new", numbered.new);
    target.count.change("ended", merging.ended);
    context.ended_follows = Some(Arc::new(merging.now_ended));
    context.follow_added = Some(Arc::new(merging.added));
    Ok(())
}

/// Rows with the numbers of their customers and follows.
#[derive(Debug, Default, PartialEq, Eq)]
struct Numbered {
    /// The customer and the follow of each row; zeros where they have none.
    numbers: Vec<(u32, u32)>,
    /// The follows that are listed, ascending.
    listed: Vec<Listed>,
    /// Rows about a follow that was listed before, after the row that was the first.
    again: Vec<(usize, usize)>,
    /// Rows about nobody who is known, but for those that say again what another said.
    unmatched: Vec<usize>,
    /// How many follows have been given their number now.
    new: u64,
}

/// Finds the follow of each row; those that are new are given their numbers in the order of the rows.
fn number_rows(customers: &CustomerKeys, follows: &mut FollowKeys, rows: &RecordBatch) -> Numbered {
    let (ids, staff) = (texts(rows, "customer_id"), texts(rows, "staff_id"));
    let (mut numbered, mut first_rows, mut near) = (Numbered::default(), FirstRows::default(), Near::default());
    let mut strangers: HashMap<(&str, &str), usize> = HashMap::new();
    for row in 0..rows.num_rows() {
        let (id, staff) = (text(ids, row), text(staff, row));
        let Some(customer) = customers.get_near(id, &mut near) else {
            numbered.numbers.push((0, 0));
            match strangers.get(&(staff, id)) {
                Some(first) => numbered.again.push((*first, row)),
                None => {
                    strangers.insert((staff, id), row);
                    numbered.unmatched.push(row);
                }
            }
            continue;
        };
        let (follow, is_new) = follows.get_or_give(staff, customer);
        numbered.numbers.push((customer, follow));
        numbered.new += u64::from(is_new);
        match first_rows.note(follow, row as u32) {
            Some(first) => numbered.again.push((first as usize, row)),
            None => numbered.listed.push(((customer, follow), row)),
        }
    }
    numbered.listed.sort_unstable();
    numbered
}

/// Rows with all that the table has of them, those without numbers included.
fn dressed(context: &RunContext<'_>, rows: &RecordBatch, numbers: &[(u32, u32)]) -> Result<RecordBatch, IngestError> {
    let column = |pick: fn(&(u32, u32)) -> u32| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(numbers.iter().map(|numbers| i64::from(pick(numbers)))))
    };
    let told = texts(rows, "status");
    let status = |row: usize| told.filter(|told| !told.is_null(row)).map_or("active", |told| told.value(row));
    let statuses = StringArray::from_iter_values((0..rows.num_rows()).map(status));
    let rows = with_column(rows, "customer_no", column(|(customer, _)| *customer))?;
    let rows = with_column(&rows, "follow_no", column(|(_, follow)| *follow))?;
    let rows = with_column(&rows, "status", Arc::new(statuses))?;
    let rows = with_column(&rows, "ended_cause", new_null_array(&DataType::Utf8, rows.num_rows()))?;
    with_source(&rows, &context.source.name)
}

/// The follows that refused rows are about: they are listed, although nothing else of the rows can be taken.
fn known_follows(context: &RunContext<'_>, refused: &RecordBatch) -> HashSet<i64> {
    let (ids, staff) = (texts(refused, "customer_id"), texts(refused, "staff_id"));
    let follow_of = |row: usize| {
        let customer = context.customers.get(text(ids, row))?;
        context.follows.get(text(staff, row), customer).map(i64::from)
    };
    (0..refused.num_rows()).filter_map(follow_of).collect()
}

/// Whether any source says who owns a customer; without one, the flags that are there were computed and are made anew.
fn is_owner_told(context: &RunContext<'_>, target: &Target<'_>) -> bool {
    let states = context.others().map(|(_, state)| state).chain([&context.state]);
    let mut fills = states.filter_map(|state| state.tables.get("follow"));
    fills.any(|fill| fill.columns.contains(&OWNER.to_owned()))
        || target.columns.iter().any(|column| column.name == OWNER)
}

/// Merges what comes into what is there, bucket by bucket.
struct Merging<'m> {
    rows: &'m RecordBatch,
    /// Follows that only refused rows list.
    listed_too: HashSet<i64>,
    is_owner_told: bool,
    /// Rows that were taken.
    accepted: u64,
    /// Follows that this run ends.
    ended: u64,
    /// Every follow that has ended.
    now_ended: NumberSet,
    /// When each follow began.
    added: Instants,
}

impl Merging<'_> {
    /// Merges the follows of one bucket of customers, and stages it where anything changes.
    async fn merge_bucket(
        &mut self,
        context: &mut RunContext<'_>,
        target: &Target<'_>,
        bucket: u32,
        listed: &[Listed],
    ) -> Result<(), IngestError> {
        let base = base_of(context, bucket).await?;
        let there = sorted_follows(&base)?;
        if there.is_empty() && listed.is_empty() {
            return Ok(());
        }
        let mut pairs = pair_sorted(&there, listed);
        self.refuse_held(context, &base, &mut pairs)?;
        self.accepted += pairs.iter().filter(|pair| pair.incoming.is_some()).count() as u64;
        let merged = merge(&context.run.schema("follow")?, &base, self.rows, &pairs, |column| match column {
            "source" => Wins::Base,
            _ => Wins::Incoming,
        })?;
        super::assignments::leave_out(context, returned_customers(&base, &merged, &pairs)?);
        let merged = if target.ends_unlisted() { self.end_unlisted(context, &merged, &pairs)? } else { merged };
        let merged = with_column(&merged, OWNER, owners(&merged, self.is_owner_told))?;
        self.note(&merged)?;
        if is_changed(&base, &merged, &pairs)? {
            context.run.replace_bucket("follow", bucket)?;
            context.stage("follow", Some(bucket), vec![merged]).await?;
        }
        Ok(())
    }

    /// Puts rows about follows that another source brought into quarantine, and takes them out of the pairs.
    fn refuse_held(
        &self,
        context: &mut RunContext<'_>,
        base: &RecordBatch,
        pairs: &mut [Pair],
    ) -> Result<(), IngestError> {
        let (sources, staff) = (texts(base, "source"), texts(base, "staff_id"));
        let Some(sources) = sources else { return Ok(()) };
        let is_held = |there: usize| !sources.is_null(there) && sources.value(there) != context.source.name;
        let mut held: Vec<(usize, usize)> = Vec::new();
        for pair in pairs.iter_mut() {
            if let (Some(there), Some(row)) = (pair.base, pair.incoming)
                && is_held(there)
            {
                pair.incoming = None;
                held.push((row, there));
            }
        }
        held.sort_unstable();
        for (row, there) in held {
            let shown = format!("the follow of `{}`", text(staff, there));
            refuse_held(context, self.rows, ("follow", row), &shown, sources.value(there))?;
        }
        Ok(())
    }

    /// Ends this source's follows that a full listing no longer has.
    fn end_unlisted(
        &mut self,
        context: &RunContext<'_>,
        merged: &RecordBatch,
        pairs: &[Pair],
    ) -> Result<RecordBatch, IngestError> {
        let follows = numbers(merged, "follow_no");
        let [statuses, causes, sources] = ["status", "ended_cause", "source"].map(|name| texts(merged, name));
        let ends: Vec<bool> = pairs
            .iter()
            .enumerate()
            .map(|(row, pair)| {
                pair.incoming.is_none()
                    && !self.listed_too.contains(&follows[row])
                    && cell(sources, row) == Some(context.source.name.as_str())
                    && cell(statuses, row) != Some("ended")
            })
            .collect();
        let ended = ends.iter().filter(|ends| **ends).count() as u64;
        if ended == 0 {
            return Ok(merged.clone());
        }
        self.ended += ended;
        let told = |told: Option<&StringArray>, word: &'static str| -> ArrayRef {
            let words = ends.iter().enumerate().map(|(row, ends)| if *ends { Some(word) } else { cell(told, row) });
            Arc::new(words.collect::<StringArray>())
        };
        let ending = with_column(merged, "status", told(statuses, "ended"))?;
        with_column(&ending, "ended_cause", told(causes, "unlisted"))
    }

    /// Notes when the follows of a bucket began, and which have ended.
    fn note(&mut self, merged: &RecordBatch) -> Result<(), IngestError> {
        super::assignments::note_added(&mut self.added, merged)?;
        let statuses = texts(merged, "status");
        for (row, follow) in numbers(merged, "follow_no").iter().enumerate() {
            if cell(statuses, row) == Some("ended") {
                self.now_ended.insert(dense(*follow)?);
            }
        }
        Ok(())
    }
}

/// The follows of a bucket that are there.
async fn base_of(context: &RunContext<'_>, bucket: u32) -> Result<RecordBatch, IngestError> {
    let (from, to) = (u64::from(bucket) << BUCKET_BITS, (u64::from(bucket) + 1) << BUCKET_BITS);
    let sql = format!("SELECT * FROM follow WHERE customer_no >= {from} AND customer_no < {to}");
    concat(&context.run.schema("follow")?, &read(context.run.base(), "follow", &sql).await?)
}

/// The follows of some rows, ascending.
fn sorted_follows(rows: &RecordBatch) -> Result<Vec<Listed>, IngestError> {
    let numbers = numbers(rows, "customer_no").iter().zip(numbers(rows, "follow_no")).enumerate();
    let mut follows: Vec<Listed> = numbers
        .map(|(row, (customer, follow))| Ok(((dense(*customer)?, dense(*follow)?), row)))
        .collect::<Result<_, IngestError>>()?;
    follows.sort_unstable();
    Ok(follows)
}

/// The customers of follows that had ended and are there again.
fn returned_customers(base: &RecordBatch, merged: &RecordBatch, pairs: &[Pair]) -> Result<Vec<u32>, IngestError> {
    let (before, after) = (texts(base, "status"), texts(merged, "status"));
    let has_ended = |statuses: Option<&StringArray>, row: usize| cell(statuses, row) == Some("ended");
    let mut returned = Vec::new();
    for (row, customer) in numbers(merged, "customer_no").iter().enumerate() {
        if pairs[row].base.is_some_and(|old| has_ended(before, old)) && !has_ended(after, row) {
            returned.push(dense(*customer)?);
        }
    }
    Ok(returned)
}

/// Whether any row differs from before, or was not there.
fn is_changed(base: &RecordBatch, merged: &RecordBatch, pairs: &[Pair]) -> Result<bool, IngestError> {
    let there: Option<Vec<u32>> = pairs.iter().map(|pair| pair.base.map(|row| row as u32)).collect();
    match there {
        Some(there) => Ok(!is_same(&take_rows(base, &there)?, merged)),
        None => Ok(true),
    }
}

/// A text cell; empty for NULL.
fn text(column: Option<&StringArray>, row: usize) -> &str {
    cell(column, row).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_follows_are_numbered_as_they_come_and_the_first_of_equal_rows_counts() {
        let (mut customers, mut follows) = (CustomerKeys::default(), FollowKeys::default());
        for id in ["a", "b"] {
            customers.get_or_give(id, &mut Near::default());
        }
        assert_eq!(follows.get_or_give("li", 1), (0, true));
        let column = |texts: &[&str]| Arc::new(StringArray::from(texts.to_vec())) as ArrayRef;
        let rows = RecordBatch::try_from_iter([
            ("staff_id", column(&["wang", "li", "li", "li", "wang", "li", "wang"])),
            ("customer_id", column(&["a", "x", "b", "a", "a", "x", "x"])),
        ]);
        let expected = Numbered {
            numbers: vec![(0, 1), (0, 0), (1, 0), (0, 2), (0, 1), (0, 0), (0, 0)],
            listed: vec![((0, 1), 0), ((0, 2), 3), ((1, 0), 2)],
            again: vec![(0, 4), (1, 5)],
            unmatched: vec![1, 6],
            new: 2,
        };
        assert_eq!(number_rows(&customers, &mut follows, &rows.expect("a batch")), expected);
    }

    #[test]
    fn a_bucket_changes_where_a_row_is_new_or_differs() {
        let rows = |statuses: &[&str]| -> RecordBatch {
            let statuses: ArrayRef = Arc::new(StringArray::from(statuses.to_vec()));
            RecordBatch::try_from_iter([("status", statuses)]).expect("a batch")
        };
        let base = rows(&["active", "ended"]);
        let pair = |base: Option<usize>| Pair { base, incoming: None };
        let check = |merged: &[&str], there: &[Option<usize>], expected: bool| {
            let pairs: Vec<Pair> = there.iter().copied().map(pair).collect();
            assert_eq!(is_changed(&base, &rows(merged), &pairs).expect("an answer"), expected, "{merged:?}");
        };
        check(&["ended", "active"], &[Some(1), Some(0)], false);
        check(&["active", "left"], &[Some(0), Some(1)], true);
        check(&["active", "ended", "active"], &[Some(0), Some(1), None], true);
    }
}

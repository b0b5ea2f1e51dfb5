//! Customers: numbers given once, columns merged bucket by bucket.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::compute::kernels::cmp::distinct;
use datafusion::arrow::compute::or;
use datafusion::arrow::datatypes::Int64Type;
use tagmill_schemas::ids::BUCKET_BITS;

use super::context::{RunContext, Target};
use super::keys::{CustomerKeys, Near, dense, read};
use super::listed::{refuse_again, with_source};
use super::merge::{Pair, Wins, concat, is_same, merge, with_column};
use super::numbers::FirstRows;
use super::person::{texts, told};
use crate::error::IngestError;

/// Applies the rows of `customer`.
pub(super) async fn apply(
    context: &mut RunContext<'_>,
    rows: &RecordBatch,
    target: &mut Target<'_>,
) -> Result<(), IngestError> {
    let numbered = number_rows(context.customer_keys()?, rows);
    for (first, row) in &numbered.again {
        refuse_again(context, rows, "customer", (*first, *row), &["customer_id"])?;
    }
    target.count.accepted = numbered.listed.len() as u64;
    target.count.change("new", numbered.new);
    let rows = identified(context, rows, &numbered.numbers)?;
    let wins = winners(context, target);
    let mut changed = 0;
    for incoming in numbered.listed.chunk_by(|(a, _), (b, _)| a >> BUCKET_BITS == b >> BUCKET_BITS) {
        let Some((first, _)) = incoming.first() else { continue };
        changed += merge_bucket(context, first >> BUCKET_BITS, &rows, incoming, &wins).await?;
    }
    target.count.change("changed", changed);
    Ok(())
}

/// Rows with the numbers of their customers.
#[derive(Debug, Default, PartialEq, Eq)]
struct Numbered {
    /// The number of each row's customer.
    numbers: Vec<u32>,
    /// The customers that are listed, ascending, each with its row.
    listed: Vec<(u32, usize)>,
    /// Rows about a customer who was listed before, after the row that was the first.
    again: Vec<(usize, usize)>,
    /// How many customers have been given their number now.
    new: u64,
}

/// Finds the customer of each row; those that are new are given their numbers in the order of the rows.
fn number_rows(keys: &mut CustomerKeys, rows: &RecordBatch) -> Numbered {
    let ids = texts(rows, "customer_id");
    let (mut numbered, mut first_rows, mut near) = (Numbered::default(), FirstRows::default(), Near::default());
    for row in 0..rows.num_rows() {
        let (number, is_new) = keys.get_or_give(told(ids, row).unwrap_or_default(), &mut near);
        numbered.numbers.push(number);
        numbered.new += u64::from(is_new);
        match first_rows.note(number, row as u32) {
            None => numbered.listed.push((number, row)),
            Some(first) => numbered.again.push((first as usize, row)),
        }
    }
    numbered.listed.sort_unstable();
    numbered
}

/// Rows with number, id space and source. An existing customer keeps the source that brought it first.
fn identified(context: &RunContext<'_>, rows: &RecordBatch, numbers: &[u32]) -> Result<RecordBatch, IngestError> {
    let spaces: ArrayRef = Arc::new(StringArray::from(vec![context.source.id_space.as_str(); rows.num_rows()]));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers.iter().map(|number| i64::from(*number))));
    let rows = with_column(rows, "customer_no", numbers)?;
    let rows = with_column(&rows, "id_space", spaces)?;
    with_source(&rows, &context.source.name)
}

/// Who wins each column that this run gives.
fn winners(context: &RunContext<'_>, target: &Target<'_>) -> BTreeMap<String, Wins> {
    let mut wins = BTreeMap::from([("source".to_owned(), Wins::Base), ("customer_id".to_owned(), Wins::Base)]);
    let rank = target.select.priority.unwrap_or(0);
    for column in target.columns.iter().filter(|column| column.name != "customer_id") {
        let rivals = context
            .others()
            .filter(|(_, state)| state.id_space == context.source.id_space)
            .filter_map(|(_, state)| state.tables.get("customer"))
            .filter(|fill| fill.columns.contains(&column.name));
        let rule = match rivals.map(|fill| fill.priority.unwrap_or(0)).max() {
            None => Wins::Incoming,
            Some(rival) if rank > rival => Wins::IncomingValue,
            Some(_) => Wins::Base,
        };
        wins.insert(column.name.clone(), rule);
    }
    wins
}

/// Merges one bucket and stages it where anything changed; returns how many existing customers were listed in a changed
/// bucket with other values.
async fn merge_bucket(
    context: &mut RunContext<'_>,
    bucket: u32,
    rows: &RecordBatch,
    incoming: &[(u32, usize)],
    wins: &BTreeMap<String, Wins>,
) -> Result<u64, IngestError> {
    let schema = context.run.schema("customer")?;
    let (from, to) = (u64::from(bucket) << BUCKET_BITS, (u64::from(bucket) + 1) << BUCKET_BITS);
    let sql = format!("SELECT * FROM customer WHERE customer_no >= {from} AND customer_no < {to} ORDER BY customer_no");
    let base = concat(&schema, &read(context.run.base(), "customer", &sql).await?)?;
    let there: Vec<u32> = match base.column_by_name("customer_no") {
        Some(column) => {
            column.as_primitive::<Int64Type>().values().iter().map(|no| dense(*no)).collect::<Result<_, _>>()?
        }
        None => Vec::new(),
    };
    let there: Vec<(u32, usize)> = there.into_iter().zip(0..).collect();
    let pairs = pair_sorted(&there, incoming);
    let rule = |name: &str| wins.get(name).copied().unwrap_or(Wins::Base);
    let merged = merge(&schema, &base, rows, &pairs, rule)?;
    let before: Vec<Pair> =
        pairs.iter().map(|pair| Pair { incoming: None, ..*pair }).filter(|pair| pair.base.is_some()).collect();
    let unchanged = merge(&schema, &base, rows, &before, rule)?;
    if is_same(&merged, &unchanged) {
        return Ok(0);
    }
    let kept: Vec<u32> = (0..pairs.len()).filter(|row| pairs[*row].base.is_some()).map(|row| row as u32).collect();
    let after = super::merge::take_rows(&merged, &kept)?;
    let changed = rows_that_differ(&unchanged, &after)?;
    context.people.keep_customers(bucket, &merged)?;
    context.run.replace_bucket("customer", bucket)?;
    context.stage("customer", Some(bucket), vec![merged]).await?;
    Ok(changed)
}

/// How many rows of two batches of one shape differ in any column.
fn rows_that_differ(before: &RecordBatch, after: &RecordBatch) -> Result<u64, IngestError> {
    let mut differs = BooleanArray::from(vec![false; before.num_rows()]);
    for (before, after) in before.columns().iter().zip(after.columns()) {
        let column = distinct(before, after).map_err(IngestError::internal)?;
        differs = or(&differs, &column).map_err(IngestError::internal)?;
    }
    Ok(differs.true_count() as u64)
}

/// Pairs ascending `(key, row)` that are there with ascending `(key, row)` that come.
pub(super) fn pair_sorted<K: Ord>(there: &[(K, usize)], incoming: &[(K, usize)]) -> Vec<Pair> {
    let mut pairs = Vec::with_capacity(there.len().max(incoming.len()));
    let mut coming = incoming.iter().peekable();
    for (key, row) in there {
        while let Some((_, new)) = coming.next_if(|(other, _)| other < key) {
            pairs.push(Pair { base: None, incoming: Some(*new) });
        }
        let found = coming.next_if(|(other, _)| other == key).map(|(_, new)| *new);
        pairs.push(Pair { base: Some(*row), incoming: found });
    }
    pairs.extend(coming.map(|(_, new)| Pair { base: None, incoming: Some(*new) }));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_out_in_ascending_order_of_the_number() {
        let pairs = pair_sorted(&[(1, 0), (3, 1)], &[(0, 7), (3, 8), (5, 9)]);
        let seen: Vec<_> = pairs.iter().map(|pair| (pair.base, pair.incoming)).collect();
        assert_eq!(seen, [(None, Some(7)), (Some(0), None), (Some(1), Some(8)), (None, Some(9))]);
    }

    #[test]
    fn new_customers_are_numbered_as_they_come_and_the_first_of_equal_rows_counts() {
        let mut keys = CustomerKeys::default();
        keys.get_or_give("b", &mut Near::default());
        let ids: ArrayRef = Arc::new(StringArray::from(vec!["c", "b", "c", "a"]));
        let rows = RecordBatch::try_from_iter([("customer_id", ids)]).expect("a batch");
        let expected =
            Numbered { numbers: vec![1, 0, 1, 2], listed: vec![(0, 1), (1, 0), (2, 3)], again: vec![(0, 2)], new: 2 };
        assert_eq!(number_rows(&mut keys, &rows), expected);
    }
}

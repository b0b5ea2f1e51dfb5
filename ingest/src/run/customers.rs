//! Customers: numbers given once, columns merged bucket by bucket.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::compute::kernels::cmp::distinct;
use datafusion::arrow::compute::or;
use datafusion::arrow::datatypes::Int64Type;
use tagmill_schemas::ids::BUCKET_BITS;

use super::context::{RunContext, Target};
use super::keys::{dense, read, text_at};
use super::listed::{with_source, without_duplicates};
use super::merge::{Pair, Wins, concat, is_same, merge, with_column};
use crate::error::IngestError;

/// Applies the rows of `customer`.
pub(super) async fn apply(
    context: &mut RunContext<'_>,
    rows: &RecordBatch,
    target: &mut Target<'_>,
) -> Result<(), IngestError> {
    let rows = without_duplicates(context, rows, "customer", &["customer_id"])?;
    target.count.accepted = rows.num_rows() as u64;
    let (mut numbers, mut new) = (Vec::with_capacity(rows.num_rows()), 0);
    for row in 0..rows.num_rows() {
        let id = text_at(&rows, "customer_id", row).unwrap_or_default();
        let (number, is_new) = context.customers.get_or_give(id);
        numbers.push(number);
        new += u64::from(is_new);
    }
    target.count.change("new", new);
    let rows = identified(context, &rows, &numbers)?;
    let mut by_bucket: BTreeMap<u32, Vec<(u32, usize)>> = BTreeMap::new();
    for (row, number) in numbers.iter().enumerate() {
        by_bucket.entry(number >> BUCKET_BITS).or_default().push((*number, row));
    }
    let wins = winners(context, target);
    let mut changed = 0;
    for (bucket, mut incoming) in by_bucket {
        incoming.sort_unstable();
        changed += merge_bucket(context, bucket, &rows, &incoming, &wins).await?;
    }
    target.count.change("changed", changed);
    Ok(())
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

/// Pairs ascending numbers that are there with ascending `(number, row)` that come.
pub(super) fn pair_sorted(there: &[u32], incoming: &[(u32, usize)]) -> Vec<Pair> {
    let mut pairs = Vec::with_capacity(there.len() + incoming.len());
    let mut coming = incoming.iter().peekable();
    for (row, number) in there.iter().enumerate() {
        while let Some((_, new)) = coming.next_if(|(other, _)| other < number) {
            pairs.push(Pair { base: None, incoming: Some(*new) });
        }
        let found = coming.next_if(|(other, _)| other == number).map(|(_, new)| *new);
        pairs.push(Pair { base: Some(row), incoming: found });
    }
    pairs.extend(coming.map(|(_, new)| Pair { base: None, incoming: Some(*new) }));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_out_in_ascending_order_of_the_number() {
        let pairs = pair_sorted(&[1, 3], &[(0, 7), (3, 8), (5, 9)]);
        let seen: Vec<_> = pairs.iter().map(|pair| (pair.base, pair.incoming)).collect();
        assert_eq!(seen, [(None, Some(7)), (Some(0), None), (Some(1), Some(8)), (None, Some(9))]);
    }
}

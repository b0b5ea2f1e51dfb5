//! The members of an evaluated segment as rows.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{AsArray, BooleanArray};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use roaring::RoaringBitmap;
use tagmill_schemas::documents::audience::RowPer;
use tagmill_schemas::error::{did_you_mean, near_names};
use tagmill_schemas::ids::CustomerNo;
use tagmill_schemas::segment::Universe;

use crate::engine::Rows;
use crate::error::QueryError;
use crate::segment::Evaluation;
use crate::segment::sql_text;
use crate::view::View;

/// How many customer numbers are read and sorted at once: as many as the tables have in one bucket of files.
const CUSTOMERS_AT_ONCE: u32 = 1 << 20;

/// What to hand out of a segment's members.
#[derive(Debug, Clone)]
pub struct MemberRows {
    /// Columns of `customer`, then of `follow`; a name that both have is the customer's.
    pub columns: Vec<String>,
    /// Private columns that come out as `***`.
    pub masked: Vec<String>,
    /// What one row is: a customer, with the owner's follow beside it, or a follow.
    pub row_per: RowPer,
    /// The universe whose follows become rows, where one row is a follow.
    pub universe: Universe,
    /// Only members with a greater number.
    pub after: Option<CustomerNo>,
    /// Rows at most.
    pub limit: Option<usize>,
}

impl MemberRows {
    /// One row per customer with these columns, everything else at its default: nothing masked beyond the view's own,
    /// and the follows that are active or half.
    pub fn of(columns: &[&str]) -> Self {
        Self {
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            masked: Vec::new(),
            row_per: RowPer::Customer,
            universe: Universe::Followed,
            after: None,
            limit: None,
        }
    }
}

impl View {
    /// Hands out the members of an evaluated segment, ascending by `customer_no`.
    ///
    /// They are read and sorted range by range of customer numbers, so that the memory it takes does not grow with them.
    ///
    /// # Errors
    /// `QueryError::Column` for a column that neither `customer` nor `follow` has.
    pub async fn members(&self, evaluation: &Evaluation, wanted: &MemberRows) -> Result<Rows, QueryError> {
        self.members_in_ranges(evaluation, wanted, CUSTOMERS_AT_ONCE).await
    }

    /// Hands out members as [`View::members`] does, in ranges of `customers_at_once` numbers; 0 is taken for 1. Smaller
    /// ranges take less memory and more time.
    ///
    /// # Errors
    /// As [`View::members`].
    pub async fn members_in_ranges(
        &self,
        evaluation: &Evaluation,
        wanted: &MemberRows,
        customers_at_once: u32,
    ) -> Result<Rows, QueryError> {
        let known = KnownColumns::of(self);
        let columns: Vec<MemberColumn> =
            wanted.columns.iter().map(|column| known.select(column, wanted)).collect::<Result<_, _>>()?;
        let ranges = ranges(&evaluation.members, wanted.after, customers_at_once);
        let questions: Vec<String> = ranges.iter().map(|range| question(wanted, &columns, range)).collect();
        self.sql_in_turn(membership(evaluation.members.clone()), &questions, wanted.limit).await
    }
}

/// The columns that can be handed out.
pub(super) struct KnownColumns {
    pub(super) customer: Vec<String>,
    pub(super) follow: Vec<String>,
}

impl KnownColumns {
    /// Those of a view's snapshot.
    pub(super) fn of(view: &View) -> Self {
        let names = |table: &str| -> Vec<String> {
            let schema = view.snapshot().schema(table);
            schema.map(|schema| schema.fields().iter().map(|field| field.name().clone()).collect()).unwrap_or_default()
        };
        Self { customer: names("customer"), follow: names("follow") }
    }

    /// The table that a column is read from.
    ///
    /// # Errors
    /// `QueryError::Column` with names that look alike.
    pub(super) fn table_of(&self, column: &str) -> Result<&'static str, QueryError> {
        let has = |columns: &[String]| columns.iter().any(|known| known == column);
        if has(&self.customer) {
            return Ok("customer");
        }
        if has(&self.follow) {
            return Ok("follow");
        }
        let known: Vec<&str> = self.customer.iter().chain(&self.follow).map(String::as_str).collect();
        let near = did_you_mean(&near_names(column, known.iter().copied()));
        let advice = near.unwrap_or_else(|| format!("there are {}", known.join(", ")));
        Err(QueryError::Column { column: column.to_owned(), advice })
    }

    /// A column as SQL.
    fn select(&self, column: &str, wanted: &MemberRows) -> Result<MemberColumn, QueryError> {
        let table = self.table_of(column)?;
        let name = sql_text::name(column);
        let plain = format!("{table}.{name}");
        let is_masked = wanted.masked.iter().any(|masked| masked == column);
        let sql = if is_masked { format!("CASE WHEN {plain} IS NOT NULL THEN '***' END AS {name}") } else { plain };
        Ok(MemberColumn { table, sql })
    }
}

/// One column of a hand-out.
struct MemberColumn {
    /// The table it comes from.
    table: &'static str,
    /// What is selected for it.
    sql: String,
}

/// Ranges of customer numbers that hold all members with a greater number than `after`, ascending.
///
/// A range ends where the size divides the number, as the tables' files do, and begins at a member. There is always one,
/// so that an answer without rows still has its columns.
fn ranges(members: &RoaringBitmap, after: Option<CustomerNo>, size: u32) -> Vec<Range<u64>> {
    let size = u64::from(size.max(1));
    let mut ranges = Vec::new();
    let mut from = after.map_or(Some(0), |no| no.0.checked_add(1));
    while let Some(first) = from.and_then(|from| members.range(from..).next()) {
        let end = (u64::from(first) / size + 1) * size;
        ranges.push(u64::from(first)..end);
        from = u32::try_from(end).ok();
    }
    if ranges.is_empty() {
        ranges.push(0..0);
    }
    ranges
}

/// The question for the members in a range.
fn question(wanted: &MemberRows, columns: &[MemberColumn], range: &Range<u64>) -> String {
    let has_follow = wanted.row_per == RowPer::Follow || columns.iter().any(|column| column.table == "follow");
    // The engine skips the files of other ranges where it is told of each table by itself.
    let within =
        |table: &str| format!("{table}.customer_no >= {} AND {table}.customer_no < {}", range.start, range.end);
    let pair = format!("follow.customer_no = customer.customer_no AND {}", within("follow"));
    let (join, order) = match (has_follow, wanted.row_per) {
        (false, _) => (String::new(), ""),
        (true, RowPer::Customer) => (format!(" LEFT JOIN follow ON {pair} AND follow.is_owner"), ""),
        (true, RowPer::Follow) => {
            (format!(" JOIN follow ON {pair}{}", counting(wanted.universe)), ", follow.follow_no")
        }
    };
    let selected: Vec<&str> = columns.iter().map(|column| column.sql.as_str()).collect();
    let limit = wanted.limit.map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
    format!(
        "SELECT {} FROM customer{join} WHERE {} AND in_members(customer.customer_no) \
         ORDER BY customer.customer_no{order}{limit}",
        selected.join(", "),
        within("customer")
    )
}

/// The condition, after others, on the follows that count in a universe.
fn counting(universe: Universe) -> &'static str {
    match universe {
        Universe::Followed => " AND follow.status IN ('active', 'half')",
        Universe::Lost => " AND follow.status NOT IN ('active', 'half')",
        Universe::All => "",
    }
}

/// A function that tells whether a customer number is in a set.
pub(super) fn membership(members: RoaringBitmap) -> ScalarUDF {
    let members = Arc::new(members);
    let test = move |arguments: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let Some(numbers) = arrays.first().and_then(|array| array.as_primitive_opt::<Int64Type>()) else {
            return Err(DataFusionError::Internal("in_members takes one number".to_owned()));
        };
        let inside: BooleanArray = numbers
            .iter()
            .map(|number| Some(number.and_then(|no| u32::try_from(no).ok()).is_some_and(|no| members.contains(no))))
            .collect();
        Ok(ColumnarValue::Array(Arc::new(inside)))
    };
    create_udf("in_members", vec![DataType::Int64], DataType::Boolean, Volatility::Immutable, Arc::new(test))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_every_member_once_and_end_where_the_files_do() {
        let check = |numbers: &[u32], after: Option<u32>, size: u32, expected: &[(u64, u64)]| {
            let members: RoaringBitmap = numbers.iter().copied().collect();
            let found = ranges(&members, after.map(CustomerNo), size);
            let found: Vec<(u64, u64)> = found.into_iter().map(|range| (range.start, range.end)).collect();
            assert_eq!(found, expected, "{numbers:?} after {after:?}, {size}");
        };
        check(&[3, 9, 10, 35], None, 10, &[(3, 10), (10, 20), (35, 40)]);
        check(&[3, 9, 10, 35], Some(9), 10, &[(10, 20), (35, 40)]);
        check(&[3, 9], Some(3), 10, &[(9, 10)]);
        check(&[0, 1], None, 0, &[(0, 1), (1, 2)]);
        check(&[7], None, u32::MAX, &[(7, u64::from(u32::MAX))]);
        // The greatest number there can be, and what comes after it.
        check(&[u32::MAX], None, 1 << 20, &[(u64::from(u32::MAX), 1 << 32)]);
        check(&[u32::MAX], Some(u32::MAX), 1 << 20, &[(0, 0)]);
        check(&[], None, 10, &[(0, 0)]);
    }
}

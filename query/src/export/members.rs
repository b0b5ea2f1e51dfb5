//! The members of an evaluated segment as rows.

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
    /// # Errors
    /// `QueryError::Column` for a column that neither `customer` nor `follow` has.
    pub async fn members(&self, evaluation: &Evaluation, wanted: &MemberRows) -> Result<Rows, QueryError> {
        let columns = self.member_columns(wanted)?;
        let has_follow = wanted.row_per == RowPer::Follow || columns.iter().any(|column| column.table == "follow");
        let join = match (has_follow, wanted.row_per) {
            (false, _) => "",
            (true, RowPer::Customer) => {
                " LEFT JOIN follow ON follow.customer_no = customer.customer_no AND follow.is_owner"
            }
            (true, RowPer::Follow) => follows_of(wanted.universe),
        };
        let columns: Vec<&str> = columns.iter().map(|column| column.sql.as_str()).collect();
        let after = wanted.after.map(|no| format!(" AND customer.customer_no > {}", no.0)).unwrap_or_default();
        let limit = wanted.limit.map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
        let order = if wanted.row_per == RowPer::Follow { ", follow.follow_no" } else { "" };
        let sql = format!(
            "SELECT {} FROM customer{join} WHERE in_members(customer.customer_no){after} \
             ORDER BY customer.customer_no{order}{limit}",
            columns.join(", ")
        );
        self.sql_with(membership(evaluation.members.clone()), &sql).await
    }

    /// The columns as SQL, each checked against the tables.
    fn member_columns(&self, wanted: &MemberRows) -> Result<Vec<MemberColumn>, QueryError> {
        let names = |table: &str| -> Vec<String> {
            let schema = self.snapshot().schema(table);
            schema.map(|schema| schema.fields().iter().map(|field| field.name().clone()).collect()).unwrap_or_default()
        };
        let (customer, follow) = (names("customer"), names("follow"));
        let known: Vec<&str> = customer.iter().chain(&follow).map(String::as_str).collect();
        wanted
            .columns
            .iter()
            .map(|column| {
                let table = if customer.contains(column) {
                    "customer"
                } else if follow.contains(column) {
                    "follow"
                } else {
                    let advice = did_you_mean(&near_names(column, known.iter().copied()))
                        .unwrap_or_else(|| format!("there are {}", known.join(", ")));
                    return Err(QueryError::Column { column: column.clone(), advice });
                };
                let name = sql_text::name(column);
                let plain = format!("{table}.{name}");
                let sql = if wanted.masked.contains(column) {
                    format!("CASE WHEN {plain} IS NOT NULL THEN '***' END AS {name}")
                } else {
                    plain
                };
                Ok(MemberColumn { table, sql })
            })
            .collect()
    }
}

/// One column of a hand-out.
struct MemberColumn {
    /// The table it comes from.
    table: &'static str,
    /// What is selected for it.
    sql: String,
}

/// The join that brings the follows that count in a universe.
fn follows_of(universe: Universe) -> &'static str {
    match universe {
        Universe::Followed => {
            " JOIN follow ON follow.customer_no = customer.customer_no AND follow.status IN ('active', 'half')"
        }
        Universe::Lost => {
            " JOIN follow ON follow.customer_no = customer.customer_no AND follow.status NOT IN ('active', 'half')"
        }
        Universe::All => " JOIN follow ON follow.customer_no = customer.customer_no",
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

//! Typed sets: follows and customers are never mixed, and one becomes the other by projection only.

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;
use roaring::RoaringBitmap;
use tagmill_schemas::ids::StaffId;
use tagmill_schemas::segment::Universe;

use crate::error::QueryError;
use crate::view::View;

/// A set of customers, by `customer_no`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Customers(pub(crate) RoaringBitmap);

/// A set of follows, by `follow_no`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Follows(pub(crate) RoaringBitmap);

/// The follows of a snapshot: whose they are, and which are active.
#[derive(Debug, Default)]
pub(crate) struct FollowIndex {
    /// The customer of each follow, by `follow_no`.
    customer_of: Vec<u32>,
    /// Follows whose status is active or half.
    active: RoaringBitmap,
    /// Every follow.
    every: RoaringBitmap,
}

/// A universe at a snapshot: the customers a segment is about and the follows that count for them.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    /// The customers.
    pub(crate) customers: Customers,
    /// The follows.
    pub(crate) follows: Follows,
}

impl FollowIndex {
    pub(crate) async fn load(view: &View) -> Result<Self, QueryError> {
        let mut rows: Vec<(u32, u32, bool)> = Vec::new();
        let sql = "SELECT follow_no, customer_no, CAST(status IN ('active', 'half') AS BIGINT) FROM follow";
        let mut answer = view.sql(sql).await?;
        while let Some(batch) = answer.next().await {
            let batch = batch?;
            let [follow, customer, active] = [0, 1, 2].map(|column| batch.column(column).as_primitive::<Int64Type>());
            for row in 0..batch.num_rows() {
                rows.push((dense(follow.value(row))?, dense(customer.value(row))?, active.value(row) == 1));
            }
        }
        let size = rows.iter().map(|(follow, ..)| *follow as usize + 1).max().unwrap_or(0);
        let mut index = Self { customer_of: vec![u32::MAX; size], ..Self::default() };
        rows.sort_unstable();
        for (follow, customer, _) in &rows {
            index.customer_of[*follow as usize] = *customer;
        }
        index.every = from_sorted(rows.iter().map(|(follow, ..)| *follow));
        index.active = from_sorted(rows.iter().filter(|(.., active)| *active).map(|(follow, ..)| *follow));
        Ok(index)
    }

    /// The customers of some follows.
    pub(crate) fn project(&self, follows: &Follows) -> Customers {
        let mut customers: Vec<u32> =
            follows.0.iter().filter_map(|follow| self.customer_of.get(follow as usize).copied()).collect();
        customers.sort_unstable();
        customers.dedup();
        Customers(from_sorted(customers))
    }

    /// Those of some follows that are of some customers.
    pub(crate) fn follows_of(&self, follows: &Follows, customers: &Customers) -> Follows {
        let is_theirs = |follow: &u32| {
            self.customer_of.get(*follow as usize).is_some_and(|customer| customers.0.contains(*customer))
        };
        Follows(from_sorted(follows.0.iter().filter(is_theirs)))
    }

    /// Whether there is any follow at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.every.is_empty()
    }

    /// The customers and follows of a universe.
    pub(crate) async fn scope(&self, view: &View, universe: Universe) -> Result<Scope, QueryError> {
        let active = Follows(self.active.clone());
        let followed = self.project(&active);
        Ok(match universe {
            Universe::Followed => Scope { customers: followed, follows: active },
            Universe::Lost => {
                let ever = self.project(&Follows(self.every.clone()));
                Scope { customers: Customers(ever.0 - followed.0), follows: Follows(&self.every - &self.active) }
            }
            Universe::All => Scope {
                customers: customer_set(view, "SELECT customer_no FROM customer").await?,
                follows: Follows(self.every.clone()),
            },
        })
    }
}

/// The customers that a SQL question returns in its first column; NULLs are left out.
pub(crate) async fn customer_set(view: &View, sql: &str) -> Result<Customers, QueryError> {
    Ok(Customers(number_set(view, sql).await?))
}

/// The follows that a SQL question returns in its first column; NULLs are left out.
pub(crate) async fn follow_set(view: &View, sql: &str) -> Result<Follows, QueryError> {
    Ok(Follows(number_set(view, sql).await?))
}

async fn number_set(view: &View, sql: &str) -> Result<RoaringBitmap, QueryError> {
    let mut numbers = Vec::new();
    let mut answer = view.sql(sql).await?;
    while let Some(batch) = answer.next().await {
        append_numbers(&batch?, 0, &mut numbers)?;
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(from_sorted(numbers))
}

/// Appends the dense numbers of a column.
pub(crate) fn append_numbers(batch: &RecordBatch, column: usize, numbers: &mut Vec<u32>) -> Result<(), QueryError> {
    let array = batch.column(column);
    let values = array.as_primitive_opt::<Int64Type>().ok_or_else(|| QueryError::Internal {
        reason: format!("a set was asked of a column of type {}", array.data_type()),
    })?;
    for value in values.iter().flatten() {
        numbers.push(dense(value)?);
    }
    Ok(())
}

/// A dense number as it is kept in a bitmap.
fn dense(number: i64) -> Result<u32, QueryError> {
    u32::try_from(number)
        .map_err(|_| QueryError::Internal { reason: format!("{number} is no dense number below 2³²") })
}

/// A bitmap from ascending distinct numbers.
pub(crate) fn from_sorted(numbers: impl IntoIterator<Item = u32>) -> RoaringBitmap {
    // Sorted input is what the caller promises; anything else is still a set, only slower to make.
    RoaringBitmap::from_iter(numbers)
}

/// The statement that finds the follows of some staff.
pub(crate) fn staff_sql(staff: &[StaffId]) -> String {
    let quoted: Vec<String> = staff.iter().map(|id| super::sql_text::text(id.as_str())).collect();
    format!("SELECT follow_no FROM follow WHERE staff_id IN ({})", quoted.join(", "))
}

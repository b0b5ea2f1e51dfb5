//! Leaves: the nodes that are answered by one SQL statement each.

use std::collections::HashMap;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::logical_expr::LogicalPlan;
use roaring::RoaringBitmap;
use tagmill_schemas::ids::TagId;
use tagmill_schemas::segment::check::Catalog;
use tagmill_schemas::segment::{AttributeLeaf, Comparison, EventLeaf, Measure, Missing, Never};
use tagmill_schemas::tables::ColumnType;

use super::sets::{Customers, Follows, Scope, append_numbers, customer_set, from_sorted};
use super::sql_text::{Calendar, holds_for_zero, name, text};
use crate::catalog;
use crate::engine::Rows;
use crate::error::QueryError;
use crate::view::View;

/// Who holds a tag: on which follows, and which customers without a follow being involved.
#[derive(Debug, Clone, Default)]
pub(crate) struct Holders {
    pub(crate) follows: Follows,
    pub(crate) customers: Customers,
}

/// The statement that finds the holders of a tag.
///
/// Two sources may hold it at once.
pub(super) fn holders_sql(tag: &TagId) -> String {
    format!("SELECT follow_no, customer_no FROM held_assignment WHERE tag_id = {}", text(tag.as_str()))
}

/// Finds the holders of some tags, each once.
pub(crate) async fn holders(view: &View, tags: &[TagId]) -> Result<HashMap<TagId, Holders>, QueryError> {
    let mut found = HashMap::new();
    for tag in tags {
        let (mut follows, mut customers) = (Vec::new(), Vec::new());
        let mut rows = view.sql(&holders_sql(tag)).await?;
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            let is_customer_level: Vec<bool> = (0..batch.num_rows()).map(|row| batch.column(0).is_null(row)).collect();
            append_numbers(&batch, 0, &mut follows)?;
            let mut all = Vec::new();
            append_numbers(&batch, 1, &mut all)?;
            customers.extend(all.into_iter().zip(is_customer_level).filter(|(_, alone)| *alone).map(|(no, _)| no));
        }
        let holders = Holders { follows: Follows(set_of(follows)), customers: Customers(set_of(customers)) };
        found.insert(tag.clone(), holders);
    }
    Ok(found)
}

/// The statement of an attribute leaf.
pub(super) fn attribute_sql(leaf: &AttributeLeaf, catalog: &Catalog, calendar: &Calendar) -> String {
    let column = name(&leaf.name);
    let condition = calendar.condition(&column, type_of(&catalog.columns, &leaf.name), &leaf.test);
    match leaf.missing {
        Missing::Exclude => format!("SELECT customer_no FROM customer WHERE {condition}"),
        Missing::Include => format!("SELECT customer_no FROM customer WHERE ({condition}) OR {column} IS NULL"),
    }
}

/// The type of a column; `None` where there is no such column.
fn type_of(columns: &[(String, ColumnType)], name: &str) -> Option<ColumnType> {
    columns.iter().find(|(column, _)| column == name).map(|(_, ty)| *ty)
}

/// An event leaf, compiled: who satisfies it among those with events, and who of the others does.
#[derive(Debug, Clone)]
pub(super) struct EventQuery {
    /// Customers with such events whose measure satisfies the comparison.
    pub(super) satisfied: String,
    /// Customers with any such event at all; the others are judged by `others`.
    pub(super) any: String,
    /// What customers without such an event are.
    pub(super) others: Others,
}

/// What customers without any event in the window are.
#[derive(Debug, Clone)]
pub(super) enum Others {
    /// Not in the answer.
    Out,
    /// In the answer.
    In,
    /// In the answer where the statement returns them.
    Where(String),
}

impl EventQuery {
    /// The statements as `explain` prints them.
    pub(super) fn text(&self) -> String {
        match &self.others {
            Others::Out => self.satisfied.clone(),
            Others::In => format!("{};\n-- and everybody else of the universe but\n{}", self.satisfied, self.any),
            Others::Where(sql) => format!("{};\n-- and\n{sql}\n-- but\n{}", self.satisfied, self.any),
        }
    }
}

/// Compiles an event leaf.
pub(super) fn event_query(leaf: &EventLeaf, catalog: &Catalog, calendar: &Calendar) -> EventQuery {
    let from = events_from(leaf, catalog, calendar);
    let measure = match &leaf.measure {
        Measure::Count => "count(*)".to_owned(),
        Measure::Sum => "coalesce(sum(amount), 0)".to_owned(),
        Measure::Last => "max(occurred_at)".to_owned(),
        Measure::Distinct(column) => format!("count(DISTINCT {})", name(column)),
        Measure::DistinctDays => format!("count(DISTINCT {})", calendar.business_day()),
    };
    let condition = calendar.condition(&measure, None, &leaf.test);
    let others = match (&leaf.measure, leaf.never) {
        (Measure::Last, Some(Never::Include)) => Others::In,
        (Measure::Last, Some(Never::SinceCreated)) => {
            let created = calendar.condition("created_at", None, &leaf.test);
            Others::Where(format!("SELECT customer_no FROM customer WHERE {created}"))
        }
        (Measure::Last, _) => Others::Out,
        _ if holds_for_zero(&leaf.test) => Others::In,
        _ => Others::Out,
    };
    EventQuery {
        satisfied: format!("SELECT customer_no FROM event WHERE {from} GROUP BY customer_no HAVING {condition}"),
        any: format!("SELECT DISTINCT customer_no FROM event WHERE {from}"),
        others,
    }
}

/// The condition that picks the events of a leaf.
fn events_from(leaf: &EventLeaf, catalog: &Catalog, calendar: &Calendar) -> String {
    let types: Vec<String> = leaf.events.iter().map(|event| text(event)).collect();
    let mut parts = vec![format!("type IN ({})", types.join(", ")), calendar.window(leaf.window, leaf.include_today)];
    for (column, values) in &leaf.filter {
        let ty = type_of(&catalog.event_columns, column);
        parts.push(calendar.condition(&name(column), ty, &Comparison::In(values.clone())));
    }
    if let Some(currency) = &leaf.currency {
        parts.push(format!("currency = {}", text(currency)));
    }
    parts.join(" AND ")
}

/// Answers an event leaf inside a scope.
pub(super) async fn event_set(
    view: &View,
    leaf: &EventLeaf,
    calendar: &Calendar,
    scope: &Scope,
) -> Result<Customers, QueryError> {
    let catalog = view.catalog().await?;
    if leaf.measure == Measure::Sum && leaf.currency.is_none() {
        refuse_several_currencies(view, &leaf.events.join(", "), &events_from(leaf, catalog, calendar)).await?;
    }
    let query = event_query(leaf, catalog, calendar);
    let mut satisfied = customer_set(view, &query.satisfied).await?.0;
    let others = match &query.others {
        Others::Out => None,
        Others::In => Some(scope.customers.clone()),
        Others::Where(sql) => Some(customer_set(view, sql).await?),
    };
    if let Some(others) = others {
        satisfied |= others.0 - customer_set(view, &query.any).await?.0;
    }
    Ok(Customers(satisfied & &scope.customers.0))
}

/// Refuses a sum over events that would add several currencies, which means nothing.
///
/// `from` is the condition that picks the events, `events` what the message calls them.
pub(crate) async fn refuse_several_currencies(view: &View, events: &str, from: &str) -> Result<(), QueryError> {
    let sql = format!(
        "SELECT DISTINCT currency FROM event WHERE {from} AND amount IS NOT NULL AND currency IS NOT NULL ORDER BY currency"
    );
    let currencies = catalog::texts(view, &sql).await?;
    if currencies.len() > 1 {
        return Err(QueryError::Currencies { events: events.to_owned(), currencies: currencies.join(", ") });
    }
    Ok(())
}

/// Answers a `sql:` leaf. The statement is planned once and run once, as part of the one that asks whom it means; its
/// text is never put into another's.
pub(super) async fn sql_set(view: &View, sql: &str) -> Result<Customers, QueryError> {
    let leaf = view.plan(sql).await?;
    let columns = columns_of(&leaf);
    let returned = |name: &str| columns.iter().find(|(column, _)| column == name).map(|(_, ty)| ty);
    if let Some(ty) = returned("customer_no") {
        if !(ty.is_integer() || ty.is_string() || ty.is_null()) {
            return Err(QueryError::SqlLeaf { columns: format!("`customer_no` of the type {ty}") });
        }
        return customers_of(view.sql_over(leaf, NUMBERED).await?).await;
    }
    if returned("customer_id").is_none() {
        let names: Vec<String> = columns.iter().map(|(name, _)| format!("`{name}`")).collect();
        return Err(QueryError::SqlLeaf { columns: names.join(", ") });
    }
    if returned("id_space").is_some() {
        return customers_of(view.sql_over(leaf, KEYED).await?).await;
    }
    named(view.sql_over(leaf, include_str!("named_customers.sql")).await?).await
}

/// The numbers in the answer of a `sql:` leaf.
const NUMBERED: &str = "SELECT CAST(customer_no AS BIGINT) FROM leaf";
/// Whom the pairs of `id_space` and `customer_id` in the answer of a `sql:` leaf mean.
const KEYED: &str = "SELECT customer.customer_no FROM customer JOIN leaf \
    ON customer.customer_id = CAST(leaf.customer_id AS VARCHAR) AND customer.id_space = CAST(leaf.id_space AS VARCHAR)";

fn columns_of(plan: &LogicalPlan) -> Vec<(String, DataType)> {
    plan.schema().fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
}

/// The customers of some numbers. One that no customer can have is refused; one that none has is left to the universe.
async fn customers_of(mut rows: Rows) -> Result<Customers, QueryError> {
    let mut numbers = Vec::new();
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        for number in batch.column(0).as_primitive::<Int64Type>().iter().flatten() {
            numbers.push(u32::try_from(number).map_err(|_| QueryError::SqlLeafNumber { number })?);
        }
    }
    Ok(Customers(set_of(numbers)))
}

/// The customers that outside ids mean, bare or as `SPACE:ID`. An id that fits several is refused.
async fn named(mut rows: Rows) -> Result<Customers, QueryError> {
    let mut numbers = Vec::new();
    let mut several: Option<String> = None;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        append_numbers(&batch, 0, &mut numbers)?;
        let is_several = |row: &usize| !batch.column(1).is_null(*row);
        let found = (0..batch.num_rows()).filter(is_several).map(|row| catalog::text(&batch, 1, row));
        // The least of them, so that the same question is refused in the same words.
        several = several.into_iter().chain(found).min();
    }
    match several {
        Some(customer_id) => Err(QueryError::AmbiguousCustomer { customer_id }),
        None => Ok(Customers(set_of(numbers))),
    }
}

/// The set of some numbers in any order.
fn set_of(mut numbers: Vec<u32>) -> RoaringBitmap {
    numbers.sort_unstable();
    numbers.dedup();
    from_sorted(numbers)
}

#[cfg(test)]
mod tests {
    use tagmill_schemas::clock::BusinessZone;
    use tagmill_schemas::segment::{Operator, TimeValue, Value, Window};

    use super::*;

    #[test]
    fn an_event_is_picked_by_a_property_that_is_a_day_as_a_day() {
        let event_columns = vec![("due_on".to_owned(), ColumnType::Date)];
        let catalog = Catalog { event_columns, ..Catalog::default() };
        let as_of = "2026-11-11T18:00:00Z".parse().expect("an instant");
        let calendar = Calendar { as_of, zone: BusinessZone::default() };
        let day = TimeValue::Local("2026-06-01T00:00:00".parse().expect("a day"));
        let leaf = EventLeaf {
            events: vec!["bill".to_owned()],
            filter: vec![("due_on".to_owned(), vec![Value::Time(day)])],
            window: Window::Lifetime,
            include_today: false,
            measure: Measure::Count,
            test: Comparison::Single(Operator::Ge, Value::Number(1.into())),
            currency: None,
            never: None,
        };
        let query = event_query(&leaf, &catalog, &calendar);
        assert!(query.satisfied.contains("\"due_on\" IN (DATE '2026-06-01')"), "{}", query.satisfied);
    }
}

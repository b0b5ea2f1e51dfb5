//! Leaves: the nodes that are answered by one SQL statement each.

use std::collections::HashMap;

use datafusion::arrow::array::Array;
use datafusion::arrow::datatypes::DataType;
use tagmill_schemas::ids::TagId;
use tagmill_schemas::segment::{AttributeLeaf, Comparison, EventLeaf, Measure, Missing, Never};

use super::sets::{Customers, Follows, Scope, append_numbers, customer_set, from_sorted};
use super::sql_text::{Calendar, holds_for_zero, name, text};
use crate::catalog;
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
/// A tag is held where a source opened it and has not closed it since; two sources may hold it at once.
pub(super) fn holders_sql(tag: &TagId) -> String {
    format!(
        "SELECT follow_no, customer_no FROM assignment_log WHERE tag_id = {} GROUP BY customer_no, follow_no, source \
         HAVING sum(CASE op WHEN 'open' THEN 1 WHEN 'close' THEN -1 ELSE 0 END) > 0",
        text(tag.as_str())
    )
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
        for numbers in [&mut follows, &mut customers] {
            numbers.sort_unstable();
            numbers.dedup();
        }
        let holders = Holders { follows: Follows(from_sorted(follows)), customers: Customers(from_sorted(customers)) };
        found.insert(tag.clone(), holders);
    }
    Ok(found)
}

/// The statement of an attribute leaf.
pub(super) fn attribute_sql(leaf: &AttributeLeaf, calendar: &Calendar) -> String {
    let column = name(&leaf.name);
    let condition = calendar.condition(&column, &leaf.test);
    match leaf.missing {
        Missing::Exclude => format!("SELECT customer_no FROM customer WHERE {condition}"),
        Missing::Include => format!("SELECT customer_no FROM customer WHERE ({condition}) OR {column} IS NULL"),
    }
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
pub(super) fn event_query(leaf: &EventLeaf, calendar: &Calendar) -> EventQuery {
    let from = events_from(leaf, calendar);
    let measure = match &leaf.measure {
        Measure::Count => "count(*)".to_owned(),
        Measure::Sum => "coalesce(sum(amount), 0)".to_owned(),
        Measure::Last => "max(occurred_at)".to_owned(),
        Measure::Distinct(column) => format!("count(DISTINCT {})", name(column)),
        Measure::DistinctDays => format!("count(DISTINCT {})", calendar.business_day()),
    };
    let condition = calendar.condition(&measure, &leaf.test);
    let others = match (&leaf.measure, leaf.never) {
        (Measure::Last, Some(Never::Include)) => Others::In,
        (Measure::Last, Some(Never::SinceCreated)) => {
            let created = calendar.condition("created_at", &leaf.test);
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
fn events_from(leaf: &EventLeaf, calendar: &Calendar) -> String {
    let types: Vec<String> = leaf.events.iter().map(|event| text(event)).collect();
    let mut parts = vec![format!("type IN ({})", types.join(", ")), calendar.window(leaf.window, leaf.include_today)];
    for (column, values) in &leaf.filter {
        parts.push(calendar.condition(&name(column), &Comparison::In(values.clone())));
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
    if leaf.measure == Measure::Sum && leaf.currency.is_none() {
        refuse_several_currencies(view, leaf, calendar).await?;
    }
    let query = event_query(leaf, calendar);
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

/// A sum over several currencies means nothing.
async fn refuse_several_currencies(view: &View, leaf: &EventLeaf, calendar: &Calendar) -> Result<(), QueryError> {
    let from = events_from(leaf, calendar);
    let sql = format!(
        "SELECT DISTINCT currency FROM event WHERE {from} AND amount IS NOT NULL AND currency IS NOT NULL ORDER BY currency"
    );
    let currencies = catalog::texts(view, &sql).await?;
    if currencies.len() > 1 {
        return Err(QueryError::Currencies { events: leaf.events.join(", "), currencies: currencies.join(", ") });
    }
    Ok(())
}

/// Answers a `sql:` leaf.
pub(super) async fn sql_set(view: &View, sql: &str) -> Result<Customers, QueryError> {
    let rows = view.sql(sql).await?;
    let fields = rows.schema.fields();
    let has = |name: &str| fields.iter().find(|field| field.name() == name);
    if let Some(field) = has("customer_no") {
        let cast = if field.data_type() == &DataType::Int64 { "customer_no" } else { "CAST(customer_no AS BIGINT)" };
        return customer_set(view, &format!("SELECT {cast} FROM ({sql}) AS leaf")).await;
    }
    if has("customer_id").is_none() {
        let columns: Vec<String> = fields.iter().map(|field| format!("`{}`", field.name())).collect();
        return Err(QueryError::SqlLeaf { columns: columns.join(", ") });
    }
    let join = if has("id_space").is_some() {
        "customer.customer_id = leaf.customer_id AND customer.id_space = leaf.id_space"
    } else {
        let twice = format!(
            "SELECT customer.customer_id FROM customer JOIN (SELECT DISTINCT customer_id FROM ({sql}) AS given) AS leaf \
             ON customer.customer_id = leaf.customer_id GROUP BY customer.customer_id HAVING count(*) > 1 ORDER BY 1 LIMIT 1"
        );
        if let Some(customer_id) = catalog::texts(view, &twice).await?.pop() {
            return Err(QueryError::AmbiguousCustomer { customer_id });
        }
        "customer.customer_id = leaf.customer_id"
    };
    customer_set(view, &format!("SELECT customer.customer_no FROM customer JOIN ({sql}) AS leaf ON {join}")).await
}

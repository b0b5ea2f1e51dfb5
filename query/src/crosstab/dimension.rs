//! Dimensions: ways to split customers into labelled parts that neither overlap nor leave anybody out.

use std::collections::BTreeMap;
use std::fmt;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use roaring::RoaringBitmap;
use tagmill_schemas::error::{did_you_mean, near_names};
use tagmill_schemas::ids::TagId;
use tagmill_schemas::segment::Window;
use tagmill_schemas::segment::check::CatalogTag;

use super::parts::{Others, Part, Parts, by_size, tag_labels, value_label};
use crate::catalog::text;
use crate::error::QueryError;
use crate::segment::sets::{Follows, Scope, append_numbers};
use crate::segment::sql_text::{self, Calendar};
use crate::segment::{holders, refuse_several_currencies};
use crate::view::View;

/// The label of customers without a value.
const UNKNOWN: &str = "unknown";
/// The label of customers without a tag of the group.
const NONE: &str = "none";
/// The label of customers with several tags of the group.
const SEVERAL: &str = "more than one";
/// More labels than this make no table.
const MAX_LABELS: usize = 200;

/// No day with an event in the 30 days before as_of.
const NO_ACTIVITY: &str = "0 days";
/// The lower edges of the activity bands: distinct business days with any event in the 30 days before as_of.
const ACTIVITY_BANDS: &[(&str, i64)] = &[("1–2 days", 1), ("3–9 days", 3), ("10+ days", 10)];
/// The lower edges of the spend bands: net spend over a lifetime. Below the first are those with net refunds.
const SPEND_BANDS: &[(&str, i64)] =
    &[("< 0", i64::MIN), ("0 – 1,000", 0), ("1,000 – 5,000", 1_000), ("5,000 – 50,000", 5_000), ("≥ 50,000", 50_000)];
/// No event with an amount.
const NO_SPEND: &str = "no spend";

/// A way to split customers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dimension {
    /// By the tags of a group, held on any follow that counts.
    TagGroup(String),
    /// By the value of an attribute.
    Attribute(String),
    /// By the month of birth, 1 to 12.
    BirthMonth,
    /// By distinct business days with any event in the 30 days before as_of.
    ActivityBand,
    /// By net spend over a lifetime.
    SpendBand,
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TagGroup(group) => write!(f, "group:{group}"),
            Self::Attribute(name) => f.write_str(name),
            Self::BirthMonth => f.write_str("birth_month"),
            Self::ActivityBand => f.write_str("activity_band"),
            Self::SpendBand => f.write_str("spend_band"),
        }
    }
}

impl Dimension {
    /// Reads a dimension: `group:NAME`, `birth_month`, `activity_band`, `spend_band`, or a column of `customer`.
    ///
    /// # Errors
    /// `QueryError::Dimension` for an empty name.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let refuse = || QueryError::Dimension { dimension: text.to_owned(), advice: advice() };
        match text.trim() {
            "birth_month" => Ok(Self::BirthMonth),
            "activity_band" => Ok(Self::ActivityBand),
            "spend_band" => Ok(Self::SpendBand),
            other => match other.split_once(':') {
                Some(("group", group)) if !group.trim().is_empty() => Ok(Self::TagGroup(group.trim().to_owned())),
                Some(("attribute", name)) if !name.trim().is_empty() => Ok(Self::Attribute(name.trim().to_owned())),
                None if !other.is_empty() => Ok(Self::Attribute(other.to_owned())),
                _ => Err(refuse()),
            },
        }
    }

    /// Splits the customers of a scope into labelled parts, in the order in which they are shown.
    ///
    /// No two labels are the same. Bands and months are always there; a value or tag that nobody in the scope has is not.
    pub(super) async fn split(&self, view: &View, scope: &Scope) -> Result<Vec<Part>, QueryError> {
        let parts = match self {
            Self::TagGroup(group) => by_tag_group(view, group, scope).await?,
            Self::Attribute(name) => by_attribute(view, name, scope).await?,
            Self::BirthMonth => by_birth_month(view, scope).await?,
            Self::ActivityBand => by_activity(view).await?,
            Self::SpendBand => by_spend(view).await?,
        };
        Ok(parts.among(&scope.customers))
    }
}

fn advice() -> String {
    "take `group:NAME`, `birth_month`, `activity_band`, `spend_band`, or a column of customer such as `province`"
        .to_owned()
}

/// Only follows that count in the universe do here; customer-level assignments always do.
async fn by_tag_group(view: &View, group: &str, scope: &Scope) -> Result<Parts, QueryError> {
    let tags = living_tags(view, group).await?;
    let ids: Vec<TagId> = tags.iter().map(|tag| tag.tag_id.clone()).collect();
    let holders = holders(view, &ids).await?;
    let follows = view.follows().await?;
    let mut once = RoaringBitmap::new();
    let mut several = RoaringBitmap::new();
    let mut parts: Vec<Part> = Vec::new();
    for (tag, label) in tags.iter().zip(tag_labels(&tags, &[NONE, SEVERAL])) {
        let Some(held) = holders.get(&tag.tag_id) else { continue };
        let counting = Follows(&held.follows.0 & &scope.follows.0);
        let set = (follows.project(&counting).0 | &held.customers.0) & &scope.customers.0;
        if !set.is_empty() {
            several |= &once & &set;
            once |= &set;
            parts.push((label, set));
        }
    }
    if parts.len() > MAX_LABELS {
        return Err(too_wide(format!("group:{group}")));
    }
    for (_, set) in &mut parts {
        *set -= &several;
    }
    by_size(&mut parts);
    parts.push((SEVERAL.to_owned(), several));
    Ok(Parts { parts, others: Others::Last(NONE) })
}

/// The living tags of a group; at least one.
async fn living_tags<'v>(view: &'v View, group: &str) -> Result<Vec<&'v CatalogTag>, QueryError> {
    let catalog = view.catalog().await?;
    let tags: Vec<&CatalogTag> =
        catalog.tags.iter().filter(|tag| tag.group_name == group && tag.valid_to.is_none()).collect();
    if tags.is_empty() {
        let mut groups: Vec<&str> = catalog.tags.iter().map(|tag| tag.group_name.as_str()).collect();
        groups.sort_unstable();
        groups.dedup();
        let near = did_you_mean(&near_names(group, groups.iter().copied()));
        let known = format!("the groups are {}", groups.join(", "));
        return Err(QueryError::Dimension { dimension: format!("group:{group}"), advice: near.unwrap_or(known) });
    }
    Ok(tags)
}

async fn by_attribute(view: &View, name: &str, scope: &Scope) -> Result<Parts, QueryError> {
    let catalog = view.catalog().await?;
    let is_known = catalog.columns.iter().any(|(column, _)| column == name);
    let is_masked = catalog.masked_columns.iter().any(|column| column == name);
    if !is_known || is_masked {
        let near = near_names(name, catalog.columns.iter().map(|(column, _)| column.as_str()));
        let advice = did_you_mean(&near).filter(|_| !is_masked).unwrap_or_else(advice);
        return Err(QueryError::Dimension { dimension: name.to_owned(), advice });
    }
    let column = sql_text::name(name);
    let sql = format!("SELECT CAST({column} AS VARCHAR), customer_no FROM customer WHERE {column} IS NOT NULL");
    let found = labelled(view, &sql, scope, name).await?;
    let mut parts: Vec<Part> = found.into_iter().map(|(value, set)| (value_label(value, &[UNKNOWN]), set)).collect();
    by_size(&mut parts);
    Ok(Parts { parts, others: Others::Last(UNKNOWN) })
}

async fn by_birth_month(view: &View, scope: &Scope) -> Result<Parts, QueryError> {
    let sql = "SELECT CAST(birth_month AS VARCHAR), customer_no FROM customer WHERE birth_month BETWEEN 1 AND 12";
    let mut found = labelled(view, sql, scope, "birth_month").await?;
    let parts = (1..=12)
        .map(|month| {
            let label = month.to_string();
            let set = found.remove(&label).unwrap_or_default();
            (label, set)
        })
        .collect();
    Ok(Parts { parts, others: Others::Last(UNKNOWN) })
}

async fn by_activity(view: &View) -> Result<Parts, QueryError> {
    let calendar = Calendar { as_of: view.as_of(), zone: view.zone() };
    let window = calendar.window(Window::LastDays(30), false);
    let sql = format!(
        "SELECT customer_no, count(DISTINCT {}) FROM event WHERE {window} GROUP BY customer_no",
        calendar.business_day()
    );
    let parts = banded(view, &sql, ACTIVITY_BANDS).await?;
    Ok(Parts { parts, others: Others::First(NO_ACTIVITY) })
}

async fn by_spend(view: &View) -> Result<Parts, QueryError> {
    let calendar = Calendar { as_of: view.as_of(), zone: view.zone() };
    let window = calendar.window(Window::Lifetime, false);
    refuse_several_currencies(view, "all events", &window).await?;
    // The floor keeps the bands exact: 4,999.99 stays below 5,000, and −0.01 below 0.
    let sql = format!(
        "SELECT customer_no, CAST(floor(sum(amount)) AS BIGINT) FROM event WHERE {window} AND amount IS NOT NULL GROUP BY customer_no"
    );
    let parts = banded(view, &sql, SPEND_BANDS).await?;
    Ok(Parts { parts, others: Others::First(NO_SPEND) })
}

/// Sorts `(customer_no, measure)` rows into bands by their lower edges, ascending; no measure is below the first.
async fn banded(view: &View, sql: &str, edges: &[(&str, i64)]) -> Result<Vec<Part>, QueryError> {
    let mut numbers: Vec<Vec<u32>> = vec![Vec::new(); edges.len()];
    let mut rows = view.sql(sql).await?;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        let measures = batch.column(1).as_primitive::<Int64Type>();
        let mut customers = Vec::new();
        append_numbers(&batch, 0, &mut customers)?;
        for (customer, measure) in customers.into_iter().zip(measures.values()) {
            let above = edges.iter().rposition(|(_, edge)| edge <= measure).unwrap_or(0);
            numbers[above].push(customer);
        }
    }
    Ok(edges.iter().zip(numbers).map(|((label, _), numbers)| ((*label).to_owned(), bitmap(numbers))).collect())
}

/// Sorts `(value, customer_no)` rows, both never NULL, into sets by value, those of the scope only.
///
/// A table of many values is refused when one too many has been seen, before the others are read.
async fn labelled(
    view: &View,
    sql: &str,
    scope: &Scope,
    dimension: &str,
) -> Result<BTreeMap<String, RoaringBitmap>, QueryError> {
    let mut numbers: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    let mut rows = view.sql(sql).await?;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        let mut customers = Vec::new();
        append_numbers(&batch, 1, &mut customers)?;
        for (row, customer) in customers.into_iter().enumerate() {
            if scope.customers.0.contains(customer) {
                numbers.entry(text(&batch, 0, row)).or_default().push(customer);
            }
        }
        if numbers.len() > MAX_LABELS {
            return Err(too_wide(dimension.to_owned()));
        }
    }
    Ok(numbers.into_iter().map(|(value, numbers)| (value, bitmap(numbers))).collect())
}

fn bitmap(mut numbers: Vec<u32>) -> RoaringBitmap {
    // A bitmap is made much faster of ascending numbers.
    numbers.sort_unstable();
    numbers.into_iter().collect()
}

fn too_wide(dimension: String) -> QueryError {
    QueryError::DimensionTooWide { dimension, limit: MAX_LABELS }
}

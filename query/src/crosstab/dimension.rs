//! Dimensions: ways to split customers into labelled parts that neither overlap nor leave anybody out.

use std::fmt;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::Int64Type;
use roaring::RoaringBitmap;
use tagmill_schemas::error::{did_you_mean, near_names};
use tagmill_schemas::ids::TagId;
use tagmill_schemas::segment::Window;

use crate::catalog::text;
use crate::error::QueryError;
use crate::segment::holders;
use crate::segment::sets::{Customers, Follows, Scope, from_sorted};
use crate::segment::sql_text::{self, Calendar};
use crate::view::View;

/// The label of customers without a value.
const UNKNOWN: &str = "unknown";
/// The label of customers without a tag of the group.
const NONE: &str = "none";
/// The label of customers with several tags of the group.
const SEVERAL: &str = "more than one";
/// More labels than this make no table.
const MAX_LABELS: usize = 200;

/// The edges of the activity bands: distinct business days with any event in the 30 days before as_of.
const ACTIVITY_BANDS: &[(&str, i64)] = &[("0 days", 0), ("1–2 days", 1), ("3–9 days", 3), ("10+ days", 10)];
/// The lower edges of the spend bands: net spend over a lifetime.
const SPEND_BANDS: &[(&str, i64)] =
    &[("0 – 1,000", 0), ("1,000 – 5,000", 1_000), ("5,000 – 50,000", 5_000), ("≥ 50,000", 50_000)];
/// Net refunds, below every spend band.
const NEGATIVE_SPEND: &str = "< 0";
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

    /// Splits customers into labelled parts, in the order in which they are shown.
    pub(crate) async fn split(&self, view: &View, scope: &Scope) -> Result<Vec<(String, RoaringBitmap)>, QueryError> {
        let parts = match self {
            Self::TagGroup(group) => by_tag_group(view, group, scope).await?,
            Self::Attribute(name) => by_attribute(view, name).await?,
            Self::BirthMonth => by_birth_month(view).await?,
            Self::ActivityBand => by_activity(view).await?,
            Self::SpendBand => by_spend(view).await?,
        };
        if parts.labels.len() > MAX_LABELS {
            return Err(QueryError::DimensionTooWide {
                dimension: self.to_string(),
                values: parts.labels.len(),
                limit: MAX_LABELS,
            });
        }
        Ok(parts.among(&scope.customers))
    }
}

fn advice() -> String {
    "take `group:NAME`, `birth_month`, `activity_band`, `spend_band`, or a column of customer such as `province`"
        .to_owned()
}

/// Labelled sets, and the label of everybody who is in none of them.
struct Parts {
    labels: Vec<(String, RoaringBitmap)>,
    others: &'static str,
    /// Where the others stand: before the labels or after them.
    others_first: bool,
}

impl Parts {
    /// Cuts the parts to some customers and adds those who are in none.
    fn among(self, customers: &Customers) -> Vec<(String, RoaringBitmap)> {
        let mut left = customers.0.clone();
        let mut parts: Vec<(String, RoaringBitmap)> = Vec::new();
        for (label, set) in self.labels {
            let set = set & &left;
            left -= &set;
            parts.push((label, set));
        }
        let place = parts.iter().position(|(label, _)| label == self.others);
        match place {
            Some(place) => parts[place].1 |= left,
            None if self.others_first => parts.insert(0, (self.others.to_owned(), left)),
            None => parts.push((self.others.to_owned(), left)),
        }
        parts
    }
}

/// Only follows that count in the universe do here; customer-level assignments always do.
async fn by_tag_group(view: &View, group: &str, scope: &Scope) -> Result<Parts, QueryError> {
    let catalog = view.catalog().await?;
    let tags: Vec<_> =
        catalog.tags.iter().filter(|tag| tag.group_name == group && tag.valid_to.is_none()).cloned().collect();
    if tags.is_empty() {
        let mut groups: Vec<&str> = catalog.tags.iter().map(|tag| tag.group_name.as_str()).collect();
        groups.sort_unstable();
        groups.dedup();
        let near = did_you_mean(&near_names(group, groups.iter().copied()));
        let known = format!("the groups are {}", groups.join(", "));
        return Err(QueryError::Dimension { dimension: format!("group:{group}"), advice: near.unwrap_or(known) });
    }
    let ids: Vec<TagId> = tags.iter().map(|tag| tag.tag_id.clone()).collect();
    let holders = holders(view, &ids).await?;
    let follows = view.follows().await?;
    let mut once = RoaringBitmap::new();
    let mut several = RoaringBitmap::new();
    let mut sets = Vec::new();
    for tag in tags {
        let Some(held) = holders.get(&tag.tag_id) else { continue };
        let counting = Follows(&held.follows.0 & &scope.follows.0);
        let set = (follows.project(&counting).0 | &held.customers.0) & &scope.customers.0;
        several |= &once & &set;
        once |= &set;
        sets.push((tag.tag_name, set));
    }
    let mut labels: Vec<_> = sets.into_iter().map(|(name, set)| (name, set - &several)).collect();
    labels.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.0.cmp(&b.0)));
    labels.push((SEVERAL.to_owned(), several));
    Ok(Parts { labels, others: NONE, others_first: false })
}

async fn by_attribute(view: &View, name: &str) -> Result<Parts, QueryError> {
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
    let mut labels = labelled(view, &sql).await?;
    labels.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.0.cmp(&b.0)));
    Ok(Parts { labels, others: UNKNOWN, others_first: false })
}

async fn by_birth_month(view: &View) -> Result<Parts, QueryError> {
    let sql = "SELECT CAST(birth_month AS VARCHAR), customer_no FROM customer WHERE birth_month BETWEEN 1 AND 12";
    let found = labelled(view, sql).await?;
    let labels = (1..=12)
        .map(|month| {
            let label = month.to_string();
            let set = found.iter().find(|(name, _)| *name == label).map(|(_, set)| set.clone()).unwrap_or_default();
            (label, set)
        })
        .collect();
    Ok(Parts { labels, others: UNKNOWN, others_first: false })
}

async fn by_activity(view: &View) -> Result<Parts, QueryError> {
    let calendar = Calendar { as_of: view.as_of(), zone: view.zone() };
    let window = calendar.window(Window::LastDays(30), false);
    let sql = format!(
        "SELECT customer_no, count(DISTINCT {}) FROM event WHERE {window} GROUP BY customer_no",
        calendar.business_day()
    );
    let edges: Vec<(&str, i64)> = ACTIVITY_BANDS.to_vec();
    let labels = banded(view, &sql, &edges).await?;
    Ok(Parts { labels, others: ACTIVITY_BANDS[0].0, others_first: true })
}

async fn by_spend(view: &View) -> Result<Parts, QueryError> {
    let calendar = Calendar { as_of: view.as_of(), zone: view.zone() };
    let window = calendar.window(Window::Lifetime, false);
    let currencies = format!(
        "SELECT DISTINCT currency FROM event WHERE {window} AND amount IS NOT NULL AND currency IS NOT NULL ORDER BY currency"
    );
    let currencies = crate::catalog::texts(view, &currencies).await?;
    if currencies.len() > 1 {
        return Err(QueryError::Currencies { events: "all events".to_owned(), currencies: currencies.join(", ") });
    }
    // The floor keeps the bands exact: 4,999.99 stays below 5,000, and −0.01 below 0.
    let sql = format!(
        "SELECT customer_no, CAST(floor(sum(amount)) AS BIGINT) FROM event WHERE {window} AND amount IS NOT NULL GROUP BY customer_no"
    );
    let mut edges = vec![(NEGATIVE_SPEND, i64::MIN)];
    edges.extend(SPEND_BANDS);
    let labels = banded(view, &sql, &edges).await?;
    Ok(Parts { labels, others: NO_SPEND, others_first: true })
}

/// Sorts `(customer_no, measure)` rows into bands by their lower edges, ascending.
async fn banded(view: &View, sql: &str, edges: &[(&str, i64)]) -> Result<Vec<(String, RoaringBitmap)>, QueryError> {
    let mut numbers: Vec<Vec<u32>> = vec![Vec::new(); edges.len()];
    let mut rows = view.sql(sql).await?;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        let measures = batch.column(1).as_primitive::<Int64Type>();
        let mut customers = Vec::new();
        crate::segment::sets::append_numbers(&batch, 0, &mut customers)?;
        for (customer, measure) in customers.into_iter().zip(measures.values()) {
            let above = edges.iter().rposition(|(_, edge)| edge <= measure).unwrap_or(0);
            numbers[above].push(customer);
        }
    }
    Ok(edges
        .iter()
        .zip(numbers)
        .map(|((label, _), mut numbers)| {
            numbers.sort_unstable();
            ((*label).to_owned(), from_sorted(numbers))
        })
        .collect())
}

/// Sorts `(label, customer_no)` rows into sets by label.
async fn labelled(view: &View, sql: &str) -> Result<Vec<(String, RoaringBitmap)>, QueryError> {
    let mut sets: std::collections::BTreeMap<String, Vec<u32>> = std::collections::BTreeMap::new();
    let mut rows = view.sql(sql).await?;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        let mut customers = Vec::new();
        crate::segment::sets::append_numbers(&batch, 1, &mut customers)?;
        for (row, customer) in customers.into_iter().enumerate() {
            if !batch.column(0).is_null(row) {
                sets.entry(text(&batch, 0, row)).or_default().push(customer);
            }
        }
    }
    Ok(sets
        .into_iter()
        .map(|(label, mut numbers)| {
            numbers.sort_unstable();
            (label, from_sorted(numbers))
        })
        .collect())
}

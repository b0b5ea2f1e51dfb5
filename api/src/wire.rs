//! The shapes of requests and answers. They live at this edge only and are converted by hand, so that the inner types
//! stay free to change while these do not.
//!
//! Instants are RFC 3339 in UTC. `snapshot_id` and `as_of` name the state an answer was computed on, and `events_until`
//! the instant up to which the events it depends on were read (`null` where no source has brought such events).

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tagmill_store::LedgerRow;
use utoipa::ToSchema;

use crate::cursor::SnapshotCursor;

/// That the server is up, and what it serves.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`; a server that is not answers with a problem.
    pub(crate) status: String,
    /// The version of the server.
    pub(crate) version: String,
    /// The newest snapshot; `null` before the first.
    pub(crate) snapshot_id: Option<i64>,
}

/// One published state of the warehouse.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Snapshot {
    /// Its id; ids grow and are never reused.
    snapshot_id: i64,
    /// The snapshot before; `null` for the first.
    parent_snapshot_id: Option<i64>,
    /// When it was published.
    #[schema(format = DateTime)]
    published_at: String,
    /// When its run began to read the source.
    #[schema(format = DateTime)]
    read_from: String,
    /// When its run ended reading the source.
    #[schema(format = DateTime)]
    read_until: String,
    /// What `as_of: latest` means on it.
    #[schema(format = DateTime)]
    taken_at: String,
    /// The source of its run, or `rule:ID`.
    source: String,
    /// Delta version by table.
    tables: BTreeMap<String, u64>,
    /// Rows by table.
    row_counts: BTreeMap<String, u64>,
    /// What the shrink guard saw.
    guard: Vec<String>,
    /// The latest `occurred_at` by source.
    latest_events: BTreeMap<String, String>,
}

impl From<&LedgerRow> for Snapshot {
    fn from(row: &LedgerRow) -> Self {
        let latest = row.latest_events.iter().map(|(source, at)| (source.clone(), instant(*at)));
        Self {
            snapshot_id: row.snapshot_id.0,
            parent_snapshot_id: row.parent_snapshot_id.map(|id| id.0),
            published_at: instant(row.published_at),
            read_from: instant(row.read_from),
            read_until: instant(row.read_until),
            taken_at: instant(row.taken_at),
            source: row.source.clone(),
            tables: row.tables.clone(),
            row_counts: row.row_counts.clone(),
            guard: row.guard.clone(),
            latest_events: latest.collect(),
        }
    }
}

/// A page of snapshots, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SnapshotPage {
    /// The snapshots.
    items: Vec<Snapshot>,
    /// Where the next page begins; `null` on the last.
    next_cursor: Option<String>,
}

impl SnapshotPage {
    /// Takes the first `limit` of `rows`, which are newest first.
    pub(crate) fn new<'r>(rows: impl Iterator<Item = &'r LedgerRow>, limit: usize) -> Self {
        let mut rows = rows.peekable();
        let mut items = Vec::new();
        let mut last = None;
        while items.len() < limit {
            let Some(row) = rows.next() else { break };
            last = Some(SnapshotCursor(row.snapshot_id));
            items.push(Snapshot::from(row));
        }
        let next_cursor = last.filter(|_| rows.peek().is_some()).map(|cursor| cursor.to_string());
        Self { items, next_cursor }
    }
}

/// The segments that can be named.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SegmentList {
    /// The segments, by name ascending.
    items: Vec<SegmentName>,
}

/// A segment that can be named.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SegmentName {
    /// Its name.
    name: String,
}

impl SegmentList {
    pub(crate) fn new(names: Vec<String>) -> Self {
        Self { items: names.into_iter().map(|name| SegmentName { name }).collect() }
    }
}

/// What to count: a segment by name or by its document, one of the two.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CountRequest {
    /// The name of a segment.
    pub(crate) segment: Option<String>,
    /// A segment document: a JSON object, or its text in YAML or JSON.
    pub(crate) definition: Option<Value>,
    /// `latest`, a snapshot id or a time; only where the segment itself says `latest`.
    pub(crate) as_of: Option<String>,
}

/// How many customers a segment has.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SegmentCount {
    /// The customers in the segment.
    count: u64,
    /// The customers in its universe.
    universe_count: u64,
    /// SHA-256 of the canonical definition, hexadecimal.
    definition_hash: String,
    /// The snapshot.
    snapshot_id: i64,
    /// The instant before which events count.
    #[schema(format = DateTime)]
    as_of: String,
    /// Up to which instant events were read.
    #[schema(format = DateTime)]
    events_until: Option<String>,
    /// What the definition's author should know, such as a tag that was renamed; left out where there is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

impl From<&tagmill_query::SegmentCount> for SegmentCount {
    fn from(count: &tagmill_query::SegmentCount) -> Self {
        Self {
            count: count.count,
            universe_count: count.universe_count,
            definition_hash: count.definition_hash.clone(),
            snapshot_id: count.snapshot_id,
            as_of: instant(count.as_of),
            events_until: count.events_until.map(instant),
            notes: count.notes.clone(),
        }
    }
}

/// A page of a segment's members, by `customer_no` ascending.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberPage {
    /// The members, each an object by column name.
    pub(crate) items: Vec<Value>,
    /// Where the next page begins; `null` on the last.
    pub(crate) next_cursor: Option<String>,
    /// How many members there are on all pages, and the state they were counted on.
    #[serde(flatten)]
    pub(crate) count: SegmentCount,
}

/// How a segment comes to its count.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Explanation {
    /// The definition as one English sentence.
    english: String,
    /// The definition as one Chinese sentence.
    chinese: String,
    /// Its nodes in the order of the document, each before its parts.
    nodes: Vec<ExplainedNode>,
    /// The count, and the state it was counted on.
    #[serde(flatten)]
    count: SegmentCount,
}

/// One node of a definition and what it contributes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExplainedNode {
    /// Where it stands in the document, as a JSON pointer.
    path: String,
    /// What it says.
    description: String,
    /// How many follows or customers it holds for, taken alone.
    count: u64,
    /// What is counted: `follows` or `customers`.
    kind: String,
    /// The SQL it is answered by, where it is.
    sql: Option<String>,
}

impl From<tagmill_query::Explanation> for Explanation {
    fn from(explanation: tagmill_query::Explanation) -> Self {
        let node = |node: tagmill_query::ExplainedNode| ExplainedNode {
            path: node.path,
            description: node.description,
            count: node.count,
            kind: node.kind.to_owned(),
            sql: node.sql,
        };
        Self {
            english: explanation.english,
            chinese: explanation.chinese,
            nodes: explanation.nodes.into_iter().map(node).collect(),
            count: SegmentCount::from(&explanation.count),
        }
    }
}

/// Customers by two dimensions; each customer counts in exactly one row and one column.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Crosstab {
    /// What the rows are.
    row_dimension: String,
    /// What the columns are.
    column_dimension: String,
    /// Among whom: `followed`, `all`, or the segment's name.
    among: String,
    /// The rows in order.
    row_labels: Vec<String>,
    /// The columns in order.
    column_labels: Vec<String>,
    /// Distinct customers by row, then by column.
    cells: Vec<Vec<u64>>,
    /// Distinct customers of each row.
    row_totals: Vec<u64>,
    /// Distinct customers of each column.
    column_totals: Vec<u64>,
    /// Distinct customers in all.
    universe_count: u64,
    /// The snapshot.
    snapshot_id: i64,
    /// The instant before which events count.
    #[schema(format = DateTime)]
    as_of: String,
    /// Up to which instant events were read.
    #[schema(format = DateTime)]
    events_until: Option<String>,
}

impl From<tagmill_query::Crosstab> for Crosstab {
    fn from(table: tagmill_query::Crosstab) -> Self {
        Self {
            row_dimension: table.row_dimension,
            column_dimension: table.column_dimension,
            among: table.among,
            row_labels: table.row_labels,
            column_labels: table.column_labels,
            cells: table.cells,
            row_totals: table.row_totals,
            column_totals: table.column_totals,
            universe_count: table.universe_count,
            snapshot_id: table.snapshot_id,
            as_of: instant(table.as_of),
            events_until: table.events_until.map(instant),
        }
    }
}

/// A question in SQL.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SqlRequest {
    /// One read-only statement.
    pub(crate) sql: String,
    /// The most rows to answer with; 10,000 where not given.
    #[schema(minimum = 1, maximum = 1000000)]
    pub(crate) limit: Option<usize>,
    /// `latest`, a snapshot id or a time.
    pub(crate) as_of: Option<String>,
}

/// The rows of a SQL answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SqlAnswer {
    /// The columns in order.
    pub(crate) columns: Vec<SqlColumn>,
    /// The rows, each with its cells in the order of the columns; decimals are texts with all their digits.
    pub(crate) rows: Vec<Vec<Value>>,
    /// Whether there were more rows than the limit.
    pub(crate) truncated: bool,
    /// The snapshot.
    pub(crate) snapshot_id: i64,
    /// The instant before which events count.
    #[schema(format = DateTime)]
    pub(crate) as_of: String,
    /// Up to which instant events were read.
    #[schema(format = DateTime)]
    pub(crate) events_until: Option<String>,
}

/// A column of a SQL answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SqlColumn {
    /// Its name.
    pub(crate) name: String,
    /// Its type, such as `bigint`, `text`, `timestamp` or `decimal(18,4)`.
    #[serde(rename = "type")]
    pub(crate) ty: String,
}

/// An instant as every answer writes it.
pub(crate) fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

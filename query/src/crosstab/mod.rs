//! Crossing two dimensions: distinct customers in every cell, with "none" and "more than one" where they belong.

mod dimension;
mod parts;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tagmill_schemas::segment::Universe;

pub use dimension::Dimension;

use self::parts::Part;
use crate::definitions::LoadedSegment;
use crate::error::QueryError;
use crate::segment::sets::{Customers, Scope};
use crate::view::View;

/// What to cross, and among whom.
#[derive(Debug, Clone)]
pub struct CrosstabRequest {
    /// The dimension of the rows.
    pub rows: Dimension,
    /// The dimension of the columns.
    pub cols: Dimension,
    /// The customers to look at; `None` for a whole universe.
    pub segment: Option<LoadedSegment>,
    /// The universe where no segment is given; `None` is `followed` where the warehouse has follows, else `all`.
    pub universe: Option<Universe>,
}

/// A crossing of two dimensions. Every customer looked at is in exactly one row and one column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Crosstab {
    /// The dimension of the rows.
    pub row_dimension: String,
    /// The dimension of the columns.
    pub column_dimension: String,
    /// Among whom: `followed`, `all`, `lost`, or the segment's name.
    pub among: String,
    /// The snapshot it was computed on.
    pub snapshot_id: i64,
    /// The instant before which events count.
    pub as_of: DateTime<Utc>,
    /// Up to which instant events were read; `None` where no source brought any.
    pub events_until: Option<DateTime<Utc>>,
    /// Customers looked at: the sum of all cells.
    pub universe_count: u64,
    /// The rows in order, no two alike. A value or tag that reads like one of `none`, `more than one` and `unknown` is in
    /// quotes, and tags of one name have their ids in brackets.
    pub row_labels: Vec<String>,
    /// The columns in order, labelled like the rows.
    pub column_labels: Vec<String>,
    /// Distinct customers, by row, then by column.
    pub cells: Vec<Vec<u64>>,
    /// Distinct customers of each row.
    pub row_totals: Vec<u64>,
    /// Distinct customers of each column.
    pub column_totals: Vec<u64>,
}

impl View {
    /// Crosses two dimensions.
    ///
    /// # Errors
    /// `QueryError::Dimension` for a tag group or column that is not there, `QueryError::DimensionTooWide` where those who
    /// are looked at have too many values, `QueryError::Currencies` for a spend that would add several.
    pub async fn crosstab(&self, request: &CrosstabRequest) -> Result<Crosstab, QueryError> {
        let view = self.for_one_question();
        let (among, scope) = view.looked_at(request).await?;
        let rows = request.rows.split(&view, &scope).await?;
        let columns = request.cols.split(&view, &scope).await?;
        let cells: Vec<Vec<u64>> = rows
            .iter()
            .map(|(_, row)| columns.iter().map(|(_, column)| row.intersection_len(column)).collect())
            .collect();
        let labels = |parts: &[Part]| parts.iter().map(|(label, _)| label.clone()).collect();
        let totals = |parts: &[Part]| parts.iter().map(|(_, set)| set.len()).collect();
        Ok(Crosstab {
            row_dimension: request.rows.to_string(),
            column_dimension: request.cols.to_string(),
            among,
            snapshot_id: self.ledger_row().snapshot_id.0,
            as_of: self.as_of(),
            events_until: self.events_until(&[]),
            universe_count: scope.customers.0.len(),
            row_labels: labels(&rows),
            column_labels: labels(&columns),
            row_totals: totals(&rows),
            column_totals: totals(&columns),
            cells,
        })
    }

    /// The customers to look at, and the follows that count for them.
    async fn looked_at(&self, request: &CrosstabRequest) -> Result<(String, Scope), QueryError> {
        if let Some(segment) = &request.segment {
            let evaluation = self.evaluate(segment).await?;
            let scope = self.follows().await?.scope(self, segment.segment.universe).await?;
            return Ok((segment.key.clone(), Scope { customers: Customers(evaluation.members), ..scope }));
        }
        let follows = self.follows().await?;
        let universe = match request.universe {
            Some(universe) => universe,
            None if follows.is_empty() => Universe::All,
            None => Universe::Followed,
        };
        Ok((universe.to_string(), follows.scope(self, universe).await?))
    }
}

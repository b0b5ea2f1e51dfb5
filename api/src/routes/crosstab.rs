//! Customers by two dimensions.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use tagmill_query::{CrosstabRequest, Dimension};
use tagmill_schemas::segment::AsOf;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use crate::as_of::join_as_of;
use crate::entity_tag::EntityTag;
use crate::error::ApiError;
use crate::extract::InQuery;
use crate::problem::Problem;
use crate::wire::Crosstab;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(show_crosstab))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CrosstabParams {
    /// What the rows are: `group:NAME` for a tag group, `attribute:NAME` or a column of `customer`, `birth_month`,
    /// `activity_band` or `spend_band`.
    rows: String,
    /// What the columns are, written like `rows`.
    cols: String,
    /// Count the members of this segment only.
    segment: Option<String>,
    /// `latest`, a snapshot id or a time; only where the segment itself says `latest`.
    as_of: Option<String>,
}

/// Counts distinct customers by two dimensions, with "none" and "more than one" where a dimension has them.
#[utoipa::path(
    get,
    path = "/crosstab",
    tag = "analysis",
    params(CrosstabParams),
    responses(
        (status = 200, description = "The table.", body = Crosstab,
            headers(("etag" = String, description = "Stands for the snapshot and the definition"))),
        (status = 304, description = "The client already has it, by its `if-none-match`."),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json")
    )
)]
async fn show_crosstab(
    State(app): State<App>,
    InQuery(params): InQuery<CrosstabParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (rows, cols) = (Dimension::parse(&params.rows)?, Dimension::parse(&params.cols)?);
    let asked = app.as_of(params.as_of.as_deref())?;
    let segment = match params.segment {
        Some(name) => Some(app.segment(name).await?),
        None => None,
    };
    let written = segment.as_ref().map_or(AsOf::Latest, |segment| segment.segment.as_of);
    let view = app.view(join_as_of(written, asked)?).await?;
    let definition = segment.as_ref().map_or("all", |segment| segment.hash.as_str());
    let tag = EntityTag::new(view.ledger_row().snapshot_id, definition);
    if tag.is_known_to(&headers) {
        return Ok(tag.not_modified());
    }
    let table = view.crosstab(&CrosstabRequest { rows, cols, segment, universe: None }).await?;
    Ok(tag.on(Json(Crosstab::from(table))))
}

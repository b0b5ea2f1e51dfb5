//! Segments: which there are, how many customers they have, and how they come to that.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use crate::as_of::join_as_of;
use crate::entity_tag::EntityTag;
use crate::error::ApiError;
use crate::extract::{InBody, InPath, InQuery};
use crate::problem::Problem;
use crate::wire::{CountRequest, Explanation, SegmentCount, SegmentList};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list_segments))
        .routes(routes!(count_definition))
        .routes(routes!(count_segment))
        .routes(routes!(explain_segment))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct StateParams {
    /// `latest`, a snapshot id or a time; only where the segment itself says `latest`.
    as_of: Option<String>,
}

/// Lists the segments that can be named.
#[utoipa::path(
    get,
    path = "/segments",
    tag = "segments",
    responses(
        (status = 200, description = "Their names, ascending.", body = SegmentList),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json")
    )
)]
async fn list_segments(State(app): State<App>) -> Result<Json<SegmentList>, ApiError> {
    Ok(Json(SegmentList::new(app.segment_names().await?)))
}

/// Counts the customers of a segment given by name or by its document.
#[utoipa::path(
    post,
    path = "/segments/count",
    tag = "segments",
    request_body = CountRequest,
    responses(
        (status = 200, description = "The count.", body = SegmentCount),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json")
    )
)]
async fn count_definition(
    State(app): State<App>,
    InBody(request): InBody<CountRequest>,
) -> Result<Json<SegmentCount>, ApiError> {
    let segment = match (request.segment, request.definition) {
        (Some(name), None) => app.segment(name).await?,
        (None, Some(Value::String(text))) => app.given_segment(text).await?,
        // A JSON document is a YAML document too, so that one reader serves both.
        (None, Some(document)) => app.given_segment(document.to_string()).await?,
        _ => return Err(ApiError::SegmentOrDefinition),
    };
    let asked = app.as_of(request.as_of.as_deref())?;
    let view = app.view(join_as_of(segment.segment.as_of, asked)?).await?;
    let evaluation = view.evaluate(&segment).await?;
    Ok(Json(SegmentCount::from(evaluation.count())))
}

/// Counts the customers of a segment.
#[utoipa::path(
    get,
    path = "/segments/{name}/count",
    tag = "segments",
    params(("name" = String, Path, description = "The segment's name"), StateParams),
    responses(
        (status = 200, description = "The count.", body = SegmentCount,
            headers(("etag" = String, description = "Stands for the snapshot and the definition"))),
        (status = 304, description = "The client already has it, by its `if-none-match`."),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json")
    )
)]
async fn count_segment(
    State(app): State<App>,
    InPath(name): InPath<String>,
    InQuery(params): InQuery<StateParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let asked = app.as_of(params.as_of.as_deref())?;
    let segment = app.segment(name).await?;
    let view = app.view(join_as_of(segment.segment.as_of, asked)?).await?;
    let tag = EntityTag::new(view.ledger_row().snapshot_id, &segment.hash);
    if tag.is_known_to(&headers) {
        return Ok(tag.not_modified());
    }
    let evaluation = view.evaluate(&segment).await?;
    Ok(tag.on(Json(SegmentCount::from(evaluation.count()))))
}

/// Explains a segment: one sentence in English and in Chinese, and each node with its count and its SQL.
#[utoipa::path(
    get,
    path = "/segments/{name}/explain",
    tag = "segments",
    params(("name" = String, Path, description = "The segment's name"), StateParams),
    responses(
        (status = 200, description = "The explanation.", body = Explanation),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json")
    )
)]
async fn explain_segment(
    State(app): State<App>,
    InPath(name): InPath<String>,
    InQuery(params): InQuery<StateParams>,
) -> Result<Json<Explanation>, ApiError> {
    let asked = app.as_of(params.as_of.as_deref())?;
    let segment = app.segment(name).await?;
    let view = app.view(join_as_of(segment.segment.as_of, asked)?).await?;
    let explanation = view.explain(&segment).await?;
    Ok(Json(Explanation::from(explanation)))
}

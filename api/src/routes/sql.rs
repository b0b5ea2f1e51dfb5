//! SQL as JSON, or streamed as CSV where the client prefers that.

use arrow::datatypes::Schema;
use axum::Json;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use tagmill_query::{Access, Limits, Rows, View};
use tagmill_schemas::segment::AsOf;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{App, row_limit};
use crate::cells::{rows_of, type_name};
use crate::csv_body::csv_body;
use crate::error::ApiError;
use crate::extract::InBody;
use crate::problem::Problem;
use crate::wire::{SqlAnswer, SqlColumn, SqlRequest, instant};

/// Rows of an answer where the request does not say.
const DEFAULT_ROWS: usize = 10_000;

/// The most rows of an answer in CSV, which leaves as it comes.
const MOST_ROWS_CSV: usize = 1_000_000;

/// The most rows of an answer in JSON, which is built in memory.
const MOST_ROWS_JSON: usize = 100_000;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(run_sql))
}

/// Answers one read-only statement over the tables of a snapshot, as JSON or, by `accept: text/csv`, as CSV.
///
/// At most 100,000 rows leave as JSON and 1,000,000 as CSV. A CSV answer with as many rows as `x-tagmill-row-limit`
/// says may have been cut off there. A cell of CSV that a spreadsheet would run as a formula has an apostrophe in front.
#[utoipa::path(
    post,
    path = "/sql",
    tag = "analysis",
    request_body = SqlRequest,
    responses(
        (status = 200, description = "The rows.",
            content((SqlAnswer = "application/json"), (String = "text/csv")),
            headers(
                ("x-tagmill-snapshot" = i64, description = "CSV: the snapshot"),
                ("x-tagmill-as-of" = String, description = "CSV: the instant before which events count"),
                ("x-tagmill-events-until" = String, description = "CSV: up to which instant events were read"),
                ("x-tagmill-row-limit" = u64, description = "CSV: the most rows there can be")
            )),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json")
    )
)]
async fn run_sql(
    State(app): State<App>,
    headers: HeaderMap,
    InBody(request): InBody<SqlRequest>,
) -> Result<Response, ApiError> {
    let wants_csv = prefers_csv(&headers);
    let most = if wants_csv { MOST_ROWS_CSV } else { MOST_ROWS_JSON };
    let limit = row_limit(request.limit, DEFAULT_ROWS, most)?;
    let as_of = app.as_of(request.as_of.as_deref())?.unwrap_or(AsOf::Latest);
    let view = capped_view(&app, as_of, limit).await?;
    let rows = view.sql(&request.sql).await?;
    if wants_csv { answer_csv(&view, rows, limit).await } else { answer_json(&view, rows).await }
}

/// A view that hands out at most `limit` rows, so that the engine stops when they are out.
async fn capped_view(app: &App, as_of: AsOf, limit: usize) -> Result<View, ApiError> {
    let limits = Limits { max_rows: Some(limit), ..*app.engine.limits() };
    Ok(app.engine.clone().with_limits(limits).view(as_of, Access::Masked).await?)
}

async fn answer_json(view: &View, mut rows: Rows) -> Result<Response, ApiError> {
    let columns = columns_of(&rows.schema);
    let mut cells = Vec::new();
    while let Some(batch) = rows.next().await {
        cells.extend(rows_of(&batch?)?);
    }
    let answer = SqlAnswer {
        columns,
        rows: cells,
        truncated: rows.is_truncated(),
        snapshot_id: view.ledger_row().snapshot_id.0,
        as_of: instant(view.as_of()),
        events_until: view.events_until(&[]).map(instant),
    };
    Ok(Json(answer).into_response())
}

async fn answer_csv(view: &View, mut rows: Rows, limit: usize) -> Result<Response, ApiError> {
    // Most statements that fail do so before their first row, and then the client still gets a problem.
    let first = rows.next().await.transpose()?;
    let mut response = Response::new(csv_body(first, rows)?);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"));
    headers.insert(HeaderName::from_static("x-tagmill-snapshot"), HeaderValue::from(view.ledger_row().snapshot_id.0));
    headers.insert(HeaderName::from_static("x-tagmill-row-limit"), HeaderValue::from(limit));
    let instants = [("x-tagmill-as-of", Some(view.as_of())), ("x-tagmill-events-until", view.events_until(&[]))];
    for (name, at) in instants {
        if let Some(value) = at.and_then(|at| HeaderValue::from_str(&instant(at)).ok()) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    Ok(response)
}

fn columns_of(schema: &Schema) -> Vec<SqlColumn> {
    let column =
        |field: &arrow::datatypes::FieldRef| SqlColumn { name: field.name().clone(), ty: type_name(field.data_type()) };
    schema.fields().iter().map(column).collect()
}

/// Tells whether a client would rather have CSV than JSON; JSON is for whoever does not say.
fn prefers_csv(headers: &HeaderMap) -> bool {
    let accepted: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let accepted = accepted.join(",");
    quality(&accepted, "text", "csv") > quality(&accepted, "application", "json")
}

/// The weight that an `Accept` header gives a media type: that of the most specific range it falls in, 0 in none.
fn quality(accepted: &str, family: &str, kind: &str) -> f32 {
    let ranges = accepted.split(',').filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let (range_family, range_kind) = parts.next()?.split_once('/')?;
        let specificity = match (range_family, range_kind) {
            ("*", "*") => 0,
            (some, "*") if some.eq_ignore_ascii_case(family) => 1,
            (some, other) if some.eq_ignore_ascii_case(family) && other.eq_ignore_ascii_case(kind) => 2,
            _ => return None,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=")).and_then(|weight| weight.parse().ok());
        Some((specificity, weight.unwrap_or(1.0)))
    });
    ranges.max_by_key(|(specificity, _)| *specificity).map_or(0.0, |(_, weight)| weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_is_for_whoever_prefers_it() {
        let prefers = |accepted: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accepted));
            prefers_csv(&headers)
        };
        assert!(prefers("text/csv"));
        assert!(prefers("Text/CSV; header=present, */*;q=0.1"));
        assert!(prefers("application/json;q=0.5, text/*"));
        assert!(!prefers("*/*"));
        assert!(!prefers("application/json, text/csv;q=0.9"));
        assert!(!prefers("text/html"));
        assert!(!prefers_csv(&HeaderMap::new()));
    }
}

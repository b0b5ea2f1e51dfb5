//! The published states of the warehouse.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{App, row_limit};
use crate::cursor::SnapshotCursor;
use crate::error::ApiError;
use crate::extract::{InPath, InQuery};
use crate::problem::Problem;
use crate::wire::{Snapshot, SnapshotPage};

const DEFAULT_PAGE: usize = 100;
const LARGEST_PAGE: usize = 10_000;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list_snapshots)).routes(routes!(show_snapshot))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PageParams {
    /// The most snapshots to answer with; 100 where not given.
    #[param(minimum = 1, maximum = 10000)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists the snapshots, newest first.
#[utoipa::path(
    get,
    path = "/snapshots",
    tag = "snapshots",
    params(PageParams),
    responses(
        (status = 200, description = "A page of snapshots.", body = SnapshotPage),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json")
    )
)]
async fn list_snapshots(
    State(app): State<App>,
    InQuery(params): InQuery<PageParams>,
) -> Result<Json<SnapshotPage>, ApiError> {
    let limit = row_limit(params.limit, DEFAULT_PAGE, LARGEST_PAGE)?;
    let cursor = params.cursor.as_deref().map(SnapshotCursor::parse).transpose()?;
    let ledger = app.engine.warehouse().ledger().await?;
    let is_due = |row: &&tagmill_store::LedgerRow| cursor.is_none_or(|cursor| row.snapshot_id < cursor.0);
    Ok(Json(SnapshotPage::new(ledger.iter().rev().filter(is_due), limit)))
}

/// Shows one snapshot.
#[utoipa::path(
    get,
    path = "/snapshots/{id}",
    tag = "snapshots",
    params(("id" = i64, Path, description = "The snapshot's id")),
    responses(
        (status = 200, description = "The snapshot.", body = Snapshot),
        (status = "default", description = "A problem.", body = Problem, content_type = "application/problem+json")
    )
)]
async fn show_snapshot(State(app): State<App>, InPath(id): InPath<i64>) -> Result<Json<Snapshot>, ApiError> {
    let ledger = app.engine.warehouse().ledger().await?;
    let newest = ledger.last().map(|row| row.snapshot_id.0);
    let found = ledger.iter().find(|row| row.snapshot_id.0 == id);
    let row = found.ok_or(ApiError::SnapshotUnknown { snapshot_id: id, newest })?;
    Ok(Json(Snapshot::from(row)))
}

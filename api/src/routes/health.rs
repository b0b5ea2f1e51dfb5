//! Whether the server is up and its warehouse readable.

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use crate::error::ApiError;
use crate::problem::Problem;
use crate::wire::Health;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(show_health))
}

/// Says whether the server is up and its warehouse readable, and names the newest snapshot.
#[utoipa::path(
    get,
    path = "/health",
    tag = "server",
    responses(
        (status = 200, description = "It is.", body = Health),
        (status = "default", description = "It is not.", body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn show_health(State(app): State<App>) -> Result<Json<Health>, ApiError> {
    let ledger = app.engine.warehouse().ledger().await?;
    Ok(Json(Health {
        status: "ok".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        snapshot_id: ledger.last().map(|row| row.snapshot_id.0),
    }))
}

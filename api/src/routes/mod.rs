//! The routes: each reads a request, asks the engine, and writes the answer; nothing is decided here twice.

mod crosstab;
mod health;
mod members;
mod segments;
mod snapshots;
mod sql;

use axum::routing::get;
use axum::{Json, Router};
use tagmill_query::{Access, Definitions, Engine, LoadedSegment, QueryError, View};
use tagmill_schemas::error::near_names;
use tagmill_schemas::segment::parse::parse_segment;
use tagmill_schemas::segment::{AsOf, Node};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::as_of::parse_as_of;
use crate::error::ApiError;
use crate::openapi::openapi;

/// Every route, ready to be served.
pub(crate) fn router(app: App) -> Router {
    let routes: Router = api().with_state::<()>(app).into();
    routes.route("/api/openapi.json", get(show_openapi))
}

/// Every route together with its description.
pub(crate) fn api() -> OpenApiRouter<App> {
    let version_1 = OpenApiRouter::default()
        .merge(health::routes())
        .merge(snapshots::routes())
        .merge(segments::routes())
        .merge(members::routes())
        .merge(crosstab::routes())
        .merge(sql::routes());
    // Health is found at the root too, where monitors look for it first.
    OpenApiRouter::default().nest("/api/v1", version_1).route("/health", get(health::show_health))
}

async fn show_openapi() -> Json<OpenApi> {
    Json(openapi())
}

/// What every handler may use.
#[derive(Debug, Clone)]
pub(crate) struct App {
    engine: Engine,
    definitions: Definitions,
}

impl App {
    pub(crate) fn new(engine: Engine, definitions: Definitions) -> Self {
        Self { engine, definitions }
    }

    /// Opens a state of the warehouse for one request, with private columns masked.
    async fn view(&self, as_of: AsOf) -> Result<View, ApiError> {
        Ok(self.engine.view(as_of, Access::Masked).await?.for_one_question())
    }

    /// Reads the `as_of` of a request, if it has one.
    fn as_of(&self, text: Option<&str>) -> Result<Option<AsOf>, ApiError> {
        text.map(|text| parse_as_of(text, self.engine.warehouse().zone())).transpose()
    }

    /// The names of the segments there are.
    async fn segment_names(&self) -> Result<Vec<String>, ApiError> {
        let definitions = self.definitions.clone();
        off_the_web(move || Ok(definitions.segment_names()?)).await
    }

    /// Loads a segment by its name.
    async fn segment(&self, name: String) -> Result<LoadedSegment, ApiError> {
        let definitions = self.definitions.clone();
        off_the_web(move || {
            require_names(&definitions, [name.as_str()])?;
            Ok(definitions.load_name(&name)?)
        })
        .await
    }

    /// Takes a segment from a document in a request.
    async fn given_segment(&self, text: String) -> Result<LoadedSegment, ApiError> {
        let definitions = self.definitions.clone();
        off_the_web(move || {
            let document = "definition".to_owned();
            let segment = parse_segment(&text).map_err(|problems| QueryError::Document { document, problems })?;
            let mut names = Vec::new();
            collect_references(&segment.condition, &mut names);
            require_names(&definitions, names)?;
            Ok(definitions.from_segment("(definition)", segment)?)
        })
        .await
    }
}

/// Refuses every name that is no segment's. One that cannot be read passes, so that loading it says what is wrong.
fn require_names<'n>(definitions: &Definitions, names: impl IntoIterator<Item = &'n str>) -> Result<(), ApiError> {
    let Some(name) = names.into_iter().find(|name| !definitions.has_segment(name)) else { return Ok(()) };
    let known = definitions.segment_names()?;
    let near = near_names(name, known.iter().map(String::as_str));
    Err(ApiError::SegmentUnknown { name: name.to_owned(), near })
}

fn collect_references<'n>(node: &'n Node, names: &mut Vec<&'n str>) {
    match node {
        Node::All(parts) | Node::Any(parts) => parts.iter().for_each(|part| collect_references(part, names)),
        Node::Not(part) => collect_references(part, names),
        Node::Segment(name) => names.push(name),
        _ => {}
    }
}

/// Reads and parses files on a thread that may wait for the disk.
async fn off_the_web<T, F>(work: F) -> Result<T, ApiError>
where
    F: FnOnce() -> Result<T, ApiError> + Send + 'static,
    T: Send + 'static,
{
    tokio::task::spawn_blocking(work).await.map_err(|source| ApiError::Worker { source })?
}

/// The number of rows a request asks for, or `default`; at least one and no more than `most`.
fn row_limit(asked: Option<usize>, default: usize, most: usize) -> Result<usize, ApiError> {
    let limit = asked.unwrap_or(default);
    if (1..=most).contains(&limit) { Ok(limit) } else { Err(ApiError::LimitRange { limit, most }) }
}

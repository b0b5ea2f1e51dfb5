//! Every failure leaves as `application/problem+json` (RFC 9457): one shape, one place that maps kinds to statuses.
//!
//! A handler answers with an [`ApiError`]; its response carries a [`Problem`] as an extension and no body. A layer
//! around all routes, [`describe_failures`], adds the path and writes the body. It also describes what no handler saw:
//! unknown paths and methods, timeouts and panics arrive there as bare statuses.

use std::any::Any;
use std::error::Error;
use std::ffi::OsStr;
use std::path::Path;

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tagmill_query::QueryError;
use tagmill_schemas::error::{Diagnose, ErrorKind};
use tagmill_store::StoreError;
use utoipa::ToSchema;

use crate::error::ApiError;

/// Why a request failed, for people (`detail`, `hint`) and for programs (`status`, `code`, `retryable`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Always `about:blank`: `code` says what kind of problem it is.
    #[serde(rename = "type")]
    uri: String,
    /// The status in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// A stable code in capitals, such as `TAG_UNKNOWN`.
    code: String,
    /// What failed.
    detail: String,
    /// The path of the request, without its query string.
    path: String,
    /// What to do about it.
    hint: Option<String>,
    /// Whether the same request may succeed later unchanged.
    retryable: bool,
}

/// Writes every failed response as a problem, whoever made it; other responses pass as they are.
pub(crate) async fn describe_failures(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let mut problem = response.extensions_mut().remove::<Problem>().unwrap_or_else(|| unseen(status, &method));
    problem.path = path;
    let allowed = response.headers_mut().remove(header::ALLOW);
    let mut described = (status, Json(problem)).into_response();
    described.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(allowed) = allowed {
        described.headers_mut().insert(header::ALLOW, allowed);
    }
    described
}

/// Answers for a handler that panicked. What it said stays in the log.
pub(crate) fn after_panic(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a request handler panicked");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = status_of(&self);
        let problem = Problem {
            detail: outside_text(&self),
            hint: self.hint(),
            retryable: self.is_retryable(),
            ..Problem::bare(status, self.code())
        };
        let mut response = status.into_response();
        response.extensions_mut().insert(problem);
        response
    }
}

impl Problem {
    fn bare(status: StatusCode, code: &str) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self {
            uri: "about:blank".to_owned(),
            title: title.to_owned(),
            status: status.as_u16(),
            code: code.to_owned(),
            detail: title.to_lowercase(),
            path: String::new(),
            hint: None,
            retryable: false,
        }
    }
}

/// The one place where an error becomes a status.
fn status_of(error: &ApiError) -> StatusCode {
    match error {
        ApiError::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        ApiError::BodyType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        _ => match error.kind() {
            ErrorKind::Usage => StatusCode::BAD_REQUEST,
            ErrorKind::InvalidInput => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Refused => StatusCode::FORBIDDEN,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::Limit | ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        },
    }
}

/// What a client may read of an error. A fault of ours, or of what we stand on, is told in the log and nowhere else.
fn outside_text(error: &ApiError) -> String {
    let told = match (error.kind(), error) {
        (ErrorKind::Internal, _) => "something went wrong inside the server, which has logged it".to_owned(),
        (ErrorKind::Unavailable, ApiError::Query(error)) => unavailable_text(error),
        (ErrorKind::Unavailable, _) => NOT_READ.to_owned(),
        _ => return without_places(error),
    };
    tracing::error!(code = error.code(), cause = %chain(error), "a request failed");
    told
}

/// What is told of a warehouse that cannot be read.
const NOT_READ: &str = "the warehouse could not be read just now; the server has logged why";

fn unavailable_text(error: &QueryError) -> String {
    match error {
        QueryError::DefinitionFile { path, .. } => {
            format!("the definition `{}` could not be read; the server has logged why", name_of(path))
        }
        _ => NOT_READ.to_owned(),
    }
}

/// The words of an error without places of this machine: where its folders are is no business of a client.
fn without_places(error: &ApiError) -> String {
    match error {
        ApiError::Query(error) => match &**error {
            QueryError::NoDefinition { name, .. } => format!("there is no segment `{name}`"),
            QueryError::Document { document, problems } => {
                format!("`{}` is not a valid document\n{problems}", name_of(document))
            }
            QueryError::Store(error) => store_text(error),
            other => other.to_string(),
        },
        ApiError::Store(error) => store_text(error),
        other => other.to_string(),
    }
}

/// The words for what the store says no to. It names its place in most of them, so that only what is listed passes.
fn store_text(error: &StoreError) -> String {
    match error {
        StoreError::NoSnapshot { .. } | StoreError::Pruned { .. } => error.to_string(),
        StoreError::Empty { .. } => "the warehouse holds no snapshot yet".to_owned(),
        StoreError::NoWarehouse { .. } => "the warehouse is not there".to_owned(),
        _ => "the warehouse cannot be asked this".to_owned(),
    }
}

/// The name of a definition, where its file is known: no folders, no ending.
fn name_of(document: &str) -> &str {
    let file = Path::new(document).file_name().and_then(OsStr::to_str).unwrap_or(document);
    [".yaml", ".yml", ".json"].into_iter().find_map(|ending| file.strip_suffix(ending)).unwrap_or(file)
}

/// An error and its causes, outermost first.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The problem behind a bare status, which a layer or the router itself answered with.
fn unseen(status: StatusCode, method: &Method) -> Problem {
    let catalogue = || Some("`/api/openapi.json` lists what there is".to_owned());
    match status {
        StatusCode::NOT_FOUND => Problem {
            detail: "there is nothing at this path".to_owned(),
            hint: catalogue(),
            ..Problem::bare(status, "ROUTE_UNKNOWN")
        },
        StatusCode::METHOD_NOT_ALLOWED => Problem {
            detail: format!("this path does not take `{method}`"),
            hint: catalogue(),
            ..Problem::bare(status, "METHOD_NOT_ALLOWED")
        },
        StatusCode::GATEWAY_TIMEOUT => Problem {
            detail: "the answer took longer than the server waits".to_owned(),
            hint: Some("ask for less, or try again when less is going on".to_owned()),
            retryable: true,
            ..Problem::bare(status, "TIMEOUT")
        },
        StatusCode::INTERNAL_SERVER_ERROR => Problem {
            detail: "something went wrong inside the server, which has logged it".to_owned(),
            ..Problem::bare(status, "INTERNAL")
        },
        _ => Problem::bare(status, "REQUEST_FAILED"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem_of(error: ApiError) -> (StatusCode, Problem) {
        let mut response = error.into_response();
        let problem = response.extensions_mut().remove::<Problem>().expect("a problem");
        (response.status(), problem)
    }

    #[test]
    fn a_call_that_does_not_fit_says_what_and_what_to_do() {
        let (status, problem) = problem_of(ApiError::LimitRange { limit: 0, most: 10_000 });
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(problem.code, "LIMIT_OUT_OF_RANGE");
        assert_eq!(problem.detail, "`limit` is 0, which is not between 1 and 10000");
        assert!(!problem.retryable);
    }

    #[test]
    fn a_fault_of_ours_shows_no_internals() {
        let source = arrow::error::ArrowError::ComputeError("secret".to_owned());
        let (status, problem) = problem_of(ApiError::Cells { source });
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!problem.detail.contains("secret"));
    }

    #[test]
    fn where_things_lie_on_the_server_is_not_told() {
        let check = |error: ApiError, code: &str, detail: &str| {
            let (_, problem) = problem_of(error);
            assert_eq!((problem.code.as_str(), problem.detail.as_str()), (code, detail));
        };
        let place = || "/srv/data/shop.yaml".to_owned();
        check(StoreError::Empty { location: place() }.into(), "NO_SNAPSHOT_YET", "the warehouse holds no snapshot yet");
        let gone = QueryError::Store(StoreError::NoWarehouse { location: place() });
        check(gone.into(), "NO_WAREHOUSE", "the warehouse is not there");
        let missing = QueryError::NoDefinition { name: "vip".to_owned(), searched: place(), advice: None };
        check(missing.into(), "SEGMENT_UNKNOWN", "there is no segment `vip`");
        let unread = QueryError::DefinitionFile { path: place(), source: std::io::Error::other("denied") };
        check(unread.into(), "DEFINITION_FILE", "the definition `shop` could not be read; the server has logged why");
    }

    #[test]
    fn a_document_is_told_by_its_name() {
        for (document, name) in [
            ("/srv/data/shop.yaml", "shop"),
            ("segments/shop.json", "shop"),
            ("vip.v2", "vip.v2"),
            ("definition", "definition"),
        ] {
            assert_eq!(name_of(document), name);
        }
    }

    #[test]
    fn the_chain_tells_each_cause_once() {
        let source = std::io::Error::other("no such device");
        let error = ApiError::Serve { source };
        assert_eq!(chain(&error), "the server could not go on: no such device");
    }
}

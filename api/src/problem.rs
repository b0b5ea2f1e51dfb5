//! Every failure leaves as `application/problem+json` (RFC 9457): one shape, one place that maps kinds to statuses.
//!
//! A handler answers with an [`ApiError`]; its response carries a [`Problem`] as an extension and no body. A layer
//! around all routes, [`describe_failures`], adds the path and writes the body. It also describes what no handler saw:
//! unknown paths and methods, timeouts and panics arrive there as bare statuses.

use std::any::Any;
use std::error::Error;

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tagmill_schemas::error::{Diagnose, ErrorKind};
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
    let told = match error.kind() {
        ErrorKind::Internal => "something went wrong inside the server, which has logged it",
        ErrorKind::Unavailable => "the warehouse could not be read just now; the server has logged why",
        _ => return error.to_string(),
    };
    tracing::error!(code = error.code(), cause = %chain(error), "a request failed");
    told.to_owned()
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
    fn the_chain_tells_each_cause_once() {
        let source = std::io::Error::other("no such device");
        let error = ApiError::Serve { source };
        assert_eq!(chain(&error), "the server could not go on: no such device");
    }
}

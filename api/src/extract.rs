//! Reads the parts of a request; what does not fit becomes an [`ApiError`] instead of the framework's plain text.

use std::error::Error;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::error::ApiError;

/// The largest body that is read, in bytes.
pub(crate) const BODY_LIMIT_BYTES: usize = 1024 * 1024;

/// A value from the path of a request.
pub(crate) struct InPath<T>(pub(crate) T);

/// The query string of a request. A parameter that `T` does not know is refused if `T` says so.
pub(crate) struct InQuery<T>(pub(crate) T);

/// The JSON body of a request.
pub(crate) struct InBody<T>(pub(crate) T);

impl<T, S> FromRequestParts<S> for InPath<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(ApiError::PathValue { reason: reason(&rejection) }),
        }
    }
}

impl<T, S> FromRequestParts<S> for InQuery<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(ApiError::QueryString { reason: reason(&rejection) }),
        }
    }
}

impl<T, S> FromRequest<S> for InBody<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(body_error(&rejection)),
        }
    }
}

fn body_error(rejection: &JsonRejection) -> ApiError {
    let reason = reason(rejection);
    match rejection {
        JsonRejection::MissingJsonContentType(_) => ApiError::BodyType,
        JsonRejection::JsonDataError(_) => ApiError::BodyShape { reason },
        other if other.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            ApiError::BodyTooLarge { limit_bytes: BODY_LIMIT_BYTES }
        }
        _ => ApiError::BodySyntax { reason },
    }
}

/// The framework's reason without its opening words, which our own message replaces.
fn reason(rejection: &(dyn Error + 'static)) -> String {
    rejection.source().map_or_else(|| rejection.to_string(), |cause| cause.to_string())
}

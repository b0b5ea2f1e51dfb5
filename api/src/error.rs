//! What can go wrong on the way in.
//!
//! How an error becomes an HTTP answer is the business of [`problem`](crate::problem).

use std::net::SocketAddr;

use tagmill_query::QueryError;
use tagmill_schemas::error::{Diagnose, ErrorKind, did_you_mean};
use tagmill_store::StoreError;

/// An error of the HTTP API. What the engine or the store refuses passes through with its own kind, code and hint.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The address is not one of the loopback interface.
    #[error("`{address}` can be reached from outside this machine")]
    NotLoopback {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// The address could not be bound.
    #[error("could not listen on `{address}`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        source: std::io::Error,
    },
    /// The server ended although nobody stopped it.
    #[error("the server could not go on")]
    Serve {
        /// The cause.
        source: std::io::Error,
    },
    /// The `Host` header names something else than this machine.
    #[error("this server does not answer for the host `{host}`")]
    ForeignHost {
        /// What the request named; empty where it named none.
        host: String,
    },
    /// The `Origin` header names a page that is not served from this machine.
    #[error("requests from pages of `{origin}` are refused")]
    ForeignOrigin {
        /// What the request named.
        origin: String,
    },
    /// A browser says that another site's page began the request.
    #[error("requests that pages of other sites begin are refused")]
    ForeignSite,
    /// A parameter of the query string is unknown or has no value of its type.
    #[error("the query string does not fit: {reason}")]
    QueryString {
        /// What does not fit.
        reason: String,
    },
    /// A part of the path has no value of its type.
    #[error("the path does not fit: {reason}")]
    PathValue {
        /// What does not fit.
        reason: String,
    },
    /// The body was not announced as JSON.
    #[error("the body is not announced as JSON")]
    BodyType,
    /// The body is not JSON, or did not arrive whole.
    #[error("the body cannot be read as JSON: {reason}")]
    BodySyntax {
        /// What is wrong with it.
        reason: String,
    },
    /// The body is JSON of another shape.
    #[error("the body does not fit: {reason}")]
    BodyShape {
        /// What does not fit.
        reason: String,
    },
    /// The body is larger than the server takes.
    #[error("the body is larger than {limit_bytes} bytes")]
    BodyTooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// A page or an answer of that many rows is not given.
    #[error("`limit` is {limit}, which is not between 1 and {most}")]
    LimitRange {
        /// What was asked for.
        limit: usize,
        /// The most that is given.
        most: usize,
    },
    /// The text is no cursor that this list has given.
    #[error("`{cursor}` is no cursor of this list")]
    CursorUnknown {
        /// The text.
        cursor: String,
    },
    /// The cursor was given for another snapshot than `as_of` means.
    #[error("the cursor belongs to snapshot {cursor}, but `as_of` means snapshot {found}")]
    CursorMoved {
        /// The snapshot of the cursor.
        cursor: i64,
        /// The snapshot that `as_of` means.
        found: i64,
    },
    /// The cursor was given for a list of another definition than the segment has now.
    #[error("the cursor belongs to another definition than the one that `{segment}` has now")]
    CursorEdited {
        /// The segment.
        segment: String,
    },
    /// The text names no state of the warehouse.
    #[error("`{text}` is neither `latest`, nor a snapshot, nor a time")]
    AsOfUnknown {
        /// The text.
        text: String,
    },
    /// The call gives an `as_of` to a definition that has its own.
    #[error("the segment fixes its own `as_of`")]
    AsOfFixed,
    /// The body names both a segment and a definition, or neither.
    #[error("the body needs either `segment` or `definition`")]
    SegmentOrDefinition,
    /// There is no definition of that name.
    #[error("there is no segment `{name}`")]
    SegmentUnknown {
        /// The name.
        name: String,
        /// Names that look like it.
        near: Vec<String>,
    },
    /// There is no snapshot of that id.
    #[error("there is no snapshot {snapshot_id}")]
    SnapshotUnknown {
        /// The id.
        snapshot_id: i64,
        /// The newest one there is.
        newest: Option<i64>,
    },
    /// An answer could not be put into words.
    #[error("could not render the cells of an answer")]
    Cells {
        /// The cause.
        source: arrow::error::ArrowError,
    },
    /// An answer could not be written as CSV.
    #[error("could not write CSV")]
    Csv {
        /// The cause.
        source: csv::Error,
    },
    /// The engine listed members without their numbers, so that a page has no end to go on from.
    #[error("members came without `customer_no`")]
    MembersUnnumbered,
    /// A piece of work off the web runtime ended without a result.
    #[error("a worker ended early")]
    Worker {
        /// The cause.
        source: tokio::task::JoinError,
    },
    /// The engine said no.
    #[error(transparent)]
    Query(Box<QueryError>),
    /// The store said no.
    #[error(transparent)]
    Store(Box<StoreError>),
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        Self::Query(Box::new(error))
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::Store(Box::new(error))
    }
}

impl Diagnose for ApiError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotLoopback { .. } | Self::ForeignHost { .. } => ErrorKind::Refused,
            Self::ForeignOrigin { .. } | Self::ForeignSite => ErrorKind::Refused,
            Self::Listen { .. } | Self::Serve { .. } => ErrorKind::Unavailable,
            Self::QueryString { .. }
            | Self::PathValue { .. }
            | Self::BodyType
            | Self::BodySyntax { .. }
            | Self::BodyTooLarge { .. }
            | Self::LimitRange { .. }
            | Self::CursorUnknown { .. }
            | Self::AsOfUnknown { .. }
            | Self::AsOfFixed
            | Self::SegmentOrDefinition => ErrorKind::Usage,
            Self::BodyShape { .. } => ErrorKind::InvalidInput,
            Self::CursorMoved { .. } | Self::CursorEdited { .. } => ErrorKind::Conflict,
            Self::SegmentUnknown { .. } | Self::SnapshotUnknown { .. } => ErrorKind::NotFound,
            Self::Cells { .. } | Self::Csv { .. } | Self::MembersUnnumbered | Self::Worker { .. } => {
                ErrorKind::Internal
            }
            Self::Query(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotLoopback { .. } => "NOT_LOOPBACK",
            Self::Listen { .. } => "LISTEN",
            Self::Serve { .. } => "SERVE",
            Self::ForeignHost { .. } => "FOREIGN_HOST",
            Self::ForeignOrigin { .. } => "FOREIGN_ORIGIN",
            Self::ForeignSite => "FOREIGN_SITE",
            Self::QueryString { .. } => "QUERY_STRING_INVALID",
            Self::PathValue { .. } => "PATH_INVALID",
            Self::BodyType => "BODY_NOT_JSON",
            Self::BodySyntax { .. } => "BODY_UNREADABLE",
            Self::BodyShape { .. } => "BODY_INVALID",
            Self::BodyTooLarge { .. } => "BODY_TOO_LARGE",
            Self::LimitRange { .. } => "LIMIT_OUT_OF_RANGE",
            Self::CursorUnknown { .. } => "CURSOR_INVALID",
            Self::CursorMoved { .. } | Self::CursorEdited { .. } => "CURSOR_MOVED",
            Self::AsOfUnknown { .. } => "AS_OF_INVALID",
            Self::AsOfFixed => "AS_OF_FIXED",
            Self::SegmentOrDefinition => "SEGMENT_OR_DEFINITION",
            Self::SegmentUnknown { .. } => "SEGMENT_UNKNOWN",
            Self::SnapshotUnknown { .. } => "SNAPSHOT_UNKNOWN",
            Self::Cells { .. } | Self::Csv { .. } | Self::MembersUnnumbered | Self::Worker { .. } => "INTERNAL",
            Self::Query(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        let fixed = match self {
            Self::NotLoopback { .. } => "listen on 127.0.0.1 or [::1]; the API asks nobody who they are yet",
            Self::Listen { .. } => "another program may use the port; `--listen 127.0.0.1:0` takes any free one",
            Self::ForeignHost { .. } => "call it as `localhost`, `127.0.0.1` or `[::1]`",
            Self::ForeignOrigin { .. } => "only pages served from this machine may call it",
            Self::ForeignSite => "open the address by itself, or ask with a program such as curl",
            Self::BodyType => "send the header `content-type: application/json`",
            Self::CursorUnknown { .. } => "take `next_cursor` of the page before as it is",
            Self::CursorMoved { .. } | Self::CursorEdited { .. } => "begin again without a cursor",
            Self::AsOfUnknown { .. } => {
                "write `latest`, a snapshot id such as `12`, or a time such as `2026-11-12T02:00:00Z`; in a query \
                 string, `+` is written as `%2B`"
            }
            Self::AsOfFixed => "leave `as_of` away, or write `as_of: latest` in the definition",
            Self::SegmentOrDefinition => "`segment` is a name of `/api/v1/segments`, `definition` a segment document",
            Self::SegmentUnknown { near, .. } => {
                let listed = "`/api/v1/segments` lists what there is".to_owned();
                return Some(did_you_mean(near).map_or(listed.clone(), |question| format!("{question} {listed}")));
            }
            Self::SnapshotUnknown { newest, .. } => return newest.map(|id| format!("the newest one is {id}")),
            Self::Query(error) => return error.hint(),
            Self::Store(error) => return error.hint(),
            _ => return None,
        };
        Some(fixed.to_owned())
    }

    fn is_retryable(&self) -> bool {
        match self {
            // The same cursor never fits again.
            Self::CursorMoved { .. } | Self::CursorEdited { .. } => false,
            Self::Query(error) => error.is_retryable(),
            Self::Store(error) => error.is_retryable(),
            _ => self.kind().is_retryable(),
        }
    }
}

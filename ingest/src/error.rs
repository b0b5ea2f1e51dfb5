//! What can go wrong with a run.

use datafusion::error::DataFusionError;
use tagmill_schemas::error::{Diagnose, ErrorKind};
use tagmill_schemas::yaml::Problems;
use tagmill_store::{StoreError, engine_words};

use crate::raw::RawError;

/// An error of a run. Nothing of the run is visible after it.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The source file could not be read.
    #[error("could not read the source `{path}`")]
    SourceFile {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The source file is not acceptable.
    #[error("`{path}` is not a valid source\n{problems}")]
    Source {
        /// The file.
        path: String,
        /// All its problems.
        problems: Problems,
    },
    /// A kind of source that does not work yet.
    #[error("`kind: {kind}` does not work yet")]
    KindNotYet {
        /// The kind.
        kind: String,
    },
    /// A raw file could not be read.
    #[error(transparent)]
    Raw(#[from] RawError),
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A SELECT does not parse or names what is not there.
    #[error("the SELECT for `{table}` cannot be run: {reason}")]
    Select {
        /// The target table.
        table: String,
        /// The engine's words.
        reason: String,
        /// What there is.
        advice: Option<String>,
    },
    /// A SELECT would change something.
    #[error("the SELECT for `{table}` is no SELECT: {reason}")]
    SelectWrites {
        /// The target table.
        table: String,
        /// What it would have done.
        reason: String,
    },
    /// A SELECT failed while it ran.
    #[error("the SELECT for `{table}` failed while it ran: {reason}")]
    SelectRun {
        /// The target table.
        table: String,
        /// The engine's words.
        reason: String,
    },
    /// A SELECT gives a column that the table does not take.
    #[error("the SELECT for `{table}` gives `{column}`, which `{table}` does not take")]
    ColumnUnknown {
        /// The target table.
        table: String,
        /// The column.
        column: String,
        /// What it takes.
        advice: String,
    },
    /// A SELECT lacks a column that the table needs.
    #[error("the SELECT for `{table}` does not give `{column}`, which every row of `{table}` needs")]
    ColumnMissing {
        /// The target table.
        table: String,
        /// The column.
        column: String,
    },
    /// A SELECT has no column that says whose each row is.
    #[error("the SELECT for `{table}` does not say whose each row is")]
    PersonMissing {
        /// The target table.
        table: String,
    },
    /// Two sources fill one column.
    #[error("`{table}.{column}` is filled by the source `{other}` already")]
    ColumnTaken {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The other source.
        other: String,
    },
    /// Two sources fill one column, and neither outranks the other.
    #[error("`{table}.{column}` is filled by the source `{other}` too, with the same `priority: {priority}`")]
    PriorityTaken {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The other source.
        other: String,
        /// The priority of both.
        priority: i32,
    },
    /// A source that says of itself that it is older than what it brought last.
    #[error("`{name}` was read at {stated}, before its last reading at {last}")]
    OlderReading {
        /// The source.
        name: String,
        /// When it says it was read.
        stated: String,
        /// When it was read last.
        last: String,
    },
    /// A fault of ours.
    #[error("internal error: {reason}")]
    Internal {
        /// What happened.
        reason: String,
    },
}

impl IngestError {
    /// Sorts an engine error of a SELECT into what it means to the person who wrote it.
    pub(crate) fn from_select(table: &str, cause: DataFusionError) -> Self {
        let table = table.to_owned();
        let cause = match raw_error(cause) {
            Ok(raw) => return Self::Raw(raw),
            Err(cause) => cause,
        };
        match cause.find_root() {
            DataFusionError::Plan(_)
            | DataFusionError::SchemaError(..)
            | DataFusionError::SQL(..)
            | DataFusionError::NotImplemented(_)
            | DataFusionError::Diagnostic(..) => {
                let reason = engine_words(&cause);
                let advice = reason.contains("No field named").then(|| {
                    "a column whose name has capitals or spaces is written in double quotes: \"CustomerID\"".to_owned()
                });
                Self::Select { table, reason, advice }
            }
            _ => Self::SelectRun { table, reason: engine_words(&cause) },
        }
    }

    pub(crate) fn internal(cause: impl std::fmt::Display) -> Self {
        Self::Internal { reason: cause.to_string() }
    }
}

/// The raw file's own error, where a scan failed by one.
fn raw_error(cause: DataFusionError) -> Result<RawError, DataFusionError> {
    match cause {
        DataFusionError::External(inner) => match inner.downcast::<RawError>() {
            Ok(raw) => Ok(*raw),
            Err(other) => Err(DataFusionError::External(other)),
        },
        DataFusionError::Context(words, inner) => {
            raw_error(*inner).map_err(|cause| DataFusionError::Context(words, Box::new(cause)))
        }
        DataFusionError::ArrowError(inner, trace) => match *inner {
            datafusion::arrow::error::ArrowError::ExternalError(inner) => match inner.downcast::<RawError>() {
                Ok(raw) => Ok(*raw),
                Err(other) => {
                    let inner = datafusion::arrow::error::ArrowError::ExternalError(other);
                    Err(DataFusionError::ArrowError(Box::new(inner), trace))
                }
            },
            other => Err(DataFusionError::ArrowError(Box::new(other), trace)),
        },
        other => Err(other),
    }
}

impl Diagnose for IngestError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::SourceFile { .. } => ErrorKind::NotFound,
            Self::KindNotYet { .. } => ErrorKind::Usage,
            Self::Raw(cause) => cause.kind(),
            Self::Store(cause) => cause.kind(),
            Self::SelectWrites { .. } | Self::OlderReading { .. } => ErrorKind::Refused,
            Self::Source { .. }
            | Self::Select { .. }
            | Self::ColumnUnknown { .. }
            | Self::ColumnMissing { .. }
            | Self::PersonMissing { .. }
            | Self::ColumnTaken { .. }
            | Self::PriorityTaken { .. }
            | Self::SelectRun { .. } => ErrorKind::InvalidInput,
            Self::Internal { .. } => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::SourceFile { .. } => "SOURCE_FILE",
            Self::Source { .. } => "SOURCE_INVALID",
            Self::KindNotYet { .. } => "NOT_SUPPORTED_YET",
            Self::Raw(cause) => cause.code(),
            Self::Store(cause) => cause.code(),
            Self::Select { .. } => "SELECT_INVALID",
            Self::SelectWrites { .. } => "SELECT_WRITES",
            Self::SelectRun { .. } => "SELECT_FAILED",
            Self::ColumnUnknown { .. } => "COLUMN_UNKNOWN",
            Self::ColumnMissing { .. } | Self::PersonMissing { .. } => "COLUMN_MISSING",
            Self::ColumnTaken { .. } => "COLUMN_TAKEN",
            Self::PriorityTaken { .. } => "PRIORITY_TAKEN",
            Self::OlderReading { .. } => "READING_OLDER",
            Self::Internal { .. } => "INTERNAL",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::SourceFile { .. } => Some("the argument is the path of a source's YAML file".to_owned()),
            Self::KindNotYet { .. } => Some("use `kind: files` or `kind: sample`".to_owned()),
            Self::Raw(cause) => cause.hint(),
            Self::Store(cause) => cause.hint(),
            Self::Select { advice, .. } => advice.clone(),
            Self::SelectWrites { .. } => Some("a source maps rows by one SELECT per table".to_owned()),
            Self::SelectRun { .. } => {
                Some("`try_cast(x AS type)` costs one row where `CAST(x AS type)` stops the run".to_owned())
            }
            Self::ColumnUnknown { advice, .. } => Some(advice.clone()),
            Self::ColumnMissing { column, .. } => Some(format!("add `… AS {column}` to it")),
            Self::PersonMissing { .. } => Some(
                "add `… AS customer_id` to it, or `unionid`, `mobile`, `mobile_sha256`, `mobile_md5`, or `platform` with \
                 `platform_id`"
                    .to_owned(),
            ),
            Self::ColumnTaken { .. } => {
                Some("leave it out, or give both sources a `priority:` for the table; the greater wins".to_owned())
            }
            Self::PriorityTaken { .. } => Some("give one of them another `priority:`; the greater wins".to_owned()),
            Self::OlderReading { .. } => Some(
                "bring what was read later, or correct `taken_at:`; `--accept-shrink` takes no later reading back"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

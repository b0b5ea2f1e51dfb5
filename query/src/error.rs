//! What can go wrong with a question.

use std::any::Any;

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use tagmill_schemas::error::{Diagnose, ErrorKind, did_you_mean, near_names};
use tagmill_schemas::tables::TABLES;
use tagmill_schemas::yaml::Problems;
use tagmill_store::{StoreError, VIEWS, engine_words};
use tokio::task::JoinError;

use crate::engine::SPILL_LIMIT_BYTES;

/// An error of the query engine. A variant names the step; its cause is the source.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The statement does not parse, or names what is not there.
    #[error("the SQL cannot be run: {reason}")]
    Sql {
        /// What is wrong with it, in the engine's words.
        reason: String,
        /// What to do, where we know.
        advice: Option<String>,
    },
    /// The statement would change something.
    #[error("only questions are answered: {reason}")]
    NotReadOnly {
        /// What it would have changed.
        reason: String,
    },
    /// The statement asks about the machine that answers, and somebody who sees masked columns may not know of it.
    #[error("{asked} is not answered here: it would name files and folders of the machine that answers")]
    OfTheMachine {
        /// What was asked for.
        asked: &'static str,
    },
    /// The statement ran too long and was stopped.
    #[error("stopped after {seconds} s, the time limit")]
    Timeout {
        /// The limit, seconds.
        seconds: u64,
    },
    /// The statement needed more memory than it may have.
    #[error("stopped at {limit_mib} MiB, the memory limit")]
    Memory {
        /// The limit, MiB.
        limit_mib: usize,
        /// The engine's words.
        #[source]
        source: Box<DataFusionError>,
    },
    /// The statement put more on disk than it may.
    #[error("stopped at {limit_gib} GiB on disk, the limit of what does not fit into memory")]
    Spill {
        /// The limit, GiB.
        limit_gib: u64,
    },
    /// The files of the snapshot, or those that a large answer is spilled to, could not be read or written.
    #[error("the storage failed while the query ran")]
    Storage {
        /// The engine's words.
        #[source]
        source: Box<DataFusionError>,
    },
    /// The statement failed while it ran.
    #[error("the query failed while it ran: {reason}")]
    Run {
        /// The engine's words.
        reason: String,
    },
    /// A document is not acceptable.
    #[error("`{document}` is not a valid document\n{problems}")]
    Document {
        /// The document's name or file.
        document: String,
        /// All its problems.
        problems: Problems,
    },
    /// No definition of that name.
    #[error("there is no segment `{name}`{searched}")]
    NoDefinition {
        /// The name or file.
        name: String,
        /// Where it was looked for, as the tail of the message.
        searched: String,
        /// Names that look alike, as advice.
        advice: Option<String>,
    },
    /// A definition's file could not be read.
    #[error("could not read `{path}`")]
    DefinitionFile {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// Segments refer to each other in a circle.
    #[error("segments refer to each other in a circle: {path}")]
    Cycle {
        /// The names in order, joined by arrows.
        path: String,
    },
    /// A `sql:` leaf does not answer with customers.
    #[error("a `sql:` leaf must return a column `customer_no` or `customer_id`, this one returns {columns}")]
    SqlLeaf {
        /// The columns it returns.
        columns: String,
    },
    /// A `sql:` leaf returned what cannot be a customer's number.
    #[error("a `sql:` leaf returned `{number}` as `customer_no`, and no customer can have that number")]
    SqlLeafNumber {
        /// The number.
        number: i64,
    },
    /// A bare customer id fits two id spaces.
    #[error("a `sql:` leaf returned customer ids that fit two id spaces, such as `{customer_id}`")]
    AmbiguousCustomer {
        /// One such id.
        customer_id: String,
    },
    /// A sum would add different currencies.
    #[error("the sum over {events} would add several currencies: {currencies}")]
    Currencies {
        /// The event types.
        events: String,
        /// The currencies.
        currencies: String,
    },
    /// No such dimension.
    #[error("`{dimension}` is not a dimension")]
    Dimension {
        /// What was given.
        dimension: String,
        /// Which there are.
        advice: String,
    },
    /// A dimension has too many values for a table.
    #[error("`{dimension}` has more than {limit} values, too many for a table")]
    DimensionTooWide {
        /// The dimension.
        dimension: String,
        /// How many are shown at most.
        limit: usize,
    },
    /// A column to hand out is not there.
    #[error("there is no column `{column}` to hand out")]
    Column {
        /// The column.
        column: String,
        /// Which there are.
        advice: String,
    },
    /// A file could not be written.
    #[error("could not write `{path}`")]
    Output {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A fault of ours.
    #[error("internal error: {reason}")]
    Internal {
        /// What happened.
        reason: String,
    },
}

impl QueryError {
    /// Sorts an engine error into what it means to the caller.
    pub(crate) fn from_engine(cause: DataFusionError, limits: &crate::Limits) -> Self {
        match cause.find_root() {
            DataFusionError::ResourcesExhausted(_) => {
                Self::Memory { limit_mib: limits.memory_bytes >> 20, source: Box::new(cause) }
            }
            DataFusionError::Plan(_)
            | DataFusionError::SchemaError(..)
            | DataFusionError::SQL(..)
            | DataFusionError::NotImplemented(_)
            | DataFusionError::Diagnostic(..) => Self::Sql { reason: engine_words(&cause), advice: sql_advice(&cause) },
            // The engine has no error of its own for this.
            _ if cause.to_string().contains("used disk space during the spilling") => {
                Self::Spill { limit_gib: SPILL_LIMIT_BYTES >> 30 }
            }
            root if is_of_storage(root) => Self::Storage { source: Box::new(cause) },
            DataFusionError::Internal(_) | DataFusionError::ExecutionJoin(_) => {
                Self::Internal { reason: engine_words(&cause) }
            }
            _ => Self::Run { reason: engine_words(&cause) },
        }
    }

    /// What it means that a computing task did not come to its end: something in the engine panicked, or its threads went.
    pub(crate) fn from_task(cause: JoinError) -> Self {
        match cause.try_into_panic() {
            Ok(panic) => Self::Run { reason: format!("the engine broke off: {}", panic_words(&*panic)) },
            Err(cancelled) => Self::Internal { reason: format!("a computing task was stopped: {cancelled}") },
        }
    }
}

/// Whether files could not be read or written, or are not what they should be. No statement brings files of its own, so
/// that none is to blame.
fn is_of_storage(root: &DataFusionError) -> bool {
    match root {
        DataFusionError::ObjectStore(_) | DataFusionError::ParquetError(_) | DataFusionError::IoError(_) => true,
        DataFusionError::ArrowError(cause, _) => {
            matches!(cause.as_ref(), ArrowError::IoError(..) | ArrowError::ParquetError(_))
        }
        _ => false,
    }
}

/// The message of a panic.
fn panic_words(panic: &(dyn Any + Send)) -> &str {
    let literal = panic.downcast_ref::<&str>().copied();
    literal.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it does not say why")
}

/// Advice for the mistakes people make most.
fn sql_advice(cause: &DataFusionError) -> Option<String> {
    let text = cause.to_string();
    let missing = text.split_once("table 'tagmill.public.").and_then(|(_, rest)| rest.split_once("' not found"));
    if let Some((name, _)) = missing {
        let tables = TABLES.iter().map(|table| table.name).chain(VIEWS.iter().map(|view| view.name));
        if let Some(near) = did_you_mean(&near_names(name, tables)) {
            return Some(near);
        }
        return Some(
            "the tables are customer, follow, staff, department, tag_group, tag, assignment, assignment_log, \
                     event, quarantine, snapshot and more; `SHOW TABLES` lists them"
                .to_owned(),
        );
    }
    text.contains("No field named").then(|| "`DESCRIBE table` lists a table's columns".to_owned())
}

impl Diagnose for QueryError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(cause) => cause.kind(),
            Self::Sql { .. } | Self::Document { .. } | Self::SqlLeaf { .. } | Self::Cycle { .. } => {
                ErrorKind::InvalidInput
            }
            Self::SqlLeafNumber { .. } | Self::AmbiguousCustomer { .. } => ErrorKind::InvalidInput,
            Self::Currencies { .. } | Self::Run { .. } => ErrorKind::InvalidInput,
            Self::Dimension { .. } | Self::DimensionTooWide { .. } | Self::Column { .. } => ErrorKind::Usage,
            Self::NotReadOnly { .. } | Self::OfTheMachine { .. } => ErrorKind::Refused,
            Self::Timeout { .. } | Self::Memory { .. } | Self::Spill { .. } => ErrorKind::Limit,
            Self::NoDefinition { .. } => ErrorKind::NotFound,
            Self::DefinitionFile { .. } | Self::Output { .. } | Self::Storage { .. } => ErrorKind::Unavailable,
            Self::Internal { .. } => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Store(cause) => cause.code(),
            Self::Sql { .. } => "SQL_INVALID",
            Self::NotReadOnly { .. } => "SQL_NOT_READ_ONLY",
            Self::OfTheMachine { .. } => "SQL_OF_THE_MACHINE",
            Self::Timeout { .. } => "TIMEOUT",
            Self::Memory { .. } => "MEMORY_LIMIT",
            Self::Spill { .. } => "SPILL_LIMIT",
            Self::Storage { .. } => "STORAGE",
            Self::Run { .. } => "QUERY_FAILED",
            Self::Document { .. } => "DOCUMENT_INVALID",
            Self::NoDefinition { .. } => "SEGMENT_UNKNOWN",
            Self::DefinitionFile { .. } => "DEFINITION_FILE",
            Self::Cycle { .. } => "SEGMENT_CYCLE",
            Self::SqlLeaf { .. } => "SQL_LEAF_COLUMNS",
            Self::SqlLeafNumber { .. } => "SQL_LEAF_NUMBER",
            Self::AmbiguousCustomer { .. } => "CUSTOMER_AMBIGUOUS",
            Self::Currencies { .. } => "SEVERAL_CURRENCIES",
            Self::Dimension { .. } => "DIMENSION_UNKNOWN",
            Self::DimensionTooWide { .. } => "DIMENSION_TOO_WIDE",
            Self::Column { .. } => "COLUMN_UNKNOWN",
            Self::Output { .. } => "OUTPUT",
            Self::Internal { .. } => "INTERNAL",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Store(cause) => cause.hint(),
            Self::Sql { advice, .. } | Self::NoDefinition { advice, .. } => advice.clone(),
            Self::NotReadOnly { .. } => {
                Some("the warehouse changes by `tagmill ingest` and by executing approved plans only".to_owned())
            }
            Self::OfTheMachine { .. } => Some("`tagmill sql` answers it on the machine itself".to_owned()),
            Self::Timeout { .. } => Some("narrow the question, or give it longer with `--timeout`".to_owned()),
            Self::Memory { .. } => Some("narrow the question, or give it more with `--memory`".to_owned()),
            Self::Spill { .. } => Some("narrow the question, or give it more memory with `--memory`".to_owned()),
            Self::Cycle { .. } => Some("take one of the references out".to_owned()),
            Self::SqlLeafNumber { .. } => Some("return `customer_no` as the tables have it".to_owned()),
            Self::AmbiguousCustomer { .. } => Some("return `customer_no`, or write the ids as `SPACE:ID`".to_owned()),
            Self::Currencies { .. } => Some("say which one with `currency: CNY`".to_owned()),
            Self::Dimension { advice, .. } | Self::Column { advice, .. } => Some(advice.clone()),
            Self::DimensionTooWide { .. } => Some("take a coarser one, fewer customers, or ask by SQL".to_owned()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::parquet::errors::ParquetError;

    use super::*;

    #[test]
    fn a_full_disk_is_a_limit_of_its_own() {
        let words = "The used disk space during the spilling process has exceeded the allowable limit of 20.0 GB. \
                     Please try increasing the config: `datafusion.runtime.max_temp_directory_size`.";
        let cause = DataFusionError::IoError(std::io::Error::other(words));
        let error = QueryError::from_engine(cause, &crate::Limits::default());
        assert_eq!(error.code(), "SPILL_LIMIT");
        assert_eq!(error.to_string(), "stopped at 20 GiB on disk, the limit of what does not fit into memory");
    }

    /// The kind and the code that an engine error gets.
    fn check(cause: DataFusionError, kind: ErrorKind, code: &str) {
        let told = cause.to_string();
        let error = QueryError::from_engine(cause, &crate::Limits::default());
        assert_eq!((error.kind(), error.code()), (kind, code), "{told}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_no_fault_of_the_question() {
        let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
        let parquet = || DataFusionError::ParquetError(Box::new(ParquetError::General("no footer".to_owned())));
        let arrow = ArrowError::IoError("gone".to_owned(), missing());
        for cause in [
            DataFusionError::IoError(missing()),
            parquet(),
            DataFusionError::Shared(Arc::new(parquet())),
            DataFusionError::ArrowError(Box::new(arrow), None),
        ] {
            check(cause, ErrorKind::Unavailable, "STORAGE");
        }
    }

    #[test]
    fn a_fault_of_the_engine_is_told_from_one_of_the_question() {
        let words = || "x".to_owned();
        check(DataFusionError::Internal(words()), ErrorKind::Internal, "INTERNAL");
        check(DataFusionError::Execution(words()), ErrorKind::InvalidInput, "QUERY_FAILED");
        let division = DataFusionError::ArrowError(Box::new(ArrowError::DivideByZero), None);
        check(division, ErrorKind::InvalidInput, "QUERY_FAILED");
    }

    #[tokio::test]
    async fn a_task_that_panics_is_a_failed_query_in_the_words_of_the_panic() {
        let broken: Result<(), _> = tokio::spawn(async { panic!("out of {}", "luck") }).await;
        let error = QueryError::from_task(broken.expect_err("a panic"));
        assert_eq!(error.to_string(), "the query failed while it ran: the engine broke off: out of luck");
    }
}

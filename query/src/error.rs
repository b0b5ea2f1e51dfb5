//! What can go wrong with a question.

use datafusion::error::DataFusionError;
use tagmill_schemas::error::{Diagnose, ErrorKind, did_you_mean, near_names};
use tagmill_schemas::tables::TABLES;
use tagmill_schemas::yaml::Problems;
use tagmill_store::{StoreError, engine_words};

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
    #[error("`{dimension}` has {values} values, more than a table can show ({limit})")]
    DimensionTooWide {
        /// The dimension.
        dimension: String,
        /// Its values.
        values: usize,
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
            _ => Self::Run { reason: engine_words(&cause) },
        }
    }
}

/// Advice for the mistakes people make most.
fn sql_advice(cause: &DataFusionError) -> Option<String> {
    let text = cause.to_string();
    let missing = text.split_once("table 'tagmill.public.").and_then(|(_, rest)| rest.split_once("' not found"));
    if let Some((name, _)) = missing {
        let tables = TABLES.iter().map(|table| table.name).chain(["assignment"]);
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
            Self::Currencies { .. } | Self::AmbiguousCustomer { .. } | Self::Run { .. } => ErrorKind::InvalidInput,
            Self::Dimension { .. } | Self::DimensionTooWide { .. } | Self::Column { .. } => ErrorKind::Usage,
            Self::NotReadOnly { .. } => ErrorKind::Refused,
            Self::Timeout { .. } | Self::Memory { .. } => ErrorKind::Limit,
            Self::NoDefinition { .. } => ErrorKind::NotFound,
            Self::DefinitionFile { .. } | Self::Output { .. } => ErrorKind::Unavailable,
            Self::Internal { .. } => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Store(cause) => cause.code(),
            Self::Sql { .. } => "SQL_INVALID",
            Self::NotReadOnly { .. } => "SQL_NOT_READ_ONLY",
            Self::Timeout { .. } => "TIMEOUT",
            Self::Memory { .. } => "MEMORY_LIMIT",
            Self::Run { .. } => "QUERY_FAILED",
            Self::Document { .. } => "DOCUMENT_INVALID",
            Self::NoDefinition { .. } => "SEGMENT_UNKNOWN",
            Self::DefinitionFile { .. } => "DEFINITION_FILE",
            Self::Cycle { .. } => "SEGMENT_CYCLE",
            Self::SqlLeaf { .. } => "SQL_LEAF_COLUMNS",
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
            Self::Timeout { .. } => Some("narrow the question, or give it longer with `--timeout`".to_owned()),
            Self::Memory { .. } => Some("narrow the question, or give it more with `--memory`".to_owned()),
            Self::Cycle { .. } => Some("take one of the references out".to_owned()),
            Self::AmbiguousCustomer { .. } => Some("return `customer_no` instead".to_owned()),
            Self::Currencies { .. } => Some("say which one with `currency: CNY`".to_owned()),
            Self::Dimension { advice, .. } | Self::Column { advice, .. } => Some(advice.clone()),
            Self::DimensionTooWide { .. } => Some("take a coarser one, or ask by SQL".to_owned()),
            _ => None,
        }
    }
}

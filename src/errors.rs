//! How a failure is told: what failed, what caused it, what to do about it, and the exit code.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use tagmill_activate::ActivateError;
use tagmill_api::ApiError;
use tagmill_ingest::IngestError;
use tagmill_query::QueryError;
use tagmill_schemas::error::{Diagnose, ErrorKind};
use tagmill_schemas::yaml::{Problem, Problems};
use tagmill_store::StoreError;

use crate::output::say;

/// Tells a failure on stderr, and returns the exit code that stands for it.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    tell(error);
    ExitCode::from(exit_code(kind(error)))
}

/// Tells a failure on stderr.
pub(crate) fn tell(error: &anyhow::Error) {
    for line in told(error) {
        say(line);
    }
}

/// The exit code of each kind of error: 1 failed, 2 usage, 3 refused by a guard, a policy or somebody else's run.
fn exit_code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Usage => 2,
        ErrorKind::Refused | ErrorKind::Conflict => 3,
        ErrorKind::InvalidInput
        | ErrorKind::NotFound
        | ErrorKind::Limit
        | ErrorKind::Unavailable
        | ErrorKind::Internal => 1,
    }
}

/// The kind that the outermost error with a diagnosis gives itself.
fn kind(error: &anyhow::Error) -> ErrorKind {
    error.chain().find_map(diagnosis).map_or(ErrorKind::Internal, |found| found.kind())
}

/// The failure in words: the error, its causes, and the outermost hint.
fn told(error: &anyhow::Error) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for cause in error.chain() {
        let message = cause.to_string();
        // Some libraries repeat their cause in their own message.
        if lines.last().is_some_and(|said| said.contains(&message)) {
            continue;
        }
        let lead = if lines.is_empty() { "error" } else { "caused by" };
        lines.push(format!("{lead}: {message}"));
    }
    let hint = error.chain().filter_map(diagnosis).find_map(|found| found.hint());
    lines.extend(hint.map(|hint| format!("hint: {hint}")));
    lines
}

/// What an error of ours says beside its message; nothing for the errors of libraries.
fn diagnosis<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e dyn Diagnose> {
    diagnosed::<SurfaceError>(error)
        .or_else(|| diagnosed::<QueryError>(error))
        .or_else(|| diagnosed::<StoreError>(error))
        .or_else(|| diagnosed::<IngestError>(error))
        .or_else(|| diagnosed::<ActivateError>(error))
        .or_else(|| diagnosed::<ApiError>(error))
        .or_else(|| diagnosed::<Problems>(error))
        .or_else(|| diagnosed::<Problem>(error))
}

fn diagnosed<'e, E: Diagnose + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e dyn Diagnose> {
    error.downcast_ref::<E>().map(|found| found as &dyn Diagnose)
}

/// What can go wrong between the command line and the library crates.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SurfaceError {
    /// The call is wrong in a way that the command line's own parser does not see.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do about it.
        advice: String,
    },
    /// Some of several documents are not acceptable; each has been told.
    #[error("{wrong} of {checked} definitions have problems")]
    Definitions {
        /// How many have problems.
        wrong: usize,
        /// How many were checked.
        checked: usize,
    },
    /// A file could not be read.
    #[error("could not read `{path}`")]
    Read {
        /// The file.
        path: String,
        /// The cause.
        source: io::Error,
    },
    /// Data could not be written.
    #[error("could not write to {target}")]
    Write {
        /// The file in backticks, or stdout.
        target: String,
        /// The cause.
        source: io::Error,
    },
    /// The shrink guard refused a run; its verdicts have been told.
    #[error("the guard refused the run of `{run}`, and nothing was published")]
    ShrinkRefused {
        /// The source that ran.
        run: String,
        /// Where the run's files are kept.
        kept_in: String,
    },
    /// The doctor found errors; each has been told.
    #[error("the warehouse is not as it was written; errors: {found}")]
    Unsound {
        /// How many errors.
        found: usize,
    },
    /// A customer was erased, and something of it is left; each place has been told.
    #[error("something of the customer is left; places: {places}")]
    EraseLeft {
        /// How many places.
        places: usize,
    },
    /// Ctrl-c was pressed.
    #[error("stopped by ctrl-c")]
    Interrupted,
}

impl SurfaceError {
    /// Makes a usage error with advice.
    pub(crate) fn usage(message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), advice: advice.into() }
    }
}

impl Diagnose for SurfaceError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Usage { .. } => ErrorKind::Usage,
            Self::Definitions { .. } => ErrorKind::InvalidInput,
            Self::ShrinkRefused { .. } => ErrorKind::Refused,
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => ErrorKind::NotFound,
            Self::Read { .. } | Self::Write { .. } | Self::Interrupted => ErrorKind::Unavailable,
            Self::Unsound { .. } | Self::EraseLeft { .. } => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Usage { .. } => "USAGE",
            Self::Definitions { .. } => "DOCUMENT_INVALID",
            Self::Read { .. } => "FILE_UNREADABLE",
            Self::Write { .. } => "OUTPUT_UNWRITABLE",
            Self::ShrinkRefused { .. } => "SHRINK_REFUSED",
            Self::Unsound { .. } => "WAREHOUSE_UNSOUND",
            Self::EraseLeft { .. } => "ERASE_LEFT",
            Self::Interrupted => "INTERRUPTED",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { advice, .. } => Some(advice.clone()),
            Self::ShrinkRefused { kept_in, .. } => Some(format!(
                "look at the source first; its files are kept under `{kept_in}`, and where the shrink is meant, \
                 `--accept-shrink` publishes it and says so in the ledger"
            )),
            Self::EraseLeft { .. } => {
                Some("what is yours is not changed: remove these files, or what they say of the customer".to_owned())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn a_failure_is_told_with_its_causes_and_its_hint() {
        let usage = SurfaceError::usage("`x` is no column", "see `tagmill tag list`");
        let error = Err::<(), _>(usage).context("cannot list the members").expect_err("an error");
        assert_eq!(
            told(&error),
            ["error: cannot list the members", "caused by: `x` is no column", "hint: see `tagmill tag list`"]
        );
        assert_eq!(kind(&error), ErrorKind::Usage);
    }

    #[test]
    fn a_cause_that_was_said_already_is_not_repeated() {
        let cause = io::Error::other("no room");
        let error = anyhow::Error::from(cause).context("cannot write: no room");
        assert_eq!(told(&error), ["error: cannot write: no room"]);
    }

    #[test]
    fn exit_codes_tell_usage_from_refusal_from_failure() {
        let check = |kind, expected| assert_eq!(exit_code(kind), expected, "{kind:?}");
        check(ErrorKind::Usage, 2);
        check(ErrorKind::Refused, 3);
        check(ErrorKind::Conflict, 3);
        check(ErrorKind::InvalidInput, 1);
        check(ErrorKind::NotFound, 1);
        check(ErrorKind::Limit, 1);
        check(ErrorKind::Unavailable, 1);
        check(ErrorKind::Internal, 1);
    }
}

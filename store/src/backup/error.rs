//! What can go wrong between a warehouse and its backup.

use tagmill_schemas::error::{Diagnose, ErrorKind};

use crate::error::object_hint;

/// An error of a backup that is made or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is no complete backup at the location.
    #[error("there is no backup at `{location}`")]
    Missing {
        /// Where it was looked for.
        location: String,
    },
    /// A backup cannot be made there.
    #[error("`{location}` is no place for this backup: {reason}")]
    Destination {
        /// The place.
        location: String,
        /// Why not.
        reason: String,
    },
    /// A backup cannot be restored to there.
    #[error("`{location}` is no place to restore to: {reason}")]
    Target {
        /// The place.
        location: String,
        /// Why not.
        reason: String,
    },
    /// An object of a backup is not what was backed up.
    #[error("`{path}` of the backup is damaged: {reason}")]
    Damaged {
        /// The object.
        path: String,
        /// How.
        reason: String,
    },
    /// What was to be copied did not stay as it was, however often it was tried.
    #[error("`{path}` was gone or written anew each time it was to be copied")]
    Unsettled {
        /// The object of the warehouse.
        path: String,
    },
    /// An object could not be read or written.
    #[error("could not {step} `{path}`")]
    Object {
        /// What was tried.
        step: &'static str,
        /// The object.
        path: String,
        /// The cause.
        source: Box<object_store::Error>,
    },
}

impl Diagnose for BackupError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Missing { .. } => ErrorKind::NotFound,
            Self::Destination { .. } | Self::Target { .. } => ErrorKind::Usage,
            Self::Damaged { .. } => ErrorKind::Internal,
            Self::Unsettled { .. } => ErrorKind::Conflict,
            Self::Object { .. } => ErrorKind::Unavailable,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "NO_BACKUP",
            Self::Destination { .. } => "BACKUP_PLACE",
            Self::Target { .. } => "RESTORE_PLACE",
            Self::Damaged { .. } => "BACKUP_DAMAGED",
            Self::Unsettled { .. } => "BACKUP_UNSETTLED",
            Self::Object { .. } => "STORAGE",
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Missing { .. } => {
                "`backup.json` makes it one and is written last; a backup that was cut short is finished by \
                 `tagmill backup` to the same place"
            }
            Self::Destination { .. } => {
                "name a folder or a part of a bucket that is empty, or that holds an earlier backup of this warehouse"
            }
            Self::Target { .. } => {
                "`--warehouse` names an empty place, and `--state` a file that is not there yet, for what comes back"
            }
            Self::Damaged { .. } => "put it back as it was, or use another backup",
            Self::Unsettled { .. } => {
                "try again once neither a prune nor an erasure is at work; if none is, `tagmill doctor` says what is lost"
            }
            Self::Object { source, .. } => return object_hint(source).map(str::to_owned),
        };
        Some(hint.to_owned())
    }
}

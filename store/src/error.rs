//! What can go wrong with what is kept.

use chrono::{DateTime, SecondsFormat, Utc};
use tagmill_schemas::error::{Diagnose, ErrorKind};

use crate::backup::BackupError;

/// An error of the store. A variant names the step; its cause is the source.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The location is no path and no URL of a supported scheme.
    #[error("`{location}` is no place for a warehouse: {reason}")]
    Location {
        /// What was given.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A folder of the path has a name that no table can be read under.
    #[error("`{location}` is no place for a warehouse: its folder `{name}` {reason}")]
    FolderName {
        /// What was given.
        location: String,
        /// The name of the folder.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is no warehouse at the location.
    #[error("there is no warehouse at `{location}`")]
    NoWarehouse {
        /// Where it was looked for.
        location: String,
    },
    /// The warehouse holds no snapshot yet.
    #[error("the warehouse at `{location}` holds no snapshot yet")]
    Empty {
        /// The warehouse.
        location: String,
    },
    /// No snapshot of that id, or none taken at or before that time.
    #[error("no snapshot {wanted}")]
    NoSnapshot {
        /// What was asked for, in words.
        wanted: String,
        /// What there is, in words.
        there_is: String,
    },
    /// The snapshot that was asked for has been pruned.
    #[error("snapshot {snapshot} was pruned")]
    Pruned {
        /// Its id and when it was taken, in words.
        snapshot: String,
        /// The kept snapshots beside it, in words.
        kept: String,
    },
    /// The time zone of a warehouse never changes.
    #[error("the warehouse at `{location}` was made with the time zone `{kept}`, not `{wanted}`")]
    ZoneFixed {
        /// The warehouse.
        location: String,
        /// The zone it was made with.
        kept: String,
        /// The zone that was asked for.
        wanted: String,
    },
    /// Another writer holds the warehouse.
    #[error("another run is writing to `{location}`")]
    Locked {
        /// The warehouse.
        location: String,
        /// Where it holds a lease: when that ends, if it does not renew it.
        until: Option<DateTime<Utc>>,
    },
    /// The head moved between reading and committing.
    #[error("table `{table}` was changed by somebody else while this run was publishing")]
    Overtaken {
        /// The table whose commit failed.
        table: String,
        /// The Delta error.
        source: Box<deltalake_core::DeltaTableError>,
    },
    /// A table asks its readers for more than the profile that tables are kept in.
    #[error("table `{table}` is no longer as it was made: version {version} of it needs {needs}")]
    Profile {
        /// The table.
        table: String,
        /// The version that was opened.
        version: u64,
        /// What it needs beyond the profile.
        needs: String,
    },
    /// A Delta table could not be read or written.
    #[error("table `{table}`: could not {step}")]
    Delta {
        /// The table.
        table: String,
        /// What was tried.
        step: &'static str,
        /// The Delta error.
        source: Box<deltalake_core::DeltaTableError>,
    },
    /// A file could not be read or written.
    #[error("could not {step} `{path}`")]
    File {
        /// What was tried.
        step: &'static str,
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// An object of the warehouse could not be read or written.
    #[error("could not {step} `{path}` in the warehouse")]
    Object {
        /// What was tried.
        step: &'static str,
        /// The object, below the warehouse.
        path: String,
        /// The cause.
        source: Box<object_store::Error>,
    },
    /// A warehouse in a bucket has no place of its own for its control state.
    #[error("nothing says where the control state of `{location}` is kept")]
    NoState {
        /// The warehouse.
        location: String,
    },
    /// The lease of this writer is over, and another may be writing.
    #[error("this run has lost its lease on `{location}`")]
    LeaseLost {
        /// The warehouse.
        location: String,
    },
    /// A Parquet file could not be read or written.
    #[error("could not {step} the Parquet file `{path}`")]
    Parquet {
        /// What was tried.
        step: &'static str,
        /// The file.
        path: String,
        /// The cause.
        source: datafusion::parquet::errors::ParquetError,
    },
    /// Files of a table could not be read and merged.
    #[error("table `{table}`: could not merge its files")]
    Merge {
        /// The table.
        table: String,
        /// What the engine says.
        source: Box<datafusion::error::DataFusionError>,
    },
    /// No customer is known by that id.
    #[error("there is no customer `{wanted}`")]
    NoCustomer {
        /// What was asked for.
        wanted: String,
    },
    /// An id fits customers of several name spaces.
    #[error("`{wanted}` fits {}", .fits.join(" and "))]
    ManyCustomers {
        /// What was asked for.
        wanted: String,
        /// The outside keys, in backticks.
        fits: Vec<String>,
    },
    /// A data file without an erased customer's values does not fit into its place.
    #[error("the file `{path}` cannot be written anew in its {size} bytes: {needed} would be needed")]
    NoRoom {
        /// The file, below the warehouse.
        path: String,
        /// Its length, by which the table's log knows it.
        size: u64,
        /// The least length that was reached.
        needed: u64,
    },
    /// Rows do not fit the table's contract: a fault of the caller.
    #[error("rows for table `{table}` do not fit its contract: {reason}")]
    Contract {
        /// The table.
        table: String,
        /// What does not fit.
        reason: String,
    },
    /// A dry run was asked to change something: a fault of the caller.
    #[error("a dry run cannot {step}")]
    DryRun {
        /// What was tried.
        step: &'static str,
    },
    /// Something kept is not as it was written.
    #[error("`{what}` is damaged: {reason}")]
    Damaged {
        /// What is damaged.
        what: String,
        /// How.
        reason: String,
    },
    /// The control state could not be read or written.
    #[error("control state: could not {step}")]
    Control {
        /// What was tried.
        step: &'static str,
        /// The cause.
        source: rusqlite::Error,
    },
    /// A backup could not be made or restored.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// A plan of that id is not known.
    #[error("there is no plan `{plan_id}`")]
    NoPlan {
        /// What was asked for.
        plan_id: String,
    },
    /// A plan is not in the state that the step needs.
    #[error("plan `{plan_id}` is {state}, so it cannot become {wanted}")]
    PlanState {
        /// The plan.
        plan_id: String,
        /// The state it is in.
        state: String,
        /// The state that was asked for.
        wanted: String,
    },
}

impl Diagnose for StoreError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Backup(cause) => cause.kind(),
            Self::Location { .. }
            | Self::FolderName { .. }
            | Self::ZoneFixed { .. }
            | Self::NoState { .. }
            | Self::ManyCustomers { .. } => ErrorKind::Usage,
            Self::NoWarehouse { .. }
            | Self::Empty { .. }
            | Self::NoSnapshot { .. }
            | Self::Pruned { .. }
            | Self::NoCustomer { .. }
            | Self::NoPlan { .. } => ErrorKind::NotFound,
            Self::Locked { .. } | Self::Overtaken { .. } | Self::LeaseLost { .. } | Self::PlanState { .. } => {
                ErrorKind::Conflict
            }
            Self::Delta { .. }
            | Self::File { .. }
            | Self::Object { .. }
            | Self::Merge { .. }
            | Self::Control { .. } => ErrorKind::Unavailable,
            Self::Parquet { .. }
            | Self::Damaged { .. }
            | Self::Contract { .. }
            | Self::DryRun { .. }
            | Self::NoRoom { .. }
            | Self::Profile { .. } => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Backup(cause) => cause.code(),
            Self::Location { .. } | Self::FolderName { .. } => "LOCATION_INVALID",
            Self::NoWarehouse { .. } => "NO_WAREHOUSE",
            Self::Empty { .. } => "NO_SNAPSHOT_YET",
            Self::NoSnapshot { .. } => "SNAPSHOT_UNKNOWN",
            Self::Pruned { .. } => "SNAPSHOT_PRUNED",
            Self::ZoneFixed { .. } => "TIME_ZONE_FIXED",
            Self::Locked { .. } => "WAREHOUSE_LOCKED",
            Self::Overtaken { .. } => "OVERTAKEN",
            Self::Delta { .. } | Self::Merge { .. } => "TABLE_UNAVAILABLE",
            Self::File { .. } | Self::Object { .. } => "STORAGE",
            Self::NoState { .. } => "STATE_UNPLACED",
            Self::LeaseLost { .. } => "LEASE_LOST",
            Self::Parquet { .. } | Self::Damaged { .. } => "DAMAGED",
            Self::Contract { .. } => "CONTRACT",
            Self::DryRun { .. } => "DRY_RUN",
            Self::Profile { .. } => "TABLE_PROFILE",
            Self::NoCustomer { .. } => "CUSTOMER_UNKNOWN",
            Self::ManyCustomers { .. } => "CUSTOMER_AMBIGUOUS",
            Self::NoRoom { .. } => "NO_ROOM",
            Self::Control { .. } => "CONTROL_STATE",
            Self::NoPlan { .. } => "PLAN_UNKNOWN",
            Self::PlanState { .. } => "PLAN_STATE",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Backup(cause) => cause.hint(),
            Self::FolderName { .. } => Some("rename that folder, or keep the warehouse elsewhere".to_owned()),
            Self::Profile { .. } => {
                Some("another program has changed how the table is kept; older snapshots can still be read".to_owned())
            }
            Self::NoWarehouse { .. } => Some(
                "`tagmill ingest SOURCE.yaml` makes one; `--warehouse` or TAGMILL_WAREHOUSE says where it is"
                    .to_owned(),
            ),
            Self::Empty { .. } => Some("`tagmill ingest SOURCE.yaml` publishes the first one".to_owned()),
            Self::NoSnapshot { there_is, .. } => Some(there_is.clone()),
            Self::Pruned { kept, .. } => Some(kept.clone()),
            Self::ZoneFixed { .. } => Some("leave `--time-zone` away, or make another warehouse".to_owned()),
            Self::Locked { until: None, .. } => {
                Some("wait until it has ended and try again; nothing was changed".to_owned())
            }
            Self::Locked { until: Some(until), .. } => Some(format!(
                "wait until it has ended and try again; if it was killed, its lease ends at {}; nothing was changed",
                until.to_rfc3339_opts(SecondsFormat::Secs, true)
            )),
            Self::Overtaken { .. } | Self::LeaseLost { .. } => {
                Some("run it again; nothing of this run is visible".to_owned())
            }
            Self::NoState { .. } => Some(
                "`--state PATH` or TAGMILL_STATE names the local file of its plans, approvals and audit".to_owned(),
            ),
            Self::Object { source, .. } => object_hint(source).map(str::to_owned),
            Self::Merge { .. } => Some(
                "nothing was changed; what does not fit into memory is sorted in the temporary folder (TMPDIR), which \
                 needs room for the files of one bucket"
                    .to_owned(),
            ),
            Self::NoCustomer { .. } => {
                Some("a customer is named as the column `customer_id` of `customer` has it, or as SPACE:ID".to_owned())
            }
            Self::ManyCustomers { .. } => Some("write the one that is meant".to_owned()),
            Self::NoRoom { .. } => Some(
                "nothing was changed; `tagmill snapshot compact` and then `tagmill snapshot prune` replace the file"
                    .to_owned(),
            ),
            Self::NoPlan { .. } => Some("`tagmill plan list` shows the plans".to_owned()),
            Self::PlanState { plan_id, .. } => Some(format!("`tagmill plan show {plan_id}` shows its history")),
            _ => None,
        }
    }
}

/// What to do about a store that does not let us in, or is not there.
pub(crate) fn object_hint(source: &object_store::Error) -> Option<&'static str> {
    match source {
        object_store::Error::Unauthenticated { .. } | object_store::Error::PermissionDenied { .. } => Some(
            "a bucket is opened with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION; a folder needs to be yours",
        ),
        // An object that is not there is no error; a bucket that is not there is one.
        object_store::Error::NotFound { .. } => Some("there is no such bucket: make it first, or name another"),
        object_store::Error::Generic { store: "S3", .. } => Some(
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY say who asks, AWS_ENDPOINT and AWS_REGION where a bucket is \
             looked for; an endpoint with `http://` needs AWS_ALLOW_HTTP=true",
        ),
        object_store::Error::Generic { source, .. } if is_full(source.as_ref()) => {
            Some("nothing of this run is visible; make room, perhaps by `tagmill snapshot prune`, and run it again")
        }
        _ => None,
    }
}

/// Whether a disk has no more room.
fn is_full(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.downcast_ref::<std::io::Error>().is_some_and(|cause| cause.kind() == std::io::ErrorKind::StorageFull)
}

//! What can go wrong with changing the world.

use tagmill_query::QueryError;
use tagmill_schemas::error::{Diagnose, ErrorKind};
use tagmill_schemas::yaml::Problems;
use tagmill_store::StoreError;

/// An error of a rule, a plan or its execution.
#[derive(Debug, thiserror::Error)]
pub enum ActivateError {
    /// A question failed.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A rule's file could not be read.
    #[error("could not read the rule `{path}`")]
    RuleFile {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A rule's document is not acceptable.
    #[error("`{rule}` is not a valid rule\n{problems}")]
    Rule {
        /// The rule or its file.
        rule: String,
        /// All its problems.
        problems: Problems,
    },
    /// An upload could not be read.
    #[error("could not read the upload `{path}`")]
    UploadFile {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// An upload is not what can be imported.
    #[error("`{path}` {reason}")]
    Upload {
        /// The file.
        path: String,
        /// What is wrong, as the end of a sentence about the file.
        reason: String,
        /// What to do.
        advice: String,
    },
    /// The tag of an import is none, or none alone.
    #[error("the tag of the import is not clear\n{problems}")]
    ImportTag {
        /// What is wrong.
        problems: Problems,
    },
    /// The segment of an import asks of another time.
    #[error("an import asks of the newest snapshot, and segment `{segment}` fixes its own `as_of`")]
    FixedSegment {
        /// The segment.
        segment: String,
    },
    /// The linter found steps that must not be.
    #[error("the plan is refused: {reason}")]
    Lint {
        /// What must not be.
        reason: String,
        /// What to do.
        advice: String,
    },
    /// The plan changes more than its rule allows.
    #[error(
        "the plan would change {changes} of {held} holders, more than the rule's `max_size_change: {limit}` allows"
    )]
    SizeChange {
        /// Steps that change something.
        changes: u64,
        /// Holders before.
        held: u64,
        /// The limit, as a share.
        limit: String,
    },
    /// Nobody is acting.
    #[error("the name of who is acting is empty")]
    NoActor,
    /// The author of a plan cannot approve it.
    #[error("`{actor}` made plan `{plan_id}` and so cannot approve it")]
    OwnPlan {
        /// The plan.
        plan_id: String,
        /// The author.
        actor: String,
    },
    /// The plan has no approval of its content.
    #[error("plan `{plan_id}` is {state}, and only an approved plan is executed")]
    NotApproved {
        /// The plan.
        plan_id: String,
        /// Its state.
        state: String,
    },
    /// The kept steps are not those that were approved.
    #[error("the steps of plan `{plan_id}` are not those that were approved")]
    Altered {
        /// The plan.
        plan_id: String,
    },
    /// A fault of ours.
    #[error("internal error: {reason}")]
    Internal {
        /// What happened.
        reason: String,
    },
}

impl Diagnose for ActivateError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Query(cause) => cause.kind(),
            Self::Store(cause) => cause.kind(),
            Self::RuleFile { .. } => ErrorKind::NotFound,
            Self::UploadFile { source, .. } if source.kind() == std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            Self::UploadFile { .. } => ErrorKind::Unavailable,
            Self::Rule { .. } | Self::Upload { .. } | Self::ImportTag { .. } | Self::FixedSegment { .. } => {
                ErrorKind::InvalidInput
            }
            Self::NoActor => ErrorKind::Usage,
            Self::Lint { .. }
            | Self::SizeChange { .. }
            | Self::OwnPlan { .. }
            | Self::NotApproved { .. }
            | Self::Altered { .. } => ErrorKind::Refused,
            Self::Internal { .. } => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Query(cause) => cause.code(),
            Self::Store(cause) => cause.code(),
            Self::RuleFile { .. } => "RULE_FILE",
            Self::Rule { .. } => "RULE_INVALID",
            Self::UploadFile { .. } => "UPLOAD_FILE",
            Self::Upload { .. } => "UPLOAD_INVALID",
            Self::ImportTag { .. } => "IMPORT_TAG",
            Self::FixedSegment { .. } => "SEGMENT_TIME_FIXED",
            Self::Lint { .. } => "PLAN_LINT",
            Self::SizeChange { .. } => "SIZE_CHANGE",
            Self::NoActor => "ACTOR_EMPTY",
            Self::OwnPlan { .. } => "OWN_PLAN",
            Self::NotApproved { .. } => "NOT_APPROVED",
            Self::Altered { .. } => "PLAN_ALTERED",
            Self::Internal { .. } => "INTERNAL",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Query(cause) => cause.hint(),
            Self::Store(cause) => cause.hint(),
            Self::Lint { advice, .. } | Self::Upload { advice, .. } => Some(advice.clone()),
            Self::FixedSegment { .. } => Some("write `as_of: latest` in the definition".to_owned()),
            Self::SizeChange { .. } => Some(
                "look at the segment with `tagmill segment explain`; if the change is meant, raise the limit"
                    .to_owned(),
            ),
            Self::NoActor => Some("`--as NAME` says who it is".to_owned()),
            Self::OwnPlan { plan_id, .. } => {
                Some(format!("somebody else approves it: `tagmill plan approve {plan_id} --as NAME`"))
            }
            Self::NotApproved { plan_id, .. } => {
                Some(format!("`tagmill plan show {plan_id}` tells how far it has come"))
            }
            Self::Altered { plan_id } => Some(format!(
                "nothing was changed; `tagmill plan reject {plan_id}`, and make another plan on a newer snapshot"
            )),
            _ => None,
        }
    }
}

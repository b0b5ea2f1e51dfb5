//! Plans, approvals and receipts: what will change, who agreed, and what happened.
//!
//! A plan is immutable. It is identified by its content, so that an approval binds to exactly what was seen and the
//! same plan made twice is one plan.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::{CustomerKey, CustomerNo, FollowNo, PlanId, SnapshotId, StaffId, TagId};
use crate::segment::canonical::canonical_bytes;
use crate::words::words;

/// What a plan is, without its steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanHeader {
    /// The plan, named after its content: [`plan_id`].
    pub plan_id: PlanId,
    /// What the plan came from.
    pub kind: PlanKind,
    /// What the plan does, in words.
    pub title: String,
    /// Who holds the assignments that the plan changes, such as `rule:sleeping` or `import:vips`.
    pub source: String,
    /// Who made the plan. An author never approves it.
    pub author: String,
    /// When the plan was made.
    pub created_at: DateTime<Utc>,
    /// The snapshot that the plan was computed on.
    pub snapshot_id: SnapshotId,
    /// The hash of the definition that the plan came from.
    pub definition_hash: String,
    /// How many steps there are.
    pub step_count: u64,
    /// How many tags are added over all steps.
    pub add_count: u64,
    /// How many tags are removed over all steps.
    pub remove_count: u64,
    /// What the plan is, as a hash: [`content_hash`].
    pub content_hash: String,
}

impl PlanHeader {
    /// The part of the header that the content hash covers.
    pub fn identity(&self) -> PlanIdentity<'_> {
        PlanIdentity {
            kind: self.kind,
            source: &self.source,
            author: &self.author,
            snapshot_id: self.snapshot_id,
            definition_hash: &self.definition_hash,
        }
    }
}

words! {
    /// What a plan came from.
    PlanKind {
        /// A rule's run.
        Rule = "rule",
        /// An uploaded list of customers.
        Import = "import",
        /// Taking back an executed plan.
        Undo = "undo",
        /// The cleanup of stale tags.
        Cleanup = "cleanup",
    }
}

/// One step: what changes for one follow, or for one customer where no staff is involved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStep {
    /// The step's place in the plan, from 1.
    pub step_no: i64,
    /// The customer.
    pub customer_no: CustomerNo,
    /// The customer's outside key.
    pub customer: CustomerKey,
    /// The follow; `None` for a customer-level assignment.
    pub follow_no: Option<FollowNo>,
    /// The follow's staff member; `None` where there is no follow.
    pub staff_id: Option<StaffId>,
    /// The tags to add.
    pub add: Vec<TagId>,
    /// The tags to remove.
    pub remove: Vec<TagId>,
    /// Why, for whoever reviews it.
    pub evidence: String,
}

/// The part of a plan's header that its content hash covers: all that decides what the plan does and who may approve
/// it.
///
/// The title, the time and the counts are left out: the first two say nothing about what is done, the counts follow
/// from the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PlanIdentity<'a> {
    /// What the plan came from.
    pub kind: PlanKind,
    /// Who holds the assignments that the plan changes.
    pub source: &'a str,
    /// Who made the plan.
    pub author: &'a str,
    /// The snapshot that the plan was computed on.
    pub snapshot_id: SnapshotId,
    /// The hash of the definition that the plan came from.
    pub definition_hash: &'a str,
}

/// Returns what a plan is, as a hash: SHA-256, in hexadecimal digits, over lines of RFC 8785 JSON, each ended by a line
/// feed.
///
/// The first line is the identity, then one line follows per step, in order. The steps are read once and not kept, so
/// that a plan of any size can be hashed.
pub fn content_hash<'a>(identity: &PlanIdentity<'_>, steps: impl Iterator<Item = &'a PlanStep>) -> String {
    let mut hasher = Sha256::new();
    hasher.update(canonical_bytes(identity));
    hasher.update(b"\n");
    for step in steps {
        hasher.update(canonical_bytes(step));
        hasher.update(b"\n");
    }
    format!("{:x}", hasher.finalize())
}

/// The id of the plan with that content hash: `plan-` and its first twelve digits.
pub fn plan_id(content_hash: &str) -> PlanId {
    let digits: String = content_hash.chars().take(12).collect();
    PlanId(format!("plan-{digits}"))
}

words! {
    /// How far a plan has come.
    PlanState {
        /// Waiting for an approval.
        Pending = "pending",
        /// Approved and not begun.
        Approved = "approved",
        /// Turned down; it will never be executed.
        Rejected = "rejected",
        /// Begun; it can be taken up again after a break.
        Executing = "executing",
        /// Every step has a receipt.
        Executed = "executed",
        /// Taken back by another plan.
        Undone = "undone",
    }
}

impl PlanState {
    /// Tells whether a plan in this state may come into that one.
    ///
    /// An approval may be withdrawn until execution begins. Executing again what is being executed takes up where it
    /// stopped.
    pub fn can_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Pending, Self::Approved | Self::Rejected)
                | (Self::Approved, Self::Executing | Self::Rejected)
                | (Self::Executing, Self::Executing | Self::Executed)
                | (Self::Executed, Self::Undone)
        )
    }
}

/// Somebody's agreement to exactly one content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The plan.
    pub plan_id: PlanId,
    /// The content that was agreed to.
    pub content_hash: String,
    /// Who agreed.
    pub approved_by: String,
    /// Whether the name was proved, by a key for example.
    pub is_verified: bool,
    /// When.
    pub at: DateTime<Utc>,
}

/// What happened to one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The plan.
    pub plan_id: PlanId,
    /// The step.
    pub step_no: i64,
    /// What happened.
    pub outcome: StepOutcome,
    /// Why, where it was skipped or failed.
    pub detail: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

words! {
    /// What happened to a step.
    StepOutcome {
        /// The change was made.
        Done = "done",
        /// Nothing was left to change.
        Already = "already",
        /// The step no longer applied and nothing was changed.
        Skipped = "skipped",
        /// The change was tried and did not work.
        Failed = "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: PlanIdentity<'static> = PlanIdentity {
        kind: PlanKind::Rule,
        source: "rule:sleeping",
        author: "li",
        snapshot_id: SnapshotId(3),
        definition_hash: "d",
    };

    fn step(step_no: i64, tag: &str) -> PlanStep {
        PlanStep {
            step_no,
            customer_no: CustomerNo(7),
            customer: CustomerKey { id_space: "corp".to_owned(), customer_id: "wm7".to_owned() },
            follow_no: Some(FollowNo(9)),
            staff_id: Some(StaffId::new("zhang")),
            add: vec![TagId::new(tag)],
            remove: Vec::new(),
            evidence: "last login 2026-01-02".to_owned(),
        }
    }

    #[test]
    fn a_plan_is_identified_by_what_it_does() {
        let steps = [step(1, "a"), step(2, "b")];
        let hash = content_hash(&IDENTITY, steps.iter());
        assert_eq!(hash, content_hash(&IDENTITY, steps.iter()));
        assert_ne!(hash, content_hash(&IDENTITY, steps.iter().rev()));
        assert_ne!(hash, content_hash(&IDENTITY, [step(1, "a")].iter()));
        assert_ne!(hash, content_hash(&PlanIdentity { author: "wang", ..IDENTITY }, steps.iter()));
        assert_eq!(plan_id(&hash).as_str(), format!("plan-{}", &hash[..12]));
    }

    #[test]
    fn a_plan_is_approved_before_it_is_executed_and_executed_before_it_is_undone() {
        let allowed: Vec<String> = PlanState::WORDS
            .iter()
            .flat_map(|(_, from)| PlanState::WORDS.iter().map(move |(_, to)| (*from, *to)))
            .filter(|(from, to)| from.can_become(*to))
            .map(|(from, to)| format!("{from} → {to}"))
            .collect();
        assert_eq!(
            allowed,
            [
                "pending → approved",
                "pending → rejected",
                "approved → rejected",
                "approved → executing",
                "executing → executing",
                "executing → executed",
                "executed → undone",
            ]
        );
    }

    #[test]
    fn words_are_the_same_in_json() {
        let json = serde_json::to_string(&StepOutcome::Already).expect("JSON");
        assert_eq!(json, "\"already\"");
        assert_eq!(StepOutcome::parse("already"), Some(StepOutcome::Already));
    }
}

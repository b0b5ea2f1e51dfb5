//! Stale tags: which marks have outlived their use, how sure we are, and which of them a cleanup plan may touch.
//!
//! Pure: facts about every tag of one snapshot go in ([`TagFacts`]), a report comes out ([`StaleReport`]), and
//! [`to_html`] and [`to_json`] write it down. Nothing here reads tables, makes a plan or removes a tag.
//!
//! **Two ages.** A source that gives no time per tag leaves an interval: the newest assignment happened not before one
//! instant and not after another. The *certain* age counts from the later instant, the *possible* age from the earlier
//! one. A finding is listed when either passes the limit and says which; only the certain one may lead to a plan.
//!
//! **The tag and its holders.** Ages here are those of the newest assignment among a tag's present holders: a tag that
//! one customer was given last week is not old, though others may have held it for years. Of a tag that may enter a
//! plan, only those holders may who were not certainly given it since its date had passed; they are counted apart.
//! Holders are customers who hold the tag on an active follow, or by themselves.
//!
//! **Unread** is certain only where everybody who could read the tag was asked: [`ReaderDoubt`] says what is in the
//! way.
//!
//! Where to look next: `evidence.rs` decides the classes, `plan_gate.rs` what may enter a plan, `name_date.rs` reads
//! dates out of names such as `双11意向客户2023`.

mod age;
mod campaign;
mod classes;
mod digits;
mod evidence;
mod html;
mod json;
mod name_date;
mod plan_gate;
mod reader_doubt;
mod report;
mod table;
mod twins;
mod wording;
mod written_date;

#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use tagmill_schemas::clock::BusinessZone;
use tagmill_schemas::ids::{SnapshotId, TagId};

pub use age::{Age, TagAges};
pub use classes::{Certainty, ClassFound, StaleClass};
pub use html::to_html;
pub use json::to_json;
pub use name_date::{NameDate, NameDateBasis, read_name_date};
pub(crate) use plan_gate::passed_at;
pub use reader_doubt::ReaderDoubt;
pub use report::{ClassCount, Finding, StaleReport, Totals};
pub use wording::Sentence;

/// The age limit where none is asked for: 400 days.
///
/// A campaign tag of a yearly campaign is given again a year later, and not to the day: the Spring Festival comes up
/// to 385 days after the one before, and people start late. At 365 days every yearly tag would be listed each year,
/// shortly before or after its renewal.
pub const DEFAULT_MAX_AGE_DAYS: u32 = 400;

/// Finds the stale tags among `facts`, with evidence and a verdict for each. With `doubts`, what nobody was seen to
/// read is unread only as far as can be told.
///
/// Findings are sorted: what may enter a plan first, then by holders and by age, the most first; ties by group, tag
/// and id. A deleted tag without holders is no finding: nothing of it is left.
pub fn find_stale(facts: &[TagFacts], doubts: &[ReaderDoubt], options: &StaleOptions) -> StaleReport {
    let twins = twins::find(facts, options);
    let findings = facts
        .iter()
        .zip(&twins)
        .filter(|(fact, _)| fact.is_living(options.as_of) || fact.holders > 0)
        .filter_map(|(fact, twins)| finding(fact, twins, doubts, options))
        .collect();
    StaleReport::new(facts, findings, doubts, options)
}

/// What a snapshot knows about one tag, living or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagFacts {
    /// The tag's id.
    pub tag_id: TagId,
    /// The name of its group.
    pub group_name: String,
    /// The name of the tag.
    pub tag_name: String,
    /// When the tag was made; `None` where no source told.
    pub created_at: Option<DateTime<Utc>>,
    /// When its owner says it ends; `None` where the owner set no end.
    pub valid_until: Option<DateTime<Utc>>,
    /// When it was found deleted; `None` for a living tag.
    pub valid_to: Option<DateTime<Utc>>,
    /// Whether it is kept out of cleanup.
    pub is_protected: bool,
    /// `temporary` or `long_term`; `None` where not told.
    pub class: Option<String>,
    /// Distinct customers who hold it now, on an active follow or by themselves.
    pub holders: u64,
    /// Customers who hold it on follows that have left or ended, and nowhere else; they are no holders.
    pub former_holders: u64,
    /// Active follows that hold it now; customer-level assignments are on no follow.
    pub holding_follows: u64,
    /// A rule that holds it for some of the holders, by its source `rule:NAME`; `None` where no rule does.
    pub held_by_rule: Option<String>,
    /// Of the holders, those who were certainly given it since its date had passed: the end that its owner set, or the
    /// last day that its name speaks of. None where no date of it has passed.
    pub given_since: u64,
    /// Of the holders, those of whom it is not known whether they were given it before that date or since.
    pub undated: u64,
    /// The instant by which the newest open or renewed assignment had certainly happened: the greatest of
    /// `assigned_at`, else `seen_by`, over the present holders. `None` without holders.
    pub last_given_certain: Option<DateTime<Utc>>,
    /// The earliest instant at which the newest assignment can have happened: the greatest, over the present holders,
    /// of `assigned_at`, else the latest of the tag's `created_at`, the follow's `added_at` and `seen_after`. `None`
    /// where not known.
    pub last_given_possible: Option<DateTime<Utc>>,
    /// Names of the segments and rules that read the tag.
    pub readers: Vec<String>,
}

impl TagFacts {
    /// Tells whether the tag is not deleted at `as_of`.
    pub fn is_living(&self, as_of: DateTime<Utc>) -> bool {
        self.valid_to.is_none_or(|deleted| deleted > as_of)
    }

    /// The name as people write it, `group/tag`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.group_name, self.tag_name)
    }
}

/// What the report is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaleOptions {
    /// The instant at which ages are told.
    pub as_of: DateTime<Utc>,
    /// The zone in which days are meant.
    pub zone: BusinessZone,
    /// The snapshot the facts were read from.
    pub snapshot_id: SnapshotId,
    /// The age in business days above which a tag counts as not renewed; see [`DEFAULT_MAX_AGE_DAYS`].
    pub max_age_days: u32,
}

fn finding(fact: &TagFacts, twins: &[String], doubts: &[ReaderDoubt], options: &StaleOptions) -> Option<Finding> {
    let ages = TagAges::of(fact, options);
    let mut classes = evidence::classes_of(fact, &ages, twins, options);
    classes.extend(evidence::unread(fact, doubts, options));
    if classes.is_empty() {
        return None;
    }
    let verdict = plan_gate::judge(fact, &classes, options);
    Some(Finding {
        tag: fact.clone(),
        is_deleted: !fact.is_living(options.as_of),
        ages,
        classes,
        may_enter_plan: verdict.holders_may_enter > 0,
        holders_may_enter: verdict.holders_may_enter,
        why: verdict.why,
    })
}

//! The report itself: findings in order, with totals and counts per class.

use std::cmp::Ordering;

use super::{ClassFound, ReaderDoubt, Sentence, StaleClass, StaleOptions, TagAges, TagFacts};

/// The stale tags of one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaleReport {
    /// What was asked: the snapshot, the instant, the zone and the age limit.
    pub options: StaleOptions,
    /// The sums over the whole report.
    pub totals: Totals,
    /// One row per class, all seven, by weight; a tag counts in each of its classes.
    pub class_counts: Vec<ClassCount>,
    /// What keeps "unread" from being certain, the same for every tag; empty where it is.
    pub doubts: Vec<ReaderDoubt>,
    /// The findings: what may enter a plan first, then by holders and by age, the most first.
    pub findings: Vec<Finding>,
}

/// A stale tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is known about the tag.
    pub tag: TagFacts,
    /// Whether the tag is deleted.
    pub is_deleted: bool,
    /// How long ago it was last given, for certain and at most.
    pub ages: TagAges,
    /// Why it is listed, by weight; never empty.
    pub classes: Vec<ClassFound>,
    /// Whether a plan may remove it from its holders: never a protected tag, and only on its owner's word, a passed
    /// date in its name, or certain age.
    pub may_enter_plan: bool,
    /// From how many of its holders a plan may remove it: those who were not certainly given it since its date had
    /// passed. None where it stays out of a plan.
    pub holders_may_enter: u64,
    /// The ground for it, or what is against it.
    pub why: Sentence,
}

impl Finding {
    /// Tells whether nothing speaks against the tag but that no segment and no rule reads it.
    pub fn is_only_unread(&self) -> bool {
        self.classes.iter().all(|found| found.class == StaleClass::Unread)
    }
}

/// The sums over a report. A *holding* is one customer holding one tag, so that a customer may count several times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Tags looked at: the living ones, and the deleted ones that are still held.
    pub tags: u64,
    /// Tags in at least one class.
    pub findings: u64,
    /// Findings that may enter a plan.
    pub may_enter_plan: u64,
    /// Findings whose only class is [`StaleClass::Unread`].
    pub only_unread: u64,
    /// Holdings of every finding.
    pub holdings: u64,
    /// Holdings that may enter a plan: of the findings that may, those holders who may.
    pub holdings_may_enter_plan: u64,
}

impl Totals {
    /// Findings that stay out of a plan for more than being unread: what a person should look at.
    pub fn to_look_at(&self) -> u64 {
        self.findings.saturating_sub(self.may_enter_plan).saturating_sub(self.only_unread)
    }
}

/// How much of a report is in one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassCount {
    /// The class.
    pub class: StaleClass,
    /// Tags in the class.
    pub tags: u64,
    /// Holdings of those tags.
    pub holdings: u64,
}

impl StaleReport {
    /// Sorts the findings and sums them up; `facts` are all tags that were looked at.
    pub(super) fn new(
        facts: &[TagFacts],
        mut findings: Vec<Finding>,
        doubts: &[ReaderDoubt],
        options: &StaleOptions,
    ) -> Self {
        findings.sort_by(by_urgency);
        let looked_at = facts.iter().filter(|fact| fact.is_living(options.as_of) || fact.holders > 0);
        let in_plan = |finding: &&Finding| finding.may_enter_plan;
        let totals = Totals {
            tags: count(looked_at),
            findings: count(findings.iter()),
            may_enter_plan: count(findings.iter().filter(in_plan)),
            only_unread: count(findings.iter().filter(|finding| finding.is_only_unread())),
            holdings: holdings(findings.iter()),
            holdings_may_enter_plan: findings.iter().map(|finding| finding.holders_may_enter).sum(),
        };
        let class_counts = StaleClass::ALL.iter().map(|class| class_count(*class, &findings)).collect();
        Self { options: *options, totals, class_counts, doubts: doubts.to_vec(), findings }
    }
}

/// Names decide last, so that equal findings keep one order whatever order the facts came in.
fn by_urgency(a: &Finding, b: &Finding) -> Ordering {
    weight(b).cmp(&weight(a)).then_with(|| name(a).cmp(&name(b)))
}

fn weight(finding: &Finding) -> (bool, u64, u64, u64) {
    let certain_days = finding.ages.certain.map_or(0, |age| age.days);
    (finding.may_enter_plan, finding.tag.holders, certain_days, finding.ages.greatest_days())
}

fn name(finding: &Finding) -> (&str, &str, &str) {
    let tag = &finding.tag;
    (&tag.group_name, &tag.tag_name, tag.tag_id.as_str())
}

fn class_count(class: StaleClass, findings: &[Finding]) -> ClassCount {
    let members = || findings.iter().filter(move |finding| finding.classes.iter().any(|found| found.class == class));
    ClassCount { class, tags: count(members()), holdings: holdings(members()) }
}

fn count<T>(items: impl Iterator<Item = T>) -> u64 {
    items.fold(0, |sum, _| sum + 1)
}

fn holdings<'a>(findings: impl Iterator<Item = &'a Finding>) -> u64 {
    findings.map(|finding| finding.tag.holders).sum()
}

//! Decides whether a finding may enter a cleanup plan, and says why.
//!
//! Three grounds open the gate: the owner's word (`valid_until` has passed), a passed date in the name, and an age
//! that is certain. Whatever speaks against it is looked at first: protection, an end its owner set for later,
//! deletion at the source (a step on a deleted tag would fail), and nothing to remove.

use super::{Certainty, ClassFound, Sentence, StaleClass, StaleOptions, TagFacts};

/// The verdict on one finding.
pub(super) struct Verdict {
    /// Whether a plan may remove the tag from its holders.
    pub(super) may_enter: bool,
    /// The ground, or what is against it.
    pub(super) why: Sentence,
}

/// Judges a tag by the classes it was found in.
pub(super) fn judge(fact: &TagFacts, classes: &[ClassFound], options: &StaleOptions) -> Verdict {
    if let Some(why) = obstacle(fact, options) {
        return Verdict { may_enter: false, why };
    }
    match ground(fact, classes) {
        Some(why) => Verdict { may_enter: true, why },
        None => Verdict { may_enter: false, why: missing_ground(classes) },
    }
}

fn obstacle(fact: &TagFacts, options: &StaleOptions) -> Option<Sentence> {
    if fact.is_protected {
        return Some(Sentence::new("Stays out of a plan: the tag is protected.", "不进入清理计划：该标签受保护。"));
    }
    if let Some(end) = fact.valid_until.filter(|end| *end > options.as_of) {
        let day = options.zone.day_of(end);
        return Some(Sentence::new(
            format!("Stays out of a plan: its owner says it is valid until {day}."),
            format!("不进入清理计划：负责人设定的有效期到 {day}。"),
        ));
    }
    if !fact.is_living(options.as_of) {
        return Some(Sentence::new(
            "Stays out of a plan: a deleted tag can only be dropped by its source.",
            "不进入清理计划：已删除的标签只能由来源系统移除。",
        ));
    }
    (fact.holders == 0).then(|| {
        Sentence::new(
            "Stays out of a plan: there is no holder to remove it from.",
            "不进入清理计划：没有可移除的持有人。",
        )
    })
}

fn ground(fact: &TagFacts, classes: &[ClassFound]) -> Option<Sentence> {
    let is_in =
        |class: StaleClass| classes.iter().any(|found| found.class == class && found.certainty == Certainty::Certain);
    if is_in(StaleClass::Expired) {
        return Some(Sentence::new(
            "May enter a plan on its owner's word.",
            "可进入清理计划：负责人设定的有效期已过。",
        ));
    }
    if is_in(StaleClass::CampaignPassed) {
        return Some(Sentence::new(
            "May enter a plan on the passed date in its name.",
            "可进入清理计划：名称中的日期已过。",
        ));
    }
    (is_in(StaleClass::NotRenewed) && !is_long_term(fact))
        .then(|| Sentence::new("May enter a plan on its certain age.", "可进入清理计划：确定的时长已超过期限。"))
}

fn missing_ground(classes: &[ClassFound]) -> Sentence {
    match classes.iter().find(|found| found.class == StaleClass::NotRenewed) {
        Some(found) if found.certainty == Certainty::Certain => Sentence::new(
            "Stays out of a plan: a long-term tag does not end by age, it takes its owner's word.",
            "不进入清理计划：长期标签不因时长失效，需要负责人确认。",
        ),
        Some(_) => Sentence::new(
            "Stays out of a plan: its age is possible, not certain.",
            "不进入清理计划：时长只是可能，尚不能确定。",
        ),
        None => Sentence::new(
            "Stays out of a plan: no certain age, no passed date in the name, no word of its owner.",
            "不进入清理计划：没有确定的时长、名称中没有已过的日期，负责人也没有设定有效期。",
        ),
    }
}

/// A long-term tag says what a customer is (a region, a channel): being given once, years ago, is its normal state.
fn is_long_term(fact: &TagFacts) -> bool {
    fact.class.as_deref().is_some_and(|class| matches!(class, "long_term" | "long-term"))
}

//! Decides whether a finding may enter a cleanup plan, for how many of its holders, and says why.
//!
//! Three grounds open the gate: the owner's word (`valid_until` has passed), a passed date in the name, and an age
//! that is certain. Whatever speaks against it is looked at first: protection, a rule that holds the tag, an end its
//! owner set for later, deletion at the source (a step on a deleted tag would fail), and nothing to remove.
//!
//! A date is a ground against those who were given the tag before it. Whoever was certainly given it since stays out. A
//! source that gives no time per tag leaves many of whom neither is known: they go with the tag, whose date has passed,
//! and are counted in the reason.

use chrono::{DateTime, Utc};

use super::wording::{counted, thousands};
use super::{Certainty, ClassFound, Sentence, StaleClass, StaleOptions, TagFacts, read_name_date};

/// The verdict on one finding.
pub(super) struct Verdict {
    /// From how many of its holders a plan may remove the tag; none where it stays out.
    pub(super) holders_may_enter: u64,
    /// The ground, or what is against it.
    pub(super) why: Sentence,
}

/// Judges a tag by the classes it was found in.
pub(super) fn judge(fact: &TagFacts, classes: &[ClassFound], options: &StaleOptions) -> Verdict {
    let stays_out = |why| Verdict { holders_may_enter: 0, why };
    if let Some(why) = obstacle(fact, options) {
        return stays_out(why);
    }
    let is_in =
        |class: StaleClass| classes.iter().any(|found| found.class == class && found.certainty == Certainty::Certain);
    // Who is old enough by age is so whatever date has passed.
    let is_old = is_in(StaleClass::NotRenewed) && !is_long_term(fact);
    let ground = if is_in(StaleClass::Expired) {
        Sentence::new("May enter a plan on its owner's word.", "可进入清理计划：负责人设定的有效期已过。")
    } else if is_in(StaleClass::CampaignPassed) {
        Sentence::new("May enter a plan on the passed date in its name.", "可进入清理计划：名称中的日期已过。")
    } else if is_old {
        Sentence::new("May enter a plan on its certain age.", "可进入清理计划：确定的时长已超过期限。")
    } else {
        return stays_out(missing_ground(classes));
    };
    if is_old {
        return Verdict { holders_may_enter: fact.holders, why: ground };
    }
    match fact.holders.saturating_sub(fact.given_since) {
        0 => stays_out(Sentence::new(
            "Stays out of a plan: every holder was given it since its date had passed.",
            "不进入清理计划：所有持有人都是在其日期过去之后打上的。",
        )),
        holders_may_enter => Verdict { holders_may_enter, why: with_counts(ground, fact) },
    }
}

/// Since when giving a tag speaks for its holder: since the end that its owner set, or since the last day that its name
/// speaks of, whichever was later. `None` where no date of it has passed.
pub(crate) fn passed_at(fact: &TagFacts, options: &StaleOptions) -> Option<DateTime<Utc>> {
    let day_after = read_name_date(&fact.tag_name).and_then(|date| date.ends_on.succ_opt());
    let named = day_after.map(|day| options.zone.start_of_day(day));
    [fact.valid_until, named].into_iter().flatten().filter(|end| *end <= options.as_of).max()
}

/// A ground with the holders who stay out of it, and those of whom it is not known.
fn with_counts(mut ground: Sentence, fact: &TagFacts) -> Sentence {
    if fact.given_since > 0 {
        let holders = counted(fact.given_since, "holder was", "holders were");
        ground.english.push_str(&format!(" {holders} given it since, and stay out."));
        ground.chinese.push_str(&format!("其中 {} 位此后又被打上，不进入。", thousands(fact.given_since)));
    }
    if fact.undated > 0 {
        let holders = counted(fact.undated, "holder was", "holders were");
        ground.english.push_str(&format!(" Whether {holders} given it before or since is not known."));
        ground.chinese.push_str(&format!("其中 {} 位的打标时间在此前还是此后不能确定。", thousands(fact.undated)));
    }
    ground
}

fn obstacle(fact: &TagFacts, options: &StaleOptions) -> Option<Sentence> {
    if fact.is_protected {
        return Some(Sentence::new("Stays out of a plan: the tag is protected.", "不进入清理计划：该标签受保护。"));
    }
    if let Some(source) = &fact.held_by_rule {
        let rule = source.strip_prefix("rule:").unwrap_or(source);
        return Some(Sentence::new(
            format!("Stays out of a plan: the rule “{rule}” holds it, and takes it away by its own runs."),
            format!("不进入清理计划：由规则“{rule}”持有，应由该规则收回。"),
        ));
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

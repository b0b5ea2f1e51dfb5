//! Decides which classes a tag belongs to, and says why with figures.

use chrono::NaiveDate;

use super::wording::{counted, listed, thousands};
use super::{
    Age, Certainty, ClassFound, ReaderDoubt, Sentence, StaleClass, StaleOptions, TagAges, TagFacts, read_name_date,
};

/// How many names of other tags an evidence sentence shows.
const SHOWN_TWINS: usize = 3;

/// The classes of one tag but the last, [`unread`], by weight; `twins` are the full names of the tags that say the
/// same.
///
/// A deleted tag is never called unused, unread or a duplicate: its only trouble is who still holds it.
pub(super) fn classes_of(fact: &TagFacts, ages: &TagAges, twins: &[String], options: &StaleOptions) -> Vec<ClassFound> {
    let is_living = fact.is_living(options.as_of);
    let mut found: Vec<ClassFound> =
        [expired(fact, options), campaign_passed(fact, options), not_renewed(ages, options), orphan(fact, options)]
            .into_iter()
            .flatten()
            .collect();
    if is_living {
        found.extend([unused(fact, options), duplicate_meaning(twins)].into_iter().flatten());
    }
    found
}

fn expired(fact: &TagFacts, options: &StaleOptions) -> Option<ClassFound> {
    let ended = fact.valid_until.filter(|end| *end <= options.as_of)?;
    let age = Age::of(ended, options);
    certain(
        StaleClass::Expired,
        format!("Its owner set its end to {}, {} ago.", age.since, age.english()),
        format!("负责人设定有效期至 {}，已过 {}。", age.since, age.chinese()),
    )
}

fn campaign_passed(fact: &TagFacts, options: &StaleOptions) -> Option<ClassFound> {
    let date = read_name_date(&fact.tag_name)?;
    let today = options.zone.day_of(options.as_of);
    if date.ends_on >= today {
        return None;
    }
    let age = Age::between(date.ends_on, today);
    let (again_english, again_chinese) = given_after(fact, date.ends_on, options).map(still_given).unwrap_or_default();
    let (read_as, ends_on) = (&date.read_as, date.ends_on);
    certain(
        StaleClass::CampaignPassed,
        format!("Its name says {read_as}, which ended on {ends_on}, {} ago.{again_english}", age.english()),
        format!("名称中的“{read_as}”已于 {ends_on} 结束，过去 {}。{again_chinese}", age.chinese()),
    )
}

/// The earliest day of the newest assignment, where that day is certainly after `day`.
fn given_after(fact: &TagFacts, day: NaiveDate, options: &StaleOptions) -> Option<NaiveDate> {
    let earliest = options.zone.day_of(fact.last_given_possible?);
    (earliest > day).then_some(earliest)
}

/// What the evidence adds, in both languages, where the tag was certainly given again since.
fn still_given(day: NaiveDate) -> (String, String) {
    (
        format!(" It was still given on {day} or later: those holders stay out of a plan."),
        format!("此后（{day} 或更晚）仍有客户被打上，这些客户不进入清理计划。"),
    )
}

fn not_renewed(ages: &TagAges, options: &StaleOptions) -> Option<ClassFound> {
    let limit = u64::from(options.max_age_days);
    let is_over = |age: &Age| age.days > limit;
    if let Some(age) = ages.certain.filter(is_over) {
        let days = counted(age.days, "day", "days");
        return certain(
            StaleClass::NotRenewed,
            format!(
                "Nobody was given it since {}: {} ({days}), over the limit of {}.",
                age.since,
                age.english(),
                counted(limit, "day", "days"),
            ),
            format!(
                "自 {} 起没有再打过：已 {}（{} 天），超过 {} 天的期限。",
                age.since,
                age.chinese(),
                thousands(age.days),
                thousands(limit),
            ),
        );
    }
    ages.possible.filter(is_over).map(|age| possibly_not_renewed(ages, &age))
}

fn possibly_not_renewed(ages: &TagAges, age: &Age) -> ClassFound {
    let evidence = match &ages.certain {
        Some(sure) => Sentence::new(
            format!(
                "The newest assignment happened between {} and {}: up to {} old, and {} for certain.",
                age.since,
                sure.since,
                age.english(),
                sure.english(),
            ),
            format!(
                "最近一次打标发生在 {} 至 {} 之间：可能已有 {}，能确定的只有 {}。",
                age.since,
                sure.since,
                age.chinese(),
                sure.chinese(),
            ),
        ),
        None => Sentence::new(
            format!("The newest assignment may date from {}, {} ago; none of it is certain.", age.since, age.english()),
            format!("最近一次打标可能早至 {}（{}前），但都不能确定。", age.since, age.chinese()),
        ),
    };
    ClassFound { class: StaleClass::NotRenewed, certainty: Certainty::Possible, evidence }
}

fn orphan(fact: &TagFacts, options: &StaleOptions) -> Option<ClassFound> {
    let deleted = fact.valid_to.filter(|_| !fact.is_living(options.as_of) && fact.holders > 0)?;
    let age = Age::of(deleted, options);
    let customers = counted(fact.holders, "customer still holds", "customers still hold");
    certain(
        StaleClass::Orphan,
        format!("Gone from its source by {}; {customers} it.", age.since),
        format!("来源系统中最晚于 {} 已删除，仍有 {} 位客户持有。", age.since, thousands(fact.holders)),
    )
}

fn unused(fact: &TagFacts, options: &StaleOptions) -> Option<ClassFound> {
    if fact.holders > 0 {
        return None;
    }
    let made = |instant| {
        let age = Age::of(instant, options);
        let english = format!("; it was made on {}, {} ago", age.since, age.english());
        (english, format!("；创建于 {}（{}前）", age.since, age.chinese()))
    };
    let (made_english, made_chinese) = fact.created_at.map(made).unwrap_or_default();
    let (former_english, former_chinese) = former(fact.former_holders);
    certain(
        StaleClass::Unused,
        format!("Nobody holds it{former_english}{made_english}."),
        format!("没有客户持有{former_chinese}{made_chinese}。"),
    )
}

/// What the evidence adds, in both languages, where only follows that are over hold the tag.
fn former(former_holders: u64) -> (String, String) {
    if former_holders == 0 {
        return Default::default();
    }
    let customers = counted(former_holders, "customer", "customers");
    (
        format!(" on an active follow, only {customers} on follows that have left or ended"),
        format!("（仅 {} 位客户在已结束的跟进关系上）", thousands(former_holders)),
    )
}

fn duplicate_meaning(twins: &[String]) -> Option<ClassFound> {
    if twins.is_empty() {
        return None;
    }
    let (english, more) = listed(twins, SHOWN_TWINS, ("“", "”"), ", ");
    let (chinese, _) = listed(twins, SHOWN_TWINS, ("“", "”"), "、");
    let (more_english, more_chinese) = match more {
        0 => (String::new(), String::new()),
        more => (format!(" and {more} more"), format!("等 {} 个标签", twins.len())),
    };
    certain(
        StaleClass::DuplicateMeaning,
        format!("Says the same as {english}{more_english}."),
        format!("与{chinese}{more_chinese}名称相同（不计大小写、空格和标点）。"),
    )
}

/// The class of a living tag that nothing reads: certain without doubts, else possible.
pub(super) fn unread(fact: &TagFacts, doubts: &[ReaderDoubt], options: &StaleOptions) -> Option<ClassFound> {
    if !fact.readers.is_empty() || !fact.is_living(options.as_of) {
        return None;
    }
    if doubts.is_empty() {
        return certain(StaleClass::Unread, "No segment and no rule reads it.".into(), "没有分群或规则用到它。".into());
    }
    let evidence = Sentence::new("No segment and no rule was seen to read it.", "没有看到分群或规则用到它。");
    Some(ClassFound { class: StaleClass::Unread, certainty: Certainty::Possible, evidence })
}

/// Wrapped, because every caller is a test that either finds its class or does not.
fn certain(class: StaleClass, english: String, chinese: String) -> Option<ClassFound> {
    Some(ClassFound { class, certainty: Certainty::Certain, evidence: Sentence::new(english, chinese) })
}

//! The tables of the HTML report: one row per finding, with bars on one scale, and the short list of tags only unread.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::html::both;
use super::wording::{counted, thousands};
use super::{Age, Certainty, ClassFound, Finding, StaleReport, TagAges};

/// How many readers a row names before it counts the rest.
const SHOWN_READERS: usize = 3;

/// What the longest bar stands for, the same in every table of a report.
pub(super) struct Scale {
    holders: u64,
    days: u64,
    limit_days: u64,
}

impl Scale {
    /// The scale on which the greatest of a report's figures fills its bar.
    pub(super) fn of(report: &StaleReport) -> Self {
        let limit_days = u64::from(report.options.max_age_days);
        let tables = || report.findings.iter().filter(|finding| !finding.is_only_unread());
        Self {
            holders: tables().map(|finding| finding.tag.holders).max().unwrap_or(0),
            days: tables().map(|finding| finding.ages.greatest_days()).max().unwrap_or(0).max(limit_days),
            limit_days,
        }
    }
}

/// A table of findings, in the order given.
pub(super) fn findings_table(findings: &[&Finding], scale: &Scale) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th.tag scope="col" { (both("Tag", "标签")) }
                    th.holders scope="col" { (both("Holders", "持有人")) }
                    th.age scope="col" { (both("Age", "时长")) }
                    th.why scope="col" { (both("Why it is listed", "列入原因")) }
                    th.readers scope="col" { (both("Read by", "被引用")) }
                }
            }
            tbody {
                @for finding in findings {
                    tr class={ "finding" (class_names(finding)) } {
                        (tag_cell(finding))
                        (holders_cell(finding, scale))
                        (age_cell(&finding.ages, scale))
                        (why_cell(finding))
                        (readers_cell(finding))
                    }
                }
            }
        }
    }
}

/// The tags that are only unread, folded away: by group, with their holders.
pub(super) fn unread_list(findings: &[&Finding]) -> Markup {
    let mut groups: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        groups.entry(&finding.tag.group_name).or_default().push(finding);
    }
    let english = "Held and young enough, but no segment and no rule reads them. They stay out of a plan.";
    let chinese = "仍有人持有、时长未超期，但没有分群或规则用到；不进入清理计划。";
    html! {
        section.findings.unread-only {
            details {
                summary { h2 { (both("Only unread", "仅无人引用")) span.count { (findings.len()) } } }
                p.note { (both(english, chinese)) }
                dl.groups {
                    @for (group, members) in &groups {
                        div {
                            dt { bdi { (group) } }
                            dd {
                                @for finding in members {
                                    span.leaf {
                                        bdi { (finding.tag.tag_name) }
                                        " " span.leaf-count { (thousands(finding.tag.holders)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn tag_cell(finding: &Finding) -> Markup {
    let tag = &finding.tag;
    // An id that is made of the names says nothing new.
    let has_own_id = !tag.tag_id.as_str().ends_with(&tag.full_name());
    html! {
        th.tag scope="row" {
            div.group { bdi { (tag.group_name) } }
            div.name { bdi { (tag.tag_name) } }
            @if has_own_id { div.id { bdi { (tag.tag_id.as_str()) } } }
            @if tag.is_protected { span.mark { (both("protected", "受保护")) } }
            @if finding.is_deleted { span.mark { (both("deleted", "已删除")) } }
        }
    }
}

fn holders_cell(finding: &Finding, scale: &Scale) -> Markup {
    let tag = &finding.tag;
    let follows = counted(tag.holding_follows, "follow", "follows");
    html! {
        td.holders {
            (cell_name("Holders", "持有人"))
            div.number { (thousands(tag.holders)) }
            @if tag.holding_follows != tag.holders {
                div.small { (both(&format!("on {follows}"), &format!("{} 条跟进关系", thousands(tag.holding_follows)))) }
            }
            @if finding.may_enter_plan && finding.holders_may_enter != tag.holders {
                @let may = thousands(finding.holders_may_enter);
                div.small { (both(&format!("{may} may enter a plan"), &format!("{may} 位可进入清理计划"))) }
            }
            div.bar.share style={ "--share:" (percent(tag.holders, scale.holders)) } {}
        }
    }
}

fn age_cell(ages: &TagAges, scale: &Scale) -> Markup {
    let share = |age: &Option<Age>| percent(age.map_or(0, |age| age.days), scale.days);
    let limit = percent(scale.limit_days, scale.days);
    html! {
        td.age title=(age_tooltip(ages)) {
            (cell_name("Age", "时长"))
            @match (&ages.certain, &ages.possible) {
                (None, None) => { div.number.none { "—" } }
                (certain, possible) => {
                    @if let Some(age) = certain { div.number { (ago(age)) } }
                    @if let Some(age) = possible.filter(|age| Some(age.since) != certain.map(|age| age.since)) {
                        div.small { (both("possibly", "可能")) " " (ago(&age)) }
                    }
                    div.bar.age style={
                        "--certain-to:" (share(certain)) ";--possible-to:" (share(possible)) ";--limit-at:" (limit)
                    } {}
                }
            }
        }
    }
}

fn ago(age: &Age) -> Markup {
    both(&age.english(), &age.chinese())
}

fn age_tooltip(ages: &TagAges) -> String {
    let told = |age: &Option<Age>| match age {
        Some(age) => format!("{} ({})", counted(age.days, "day", "days"), age.since),
        None => "—".to_owned(),
    };
    format!("certain 确定: {} · possible 可能: {}", told(&ages.certain), told(&ages.possible))
}

fn why_cell(finding: &Finding) -> Markup {
    let verdict = if finding.may_enter_plan { "verdict yes" } else { "verdict no" };
    html! {
        td.why {
            ul { @for found in &finding.classes { (reason(found)) } }
            p class=(verdict) { (both(&finding.why.english, &finding.why.chinese)) }
        }
    }
}

fn reason(found: &ClassFound) -> Markup {
    let (english, chinese) = found.class.name();
    html! {
        li {
            span class={ "chip " (found.class.code()) } {
                (both(english, chinese))
                @if found.certainty == Certainty::Possible { span.maybe { (both("possible", "可能")) } }
            }
            " "
            span.evidence { (both(&found.evidence.english, &found.evidence.chinese)) }
        }
    }
}

fn readers_cell(finding: &Finding) -> Markup {
    let readers = &finding.tag.readers;
    let more = readers.len().saturating_sub(SHOWN_READERS);
    html! {
        td.readers title=[(more > 0).then(|| readers.join(", "))] {
            (cell_name("Read by", "被引用"))
            @if readers.is_empty() { span.none { "—" } }
            @for reader in readers.iter().take(SHOWN_READERS) { span.reader { bdi { (reader) } } }
            @if more > 0 { span.reader.more { "+" (more) } }
        }
    }
}

/// The name of a column, shown within the cell where the page is too narrow for a table.
fn cell_name(english: &str, chinese: &str) -> Markup {
    html! { span.cell-name { (both(english, chinese)) } }
}

/// The names by which the style sheet filters a row, each after a space.
fn class_names(finding: &Finding) -> String {
    finding.classes.iter().map(|found| format!(" is-{}", found.class.code())).collect()
}

/// A share for the style sheet: `37.5%`, with whatever is not zero wide enough to be seen.
fn percent(part: u64, whole: u64) -> String {
    if part == 0 || whole == 0 {
        return "0%".to_owned();
    }
    let share = part as f64 / whole as f64 * 100.0;
    format!("{:.1}%", share.clamp(1.5, 100.0))
}

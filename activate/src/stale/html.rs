//! The report as one HTML file that a person likes to read.
//!
//! Self-contained: style inside, no script, no outside resource (a content security policy in the page says so).
//! Language and class filter are radio buttons that the style sheet reacts to. Every text from the data is escaped,
//! and isolated in `bdi`, so that a name can break neither the markup nor the direction of the line it stands in.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::table::{Scale, findings_table, unread_list};
use super::wording::{counted, thousands};
use super::{ClassCount, Finding, Sentence, StaleClass, StaleReport};

const STYLE: &str = include_str!("report.css");

/// Renders the report as a whole HTML document in English and Chinese.
pub fn to_html(report: &StaleReport) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            (head(report))
            body {
                (switches())
                div.page {
                    (masthead(report))
                    main {
                        (cards(report))
                        @if report.findings.is_empty() { (nothing_found()) } @else { (body(report)) }
                    }
                    (foot(report))
                }
            }
        }
    };
    page.into_string()
}

/// One text in both languages; the style sheet shows the one that is switched on.
pub(super) fn both(english: &str, chinese: &str) -> Markup {
    html! {
        span.en lang="en" { (english) }
        span.zh lang="zh-CN" { (chinese) }
    }
}

fn head(report: &StaleReport) -> Markup {
    let day = report.options.zone.day_of(report.options.as_of).to_string();
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
            meta name="referrer" content="no-referrer";
            meta name="color-scheme" content="light dark";
            title { "Stale tags 失效标签 · " (day) " · snapshot " (report.options.snapshot_id.0) }
            style { (PreEscaped(STYLE)) }
        }
    }
}

/// The radio buttons stand before the page, because the style sheet can only look back from what it changes.
fn switches() -> Markup {
    html! {
        input.switch type="radio" name="language" id="language-en" checked aria-label="English";
        input.switch type="radio" name="language" id="language-zh" aria-label="中文";
        input.switch type="radio" name="show" id="show-all" checked aria-label="All classes 全部";
        @for class in StaleClass::ALL {
            @let (english, chinese) = class.name();
            input.switch type="radio" name="show" id={ "show-" (class.code()) } aria-label={ (english) " " (chinese) };
        }
    }
}

fn masthead(report: &StaleReport) -> Markup {
    let options = &report.options;
    let as_of = options.as_of.with_timezone(&options.zone.0).format("%Y-%m-%d %H:%M").to_string();
    html! {
        header.masthead {
            div.title-row {
                h1 { (both("Stale tags", "失效标签")) }
                div.languages {
                    label for="language-en" { "English" }
                    label for="language-zh" { "中文" }
                }
            }
            dl.stamp {
                div { dt { (both("As of", "截至")) } dd { (as_of) " " (options.zone.name()) } }
                div { dt { (both("Snapshot", "快照")) } dd { (options.snapshot_id.0) } }
                div {
                    dt { (both("Age limit", "时长期限")) }
                    dd { (thousands(options.max_age_days.into())) " " (both("days", "天")) }
                }
            }
            p.lead { (lead(report)) }
        }
    }
}

/// The whole report in one sentence.
fn lead(report: &StaleReport) -> Markup {
    let totals = &report.totals;
    let (ready, look) = (thousands(totals.may_enter_plan), thousands(totals.to_look_at()));
    let (tags, holdings) = (thousands(totals.tags), thousands(totals.holdings_may_enter_plan));
    html! {
        span.en lang="en" {
            "Of " (tags) " tags, " strong { (ready) } " may enter a cleanup plan (" (holdings) " holdings) and "
            strong { (look) } " should be looked at. This report changes nothing."
        }
        span.zh lang="zh-CN" {
            "共 " (tags) " 个标签：" strong { (ready) } " 个可以进入清理计划（涉及 " (holdings) " 次持有），"
            strong { (look) } " 个需要人工查看。本报告不做任何修改。"
        }
    }
}

fn cards(report: &StaleReport) -> Markup {
    let totals = &report.totals;
    let without = totals.tags.saturating_sub(totals.findings);
    html! {
        section.cards aria-label="Summary 摘要" {
            (card(
                "ready",
                totals.may_enter_plan,
                ("May enter a plan", "可进入清理计划"),
                ("owner's word, passed date or certain age", "负责人设定、日期已过或时长确定"),
            ))
            (card("look", totals.to_look_at(), ("To look at", "需要查看"), ("held back or not sure enough", "受限或证据不足")))
            (card(
                "quiet",
                totals.only_unread,
                ("Only unread", "仅无人引用"),
                ("held, but nothing asks for them", "有人持有，但没有分群或规则用到"),
            ))
            (card("quiet", without, ("Without a finding", "未发现问题"), ("in use and read", "在用且有引用")))
        }
    }
}

fn card(kind: &str, figure: u64, name: (&str, &str), note: (&str, &str)) -> Markup {
    html! {
        div class={ "card " (kind) } {
            div.card-name { (both(name.0, name.1)) }
            div.figure { (thousands(figure)) }
            div.card-note { (both(note.0, note.1)) }
        }
    }
}

fn body(report: &StaleReport) -> Markup {
    let scale = Scale::of(report);
    let (ready, rest): (Vec<&Finding>, Vec<&Finding>) =
        report.findings.iter().partition(|finding| finding.may_enter_plan);
    let (unread, look): (Vec<&Finding>, Vec<&Finding>) = rest.into_iter().partition(|finding| finding.is_only_unread());
    html! {
        (legend(report))
        (about_ages())
        @for doubt in &report.doubts { (note(&doubt.sentence())) }
        @if !ready.is_empty() {
            section.findings.tabled.ready {
                h2 { (both("May enter a cleanup plan", "可进入清理计划")) span.count { (ready.len()) } }
                (findings_table(&ready, &scale))
            }
        }
        @if !look.is_empty() {
            section.findings.tabled.look {
                h2 { (both("To look at", "需要查看")) span.count { (look.len()) } }
                (findings_table(&look, &scale))
            }
        }
        @if !unread.is_empty() { (unread_list(&unread)) }
    }
}

/// The classes with their meaning and count, each the label of its filter.
fn legend(report: &StaleReport) -> Markup {
    html! {
        section.legend aria-label="Classes 类别" {
            label.class-card.all for="show-all" {
                span.class-name { (both("All classes", "全部类别")) }
                span.class-count { (thousands(report.totals.findings)) }
                span.class-meaning { (both("Choose a class to see its tags alone.", "点选类别，只看该类标签。")) }
            }
            @for count in &report.class_counts { (class_card(count)) }
        }
    }
}

fn class_card(count: &ClassCount) -> Markup {
    let (english, chinese) = count.class.name();
    let (meaning_english, meaning_chinese) = count.class.meaning();
    let code = count.class.code();
    let tooltip = format!("{} · {} 次持有", counted(count.holdings, "holding", "holdings"), thousands(count.holdings));
    html! {
        label.class-card.(code).empty[count.tags == 0] for={ "show-" (code) } title=(tooltip) {
            span.class-name { (both(english, chinese)) }
            span.class-count { (thousands(count.tags)) }
            span.class-meaning { (both(meaning_english, meaning_chinese)) }
        }
    }
}

fn about_ages() -> Markup {
    html! {
        aside.about-ages {
            span.age-key aria-hidden="true" {
                span.bar.age style="--certain-to:45%;--possible-to:80%;--limit-at:62%" {}
            }
            p {
                span.en lang="en" {
                    strong { "Two ages. " }
                    "A source such as WeCom does not say when a tag was given. "
                    "Full colour: the newest assignment is at least this old ("
                    em { "certain" } "). Pale: it may be this old (" em { "possible" } "). The line is the limit. "
                    "Only certain age, a passed date in the name or the owner's word opens the way into a plan."
                }
                span.zh lang="zh-CN" {
                    strong { "两种时长。" }
                    "企业微信等来源不提供打标签的时间。实色：最近一次打标至少已过这么久（" strong { "确定" }
                    "）；淡色：可能已过这么久（" strong { "可能" } "）；竖线为期限。"
                    "只有确定的时长、名称中已过的日期或负责人设定的有效期，才可进入清理计划。"
                }
            }
        }
    }
}

fn note(sentence: &Sentence) -> Markup {
    html! { p.note { (both(&sentence.english, &sentence.chinese)) } }
}

fn nothing_found() -> Markup {
    let english = "Nothing is stale: every tag is held, renewed and read.";
    html! { p.nothing { (both(english, "没有失效标签：所有标签都有人持有、按时更新并被引用。")) } }
}

fn foot(report: &StaleReport) -> Markup {
    let holdings = thousands(report.totals.holdings);
    let english = "A holding is one customer holding one tag. Tags with more holders come first, then older ones.";
    let chinese = "一次持有指一位客户持有一个标签。先按持有人数、再按时长排序。";
    html! {
        footer {
            p {
                (both(english, chinese)) " "
                (both(&format!("All findings: {holdings} holdings."), &format!("全部条目合计 {holdings} 次持有。")))
            }
            p { "tagmill · " (both("snapshot", "快照")) " " (report.options.snapshot_id.0) }
        }
    }
}

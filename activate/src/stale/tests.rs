//! The name-date reader by many names, the classes and their limits, and what both renderings promise.

mod plan_gate;

use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::{Value, json};
use tagmill_schemas::clock::BusinessZone;
use tagmill_schemas::ids::{SnapshotId, TagId};

use super::*;

fn at(local: &str) -> DateTime<Utc> {
    let local = NaiveDateTime::parse_from_str(local, "%Y-%m-%d %H:%M").expect("a local time");
    BusinessZone::default().instant_of(local)
}

fn options() -> StaleOptions {
    StaleOptions {
        as_of: at("2026-11-12 02:00"),
        zone: BusinessZone::default(),
        snapshot_id: SnapshotId(3),
        max_age_days: DEFAULT_MAX_AGE_DAYS,
    }
}

/// The report where everybody who could read a tag was asked.
fn find_stale(facts: &[TagFacts], options: &StaleOptions) -> StaleReport {
    super::find_stale(facts, &[], options)
}

/// A living, held, fresh and read tag: no finding.
fn tag(group: &str, name: &str) -> TagFacts {
    TagFacts {
        tag_id: TagId::new(format!("corp:{group}/{name}")),
        group_name: group.to_owned(),
        tag_name: name.to_owned(),
        created_at: None,
        valid_until: None,
        valid_to: None,
        is_protected: false,
        class: None,
        holders: 10,
        former_holders: 0,
        holding_follows: 12,
        held_by_rule: None,
        given_since: 0,
        undated: 0,
        last_given_certain: Some(at("2026-11-01 09:00")),
        last_given_possible: Some(at("2026-10-20 09:00")),
        readers: vec!["vip_birthday".to_owned()],
    }
}

fn given(fact: TagFacts, day: &str) -> TagFacts {
    let instant = Some(at(&format!("{day} 12:00")));
    TagFacts { last_given_certain: instant, last_given_possible: instant, ..fact }
}

fn the_finding(facts: &[TagFacts]) -> Finding {
    let report = find_stale(facts, &options());
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    report.findings[0].clone()
}

fn classes(finding: &Finding) -> Vec<(&'static str, &'static str)> {
    finding.classes.iter().map(|found| (found.class.code(), found.certainty.code())).collect()
}

fn check_name(name: &str, expected: Option<(&str, &str)>) {
    let read = read_name_date(name).map(|date| (date.read_as, date.ends_on.to_string()));
    let expected = expected.map(|(read_as, ends_on)| (read_as.to_owned(), ends_on.to_owned()));
    assert_eq!(read, expected, "{name}");
}

#[test]
fn a_campaign_with_a_year_ends_on_its_last_day() {
    for (name, read_as, ends_on) in [
        ("双11意向客户2023", "双11 2023", "2023-11-11"),
        ("2023双十一", "双11 2023", "2023-11-11"),
        ("23年双11", "双11 2023", "2023-11-11"),
        ("双112023", "双11 2023", "2023-11-11"),
        ("二〇二三年双十一", "双11 2023", "2023-11-11"),
        ("ＤＯＵＢＬＥ １１ ２０２３", "双11 2023", "2023-11-11"),
        ("2024双11、双12", "双12 2024", "2024-12-12"),
        ("618 2025", "618 2025", "2025-06-18"),
        ("2025618", "618 2025", "2025-06-18"),
        ("618-2025", "618 2025", "2025-06-18"),
        ("618 2025 3群", "618 2025", "2025-06-18"),
        ("2024国庆", "国庆 2024", "2024-10-08"),
        ("2025五一", "五一 2025", "2025-05-05"),
        ("2024三八女神节", "三八 2024", "2024-03-08"),
        ("2024元旦", "元旦 2024", "2024-01-03"),
        ("2023跨年", "跨年 2023", "2024-01-03"),
    ] {
        check_name(name, Some((read_as, ends_on)));
    }
}

#[test]
fn a_campaign_that_moves_ends_with_its_year() {
    for (name, read_as, ends_on) in [
        ("2024春节", "春节 2024", "2024-12-31"),
        ("会员日2026", "会员日 2026", "2026-12-31"),
        ("2025中秋国庆", "国庆、中秋 2025", "2025-12-31"),
        ("2024元旦春节", "元旦、春节 2024", "2024-12-31"),
    ] {
        check_name(name, Some((read_as, ends_on)));
    }
}

#[test]
fn a_written_date_ends_as_late_as_it_can_be_read() {
    for (name, read_as, ends_on) in [
        ("2023-11", "2023-11", "2023-11-30"),
        ("202311", "2023-11", "2023-11-30"),
        ("2023年11月", "2023-11", "2023-11-30"),
        ("2023年11-12月", "2023-12", "2023-12-31"),
        ("2023-11至2024-01", "2024-01", "2024-01-31"),
        ("2023/11/20", "2023-11-20", "2023-11-20"),
        ("20231111", "2023-11-11", "2023-11-11"),
        ("2023年11月11日", "2023-11-11", "2023-11-11"),
        ("2023.11.1-11.11", "2023-11-11", "2023-11-11"),
        ("2023年12月20日至1月3日", "2024-01-03", "2024-01-03"),
        ("2023-10-20双11预售", "双11 2023", "2023-11-11"),
        ("2024-02-10春节", "2024-02-10", "2024-02-10"),
        ("2023Q4", "2023", "2023-12-31"),
        ("2023年3群", "2023", "2023-12-31"),
        ("2023店庆", "2023", "2023-12-31"),
        ("2026十五一对一", "2026", "2026-12-31"),
        ("2023-2024会员", "2024", "2024-12-31"),
        ("2023-24赛季", "2024", "2024-12-31"),
    ] {
        check_name(name, Some((read_as, ends_on)));
    }
}

#[test]
fn a_name_without_a_plain_date_bears_none() {
    let names = [
        "双11意向客户",
        "VIP",
        "520",
        "2010后",
        "2023年起",
        "2023年至今",
        "2023-11~",
        "自2023年",
        "2023级",
        "2023号店",
        "2023元",
        "满2020减200",
        "2000积分",
        "10年老客户",
        "13800002023",
        "20231301",
        "9999-99-99",
        "",
    ];
    for name in names {
        check_name(name, None);
    }
}

/// S57: the three-year-old campaign mark.
#[test]
fn a_campaign_tag_last_given_three_years_ago_is_listed_with_age_holders_and_readers() {
    let finding = the_finding(&[given(tag("活动", "双11意向客户2023"), "2023-11-11")]);
    assert_eq!(classes(&finding), [("campaign_passed", "certain"), ("not_renewed", "certain")]);
    let age = finding.ages.certain.expect("a certain age");
    assert_eq!((age.days, age.english().as_str(), age.chinese().as_str()), (1097, "3 y 0 mo", "3 年 0 个月"));
    assert_eq!((finding.tag.holders, finding.tag.readers.len()), (10, 1));
    assert!(finding.may_enter_plan, "{:?}", finding.why);
}

/// S57, second half. Ages are of the newest assignment: holders of 2025 take the tag as a whole out of the class, and
/// a plan on another ground leaves them out.
#[test]
fn a_tag_given_again_a_year_ago_is_not_called_not_renewed() {
    let again = given(tag("活动", "双11意向客户"), "2025-11-11");
    assert!(find_stale(std::slice::from_ref(&again), &options()).findings.is_empty());

    // The 366 days of 2025-11-11 to 2026-11-12 are why the limit is not a year.
    let strict = StaleOptions { max_age_days: 365, ..options() };
    assert_eq!(classes(&find_stale(&[again], &strict).findings[0]), [("not_renewed", "certain")]);

    let dated = the_finding(&[given(tag("活动", "双11意向客户2023"), "2025-11-11")]);
    assert_eq!(classes(&dated), [("campaign_passed", "certain")]);
    assert!(dated.classes[0].evidence.english.contains("still given on 2025-11-11 or later"));
}

#[test]
fn the_age_limit_is_the_last_day_that_passes() {
    let options = StaleOptions { max_age_days: 366, ..options() };
    assert!(find_stale(&[given(tag("a", "b"), "2025-11-11")], &options).findings.is_empty());
    assert_eq!(find_stale(&[given(tag("a", "b"), "2025-11-10")], &options).findings.len(), 1);
}

#[test]
fn a_campaign_passes_with_the_end_of_its_last_day() {
    let facts = [tag("活动", "2026双11")];
    let on_the_day = StaleOptions { as_of: at("2026-11-11 23:59"), ..options() };
    assert!(find_stale(&facts, &on_the_day).findings.is_empty());
    assert_eq!(classes(&the_finding(&facts)), [("campaign_passed", "certain")]);
}

#[test]
fn a_deleted_tag_counts_while_it_is_held() {
    let deleted = TagFacts { valid_to: Some(at("2026-10-12 02:00")), readers: vec![], ..tag("旧渠道", "视频号") };
    let gone = TagFacts { holders: 0, ..deleted.clone() };
    let report = find_stale(&[deleted, gone], &options());
    assert_eq!((report.totals.tags, report.findings.len()), (1, 1));
    assert_eq!(classes(&report.findings[0]), [("orphan", "certain")]);
    assert!(report.findings[0].is_deleted && !report.findings[0].may_enter_plan);
}

#[test]
fn a_tag_nobody_holds_and_nobody_reads_is_in_both_classes() {
    let none = None;
    let fact = TagFacts {
        holders: 0,
        holding_follows: 0,
        last_given_certain: none,
        last_given_possible: none,
        readers: vec![],
        ..tag("活动", "抽奖")
    };
    let finding = the_finding(&[fact]);
    assert_eq!(classes(&finding), [("unused", "certain"), ("unread", "certain")]);
    assert!(!finding.may_enter_plan && !finding.is_only_unread());

    let left_behind = TagFacts { former_holders: 3, ..finding.tag };
    assert_eq!(
        the_finding(&[left_behind]).classes[0].evidence.english,
        "Nobody holds it on an active follow, only 3 customers on follows that have left or ended."
    );
}

#[test]
fn a_tag_nobody_was_seen_to_read_is_possibly_unread_while_there_is_a_doubt_and_the_report_says_why() {
    let fact = TagFacts { readers: vec![], ..tag("活动", "抽奖") };
    let doubts = [
        (ReaderDoubt::NoDefinitions, "No folder of definitions was looked into"),
        (ReaderDoubt::Unreadable(vec!["vip".to_owned()]), "“vip” could not be read as a segment"),
        (ReaderDoubt::AsksInSql(["a", "b", "c", "d"].map(str::to_owned).to_vec()), "“a”, “b”, “c” and 1 more"),
    ];
    for (doubt, said) in doubts {
        let report = super::find_stale(std::slice::from_ref(&fact), std::slice::from_ref(&doubt), &options());
        assert_eq!(classes(&report.findings[0]), [("unread", "possible")]);
        let note = to_json(&report)["notes"][0]["english"].clone();
        assert!(note.as_str().is_some_and(|note| note.contains(said)), "{note}");
        assert!(to_html(&report).contains(said), "{said}");
    }
    let read = tag("活动", "抽奖");
    assert!(super::find_stale(&[read], &[ReaderDoubt::NoDefinitions], &options()).findings.is_empty());
}

#[test]
fn names_that_differ_in_case_width_and_punctuation_mean_the_same() {
    let facts = [tag("来源渠道", "视频号"), tag("旧渠道", " 视频-号 "), tag("等级", "ＶＩＰ"), tag("会员", "vip")];
    let report = find_stale(&facts, &options());
    assert_eq!(report.findings.len(), 4);
    let vip = report.findings.iter().find(|finding| finding.tag.tag_name == "vip").expect("a finding");
    assert_eq!(vip.classes[0].evidence.english, "Says the same as “等级/ＶＩＰ”.");

    let answers = [tag("会员等级", "其他"), tag("来源渠道", "其他")];
    assert!(find_stale(&answers, &options()).findings.is_empty());
    let grades = [tag("等级", "A"), tag("等级", "A+"), tag("等级", "A-"), tag("消费", "1-5万"), tag("消费", "15万")];
    assert!(find_stale(&grades, &options()).findings.is_empty());
}

#[test]
fn findings_come_by_verdict_then_holders_then_age() {
    let held = |fact: TagFacts, holders| TagFacts { holders, ..fact };
    let mut facts = vec![
        held(TagFacts { readers: vec![], ..tag("a", "many unread") }, 900),
        held(given(tag("a", "few old"), "2024-01-01"), 5),
        held(given(tag("a", "few older"), "2023-01-01"), 5),
        held(given(tag("a", "many old"), "2025-01-01"), 50),
    ];
    let names = |facts: &[TagFacts]| -> Vec<String> {
        find_stale(facts, &options()).findings.into_iter().map(|finding| finding.tag.tag_name).collect()
    };
    let expected = ["many old", "few older", "few old", "many unread"];
    assert_eq!(names(&facts), expected);
    facts.reverse();
    assert_eq!(names(&facts), expected);

    let totals = find_stale(&facts, &options()).totals;
    assert_eq!((totals.may_enter_plan, totals.only_unread, totals.to_look_at()), (3, 1, 0));
    assert_eq!((totals.holdings, totals.holdings_may_enter_plan), (960, 60));
}

#[test]
fn html_escapes_hostile_names_and_asks_for_nothing_outside() {
    let hostile = "\"><script>alert('双11 2023')</script>";
    let mut fact = given(tag("<b>组&", hostile), "2023-11-11");
    fact.tag_id = TagId::new("<i>id</i>");
    fact.readers = ["a", "b", "c", "x\" onmouseover=\"alert(1)"].map(str::to_owned).to_vec();
    let twin = TagFacts { readers: vec![], ..tag("<img alt=x>", hostile) };
    let unread = TagFacts { readers: vec![], ..tag("<u>", "<s>") };

    let page = to_html(&find_stale(&[fact, twin, unread], &options()));
    let markup = ["<script", "<b>", "<i>id", "<img", "<u>", "<s>", "\" onmouseover="];
    let outside = ["://", "url(", "@import", "<link", "src="];
    for forbidden in markup.into_iter().chain(outside) {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(page.contains("<bdi>&quot;&gt;&lt;script&gt;alert('双11 2023')&lt;/script&gt;</bdi>"));
    assert!(page.contains("<bdi>&lt;b&gt;组&amp;</bdi>"));
}

#[test]
fn html_tells_both_ages_both_languages_and_every_class() {
    let fact = TagFacts { last_given_possible: Some(at("2023-11-03 10:00")), ..tag("来源渠道", "视频号") };
    let page = to_html(&find_stale(&[fact], &options()));
    assert!(page.starts_with("<!DOCTYPE html>"));
    assert!(page.contains("certain 确定: 11 days (2026-11-01) · possible 可能: 1,105 days (2023-11-03)"));
    assert!(page.contains("2026-11-12 02:00 Asia/Shanghai"));
    for class in StaleClass::ALL {
        let (english, chinese) = class.name();
        assert!(page.contains(english) && page.contains(chinese), "{english}");
        assert!(include_str!("report.css").contains(&format!("#show-{}:checked", class.code())), "{english}");
    }
    assert!(to_html(&find_stale(&[], &options())).contains("Nothing is stale"));
}

#[test]
fn json_keeps_its_field_names() {
    let report = find_stale(&[given(tag("活动", "双11意向客户2023"), "2023-11-11")], &options());
    let json = to_json(&report);
    assert_eq!(json["as_of"], "2026-11-11T18:00:00Z");
    assert_eq!((&json["snapshot_id"], &json["time_zone"]), (&json!(3), &json!("Asia/Shanghai")));
    assert_eq!(json["options"], json!({ "max_age_days": 400 }));
    assert_eq!(json["totals"]["may_enter_plan"], 1);
    assert_eq!(json["classes"].as_array().map(Vec::len), Some(7));
    assert_eq!(json["classes"][1]["class"], "campaign_passed");

    let (english, chinese) = ("3 y 0 mo", "3 年 0 个月");
    let age = json!({ "since": "2023-11-11", "days": 1097, "months": 36, "english": english, "chinese": chinese });
    let expected: Value = json!({
        "tag_id": "corp:活动/双11意向客户2023",
        "group_name": "活动",
        "tag_name": "双11意向客户2023",
        "tag_class": null,
        "is_protected": false,
        "is_deleted": false,
        "created_at": null,
        "valid_until": null,
        "valid_to": null,
        "holders": 10,
        "holders_may_enter": 10,
        "holding_follows": 12,
        "former_holders": 0,
        "held_by_rule": null,
        "given_since": 0,
        "undated": 0,
        "age": { "certain": age, "possible": age },
        "classes": [
            {
                "class": "campaign_passed",
                "certainty": "certain",
                "evidence": {
                    "english": "Its name says 双11 2023, which ended on 2023-11-11, 3 y 0 mo ago.",
                    "chinese": "名称中的“双11 2023”已于 2023-11-11 结束，过去 3 年 0 个月。",
                },
            },
            {
                "class": "not_renewed",
                "certainty": "certain",
                "evidence": {
                    "english": "Nobody was given it since 2023-11-11: 3 y 0 mo (1,097 days), over the limit of 400 days.",
                    "chinese": "自 2023-11-11 起没有再打过：已 3 年 0 个月（1,097 天），超过 400 天的期限。",
                },
            },
        ],
        "readers": ["vip_birthday"],
        "may_enter_plan": true,
        "why": {
            "english": "May enter a plan on the passed date in its name.",
            "chinese": "可进入清理计划：名称中的日期已过。",
        },
    });
    assert_eq!(json["findings"], json!([expected]));
}

//! `tagmill stale report` over the sample corp: which tags have outlived their use, how sure that is, who reads them.

use std::sync::OnceLock;

use serde_json::Value;

use crate::harness::Sandbox;
use crate::harness::corp::{DEFINITIONS, corp};

/// The report as JSON, with the demo's definitions as the readers of tags.
fn report() -> &'static Value {
    static REPORT: OnceLock<Value> = OnceLock::new();
    REPORT.get_or_init(|| corp().json(&["--definitions", DEFINITIONS, "stale", "report", "--format", "json"]))
}

fn findings(report: &Value) -> &Vec<Value> {
    report["findings"].as_array().unwrap()
}

fn finding<'r>(report: &'r Value, group: &str, tag: &str) -> &'r Value {
    let is_it = |finding: &&Value| finding["group_name"] == group && finding["tag_name"] == tag;
    findings(report).iter().find(is_it).unwrap_or_else(|| panic!("{group}/{tag} is not in the report"))
}

fn classes(finding: &Value) -> Vec<(&str, &str)> {
    let found = finding["classes"].as_array().unwrap().iter();
    found.map(|found| (found["class"].as_str().unwrap(), found["certainty"].as_str().unwrap())).collect()
}

/// S57.
#[test]
fn the_campaign_of_three_years_ago_is_found_by_the_date_in_its_name() {
    let report = report();
    let campaign = finding(report, "活动", "双11意向客户2023");
    assert!(classes(campaign).contains(&("campaign_passed", "certain")), "{campaign}");
    assert!(campaign["holders"].as_u64().unwrap() > 0, "{campaign}");
    assert_eq!(campaign["may_enter_plan"], true, "{campaign}");
    assert_eq!(campaign["readers"], Value::Array(Vec::new()));
    assert_eq!((report["snapshot_id"].as_i64(), report["as_of"].as_str()), (Some(3), Some("2026-11-11T18:00:00Z")));
}

/// S56: the owner's word, disuse, and who reads a tag.
#[test]
fn a_passed_end_no_holder_and_no_reader_are_classes_of_their_own() {
    let report = report();
    let ended = finding(report, "活动", "双11意向客户2025");
    assert!(classes(ended).contains(&("expired", "certain")), "{ended}");
    assert!(classes(finding(report, "服务", "上门服务")).contains(&("unused", "certain")));
    let is_unread = |finding: &&Value| classes(finding).contains(&("unread", "certain"));
    assert!(findings(report).iter().any(|finding| is_unread(&finding)));
    let channel = findings(report).iter().find(|finding| finding["tag_name"] == "视频号");
    assert!(channel.is_none_or(|channel| !is_unread(&channel)), "a segment reads it: {channel:?}");
}

/// What a source does not tell is known as an interval: an age is certain from its later end, possible from its
/// earlier one.
#[test]
fn an_age_is_told_twice_and_only_the_certain_one_opens_a_plan() {
    let report = report();
    let day = |finding: &Value, age: &str| finding["age"][age]["days"].as_u64();
    let mut is_told_twice = false;
    for finding in findings(report) {
        if let (Some(certain), Some(possible)) = (day(finding, "certain"), day(finding, "possible")) {
            assert!(certain <= possible, "{finding}");
            is_told_twice |= certain < possible;
        }
        let grounds = classes(finding);
        let is_only_possible = grounds.iter().all(|ground| *ground == ("not_renewed", "possible"));
        assert!(!is_only_possible || finding["may_enter_plan"] == false, "{finding}");
    }
    assert!(is_told_twice, "no tag of the corp has two ages");
}

/// S14.
#[test]
fn a_protected_tag_never_enters_a_plan() {
    let report = report();
    let protected: Vec<&Value> = findings(report).iter().filter(|finding| finding["is_protected"] == true).collect();
    assert!(!protected.is_empty(), "the corp's protected tags have nothing that could be held against them");
    for finding in protected {
        assert_eq!(finding["may_enter_plan"], false, "{finding}");
    }
}

#[test]
fn totals_are_the_sums_of_the_findings() {
    let report = report();
    let ready = findings(report).iter().filter(|finding| finding["may_enter_plan"] == true);
    let holdings: u64 = ready.clone().map(|finding| finding["holders"].as_u64().unwrap()).sum();
    assert_eq!(report["totals"]["findings"], findings(report).len());
    assert_eq!(report["totals"]["may_enter_plan"], ready.count());
    assert_eq!(report["totals"]["holdings_may_enter_plan"], holdings);
    assert_eq!(report["totals"]["tags"], 120);
}

#[test]
fn the_report_is_written_as_a_page_for_people_and_as_json_for_programs() {
    let sandbox = Sandbox::new();
    let warehouse = corp().warehouse().display().to_string();
    for file in ["stale.html", "stale.json"] {
        sandbox.ok(&["--warehouse", &warehouse, "--definitions", DEFINITIONS, "stale", "report", "-o", file]);
    }
    let page = sandbox.read("stale.html");
    assert!(page.starts_with("<!DOCTYPE html>"), "{}", &page[..80.min(page.len())]);
    assert!(page.contains("双11意向客户2023"), "the page does not name the campaign");
    assert!(!page.contains("<script") && !page.contains("http://"), "a page that is passed on loads nothing");
    let written: Value = serde_json::from_str(&sandbox.read("stale.json")).unwrap();
    assert_eq!(written, *report());
    sandbox.fails(2, &["--warehouse", &warehouse, "stale", "report", "-o", "stale.xls"]);
}

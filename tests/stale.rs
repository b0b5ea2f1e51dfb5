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
    let holdings: u64 = ready.clone().map(|finding| finding["holders_may_enter"].as_u64().unwrap()).sum();
    assert_eq!(report["totals"]["findings"], findings(report).len());
    assert_eq!(report["totals"]["may_enter_plan"], ready.count());
    assert_eq!(report["totals"]["holdings_may_enter_plan"], holdings);
    assert_eq!(report["totals"]["tags"], 120);
    assert_eq!(report["notes"], Value::Array(Vec::new()), "the demo's definitions can all be read");
}

/// Who holds `活动/双11意向客户2023`, by the day on which WeCom's export says it was given, and one who has left since.
const CAMPAIGN_SOURCE: &str = "
files:
  held: {path: held.csv}
tables:
  tag:
    mode: full
    select: |
      SELECT DISTINCT
        't1' AS tag_id,
        '活动' AS group_name,
        '双11意向客户2023' AS tag_name,
        '2023-10-20 08:00:00' AS created_at
      FROM held
  customer:
    mode: full
    select: SELECT customer AS customer_id FROM held
  follow:
    mode: full
    select: SELECT customer AS customer_id, 'wang' AS staff_id, status, '2023-06-01 08:00:00' AS added_at FROM held
  assignment:
    mode: full
    select: SELECT customer AS customer_id, 'wang' AS staff_id, 't1' AS tag_id, given AS assigned_at FROM held
";

/// Reads the campaign's holders: those up to a number were given the tag again in 2025.
fn read_campaign(sandbox: &Sandbox, taken_at: &str, renewed: u32) {
    let line = |number: u32| {
        let given = if number <= renewed { "2025-11-11 12:00:00" } else { "2023-11-05 12:00:00" };
        let status = if number == 46 { "left" } else { "active" };
        format!("c{number},{status},{given}\n")
    };
    let lines: String = (1..=46).map(line).collect();
    sandbox.write("held.csv", format!("customer,status,given\n{lines}"));
    sandbox.write("corp.yaml", format!("name: corp\nkind: files\ntaken_at: {taken_at}{CAMPAIGN_SOURCE}"));
    sandbox.ok(&["ingest", "corp.yaml"]).says("published snapshot");
}

/// S57: given again to some, the old mark is not listed for those.
#[test]
fn holders_of_a_passed_campaign_who_were_given_it_again_stay_out_of_the_plan() {
    let sandbox = Sandbox::new();
    read_campaign(&sandbox, "2026-11-05T02:00:00+08:00", 0);
    let before = sandbox.json(&["stale", "report", "--format", "json"]);
    assert_eq!(finding(&before, "活动", "双11意向客户2023")["holders_may_enter"], 45, "{before}");

    read_campaign(&sandbox, "2026-11-12T02:00:00+08:00", 5);
    let report = sandbox.json(&["stale", "report", "--format", "json"]);
    let campaign = finding(&report, "活动", "双11意向客户2023");
    let counts = ["holders", "holders_may_enter", "given_since", "undated", "former_holders"];
    assert_eq!(counts.map(|count| campaign[count].as_u64().unwrap()), [45, 40, 5, 0, 1], "{campaign}");
    assert_eq!(report["totals"]["holdings_may_enter_plan"], 40);
    let why = campaign["why"]["english"].as_str().unwrap();
    assert!(why.ends_with("5 holders were given it since, and stay out."), "{why}");
    let told = sandbox.ok(&["stale", "report"]);
    assert!(told.stdout.contains("40 may enter"), "{}", told.stdout);
    told.says("1 may enter a cleanup plan (40 holdings)");
}

#[test]
fn unread_is_only_possible_while_not_everybody_who_may_read_was_asked() {
    let warehouse = corp().warehouse().display().to_string();
    let check = |definitions: Option<&Sandbox>, expected: &str| {
        let folder = definitions.map(|sandbox| sandbox.root().display().to_string());
        let mut args = vec!["--warehouse", warehouse.as_str()];
        args.extend(folder.iter().flat_map(|folder| ["--definitions", folder.as_str()]));
        args.extend(["stale", "report", "--format", "json"]);
        let answer = Sandbox::new().ok(&args);
        answer.says(&format!("note: {expected}"));
        let report: Value = serde_json::from_str(&answer.stdout).unwrap();
        assert!(report["notes"][0]["english"].as_str().unwrap().starts_with(expected), "{}", report["notes"]);
        let found = findings(&report).iter().flat_map(classes);
        let mut certainties: Vec<&str> =
            found.filter(|(class, _)| *class == "unread").map(|(_, certainty)| certainty).collect();
        certainties.dedup();
        assert_eq!(certainties, ["possible"]);
    };
    check(None, "No folder of definitions was looked into");
    let definitions = Sandbox::new();
    definitions.write("typo.yaml", "universe: followed\nas_of: latest\nwhere: {tag: {any_of: [会员等级/VIP]\n");
    check(Some(&definitions), "“typo” could not be read as a segment, a rule or an audience");
    let sql = "universe: followed\nas_of: latest\nwhere: {sql: SELECT customer_no FROM customer}\n";
    definitions.write("typo.yaml", sql);
    check(Some(&definitions), "“typo”: asked in SQL");
}

#[test]
fn what_a_rule_holds_is_no_business_of_a_cleanup() {
    let sandbox = Sandbox::copy_of(corp());
    sandbox.write(
        "rules/vip.yaml",
        "tag: 活跃度/本月新增活跃\non: all_active\nwhen:\n  universe: followed\n  \
         where: {tag: {any_of: [会员等级/VIP], follower: any}}\non_exit: retract\n",
    );
    let run = sandbox.json(&["--as", "li", "rule", "run", "rules/vip.yaml", "--format", "json"]);
    let id = run["plan"]["plan_id"].as_str().unwrap();
    sandbox.ok(&["--as", "wang", "plan", "approve", id]);
    sandbox.ok(&["--as", "wang", "plan", "execute", id]);
    let report = sandbox.json(&["stale", "report", "--format", "json"]);
    let held = finding(&report, "活跃度", "本月新增活跃");
    assert_eq!(held["held_by_rule"], "rule:vip");
    assert_eq!(held["holders"], run["members"], "{held}");
    assert!(held["why"]["english"].as_str().unwrap().contains("the rule “vip” holds it"), "{held}");
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

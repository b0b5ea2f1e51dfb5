//! What opens the way into a cleanup plan, what closes it, and for how many holders.

use super::*;

#[test]
fn an_age_that_is_only_possible_is_listed_and_stays_out_of_a_plan() {
    let fact = TagFacts { last_given_possible: Some(at("2023-11-03 10:00")), ..tag("来源渠道", "视频号") };
    let finding = the_finding(&[fact]);
    assert_eq!(classes(&finding), [("not_renewed", "possible")]);
    assert_eq!(
        finding.classes[0].evidence.english,
        "The newest assignment happened between 2023-11-03 and 2026-11-01: up to 3 y 0 mo old, and 11 d for certain."
    );
    assert!(!finding.may_enter_plan);
}

#[test]
fn the_owners_word_opens_the_plan_and_closes_it() {
    let ended = TagFacts { valid_until: Some(at("2026-06-30 00:00")), ..tag("临时", "试听") };
    let finding = the_finding(&[ended]);
    assert_eq!(classes(&finding), [("expired", "certain")]);
    assert!(finding.may_enter_plan);

    let kept =
        TagFacts { valid_until: Some(at("2027-01-01 00:00")), ..given(tag("活动", "国庆2023"), "2023-10-01") };
    let finding = the_finding(&[kept]);
    assert!(!finding.may_enter_plan);
    assert_eq!(finding.why.english, "Stays out of a plan: its owner says it is valid until 2027-01-01.");
}

/// S14: protected tags are excluded from cleanup.
#[test]
fn a_protected_tag_is_listed_and_never_enters_a_plan() {
    let ended = Some(at("2026-06-30 00:00"));
    let fact = TagFacts { is_protected: true, valid_until: ended, ..given(tag("活动", "双11 2023"), "2023-11-11") };
    let finding = the_finding(&[fact]);
    assert_eq!(finding.classes.len(), 3);
    assert!(!finding.may_enter_plan);
}

#[test]
fn a_long_term_tag_does_not_end_by_age_alone() {
    let fact = TagFacts { class: Some("long_term".to_owned()), ..given(tag("地区", "华东"), "2023-11-11") };
    let finding = the_finding(&[fact]);
    assert_eq!(classes(&finding), [("not_renewed", "certain")]);
    assert!(!finding.may_enter_plan);
}

/// S57: the same tag given again later is not listed for those holders.
#[test]
fn who_was_given_a_dated_tag_since_stays_out_of_the_plan_and_the_others_enter_it() {
    let fact = TagFacts {
        holders: 45,
        given_since: 5,
        undated: 2,
        last_given_certain: Some(at("2025-11-11 12:00")),
        last_given_possible: Some(at("2025-11-11 12:00")),
        ..tag("活动", "双11意向客户2023")
    };
    let report = find_stale(std::slice::from_ref(&fact), &options());
    let finding = &report.findings[0];
    assert_eq!(classes(finding), [("campaign_passed", "certain")]);
    assert_eq!((finding.tag.holders, finding.holders_may_enter, finding.may_enter_plan), (45, 40, true));
    assert_eq!(report.totals.holdings_may_enter_plan, 40);
    assert_eq!(
        finding.why.english,
        "May enter a plan on the passed date in its name. 5 holders were given it since, and stay out. \
         Whether 2 holders were given it before or since is not known."
    );
    assert!(to_html(&report).contains("40 may enter a plan"));

    let all_since = TagFacts { given_since: 45, undated: 0, ..fact };
    let finding = the_finding(&[all_since]);
    assert_eq!((finding.may_enter_plan, finding.holders_may_enter), (false, 0));
    assert_eq!(finding.why.english, "Stays out of a plan: every holder was given it since its date had passed.");
}

#[test]
fn whoever_is_old_enough_by_age_enters_the_plan_whenever_the_date_passed() {
    let fact = TagFacts { given_since: 5, ..given(tag("活动", "双11意向客户2023"), "2024-05-01") };
    let finding = the_finding(&[fact]);
    assert_eq!(classes(&finding), [("campaign_passed", "certain"), ("not_renewed", "certain")]);
    assert_eq!(finding.holders_may_enter, 10);
}

#[test]
fn the_date_that_has_passed_is_the_later_of_the_owners_and_the_names() {
    let check = |name: &str, valid_until: Option<&str>, expected: Option<&str>| {
        let fact = TagFacts { valid_until: valid_until.map(at), ..tag("活动", name) };
        assert_eq!(passed_at(&fact, &options()), expected.map(at), "{name} {valid_until:?}");
    };
    check("双11意向客户2023", None, Some("2023-11-12 00:00"));
    check("双11意向客户2023", Some("2023-12-31 00:00"), Some("2023-12-31 00:00"));
    check("双11意向客户2023", Some("2023-06-01 00:00"), Some("2023-11-12 00:00"));
    check("双11意向客户2023", Some("2026-12-31 00:00"), Some("2023-11-12 00:00"));
    check("试听", Some("2026-06-30 00:00"), Some("2026-06-30 00:00"));
    check("试听", None, None);
    // Its last day is not over at 2026-11-12 02:00.
    check("2026-11-12", None, None);
    check("2026-11-11", None, Some("2026-11-12 00:00"));
}

#[test]
fn what_a_rule_holds_stays_out_of_a_plan() {
    let held = TagFacts {
        held_by_rule: Some("rule:sleeping".to_owned()),
        ..given(tag("活跃度", "沉睡用户"), "2024-01-01")
    };
    let finding = the_finding(&[held]);
    assert_eq!(classes(&finding), [("not_renewed", "certain")]);
    assert!(!finding.may_enter_plan);
    let expected = "Stays out of a plan: the rule “sleeping” holds it, and takes it away by its own runs.";
    assert_eq!(finding.why.english, expected);
}

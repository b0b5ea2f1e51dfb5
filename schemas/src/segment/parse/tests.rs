use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use rust_decimal::Decimal;

use super::*;
use crate::ids::{StaffId, TagId};
use crate::segment::tree::{
    AttributeLeaf, CalendarUnit, Comparison, EventLeaf, FollowNode, Follower, Measure, Missing, Never, Node, Operator,
    TagLeaf, TagRef, TagTest, Value, Window,
};

mod refusals;

/// The code, the line and a part of the message of a problem.
type Bad = (&'static str, usize, &'static str);

/// The one place where the parser is called: it gives the segment, or exactly these problems in this order.
#[track_caller]
fn check(input: &str, expected: Result<Segment, &[Bad]>) {
    match (parse_segment(input), expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{input}"),
        (Err(found), Err(expected)) => {
            assert_eq!(found.0.len(), expected.len(), "{input}\n{found}");
            for (problem, (code, line, part)) in found.0.iter().zip(expected) {
                assert_eq!(problem.code, *code, "{input}\n{found}");
                assert_eq!(problem.position.map(|position| position.line), Some(*line), "{input}\n{found}");
                assert!(problem.message.contains(*part), "{input}\n{found}");
                assert!(problem.hint.is_some() || problem.message.starts_with("expected"), "no hint\n{found}");
            }
        }
        (Ok(found), Err(_)) => panic!("no problem in\n{input}\n{found:?}"),
        (Err(found), Ok(_)) => panic!("{input}\n{found}"),
    }
}

/// Checks a condition that begins in line 3.
#[track_caller]
fn check_condition(condition: &str, expected: Result<Node, &[Bad]>) {
    check(&format!("universe: followed\nas_of: latest\nwhere: {condition}\n"), expected.map(followed));
}

/// Checks that a condition on line 3 has one problem.
#[track_caller]
fn check_bad(condition: &str, code: &'static str, part: &'static str) {
    check_condition(condition, Err(&[(code, 3, part)]));
}

fn followed(condition: Node) -> Segment {
    Segment { name: None, universe: Universe::Followed, as_of: AsOf::Latest, condition }
}

fn tags(names: &[&str]) -> Vec<TagRef> {
    names.iter().map(|name| TagRef::Name((*name).to_owned())).collect()
}

fn any_tag(name: &str) -> Node {
    Node::Tag(TagLeaf { test: TagTest::AnyOf(tags(&[name])), follower: Follower::Any })
}

fn follow_tag(name: &str) -> FollowNode {
    FollowNode::Tag(TagTest::AnyOf(tags(&[name])))
}

fn staff(ids: &[&str]) -> Vec<StaffId> {
    ids.iter().map(|id| StaffId::new(*id)).collect()
}

fn number(number: i64) -> Value {
    Value::Number(Decimal::from(number))
}

fn at_least(count: i64) -> Comparison {
    Comparison::Single(Operator::Ge, number(count))
}

fn local(text: &str) -> NaiveDateTime {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").expect("a local time")
}

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().expect("an instant")
}

fn june() -> Window {
    let first = |month| {
        let day = NaiveDate::from_ymd_opt(2026, month, 1).expect("a day");
        TimeValue::Local(day.and_hms_opt(0, 0, 0).expect("midnight"))
    };
    Window::Between { from: first(6), to: first(7) }
}

fn event(name: &str, window: Window, measure: Measure, test: Comparison) -> EventLeaf {
    EventLeaf {
        events: vec![name.to_owned()],
        filter: Vec::new(),
        window,
        include_today: false,
        measure,
        test,
        currency: None,
        never: None,
    }
}

fn sleeping() -> EventLeaf {
    let test = Comparison::Single(Operator::Lt, Value::Time(TimeValue::AsOfMinus(3, CalendarUnit::Months)));
    EventLeaf { never: Some(Never::SinceCreated), ..event("login", Window::Lifetime, Measure::Last, test) }
}

#[test]
fn june_cart_without_payment() {
    let text = "
name: 六月加购三次未付款
universe: followed                       # followed | all | lost
as_of: latest
where:
  all:
    - event: add_to_cart
      window: {from: 2026-06-01, to: 2026-07-01}     # half open, business time zone
      measure: count
      op: \">=\"
      value: 3
    - not:
        event: pay
        window: {from: 2026-06-01, to: 2026-07-01}
        measure: count
        op: \">=\"
        value: 1
    - not:
        tag: {any_of: [客户类型/竞对公司], follower: any}
";
    let not = |node| Node::Not(Box::new(node));
    let condition = Node::All(vec![
        Node::Event(event("add_to_cart", june(), Measure::Count, at_least(3))),
        not(Node::Event(event("pay", june(), Measure::Count, at_least(1)))),
        not(any_tag("客户类型/竞对公司")),
    ]);
    check(text, Ok(Segment { name: Some("六月加购三次未付款".to_owned()), ..followed(condition) }));
}

#[test]
fn vip_in_the_month_of_their_birthday() {
    let text = "
  all:
    - tag: {any_of: [会员等级/VIP], follower: any}
    - attribute: {name: birth_month, op: \"=\", value: as_of.month, missing: exclude}";
    let birthday = AttributeLeaf {
        name: "birth_month".to_owned(),
        test: Comparison::Single(Operator::Eq, Value::AsOfMonth),
        missing: Missing::Exclude,
    };
    check_condition(text, Ok(Node::All(vec![any_tag("会员等级/VIP"), Node::Attribute(birthday)])));
}

#[test]
fn sleeping_customers_with_the_time_quoted_or_not() {
    for value in ["as_of - 3 months", "\"as_of - 3 months\"", "as_of -3 months", "as_of - 3 month"] {
        let text = format!(
            "{{event: login, window: lifetime, measure: last, op: \"<\", value: {value}, never: since_created}}"
        );
        check_condition(&text, Ok(Node::Event(sleeping())));
    }
}

#[test]
fn channel_and_activity_as_far_as_the_tree_goes() {
    let text = "
  all:
    - tag: {any_of: [来源渠道/视频号], follower: any}
    - {event: active, measure: distinct_days, window: this_month, op: \">=\", value: 3}
    - same_follower:                     # one staff member gave both
        - tag: {any_of: [人群/备孕阶段]}
        - tag: {any_of: [人群/宠物主人]}
    - any:
        - segment: vip_birthday
        - {event: scan, filter: {place: group}, measure: count, window: last_30_days, include_today: true,
           op: \">=\", value: 3}";
    let scan = EventLeaf {
        filter: vec![("place".to_owned(), vec![Value::Text("group".to_owned())])],
        include_today: true,
        ..event("scan", Window::LastDays(30), Measure::Count, at_least(3))
    };
    let condition = Node::All(vec![
        any_tag("来源渠道/视频号"),
        Node::Event(event("active", Window::ThisMonth, Measure::DistinctDays, at_least(3))),
        Node::SameFollower(vec![follow_tag("人群/备孕阶段"), follow_tag("人群/宠物主人")]),
        Node::Any(vec![Node::Segment("vip_birthday".to_owned()), Node::Event(scan)]),
    ]);
    check_condition(text, Ok(condition));
}

#[test]
fn json_documents_are_segments_too() {
    let text = r#"{"name": null, "universe": "lost", "as_of": 7, "where": {"any": [
        {"tag": {"any_of": ["会员等级/VIP"], "follower": "any"}},
        {"sql": "SELECT 1 AS customer_no"}
    ]}}"#;
    let condition = Node::Any(vec![any_tag("会员等级/VIP"), Node::Sql("SELECT 1 AS customer_no".to_owned())]);
    let as_of = AsOf::Snapshot(SnapshotId(7));
    check(text, Ok(Segment { name: None, universe: Universe::Lost, as_of, condition }));
}

#[test]
fn every_part_of_an_event_condition() {
    let text = "
  event: [pay, refund]
  filter: {channel: [live, 视频号], is_gift: false}
  window: lifetime
  measure: sum
  currency: CNY
  op: between
  value: {from: 1000, to: 49999.99}";
    let text_value = |text: &str| Value::Text(text.to_owned());
    let band = Comparison::Band { from: Some(number(1000)), to: Some(Value::Number(Decimal::new(4_999_999, 2))) };
    let leaf = EventLeaf {
        events: vec!["pay".to_owned(), "refund".to_owned()],
        filter: vec![
            ("channel".to_owned(), vec![text_value("live"), text_value("视频号")]),
            ("is_gift".to_owned(), vec![Value::Bool(false)]),
        ],
        currency: Some("CNY".to_owned()),
        ..event("pay", Window::Lifetime, Measure::Sum, band)
    };
    check_condition(text, Ok(Node::Event(leaf)));
    let text = "{event: view, window: last_month, measure: distinct, of: ref, op: in, value: [1, 2]}";
    let test = Comparison::In(vec![number(1), number(2)]);
    check_condition(text, Ok(Node::Event(event("view", Window::LastMonth, Measure::Distinct("ref".to_owned()), test))));
}

#[test]
fn windows() {
    let as_of_back = |days| TimeValue::AsOfMinus(days, CalendarUnit::Days);
    let cases = [
        ("last_1_days", Window::LastDays(1)),
        ("last_3_months", Window::LastMonths(3)),
        ("{from: \"2026-06-01\", to: \"2026-07-01\"}", june()),
        ("{from: as_of - 7 days, to: as_of}", Window::Between { from: as_of_back(7), to: as_of_back(0) }),
    ];
    for (written, window) in cases {
        let text = format!("{{event: pay, window: {written}, measure: count, op: \">=\", value: 1}}");
        check_condition(&text, Ok(Node::Event(event("pay", window, Measure::Count, at_least(1)))));
    }
    let bad = [
        ("{from: 2026-07-01, to: 2026-06-01}", WINDOW_REVERSED, "`from` is not before `to`"),
        ("{from: 2026-06-01, to: 2026-06-01}", WINDOW_REVERSED, "`from` is not before `to`"),
        ("{from: as_of, to: as_of - 7 days}", WINDOW_REVERSED, "`from` is not before `to`"),
        ("{from: 2026-02-30, to: 2026-06-01}", TIME_INVALID, "there is no day `2026-02-30`"),
        ("{from: 2026-06-01}", codes::KEY_MISSING, "`to` is missing"),
        ("{from: soon, to: as_of}", codes::TYPE_WRONG, "expected a time"),
        ("last_0_days", codes::VALUE_INVALID, "`0` days are no window"),
        ("last_2_weeks", codes::NOT_SUPPORTED_YET, "`last_2_weeks`"),
        ("lifetme", codes::WORD_UNKNOWN, "unknown window `lifetme`"),
        ("[lifetime]", codes::TYPE_WRONG, "expected a window, found a list"),
    ];
    for (written, code, part) in bad {
        let text = format!("{{event: pay, window: {written}, measure: count, op: \">=\", value: 1}}");
        check_bad(&text, code, part);
    }
}

#[test]
fn follows_and_followers() {
    let tag = |follower| Node::Tag(TagLeaf { test: TagTest::NoneOf(tags(&["组/标/签"])), follower });
    let cases = [
        ("all", Follower::All),
        ("{named: [zhang, li]}", Follower::Named(staff(&["zhang", "li"]))),
        ("[any]", Follower::Named(staff(&["any"]))),
    ];
    for (written, follower) in cases {
        check_condition(&format!("{{tag: {{none_of: [组/标/签], follower: {written}}}}}"), Ok(tag(follower)));
    }
    let by_id = TagLeaf { test: TagTest::AllOf(vec![TagRef::Id(TagId::new("et:1"))]), follower: Follower::Any };
    check_condition("{tag: {all_of: [{id: et:1}], follower: any}}", Ok(Node::Tag(by_id)));
    let text = "
  same_follower:
    - staff: [zhang, 1001]
    - not: {tag: {any_of: [a/b]}}
    - any: [{tag: {any_of: [c/d]}}, {staff: [li]}]";
    let parts = vec![
        FollowNode::Staff(staff(&["zhang", "1001"])),
        FollowNode::Not(Box::new(follow_tag("a/b"))),
        FollowNode::Any(vec![follow_tag("c/d"), FollowNode::Staff(staff(&["li"]))]),
    ];
    check_condition(text, Ok(Node::SameFollower(parts)));
}

#[test]
fn values_are_what_they_look_like() {
    let time = Value::Time;
    let text = |text: &str| Value::Text(text.to_owned());
    let cases = [
        ("上海", text("上海")),
        ("\"2026-06-01\"", text("2026-06-01")),
        ("'3'", text("3")),
        ("2026-06", text("2026-06")),
        ("as_office", text("as_office")),
        ("true", Value::Bool(true)),
        ("50000.00", number(50_000)),
        ("-1.5", Value::Number(Decimal::new(-15, 1))),
        ("99999999999999.9999", Value::Number(Decimal::new(999_999_999_999_999_999, 4))),
        ("2026-06-01", time(TimeValue::Local(local("2026-06-01 00:00:00")))),
        ("2026-06-01 08:30", time(TimeValue::Local(local("2026-06-01 08:30:00")))),
        ("2026-06-01T08:30:15.25", time(TimeValue::Local(local("2026-06-01 08:30:15.25")))),
        ("2026-06-01T08:30:00Z", time(TimeValue::Instant(instant("2026-06-01T08:30:00Z")))),
        ("2026-06-01 08:30+08:00", time(TimeValue::Instant(instant("2026-06-01T00:30:00Z")))),
        ("as_of", time(TimeValue::AsOfMinus(0, CalendarUnit::Days))),
        ("as_of - 0 months", time(TimeValue::AsOfMinus(0, CalendarUnit::Days))),
        ("as_of - 30 days", time(TimeValue::AsOfMinus(30, CalendarUnit::Days))),
        ("as_of.month", Value::AsOfMonth),
    ];
    for (written, value) in cases {
        let test = Comparison::Single(Operator::Ne, value);
        let leaf = AttributeLeaf { name: "x".to_owned(), test, missing: Missing::Include };
        let text = format!("{{attribute: {{name: x, op: \"!=\", value: {written}, missing: include}}}}");
        check_condition(&text, Ok(Node::Attribute(leaf)));
    }
}

#[test]
fn the_frame_of_a_segment() {
    let segment = |as_of| Ok(Segment { as_of, ..followed(Node::Segment("a".to_owned())) });
    let frame = |as_of: &str| format!("universe: followed\nas_of: {as_of}\nwhere: {{segment: a}}\n");
    check(&frame("3"), segment(AsOf::Snapshot(SnapshotId(3))));
    check(&frame("2026-06-01T08:00:00+08:00"), segment(AsOf::Time(instant("2026-06-01T00:00:00Z"))));
    check(&frame("2026-06-01"), Err(&[(TIME_INVALID, 2, "has no offset")]));
    check(&frame("0"), Err(&[(codes::TYPE_WRONG, 2, "found `0`")]));
    check(&frame("[latest]"), Err(&[(codes::TYPE_WRONG, 2, "found a list")]));
    check("- a\n", Err(&[(codes::TYPE_WRONG, 1, "found a list")]));
    check("", Err(&[(codes::TYPE_WRONG, 1, "found nothing")]));
    let twice = "universe: followed\nuniverse: all\nas_of: latest\nwhere: {segment: a}\n";
    check(twice, Err(&[(codes::KEY_DUPLICATE, 2, "written twice")]));
    let bare = "universe: followed\nas_of: latest\nwhere:\n  attribute:\n    name: x\n    op: >=\n    value: 1\n";
    check(bare, Err(&[(codes::SYNTAX, 6, "block scalar")]));
}

#[test]
fn a_segment_inside_a_rule_is_asked_of_the_latest_state() {
    let text = "universe: followed
where: {event: login, window: lifetime, measure: last, op: \"<\", value: as_of - 3 months, never: since_created}
";
    let document = read(text).expect("a document");
    let mut problems = Vec::new();
    let found = segment_body(&document, "/when", &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(found, Some(followed(Node::Event(sleeping()))));

    let document = read("name: x\nuniverse: all\n").expect("a document");
    assert_eq!(segment_body(&document, "/when", &mut problems), None);
    let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["/when/name", "/when"]);
}

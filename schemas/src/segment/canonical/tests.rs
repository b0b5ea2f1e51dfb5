use std::collections::BTreeMap;

use super::*;
use crate::ids::{StaffId, TagId};
use crate::segment::parse::parse_segment;
use crate::segment::tree::{Missing, Universe};

const JUNE: &str = r#"name: "六月加购三次未付款"
universe: followed
as_of: latest
where:
  all:
    - event: ["add_to_cart"]
      window: {from: 2026-06-01, to: 2026-07-01}
      measure: count
      op: ">="
      value: 3
    - not:
        event: ["pay"]
        window: {from: 2026-06-01, to: 2026-07-01}
        measure: count
        op: ">="
        value: 1
    - not:
        tag: {any_of: ["客户类型/竞对公司"], follower: any}
"#;

fn parsed(text: &str) -> Segment {
    parse_segment(text).expect("a segment")
}

fn followed(condition: Node) -> Segment {
    Segment { name: None, universe: Universe::Followed, as_of: AsOf::Latest, condition }
}

fn attribute(value: Value) -> Segment {
    let test = Comparison::Single(crate::segment::Operator::Eq, value);
    followed(Node::Attribute(AttributeLeaf { name: "city".to_owned(), test, missing: Missing::Exclude }))
}

#[test]
fn canonical_yaml_is_written_as_it_was_read() {
    assert_eq!(to_yaml(&parsed(JUNE)), JUNE);
}

#[test]
fn yaml_parses_back_to_the_same_segment() {
    let awkward = "a \"quoted\" \\ line\nbreak\u{1}\u{2028}: # - 2026-06-01 ";
    let leaves = vec![
        Node::Tag(TagLeaf {
            test: TagTest::NoneOf(vec![TagRef::Id(TagId::new("et:1")), TagRef::Name("组/标/签".to_owned())]),
            follower: Follower::Named(vec![StaffId::new("any")]),
        }),
        Node::SameFollower(vec![
            FollowNode::Staff(vec![StaffId::new("zhang")]),
            FollowNode::Not(Box::new(FollowNode::Any(vec![
                FollowNode::Tag(TagTest::AllOf(vec![TagRef::Name("人群/宠物主人".to_owned())])),
                FollowNode::Tag(TagTest::AnyOf(vec![TagRef::Name("人群/备孕阶段".to_owned())])),
            ]))),
        ]),
        attribute(Value::Text(awkward.to_owned())).condition,
        Node::Segment("vip_birthday".to_owned()),
        Node::Sql("SELECT customer_no\nFROM customer\n".to_owned()),
    ];
    let segment = Segment { name: Some(awkward.to_owned()), ..followed(Node::Any(leaves)) };
    assert_eq!(parsed(&to_yaml(&segment)), segment);
}

#[test]
fn a_text_that_looks_like_a_date_stays_a_text() {
    let segment = attribute(Value::Text("2026-06-01".to_owned()));
    assert_eq!(parsed(&to_yaml(&segment)), segment);
}

#[test]
fn the_name_is_no_part_of_the_identity() {
    let named = parsed(JUNE);
    let nameless = Segment { name: None, ..named.clone() };
    assert_eq!(hash(&named, &BTreeMap::new()), hash(&nameless, &BTreeMap::new()));
    assert_eq!(hash(&named, &BTreeMap::new()).len(), 64);
}

#[test]
fn a_reference_counts_as_the_hash_of_what_it_names() {
    let segment = followed(Node::Segment("vip".to_owned()));
    let hash_with = |target: &str| hash(&segment, &BTreeMap::from([("vip".to_owned(), target.to_owned())]));
    assert_ne!(hash_with("aa"), hash_with("bb"));
    assert_eq!(hash_with("aa"), hash(&followed(Node::Segment("aa".to_owned())), &BTreeMap::new()));
}

#[test]
fn numbers_are_normalized_and_never_rounded() {
    let number = |digits: &str| json_number(digits.parse().expect("a decimal")).to_string();
    assert_eq!(number("3.00"), "3");
    assert_eq!(number("-0.0"), "0");
    assert_eq!(number("49999.99"), "49999.99");
    assert_eq!(number("12345678901234.5678"), "\"12345678901234.5678\"");
}

#[test]
fn times_are_written_as_they_are_read() {
    let local = |text: &str| TimeValue::Local(text.parse().expect("a local time"));
    assert_eq!(time_text(local("2026-06-01T00:00:00")), "2026-06-01");
    assert_eq!(time_text(local("2026-06-01T07:30:00")), "2026-06-01T07:30:00");
    let instant = "2026-06-01T07:30:00+08:00".parse().expect("an instant");
    assert_eq!(time_text(TimeValue::Instant(instant)), "2026-05-31T23:30:00Z");
    assert_eq!(time_text(TimeValue::AsOfMinus(3, CalendarUnit::Months)), "as_of - 3 months");
}

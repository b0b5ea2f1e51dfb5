use super::*;
use crate::segment::parse::parse_segment;

fn holds_on_follows(condition: &str) -> bool {
    let text = format!("universe: all\nas_of: latest\nwhere: {condition}\n");
    parse_segment(&text).expect("a segment").condition.holds_on_follows()
}

#[test]
fn only_what_asks_for_something_on_a_follow_holds_on_follows() {
    let held = "{tag: {any_of: [人群/宠物主人], follower: any}}";
    let absent = "{tag: {none_of: [人群/宠物主人], follower: any}}";
    let cases = [
        (held.to_owned(), true),
        ("{tag: {all_of: [人群/宠物主人], follower: all}}".to_owned(), true),
        ("{same_follower: [{staff: [wang]}]}".to_owned(), true),
        (format!("{{all: [{absent}, {{any: [{{segment: vip}}, {held}]}}]}}"), true),
        (absent.to_owned(), false),
        (format!("{{not: {held}}}"), false),
        (format!("{{not: {{not: {held}}}}}"), false),
        (format!("{{any: [{absent}, {{not: {held}}}]}}"), false),
        ("{attribute: {name: city, op: \"=\", value: \"上海\", missing: exclude}}".to_owned(), false),
        ("{event: [pay], window: lifetime, measure: count, op: \">=\", value: 1}".to_owned(), false),
        ("{segment: vip}".to_owned(), false),
        ("{sql: \"SELECT 1 AS customer_no\"}".to_owned(), false),
    ];
    for (condition, expected) in cases {
        assert_eq!(holds_on_follows(&condition), expected, "{condition}");
    }
}

#[test]
fn a_measure_is_named_by_its_word_whatever_its_column() {
    let word = |measure: Measure| measure.word().as_str();
    assert_eq!(word(Measure::Distinct("ref".to_owned())), "distinct");
    assert_eq!(word(Measure::DistinctDays), "distinct_days");
}

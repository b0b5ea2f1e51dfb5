use super::*;
use crate::ids::TagId;
use crate::segment::parse::parse_segment;
use crate::segment::tree::{CalendarUnit, Comparison, Operator, TagRef, TimeValue, Value, Window};

fn tag(id: &str, group_name: &str, tag_name: &str, valid_to: Option<&str>) -> CatalogTag {
    CatalogTag {
        tag_id: TagId::new(id),
        group_name: group_name.to_owned(),
        tag_name: tag_name.to_owned(),
        valid_to: valid_to.map(|end| end.parse().expect("an instant")),
    }
}

fn catalog() -> Catalog {
    let columns = [
        ("city", ColumnType::Text),
        ("birth_month", ColumnType::Int32),
        ("created_at", ColumnType::Timestamp),
        ("is_member", ColumnType::Bool),
        ("mobile", ColumnType::Text),
        ("joined_on", ColumnType::Date),
    ];
    let event_columns = [
        ("amount", ColumnType::Money),
        ("invoice", ColumnType::Text),
        ("properties", ColumnType::Text),
        ("due_on", ColumnType::Date),
        ("paid_at", ColumnType::Timestamp),
    ];
    let owned = |columns: &[(&str, ColumnType)]| columns.iter().map(|(name, ty)| ((*name).to_owned(), *ty)).collect();
    Catalog {
        columns: owned(&columns),
        event_columns: owned(&event_columns),
        event_types: vec!["purchase".to_owned(), "login".to_owned()],
        tags: vec![
            tag("t1", "会员等级", "VIP", None),
            tag("t2", "旧会员", "VIP", None),
            tag("t3", "活动", "双11", Some("2026-05-01T00:00:00Z")),
            tag("t4", "a", "b/c", None),
            tag("t5", "a/b", "c", None),
            tag("t6", "渠道", "抖音直播", Some("2026-05-01T00:00:00Z")),
            tag("t6", "渠道", "抖音", None),
        ],
        staff: vec![StaffId::new("zhang")],
        masked_columns: Vec::new(),
    }
}

/// Checks a condition and returns `path CODE` per problem.
fn codes(condition: &str, catalog: &Catalog) -> Vec<String> {
    let text = format!("universe: all\nas_of: latest\nwhere: {condition}\n");
    let segment = parse_segment(&text).expect("a segment");
    check(&segment, catalog).iter().map(|problem| format!("{} {}", problem.path, problem.code)).collect()
}

fn refusal(name: &str) -> Problem {
    catalog().resolve(&TagRef::Name(name.to_owned())).expect_err("a refusal")
}

#[test]
fn a_sound_segment_has_no_problem() {
    let condition = "{all: [{attribute: {name: birth_month, op: \"=\", value: as_of.month, missing: exclude}}, \
        {tag: {any_of: [会员等级/VIP], follower: [zhang]}}, \
        {event: [purchase], filter: {invoice: [\"a\"]}, window: lifetime, measure: sum, op: \">=\", value: 50000}, \
        {event: [login], window: lifetime, measure: last, op: \"<\", value: as_of - 3 months, never: include}]}";
    assert_eq!(codes(condition, &catalog()), Vec::<String>::new());
}

#[test]
fn every_unknown_name_is_told_with_its_place() {
    let condition = "{all: [{attribute: {name: citty, op: \"=\", value: \"a\", missing: exclude}}, \
        {same_follower: [{staff: [li]}, {tag: {any_of: [会员等级/VIP, 会员等级/VVIP]}}]}, \
        {not: {event: [pay], filter: {a/b: [1]}, window: lifetime, measure: distinct, of: sku, op: \">\", value: 1}}]}";
    let expected = [
        "/where/all/0/attribute/name ATTRIBUTE_UNKNOWN",
        "/where/all/1/same_follower/0/staff/0 STAFF_UNKNOWN",
        "/where/all/1/same_follower/1/tag/any_of/1 TAG_UNKNOWN",
        "/where/all/2/not/event/0 EVENT_TYPE_UNKNOWN",
        "/where/all/2/not/filter/a~1b EVENT_COLUMN_UNKNOWN",
        "/where/all/2/not/of EVENT_COLUMN_UNKNOWN",
    ];
    assert_eq!(codes(condition, &catalog()), expected);
}

#[test]
fn values_have_to_fit_the_type() {
    let mismatch = |leaf: &str| codes(leaf, &catalog());
    let at_value = ["/where/attribute/value TYPE_MISMATCH"];
    assert_eq!(mismatch("{attribute: {name: city, op: \"<\", value: 3, missing: exclude}}"), at_value);
    assert_eq!(mismatch("{attribute: {name: city, op: \"=\", value: as_of.month, missing: exclude}}"), at_value);
    assert_eq!(mismatch("{attribute: {name: city, op: \"=\", value: 2026-06-01, missing: exclude}}"), at_value);
    assert_eq!(
        mismatch("{attribute: {name: is_member, op: \">\", value: true, missing: exclude}}"),
        ["/where/attribute/op OPERATOR_MISMATCH"]
    );
    let a_day_ago = Value::Time(TimeValue::AsOfMinus(1, CalendarUnit::Days));
    let sum = EventLeaf {
        events: vec!["purchase".to_owned()],
        filter: Vec::new(),
        window: Window::Lifetime,
        include_today: false,
        measure: Measure::Sum,
        test: Comparison::Single(Operator::Gt, a_day_ago),
        currency: None,
        never: None,
    };
    let mut problems = Vec::new();
    check_node(&Node::Event(sum), "/where", &catalog(), &mut problems);
    let expected = "the measure `sum` is a number, which does not compare with the time `as_of - 1 days`";
    assert_eq!(problems[0].message, expected);
}

#[test]
fn a_day_compares_with_a_plain_day_or_with_one_counted_back_from_as_of() {
    let leaf =
        |value: &str| format!("{{attribute: {{name: joined_on, op: \">=\", value: {value}, missing: exclude}}}}");
    for day in ["2026-06-01", "as_of", "as_of - 3 months", "as_of - 30 days"] {
        assert_eq!(codes(&leaf(day), &catalog()), Vec::<String>::new(), "{day}");
    }
    for other in ["2026-06-01 09:30", "2026-06-01T00:00:00+08:00", "2026-06-01T00:00:00Z", "\"2026-06-01\"", "3"] {
        assert_eq!(codes(&leaf(other), &catalog()), ["/where/attribute/value TYPE_MISMATCH"], "{other}");
    }
    let band = "{attribute: {name: joined_on, op: between, missing: exclude, \
        value: {from: 2026-06-01, to: 2026-06-02 08:00}}}";
    assert_eq!(codes(band, &catalog()), ["/where/attribute/value/to TYPE_MISMATCH"]);
}

#[test]
fn a_clock_time_beside_a_day_is_told_with_what_to_write() {
    let leaf = "{attribute: {name: joined_on, op: \"=\", value: 2026-06-01 09:30, missing: exclude}}";
    let segment = parse_segment(&format!("universe: all\nas_of: latest\nwhere: {leaf}\n")).expect("a segment");
    let problems = check(&segment, &catalog());
    let message = "the attribute `joined_on` is a day, which does not compare with the time `2026-06-01T09:30:00`";
    assert_eq!(problems[0].message, message);
    let hint = "write a plain day such as 2026-06-01, or `as_of - 3 months`, without quotes";
    assert_eq!(problems[0].hint.as_deref(), Some(hint));
}

#[test]
fn a_filter_on_a_day_takes_plain_days_alone() {
    let leaf = |column: &str, value: &str| {
        format!(
            "{{event: [login], filter: {{{column}: [{value}]}}, window: lifetime, measure: count, op: \">=\", value: 1}}"
        )
    };
    assert_eq!(codes(&leaf("due_on", "2026-06-01"), &catalog()), Vec::<String>::new());
    let mismatch = ["/where/filter/due_on/0 TYPE_MISMATCH"];
    assert_eq!(codes(&leaf("due_on", "2026-06-01 09:30"), &catalog()), mismatch);
    assert_eq!(codes(&leaf("due_on", "2026-06-01T00:00:00+08:00"), &catalog()), mismatch);
    assert_eq!(codes(&leaf("paid_at", "2026-06-01 09:30"), &catalog()), Vec::<String>::new());
}

#[test]
fn a_masked_column_is_refused_in_conditions() {
    let masked_columns = vec!["mobile".to_owned(), "properties".to_owned()];
    let masked = Catalog { masked_columns, ..catalog() };
    let attribute = "{attribute: {name: mobile, op: \"=\", value: \"1\", missing: exclude}}";
    assert_eq!(codes(attribute, &masked), ["/where/attribute/name PRIVATE_COLUMN"]);
    assert_eq!(codes(attribute, &catalog()), Vec::<String>::new());
    let event = "{event: [login], window: lifetime, measure: distinct, of: properties, op: \">\", value: 1}";
    assert_eq!(codes(event, &masked), ["/where/of PRIVATE_COLUMN"]);
}

#[test]
fn a_name_means_the_living_tag_and_a_dead_one_is_found_by_id() {
    let found = |tag: TagRef| catalog().resolve(&tag).expect("a tag");
    assert_eq!(found(TagRef::Name("会员等级/VIP".to_owned())), TagId::new("t1"));
    assert_eq!(found(TagRef::Id(TagId::new("t3"))), TagId::new("t3"));
    // The tag was renamed and lives on.
    assert_eq!(found(TagRef::Name("渠道/抖音直播".to_owned())), TagId::new("t6"));
}

#[test]
fn a_former_name_is_told_beside_the_name_of_today_s2() {
    let condition = "{all: [{tag: {any_of: [渠道/抖音直播, 会员等级/VIP], follower: any}}, \
        {not: {same_follower: [{any: [{tag: {none_of: [渠道/抖音直播]}}]}]}}]}";
    let segment = parse_segment(&format!("universe: all\nas_of: latest\nwhere: {condition}\n")).expect("a segment");
    let (written, now) = ("渠道/抖音直播".to_owned(), "渠道/抖音".to_owned());
    let renamed = catalog().renamed_tags(&segment);
    assert_eq!(renamed, [RenamedTag { written, now, tag_id: TagId::new("t6") }]);
    let warning = "the tag `渠道/抖音直播` is called `渠道/抖音` now (its id is `t6`)";
    assert_eq!(renamed[0].to_string(), warning);
}

#[test]
fn only_a_name_that_the_tag_no_longer_bears_is_a_former_one() {
    let renamed = |tag: TagRef| catalog().renamed(&tag);
    let named = |name: &str| renamed(TagRef::Name(name.to_owned()));
    assert_eq!(named("渠道/抖音"), None);
    assert_eq!(renamed(TagRef::Id(TagId::new("t6"))), None);
    // Refused, not renamed: the one is dead, the next ambiguous, the last unknown.
    assert_eq!((named("活动/双11"), named("a/b/c"), named("等级/vip")), (None, None, None));
}

#[test]
fn a_dead_name_is_refused_with_id_and_date() {
    let dead = refusal("活动/双11");
    assert_eq!(dead.code, "TAG_DEAD");
    assert_eq!(dead.message, "`活动/双11` names only what no longer exists: `t3` (until 2026-05-01 00:00 UTC)");
}

#[test]
fn a_name_that_fits_two_tags_is_refused_with_their_ids() {
    let ambiguous = refusal("a/b/c");
    assert_eq!(ambiguous.code, "TAG_AMBIGUOUS");
    assert_eq!(ambiguous.message, "`a/b/c` fits 2 living tags: `t4`, `t5`");
    assert_eq!(ambiguous.hint.as_deref(), Some("name the one you mean by its id: `{id: \"t4\"}` or `{id: \"t5\"}`"));
}

#[test]
fn a_tag_in_another_group_is_named_there() {
    let unknown = refusal("等级/vip");
    assert_eq!(unknown.code, "TAG_UNKNOWN");
    assert_eq!(
        unknown.hint.as_deref(),
        Some("a tag of that name lives in another group: write `会员等级/VIP` or `旧会员/VIP`")
    );
}

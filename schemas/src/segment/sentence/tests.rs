use super::*;
use crate::ids::StaffId;
use crate::segment::parse::parse_segment;

/// The universe and as_of that most cases share.
const EN: &str = "Among customers with at least one active follow, as of the latest snapshot, those for whom";
const ZH: &str = "截至最新快照，在至少有一位有效跟进人的客户中，";

fn said(condition: &str) -> (String, String) {
    let text = format!("universe: followed\nas_of: latest\nwhere: {condition}\n");
    let segment = parse_segment(&text).expect("a segment");
    (english(&segment), chinese(&segment))
}

fn check(condition: &str, expected_english: &str, expected_chinese: &str) {
    let (english, chinese) = said(condition);
    assert_eq!(english, format!("{EN} {expected_english}."));
    assert_eq!(chinese, format!("{ZH}{expected_chinese}。"));
}

#[test]
fn three_adds_in_june_without_payment_s85() {
    let june = "window: {from: 2026-06-01, to: 2026-07-01}, measure: count, op: \">=\"";
    let condition = format!(
        "{{all: [{{event: [add_to_cart], {june}, value: 3}}, {{not: {{event: [pay], {june}, value: 1}}}}, \
         {{not: {{tag: {{any_of: [客户类型/竞对公司], follower: any}}}}}}]}}"
    );
    check(
        &condition,
        "all of the following hold: the number of `add_to_cart` events from 2026-06-01 00:00 (included) to \
         2026-07-01 00:00 (not included) is at least 3 (≥ 3); it is not so that [the number of `pay` events from \
         2026-06-01 00:00 (included) to 2026-07-01 00:00 (not included) is at least 1 (≥ 1)]; and it is not so that \
         [the tag `客户类型/竞对公司` is held on any follower or on the customer]",
        "同时满足以下全部条件的客户：自 2026-06-01 00:00（含）至 2026-07-01 00:00（不含）期间「add_to_cart」事件的\
         次数至少为 3（≥ 3）；\
         不满足【自 2026-06-01 00:00（含）至 2026-07-01 00:00（不含）期间「pay」事件的次数至少为 1（≥ 1）】；\
         不满足【任一跟进人打有标签「客户类型/竞对公司」（含客户级标签）】",
    );
}

#[test]
fn vip_in_the_month_of_birth_s88() {
    check(
        "{all: [{tag: {any_of: [会员等级/VIP], follower: any}}, \
         {attribute: {name: birth_month, op: \"=\", value: as_of.month, missing: exclude}}]}",
        "all of the following hold: the tag `会员等级/VIP` is held on any follower or on the customer; and the attribute \
         `birth_month` equals the calendar month of as_of (= as_of.month), customers without a value being left out",
        "同时满足以下全部条件的客户：任一跟进人打有标签「会员等级/VIP」（含客户级标签）；属性「birth_month」等于\
         截至时点所在的月份（= as_of.month），缺少该值的客户不计入",
    );
}

#[test]
fn no_login_for_three_months_s72() {
    check(
        "{event: [login], window: lifetime, measure: last, op: \"<\", value: as_of - 3 months, never: since_created}",
        "the time of the latest of `login` events at any time before as_of is earlier than as_of minus 3 calendar \
         months (< as_of - 3 months), customers who never had one counting from the time they were created",
        "满足以下条件的客户：截至时点之前的全部时间内最近一次「login」事件的时间早于截至时点前 3 个自然月\
         （< as_of - 3 months），从未有过该事件的客户以其创建时间计",
    );
}

#[test]
fn both_tags_by_one_follower_differ_from_tags_on_any_s83() {
    check(
        "{same_follower: [{tag: {any_of: [人群/备孕阶段]}}, {tag: {any_of: [人群/宠物主人]}}]}",
        "for one and the same follower all of these hold [the tag `人群/备孕阶段` is held; and the tag `人群/宠物主人` \
         is held]",
        "满足以下条件的客户：同一跟进人同时满足【打有标签「人群/备孕阶段」；打有标签「人群/宠物主人」】",
    );
    check(
        "{tag: {all_of: [人群/备孕阶段, 人群/宠物主人], follower: any}}",
        "each of the tags `人群/备孕阶段`, `人群/宠物主人` is held on any follower or on the customer (not necessarily \
         the same one)",
        "满足以下条件的客户：「人群/备孕阶段」、「人群/宠物主人」每个标签都由任一跟进人打上（不必是同一位，含客户级标签）",
    );
}

#[test]
fn tags_of_the_customer_count_beside_those_of_any_follower_alone() {
    let check = |condition: &str, expected_english: &str, expected_chinese: &str| {
        let expected_chinese = format!("满足以下条件的客户：{expected_chinese}");
        check(condition, expected_english, &expected_chinese);
    };
    check(
        "{tag: {none_of: [人群/宠物主人], follower: any}}",
        "the tag `人群/宠物主人` is not held on any follower or on the customer",
        "任一跟进人都未打标签「人群/宠物主人」（含客户级标签）",
    );
    check(
        "{tag: {any_of: [人群/宠物主人], follower: all}}",
        "on every follower the tag `人群/宠物主人` is held",
        "每位跟进人都打有标签「人群/宠物主人」",
    );
    check(
        "{tag: {any_of: [人群/宠物主人], follower: [wang, li]}}",
        "the tag `人群/宠物主人` is held on any follower among `wang`, `li`",
        "指定跟进人（「wang」、「li」）中任一位打有标签「人群/宠物主人」",
    );
}

#[test]
fn a_condition_on_a_follow_is_a_clause_of_its_own() {
    let tag = |name: &str| TagRef::Name(name.to_owned());
    let pets = TagTest::AnyOf(vec![tag("人群/宠物主人"), tag("人群/备孕阶段")]);
    assert_eq!(test_english(&pets), "at least one of the tags `人群/宠物主人`, `人群/备孕阶段` is held");
    let staff = FollowNode::Staff(vec![StaffId::new("wang"), StaffId::new("li")]);
    assert_eq!(follow_node_english(&staff), "the follower is `wang` or `li`");
    let neither = FollowNode::Not(Box::new(FollowNode::Any(vec![FollowNode::Tag(pets), staff])));
    assert_eq!(
        follow_node_english(&neither),
        "it is not so that [at least one of these holds [at least one of the tags `人群/宠物主人`, `人群/备孕阶段` is \
         held; or the follower is `wang` or `li`]]"
    );
}

#[test]
fn a_heading_is_for_what_holds_parts_and_for_nothing_else() {
    let leaf = || Node::Segment("vip".to_owned());
    let headings: [(Node, Option<&str>); 5] = [
        (Node::All(vec![leaf()]), Some("all of")),
        (Node::Any(vec![leaf()]), Some("at least one of")),
        (Node::Not(Box::new(leaf())), Some("not")),
        (Node::SameFollower(Vec::new()), Some("one and the same follower has all of")),
        (leaf(), None),
    ];
    for (node, expected) in headings {
        assert_eq!(heading_english(&node), expected, "{node:?}");
    }
    let staff = || FollowNode::Staff(vec![StaffId::new("wang")]);
    assert_eq!(follow_heading_english(&FollowNode::Not(Box::new(staff()))), Some("not"));
    assert_eq!(follow_heading_english(&FollowNode::Any(vec![staff()])), Some("at least one of"));
    assert_eq!(follow_heading_english(&staff()), None);
}

#[test]
fn a_relative_window_says_both_ends() {
    check(
        "{event: [scan], filter: {at: [\"group\"]}, window: last_30_days, measure: distinct_days, op: \">\", value: 1}",
        "the number of distinct business days with `scan` events whose `at` is `group` in the 30 natural days before \
         as_of's day, from the start of the first (included) to the start of as_of's day (not included), is more than \
         1 (> 1)",
        "满足以下条件的客户：截至日之前的 30 个自然日内，即自首日零点（含）至截至日零点（不含），\
         有「scan」事件（「at」为「group」）的不同自然日天数大于 1（> 1）",
    );
}

#[test]
fn days_that_take_in_today_are_counted_from_today() {
    check(
        "{event: [scan], window: last_30_days, include_today: true, measure: count, op: \">\", value: 1}",
        "the number of `scan` events in the 30 natural days ending with as_of's day, from the start of the first \
         (included) to as_of (not included), is more than 1 (> 1)",
        "满足以下条件的客户：含截至日当天在内的最近 30 个自然日内，即自首日零点（含）至截至时点（不含），\
         「scan」事件的次数大于 1（> 1）",
    );
}

#[test]
fn a_band_and_a_list_say_their_values() {
    check(
        "{any: [{attribute: {name: birth_year, op: between, value: {from: 1990, to: 2000}, missing: include}}, \
         {attribute: {name: city, op: in, value: [\"上海\", \"杭州\"], missing: exclude}}]}",
        "at least one of the following holds: the attribute `birth_year` is at least 1990 and is less than 2000 \
         (≥ 1990 and < 2000), customers without a value being included; or the attribute `city` is one of `上海`, `杭州` (in), \
         customers without a value being left out",
        "满足以下至少一项条件的客户：属性「birth_year」至少为 1990，且小于 2000（≥ 1990 且 < 2000），\
         缺少该值的客户计入；属性「city」为「上海」、「杭州」之一（in），缺少该值的客户不计入",
    );
}

#[test]
fn long_sql_is_cut() {
    let sql = format!("SELECT customer_no\n  FROM customer WHERE {}", "x".repeat(300));
    assert!(sql_shown(&sql).starts_with("SELECT customer_no FROM customer WHERE xxx"));
    assert!(sql_shown(&sql).ends_with("x …"));
}

//! What segments mean, condition by condition, on a corp of a few customers that can be checked by eye.

use std::sync::OnceLock;

use serde_json::json;
use tagmill_query::Definitions;

use crate::harness::Sandbox;
use crate::harness::shop::CsvSource;
use crate::harness::view::{newest, texts, wait_for};

/// `wang` and `li` follow, and tag one customer differently. `c6` is known and followed by nobody, with a tag of its
/// own; `c7` has deleted `wang`.
const FOLLOWS: &str = "\
customer,staff,status
c1,wang,active
c1,li,active
c2,wang,active
c2,li,half
c3,wang,active
c4,wang,active
c4,li,active
c5,li,active
c7,wang,left
";

const HELD: &str = "\
customer,staff,tag
c1,wang,VIP
c1,li,普通
c2,wang,VIP
c2,li,VIP
c3,wang,VIP
c3,wang,宠物主人
c4,wang,VIP
c4,li,宠物主人
c6,,VIP
c7,wang,VIP
";

const CUSTOMERS: &str = "\
id,province,birth_month,created,joined
c1,陕西,6,2025-01-01 00:00:00,2026-05-31
c2,甘肃,2,2025-01-01 00:00:00,2026-06-01
c3,,6,2026-06-10 00:00:00,2026-06-02
c4,陕西,,2025-01-01 00:00:00,
c5,上海,12,,
c6,上海,6,2025-01-01 00:00:00,
c7,,6,2025-01-01 00:00:00,
";

/// Local times of Asia/Shanghai. The corp is read on 2026-06-15 at 02:00.
const EVENTS: &str = "\
id,customer,type,happened,amount
p1,c1,pay,2026-03-01 10:00:00,4999.99
p2,c2,pay,2026-03-01 10:00:00,5000.00
p3,c3,pay,2026-03-01 10:00:00,50000.00
p4,c3,refund,2026-03-05 10:00:00,-0.01
p5,c4,pay,2026-03-01 10:00:00,50000.00
l1,c1,login,2026-06-01 10:00:00,
l2,c2,login,2026-03-15 01:59:59,
l3,c7,login,2025-01-05 00:00:00,
v1,c1,visit,2026-05-31 23:59:59,
v2,c2,visit,2026-06-01 00:00:00,
v3,c3,visit,2026-06-13 23:59:59,
v4,c3,visit,2026-06-14 00:00:00,
v5,c4,visit,2026-06-15 01:00:00,
v6,c5,visit,2026-06-15 02:00:00,
v7,c5,visit,2026-06-14 12:00:00,
v8,c5,visit,2026-06-14 13:00:00,
";

const CORP: CsvSource<'static> = CsvSource {
    name: "corp",
    id_space: "corp",
    taken_at: "2026-06-15 02:00:00",
    files: &[("customers", CUSTOMERS), ("follows", FOLLOWS), ("held", HELD), ("events", EVENTS)],
    tables: &[
        (
            "customer",
            "mode: full\nattributes: {joined_on: date}",
            "SELECT id AS customer_id, province, birth_month, created AS created_at, joined AS joined_on FROM customers",
        ),
        ("follow", "mode: full", "SELECT customer AS customer_id, staff AS staff_id, status FROM follows"),
        ("tag", "mode: full", "SELECT DISTINCT '标签' AS group_name, tag AS tag_name FROM held"),
        (
            "assignment",
            "mode: full",
            "SELECT customer AS customer_id, staff AS staff_id, '标签' AS group_name, tag AS tag_name FROM held",
        ),
        (
            "event",
            "mode: append",
            "\
SELECT
  id AS event_id,
  customer AS customer_id,
  type,
  happened AS occurred_at,
  amount,
  CASE WHEN amount IS NOT NULL THEN 'CNY' END AS currency
FROM events",
        ),
    ],
};

/// The corp, built once; who writes takes a copy.
pub fn corp() -> &'static Sandbox {
    static BUILT: OnceLock<Sandbox> = OnceLock::new();
    BUILT.get_or_init(|| {
        let sandbox = Sandbox::lasting("segments");
        // Who pays, and VIP who pays: one refers to the other.
        let paying = "where: {event: pay, window: lifetime, measure: count, op: \">=\", value: 1}\n";
        sandbox.write("segments/paying.yaml", format!("universe: all\nas_of: latest\n{paying}"));
        sandbox.write("segments/gone.yaml", "universe: lost\nas_of: latest\nwhere: {not: {segment: paying}}\n");
        CORP.ingest(&sandbox);
        sandbox
    })
}

/// Checks who of a universe satisfies conditions, each a line of flow YAML with the numbers of the expected customers.
fn check(universe: &str, cases: &[(&str, &[u8])]) {
    let corp = corp();
    wait_for(|| async {
        let view = newest(&corp.warehouse()).await;
        let names = texts(&view, "SELECT customer_id FROM customer ORDER BY customer_no").await;
        let definitions = Definitions::new(Some(corp.path("segments")));
        for (condition, expected) in cases {
            let document = format!("universe: {universe}\nas_of: latest\nwhere: {condition}\n");
            let loaded = definitions.from_text(&document).unwrap_or_else(|error| panic!("{condition}: {error}"));
            let evaluation = view.evaluate(&loaded).await.unwrap_or_else(|error| panic!("{condition}: {error}"));
            let found: Vec<&str> =
                evaluation.customer_nos().map(|customer| names[customer.0 as usize].as_str()).collect();
            let expected: Vec<String> = expected.iter().map(|number| format!("c{number}")).collect();
            assert_eq!(found, expected, "{universe}: {condition}");
        }
    });
}

#[test]
fn a_customer_tagged_differently_by_two_staff_is_answered_by_what_follower_says() {
    check(
        "followed",
        &[
            ("{tag: {any_of: [标签/VIP], follower: any}}", &[1, 2, 3, 4]),
            ("{tag: {any_of: [标签/VIP], follower: all}}", &[2, 3]),
            ("{tag: {any_of: [标签/VIP], follower: [li]}}", &[2]),
            ("{tag: {any_of: [标签/VIP], follower: [li, wang]}}", &[1, 2, 3, 4]),
            ("{tag: {any_of: [标签/VIP, 标签/普通], follower: all}}", &[1, 2, 3]),
            ("{tag: {all_of: [标签/VIP, 标签/宠物主人], follower: any}}", &[3, 4]),
            ("{tag: {all_of: [标签/VIP, 标签/宠物主人], follower: all}}", &[3]),
            ("{tag: {all_of: [标签/VIP, 标签/宠物主人], follower: [li]}}", &[]),
            ("{tag: {none_of: [标签/VIP], follower: any}}", &[5]),
            ("{tag: {none_of: [标签/VIP], follower: all}}", &[5]),
            ("{tag: {none_of: [标签/宠物主人], follower: [li]}}", &[1, 2, 3, 5]),
        ],
    );
}

#[test]
fn one_and_the_same_follower_has_to_satisfy_every_part() {
    check(
        "followed",
        &[
            ("{same_follower: [{tag: {any_of: [标签/VIP]}}, {tag: {any_of: [标签/宠物主人]}}]}", &[3]),
            ("{same_follower: [{staff: [li]}, {tag: {any_of: [标签/VIP]}}]}", &[2]),
            ("{same_follower: [{tag: {none_of: [标签/VIP]}}]}", &[1, 4, 5]),
            ("{same_follower: [{not: {tag: {any_of: [标签/VIP]}}}]}", &[1, 4, 5]),
            ("{same_follower: [{staff: [wang]}, {tag: {none_of: [标签/宠物主人]}}]}", &[1, 2, 4]),
            ("{same_follower: [{any: [{staff: [li]}, {tag: {all_of: [标签/VIP, 标签/宠物主人]}}]}]}", &[1, 2, 3, 4, 5]),
        ],
    );
}

#[test]
fn the_universe_says_whose_follows_count_and_what_not_is_taken_against() {
    let is_vip = "{tag: {any_of: [标签/VIP], follower: any}}";
    let no_vip = "{not: {tag: {any_of: [标签/VIP], follower: any}}}";
    check("followed", &[(is_vip, &[1, 2, 3, 4]), (no_vip, &[5])]);
    check("all", &[(is_vip, &[1, 2, 3, 4, 6, 7]), (no_vip, &[5])]);
    check("lost", &[(is_vip, &[7]), (no_vip, &[])]);
    // A tag of the customer itself is on no follow, and `all` is false without follows.
    check("all", &[("{tag: {any_of: [标签/VIP], follower: all}}", &[2, 3, 7])]);
}

#[test]
fn bands_hold_their_lower_end_and_not_their_upper_one() {
    let spend = |test: &str| format!("{{event: [pay, refund], window: lifetime, measure: sum, currency: CNY, {test}}}");
    check(
        "followed",
        &[
            (&spend("op: between, value: {from: 5000, to: 50000}"), &[2, 3]),
            (&spend("op: between, value: {from: 50000}"), &[4]),
            (&spend("op: between, value: {to: 5000}"), &[1, 5]),
            (&spend("op: \">\", value: 4999.99"), &[2, 3, 4]),
            (&spend("op: in, value: [0, 49999.99]"), &[3, 5]),
        ],
    );
    check("all", &[("{attribute: {name: birth_month, op: between, value: {from: 2, to: 6}, missing: exclude}}", &[2])]);
}

#[test]
fn a_missing_value_compares_false_and_so_does_its_opposite() {
    let province = |op: &str, missing: &str| {
        format!("{{attribute: {{name: province, op: \"{op}\", value: 陕西, missing: {missing}}}}}")
    };
    check(
        "followed",
        &[
            (&province("=", "exclude"), &[1, 4]),
            (&province("!=", "exclude"), &[2, 5]),
            (&province("=", "include"), &[1, 3, 4]),
            (&province("!=", "include"), &[2, 3, 5]),
            // The complement within the universe, which is another thing.
            (&format!("{{not: {}}}", province("=", "exclude")), &[2, 3, 5]),
            ("{attribute: {name: birth_month, op: \"=\", value: as_of.month, missing: exclude}}", &[1, 3]),
        ],
    );
}

#[test]
fn who_never_did_it_is_what_never_says() {
    let last_login = |never: &str| {
        format!("{{event: login, window: lifetime, measure: last, op: \"<\", value: as_of - 3 months, never: {never}}}")
    };
    // Three calendar months before 2026-06-15 02:00, less a second: c2 is in. c3 came lately, c5 nobody knows when.
    check(
        "followed",
        &[
            (&last_login("include"), &[2, 3, 4, 5]),
            (&last_login("exclude"), &[2]),
            (&last_login("since_created"), &[2, 4]),
        ],
    );
}

#[test]
fn windows_begin_and_end_at_midnight_of_the_business_zone() {
    let visits = |window: &str| format!("{{event: visit, window: {window}, measure: count, op: \">=\", value: 1}}");
    check(
        "followed",
        &[
            (&visits("this_month"), &[2, 3, 5]),
            (&visits("last_month"), &[1]),
            (&visits("last_1_days"), &[3, 5]),
            (&visits("last_1_days, include_today: true"), &[4]),
            (&visits("{from: 2026-06-01, to: 2026-06-14}"), &[2, 3]),
            (&visits("{from: 2026-06-14, to: 2026-06-15}"), &[3, 5]),
            // Up to the instant of the question and not beyond: what happens at that very instant is out.
            (&visits("{from: 2026-06-15, to: 2026-06-16}"), &[4]),
        ],
    );
}

#[test]
fn days_are_counted_by_the_business_calendar() {
    let days = |op: &str| format!("{{event: visit, window: lifetime, measure: distinct_days, op: {op}}}");
    // A second before midnight and midnight are two days; two visits at noon are one.
    check("followed", &[(&days("\"=\", value: 2"), &[3]), (&days("\"=\", value: 1"), &[1, 2, 4, 5])]);
}

#[test]
fn an_attribute_that_is_a_day_is_compared_as_a_day() {
    let joined = |test: &str| format!("{{attribute: {{name: joined_on, {test}, missing: exclude}}}}");
    check(
        "followed",
        &[
            (&joined("op: \"=\", value: 2026-06-01"), &[2]),
            (&joined("op: \"!=\", value: 2026-06-01"), &[1, 3]),
            (&joined("op: \"<\", value: 2026-06-01"), &[1]),
            (&joined("op: \"<=\", value: 2026-06-01"), &[1, 2]),
            (&joined("op: \">\", value: 2026-06-01"), &[3]),
            (&joined("op: \">=\", value: 2026-06-01"), &[2, 3]),
            (&joined("op: in, value: [2026-05-31, 2026-06-02]"), &[1, 3]),
            (&joined("op: between, value: {from: 2026-05-31, to: 2026-06-02}"), &[1, 2]),
            // The question is asked at two o'clock in the morning of the 15th, which is the 14th in UTC.
            (&joined("op: \"=\", value: as_of - 14 days"), &[2]),
        ],
    );
}

#[test]
fn over_no_events_a_count_is_zero() {
    let pays = |test: &str| format!("{{event: pay, window: this_month, measure: count, {test}}}");
    check("followed", &[(&pays("op: \"=\", value: 0"), &[1, 2, 3, 4, 5]), (&pays("op: \">\", value: 0"), &[])]);
}

#[test]
fn a_reference_answers_as_the_segment_it_names() {
    check(
        "followed",
        &[
            ("{segment: paying}", &[1, 2, 3, 4]),
            ("{all: [{segment: paying}, {tag: {any_of: [标签/宠物主人], follower: any}}]}", &[3, 4]),
            ("{not: {segment: paying}}", &[5]),
        ],
    );
    // The one referred to keeps its own universe; what it brings is cut to that of the question.
    check("all", &[("{segment: gone}", &[7]), ("{any: [{segment: gone}, {segment: paying}]}", &[1, 2, 3, 4, 7])]);
    check("followed", &[("{segment: gone}", &[])]);
}

#[test]
fn a_sql_leaf_answers_with_numbers_or_with_ids() {
    check(
        "followed",
        &[
            ("{sql: \"SELECT customer_no FROM event GROUP BY customer_no HAVING count(*) >= 4\"}", &[3]),
            ("{sql: \"SELECT customer_id FROM customer WHERE province = '上海'\"}", &[5]),
            ("{not: {sql: \"SELECT customer_no FROM event WHERE type = 'pay'\"}}", &[5]),
        ],
    );
}

#[test]
fn a_sql_leaf_names_customers_by_bare_ids_and_with_their_space() {
    check(
        "followed",
        &[
            ("{sql: \"SELECT 'corp:c5' AS customer_id\"}", &[5]),
            ("{sql: \"SELECT 'c5' AS customer_id UNION ALL SELECT 'corp:c1' UNION ALL SELECT 'corp:c5'\"}", &[1, 5]),
            ("{sql: \"SELECT 'shop:c5' AS customer_id UNION ALL SELECT 'nobody' UNION ALL SELECT NULL\"}", &[]),
            ("{sql: \"SELECT 'corp' AS id_space, 'c5' AS customer_id\"}", &[5]),
            ("{sql: \"SELECT 'shop' AS id_space, 'c5' AS customer_id\"}", &[]),
        ],
    );
}

#[test]
fn a_sql_leaf_may_end_as_a_statement_ends() {
    let who = "SELECT customer_id FROM customer WHERE province = '上海'";
    check(
        "followed",
        &[
            (&format!("{{sql: \"{who};\"}}"), &[5]),
            (&format!("{{sql: \"{who} -- of Shanghai\"}}"), &[5]),
            (&format!("{{sql: \"{who}; -- of Shanghai\"}}"), &[5]),
            ("{sql: \"SELECT customer_no FROM customer WHERE province = '上海'; \"}", &[5]),
            ("{sql: \"SELECT customer_no FROM follow WHERE staff_id = 'li' ORDER BY customer_no LIMIT 1;\"}", &[1]),
        ],
    );
}

#[test]
fn events_are_read_until_the_instant_of_the_question_at_most() {
    let sandbox = Sandbox::copy_of(corp());
    let expected = "2026-06-14T18:00:00Z";
    sandbox.write("events.csv", format!("{EVENTS}f1,c1,pay,2026-07-01 10:00:00,1.00\n"));
    sandbox.ok(&["ingest", "corp.yaml"]);
    let answer = sandbox.json(&["segment", "count", "segments/paying.yaml", "--format", "json"]);
    assert_eq!((&answer["as_of"], &answer["events_until"]), (&json!(expected), &json!(expected)));
}

#[test]
fn members_are_listed_in_the_order_of_their_numbers_and_as_of_the_day_asked_for() {
    let sandbox = corp();
    let members =
        ["segment", "members", "segments/paying.yaml", "--columns", "customer_id,staff_id", "--format", "json"];
    let owners = json!([
        {"customer_id": "c1", "staff_id": "li"},
        {"customer_id": "c2", "staff_id": "li"},
        {"customer_id": "c3", "staff_id": "wang"},
        {"customer_id": "c4", "staff_id": "li"},
    ]);
    assert_eq!(sandbox.json(&members), owners, "with nothing else to tell by, the first staff id owns a customer");
    let early = ["--as-of", "2026-06-15T02:00", "segment", "count", "segments/paying.yaml", "--format", "json"];
    let answer = sandbox.json(&early);
    assert_eq!((&answer["count"], &answer["universe_count"]), (&json!(4), &json!(7)));
}

//! What successive listings of one or several sources do to what is there: what ends, what is kept although its row was
//! not taken, which tag an assignment means, and who keeps what two sources bring.

use serde_json::json;

use crate::harness::shop::{CsvSource, Table};
use crate::harness::{Answer, Sandbox};

/// When the listings were read, a week apart.
const READINGS: [&str; 3] = ["2026-06-01T00:00:00Z", "2026-06-08T00:00:00Z", "2026-06-15T00:00:00Z"];

const TAGS: &str = "id,group_name,name,made\nt1,会员等级,VIP,2026-04-01\nt2,会员等级,普通,2026-04-01\n";
/// Everybody is followed by `wang` and holds `t1`. There are ten, so that losing one or two is no shrink.
const FOLLOWS: &str = "\
id,staff,added
c0,wang,2026-03-01
c1,wang,2026-03-01
c2,wang,2026-03-01
c3,wang,2026-03-01
c4,wang,2026-03-01
c5,wang,2026-03-01
c6,wang,2026-03-01
c7,wang,2026-03-01
c8,wang,2026-03-01
c9,wang,2026-03-01
";
const HELD: &str = "\
customer,staff,tag,given
c0,wang,t1,
c1,wang,t1,
c2,wang,t1,
c3,wang,t1,
c4,wang,t1,
c5,wang,t1,
c6,wang,t1,
c7,wang,t1,
c8,wang,t1,
c9,wang,t1,
";

const TABLES: [Table<'static>; 4] = [
    ("tag", "mode: full", "SELECT id AS tag_id, group_name, name AS tag_name, made AS created_at FROM tags"),
    ("customer", "mode: full", "SELECT DISTINCT id AS customer_id FROM follows"),
    ("follow", "mode: full", "SELECT id AS customer_id, staff AS staff_id, added AS added_at FROM follows"),
    (
        "assignment",
        "mode: full",
        "SELECT customer AS customer_id, staff AS staff_id, tag AS tag_id, given AS assigned_at FROM held",
    ),
];

/// A source of the corp at one of the readings.
fn source<'s>(
    name: &'s str,
    reading: usize,
    files: &'s [(&'s str, &'s str)],
    tables: &'s [Table<'s>],
) -> CsvSource<'s> {
    CsvSource { name, id_space: "wecom", taken_at: READINGS[reading], files, tables }
}

/// Reads the corp: its tags, its follows and who holds which tag.
fn read(sandbox: &Sandbox, reading: usize, tags: &str, follows: &str, held: &str) -> Answer {
    source("wecom", reading, &[("tags", tags), ("follows", follows), ("held", held)], &TABLES).ingest(sandbox)
}

/// The corp after the first reading.
fn first_read() -> Sandbox {
    Sandbox::made_once("listing", |sandbox| {
        read(sandbox, 0, TAGS, FOLLOWS, HELD);
    })
}

/// Replaces a part of a text that has to be there.
fn with(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "`{from}` is not in {text}");
    text.replace(from, to)
}

/// Who holds no tag.
fn without_tags(sandbox: &Sandbox) -> Vec<String> {
    let sql = "SELECT customer_id FROM customer WHERE customer_no NOT IN (SELECT customer_no FROM held_assignment)";
    sandbox.told(&format!("{sql} ORDER BY customer_id"))
}

/// Whose follow has ended.
fn ended(sandbox: &Sandbox) -> Vec<String> {
    let sql = "SELECT customer_id FROM follow JOIN customer USING (customer_no) WHERE status = 'ended'";
    sandbox.told(&format!("{sql} ORDER BY customer_id"))
}

fn refused(sandbox: &Sandbox) -> Vec<String> {
    sandbox.told("SELECT target || ' ' || code AS refused FROM quarantine ORDER BY refused")
}

#[test]
fn a_row_that_does_not_fit_its_contract_is_listed_all_the_same() {
    let sandbox = first_read();
    let tags = with(TAGS, "t1,会员等级,VIP,2026-04-01", "t1,会员等级,VIP,soon");
    let follows = with(FOLLOWS, "c1,wang,2026-03-01", "c1,wang,long ago");
    let held = with(HELD, "c2,wang,t1,", "c2,wang,t1,yesterday");
    read(&sandbox, 1, &tags, &follows, &held);

    assert_eq!(refused(&sandbox), ["assignment BAD_VALUE", "follow BAD_VALUE", "tag BAD_VALUE"]);
    assert_eq!(sandbox.told("SELECT tag_id FROM tag WHERE valid_to IS NULL ORDER BY tag_id"), ["t1", "t2"]);
    assert!(ended(&sandbox).is_empty(), "{:?}", ended(&sandbox));
    assert!(without_tags(&sandbox).is_empty(), "{:?}", without_tags(&sandbox));

    // What is really no longer listed ends beside it.
    let follows = with(&follows, "c3,wang,2026-03-01\n", "");
    let held = with(&with(&held, "c3,wang,t1,\n", ""), "c4,wang,t1,\n", "");
    read(&sandbox, 2, &tags, &follows, &held).says("1 ended");
    assert_eq!(ended(&sandbox), ["c3"]);
    // An ended follow keeps its last tags.
    assert_eq!(without_tags(&sandbox), ["c4"]);
}

#[test]
fn where_a_row_cannot_be_read_nothing_ends_in_its_table() {
    let sandbox = first_read();
    // One line that is no row, and one that does not say of whom it speaks.
    let held = with(HELD, "c1,wang,t1,\n", "c1,wang\n");
    let follows = with(FOLLOWS, "c2,wang,2026-03-01", ",wang,2026-03-01");
    let answer = read(&sandbox, 1, TAGS, &follows, &held);
    answer.says("note: 1 row of `assignment` could not be read, so nothing was ended");
    answer.says("note: 1 row of `follow` could not be read, so nothing was ended");
    assert!(ended(&sandbox).is_empty(), "{:?}", ended(&sandbox));
    assert!(without_tags(&sandbox).is_empty(), "{:?}", without_tags(&sandbox));

    // Such a reading covered nothing: the tag may have gone before it.
    read(&sandbox, 2, TAGS, FOLLOWS, &with(HELD, "c1,wang,t1,\n", ""));
    assert_eq!(without_tags(&sandbox), ["c1"]);
    let closed = sandbox.told("SELECT seen_after, seen_by FROM assignment_log WHERE op = 'close'");
    assert_eq!(closed, [format!("{} {}", READINGS[0], READINGS[2])]);
}

#[test]
fn a_reading_without_assignments_bounds_none() {
    let sandbox = first_read();
    // The same rows at a later instant: only the source's own state changes.
    source("wecom", 1, &[("tags", TAGS), ("follows", FOLLOWS)], &TABLES[..3]).ingest(&sandbox);
    read(&sandbox, 2, TAGS, FOLLOWS, &format!("{HELD}c4,wang,t2,\n"));
    let opened = sandbox.told("SELECT seen_after, seen_by FROM assignment_log WHERE tag_id = 't2'");
    assert_eq!(opened, [format!("{} {}", READINGS[0], READINGS[2])]);
}

#[test]
fn an_assignment_by_name_means_the_living_tag_of_that_name() {
    let sandbox = Sandbox::new();
    let held = "customer,staff,tag\nc1,wang,VIP\nc2,wang,普通\nc3,wang,金卡\n";
    let [tag, customer, follow, (assignment, mode, select)] = TABLES;
    let named = with(select, "tag AS tag_id, given AS assigned_at", "'会员等级' AS group_name, tag AS tag_name");
    let tables = [tag, customer, follow, (assignment, mode, named.as_str())];
    source("wecom", 0, &[("tags", TAGS), ("follows", FOLLOWS), ("held", held)], &tables).ingest(&sandbox);
    assert_eq!(sandbox.told("SELECT tag_id FROM held_assignment ORDER BY tag_id"), ["t1", "t2"]);
    assert_eq!(refused(&sandbox), ["assignment UNMATCHED_TAG"]);
    let segment = "universe: followed\nas_of: latest\nwhere: {tag: {any_of: [会员等级/VIP], follower: any}}\n";
    sandbox.write("segment.yaml", segment);
    assert_eq!(sandbox.json(&["segment", "count", "segment.yaml", "--format", "json"])["count"], 1);
}

#[test]
fn an_assignment_of_a_tag_id_that_its_source_does_not_list_is_unmatched() {
    let sandbox = Sandbox::new();
    read(&sandbox, 0, TAGS, FOLLOWS, &format!("{HELD}c1,wang,t9,\n"));
    assert_eq!(refused(&sandbox), ["assignment UNMATCHED_TAG"]);
    assert_eq!(sandbox.told("SELECT tag_id FROM tag ORDER BY tag_id"), ["t1", "t2"]);
}

/// A source of the same corp that lists who is followed and who holds which tag, and no tags.
const CRM_TABLES: [Table<'static>; 2] = [
    ("customer", "mode: upsert", "SELECT customer AS customer_id FROM held"),
    ("assignment", "mode: full", "SELECT customer AS customer_id, '会员等级' AS group_name, tag AS tag_name FROM held"),
];

#[test]
fn a_source_that_lists_no_tags_makes_those_of_its_assignments_known() {
    let sandbox = Sandbox::new();
    let held = "customer,tag\nc1,钻石\nc2,钻石\n";
    source("crm", 0, &[("held", held)], &CRM_TABLES).ingest(&sandbox).says("1 new tags");
    let tags = sandbox.told("SELECT tag_id, group_id, group_name, tag_name FROM tag");
    assert_eq!(tags, ["crm:会员等级/钻石 crm:会员等级 会员等级 钻石"]);
    assert_eq!(sandbox.told("SELECT group_id FROM tag_group"), ["crm:会员等级"]);
    assert_eq!(sandbox.told("SELECT tag_id FROM held_assignment"), ["crm:会员等级/钻石"; 2]);

    // The second time it is known.
    source("crm", 1, &[("held", "customer,tag\nc1,钻石\n")], &CRM_TABLES).write(&sandbox);
    sandbox.ok(&["ingest", "crm.yaml", "--accept-shrink"]);
    assert_eq!(sandbox.told("SELECT tag_id FROM tag"), ["crm:会员等级/钻石"]);
    assert_eq!(sandbox.told("SELECT tag_id FROM held_assignment"), ["crm:会员等级/钻石"]);
}

#[test]
fn a_name_means_a_tag_of_another_source_of_the_corp_where_the_source_has_none_itself() {
    let sandbox = first_read();
    source("crm", 1, &[("held", "customer,tag\nc1,VIP\n")], &CRM_TABLES).ingest(&sandbox);
    assert_eq!(sandbox.told("SELECT tag_id FROM held_assignment WHERE source = 'crm'"), ["t1"]);
    assert_eq!(sandbox.told("SELECT tag_id FROM tag ORDER BY tag_id"), ["t1", "t2"]);
}

#[test]
fn what_another_source_holds_is_refused_and_stays_as_it_is() {
    let sandbox = first_read();
    let tables = [
        ("tag", "mode: full", "SELECT id AS tag_id, '会员等级' AS group_name, name AS tag_name FROM tags"),
        ("follow", "mode: full", "SELECT id AS customer_id, staff AS staff_id FROM follows"),
    ];
    let files = [("tags", "id,name\nt1,renamed\nt7,金卡\n"), ("follows", "id,staff\nc1,wang\nc1,li\n")];
    let answer = source("hr", 1, &files, &tables).ingest(&sandbox);
    answer.says("tag (full)     2 mapped = 1 accepted + 1 rejected");
    answer.says("follow (full)  2 mapped = 1 accepted + 1 rejected");
    assert_eq!(refused(&sandbox), ["follow HELD_BY_OTHER_SOURCE", "tag HELD_BY_OTHER_SOURCE"]);
    let tags = sandbox.told("SELECT tag_id, tag_name, source FROM tag ORDER BY tag_id");
    assert_eq!(tags, ["t1 VIP wecom", "t2 普通 wecom", "t7 金卡 hr"]);
    let sql = "SELECT staff_id, follow.source FROM follow JOIN customer USING (customer_no) WHERE customer_id = 'c1'";
    assert_eq!(sandbox.told(&format!("{sql} ORDER BY staff_id")), ["li hr", "wang wecom"]);
}

#[test]
fn a_tag_that_ended_and_comes_back_keeps_its_former_row() {
    let sandbox = first_read();
    read(&sandbox, 1, &with(TAGS, "t2,会员等级,普通,2026-04-01\n", ""), FOLLOWS, HELD);
    read(&sandbox, 2, TAGS, FOLLOWS, HELD);
    let rows = sandbox.told("SELECT valid_from, valid_to FROM tag WHERE tag_id = 't2' ORDER BY valid_from");
    assert_eq!(rows, [format!("{} {}", READINGS[0], READINGS[1]), format!("{} null", READINGS[2])]);
}

#[test]
fn staff_are_dated_by_the_department_that_they_belong_to() {
    let sandbox = Sandbox::new();
    let tables = [("staff", "mode: full", "SELECT id AS staff_id, department AS department_id FROM staff")];
    for (reading, staff) in ["id,department\nli,d1\nwang,d1\n", "id,department\nli,d2\n"].into_iter().enumerate() {
        source("hr", reading, &[("staff", staff)], &tables).ingest(&sandbox);
    }
    let sql = "SELECT staff_id, department_id, valid_from, valid_to FROM staff ORDER BY staff_id, valid_from";
    let [first, second, _] = READINGS;
    let expected =
        [format!("li d1 {first} {second}"), format!("li d2 {second} null"), format!("wang d1 {first} {second}")];
    assert_eq!(sandbox.told(sql), expected);
}

#[test]
fn of_a_repeated_assignment_the_latest_stays_and_the_other_is_kept_with_its_line() {
    let sandbox = Sandbox::new();
    let held = "customer,staff,tag,given\nc1,wang,t1,2026-05-01 08:00:00\nc1,wang,t1,2026-05-02 08:00:00\n\
                c1,wang,t1,2026-05-02 08:00:00\n";
    read(&sandbox, 0, TAGS, FOLLOWS, held);
    assert_eq!(sandbox.told("SELECT assigned_at FROM held_assignment"), ["2026-05-02T00:00:00Z"]);
    let rows = sandbox.told("SELECT line, code FROM quarantine ORDER BY line");
    assert_eq!(rows, ["2 KEY_CONFLICT", "4 DUPLICATE"]);
    let raw = sandbox.sql("SELECT raw FROM quarantine WHERE line = 2");
    assert!(raw[0]["raw"].as_str().unwrap().contains("2026-05-01T00:00:00Z"), "{raw:?}");
}

#[test]
fn a_column_of_two_sources_needs_two_different_priorities() {
    let sandbox = Sandbox::new();
    let people = [("people", "id,city\nc1,上海\n")];
    let write = |name: &str, reading: usize, priority: u32| {
        let keys = format!("mode: upsert\npriority: {priority}");
        let tables = [("customer", keys.as_str(), "SELECT id AS customer_id, city FROM people")];
        source(name, reading, &people, &tables).write(&sandbox);
    };
    write("wecom", 0, 5);
    sandbox.ok(&["ingest", "wecom.yaml"]);
    write("crm", 1, 5);
    let refused = sandbox.fails(1, &["ingest", "crm.yaml"]);
    refused.says("`customer.city` is filled by the source `wecom` too, with the same `priority: 5`").says("hint: ");
    write("crm", 1, 6);
    sandbox.ok(&["ingest", "crm.yaml"]);
}

#[test]
fn an_amount_with_more_than_four_places_is_refused_and_not_rounded() {
    let sandbox = Sandbox::new();
    let tables = [
        ("customer", "mode: upsert", "SELECT DISTINCT customer AS customer_id FROM orders"),
        (
            "event",
            "mode: append",
            "SELECT id AS event_id, customer AS customer_id, 'pay' AS type, '2026-05-01' AS occurred_at, amount FROM orders",
        ),
    ];
    let orders = "id,customer,amount\no1,c1,1.23456\no2,c1,1.23450\n";
    source("shop", 0, &[("orders", orders)], &tables).ingest(&sandbox);
    assert_eq!(sandbox.sql("SELECT event_id, amount FROM event"), [json!({"event_id": "o2", "amount": "1.2345"})]);
    let reasons = sandbox.told("SELECT reason FROM quarantine");
    assert_eq!(reasons, ["`1.23456` has more than 4 places after the point for `amount`"]);
}

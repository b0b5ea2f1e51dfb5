//! Whose an event is: by which keys a source may name the person, what waits until the person is known, and what is never
//! guessed.

use serde_json::json;

use crate::harness::shop::{CsvSource, Table};
use crate::harness::{Answer, Sandbox, files_below};
use crate::ingest::report_of;

/// When the sources were read, a week apart.
const READINGS: [&str; 4] =
    ["2026-06-01T00:00:00Z", "2026-06-08T00:00:00Z", "2026-06-15T00:00:00Z", "2026-06-22T00:00:00Z"];

/// What a line of the shop may say of the person.
const KEYS: [&str; 7] = ["customer", "unionid", "mobile", "sha256", "md5", "platform", "platform_id"];

const CUSTOMER_TABLE: Table<'static> =
    ("customer", "mode: upsert", "SELECT id AS customer_id, unionid, mobile FROM people");

const EVENT_TABLE: Table<'static> = (
    "event",
    "mode: append\nproperties: {note: {type: text, private: true}, is_first: bool}",
    "\
SELECT
  id AS event_id,
  customer AS customer_id,
  unionid,
  mobile,
  sha256 AS mobile_sha256,
  md5 AS mobile_md5,
  platform,
  platform_id,
  'pay' AS type,
  paid_at AS occurred_at,
  amount,
  'CNY' AS currency,
  note,
  is_first
FROM orders",
);

const ID_MAP_TABLE: Table<'static> = (
    "id_map",
    "mode: upsert",
    "SELECT 'douyin' AS platform, open_id AS platform_id, customer AS customer_id FROM links",
);

/// Two of them share a mobile number.
const PEOPLE: &str = "\
id,unionid,mobile
c1,u1,13800138001
c2,u2,+86 138-0013-8002
c3,,008613800138003
c4,u4,13800138003
c5,,
";

/// SHA-256 and MD5 of `13800138002`.
const SHA256_OF_C2: &str = "BB63166DEEBE61D290485BFE19DD2CD97A4BBBE0ED3FA62044DD595F59C0CE53";
const MD5_OF_C2: &str = "392ce09321418d1b02f105334120923d";

/// Writes a source of the corp at one of the readings.
fn write_source(sandbox: &Sandbox, name: &str, reading: usize, files: &[(&str, &str)], tables: &[Table<'_>]) {
    CsvSource { name, id_space: "wecom", taken_at: READINGS[reading], files, tables }.write(sandbox);
}

/// Reads customers.
fn read_people(sandbox: &Sandbox, reading: usize, people: &str) -> Answer {
    write_source(sandbox, "wecom", reading, &[("people", people)], &[CUSTOMER_TABLE]);
    sandbox.ok(&["ingest", "wecom.yaml"])
}

/// A folder in which the customers have been read.
fn with_people() -> Sandbox {
    Sandbox::made_once("identity", |sandbox| {
        read_people(sandbox, 0, PEOPLE);
    })
}

/// Reads who is who on another platform.
fn read_links(sandbox: &Sandbox, reading: usize, links: &str) -> Answer {
    write_source(sandbox, "douyin", reading, &[("links", links)], &[ID_MAP_TABLE]);
    sandbox.ok(&["ingest", "douyin.yaml"])
}

/// A line of the shop.
fn order(id: &str, keys: &[(&str, &str)]) -> String {
    assert!(keys.iter().all(|(name, _)| KEYS.contains(name)), "{keys:?}");
    let cells = KEYS.map(|key| keys.iter().find(|(name, _)| *name == key).map_or("", |(_, value)| *value));
    format!("{id},{},2026-05-01 10:00:00.000001,12.3400,\"of \"\"{id}\"\"\",true\n", cells.join(","))
}

/// A file of the shop.
fn orders(lines: &[String]) -> String {
    format!("id,{},paid_at,amount,note,is_first\n{}", KEYS.join(","), lines.concat())
}

/// Writes the shop.
fn write_orders(sandbox: &Sandbox, reading: usize, lines: &[String]) {
    write_source(sandbox, "shop", reading, &[("orders", orders(lines).as_str())], &[EVENT_TABLE]);
}

/// Reads the shop.
fn read_orders(sandbox: &Sandbox, reading: usize, lines: &[String]) -> Answer {
    write_orders(sandbox, reading, lines);
    sandbox.ok(&["ingest", "shop.yaml"])
}

/// Every event with its customer.
fn whose(sandbox: &Sandbox) -> Vec<String> {
    sandbox.told("SELECT event_id, customer_id FROM event JOIN customer USING (customer_no) ORDER BY event_id")
}

fn waiting(sandbox: &Sandbox) -> Vec<String> {
    sandbox.told("SELECT event_id FROM unmatched_event ORDER BY event_id")
}

fn refused(sandbox: &Sandbox) -> Vec<String> {
    sandbox.told("SELECT line, code, reason FROM quarantine ORDER BY run, line")
}

#[test]
fn each_key_finds_its_customer() {
    let sandbox = with_people();
    read_links(&sandbox, 0, "open_id,customer\nd5,c5\n");
    let lines = [
        order("o1", &[("customer", "c1")]),
        order("o2", &[("unionid", "u2")]),
        order("o3", &[("mobile", "(+86) 138 0013 8001")]),
        order("o4", &[("sha256", SHA256_OF_C2)]),
        order("o5", &[("md5", MD5_OF_C2)]),
        order("o6", &[("platform", "douyin"), ("platform_id", "d5")]),
        // One key that is known is enough, and several may say the same.
        order("o7", &[("customer", "nobody"), ("unionid", "u1")]),
        order("o8", &[("customer", "c2"), ("mobile", "１３８００１３８００２"), ("md5", MD5_OF_C2)]),
    ];
    let answer = read_orders(&sandbox, 1, &lines);
    answer.says("8 mapped = 8 accepted + 0 rejected + 0 duplicate + 0 unmatched; 8 new");
    assert_eq!(whose(&sandbox), ["o1 c1", "o2 c2", "o3 c1", "o4 c2", "o5 c2", "o6 c5", "o7 c1", "o8 c2"]);
}

#[test]
fn keys_that_come_in_the_same_run_are_known_in_it() {
    let sandbox = Sandbox::new();
    let lines = [
        order("o1", &[("unionid", "u1")]),
        order("o2", &[("mobile", "13800138002")]),
        order("o3", &[("platform", "douyin"), ("platform_id", "d5")]),
    ];
    let orders = orders(&lines);
    let files = [("people", PEOPLE), ("links", "open_id,customer\nd5,c5\n"), ("orders", orders.as_str())];
    write_source(&sandbox, "shop", 0, &files, &[CUSTOMER_TABLE, ID_MAP_TABLE, EVENT_TABLE]);
    // A dry run stages nothing that could be asked.
    let dry = sandbox.ok(&["ingest", "shop.yaml", "--dry-run"]);
    dry.says("3 mapped = 3 accepted + 0 rejected + 0 duplicate + 0 unmatched; 3 new");
    sandbox.ok(&["ingest", "shop.yaml"]);
    assert_eq!(whose(&sandbox), ["o1 c1", "o2 c2", "o3 c5"]);
}

#[test]
fn an_event_that_could_be_that_of_two_customers_is_listed_and_not_guessed() {
    let sandbox = with_people();
    let mut lines = vec![
        order("o1", &[("unionid", "u1"), ("mobile", "13800138002")]),
        order("o2", &[("mobile", "13800138003")]),
        order("o3", &[("customer", "c3"), ("mobile", "13800138003")]),
    ];
    read_orders(&sandbox, 1, &lines).says("3 mapped = 0 accepted + 3 rejected + 0 duplicate + 0 unmatched");
    let expected = [
        "2 IDENTITY_CONFLICT `unionid` and `mobile` name two different customers",
        "3 IDENTITY_CONFLICT `mobile` fits several customers",
        "4 IDENTITY_CONFLICT `mobile` fits several customers",
    ];
    assert_eq!(refused(&sandbox), expected);
    assert_eq!((whose(&sandbox).len(), waiting(&sandbox).len()), (0, 0));

    // What was refused is no repeat: once the customers are told apart, the same lines are taken.
    read_people(&sandbox, 2, &PEOPLE.replace("c4,u4,13800138003", "c4,u4,13900139000"));
    lines.push(order("o4", &[("unionid", "u4")]));
    read_orders(&sandbox, 3, &lines).says("4 mapped = 3 accepted + 1 rejected + 0 duplicate + 0 unmatched; 3 new");
    assert_eq!(whose(&sandbox), ["o2 c3", "o3 c3", "o4 c4"]);
}

#[test]
fn an_event_waits_until_a_later_run_of_any_source_brings_its_person() {
    let sandbox = Sandbox::new();
    let mut lines = vec![
        order("o1", &[("unionid", "u9")]),
        order("o2", &[("md5", MD5_OF_C2)]),
        order("o3", &[("customer", "c9")]),
        order("o4", &[("platform", "douyin"), ("platform_id", "d9")]),
    ];
    let answer = read_orders(&sandbox, 0, &lines);
    answer.says("4 mapped = 0 accepted + 0 rejected + 0 duplicate + 4 unmatched");
    assert_eq!(waiting(&sandbox), ["o1", "o2", "o3", "o4"]);
    assert!(refused(&sandbox).is_empty(), "{:?}", refused(&sandbox));
    sandbox.ok(&["ingest", "shop.yaml"]).says("nothing new");

    let people = "id,unionid,mobile\nc9,u9,13800138002\n";
    write_source(&sandbox, "wecom", 1, &[("people", people)], &[CUSTOMER_TABLE]);
    let before = files_below(&sandbox.warehouse());
    sandbox.ok(&["ingest", "wecom.yaml", "--dry-run"]).says("note: 3 of 4 waiting events found their customer");
    assert_eq!(files_below(&sandbox.warehouse()), before);
    sandbox.ok(&["ingest", "wecom.yaml"]).says("note: 3 of 4 waiting events found their customer");
    assert_eq!(whose(&sandbox), ["o1 c9", "o2 c9", "o3 c9"]);
    assert_eq!(waiting(&sandbox), ["o4"]);
    let columns = "source, type, occurred_at, ingested_at, amount, currency, note, is_first";
    let expected = json!({
        "source": "shop",
        "type": "pay",
        "occurred_at": "2026-05-01T02:00:00.000001Z",
        "ingested_at": READINGS[1],
        "amount": "12.3400",
        "currency": "CNY",
        "note": "of \"o2\"",
        "is_first": true,
    });
    assert_eq!(sandbox.sql(&format!("SELECT {columns} FROM event WHERE event_id = 'o2'")), [expected]);

    // What waits and what waited is known when it comes again.
    lines.push(order("o5", &[("customer", "c9")]));
    let answer = read_orders(&sandbox, 2, &lines);
    answer.says("5 mapped = 5 accepted + 0 rejected + 0 duplicate + 0 unmatched; 1 new; 4 known");
    answer.says("note: 0 of 1 waiting events found their customer");
    assert_eq!(waiting(&sandbox), ["o4"]);

    read_links(&sandbox, 3, "open_id,customer\nd9,c9\n").says("note: 1 of 1 waiting events found their customer");
    assert_eq!(whose(&sandbox), ["o1 c9", "o2 c9", "o3 c9", "o4 c9", "o5 c9"]);
    assert!(waiting(&sandbox).is_empty(), "{:?}", waiting(&sandbox));

    // An event that waited has the content that it came with.
    lines.push(order("o6", &[("customer", "c9")]));
    let answer = read_orders(&sandbox, 3, &lines);
    answer.says("6 mapped = 6 accepted + 0 rejected + 0 duplicate + 0 unmatched; 1 new; 5 known");
    assert!(!answer.stderr.contains("waiting"), "{answer:?}");
}

#[test]
fn a_run_that_brings_the_person_says_how_many_events_had_waited() {
    let sandbox = Sandbox::new();
    let orders = orders(&[order("o1", &[("mobile", "13900139000")])]);
    for (reading, person, words) in [
        (0, "c8,u8,", "1 mapped = 0 accepted + 0 rejected + 0 duplicate + 1 unmatched"),
        (1, "c9,u9,13900139000", "1 mapped = 1 accepted + 0 rejected + 0 duplicate + 0 unmatched; 1 known; 1 waited"),
    ] {
        let people = format!("id,unionid,mobile\n{person}\n");
        let files = [("people", people.as_str()), ("orders", orders.as_str())];
        write_source(&sandbox, "shop", reading, &files, &[CUSTOMER_TABLE, EVENT_TABLE]);
        sandbox.ok(&["ingest", "shop.yaml"]).says(words);
    }
    assert_eq!(whose(&sandbox), ["o1 c9"]);
}

#[test]
fn an_outside_id_waits_for_a_customer_of_its_own_space() {
    let sandbox = Sandbox::new();
    write_orders(&sandbox, 0, &[order("o1", &[("customer", "c1")])]);
    sandbox.write("shop.yaml", sandbox.read("shop.yaml").replace("id_space: wecom", "id_space: shop"));
    sandbox.ok(&["ingest", "shop.yaml"]);
    read_people(&sandbox, 1, PEOPLE).says("note: 0 of 1 waiting events found their customer");
    assert_eq!(sandbox.told("SELECT id_space, customer_id FROM unmatched_event"), ["shop c1"]);
}

#[test]
fn a_waiting_event_is_told_from_a_repeat_and_from_another_of_its_id() {
    let sandbox = Sandbox::new();
    let line = order("o1", &[("unionid", "u1")]);
    let answer = read_orders(&sandbox, 0, &[line.clone(), line.clone(), line.replace("12.3400", "12.3500")]);
    answer.says("3 mapped = 0 accepted + 1 rejected + 1 duplicate + 1 unmatched");
    read_orders(&sandbox, 1, &[line.replace("12.3400", "12.3600"), order("o2", &[("unionid", "u1")])]);
    let codes = sandbox.told("SELECT run, line, code FROM quarantine ORDER BY run, line");
    assert_eq!(codes, ["1 3 DUPLICATE", "1 4 EVENT_ID_CONFLICT", "2 2 EVENT_ID_CONFLICT"]);
    read_people(&sandbox, 2, PEOPLE).says("note: 2 of 2 waiting events found their customer");
    assert_eq!(sandbox.told("SELECT amount FROM event WHERE event_id = 'o1'"), ["12.3400"]);
}

#[test]
fn a_waiting_event_that_comes_to_fit_two_customers_goes_into_quarantine_with_its_line() {
    let sandbox = Sandbox::new();
    let lines = [order("o1", &[("unionid", "u1"), ("mobile", "13800138002")]), order("o2", &[("unionid", "u9")])];
    read_orders(&sandbox, 0, &lines);
    let answer = read_people(&sandbox, 1, PEOPLE);
    answer.says("note: 0 of 2 waiting events found their customer; 1 fit several and went into quarantine");
    answer.says("event IDENTITY_CONFLICT  1");
    let kept = sandbox.sql("SELECT source, run, target, right(file, 10) AS file, line, code FROM quarantine");
    let expected = json!({
        "source": "shop", "run": 2, "target": "event", "file": "orders.csv", "line": 2, "code": "IDENTITY_CONFLICT",
    });
    assert_eq!(kept, [expected]);
    assert_eq!((whose(&sandbox).len(), waiting(&sandbox)), (0, vec!["o2".to_owned()]));
}

#[test]
fn an_event_that_names_nobody_is_rejected() {
    let sandbox = with_people();
    let lines = [
        order("o1", &[]),
        order("o2", &[("platform", "douyin")]),
        order("o3", &[("mobile", "138****8001")]),
        order("o4", &[("sha256", MD5_OF_C2)]),
        // Where another key is good, an unreadable number does no harm.
        order("o5", &[("customer", "c1"), ("mobile", "138****8001")]),
    ];
    read_orders(&sandbox, 1, &lines).says("5 mapped = 1 accepted + 4 rejected + 0 duplicate + 0 unmatched");
    let all = "`customer_id`, `unionid`, `mobile`, `mobile_sha256`, `mobile_md5`, `platform`, `platform_id`";
    let expected = [
        format!("2 MISSING_VALUE {all} are missing"),
        format!("3 MISSING_VALUE {all} are missing"),
        "4 BAD_VALUE the value is no mobile number for `mobile`".to_owned(),
        "5 BAD_VALUE the value is no hash of a mobile number for `mobile_sha256`".to_owned(),
    ];
    assert_eq!(refused(&sandbox), expected);
    assert_eq!(whose(&sandbox), ["o5 c1"]);
}

#[test]
fn a_select_that_cannot_say_whose_an_event_is_is_refused() {
    let sandbox = Sandbox::new();
    let select = "SELECT id AS event_id, platform_id, 'pay' AS type, paid_at AS occurred_at FROM orders";
    let orders = orders(&[order("o1", &[])]);
    write_source(&sandbox, "shop", 0, &[("orders", orders.as_str())], &[("event", "mode: append", select)]);
    let refused = sandbox.fails(1, &["ingest", "shop.yaml"]);
    refused.says("the SELECT for `event` does not say whose each row is");
    refused.says("hint: add `… AS customer_id` to it, or");
}

#[test]
fn a_property_cannot_bear_the_name_of_a_key() {
    let sandbox = Sandbox::new();
    write_orders(&sandbox, 0, &[]);
    sandbox.write("shop.yaml", sandbox.read("shop.yaml").replace("is_first: bool", "mobile: text"));
    sandbox.fails(1, &["ingest", "shop.yaml"]).says("`mobile` cannot be declared");
}

/// Invariant 8.
#[test]
fn every_event_is_taken_waits_or_is_kept_with_its_reason() {
    let sandbox = with_people();
    let lines = [
        order("o1", &[("mobile", "13800138001")]),
        order("o1", &[("mobile", "13800138001")]),
        order("o2", &[("mobile", "13800138003")]),
        order("o3", &[("mobile", "13900139000")]),
        order("o4", &[]),
        order("o5", &[("unionid", "u1")]).replace("2026-05-01", "2026-05-32"),
    ];
    write_orders(&sandbox, 1, &lines);
    let report = report_of(&sandbox, "shop.yaml");
    let event = report.tables.iter().find(|table| table.table == "event").unwrap();
    assert_eq!((event.mapped, event.accepted, event.rejected, event.duplicate, event.unmatched), (6, 1, 3, 1, 1));
    assert!(event.adds_up(), "{event:?}");
    let kept: u64 = report.refused.iter().map(|(.., count)| count).sum();
    assert_eq!(kept, event.rejected + event.duplicate);
    assert_eq!((sandbox.row_counts(2)["event"], sandbox.row_counts(2)["unmatched_event"]), (1, 1));
    assert_eq!(sandbox.row_counts(2)["quarantine"], kept);
}

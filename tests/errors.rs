//! Bad input: every message is a text in `tests/snapshots`, with its hint and its exit code, and nothing is lost by it.
//!
//! Exit codes: 1 failed, 2 wrong usage, 3 refused by a guard or policy.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use crate::harness::corp::corp;
use crate::harness::shop::{CUSTOMERS, ORDERS, SOURCE, ingested_shop, shop};
use crate::harness::{Answer, Sandbox};

/// Compares a failing call with its snapshot, and checks how it ended.
fn check(sandbox: &Sandbox, code: i32, name: &str, args: &[&str]) {
    let answer = sandbox.check(name, args);
    assert_eq!(answer.code, Some(code), "{name}");
    assert!(code == 0 || !answer.stderr.contains("internal error"), "{name} is told as a fault of ours: {answer:?}");
}

/// A shop whose source says something else.
fn shop_saying(from: &str, to: &str) -> Sandbox {
    let source = SOURCE.replace(from, to);
    assert_ne!(source, SOURCE, "the source does not say `{from}`");
    let sandbox = shop();
    sandbox.write("shop.yaml", source);
    sandbox
}

/// A shop with another file.
fn shop_with(file: &str, content: impl AsRef<[u8]>) -> Sandbox {
    let sandbox = shop();
    sandbox.write(file, content);
    sandbox
}

const INGEST: [&str; 2] = ["ingest", "shop.yaml"];

#[test]
fn a_missing_file_is_told_with_what_lies_near() {
    check(&shop_saying("customers.csv", "custmers.csv"), 1, "error_missing_file", &INGEST);
    check(&shop(), 1, "error_missing_source", &["ingest", "shp.yaml"]);
}

#[test]
fn a_wrong_column_is_told_with_the_columns_that_there_are() {
    let select = "SELECT id AS customer_id, name, city, birth_month FROM customers";
    check(
        &shop_saying(select, "SELECT id AS customer_id, town AS city FROM customers"),
        1,
        "error_wrong_column",
        &INGEST,
    );
    let capital = shop_saying(select, "SELECT CustomerID AS customer_id FROM customers");
    capital.write("customers.csv", "CustomerID\n1\n");
    check(&capital, 1, "error_column_with_capitals", &INGEST);
    check(&shop_saying("name, city", "name, city AS ctiy"), 1, "error_column_unknown", &INGEST);
    check(&shop_saying("id AS customer_id, ", ""), 1, "error_column_missing", &INGEST);
}

#[test]
fn broken_yaml_is_told_with_its_place() {
    check(&shop_saying("{path: orders.csv}", "{path: orders.csv"), 1, "error_broken_yaml", &INGEST);
}

#[test]
fn every_problem_of_a_source_is_told_at_once() {
    let sandbox = shop_with(
        "shop.yaml",
        "name: my:shop\nkind: files\ntime_zone: Asia/Shangai\ntaken_at: 2026-02-30\nfile: {}\nfiles:\n  \
         customers: {path: customers.csv, delimiter: \";;\"}\ntables:\n  custmer: {mode: full, select: SELECT 1}\n  \
         event: {mode: full, select: SELECT 1}\n",
    );
    check(&sandbox, 1, "error_problems_of_a_source", &INGEST);
    check(&shop_saying("kind: files", "kind: wecom"), 2, "error_kind_not_yet", &INGEST);
}

#[test]
fn a_select_that_writes_is_refused() {
    let select = "SELECT id AS customer_id, name, city, birth_month FROM customers";
    for (name, statement) in [
        ("error_select_drops", "DROP TABLE customers"),
        ("error_select_inserts", "INSERT INTO customers SELECT * FROM customers"),
        ("error_select_copies", "COPY customers TO 'stolen.csv'"),
    ] {
        let sandbox = shop_saying(select, statement);
        check(&sandbox, 3, name, &INGEST);
        assert!(!sandbox.path("stolen.csv").exists());
    }
}

/// Runs a shop of which some rows cannot be taken: the run and the quarantine are told.
fn check_quarantine(sandbox: &Sandbox, name: &str) {
    check(sandbox, 0, &format!("error_{name}"), &INGEST);
    check(sandbox, 0, &format!("error_{name}_kept"), &["quarantine", "list", "--rows"]);
}

#[test]
fn bad_dates_cost_their_rows_and_are_kept_with_line_and_reason() {
    let bad = "b1,c1,2026-02-30 10:00:00,1.00\nb2,c1,soon,1.00\nb3,c1,,1.00\nb4,c1,12/31/2026,1.00\n";
    check_quarantine(&shop_with("orders.csv", format!("{ORDERS}{bad}")), "bad_dates");
}

#[test]
fn a_line_of_ten_megabytes_costs_its_row() {
    let long = format!("c6,{},北京,1\nc7,Feng,北京,1\n", "x".repeat(10 * 1024 * 1024));
    let sandbox = shop_with("customers.csv", format!("{CUSTOMERS}{long}"));
    check_quarantine(&sandbox, "long_line");
    assert_eq!(sandbox.row_counts(1)["customer"], 6, "what stands behind the long line was read");
}

#[test]
fn invalid_utf8_costs_its_row_and_another_encoding_stops_the_run() {
    let broken = [CUSTOMERS.as_bytes(), b"c6,\xff\xfe,Paris,1\nc7,Feng,Paris,1\n"].concat();
    let sandbox = shop_with("customers.csv", broken);
    check_quarantine(&sandbox, "invalid_utf8");
    assert_eq!(sandbox.row_counts(1)["customer"], 6);
    let gb18030 = b"\xb1\xe0\xba\xc5,\xd0\xd5\xc3\xfb\n1,\xc0\xee\n";
    check(&shop_with("customers.csv", gb18030), 1, "error_gb18030", &INGEST);
}

#[test]
fn duplicate_ids_are_told_apart_from_conflicts() {
    let customers = format!("{CUSTOMERS}c1,Li,上海,5\nc2,Wang,南京,11\n");
    let sandbox = shop_with("customers.csv", customers);
    sandbox.write("orders.csv", format!("{ORDERS}o1,c1,2026-05-01 10:00:00,100.00\no2,c1,2026-05-31 23:59:59,1.00\n"));
    check_quarantine(&sandbox, "duplicate_ids");
}

#[test]
fn a_damaged_archive_stops_the_run() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(CUSTOMERS.as_bytes()).unwrap();
    let whole = encoder.finish().unwrap();
    check(&shop_with("customers.csv", &whole[..whole.len() / 2]), 1, "error_damaged_gzip", &INGEST);
}

#[test]
fn an_emptied_source_is_explained() {
    let sandbox = ingested_shop();
    sandbox.write("customers.csv", "id,name,city,birth_month\nc1,Li,上海,5\n");
    check(&sandbox, 3, "error_shrunk_source", &INGEST);
}

#[test]
fn whatever_fails_leaves_the_snapshot_before() {
    let sandbox = ingested_shop();
    let fails = |file: &str, content: &[u8], kept: &str| {
        sandbox.write(file, content);
        let answer = sandbox.run(&INGEST);
        assert!(matches!(answer.code, Some(1..=3)), "{answer:?}");
        sandbox.write(file, kept);
    };
    fails("customers.csv", b"\xff\xfei\0d\0", CUSTOMERS);
    fails("customers.csv", b"", CUSTOMERS);
    fails("orders.csv", b"another,header\n1,2\n", ORDERS);
    fails("shop.yaml", b"name: [", SOURCE);
    fails("shop.yaml", SOURCE.replace("amount,", "CAST(customer AS INT) AS amount,").as_bytes(), SOURCE);
    assert_eq!(sandbox.snapshot_ids(), [1]);
    assert_eq!(sandbox.sql("SELECT count(city) AS cities FROM customer"), [json!({"cities": 4})]);
    assert_eq!(sandbox.sql("SELECT count(event_id) AS events FROM event"), [json!({"events": 6})]);
    sandbox.ok(&INGEST).says("nothing new");
}

/// A segment that is asked of the sample corp.
fn check_segment(code: i32, name: &str, condition: &str) {
    let sandbox = Sandbox::copy_of(corp());
    sandbox.write("asked.yaml", format!("universe: followed\nas_of: latest\nwhere:\n{condition}"));
    check(&sandbox, code, name, &["segment", "count", "asked.yaml"]);
}

#[test]
fn an_unknown_tag_is_told_with_those_that_look_like_it() {
    let condition = "  all:\n    - tag: {any_of: [会员等级/VIPP], follower: any}\n    \
                     - tag: {any_of: [等级/svip], follower: any}\n    \
                     - tag: {any_of: [VIP], follower: any}\n";
    let resolvable = condition.replace("    - tag: {any_of: [VIP], follower: any}\n", "");
    check_segment(1, "error_tag_unknown", &resolvable);
    check_segment(1, "error_tag_without_group", condition);
}

#[test]
fn every_problem_of_a_segment_is_told_at_once_with_line_and_column() {
    let condition = "  all:
    - event: order_paid
      window: last_3_moons
      measure: sum
      value: 50000
    - tag: {any_of: [会员等级/VIP]}
    - attribute: {name: birth_month, op: \"==\", value: 5}
    - {event: login, window: lifetime, measure: last, op: \"<\", value: 2026-02-30}
";
    check_segment(1, "error_problems_of_a_segment", condition);
}

#[test]
fn a_missing_operator_has_no_default() {
    let condition = "  {event: order_paid, window: lifetime, measure: count, value: 3}\n";
    check_segment(1, "error_operator_missing", condition);
}

#[test]
fn names_that_the_warehouse_does_not_have_are_told_together() {
    let condition = "  all:
    - {event: order_payed, window: lifetime, measure: count, op: \">=\", value: 1}
    - attribute: {name: provinz, op: \"=\", value: 陕西, missing: exclude}
    - attribute: {name: birth_month, op: \"=\", value: May, missing: exclude}
    - tag: {any_of: [会员等级/VIP], follower: [nobody]}
";
    check_segment(1, "error_names_unknown", condition);
}

#[test]
fn a_sql_leaf_only_asks_and_answers_with_customers() {
    check_segment(3, "error_leaf_writes", "  sql: DROP TABLE customer\n");
    check_segment(1, "error_leaf_columns", "  sql: SELECT province FROM customer\n");
}

/// Asks the shop a `sql:` leaf over all customers.
fn ask_leaf(sandbox: &Sandbox, code: i32, sql: &str) -> Answer {
    sandbox.write("leaf.yaml", format!("universe: all\nas_of: latest\nwhere:\n  sql: \"{sql}\"\n"));
    let answer = sandbox.run(&["segment", "count", "leaf.yaml"]);
    assert_eq!(answer.code, Some(code), "{sql}: {answer:?}");
    assert!(!answer.stderr.contains("internal error"), "{sql} is told as a fault of ours: {answer:?}");
    answer
}

#[test]
fn a_number_that_no_customer_can_have_is_refused() {
    let sandbox = ingested_shop();
    for number in ["-1", "99999999999"] {
        let refused = ask_leaf(&sandbox, 1, &format!("SELECT {number} AS customer_no"));
        refused.says(&format!("returned `{number}` as `customer_no`")).says("hint: return `customer_no` as the tables");
    }
    ask_leaf(&sandbox, 1, "SELECT 0.5 AS customer_no").says("this one returns `customer_no` of the type");
    assert!(ask_leaf(&sandbox, 0, "SELECT 4000000000 AS customer_no").stdout.starts_with("0 customers"));
}

#[test]
fn a_sql_leaf_is_one_statement() {
    let sandbox = ingested_shop();
    ask_leaf(&sandbox, 1, "SELECT customer_no FROM customer; SELECT customer_no FROM customer");
    ask_leaf(&sandbox, 1, "SELECT customer_no FROM customer) AS leaf; --");
    ask_leaf(&sandbox, 1, "SELECT customer_no FROM customer /*");
}

#[test]
fn a_bare_id_that_fits_two_spaces_is_refused_and_with_its_space_it_is_not() {
    let sandbox = ingested_shop();
    sandbox.write("other.yaml", SOURCE.replace("name: shop", "name: other_shop"));
    sandbox.ok(&["ingest", "other.yaml"]);
    let refused = ask_leaf(&sandbox, 1, "SELECT 'c2' AS customer_id UNION ALL SELECT 'c1'");
    refused.says("customer ids that fit two id spaces, such as `c1`").says("`SPACE:ID`");
    let named = ask_leaf(&sandbox, 0, "SELECT 'other_shop:c1' AS customer_id");
    assert!(named.stdout.starts_with("1 customer"), "{named:?}");
}

#[test]
fn a_circle_of_references_is_told_with_its_path() {
    let sandbox = ingested_shop();
    for (name, refers_to) in [("a", "b"), ("b", "c"), ("c", "a")] {
        let document = format!("universe: all\nas_of: latest\nwhere: {{segment: {refers_to}}}\n");
        sandbox.write(&format!("segments/{name}.yaml"), document);
    }
    check(&sandbox, 1, "error_circle", &["segment", "count", "segments/a.yaml"]);
}

#[test]
fn an_unknown_segment_is_told_with_those_that_there_are() {
    let sandbox = ingested_shop();
    sandbox.write("segments/loyal.yaml", "universe: all\nas_of: latest\nwhere: {segment: paying}\n");
    let counting = |name: &'static str| ["--definitions", "segments", "segment", "count", name];
    check(&sandbox, 1, "error_segment_unknown", &counting("loyel"));
    check(&sandbox, 1, "error_reference_unknown", &counting("loyal"));
    check(&sandbox, 1, "error_segment_no_file", &["segment", "count", "loyal"]);
}

#[test]
fn amounts_of_several_currencies_are_not_added_up() {
    let sandbox = shop_saying("'CNY' AS currency", "CASE WHEN id = 'o3' THEN 'USD' ELSE 'CNY' END AS currency");
    sandbox.ok(&INGEST);
    let leaf = "{event: pay, window: lifetime, measure: sum, op: \">=\", value: 1}";
    sandbox.write("spend.yaml", format!("universe: all\nas_of: latest\nwhere: {leaf}\n"));
    check(&sandbox, 1, "error_currencies", &["segment", "count", "spend.yaml"]);
}

#[test]
fn without_a_warehouse_it_is_said_how_to_make_one() {
    let sandbox = Sandbox::new();
    check(&sandbox, 1, "error_no_warehouse", &["snapshot", "list"]);
    check(&sandbox, 2, "error_location", &["--warehouse", "gs://bucket/warehouse", "snapshot", "list"]);
    assert_eq!(std::fs::read_dir(sandbox.root()).unwrap().count(), 0, "asking makes nothing");
}

#[test]
fn a_state_that_is_not_there_is_told_with_those_that_are() {
    let sandbox = ingested_shop();
    let asking = |as_of: &'static str| ["--as-of", as_of, "sql", "SELECT 1"];
    check(&sandbox, 1, "error_snapshot_unknown", &asking("99"));
    check(&sandbox, 1, "error_before_the_first_snapshot", &asking("2020-01-01"));
    check(&sandbox, 2, "error_as_of_unreadable", &asking("yesterday"));
    sandbox.write("fixed.yaml", "universe: all\nas_of: 1\nwhere: {sql: SELECT customer_no FROM customer}\n");
    check(&sandbox, 2, "error_as_of_twice", &["--as-of", "1", "segment", "count", "fixed.yaml"]);
}

#[test]
fn the_time_zone_of_a_warehouse_never_changes() {
    let sandbox = ingested_shop();
    check(&sandbox, 2, "error_zone_fixed", &["--time-zone", "Europe/London", "ingest", "shop.yaml"]);
    check(&sandbox, 2, "error_zone_unknown", &["--time-zone", "Europe/Londn", "ingest", "shop.yaml"]);
}

#[test]
fn wrong_usage_is_told_with_what_would_be_right() {
    let sandbox = ingested_shop();
    check(&sandbox, 2, "error_command_unknown", &["segmnt", "count"]);
    check(&sandbox, 2, "error_argument_missing", &["segment", "count"]);
    check(&sandbox, 2, "error_output_ending", &["sql", "SELECT 1", "-o", "answer.xyz"]);
    check(&sandbox, 2, "error_unmask", &["quarantine", "list", "--rows", "--unmask", "file"]);
    let tagged = Sandbox::copy_of(corp());
    check(&tagged, 2, "error_dimension", &["crosstab", "--rows", "group:等级", "--cols", "city"]);
    check(&sandbox, 2, "error_dimension_column", &["crosstab", "--rows", "citty", "--cols", "birth_month"]);
    check(&sandbox, 1, "error_plan_unknown", &["plan", "show", "plan-000000000000"]);
    check(&sandbox, 3, "error_serve_outside", &["serve", "--listen", "0.0.0.0:0"]);
}

#[test]
fn an_audience_says_what_it_cannot_hand_out() {
    let sandbox = ingested_shop();
    sandbox.write("all.yaml", "universe: all\nas_of: latest\nwhere: {sql: SELECT customer_no FROM customer}\n");
    let export = |more: &[&'static str]| [["audience", "export", "all.yaml"].as_slice(), more].concat();
    check(&sandbox, 2, "error_audience_column", &export(&["-o", "a.csv", "--columns", "customer_id,citty"]));
    check(&sandbox, 2, "error_audience_unmask", &export(&["-o", "a.csv", "--unmask", "mobile"]));
    check(&sandbox, 2, "error_audience_form", &export(&["-o", "a.json"]));
    assert!(!sandbox.path("a.csv").exists() && !sandbox.path("a.json").exists(), "half a file is no file");
}

#[test]
fn a_question_that_cannot_be_asked_is_told_with_what_there_is() {
    let sandbox = ingested_shop();
    let ask = |name: &str, sql: &str| check(&sandbox, 1, name, &["sql", sql]);
    ask("error_sql_table", "SELECT * FROM customers");
    ask("error_sql_column", "SELECT town FROM customer");
    ask("error_sql_syntax", "SELEC city FROM customer");
    ask("error_sql_run", "SELECT CAST(customer_id AS INT) FROM customer");
}

#[test]
fn answers_go_to_stdout_and_words_to_stderr() {
    let sandbox = ingested_shop();
    let answer = sandbox.ok(&["sql", "SELECT count(*) AS n FROM event", "--format", "csv"]);
    assert_eq!(answer.stdout, "n\n6\n");
    answer.says("snapshot 1 · as of 2026-06-15 02:00 Asia/Shanghai · events until 2026-06-11 08:00 Asia/Shanghai");
}

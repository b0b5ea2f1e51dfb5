//! `tagmill ingest`: what a run publishes, refuses and accounts for; and the traps of CSV, from file to table.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tagmill_ingest::{IngestOptions, RunOutcome, RunReport, Source, run_source};
use tagmill_store::{NewWarehouse, Warehouse};

use crate::harness::shop::{CUSTOMERS, ORDERS, SOURCE, ingested_shop, shop};
use crate::harness::view::wait_for;
use crate::harness::{Sandbox, files_below};

#[test]
fn the_same_source_twice_publishes_nothing() {
    let sandbox = shop();
    sandbox.ok(&["ingest", "shop.yaml"]).says("published snapshot 1");
    sandbox.ok(&["ingest", "shop.yaml"]).says("nothing new");
    assert_eq!(sandbox.snapshot_ids(), [1]);
}

#[test]
fn a_source_that_moved_is_the_same_source() {
    let sandbox = ingested_shop();
    for (name, content) in [("shop.yaml", SOURCE), ("customers.csv", CUSTOMERS), ("orders.csv", ORDERS)] {
        sandbox.write(&format!("elsewhere/{name}"), content);
    }
    sandbox.ok(&["ingest", "elsewhere/shop.yaml"]).says("nothing new");
    assert_eq!(sandbox.snapshot_ids(), [1]);
}

#[test]
fn an_emptied_source_is_refused_kept_and_explained_until_the_shrink_is_accepted() {
    let sandbox = ingested_shop();
    sandbox.write("customers.csv", "id,name,city,birth_month\n");
    let refused = sandbox.fails(3, &["ingest", "shop.yaml"]);
    refused.says("rows for `customer`: 0 after 5 (-100.0 %), too far");
    refused.says("nothing was published").says("hint: ").says("--accept-shrink");
    assert_eq!(sandbox.snapshot_ids(), [1]);
    assert_eq!(sandbox.row_counts(1)["customer"], 5);
    let kept: Value = serde_json::from_str(&sandbox.read("warehouse/staged/refused-shop-8d9001d3.json")).unwrap();
    assert_eq!(kept["source"], "shop");
    assert!(kept["verdicts"].to_string().contains("rows for `customer`: 0 after 5"), "{kept}");

    sandbox.ok(&["ingest", "shop.yaml", "--accept-shrink"]).says("the shrink was accepted");
    assert_eq!(sandbox.snapshot_ids(), [1, 2]);
    let row = sandbox.json(&["snapshot", "show", "2", "--format", "json"]);
    assert!(row["guard"].to_string().contains("the shrink was accepted"), "{row}");
    assert!(!sandbox.path("warehouse/staged/refused-shop-8d9001d3.json").exists(), "what was accepted waits no longer");
}

#[test]
fn what_the_guard_refused_keeps_its_files_until_then() {
    let sandbox = Sandbox::new();
    let customers: String = (0..10).map(|number| format!("c{number},wang\n")).collect();
    sandbox.write("follows.csv", format!("id,staff\n{customers}"));
    sandbox.write(
        "wecom.yaml",
        "name: wecom\nkind: files\nfiles:\n  follows: {path: follows.csv}\ntables:\n  \
         customer:\n    mode: upsert\n    select: SELECT DISTINCT id AS customer_id FROM follows\n  \
         follow:\n    mode: full\n    select: SELECT id AS customer_id, staff AS staff_id FROM follows\n",
    );
    sandbox.ok(&["ingest", "wecom.yaml"]);
    sandbox.write("follows.csv", "id,staff\nc1,wang\n");
    sandbox.fails(3, &["ingest", "wecom.yaml"]).says("rows for `follow`: 1 after 10 (-90.0 %), too far");
    let kept: Value = serde_json::from_str(&sandbox.read("warehouse/staged/refused-wecom-d932fff2.json")).unwrap();
    let staged = kept["files"]["follow"].as_array().unwrap();
    assert!(!staged.is_empty(), "{kept}");
    for file in staged {
        let path = format!("warehouse/tables/follow/{}", file["path"].as_str().unwrap());
        assert!(sandbox.path(&path).is_file(), "{path} is not there");
    }
}

#[test]
fn files_that_bring_no_new_event_are_no_shrink() {
    let sandbox = ingested_shop();
    sandbox.write("customers.csv", format!("{CUSTOMERS}c6,Zhou,成都,7\n"));
    sandbox.ok(&["ingest", "shop.yaml"]);
    assert_eq!(sandbox.snapshot_ids(), [1, 2]);
    assert_eq!(sandbox.row_counts(2)["customer"], 6);
    assert_eq!(sandbox.row_counts(2)["event"], 6, "the same orders again are no new orders");
}

#[test]
fn a_dry_run_reports_everything_and_changes_nothing() {
    let sandbox = shop();
    let dry = sandbox.ok(&["ingest", "shop.yaml", "--dry-run"]);
    dry.says("customer (full)  5 mapped = 5 accepted").says("dry run");
    assert!(!sandbox.warehouse().exists(), "a dry run makes no warehouse");

    sandbox.ok(&["ingest", "shop.yaml"]);
    sandbox.write("customers.csv", format!("{CUSTOMERS}c6,Zhou,成都,thirteen\n"));
    let before = files_below(&sandbox.warehouse());
    let dry = sandbox.ok(&["ingest", "shop.yaml", "--dry-run"]);
    dry.says("6 mapped = 5 accepted + 1 rejected");
    assert_eq!(files_below(&sandbox.warehouse()), before);
}

/// A line for every fate of an input row; the header is line 1.
const ORDERS_OF_EVERY_FATE: &str = "\
id,customer,paid_at,amount
o1,c1,2026-05-01 10:00:00,100.00
o2,c1,2026-05-02 10:00:00,10.00
o1,c1,2026-05-01 10:00:00,100.00
o2,c1,2026-05-02 10:00:00,11.00
o3,c2,2026-02-30 10:00:00,1.00
o4,c2,2026-05-03 10:00:00,lots
,c2,2026-05-03 10:00:00,1.00
o5,nobody,2026-05-03 10:00:00,1.00
o6,c2
o7,c3,2026-05-04 10:00:00,0.00
";

/// Invariant 8.
#[test]
fn every_input_row_is_accounted_for_and_kept_with_its_line_where_it_was_not_taken() {
    let sandbox = shop();
    let filtered = SOURCE.replace("      FROM orders\n", "      FROM orders\n      WHERE amount <> '0.00'\n");
    assert_ne!(filtered, SOURCE);
    sandbox.write("shop.yaml", filtered);
    sandbox.write("orders.csv", ORDERS_OF_EVERY_FATE);

    let report = report_of(&sandbox, "shop.yaml");
    let file = report.files.iter().find(|file| file.path.ends_with("orders.csv")).unwrap();
    assert_eq!((file.raw, file.parsed, file.unparsable), (10, 9, 1));
    let event = report.tables.iter().find(|table| table.table == "event").unwrap();
    assert_eq!((event.mapped, event.filtered), (8, Some(1)));
    assert_eq!((event.accepted, event.rejected, event.duplicate, event.unmatched), (2, 4, 1, 1));
    assert!(report.tables.iter().all(|table| table.adds_up()));

    let kept = sandbox.sql("SELECT line, target, code, right(file, 10) AS file FROM quarantine ORDER BY line");
    let told: Vec<String> = kept
        .iter()
        .map(|row| format!("{} {} {}", row["line"], row["target"].as_str().unwrap(), row["code"].as_str().unwrap()))
        .collect();
    let expected = [
        "4 event DUPLICATE",
        "5 event EVENT_ID_CONFLICT",
        "6 event BAD_VALUE",
        "7 event BAD_VALUE",
        "8 event MISSING_VALUE",
        "10 orders RAW_FIELD_COUNT",
    ];
    assert_eq!(told, expected);
    assert!(kept.iter().all(|row| row["file"] == "orders.csv"), "{kept:?}");
    let raw = sandbox.sql("SELECT raw FROM quarantine WHERE line IN (6, 10) ORDER BY line");
    assert_eq!(raw, [json!({"raw": "o3,c2,2026-02-30 10:00:00,1.00"}), json!({"raw": "o6,c2"})]);
    let waiting = sandbox.sql("SELECT event_id, customer_id FROM unmatched_event");
    assert_eq!(waiting, [json!({"event_id": "o5", "customer_id": "nobody"})]);
}

/// Runs a source through the library, for its report in numbers.
pub fn report_of(sandbox: &Sandbox, source: &str) -> RunReport {
    wait_for(|| async {
        let location = sandbox.warehouse().display().to_string();
        let warehouse = Warehouse::open_or_create(&location, NewWarehouse::default()).await.unwrap();
        let source = Source::load(&sandbox.path(source)).unwrap();
        match run_source(&warehouse, &source, &IngestOptions::default()).await.unwrap() {
            RunOutcome::Published(_, report) => report,
            other => panic!("nothing was published: {other:?}"),
        }
    })
}

#[test]
fn of_two_events_with_one_id_the_first_stays_and_the_later_is_kept_as_a_conflict() {
    let sandbox = ingested_shop();
    sandbox.write("orders.csv", ORDERS.replace("o1,c1,2026-05-01 10:00:00,100.00", "o1,c1,2026-05-01 10:00:00,999.00"));
    // A new order beside it, so that the file brings something.
    sandbox.write("orders.csv", format!("{}o9,c5,2026-06-12 09:00:00,1.00\n", sandbox.read("orders.csv")));
    sandbox.ok(&["ingest", "shop.yaml"]).says("event EVENT_ID_CONFLICT");
    let amounts = sandbox.sql("SELECT amount FROM event WHERE event_id = 'o1'");
    assert_eq!(amounts, [json!({"amount": "100.0000"})]);
    let kept = sandbox.sql("SELECT run, line FROM quarantine WHERE code = 'EVENT_ID_CONFLICT'");
    assert_eq!(kept, [json!({"run": 2, "line": 2})]);
    assert_eq!(sandbox.row_counts(2)["event"], 7);
}

#[test]
fn equal_ids_of_two_sources_are_two_customers() {
    let sandbox = ingested_shop();
    sandbox.write("other.yaml", SOURCE.replace("name: shop", "name: other_shop"));
    sandbox.ok(&["ingest", "other.yaml"]);
    let rows = sandbox.sql("SELECT id_space FROM customer WHERE customer_id = 'c1' ORDER BY id_space");
    assert_eq!(rows, [json!({"id_space": "other_shop"}), json!({"id_space": "shop"})]);
}

/// Reads one file as customers and compares what became of it.
fn check_people(file: &str, stated: &str, content: &[u8], expected: &Value) {
    let sandbox = Sandbox::new();
    sandbox.write(file, content);
    sandbox.write(
        "people.yaml",
        format!(
            "name: people\nkind: files\nfiles:\n  people: {{path: {file}{stated}}}\ntables:\n  customer:\n    \
             mode: upsert\n    select: SELECT id AS customer_id, name, city FROM people\n"
        ),
    );
    sandbox.ok(&["ingest", "people.yaml"]);
    let rows = sandbox.sql("SELECT customer_id, name, city FROM customer ORDER BY customer_id");
    assert_eq!(Value::from(rows), *expected, "{}", content.escape_ascii());
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_leave_no_trace() {
    let content = b"\xef\xbb\xbfid,name,city\r\n1,Li,Xi'an\r\n2,Wang,Paris\r\n";
    let expected = json!([
        {"customer_id": "1", "name": "Li", "city": "Xi'an"},
        {"customer_id": "2", "name": "Wang", "city": "Paris"},
    ]);
    check_people("people.csv", "", content, &expected);
}

#[test]
fn the_words_null_and_na_are_missing_values_unless_they_are_quoted() {
    let expected = json!([
        {"customer_id": "1", "name": null, "city": null},
        {"customer_id": "2", "name": "NA", "city": "NANCY"},
    ]);
    check_people("people.csv", "", b"id,name,city\n1,NULL,NA\n2,\"NA\",NANCY\n", &expected);
}

#[test]
fn a_quoted_field_may_hold_newlines_commas_and_quotes() {
    let expected = json!([{"customer_id": "1", "name": "two\nlines, and a \"quote\"", "city": "Paris"}]);
    check_people("people.csv", "", b"id,name,city\n1,\"two\nlines, and a \"\"quote\"\"\",Paris\n", &expected);
}

#[test]
fn gzip_is_looked_through() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all("id,name,city\n1,李,上海\n".as_bytes()).unwrap();
    let expected = json!([{"customer_id": "1", "name": "李", "city": "上海"}]);
    check_people("people.csv.gz", "", &encoder.finish().unwrap(), &expected);
}

#[test]
fn columns_are_stated_where_there_is_no_header_and_fields_may_be_split_by_something_else() {
    let expected = json!([{"customer_id": "1", "name": "Li", "city": "Paris, Texas"}]);
    let stated = ", header: false, columns: [id, name, city], delimiter: \";\"";
    check_people("people.csv", stated, b"1;Li;Paris, Texas\n", &expected);
}

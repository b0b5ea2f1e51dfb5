//! Events that come late: the report of a run says which business days they change.

use serde_json::json;
use tagmill_ingest::RunReport;

use crate::harness::shop::{CUSTOMERS, ORDERS, SOURCE, ingested_shop, shop};
use crate::harness::{Answer, Sandbox};
use crate::ingest::report_of;

const INGEST: [&str; 2] = ["ingest", "shop.yaml"];

/// Three from before the latest of [`ORDERS`], one of the same instant, and newer ones that are not in their order.
const SOME_LATE: &str = "\
o7,c1,2026-06-02 10:00:00,1.00
o8,c2,2026-06-12 09:00:00,1.00
o9,c3,2026-05-20 09:00:00,1.00
o10,c4,2026-06-11 08:00:00,1.00
o11,c2,2026-06-11 21:00:00,1.00
o12,c1,2026-06-01T17:00:00Z,1.00
";

/// Newer than all of them, the latest first.
const NEWER: &str = "\
o13,c1,2026-06-14 09:00:00,1.00
o14,c2,2026-06-13 09:00:00,1.00
";

/// The late events of a run, a text for each day.
fn late(report: &RunReport) -> Vec<String> {
    report.late_events.iter().map(|(day, count)| format!("{day} {count}")).collect()
}

fn says_nothing_of_late_events(answer: &Answer) {
    assert!(!answer.stderr.contains("late events"), "{answer:?}");
}

/// Adds lines to the orders of the shop.
fn add_orders(sandbox: &Sandbox, lines: &str) {
    sandbox.write("orders.csv", format!("{}{lines}", sandbox.read("orders.csv")));
}

#[test]
fn a_run_says_which_days_its_late_events_change_and_a_run_without_them_says_nothing() {
    let sandbox = shop();
    says_nothing_of_late_events(&sandbox.ok(&INGEST));

    add_orders(&sandbox, SOME_LATE);
    let told = "late events: 3 on 2 business days\n  2026-05-20  1\n  2026-06-02  2\n";
    sandbox.ok(&["ingest", "shop.yaml", "--dry-run"]).says(told);
    let report = report_of(&sandbox, "shop.yaml");
    assert_eq!(late(&report), ["2026-05-20 1", "2026-06-02 2"]);
    let written = serde_json::to_value(&report).unwrap();
    assert_eq!(written["late_events"], json!({"2026-05-20": 1, "2026-06-02": 2}));

    add_orders(&sandbox, NEWER);
    let answer = sandbox.ok(&INGEST);
    answer.says("14 mapped = 14 accepted + 0 rejected + 0 duplicate + 0 unmatched; 2 new; 12 known");
    says_nothing_of_late_events(&answer);
}

#[test]
fn late_events_are_counted_on_the_business_days_of_the_warehouse_and_not_of_their_source() {
    let sandbox = shop();
    sandbox.write("shop.yaml", SOURCE.replace("kind: files\n", "kind: files\ntime_zone: Europe/London\n"));
    sandbox.ok(&INGEST);
    // A minute before midnight in Shanghai, midnight, and an hour later.
    let lines = "o7,c1,2026-06-01 16:59:00,1.00\no8,c1,2026-06-01 17:00:00,1.00\no9,c1,2026-06-01T17:00:00Z,1.00\n";
    add_orders(&sandbox, lines);
    assert_eq!(late(&report_of(&sandbox, "shop.yaml")), ["2026-06-01 1", "2026-06-02 2"]);
}

#[test]
fn an_event_that_waited_for_its_person_is_late_when_the_person_comes() {
    let sandbox = shop();
    add_orders(&sandbox, "o7,c6,2026-06-12 09:00:00,1.00\no8,c6,2026-06-03 09:00:00,1.00\n");
    says_nothing_of_late_events(&sandbox.ok(&INGEST));
    // One that waits is in no day yet, however late it comes.
    add_orders(&sandbox, "o9,c7,2026-06-02 09:00:00,1.00\n");
    says_nothing_of_late_events(&sandbox.ok(&INGEST));

    sandbox.write("customers.csv", format!("{CUSTOMERS}c6,Zhou,成都,7\n"));
    assert_eq!(late(&report_of(&sandbox, "shop.yaml")), ["2026-06-03 1", "2026-06-12 1"]);
    sandbox.write("customers.csv", format!("{CUSTOMERS}c6,Zhou,成都,7\nc7,Wu,成都,8\n"));
    let told = "late events: 1 on 1 business day\n  2026-06-02  1\n";
    sandbox.ok(&INGEST).says(told);
}

#[test]
fn the_first_reading_of_a_source_has_no_late_events_whatever_others_have_brought() {
    let sandbox = ingested_shop();
    sandbox.write("other.yaml", SOURCE.replace("name: shop", "name: other_shop"));
    let earlier = ORDERS.replace("2026-06", "2026-03");
    sandbox.write("orders.csv", earlier);
    let report = report_of(&sandbox, "other.yaml");
    assert!(report.late_events.is_empty(), "{report:?}");
}

//! Real data: the figures of Online Retail and AdventureWorks, which were worked out with DuckDB from the raw files.
//!
//! Each warehouse is built once: that of AdventureWorks by the command, that of Online Retail by the demo, which reads the
//! same source.

use std::sync::OnceLock;

use serde_json::Value;

use crate::harness::demo::{ORDERS, toured};
use crate::harness::{Answer, Sandbox, copy_tree};

/// Where the sets are.
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");

/// A sandbox with the warehouse of Online Retail.
pub fn online_retail() -> &'static Sandbox {
    static BUILT: OnceLock<Sandbox> = OnceLock::new();
    BUILT.get_or_init(|| {
        let sandbox = Sandbox::lasting("online_retail");
        copy_tree(&toured().0.path(ORDERS), &sandbox.warehouse());
        // What the command would have made of the source: the demo has left it nothing.
        ingest(&sandbox, "online_retail").says("nothing new");
        sandbox
    })
}

fn adventureworks() -> &'static Sandbox {
    static BUILT: OnceLock<Sandbox> = OnceLock::new();
    BUILT.get_or_init(|| {
        let sandbox = Sandbox::lasting("adventureworks");
        ingest(&sandbox, "adventureworks").says("published snapshot 1");
        sandbox
    })
}

fn ingest(sandbox: &Sandbox, set: &str) -> Answer {
    sandbox.ok(&["--warehouse", "warehouse", "ingest", &format!("{DATA}/{set}/source.yaml")])
}

/// Counts a committed segment, and checks that the answer names what it was computed on. Invariant 7.
fn check_count(sandbox: &Sandbox, segment: &str, count: u64, events_until: &str) {
    let file = format!("{DATA}/{segment}.yaml");
    let answer = sandbox.json(&["--warehouse", "warehouse", "segment", "count", &file, "--format", "json"]);
    assert_eq!(answer["count"], count, "{segment}: {answer}");
    assert_eq!(answer["snapshot_id"], 1, "{segment}: {answer}");
    assert_eq!(answer["events_until"], events_until, "{segment}: {answer}");
}

fn check_number(sandbox: &Sandbox, sql: &str, expected: u64) {
    let rows = sandbox.sql(&format!("SELECT ({sql}) AS number"));
    assert_eq!(rows[0]["number"], expected, "{sql}");
}

#[test]
fn online_retail_segments_have_their_known_counts() {
    let until = "2011-12-09T12:50:00Z";
    check_count(online_retail(), "online_retail/segments/net_spend_1000", 1_633, until);
    check_count(online_retail(), "online_retail/segments/quiet_90d", 1_454, until);
    check_count(online_retail(), "online_retail/segments/loyal_no_refund", 876, until);
}

#[test]
fn online_retail_orders_sum_up_exactly() {
    let sql = "SELECT CAST(sum(amount) AS VARCHAR) s, count(*) n FROM event";
    let answer = online_retail().ok(&["sql", sql, "--format", "csv"]);
    assert_eq!(answer.stdout, "s,n\n8300065.8140,406829\n");
    check_number(online_retail(), "SELECT count(*) FROM customer", 4_372);
}

/// Invariant 8, on half a million rows.
#[test]
fn online_retail_lines_without_a_customer_are_in_quarantine_with_their_line() {
    check_number(online_retail(), "SELECT count(*) FROM quarantine WHERE target = 'event'", 135_080);
    check_number(online_retail(), "SELECT count(*) FROM quarantine", 135_080);
    check_number(online_retail(), "SELECT count(DISTINCT line) FROM quarantine WHERE raw IS NOT NULL", 135_080);
    check_number(online_retail(), "SELECT count(*) FROM event", 541_909 - 135_080);
}

#[test]
fn adventureworks_segments_have_their_known_counts() {
    // The last day of orders, at midnight of the business time zone.
    let until = "2024-01-27T16:00:00Z";
    check_count(adventureworks(), "adventureworks/segments/spend_5000", 1_732, until);
    check_count(adventureworks(), "adventureworks/segments/spend_5000_born_in_may", 141, until);
    check_count(adventureworks(), "adventureworks/segments/quiet_90d", 13_604, until);
}

#[test]
fn adventureworks_is_there_to_the_last_line_and_cent() {
    check_number(adventureworks(), "SELECT count(*) FROM customer", 18_484);
    let rows = adventureworks().sql("SELECT CAST(sum(amount) AS VARCHAR) AS total, count(*) AS lines FROM event");
    assert_eq!(rows[0]["total"], "29358677.2207");
    assert_eq!(rows[0]["lines"], 60_398);
}

#[test]
fn adventureworks_spend_bands_by_birth_month_hold_every_customer_once() {
    let asked = ["crosstab", "--rows", "spend_band", "--cols", "birth_month", "--format", "json"];
    let table = adventureworks().json(&asked);
    let months = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "unknown"];
    assert_eq!(table["column_labels"], Value::from(months.to_vec()));
    let cells = table["cells"].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
    assert_eq!(cells.map(|cell| cell.as_u64().unwrap()).sum::<u64>(), 18_484);
    let born: [u64; 13] = [829, 1652, 1679, 1655, 1664, 1629, 1554, 1659, 1610, 1740, 1641, 836, 336];
    assert_eq!(table["column_totals"], Value::from(born.to_vec()));
    assert_eq!(table["snapshot_id"], 1);
}

//! Numbers, dates and times as Excel and Chinese exports write them, from the file to the table.
//!
//! `tests/data/raw/excel_export.csv` has a row for every form, and rows in forms that could mean two things.

use std::fs;

use crate::harness::Sandbox;
use crate::ingest::report_of;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/raw/excel_export.csv");

const SOURCE: &str = r#"
name: excel
kind: files
taken_at: 2026-06-15T02:00:00+08:00
files:
  export: {path: export.csv}
tables:
  customer:
    mode: upsert
    select: |
      SELECT DISTINCT parse_mobile("手机号") AS customer_id
      FROM export
      WHERE parse_mobile("手机号") IS NOT NULL
  event:
    mode: append
    properties: {ordered_at: timestamp, shipped_on: date, booked_on: date, booked_at: timestamp, discount: decimal}
    select: |
      SELECT
        "订单号" AS event_id,
        parse_mobile("手机号") AS customer_id,
        'order_paid' AS type,
        "下单时间" AS occurred_at,
        parse_time("下单时间") AS ordered_at,
        parse_number("金额") AS amount,
        CASE WHEN parse_number("金额") IS NOT NULL THEN 'CNY' END AS currency,
        parse_date("发货日期") AS shipped_on,
        excel_date("到账") AS booked_on,
        excel_time("到账") AS booked_at,
        parse_number("折扣") AS discount
      FROM export
"#;

/// A folder with the export and its source, nothing ingested.
fn export() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("excel.yaml", SOURCE);
    sandbox.write("export.csv", fs::read(SAMPLE).unwrap());
    sandbox
}

#[test]
fn an_excel_export_is_read_to_the_cent_the_second_and_the_day() {
    let sandbox = export();
    sandbox.ok(&["ingest", "excel.yaml"]);
    let sql = "SELECT event_id, customer_id, occurred_at, amount, currency, shipped_on, booked_on, booked_at, discount
        FROM event JOIN customer USING (customer_no)
        ORDER BY event_id";
    let expected = "\
event_id,customer_id,occurred_at,amount,currency,shipped_on,booked_on,booked_at,discount
E-001,13900000001,2026-06-01T00:05:00Z,1234.5000,CNY,2026-06-02,2026-06-01,2026-06-01T00:05:00Z,0.9500
E-002,13900000002,2026-06-01T12:05:09Z,123.5000,CNY,2026-06-03,2026-06-02,2026-06-01T16:00:00Z,0.1250
E-003,13900000003,2026-06-02T01:10:11Z,-1234.5000,CNY,2026-06-04,2026-06-02,2026-06-02T04:00:00Z,
E-004,13900000002,2026-06-02T16:00:00Z,12000.0000,CNY,2026-06-05,,,
E-005,13900000001,2026-06-03T00:00:00Z,345000000.0000,CNY,,,,5.0000
E-007,13900000001,2026-06-04T00:05:00Z,,,,,,
";
    assert_eq!(sandbox.ok(&["sql", sql, "--format", "csv"]).stdout, expected);
}

#[test]
fn a_time_that_the_function_reads_is_the_time_that_the_column_reads_unless_it_has_an_offset() {
    let sandbox = export();
    sandbox.ok(&["ingest", "excel.yaml"]);
    let others = sandbox.sql("SELECT event_id FROM event WHERE ordered_at IS DISTINCT FROM occurred_at");
    assert_eq!(others, [serde_json::json!({"event_id": "E-005"})]);
}

/// Invariant 8.
#[test]
fn rows_without_what_they_need_are_kept_with_their_line_and_rows_without_more_are_taken() {
    let sandbox = export();
    let report = report_of(&sandbox, "excel.yaml");
    let file = report.files.first().unwrap();
    assert_eq!((file.raw, file.parsed, file.unparsable), (8, 8, 0));
    let event = report.tables.iter().find(|table| table.table == "event").unwrap();
    assert_eq!((event.mapped, event.accepted, event.rejected, event.unmatched), (8, 6, 2, 0));
    let kept = sandbox.ok(&["sql", "SELECT line, code FROM quarantine ORDER BY line", "--format", "csv"]);
    assert_eq!(kept.stdout, "line,code\n7,BAD_VALUE\n9,MISSING_VALUE\n");
}

#[test]
fn a_number_that_cannot_be_read_costs_its_row_where_the_select_says_so() {
    let sandbox = export();
    let strict = r#"coalesce(CAST(parse_number("金额") AS VARCHAR), "金额") AS amount"#;
    sandbox.write("excel.yaml", SOURCE.replace(r#"parse_number("金额") AS amount"#, strict));
    sandbox.ok(&["ingest", "excel.yaml"]);
    let kept = sandbox.sql("SELECT line, reason FROM quarantine WHERE reason LIKE '%`amount`%'");
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(kept[0]["line"], 8);
    assert!(kept[0]["reason"].as_str().unwrap().contains("`1.234,50`"), "{kept:?}");
    let sum = sandbox.sql("SELECT CAST(sum(amount) AS VARCHAR) AS sum FROM event");
    assert_eq!(sum, [serde_json::json!({"sum": "345012123.5000"})]);
}

#[test]
fn an_argument_of_another_type_is_refused_before_anything_is_published() {
    let sandbox = export();
    sandbox.write("excel.yaml", SOURCE.replace(r#"parse_date("发货日期")"#, "parse_date(1.5)"));
    let answer = sandbox.run(&["ingest", "excel.yaml"]);
    assert_ne!(answer.code, Some(0), "{answer:?}");
    answer.says("`parse_date` takes text or a whole number");
    assert!(!answer.stderr.contains("published snapshot"), "{answer:?}");
}

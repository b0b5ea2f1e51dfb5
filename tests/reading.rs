//! How a source is read: in which order, what is counted and kept of every file, and when it is something new.

use serde_json::json;
use tagmill_store::{PRIVATE_KEY, Warehouse};

use crate::harness::Sandbox;
use crate::harness::shop::{ORDERS, SOURCE, ingested_shop, shop};
use crate::harness::view::wait_for;
use crate::ingest::report_of;

const INGEST: [&str; 2] = ["ingest", "shop.yaml"];

/// The shop's source with something else in it.
fn source_saying(from: &str, to: &str) -> String {
    let source = SOURCE.replace(from, to);
    assert_ne!(source, SOURCE, "the source does not say `{from}`");
    source
}

/// Invariant 8.
#[test]
fn every_unparsable_row_is_kept_however_many_there_are() {
    let sandbox = shop();
    sandbox.write("orders.csv", format!("{ORDERS}{}", "x\n".repeat(120_000)));
    sandbox.ok(&INGEST).says("120,006 rows = 6 parsed + 120,000 unparsable");
    let kept = sandbox.sql(
        "SELECT count(*) AS kept, count(DISTINCT line) AS lines, min(line) AS from_line, max(line) AS to_line \
         FROM quarantine WHERE target = 'orders' AND code = 'RAW_FIELD_COUNT' AND raw = 'x'",
    );
    assert_eq!(kept, [json!({"kept": 120_000, "lines": 120_000, "from_line": 8, "to_line": 120_007})]);
}

/// Invariant 8.
#[test]
fn rows_are_counted_though_the_engine_need_not_read_them() {
    let sandbox = shop();
    sandbox.write("shop.yaml", source_saying("      FROM orders\n", "      FROM orders\n      WHERE false\n"));
    sandbox.write("orders.csv", format!("{ORDERS}o7,c1\n"));
    let report = report_of(&sandbox, "shop.yaml");
    let event = report.tables.iter().find(|table| table.table == "event").unwrap();
    assert_eq!((event.parsed, event.mapped, event.filtered), (Some(6), 0, Some(6)));
    assert!(event.adds_up());
    let file = report.files.iter().find(|file| file.path.ends_with("orders.csv")).unwrap();
    assert_eq!((file.raw, file.parsed, file.unparsable), (7, 6, 1));
    assert_eq!(sandbox.sql("SELECT line FROM quarantine"), [json!({"line": 8})]);
}

#[test]
fn a_raw_table_that_no_select_reads_is_counted_and_told() {
    let sandbox = shop();
    sandbox.write("spare.csv", "a\n1\n2\n");
    sandbox.write("shop.yaml", source_saying("  orders: {", "  spare: {path: spare.csv}\n  orders: {"));
    let told = sandbox.ok(&INGEST);
    told.says("2 rows = 2 parsed + 0 unparsable").says("note: no SELECT reads the raw table `spare`");
}

#[test]
fn events_of_an_earlier_run_are_taken_again_and_repeats_within_a_run_are_duplicates() {
    let sandbox = ingested_shop();
    let more = "o7,c5,2026-06-12 09:00:00,1.00\no1,c1,2026-05-01 10:00:00,100.00\n";
    sandbox.write("orders.csv", format!("{ORDERS}{more}"));
    let told = sandbox.ok(&INGEST);
    told.says("8 mapped = 7 accepted + 0 rejected + 1 duplicate + 0 unmatched; 1 new; 6 known");
    let kept = sandbox.sql("SELECT code, line FROM quarantine");
    assert_eq!(kept, [json!({"code": "DUPLICATE", "line": 9})]);
    assert_eq!(sandbox.row_counts(2)["event"], 7);
}

/// A shop whose long file ends with the order with which its short file begins, at another amount.
fn shop_with_two_order_files() -> Sandbox {
    let sandbox = shop();
    let many: String = (0..30_000).map(|number| format!("m{number},c1,2026-05-01 10:00:00,3.00\n")).collect();
    let header = "id,customer,paid_at,amount";
    sandbox.write("orders.csv", format!("{header}\n{many}shared,c1,2026-05-01 10:00:00,1.00\n"));
    sandbox.write("more.csv", format!("{header}\nshared,c1,2026-05-01 10:00:00,2.00\n"));
    sandbox
}

#[test]
fn of_an_id_in_two_files_the_first_file_has_the_say() {
    let sandbox = shop_with_two_order_files();
    sandbox.write("shop.yaml", source_saying("{path: orders.csv}", "{path: [orders.csv, more.csv]}"));
    sandbox.ok(&INGEST);
    let amounts = sandbox.sql("SELECT amount FROM event WHERE event_id = 'shared'");
    assert_eq!(amounts, [json!({"amount": "1.0000"})]);
    let kept = sandbox.sql("SELECT right(file, 8) AS file, line, code FROM quarantine");
    assert_eq!(kept, [json!({"file": "more.csv", "line": 2, "code": "EVENT_ID_CONFLICT"})]);
}

#[test]
fn of_an_id_on_both_sides_of_a_union_the_first_side_has_the_say() {
    let sandbox = shop_with_two_order_files();
    let union = "FROM (SELECT * FROM orders UNION ALL SELECT * FROM more) AS both_files\n";
    let source = source_saying("FROM orders\n", union);
    sandbox.write("shop.yaml", source.replace("  orders: {", "  more: {path: more.csv}\n  orders: {"));
    sandbox.ok(&INGEST).says("event EVENT_ID_CONFLICT  1");
    let amounts = sandbox.sql("SELECT amount FROM event WHERE event_id = 'shared'");
    assert_eq!(amounts, [json!({"amount": "1.0000"})]);
}

#[test]
fn the_same_files_read_in_another_way_are_something_new() {
    let sandbox = ingested_shop();
    let stated = "{path: customers.csv, null_words: [none]}";
    sandbox.write("shop.yaml", source_saying("{path: customers.csv}", stated));
    sandbox.ok(&INGEST).says("published snapshot 2");
    sandbox.ok(&INGEST).says("nothing new");
}

#[test]
fn an_older_reading_is_refused_whatever_else_is_accepted() {
    let sandbox = ingested_shop();
    sandbox.write("shop.yaml", source_saying("2026-06-15T02:00:00+08:00", "2026-06-14T02:00:00+08:00"));
    for args in [&INGEST[..], &["ingest", "shop.yaml", "--accept-shrink"], &["ingest", "shop.yaml", "--dry-run"]] {
        let refused = sandbox.fails(3, args);
        refused.says("`shop` was read at 2026-06-14 02:00:00 Asia/Shanghai");
        refused.says("before its last reading at 2026-06-15 02:00:00 Asia/Shanghai").says("hint: ");
    }
    assert_eq!(sandbox.snapshot_ids(), [1]);
}

#[test]
fn a_tag_group_of_three_that_goes_is_no_shrink() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "wecom.yaml",
        "name: wecom\nkind: files\nfiles:\n  listed_group: {path: groups.csv}\ntables:\n  tag_group:\n    \
         mode: full\n    select: SELECT name AS group_name FROM listed_group\n",
    );
    sandbox.write("groups.csv", "name\na\nb\nc\n");
    sandbox.ok(&["ingest", "wecom.yaml"]);
    sandbox.write("groups.csv", "name\na\nb\n");
    sandbox.ok(&["ingest", "wecom.yaml"]);
    assert_eq!(sandbox.snapshot_ids(), [1, 2]);
    sandbox.write("groups.csv", "name\n");
    sandbox.fails(3, &["ingest", "wecom.yaml"]).says("rows for `tag_group`: 0 after 2");
}

/// What the newest snapshot says of a column of `customer`: the value behind the key that makes it private.
fn privacy_of(sandbox: &Sandbox, column: &str) -> Option<String> {
    wait_for(|| async {
        let warehouse = Warehouse::open(&sandbox.warehouse().display().to_string()).await.unwrap();
        let schema = warehouse.head().await.unwrap().unwrap().schema("customer").unwrap();
        schema.field_with_name(column).unwrap().metadata().get(PRIVATE_KEY).cloned()
    })
}

#[test]
fn a_column_that_was_declared_private_stays_private() {
    let select = "select: SELECT id AS customer_id,";
    let score = "CASE WHEN id = 'c1' THEN 'rather-secret' ELSE '7' END AS score,";
    let declaring = |ty: &str| source_saying(select, &format!("attributes: {{score: {ty}}}\n    {select} {score}"));
    let sandbox = shop();
    for (run, ty) in ["int", "{type: int, private: true}", "int"].into_iter().enumerate() {
        sandbox.write("shop.yaml", declaring(ty));
        // Something new to read, so that the third run is one.
        sandbox.write("orders.csv", format!("{ORDERS}n{run},c2,2026-06-12 09:00:00,1.00\n"));
        sandbox.ok(&INGEST);
        let expected = if run == 0 { None } else { Some("true".to_owned()) };
        assert_eq!(privacy_of(&sandbox, "score"), expected, "run {run}");
    }
    let reasons = sandbox.sql("SELECT run, reason FROM quarantine WHERE target = 'customer' ORDER BY run");
    let tells: Vec<bool> = reasons.iter().map(|row| row["reason"].to_string().contains("rather-secret")).collect();
    assert_eq!(tells, [true, false, false], "{reasons:?}");
}

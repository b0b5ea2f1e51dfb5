//! `tagmill doctor`: a sound warehouse has no findings, each damage is found and named, and a repair removes what is
//! nobody's and nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use arrow::record_batch::RecordBatch;
use serde_json::Value;
use tagmill_schemas::ids::CustomerNo;
use tagmill_store::{LogOp, LogRow, NewWarehouse, Outcome, RunSummary, Warehouse, log_batch, read_batches};

use crate::harness::corp::corp;
use crate::harness::shop::{CUSTOMERS, ingested_shop};
use crate::harness::view::wait_for;
use crate::harness::{Sandbox, copy_tree, files_below};
use crate::plans;

const DOCTOR: [&str; 3] = ["doctor", "--format", "json"];
const REPAIR: [&str; 4] = ["doctor", "--repair", "--format", "json"];
/// A name as runs give them.
const STAGED: &str = "s000009-0123456789abcdef0123456789abcdef.parquet";

/// What the doctor finds; it has to end with that exit code.
fn findings(sandbox: &Sandbox, code: i32, args: &[&str]) -> Vec<Value> {
    let answer = sandbox.fails(code, args);
    serde_json::from_str(&answer.stdout).unwrap_or_else(|error| panic!("{error}\n{answer:?}"))
}

/// Compares severity, snapshot, table and a part of the words of each finding.
fn check(sandbox: &Sandbox, code: i32, args: &[&str], expected: &[(&str, &str, &str, &str)]) {
    let found = findings(sandbox, code, args);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (finding, (severity, snapshot, table, words)) in found.iter().zip(expected) {
        let text = |name: &str| finding[name].as_str().unwrap_or_default();
        assert_eq!((text("severity"), text("snapshot"), text("table")), (*severity, *snapshot, *table), "{finding}");
        assert!(text("what").contains(words), "{finding}");
    }
}

/// The data files of a table that is split by bucket, oldest snapshot first.
fn data_files(sandbox: &Sandbox, table: &str) -> Vec<PathBuf> {
    let files = files_below(&sandbox.path(&format!("warehouse/tables/{table}/b0000")));
    files.into_keys().collect()
}

fn data_file(sandbox: &Sandbox, table: &str) -> PathBuf {
    data_files(sandbox, table).swap_remove(0)
}

/// A shop with two snapshots: the second brings other customers and the same orders.
fn shop_with_two_snapshots() -> Sandbox {
    Sandbox::made_once("shop_twice", |sandbox| {
        copy_tree(ingested_shop().root(), sandbox.root());
        sandbox.write("customers.csv", format!("{CUSTOMERS}c6,Zhou,北京,6\n"));
        sandbox.ok(&["ingest", "shop.yaml"]);
    })
}

#[test]
fn a_sound_warehouse_has_no_findings() {
    let answer = corp().ok(&DOCTOR);
    assert_eq!(serde_json::from_str::<Value>(&answer.stdout).unwrap(), Value::Array(Vec::new()), "{answer:?}");
    answer.says("3 snapshots with ").says("all is as it was written");
    check(&shop_with_two_snapshots(), 0, &DOCTOR, &[]);
}

#[test]
fn a_warehouse_without_a_snapshot_is_sound() {
    let sandbox = Sandbox::new();
    wait_for(|| async {
        Warehouse::open_or_create(sandbox.warehouse().to_str().unwrap(), NewWarehouse::default()).await.unwrap();
    });
    check(&sandbox, 0, &DOCTOR, &[]);
}

/// Damages the older customers of two snapshots, and looks for the words about it.
fn check_damage(damage: impl FnOnce(&Path), words: &str) {
    let sandbox = shop_with_two_snapshots();
    let file = data_file(&sandbox, "customer");
    damage(&file);
    check(&sandbox, 1, &DOCTOR, &[("error", "1", "customer", words)]);
    let name = file.file_name().unwrap().to_str().unwrap();
    let told = findings(&sandbox, 1, &REPAIR);
    assert!(told[0]["what"].as_str().unwrap().contains(name), "what is lost cannot be derived: {told:?}");
    sandbox.fails(1, &DOCTOR).says("2 snapshots with ").says("1 error, 0 warnings, 0 notes");
}

#[test]
fn a_file_that_is_gone_is_named_with_the_snapshot_that_holds_it() {
    check_damage(|file| fs::remove_file(file).unwrap(), "is gone");
}

#[test]
fn a_truncated_file_is_named() {
    let truncate = |file: &Path| {
        let length = fs::metadata(file).unwrap().len();
        fs::File::options().write(true).open(file).unwrap().set_len(length - 10).unwrap();
    };
    check_damage(truncate, "bytes and should have");
}

#[test]
fn a_file_with_one_byte_more_is_named() {
    let append = |file: &Path| {
        let mut bytes = fs::read(file).unwrap();
        bytes.push(0);
        fs::write(file, bytes).unwrap();
    };
    check_damage(append, "bytes and should have");
}

#[test]
fn a_file_whose_end_is_torn_is_named_though_its_length_is_right() {
    let tear = |file: &Path| {
        let mut bytes = fs::read(file).unwrap();
        let end = bytes.len();
        bytes[end - 8..].fill(0);
        fs::write(file, bytes).unwrap();
    };
    check_damage(tear, "the footer of ");
}

#[test]
fn a_commit_that_is_gone_makes_its_snapshot_unreadable_and_no_repair_touches_the_files() {
    let sandbox = shop_with_two_snapshots();
    let log = sandbox.path("warehouse/tables/customer/_delta_log");
    fs::remove_file(log.join(format!("{:020}.json", 1))).unwrap();
    let files = data_files(&sandbox, "customer");
    let told = findings(&sandbox, 1, &REPAIR);
    let of_customers = told.iter().all(|finding| finding["table"] == "customer" || finding["table"].is_null());
    assert!(told.iter().any(|finding| finding["what"] == "commit 1 of its log is gone"), "{told:#?}");
    assert!(of_customers, "{told:#?}");
    assert_eq!(data_files(&sandbox, "customer"), files);
}

#[test]
fn a_ledger_that_cannot_be_read_is_told() {
    let sandbox = ingested_shop();
    let folder = sandbox.path("warehouse/tables/snapshot");
    let mut files = files_below(&folder).into_keys();
    let file = files.find(|path| path.extension().is_some_and(|ending| ending == "parquet"));
    fs::remove_file(file.unwrap()).unwrap();
    let gone = ("error", "", "snapshot", "is gone");
    check(&sandbox, 1, &DOCTOR, &[gone, ("error", "", "snapshot", "the ledger cannot be read")]);
}

#[test]
fn an_orphan_is_removed_by_a_repair_once_it_is_old_and_nothing_else_is() {
    let sandbox = shop_with_two_snapshots();
    let warehouse = sandbox.warehouse();
    let before = files_below(&warehouse);
    let customers = data_file(&sandbox, "customer");
    let [orphan, foreign] = [STAGED, "other.parquet"].map(|name| customers.with_file_name(name));
    for copy in [&orphan, &foreign] {
        fs::copy(&customers, copy).unwrap();
    }
    let foreign_note = ("note", "", "customer", "`b0000/other.parquet`");
    check(&sandbox, 0, &REPAIR, &[("note", "", "customer", "1 young staged file"), foreign_note]);
    assert!(orphan.is_file(), "it may be of a run that is writing");
    for copy in [&orphan, &foreign] {
        fs::File::options().write(true).open(copy).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
    let name = format!("`b0000/{STAGED}`");
    check(&sandbox, 0, &DOCTOR, &[("warning", "", "customer", name.as_str()), foreign_note]);
    check(&sandbox, 0, &REPAIR, &[foreign_note]);
    assert!(!orphan.exists() && foreign.is_file());
    fs::remove_file(foreign).unwrap();
    assert_eq!(files_below(&warehouse), before);
}

#[test]
fn a_row_that_a_killed_run_wrote_down_is_told_and_a_repair_takes_it_away() {
    let sandbox = ingested_shop();
    sandbox.write("warehouse/staged/pending.json", "{");
    check(&sandbox, 0, &DOCTOR, &[("warning", "", "", "`staged/pending.json` cannot be read")]);
    sandbox.ok(&REPAIR).says("was damaged and is gone now");
    check(&sandbox, 0, &DOCTOR, &[]);
    sandbox.ok(&REPAIR).says("there was nothing that could be repaired");
}

#[test]
fn a_refused_run_is_told_with_its_size_and_stays() {
    let sandbox = ingested_shop();
    sandbox.write("customers.csv", "id,name,city,birth_month\nc1,Li,上海,5\n");
    sandbox.fails(3, &["ingest", "shop.yaml"]);
    let files = files_below(&sandbox.warehouse());
    check(&sandbox, 0, &REPAIR, &[("note", "", "", "the guard refused `shop` at ")]);
    assert_eq!(files_below(&sandbox.warehouse()), files);
}

/// Publishes a snapshot in which rows are there twice and a tag that nobody knows is closed, as no run would.
async fn publish_what_does_not_fit(warehouse: &Path, customers: &[RecordBatch], events: &[RecordBatch]) {
    let warehouse = Warehouse::open(warehouse.to_str().unwrap()).await.unwrap();
    let mut run = warehouse.begin().await.unwrap();
    for (table, rows) in [("customer", customers), ("event", events)] {
        let stager = run.stager(table).unwrap();
        let again = |batch: &RecordBatch| {
            let first = batch.slice(0, 1);
            RecordBatch::try_new(stager.schema().clone(), first.columns().to_vec()).unwrap()
        };
        let rows: Vec<RecordBatch> = rows.iter().take(1).map(again).collect();
        run.add(table, stager.stage(Some(0), rows).await.unwrap()).unwrap();
    }
    let stager = run.stager("assignment_log").unwrap();
    let step = LogRow {
        customer_no: CustomerNo(0),
        follow_no: None,
        tag_id: "nobody's",
        op: LogOp::Close,
        cause: "unlisted",
        assigned_at: None,
        seen_after: None,
        seen_by: 1,
    };
    let batch = log_batch(stager.schema(), "shop", run.snapshot_id(), &[step]).unwrap();
    run.add("assignment_log", stager.stage(Some(0), [batch]).await.unwrap()).unwrap();
    let at = warehouse.ledger().await.unwrap().last().unwrap().taken_at;
    let summary = RunSummary {
        source: "shop".to_owned(),
        read_from: at,
        read_until: at,
        counts: Vec::new(),
        accept_shrink: false,
        state: None,
    };
    let published = run.publish(summary).await.unwrap();
    assert!(matches!(published, Outcome::Published(_)), "{published:?}");
}

#[test]
fn rows_that_do_not_fit_together_are_told_for_the_snapshots_that_hold_them() {
    let sandbox = ingested_shop();
    let [customers, events] = ["customer", "event"].map(|table| read_batches(&data_file(&sandbox, table)).unwrap());
    let warehouse = sandbox.warehouse();
    wait_for(|| publish_what_does_not_fit(&warehouse, &customers, &events));
    let expected = [
        ("error", "2", "customer", "customer_no given more than once: 1, such as `0`"),
        ("error", "2", "customer", "outside key (id_space, customer_id) of more than one customer: 1, such as `shop:"),
        ("error", "2", "assignment_log", "assignments closed without being held: 1, such as `nobody's by shop"),
        ("error", "2", "assignment_log", "tag_id that no tag has: 1, such as `nobody's`"),
        ("error", "2", "event", "key (source, event_id) of more than one event: 1, such as `shop:o"),
    ];
    check(&sandbox, 1, &DOCTOR, &expected);
    let shown = sandbox.fails(1, &["doctor"]);
    assert!(shown.stdout.contains("severity") && shown.stdout.contains("nobody's"), "{shown:?}");
    shown.says("5 errors, 0 warnings, 0 notes").says("the warehouse is not as it was written; errors: 5");
}

#[test]
fn a_plan_without_its_steps_and_steps_without_a_plan_are_told() {
    let sandbox = plans::corp("all_active", "retract");
    let run = sandbox.json(&["--as", "li", "rule", "run", "rules/sleeping.yaml", "--format", "json"]);
    let plan = run["plan"]["plan_id"].as_str().unwrap();
    check(&sandbox, 0, &DOCTOR, &[]);
    let steps = sandbox.path(&format!("warehouse/plans/{plan}.parquet"));
    fs::rename(&steps, steps.with_file_name("plan-000000000000.parquet")).unwrap();
    let words = format!("plan `{plan}` (pending): the file of its steps is gone");
    let unknown = ("note", "", "", "`plan-000000000000.parquet`");
    check(&sandbox, 1, &DOCTOR, &[("error", "", "", words.as_str()), unknown]);
}

#[test]
fn while_somebody_writes_a_repair_is_refused_and_a_look_is_not() {
    let sandbox = ingested_shop();
    wait_for(|| async {
        let warehouse = Warehouse::open(sandbox.warehouse().to_str().unwrap()).await.unwrap();
        let run = warehouse.begin().await.unwrap();
        sandbox.fails(3, &REPAIR).says("another run is writing to");
        check(&sandbox, 0, &DOCTOR, &[]);
        drop(run);
    });
}

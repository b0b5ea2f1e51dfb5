//! Compaction: many small files become few, and nobody can tell by the answers.

use std::path::PathBuf;

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use serde_json::{Value, json};
use tagmill_query::{Access, Definitions, Engine, Limits};
use tagmill_schemas::ids::SnapshotId;
use tagmill_schemas::segment::AsOf;
use tagmill_store::{PRIVATE_KEY, Warehouse, read_batches};

use crate::harness::shop::CsvSource;
use crate::harness::view::{rows, wait_for};
use crate::harness::{Answer, Sandbox, copy_tree, files_below};

/// How many days the corp has been read, each into a snapshot.
const DAYS: i64 = 12;
/// From that day on, events have a private property more.
const NOTED_SINCE: i64 = 7;
/// The tables that get a file on each day.
const GROWING: [&str; 3] = ["assignment_log", "event", "quarantine"];

const COMPACT: [&str; 2] = ["snapshot", "compact"];
const DOCTOR: [&str; 3] = ["doctor", "--format", "json"];

const CUSTOMERS: &str = "id,city\nc1,上海\nc2,杭州\nc3,\nc4,西安\nc5,上海\nc6,成都\n";
/// `c6` is followed by nobody.
const FOLLOWS: &str = "customer,staff\nc1,wang\nc2,wang\nc3,wang\nc4,wang\nc5,wang\n";
const TAGS: &str = "name\nVIP\n普通\n";

/// Questions in SQL whose answers a compaction must not change.
const QUESTIONS: [&str; 12] = [
    "SELECT * FROM customer ORDER BY customer_no",
    "SELECT * FROM follow ORDER BY follow_no",
    "SELECT * FROM tag ORDER BY tag_id, valid_from",
    "SELECT * FROM event ORDER BY source, event_id",
    "SELECT customer_no, count(*), sum(amount), min(occurred_at), max(occurred_at) FROM event \
     GROUP BY customer_no ORDER BY customer_no",
    "SELECT event_id FROM event JOIN customer USING (customer_no) WHERE customer_id = 'c5' ORDER BY event_id",
    "SELECT type, count(DISTINCT customer_no) FROM event WHERE amount > 1 GROUP BY type",
    "SELECT * FROM assignment_log ORDER BY customer_no, follow_no, tag_id, source, snapshot_id",
    "SELECT snapshot_id, op, count(*) FROM assignment_log GROUP BY snapshot_id, op ORDER BY snapshot_id, op",
    "SELECT * FROM assignment ORDER BY customer_no, follow_no, tag_id, source, opened_by",
    "SELECT * FROM held_assignment ORDER BY customer_no, follow_no, tag_id, source",
    "SELECT * FROM quarantine ORDER BY run, target, line",
];

/// Conditions of segments over everybody.
const CONDITIONS: [&str; 5] = [
    "{tag: {any_of: [标签/VIP], follower: any}}",
    "{tag: {any_of: [标签/普通], follower: all}}",
    "{not: {tag: {any_of: [标签/VIP], follower: any}}}",
    "{event: pay, window: lifetime, measure: sum, currency: CNY, op: \">=\", value: 60}",
    "{event: pay, window: lifetime, measure: last, op: \"<\", value: as_of - 7 days, never: exclude}",
];

/// Reads the corp on a day: the two tags go round, three customers pay, the greatest first, and one row is of no use.
fn read_day(sandbox: &Sandbox, day: i64) -> Answer {
    let (vip, plain) = (day % 5 + 1, (day + 2) % 5 + 1);
    let held = format!("customer,staff,tag\nc6,,VIP\nc{vip},wang,VIP\nc{plain},wang,普通\n");
    let paid_on = format!("2026-05-{:02}", day + 10);
    let paid = |customer: i64| format!("e{day}-{customer},c{customer},{paid_on} 10:00:00,{day}.50\n");
    let events = format!("id,customer,happened,amount\n{}{}{}x{day},c1,last week,1\n", paid(5), paid(1), paid(3));
    let (property, note) = match day {
        NOTED_SINCE.. => ("\nproperties: {note: {type: text, private: true}}", ",\n  concat('note of ', id) AS note"),
        _ => ("", ""),
    };
    let keys = format!("mode: append{property}");
    let select = format!(
        "\
SELECT
  id AS event_id,
  customer AS customer_id,
  'pay' AS type,
  happened AS occurred_at,
  amount,
  'CNY' AS currency{note}
FROM events"
    );
    let taken_at = format!("2026-06-{day:02} 02:00:00");
    let source = CsvSource {
        name: "corp",
        id_space: "corp",
        taken_at: taken_at.as_str(),
        files: &[
            ("customers", CUSTOMERS),
            ("follows", FOLLOWS),
            ("tags", TAGS),
            ("held", held.as_str()),
            ("events", events.as_str()),
        ],
        tables: &[
            ("customer", "mode: full", "SELECT id AS customer_id, city FROM customers"),
            ("follow", "mode: full", "SELECT customer AS customer_id, staff AS staff_id FROM follows"),
            ("tag", "mode: full", "SELECT '标签' AS group_name, name AS tag_name FROM tags"),
            (
                "assignment",
                "mode: full",
                "SELECT customer AS customer_id, staff AS staff_id, '标签' AS group_name, tag AS tag_name FROM held",
            ),
            ("event", keys.as_str(), select.as_str()),
        ],
    };
    source.ingest(sandbox)
}

/// The corp as it was read day by day.
fn daily() -> Sandbox {
    Sandbox::made_once("compact_daily", |sandbox| {
        for day in 1..=DAYS {
            read_day(sandbox, day).says(&format!("published snapshot {day},"));
        }
    })
}

/// The same after a compaction.
fn compacted() -> Sandbox {
    Sandbox::made_once("compact_compacted", |sandbox| {
        copy_tree(daily().root(), sandbox.root());
        let said = "published snapshot 13, which holds the same rows: 36 files of 3 tables became 3; ";
        sandbox.ok(&COMPACT).says(said);
    })
}

/// What these snapshots answer: for each, a text for each question and each condition.
fn answers(sandbox: &Sandbox, snapshots: &[i64]) -> Vec<Vec<String>> {
    wait_for(|| async {
        let warehouse = Warehouse::open(sandbox.warehouse().to_str().unwrap()).await.unwrap();
        let engine = Engine::new(warehouse, Limits::default()).unwrap();
        let definitions = Definitions::new(None);
        let mut answers = Vec::new();
        for id in snapshots {
            let view = engine.view(AsOf::Snapshot(SnapshotId(*id)), Access::Full).await.unwrap();
            let mut of_snapshot = Vec::new();
            for sql in QUESTIONS {
                of_snapshot.push(format!("{sql}: {:?}", rows(&view, sql).await));
            }
            for condition in CONDITIONS {
                let document = format!("universe: all\nas_of: latest\nwhere: {condition}\n");
                let evaluation = view.evaluate(&definitions.from_text(&document).unwrap()).await.unwrap();
                let found: Vec<u32> = evaluation.customer_nos().map(|customer| customer.0).collect();
                of_snapshot.push(format!("{condition}: {found:?}"));
            }
            answers.push(of_snapshot);
        }
        answers
    })
}

/// The data files of a table.
fn data_files(sandbox: &Sandbox, table: &str) -> Vec<PathBuf> {
    let files = files_below(&sandbox.warehouse().join("tables").join(table)).into_keys();
    files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("s0")).collect()
}

/// The rows of the one file that the compaction wrote for a table.
fn merged_rows(sandbox: &Sandbox, table: &str) -> Vec<RecordBatch> {
    let mut files = data_files(sandbox, table);
    files.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with("s000013-"));
    assert_eq!(files.len(), 1, "{files:?}");
    read_batches(&files[0]).unwrap()
}

/// The whole numbers of a column.
fn numbers(batches: &[RecordBatch], name: &str) -> Vec<i64> {
    let columns = batches.iter().map(|batch| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>());
    columns.flat_map(|column| column.values().to_vec()).collect()
}

/// The instants of a column, in microseconds.
fn micros(batches: &[RecordBatch], name: &str) -> Vec<i64> {
    let column = |batch: &RecordBatch| {
        batch.column_by_name(name).unwrap().as_primitive::<TimestampMicrosecondType>().values().to_vec()
    };
    batches.iter().flat_map(column).collect()
}

#[test]
fn a_dry_run_tells_what_would_be_merged_and_changes_nothing() {
    let sandbox = daily();
    let before = files_below(&sandbox.warehouse());
    let told = sandbox.ok(&["snapshot", "compact", "--dry-run", "--format", "json"]);
    told.says("dry run: 36 files of 3 tables, ").says(" bytes, would become 3");
    let rows: Vec<Value> = serde_json::from_str(&told.stdout).unwrap();
    let (merged, left): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row["merged_files"] != json!(0));
    let names: Vec<&str> = merged.iter().map(|row| row["table"].as_str().unwrap()).collect();
    assert_eq!(names, GROWING);
    for row in merged {
        let bytes: u64 = data_files(&sandbox, row["table"].as_str().unwrap()).iter().map(|file| before[file]).sum();
        let expected = json!({
            "table": row["table"], "files": 12, "files_after": 1, "bytes": bytes, "bytes_after": null,
            "merged_files": 12, "merged_bytes": bytes,
        });
        assert_eq!(row, &expected);
    }
    assert!(left.iter().any(|row| row["table"] == "customer"), "{left:?}");
    for row in left {
        assert_eq!((&row["files"], &row["bytes"]), (&row["files_after"], &row["bytes_after"]), "{row}");
    }
    assert_eq!(files_below(&sandbox.warehouse()), before);
}

#[test]
fn every_question_is_answered_as_before_at_the_head_and_as_of_every_older_snapshot() {
    let sandbox = compacted();
    let days: Vec<i64> = (1..=DAYS).collect();
    let before = answers(&daily(), &days);
    for answer in &before[11] {
        assert!(!answer.ends_with("[]"), "it asks of nothing: {answer}");
    }
    assert_eq!(answers(&sandbox, &days), before);
    assert_eq!(answers(&sandbox, &[13]), before[11..]);
}

#[test]
fn the_snapshot_takes_the_place_of_its_parent_at_its_instant_and_changes_nothing_else() {
    let sandbox = compacted();
    sandbox.write("vip.yaml", "universe: all\nas_of: latest\nwhere: {tag: {any_of: [标签/VIP], follower: any}}\n");
    for (as_of, id) in [("2026-06-12T02:00", 13), ("latest", 13), ("2026-06-12T01:59", 11), ("12", 12)] {
        let count = sandbox.json(&["--as-of", as_of, "segment", "count", "vip.yaml", "--format", "json"]);
        assert_eq!((&count["snapshot_id"], &count["count"]), (&json!(id), &json!(2)), "{as_of}");
    }
    sandbox.ok(&["snapshot", "diff", "12", "13"]).says("nothing changed between snapshots 12 and 13");
    let row = |id: &str| sandbox.json(&["snapshot", "show", id, "--format", "json"]);
    let (before, after) = (row("12"), row("13"));
    assert_eq!(after["source"], "compaction");
    for field in ["taken_at", "row_counts", "latest_events", "sources"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    assert_eq!(sandbox.json(&DOCTOR), json!([]));
}

#[test]
fn merged_rows_lie_sorted_by_customer_and_those_of_no_customer_as_they_came() {
    let sandbox = compacted();
    let events = merged_rows(&sandbox, "event");
    let keys: Vec<(i64, i64)> =
        numbers(&events, "customer_no").into_iter().zip(micros(&events, "occurred_at")).collect();
    assert_eq!(keys.len(), 36);
    assert!(keys.is_sorted(), "{keys:?}");
    // Two are given on the first day beside the one that stays; after that two go and two come each day.
    let steps = numbers(&merged_rows(&sandbox, "assignment_log"), "customer_no");
    assert_eq!(steps.len(), 3 + 11 * 4);
    assert!(steps.is_sorted(), "{steps:?}");
    assert_eq!(numbers(&merged_rows(&sandbox, "quarantine"), "run"), (1..=DAYS).collect::<Vec<i64>>());
}

#[test]
fn a_column_that_came_later_is_kept_and_stays_private() {
    let sandbox = compacted();
    let notes = sandbox.sql("SELECT count(*) AS events, count(note) AS notes, max(note) AS greatest FROM event");
    assert_eq!(notes, [json!({"events": 36, "notes": 18, "greatest": "note of e9-5"})]);
    let privacy = wait_for(|| async {
        let warehouse = Warehouse::open(sandbox.warehouse().to_str().unwrap()).await.unwrap();
        let schema = warehouse.head().await.unwrap().unwrap().schema("event").unwrap();
        schema.field_with_name("note").unwrap().metadata().get(PRIVATE_KEY).cloned()
    });
    assert_eq!(privacy.as_deref(), Some("true"));
}

#[test]
fn a_second_compaction_has_nothing_to_do() {
    let sandbox = compacted();
    let files = files_below(&sandbox.warehouse());
    sandbox.ok(&COMPACT).says("nothing to do");
    assert_eq!(files_below(&sandbox.warehouse()), files);
}

#[test]
fn a_prune_afterwards_frees_the_small_files() {
    let sandbox = compacted();
    assert_eq!(GROWING.map(|table| data_files(&sandbox, table).len()), [13, 13, 13]);
    sandbox.ok(&["snapshot", "prune", "--keep-all", "0", "--keep-daily", "0"]).says("pruned 12 of 13 snapshots; ");
    assert_eq!(GROWING.map(|table| data_files(&sandbox, table).len()), [1, 1, 1]);
    assert_eq!(answers(&sandbox, &[13]), answers(&daily(), &[DAYS]));
    assert_eq!(sandbox.json(&DOCTOR), json!([]));
}

#[test]
fn readings_go_on_after_a_compaction_as_if_there_had_been_none() {
    let sandbox = compacted();
    sandbox.ok(&["ingest", "corp.yaml"]).says("snapshot 13 stays the newest");
    read_day(&sandbox, 13).says("published snapshot 14,");
    let other = daily();
    read_day(&other, 13).says("published snapshot 13,");
    let counted = |sandbox: &Sandbox, id| {
        let counts = sandbox.row_counts(id);
        GROWING.map(|table| counts[table])
    };
    assert_eq!(counted(&sandbox, 14), counted(&other, 13));
    let held = "SELECT customer_no, tag_id, assigned_at, given_after, given_by FROM held_assignment ORDER BY 1, 2";
    assert_eq!(sandbox.sql(held), other.sql(held));
    assert_eq!(sandbox.json(&DOCTOR), json!([]));
    sandbox.ok(&COMPACT).says("nothing to do");
}

#[test]
fn a_compaction_is_refused_while_somebody_writes_and_a_dry_run_is_not() {
    let sandbox = daily();
    wait_for(|| async {
        let warehouse = Warehouse::open(sandbox.warehouse().to_str().unwrap()).await.unwrap();
        let run = warehouse.begin().await.unwrap();
        sandbox.fails(3, &COMPACT).says("another run is writing to");
        sandbox.ok(&["snapshot", "compact", "--dry-run"]).says("would become 3");
        drop(run);
    });
    assert_eq!(sandbox.snapshot_ids(), (1..=DAYS).collect::<Vec<i64>>());
}

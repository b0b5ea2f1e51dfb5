//! `tagmill sql`: it only ever reads, it stops when its time or memory is up, and it prints in every form.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tagmill_query::{Definitions, Limits, QueryError, View};
use tagmill_schemas::error::Diagnose;

use crate::harness::corp::corp;
use crate::harness::files_below;
use crate::harness::shop::ingested_shop;
use crate::harness::view::{newest, texts, view_with, wait_for};

/// Far more pairs than a second is enough for, and no way to be clever about them.
const ENDLESS: &str = "\
SELECT count(*) FROM event AS a CROSS JOIN event AS b CROSS JOIN customer AS c
WHERE a.event_id || b.event_id = c.customer_id || a.type";

/// A hash join keeps one side in memory and cannot put it on disk.
const GREEDY: &str = "SELECT count(*) FROM event AS a JOIN event AS b ON a.event_id = b.event_id";

/// Joins as much, in numbers that lie apart, and needs some 25 MB to do so by hashing.
const LARGE_JOIN: &str = "\
SELECT count(*) AS pairs
FROM (SELECT value * 1000 AS number FROM generate_series(1, 600000)) AS a
JOIN (SELECT value * 1000 AS number FROM generate_series(1, 600000)) AS b ON a.number = b.number";

/// The engine reserves as much space as all the lengths come to, and takes a negative one for more than there can be.
const PANICKING: &str = "SELECT customer_no FROM customer WHERE lpad('x', customer_no - 1000000, 'y') = 'x'";

/// Asks to the end; the number of rows.
async fn ask(view: &View, sql: &str) -> Result<usize, QueryError> {
    let batches = view.sql(sql).await?.collect().await?;
    Ok(batches.iter().map(|batch| batch.num_rows()).sum())
}

/// Evaluates a segment of that many conditions in SQL, each slow; the number of customers.
async fn ask_slow_conditions(view: &View, conditions: usize) -> Result<u64, QueryError> {
    let slow = |number: usize| {
        format!(
            "  - sql: SELECT DISTINCT value % 1000 AS customer_no FROM generate_series(1, 2000000) WHERE value % 24 <> {number}\n"
        )
    };
    let conditions: String = (0..conditions).map(slow).collect();
    let document = format!("universe: all\nas_of: latest\nwhere:\n  any:\n{conditions}");
    let loaded = Definitions::default().from_text(&document)?;
    Ok(view.evaluate(&loaded).await?.count().count)
}

/// Invariant 3.
#[test]
fn whatever_would_change_something_is_refused_before_it_runs() {
    let sandbox = ingested_shop();
    sandbox.write("rows.csv", "customer_no\n1\n");
    let before = files_below(sandbox.root());
    for statement in [
        "CREATE EXTERNAL TABLE stolen STORED AS CSV LOCATION 'rows.csv'",
        "CREATE TABLE made AS SELECT 1",
        "CREATE VIEW seen AS SELECT 1",
        "DROP TABLE customer",
        "COPY customer TO 'stolen.csv'",
        "INSERT INTO customer SELECT * FROM customer",
        "DELETE FROM customer",
        "UPDATE customer SET city = 'x'",
        "SET datafusion.execution.batch_size = 1",
        "EXPLAIN ANALYZE INSERT INTO customer SELECT * FROM customer",
    ] {
        let refused = sandbox.fails(3, &["sql", statement]);
        refused.says("only questions are answered");
        assert_eq!(refused.stdout, "", "{statement}");
    }
    assert_eq!(files_below(sandbox.root()), before, "a refused statement left something behind");
    sandbox.check("error_sql_writes", &["sql", "COPY customer TO 'stolen.csv'"]);
}

#[test]
fn files_of_the_machine_are_no_tables() {
    let sandbox = ingested_shop();
    for table in ["'customers.csv'", "\"customers.csv\"", "read_csv('customers.csv')"] {
        let refused = sandbox.fails(1, &["sql", &format!("SELECT * FROM {table}")]);
        assert!(!refused.stdout.contains("Zhao"), "{table} was read: {refused:?}");
    }
}

#[test]
fn a_question_is_really_stopped_when_its_time_is_up() {
    let started = Instant::now();
    let stopped = corp().fails(1, &["sql", ENDLESS, "--timeout", "1s"]);
    assert!(started.elapsed() < Duration::from_secs(20), "it went on for {:?}", started.elapsed());
    stopped.says("stopped after 1 s, the time limit").says("--timeout");
    assert_eq!(stopped.stdout, "");
}

#[test]
fn a_question_whose_time_is_up_leaves_nothing_that_computes() {
    wait_for(|| async {
        let hurried = Limits { timeout: Duration::from_millis(500), ..Limits::default() };
        let view = view_with(&corp().warehouse(), hurried).await;
        let stopped = ask(&view, ENDLESS).await.expect_err("the time was up");
        assert_eq!(stopped.code(), "TIMEOUT");
        let begun = Instant::now();
        while view.engine().running_tasks() > 0 {
            let tasks = view.engine().running_tasks();
            assert!(begun.elapsed() < Duration::from_secs(30), "{tasks} tasks still compute");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

#[test]
fn the_time_limit_is_for_a_question_and_not_for_each_of_its_statements() {
    wait_for(|| async {
        let view = newest(&corp().warehouse()).await;
        // Twice, because the first evaluation loads what the second finds loaded.
        ask_slow_conditions(&view, 2).await.unwrap();
        let begun = Instant::now();
        let count = ask_slow_conditions(&view, 2).await.unwrap();
        assert_eq!(count, 1000);
        // Any one condition has time enough, and all of them together have not.
        let limits = Limits { timeout: begun.elapsed() * 2, ..Limits::default() };
        let hurried = view_with(&corp().warehouse(), limits).await;
        let stopped = ask_slow_conditions(&hurried, 100).await.expect_err("100 conditions had the time of four");
        assert_eq!(stopped.code(), "TIMEOUT");
    });
}

#[test]
fn what_is_asked_of_a_view_for_one_question_has_its_time_together() {
    wait_for(|| async {
        let limits = Limits { timeout: Duration::from_secs(1), ..Limits::default() };
        let question = view_with(&corp().warehouse(), limits).await.for_one_question();
        tokio::time::sleep(limits.timeout).await;
        // Being for one question already, it has no new time.
        for late in [question.for_one_question(), question] {
            let stopped = ask(&late, "SELECT customer_no FROM customer").await.expect_err("the time was up");
            assert_eq!(stopped.code(), "TIMEOUT");
        }
    });
}

#[test]
fn a_limit_says_by_its_code_which_one_it_was() {
    let code = |sql: &'static str, limits: Limits| {
        wait_for(|| async {
            let view = view_with(&corp().warehouse(), limits).await;
            ask(&view, sql).await.expect_err("a limit was reached").code()
        })
    };
    let hurried = Limits { timeout: Duration::from_millis(500), ..Limits::default() };
    assert_eq!(code(ENDLESS, hurried), "TIMEOUT");
    let cramped = Limits { memory_bytes: 64 * 1024, ..Limits::default() };
    assert_eq!(code(GREEDY, cramped), "MEMORY_LIMIT");
}

#[test]
fn a_join_that_is_too_large_for_memory_is_sorted_on_disk_instead() {
    let limits = Limits { memory_bytes: 12 << 20, ..Limits::default() };
    let pairs = wait_for(|| async { texts(&view_with(&corp().warehouse(), limits).await, LARGE_JOIN).await });
    assert_eq!(pairs, ["600000"]);
}

#[test]
fn a_question_at_which_the_engine_breaks_off_has_failed_and_is_no_short_answer() {
    let failed = corp().fails(1, &["sql", PANICKING]);
    failed.says("the query failed while it ran");
    assert_eq!(failed.stdout, "");
    wait_for(|| async {
        let view = newest(&corp().warehouse()).await;
        let document = format!("universe: all\nas_of: latest\nwhere:\n  sql: \"{PANICKING}\"\n");
        let loaded = Definitions::default().from_text(&document).unwrap();
        let failed = view.evaluate(&loaded).await.expect_err("the engine broke off");
        assert_eq!(failed.code(), "QUERY_FAILED");
        // The threads are there for the next question.
        assert!(ask(&view, "SELECT customer_no FROM customer").await.unwrap() > 0);
    });
}

#[test]
fn a_question_that_needs_too_much_memory_is_stopped_with_advice() {
    let stopped = corp().fails(1, &["sql", GREEDY, "--memory", "64KB"]);
    stopped.says("the memory limit").says("--memory");
}

#[test]
fn every_form_holds_the_same_rows() {
    let sandbox = ingested_shop();
    let sql = "SELECT event_id, amount, occurred_at FROM event WHERE event_id < 'o3' ORDER BY event_id";
    let print = |format: &str| sandbox.ok(&["sql", sql, "--format", format]).stdout;
    let expected = json!([
        {"event_id": "o1", "amount": "100.0000", "occurred_at": "2026-05-01T02:00:00Z"},
        {"event_id": "o2", "amount": "200.5000", "occurred_at": "2026-05-31T15:59:59Z"},
    ]);
    assert_eq!(serde_json::from_str::<Value>(&print("json")).unwrap(), expected);
    let lines: Vec<Value> = print("ndjson").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(Value::from(lines), expected);
    let csv = "event_id,amount,occurred_at\no1,100.0000,2026-05-01T02:00:00Z\no2,200.5000,2026-05-31T15:59:59Z\n";
    assert_eq!(print("csv"), csv);
    sandbox.check("sql_table", &["sql", sql]);

    for (file, magic) in [("rows.parquet", b"PAR1".as_slice()), ("rows.arrow", b"ARROW1".as_slice())] {
        sandbox.ok(&["sql", sql, "-o", file]).says("2 rows written to");
        assert!(std::fs::read(sandbox.path(file)).unwrap().starts_with(magic), "{file}");
    }
    let batches = tagmill_store::read_batches(&sandbox.path("rows.parquet")).unwrap();
    assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 2);
}

#[test]
fn a_question_may_come_from_a_file_and_its_answer_go_to_one() {
    let sandbox = ingested_shop();
    sandbox.write("spend.sql", "SELECT sum(amount) AS spend\nFROM event\n");
    sandbox.ok(&["sql", "-f", "spend.sql", "-o", "spend.csv"]);
    assert_eq!(sandbox.read("spend.csv"), "spend\n5370.3000\n");
}

#[test]
fn numbers_with_a_point_are_exact() {
    let rows = ingested_shop().sql("SELECT 0.1 + 0.2 = 0.3 AS is_exact");
    assert_eq!(rows, [json!({"is_exact": true})]);
}

#[test]
fn a_table_that_nobody_reads_to_its_end_is_no_failure() {
    let mut command = corp().command(&["sql", "SELECT event_id FROM event", "--format", "csv"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

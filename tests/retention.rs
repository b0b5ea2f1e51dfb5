//! Pruning: what the ladder keeps still answers, to us and to others; what it let go is refused by name.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::Instant;

use serde_json::{Value, json};

use crate::harness::http::Server;
use crate::harness::outside::{check_counts, seen_from_outside};
use crate::harness::shop::{CsvSource, Table};
use crate::harness::{Answer, Sandbox, files_below};

/// When each snapshot was taken, from the first on.
const TAKEN: [&str; 7] = [
    "2026-01-10T02:00:00+08:00",
    "2026-01-31T10:00:00+08:00",
    "2026-05-10T02:00:00+08:00",
    "2026-05-10T20:00:00+08:00",
    "2026-06-24T08:00:00+08:00",
    "2026-06-24T20:00:00+08:00",
    "2026-06-30T18:00:00+08:00",
];
/// Those that the default ladder keeps.
const KEPT: [i64; 5] = [2, 4, 5, 6, 7];
const PRUNE: [&str; 2] = ["snapshot", "prune"];
/// A segment to be asked over HTTP.
const PAID: &str = "universe: all\nas_of: latest\nwhere: {event: pay, window: lifetime, measure: last, op: \"<\", \
                    value: as_of - 3 months, never: exclude}\n";

const TABLES: [Table<'static>; 2] = [
    ("customer", "mode: full", "SELECT id AS customer_id, name FROM customers"),
    (
        "event",
        "mode: append",
        "SELECT id AS event_id, customer AS customer_id, 'pay' AS type, paid_at AS occurred_at FROM orders",
    ),
];

/// Reads a source whose n-th reading lists ten customers and n more, and brings one order.
fn publish(sandbox: &Sandbox, number: i64, taken_at: &str) {
    let customers: String = (1..=10 + number).map(|customer| format!("c{customer},name {customer}\n")).collect();
    let customers = format!("id,name\n{customers}");
    let orders = format!("id,customer,paid_at\no{number},c1,2026-01-01 10:00:00\n");
    let files = [("customers", customers.as_str()), ("orders", orders.as_str())];
    let source = CsvSource { name: "shop", id_space: "shop", taken_at, files: &files, tables: &TABLES };
    source.ingest(sandbox).says(&format!("published snapshot {number},"));
}

/// The shop with all its snapshots, nothing pruned, built once. Who writes takes a copy.
fn shop() -> &'static Sandbox {
    static SHOP: OnceLock<Sandbox> = OnceLock::new();
    SHOP.get_or_init(|| {
        let sandbox = Sandbox::lasting("retention");
        sandbox.write("warehouse/definitions/paid.yaml", PAID);
        for (number, taken_at) in (1..).zip(TAKEN) {
            publish(&sandbox, number, taken_at);
        }
        sandbox
    })
}

/// The shop after a prune by the default ladder, and what it said. Who writes takes a copy.
fn pruned_shop() -> &'static (Sandbox, Answer) {
    static PRUNED: OnceLock<(Sandbox, Answer)> = OnceLock::new();
    PRUNED.get_or_init(|| {
        let sandbox = Sandbox::lasting("retention_pruned");
        copy_missing(&files_below(shop().root()), shop(), &sandbox);
        let answer = sandbox.ok(&PRUNE);
        (sandbox, answer)
    })
}

/// Copies those files of a folder that another has not.
fn copy_missing(files: &BTreeMap<PathBuf, u64>, from: &Sandbox, to: &Sandbox) {
    for file in files.keys() {
        let target = to.root().join(file.strip_prefix(from.root()).unwrap());
        if !target.exists() {
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(file, target).unwrap();
        }
    }
}

/// The files of the tables, by their paths below the warehouse.
fn table_files(sandbox: &Sandbox) -> BTreeMap<PathBuf, u64> {
    let files = files_below(&sandbox.path("warehouse/tables"));
    files.into_iter().map(|(path, size)| (path.strip_prefix(sandbox.root()).unwrap().to_path_buf(), size)).collect()
}

/// Customers and events as of a state, counted by reading them.
fn counted(sandbox: &Sandbox, as_of: &str) -> Value {
    let sql = "SELECT (SELECT count(DISTINCT name) FROM customer) AS customers, \
               (SELECT count(DISTINCT event_id) FROM event) AS events";
    let rows = sandbox.json(&["--as-of", as_of, "sql", sql, "--format", "json"]);
    rows.as_array().unwrap()[0].clone()
}

/// Checks that a snapshot holds what its reading brought.
fn check_whole(sandbox: &Sandbox, id: i64) {
    let expected = json!({"customers": 10 + id, "events": id});
    assert_eq!(counted(sandbox, &id.to_string()), expected, "snapshot {id}");
}

/// What a prune said it frees: from the number of bytes to the word `files`.
fn freed(answer: &Answer) -> String {
    let (_, said) = answer.stderr.split_once("; ").unwrap_or_else(|| panic!("nothing is freed: {answer:?}"));
    said.split(" files").next().unwrap().to_owned()
}

#[test]
fn a_dry_run_tells_what_would_go_and_what_stays_and_changes_nothing() {
    let sandbox = Sandbox::copy_of(shop());
    let before = table_files(&sandbox);
    let rows = sandbox.json(&["snapshot", "prune", "--dry-run", "--format", "json"]);
    let told: Vec<String> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{} {} {}", row["snapshot_id"], row["verdict"], row["kept_as"]).replace('"', ""))
        .collect();
    let expected = [
        "1 goes null",
        "2 stays last of its month",
        "3 goes null",
        "4 stays last of its day",
        "5 stays recent",
        "6 stays recent",
        "7 stays newest",
    ];
    assert_eq!(told, expected);
    let shorter = sandbox.ok(&["snapshot", "prune", "--dry-run", "--keep-all", "0", "--keep-daily", "0"]);
    shorter.says("dry run: 4 of 7 snapshots would be pruned");
    let said = sandbox.ok(&["snapshot", "prune", "--dry-run"]);
    said.says("dry run: 2 of 7 snapshots would be pruned; ");
    assert_eq!(freed(&said), freed(&pruned_shop().1), "a dry run frees what the prune frees");
    assert_eq!(table_files(&sandbox), before);
    assert_eq!(sandbox.snapshot_ids(), [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn a_prune_frees_the_files_of_what_it_prunes_and_every_kept_snapshot_still_answers() {
    let (sandbox, answer) = pruned_shop();
    answer.says("pruned 2 of 7 snapshots; ");
    assert_eq!(sandbox.snapshot_ids(), KEPT);
    for id in KEPT {
        check_whole(sandbox, id);
    }
    let (before, after) = (table_files(shop()), table_files(sandbox));
    let gone: Vec<_> = before.iter().filter(|(path, _)| !after.contains_key(*path)).collect();
    let bytes: u64 = gone.iter().map(|(_, size)| **size).sum();
    assert!(gone.iter().any(|(path, _)| path.starts_with("warehouse/tables/customer")), "{gone:?}");
    assert!(gone.iter().all(|(path, _)| path.extension().is_some_and(|ending| ending == "parquet")), "{gone:?}");
    assert_eq!(freed(answer).replace(',', ""), format!("{bytes} bytes in {}", gone.len()));
}

#[test]
fn readers_that_are_not_ours_count_the_kept_snapshots_and_the_heads() {
    let (sandbox, _) = pruned_shop();
    for id in [2, 4] {
        check_counts(sandbox, id, &seen_from_outside(sandbox, Some(id)));
    }
    let heads = seen_from_outside(sandbox, None);
    check_counts(sandbox, 7, &heads);
    assert_eq!(heads["snapshot"]["duckdb"], KEPT.len(), "the ledger lists what is kept");
}

#[test]
fn a_pruned_snapshot_is_refused_with_the_kept_ones_beside_it() {
    let (sandbox, _) = pruned_shop();
    let asked = |as_of: &str| sandbox.fails(1, &["--as-of", as_of, "sql", "SELECT 1"]);
    let by_id = asked("3");
    by_id.says("error: snapshot 3 (taken 2026-05-09T18:00:00+00:00) was pruned");
    by_id.says("2 (taken 2026-01-31T02:00:00+00:00) before it and 4 (taken 2026-05-10T12:00:00+00:00) after it");
    asked("1").says("none before it and 2 (taken");
    asked("2026-05-10T12:00").says("snapshot 3 (taken 2026-05-09T18:00:00+00:00), the last one taken by");
    asked("2026-01-20").says("snapshot 1 (taken").says("was pruned");
    asked("8").says("no snapshot has the id 8");
    asked("2026-01-09").says("no snapshot was taken at or before");
    for (as_of, id) in [("2026-05-09", 2), ("2026-05-11", 4), ("2026-06-25", 6), ("latest", 7)] {
        assert_eq!(counted(sandbox, as_of)["events"], id, "{as_of}");
    }
    sandbox.fails(1, &["snapshot", "show", "3"]).says("was pruned");
    sandbox.fails(1, &["snapshot", "diff", "3", "4"]).says("was pruned");

    let server = Server::start(sandbox, &[]);
    let problem = server.get("/api/v1/segments/paid/count?as_of=3").json(404);
    assert_eq!(problem["code"], "SNAPSHOT_PRUNED", "{problem}");
    assert_eq!(server.get("/api/v1/segments/paid/count?as_of=4").json(200)["snapshot_id"], 4);
}

#[test]
fn pruning_twice_changes_nothing_more_and_readings_go_on_with_new_numbers() {
    let sandbox = Sandbox::copy_of(&pruned_shop().0);
    let before = table_files(&sandbox);
    let again = sandbox.ok(&PRUNE);
    again.says("no snapshot is to be pruned: all 5 stay");
    assert!(!again.stderr.contains("freed"), "{again:?}");
    assert_eq!(table_files(&sandbox), before);

    publish(&sandbox, 8, "2026-07-20T02:00:00+08:00");
    sandbox.ok(&PRUNE).says("pruned 1 of 6 snapshots");
    assert_eq!(sandbox.snapshot_ids(), [2, 4, 6, 7, 8]);
    for id in [2, 4, 6, 7, 8] {
        check_whole(&sandbox, id);
    }
    for gone in ["1", "3", "5"] {
        sandbox.fails(1, &["snapshot", "show", gone]).says("was pruned");
    }
}

#[test]
fn a_prune_killed_before_its_files_leaves_them_to_the_next_one() {
    let pruned = &pruned_shop().0;
    let sandbox = Sandbox::copy_of(pruned);
    let data: BTreeMap<PathBuf, u64> = files_below(&shop().path("warehouse/tables"))
        .into_iter()
        .filter(|(path, _)| path.extension().is_some_and(|ending| ending == "parquet"))
        .collect();
    copy_missing(&data, shop(), &sandbox);
    assert_ne!(table_files(&sandbox), table_files(pruned));
    assert_eq!(sandbox.snapshot_ids(), KEPT);
    let next = sandbox.ok(&PRUNE);
    next.says("no snapshot is to be pruned: all 5 stay; ");
    assert_eq!(freed(&next), freed(&pruned_shop().1));
    assert_eq!(table_files(&sandbox), table_files(pruned));
}

#[test]
fn a_prune_killed_at_any_point_leaves_every_listed_snapshot_whole_and_the_next_one_ends_it() {
    let complete = Sandbox::copy_of(shop());
    let started = Instant::now();
    complete.ok(&PRUNE);
    let whole = started.elapsed();
    for share in [0.4, 0.7, 0.9] {
        let sandbox = Sandbox::copy_of(shop());
        let mut prune = sandbox.command(&PRUNE).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(whole.mul_f64(share));
        prune.kill().unwrap();
        prune.wait().unwrap();
        let listed = sandbox.snapshot_ids();
        assert!(listed == KEPT || listed == [1, 2, 3, 4, 5, 6, 7], "killed at {share}: {listed:?}");
        for id in [listed[0], 4, 7] {
            check_whole(&sandbox, id);
        }
        sandbox.ok(&PRUNE);
        assert_eq!(sandbox.snapshot_ids(), KEPT, "killed at {share}");
        assert_eq!(data_files(&sandbox), data_files(&complete), "killed at {share}");
        check_whole(&sandbox, KEPT[0]);
    }
}

/// How many data files the tables have. The ledger's have names of their own in each warehouse.
fn data_files(sandbox: &Sandbox) -> usize {
    table_files(sandbox).keys().filter(|path| path.extension().is_some_and(|ending| ending == "parquet")).count()
}

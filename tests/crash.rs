//! Crashes and second writers: a reader sees a whole snapshot or the one before, and the next run mends what was left.
//!
//! Invariant 9. A run is killed while it works, and while it commits one table after the other, which is where a
//! mixture could be seen if there were one.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tagmill_store::Warehouse;

use crate::harness::Sandbox;
use crate::harness::corp::{small_corp, write_pull};
use crate::harness::outside::{check_counts, seen_from_outside};
use crate::harness::random_segment::Random;
use crate::harness::view::wait_for;

const INGEST: [&str; 2] = ["ingest", "corp.yaml"];
/// Points spread over a whole run, and points spread over its commits.
const KILLS_WHILE_WORKING: usize = 4;
const KILLS_WHILE_COMMITTING: usize = 6;
/// How often a run is looked at.
const GLANCE: Duration = Duration::from_millis(1);
/// No run of the small corp takes longer, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(120);

/// Rows by table, counted by reading them.
type Counts = BTreeMap<String, u64>;

/// A warehouse with one snapshot, whose source lists the next pull already.
struct Before {
    sandbox: Sandbox,
    counts: Counts,
    /// What a complete run of the next pull comes to, and how long it takes.
    next_counts: Counts,
    whole: Duration,
    committing: Duration,
}

fn before() -> &'static Before {
    static BEFORE: OnceLock<Before> = OnceLock::new();
    BEFORE.get_or_init(|| {
        let sandbox = Sandbox::lasting("crash");
        let corp = small_corp();
        write_pull(&sandbox, &corp, 0);
        sandbox.ok(&INGEST);
        write_pull(&sandbox, &corp, 1);
        let complete = Sandbox::copy_of(&sandbox);
        let started = Instant::now();
        let mut run = start(&complete);
        let began_to_commit = wait_until_committing(&complete, &mut run).then(Instant::now);
        assert!(run.wait().unwrap().success());
        let whole = started.elapsed();
        let committing = began_to_commit.map_or(Duration::ZERO, |began| began.elapsed());
        let (counts, next_counts) = (counted(&sandbox), counted(&complete));
        assert_ne!(counts, next_counts);
        Before { sandbox, counts, next_counts, whole, committing }
    })
}

/// Starts a run whose words nobody reads.
fn start(sandbox: &Sandbox) -> Child {
    sandbox.command(&INGEST).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits until a run has written down what it will commit; `false` where it ended before that was seen.
fn wait_until_committing(sandbox: &Sandbox, run: &mut Child) -> bool {
    let pending = sandbox.path("warehouse/staged/pending.json");
    let started = Instant::now();
    while !pending.exists() {
        if run.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(started.elapsed() < PATIENCE, "the run neither commits nor ends");
        sleep(GLANCE);
    }
    true
}

/// Counts rows of the newest snapshot. The number of kinds makes it read the files: without it, a count could come from
/// the log alone.
fn counted(sandbox: &Sandbox) -> Counts {
    let columns = [
        ("customer", "customer_id"),
        ("follow", "staff_id"),
        ("tag", "tag_name"),
        ("tag_group", "group_name"),
        ("assignment_log", "op"),
        ("event", "event_id"),
    ];
    let parts = columns.map(|(table, column)| {
        format!(
            "SELECT '{table}' AS table_name, count(DISTINCT {column}) AS kinds, count({column}) AS row_count \
             FROM {table}"
        )
    });
    let rows = sandbox.sql(&parts.join(" UNION ALL "));
    assert_eq!(rows.len(), columns.len());
    rows.iter()
        .map(|row| (row["table_name"].as_str().unwrap().to_owned(), row["row_count"].as_u64().unwrap()))
        .collect()
}

/// Checks that the newest snapshot is one of the two, whole: what is read is what its ledger row says.
fn check_whole(sandbox: &Sandbox, at: &str) {
    let before = before();
    let (ids, counts) = (sandbox.snapshot_ids(), counted(sandbox));
    let expected = match ids.len() {
        1 => &before.counts,
        2 => &before.next_counts,
        _ => panic!("{at}: snapshots {ids:?}"),
    };
    assert_eq!(counts, *expected, "{at}: snapshot {}", ids.len());
    let told = sandbox.row_counts(*ids.last().unwrap());
    for (table, rows) in &counts {
        assert_eq!(told[table], *rows, "{at}: {table}");
    }
}

/// Where a run is killed.
#[derive(Debug)]
enum Kill {
    Working(Duration),
    Committing(Duration),
}

/// Ten points, the same shares of the run on every machine: one in each part of it, anywhere within the part.
fn kills() -> Vec<Kill> {
    let before = before();
    let mut random = Random::new(9);
    let mut share = |part: usize, parts: usize| (part as f64 + random.share()) / parts as f64;
    let working: Vec<Kill> = (0..KILLS_WHILE_WORKING)
        .map(|part| Kill::Working(before.whole.mul_f64(share(part, KILLS_WHILE_WORKING))))
        .collect();
    let committing = (0..KILLS_WHILE_COMMITTING)
        .map(|part| Kill::Committing(before.committing.mul_f64(share(part, KILLS_WHILE_COMMITTING))));
    working.into_iter().chain(committing).collect()
}

/// Starts a run and kills it at a point.
fn run_and_kill(sandbox: &Sandbox, kill: &Kill) {
    let mut run = start(sandbox);
    match kill {
        Kill::Working(delay) => sleep(*delay),
        Kill::Committing(delay) => {
            wait_until_committing(sandbox, &mut run);
            sleep(*delay);
        }
    }
    run.kill().unwrap();
    run.wait().unwrap();
}

#[test]
fn a_run_killed_at_10_points_leaves_a_whole_snapshot_and_the_next_run_succeeds() {
    let before = before();
    for (number, kill) in kills().iter().enumerate() {
        let sandbox = Sandbox::copy_of(&before.sandbox);
        run_and_kill(&sandbox, kill);
        let at = format!("point {number}, {kill:?} of {:?} and {:?}", before.whole, before.committing);
        check_whole(&sandbox, &at);

        sandbox.ok(&INGEST);
        assert_eq!(sandbox.snapshot_ids().len(), 2, "{at}: the pull is published once");
        check_whole(&sandbox, &format!("{at}, after the next run"));
        assert!(!sandbox.path("warehouse/staged/pending.json").exists(), "{at}: nothing waits any longer");
        sandbox.ok(&INGEST).says("nothing new");
    }
}

#[test]
fn outside_readers_see_the_newest_snapshot_after_a_run_that_mended_a_killed_one() {
    let before = before();
    let sandbox = Sandbox::copy_of(&before.sandbox);
    run_and_kill(&sandbox, &Kill::Committing(before.committing / 2));
    sandbox.ok(&INGEST);
    let newest = *sandbox.snapshot_ids().last().unwrap();
    check_counts(&sandbox, newest, &seen_from_outside(&sandbox, None));
}

#[test]
fn of_two_writers_at_once_one_publishes_and_the_other_is_refused_or_finds_nothing_new() {
    let before = before();
    let sandbox = Sandbox::copy_of(&before.sandbox);
    let runs = [(); 2].map(|()| sandbox.command(&INGEST).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    let mut published = 0;
    for run in runs {
        let ended = run.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        match ended.status.code() {
            Some(0) if said.contains("published snapshot") => published += 1,
            Some(0) => assert!(said.contains("nothing new"), "{said}"),
            Some(3) => assert!(said.contains("another run is writing to"), "{said}"),
            other => panic!("{other:?}: {said}"),
        }
    }
    assert_eq!(published, 1);
    assert_eq!(sandbox.snapshot_ids().len(), 2);
    check_whole(&sandbox, "two writers");
}

#[test]
fn while_somebody_writes_a_second_writer_is_refused_and_readers_read_on() {
    let before = before();
    let sandbox = Sandbox::copy_of(&before.sandbox);
    wait_for(|| async {
        let warehouse = Warehouse::open(sandbox.warehouse().to_str().unwrap()).await.unwrap();
        let run = warehouse.begin().await.unwrap();
        let refused = sandbox.check("error_locked", &INGEST);
        assert_eq!(refused.code, Some(3));
        check_whole(&sandbox, "while somebody writes");
        drop(run);
    });
    sandbox.ok(&INGEST).says("published snapshot 2");
}

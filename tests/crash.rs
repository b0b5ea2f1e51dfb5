//! Crashes and second writers: a reader sees a whole snapshot or the one before, and the next run mends what was left.
//!
//! Invariant 9. A run is killed while it works, and while it commits one table after the other, which is where a
//! mixture could be seen if there were one.

use std::collections::BTreeMap;
use std::fs;
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
/// What a run has written down that is committing.
const PENDING: &str = "warehouse/staged/pending.json";
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
    /// The commits that its tables have.
    commits: usize,
    /// What a complete run of the next pull comes to, how long it takes, and how many commits it makes.
    next_counts: Counts,
    whole: Duration,
    next_commits: usize,
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
        assert!(start(&complete).wait().unwrap().success());
        let whole = started.elapsed();
        let commits = commits_in(&sandbox);
        let next_commits = commits_in(&complete) - commits;
        assert!(next_commits > 2, "{next_commits} commits are too few to kill a run between them");
        let (counts, next_counts) = (counted(&sandbox), counted(&complete));
        assert_ne!(counts, next_counts);
        Before { sandbox, counts, commits, next_counts, whole, next_commits }
    })
}

/// Starts a run whose words nobody reads.
fn start(sandbox: &Sandbox) -> Child {
    sandbox.command(&INGEST).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits until a run has written down what it will commit, and has made so many commits. It may end before that is seen.
fn wait_until_committing(sandbox: &Sandbox, run: &mut Child, made: usize) {
    let started = Instant::now();
    while !sandbox.path(PENDING).exists() || commits_in(sandbox) < before().commits + made {
        if run.try_wait().unwrap().is_some() {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "the run neither commits nor ends");
        sleep(GLANCE);
    }
}

/// How many commits the tables have, the ledger's among them. A run may be making one more at the moment.
fn commits_in(sandbox: &Sandbox) -> usize {
    let tables = fs::read_dir(sandbox.path("warehouse/tables")).unwrap().flatten();
    let logs = tables.filter_map(|table| fs::read_dir(table.path().join("_delta_log")).ok());
    logs.flatten().flatten().filter(|file| file.file_name().to_string_lossy().ends_with(".json")).count()
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
    /// After that long.
    Working(Duration),
    /// After so many of its commits.
    Committing(usize),
}

/// Ten points, the same shares of the run on every machine: one in each part of it, anywhere within the part. How far a run
/// has committed is seen and not guessed from the time, because a busy machine would make the guess a wrong one.
fn kills() -> Vec<Kill> {
    let before = before();
    let mut random = Random::new(9);
    let mut share = |part: usize, parts: usize| (part as f64 + random.share()) / parts as f64;
    let working: Vec<Kill> = (0..KILLS_WHILE_WORKING)
        .map(|part| Kill::Working(before.whole.mul_f64(share(part, KILLS_WHILE_WORKING))))
        .collect();
    let made = |share: f64| (before.next_commits as f64 * share) as usize;
    let committing =
        (0..KILLS_WHILE_COMMITTING).map(|part| Kill::Committing(made(share(part, KILLS_WHILE_COMMITTING))));
    working.into_iter().chain(committing).collect()
}

/// Starts a run and kills it at a point.
fn run_and_kill(sandbox: &Sandbox, kill: &Kill) {
    let mut run = start(sandbox);
    match kill {
        Kill::Working(delay) => sleep(*delay),
        Kill::Committing(made) => wait_until_committing(sandbox, &mut run, *made),
    }
    run.kill().unwrap();
    run.wait().unwrap();
}

#[test]
fn a_run_killed_at_10_points_leaves_a_whole_snapshot_and_the_next_run_succeeds() {
    let before = before();
    let mut mended = 0;
    for (number, kill) in kills().iter().enumerate() {
        let sandbox = Sandbox::copy_of(&before.sandbox);
        run_and_kill(&sandbox, kill);
        let at = format!("point {number}, {kill:?} of {:?} and {} commits", before.whole, before.next_commits);
        check_whole(&sandbox, &at);

        let was_pending = sandbox.path(PENDING).exists();
        let next = sandbox.ok(&INGEST);
        mended += usize::from(was_pending && next.stderr.contains("whose run was killed"));
        assert_eq!(sandbox.snapshot_ids().len(), 2, "{at}: the pull is published once");
        check_whole(&sandbox, &format!("{at}, after the next run"));
        assert!(!sandbox.path(PENDING).exists(), "{at}: nothing waits any longer");
        sandbox.ok(&INGEST).says("nothing new");
    }
    assert!(mended > 0, "no kill met a run between two of its commits");
}

#[test]
fn outside_readers_see_the_newest_snapshot_after_a_run_that_mended_a_killed_one() {
    let before = before();
    let sandbox = Sandbox::copy_of(&before.sandbox);
    run_and_kill(&sandbox, &Kill::Committing(before.next_commits / 2));
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

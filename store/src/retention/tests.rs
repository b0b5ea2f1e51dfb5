//! Pruning a small warehouse: what goes, what stays, and what a kill leaves.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use deltalake_core::protocol::checkpoints::create_checkpoint_from_table_url_and_cleanup;
use object_store::memory::InMemory;
use tagmill_schemas::documents::plan::{PlanHeader, PlanKind};
use tagmill_schemas::segment::AsOf;

use super::*;
use crate::delta::open_table;
use crate::delta::tests::on_disk;
use crate::location::Location;
use crate::parquet_file::read_object;
use crate::publish::tests::{kill_while_publishing, run_with, summary, warehouse};
use crate::publish::{Outcome, RunSummary};
use crate::warehouse::NewWarehouse;

/// What the default ladder lets go of [`with_history`].
const GOING: [i64; 1] = [1];
const NO_DAYS: Ladder = Ladder { all_days: 0, daily_days: 0 };

/// Publishes a list of staff, taken at an instant.
async fn publish(warehouse: &Warehouse, ids: &[&str], at: &str) {
    let at: DateTime<Utc> = at.parse().unwrap();
    let summary = RunSummary { read_from: at, read_until: at, ..summary(0, ids.len() as u64) };
    let outcome = run_with(warehouse, ids).await.publish(summary).await.unwrap();
    assert!(matches!(outcome, Outcome::Published(_)));
}

/// Publishes four snapshots, each with one member of staff more: one that is neither young nor the last of its month, the
/// last of that month, one of yesterday, and the newest.
async fn publish_history(warehouse: &Warehouse) {
    publish(warehouse, &["a"], "2026-01-10T02:00:00Z").await;
    publish(warehouse, &["a", "b"], "2026-01-31T02:00:00Z").await;
    publish(warehouse, &["a", "b", "c"], "2026-06-09T02:00:00Z").await;
    publish(warehouse, &["a", "b", "c", "d"], "2026-06-10T02:00:00Z").await;
}

async fn with_history(folder: &tempfile::TempDir) -> Warehouse {
    let warehouse = warehouse(folder).await;
    publish_history(&warehouse).await;
    warehouse
}

/// A new warehouse in a bucket of its own, opened without a control state.
pub(crate) async fn in_a_bucket() -> Warehouse {
    let location = Location::parse("s3://corp/warehouse").unwrap().layered(|_| Arc::new(InMemory::new()));
    Warehouse::open_or_create_at(location, NewWarehouse::default()).await.unwrap()
}

fn ids_of<'r>(rows: impl IntoIterator<Item = &'r LedgerRow>) -> Vec<i64> {
    rows.into_iter().map(|row| row.snapshot_id.0).collect()
}

async fn ids(warehouse: &Warehouse) -> Vec<i64> {
    ids_of(&warehouse.ledger().await.unwrap())
}

/// The snapshots that a prune lets go, or would.
fn going(pruning: &Pruning) -> Vec<i64> {
    ids_of(pruning.snapshots.iter().filter(|snapshot| snapshot.kept_as.is_none()).map(|snapshot| &snapshot.row))
}

/// What a prune by the default ladder would let go.
async fn would_go(warehouse: &Warehouse) -> Vec<i64> {
    going(&warehouse.prune_dry(Ladder::default()).await.unwrap())
}

/// Checks that every snapshot of the ledger can be read to its last row.
async fn check_readable(warehouse: &Warehouse) {
    for row in warehouse.ledger().await.unwrap() {
        let staff = open_table(warehouse.location(), "staff", Some(row.tables["staff"])).await.unwrap();
        let mut rows = 0;
        for file in &staff.files {
            let batches = read_object(warehouse.location().objects(), &format!("tables/staff/{}", file.path)).await;
            rows += batches.unwrap().iter().map(|batch| batch.num_rows() as u64).sum::<u64>();
        }
        assert_eq!(rows, row.row_counts["staff"], "snapshot {}", row.snapshot_id);
    }
}

/// The Parquet files of a table with their sizes.
fn files(location: &Location, table: &str) -> BTreeMap<PathBuf, u64> {
    let entries = std::fs::read_dir(on_disk(location, &location.table_folder(table))).unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "parquet"));
    files.map(|entry| (entry.path(), entry.metadata().unwrap().len())).collect()
}

#[tokio::test]
async fn the_files_of_pruned_snapshots_go_and_a_second_prune_removes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_history(&folder).await;
    let before = [files(warehouse.location(), "staff"), files(warehouse.location(), "snapshot")];
    assert_eq!(before.each_ref().map(BTreeMap::len), [4, 4]);

    let dry = warehouse.prune_dry(Ladder::default()).await.unwrap();
    assert_eq!(going(&dry), GOING);
    assert_eq!([files(warehouse.location(), "staff"), files(warehouse.location(), "snapshot")], before);
    assert_eq!(ids(&warehouse).await, [1, 2, 3, 4]);

    let pruning = warehouse.prune(Ladder::default()).await.unwrap();
    assert_eq!(pruning, dry, "a dry run says what comes");
    assert_eq!((pruning.pruned(), pruning.freed_files), (1, 4), "one of staff, and three old ledgers");
    assert_eq!(ids(&warehouse).await, [2, 3, 4]);
    let after = [files(warehouse.location(), "staff"), files(warehouse.location(), "snapshot")];
    assert_eq!(after.each_ref().map(BTreeMap::len), [3, 2]);
    let freed = before.iter().zip(&after).flat_map(|(before, after)| {
        before.iter().filter(move |(path, _)| !after.contains_key(*path)).map(|(_, size)| *size)
    });
    assert_eq!(pruning.freed_bytes, freed.sum::<u64>());
    check_readable(&warehouse).await;

    let again = warehouse.prune(Ladder::default()).await.unwrap();
    assert_eq!((going(&again), again.freed_files, again.freed_bytes), (Vec::new(), 0, 0));
    assert_eq!([files(warehouse.location(), "staff"), files(warehouse.location(), "snapshot")], after);
}

#[tokio::test]
async fn a_shorter_ladder_prunes_more_and_no_id_is_given_again() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_history(&folder).await;
    assert_eq!(going(&warehouse.prune(NO_DAYS).await.unwrap()), [1, 3]);
    publish(&warehouse, &["e"], "2026-06-11T02:00:00Z").await;
    assert_eq!(ids(&warehouse).await, [2, 4, 5]);
    assert_eq!(going(&warehouse.prune(NO_DAYS).await.unwrap()), [4]);
    assert_eq!(warehouse.begin_dry().await.unwrap().snapshot_id(), SnapshotId(6));
    check_readable(&warehouse).await;
}

#[tokio::test]
async fn what_was_pruned_is_refused_by_name_and_answered_by_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_history(&folder).await;
    let _ = warehouse.prune(NO_DAYS).await.unwrap();
    let ask = async |as_of: AsOf| warehouse.snapshot(&as_of).await.map(|found| found.row().snapshot_id.0);
    let at = |text: &str| AsOf::Time(text.parse().unwrap());

    let refused = ask(AsOf::Snapshot(SnapshotId(3))).await.unwrap_err();
    let StoreError::Pruned { snapshot, kept } = &refused else { panic!("{refused}") };
    assert_eq!(snapshot, "3 (taken 2026-06-09T02:00:00+00:00)");
    assert!(kept.contains("2 (taken 2026-01-31T02:00:00+00:00) before it and 4 (taken 2026-06-10"), "{kept}");
    let first = ask(AsOf::Snapshot(SnapshotId(1))).await.unwrap_err();
    assert!(matches!(&first, StoreError::Pruned { kept, .. } if kept.contains("none before it and 2 ")), "{first}");

    for pruned in ["2026-01-10T02:00:00Z", "2026-01-31T01:59:59Z", "2026-06-09T02:00:00Z", "2026-06-10T01:59:59Z"] {
        let refused = ask(at(pruned)).await.unwrap_err();
        assert!(matches!(refused, StoreError::Pruned { .. }), "{pruned}: {refused}");
    }
    let kept = [("2026-01-31T02:00:00Z", 2), ("2026-06-09T01:59:59Z", 2), ("2026-06-10T02:00:00Z", 4)];
    for (time, id) in kept {
        assert_eq!(ask(at(time)).await.unwrap(), id, "{time}");
    }
    assert_eq!(ask(AsOf::Latest).await.unwrap(), 4);
    for unknown in [AsOf::Snapshot(SnapshotId(5)), at("2026-01-10T01:59:59Z")] {
        assert!(matches!(ask(unknown).await, Err(StoreError::NoSnapshot { .. })));
    }
}

fn plan_on(snapshot_id: i64, plan_id: &str) -> PlanHeader {
    PlanHeader {
        plan_id: PlanId::new(plan_id),
        kind: PlanKind::Rule,
        title: "sleeping → 活跃度/沉睡用户".to_owned(),
        source: "rule:sleeping".to_owned(),
        author: "li".to_owned(),
        created_at: DateTime::UNIX_EPOCH,
        snapshot_id: SnapshotId(snapshot_id),
        definition_hash: "d".to_owned(),
        step_count: 0,
        add_count: 0,
        remove_count: 0,
        content_hash: format!("content of {plan_id}"),
    }
}

#[tokio::test]
async fn a_plan_keeps_its_snapshot_until_it_is_turned_down_or_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_history(&folder).await;
    let (control, at) = (warehouse.control().unwrap(), DateTime::UNIX_EPOCH);
    let (one, other) = (plan_on(1, "plan-1"), plan_on(1, "plan-2"));
    let go = |to| control.move_plan(&one.plan_id, to, "wang", at).unwrap();
    let nothing: [i64; 0] = [];

    assert_eq!(would_go(&warehouse).await, GOING);
    control.save_plan(&one, &[]).unwrap();
    assert_eq!(would_go(&warehouse).await, nothing, "pending");
    let pruning = warehouse.prune(Ladder::default()).await.unwrap();
    assert_eq!(pruning.snapshots[0].kept_as, Some(KeptAs::Plan(PlanId::new("plan-1"))));
    assert_eq!(ids(&warehouse).await, [1, 2, 3, 4]);
    control.approve(&one.plan_id, "wang", at).unwrap();
    assert_eq!(would_go(&warehouse).await, nothing, "approved");
    for state in [PlanState::Executing, PlanState::Executed] {
        go(state);
        assert_eq!(would_go(&warehouse).await, nothing, "{state}");
    }
    go(PlanState::Undone);
    assert_eq!(would_go(&warehouse).await, GOING);

    control.save_plan(&other, &[]).unwrap();
    assert_eq!(would_go(&warehouse).await, nothing);
    control.move_plan(&other.plan_id, PlanState::Rejected, "wang", at).unwrap();
    assert_eq!(would_go(&warehouse).await, GOING);
}

#[tokio::test]
async fn what_killed_runs_staged_goes_and_what_was_refused_or_is_anothers_stays() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_history(&folder).await;
    let published = files(warehouse.location(), "staff");
    let refused = run_with(&warehouse, &["a"]).await.publish(summary(4, 1)).await.unwrap();
    assert!(matches!(refused, Outcome::Refused(_)));
    let foreign = on_disk(warehouse.location(), "tables/staff/part-00000.parquet");
    std::fs::copy(published.keys().next().unwrap(), foreign).unwrap();
    let stays = files(warehouse.location(), "staff");
    drop(run_with(&warehouse, &["x", "y"]).await);
    kill_while_publishing(run_with(&warehouse, &["z"]).await, false).await;
    assert_eq!(files(warehouse.location(), "staff").len(), stays.len() + 2);

    let forever = Ladder { all_days: u32::MAX, daily_days: 0 };
    let pruning = warehouse.prune(forever).await.unwrap();
    assert_eq!(pruning.notes.len(), 1, "{:?}", pruning.notes);
    assert_eq!((pruning.pruned(), files(warehouse.location(), "staff")), (0, stays));
    check_readable(&warehouse).await;
}

#[tokio::test]
async fn what_was_never_finished_goes_and_counts_as_no_data_file() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_history(&folder).await;
    let names = ["staged/pending.json#7", "tables/staff/s000009-x.parquet#1", "tables/staff/_delta_log/5.json#21"];
    let drafts = names.map(|below| on_disk(warehouse.location(), below));
    std::fs::create_dir_all(on_disk(warehouse.location(), "staged")).unwrap();
    for draft in &drafts {
        std::fs::write(draft, "{").unwrap();
    }
    let dry = warehouse.prune_dry(Ladder::default()).await.unwrap();
    assert!(drafts.iter().all(|draft| draft.is_file()));
    assert_eq!(warehouse.prune(Ladder::default()).await.unwrap(), dry);
    assert_eq!(dry.freed_files, 4);
    assert!(drafts.iter().all(|draft| !draft.exists()));
    check_readable(&warehouse).await;
}

#[tokio::test]
async fn a_bucket_is_pruned_once_it_is_said_where_its_plans_are() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = in_a_bucket().await;
    publish_history(&warehouse).await;
    for refused in [warehouse.prune(Ladder::default()).await, warehouse.prune_dry(Ladder::default()).await] {
        assert!(matches!(refused, Err(StoreError::NoState { .. })), "{refused:?}");
    }
    assert_eq!(ids(&warehouse).await, [1, 2, 3, 4]);

    let warehouse = warehouse.with_state(folder.path().join("control.sqlite"));
    let dry = warehouse.prune_dry(Ladder::default()).await.unwrap();
    let pruning = warehouse.prune(Ladder::default()).await.unwrap();
    assert_eq!(pruning, dry, "the lock was given back when the first one failed");
    assert_eq!((going(&pruning), pruning.freed_files), (GOING.to_vec(), 4));
    assert_eq!(ids(&warehouse).await, [2, 3, 4]);
    check_readable(&warehouse).await;
    let refused = warehouse.snapshot(&AsOf::Snapshot(SnapshotId(1))).await.unwrap_err();
    assert!(matches!(refused, StoreError::Pruned { .. }), "{refused}");
    assert_eq!(warehouse.prune(Ladder::default()).await.unwrap().freed_files, 0);
}

#[tokio::test]
async fn a_prune_whose_lease_was_taken_removes_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = in_a_bucket().await.with_state(folder.path().join("control.sqlite"));
    publish_history(&warehouse).await;
    let objects = warehouse.location().objects();
    let before = objects.list("tables/staff").await.unwrap();
    let lock = WriterLock::take(warehouse.location()).await.unwrap();
    // By its own clock the lease is held still.
    objects.write("writer.lease", b"another's".to_vec()).await.unwrap();
    lock.check().unwrap();
    let refused = warehouse.prune_locked(&lock, Ladder::default()).await.unwrap_err();
    assert!(matches!(refused, StoreError::LeaseLost { .. }), "{refused}");
    assert_eq!(objects.list("tables/staff").await.unwrap(), before);
    check_readable(&warehouse).await;
    lock.release().await;
    assert_eq!(warehouse.prune(Ladder::default()).await.unwrap().freed_files, 4, "the next one removes them");
}

#[tokio::test]
async fn a_dry_run_leaves_out_what_a_run_is_staging_and_a_prune_is_refused_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_history(&folder).await;
    let alone = warehouse.prune_dry(Ladder::default()).await.unwrap();
    let run = run_with(&warehouse, &["x"]).await;
    assert_eq!(warehouse.prune_dry(Ladder::default()).await.unwrap(), alone);
    assert!(matches!(warehouse.prune(Ladder::default()).await, Err(StoreError::Locked { .. })));
    let _ = run.publish(RunSummary { accept_shrink: true, ..summary(4, 1) }).await.unwrap();
    check_readable(&warehouse).await;
}

/// Does what a prune does before it is killed: names what goes, and takes it out of the ledger or does not get there.
async fn kill_while_pruning(warehouse: &Warehouse, the_ledger_is_replaced: bool) {
    let ledger = warehouse.read_ledger().await.unwrap();
    let snapshots = warehouse.judged(ledger.rows, Ladder::default()).unwrap();
    let kept = kept_rows(&snapshots);
    if the_ledger_is_replaced {
        warehouse.let_go(ledger.version, &snapshots, &kept).await.unwrap();
    } else {
        pruned::remember(warehouse.location(), &snapshots, DateTime::UNIX_EPOCH).await.unwrap();
    }
}

#[tokio::test]
async fn a_prune_killed_before_the_ledger_has_pruned_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_history(&folder).await;
    kill_while_pruning(&warehouse, false).await;
    assert_eq!(ids(&warehouse).await, [1, 2, 3, 4]);
    check_readable(&warehouse).await;
    for as_of in [AsOf::Snapshot(SnapshotId(1)), AsOf::Time("2026-01-11T00:00:00Z".parse().unwrap())] {
        assert_eq!(warehouse.snapshot(&as_of).await.unwrap().row().snapshot_id, SnapshotId(1));
    }
    // What had been named may stay the next time, and is then named no longer.
    let forever = Ladder { all_days: u32::MAX, daily_days: 0 };
    assert_eq!(warehouse.prune(forever).await.unwrap().pruned(), 0);
    assert_eq!(going(&warehouse.prune(Ladder::default()).await.unwrap()), GOING);
    check_readable(&warehouse).await;
}

#[tokio::test]
async fn a_prune_killed_before_its_files_leaves_them_to_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_history(&folder).await;
    kill_while_pruning(&warehouse, true).await;
    assert_eq!((ids(&warehouse).await, files(warehouse.location(), "staff").len()), (vec![2, 3, 4], 4));
    check_readable(&warehouse).await;
    let next = warehouse.prune(Ladder::default()).await.unwrap();
    assert_eq!((next.pruned(), next.freed_files), (0, 4));
    assert_eq!(files(warehouse.location(), "staff").len(), 3);
    check_readable(&warehouse).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_kept_snapshot_cannot_be_opened_nothing_goes() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_history(&folder).await;
    let before = [files(warehouse.location(), "staff"), files(warehouse.location(), "snapshot")];
    let log = on_disk(warehouse.location(), "tables/staff/_delta_log");
    // The second snapshot's version of staff needs its own commit; the newest ones have a checkpoint.
    let url = warehouse.location().table_url("staff").unwrap();
    create_checkpoint_from_table_url_and_cleanup(url, 3, None, None).await.unwrap();
    std::fs::remove_file(log.join(format!("{:020}.json", 2))).unwrap();
    assert!(warehouse.prune(Ladder::default()).await.is_err());
    assert_eq!(ids(&warehouse).await, [1, 2, 3, 4]);
    assert_eq!([files(warehouse.location(), "staff"), files(warehouse.location(), "snapshot")], before);
}

/// Makes a table's commits and checkpoints look as old as can be.
fn age(location: &Location, table: &str) {
    for entry in std::fs::read_dir(on_disk(location, &location.table_folder(table)).join("_delta_log")).unwrap() {
        let file = std::fs::File::options().write(true).open(entry.unwrap().path()).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
    }
}

/// Makes a checkpoint of a table's head as other programs do; `cleanup` is what the table says where it is `None`.
async fn checkpoint(location: &Location, table: &str, cleanup: Option<bool>) {
    let head = open_table(location, table, None).await.unwrap().version;
    let url = location.table_url(table).unwrap();
    create_checkpoint_from_table_url_and_cleanup(url, head, cleanup, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_snapshot_opens_however_old_its_log_is_and_whatever_checkpoints_were_made_since() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_history(&folder).await;
    let location = warehouse.location();
    for table in ["staff", "snapshot"] {
        checkpoint(location, table, None).await;
        age(location, table);
    }
    publish(&warehouse, &["a", "b", "c", "d", "e"], "2026-06-11T02:00:00Z").await;
    for table in ["staff", "snapshot"] {
        checkpoint(location, table, None).await;
    }
    assert_eq!(going(&warehouse.prune(Ladder::default()).await.unwrap()), GOING);
    assert_eq!(ids(&warehouse).await, [2, 3, 4, 5]);
    check_readable(&warehouse).await;
    for id in [2, 3, 4, 5] {
        let found = warehouse.snapshot(&AsOf::Snapshot(SnapshotId(id))).await.unwrap();
        assert_eq!(found.row().snapshot_id, SnapshotId(id));
    }
    // The log is old enough to be cleaned up where a table does not say that it must not be.
    publish(&warehouse, &["f"], "2026-06-12T02:00:00Z").await;
    checkpoint(location, "staff", Some(true)).await;
    assert!(open_table(location, "staff", Some(2)).await.is_err());
}

//! Sound warehouses, and what killed runs leave in them.

use std::path::PathBuf;
use std::time::SystemTime;

use super::*;
use crate::delta::tests::on_disk;
use crate::lease::leases_given_back;
use crate::publish::tests::{kill_while_publishing, run_with, summary, warehouse};
use crate::retention::tests::in_a_bucket;

/// A warehouse with two snapshots of staff.
async fn with_two_snapshots(folder: &tempfile::TempDir) -> Warehouse {
    let warehouse = warehouse(folder).await;
    publish_two_snapshots(&warehouse).await;
    warehouse
}

async fn publish_two_snapshots(warehouse: &Warehouse) {
    for ids in [["a", "b"], ["b", "c"]] {
        let _ = run_with(warehouse, &ids).await.publish(summary(0, 2)).await.unwrap();
    }
}

/// Looks at the warehouse; compares severity, snapshots, table, and a part of the words of each finding.
async fn check(warehouse: &Warehouse, expected: &[(Severity, &str, &str, &str)]) {
    let found = check_up(warehouse).await.findings;
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (finding, (severity, snapshots, table, words)) in found.iter().zip(expected) {
        let told = (finding.severity, finding.snapshot_words(), finding.table.as_deref().unwrap_or_default());
        assert_eq!(told, (*severity, (*snapshots).to_owned(), *table), "{finding:?}");
        assert!(finding.what.contains(words), "{finding:?}");
    }
}

/// The Parquet files of staff, by the snapshot that wrote them.
fn staff_files(warehouse: &Warehouse) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(on_disk(warehouse.location(), "tables/staff")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|ending| ending == "parquet")).collect();
    paths.sort();
    paths
}

#[tokio::test]
async fn a_sound_warehouse_has_no_findings_and_each_of_its_files_is_looked_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_two_snapshots(&folder).await;
    check(&warehouse, &[]).await;
    let checkup = check_up(&warehouse).await;
    assert_eq!((checkup.snapshots.len(), checkup.file_count), (2, 2));
    assert!(checkup.is_readable(SnapshotId(1), "staff"));
}

#[tokio::test]
async fn a_lost_file_is_told_with_the_snapshots_that_hold_it() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_two_snapshots(&folder).await;
    std::fs::remove_file(&staff_files(&warehouse)[0]).unwrap();
    check(&warehouse, &[(Severity::Error, "1", "staff", "is gone")]).await;
    let checkup = check_up(&warehouse).await;
    let is_readable = |id| checkup.is_readable(SnapshotId(id), "staff");
    assert_eq!([1, 2].map(is_readable), [false, true]);
}

#[tokio::test]
async fn what_a_killed_run_left_is_told_and_repaired_and_what_is_given_back_is_sound() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_two_snapshots(&folder).await;
    kill_while_publishing(run_with(&warehouse, &["d", "e"]).await, false).await;
    let ahead = (Severity::Warning, "", "staff", "ahead of the ledger");
    let pending = (Severity::Warning, "", "", "was publishing snapshot 3 and has not ended");
    check(&warehouse, &[ahead, pending]).await;
    let repaired = repair(&warehouse).await.unwrap();
    assert!(repaired.done.len() == 1 && repaired.left.is_empty(), "{repaired:?}");
    check(&warehouse, &[]).await;
    let _ = warehouse.begin().await.unwrap().publish(summary(2, 2)).await.unwrap();
    check(&warehouse, &[]).await;
}

#[tokio::test]
async fn a_staged_file_is_removed_once_it_is_older_than_the_newest_commit() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_two_snapshots(&folder).await;
    drop(run_with(&warehouse, &["d"]).await);
    let files = staff_files(&warehouse);
    check(&warehouse, &[(Severity::Note, "", "staff", "1 young staged file")]).await;
    assert_eq!(repair(&warehouse).await.unwrap().done, Vec::<String>::new());
    assert_eq!(staff_files(&warehouse), files);
    let staged = std::fs::File::options().write(true).open(&files[2]).unwrap();
    staged.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    check(&warehouse, &[(Severity::Warning, "", "staff", "1 staged file")]).await;
    assert_eq!(repair(&warehouse).await.unwrap().done.len(), 1);
    assert_eq!(staff_files(&warehouse), files[..2]);
    check(&warehouse, &[]).await;
}

#[tokio::test]
async fn a_draft_is_told_where_runs_write_things_down_and_a_repair_removes_it_wherever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_two_snapshots(&folder).await;
    let names = ["staged/pending.json#17", "tables/staff/s000009-x.parquet#1"];
    let drafts = names.map(|below| on_disk(warehouse.location(), below));
    std::fs::create_dir_all(on_disk(warehouse.location(), "staged")).unwrap();
    for draft in &drafts {
        std::fs::write(draft, "{").unwrap();
    }
    check(&warehouse, &[(Severity::Note, "", "", "`staged/pending.json#17` is the draft")]).await;
    assert_eq!(repair(&warehouse).await.unwrap().done, ["removed 2 drafts that nobody had finished"]);
    assert!(drafts.iter().all(|draft| !draft.exists()));
    check(&warehouse, &[]).await;
}

#[tokio::test]
async fn a_bucket_is_looked_at_and_repaired_and_its_control_state_where_it_is_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = in_a_bucket().await;
    publish_two_snapshots(&warehouse).await;
    check(&warehouse, &[(Severity::Note, "", "", "the control state was not looked at")]).await;
    let warehouse = warehouse.with_state(folder.path().join("control.sqlite"));
    check(&warehouse, &[]).await;
    assert_eq!(check_up(&warehouse).await.file_count, 2);

    kill_while_publishing(run_with(&warehouse, &["d"]).await, false).await;
    leases_given_back().await;
    let repaired = repair(&warehouse).await.unwrap();
    assert!(repaired.done.len() == 1 && repaired.left.is_empty(), "{repaired:?}");
    check(&warehouse, &[]).await;
    let head = open_table(warehouse.location(), "staff", None).await.unwrap();
    warehouse.location().objects().remove(&format!("tables/staff/{}", head.files[0].path)).await.unwrap();
    check(&warehouse, &[(Severity::Error, "2", "staff", "is gone")]).await;
}

#[tokio::test]
async fn while_somebody_writes_nothing_is_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_two_snapshots(&folder).await;
    let writing = warehouse.begin().await.unwrap();
    let refused = repair(&warehouse).await.unwrap_err();
    assert!(matches!(refused, crate::error::StoreError::Locked { .. }), "{refused}");
    drop(writing);
}

//! Publishing, refusing, and what a killed run leaves behind.

use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::arrow::record_batch::RecordBatch;

use super::*;
use crate::warehouse::NewWarehouse;

async fn warehouse(folder: &tempfile::TempDir) -> Warehouse {
    let path = folder.path().join("corp").display().to_string();
    Warehouse::open_or_create(&path, NewWarehouse::default()).await.unwrap()
}

fn staff(run: &Run, ids: &[&str]) -> RecordBatch {
    let schema = run.schema("staff").unwrap();
    let text = |values: Vec<Option<&str>>| Arc::new(StringArray::from(values)) as ArrayRef;
    let columns = schema
        .fields()
        .iter()
        .map(|field| match field.name().as_str() {
            "staff_id" => text(ids.iter().copied().map(Some).collect()),
            "source" => text(vec![Some("test"); ids.len()]),
            _ => datafusion::arrow::array::new_null_array(field.data_type(), ids.len()),
        })
        .collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

/// A run that replaces all staff and all departments (by none).
async fn run_with(warehouse: &Warehouse, ids: &[&str]) -> Run {
    let mut run = warehouse.begin().await.unwrap();
    let batch = staff(&run, ids);
    let staged = run.stager("staff").unwrap().stage(None, [batch]).unwrap();
    run.replace_all("staff");
    run.add("staff", staged);
    run
}

fn summary(before: u64, after: u64) -> RunSummary {
    let at = "2026-11-11T18:00:00Z".parse().unwrap();
    RunSummary {
        source: "test".to_owned(),
        read_from: at,
        read_until: at,
        counts: vec![GuardCount { what: "staff".to_owned(), before, after, is_full: true }],
        accept_shrink: false,
        state: None,
    }
}

async fn staff_rows(warehouse: &Warehouse) -> Option<u64> {
    Some(warehouse.head().await.unwrap()?.row().row_counts["staff"])
}

#[tokio::test]
async fn a_published_run_is_the_newest_snapshot_and_an_unpublished_one_is_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder).await;
    drop(run_with(&warehouse, &["a"]).await);
    assert_eq!(staff_rows(&warehouse).await, None);
    let outcome = run_with(&warehouse, &["a", "b"]).await.publish(summary(0, 2)).await.unwrap();
    assert!(matches!(outcome, Outcome::Published(row) if row.snapshot_id == SnapshotId(1)));
    assert_eq!(staff_rows(&warehouse).await, Some(2));
}

#[tokio::test]
async fn a_second_writer_is_refused_while_the_first_is_at_it() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder).await;
    let first = warehouse.begin().await.unwrap();
    assert!(matches!(warehouse.begin().await, Err(StoreError::Locked { .. })));
    drop(first);
    assert!(warehouse.begin().await.is_ok());
}

#[tokio::test]
async fn a_shrink_is_refused_kept_and_published_when_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder).await;
    let _ = run_with(&warehouse, &["a", "b", "c", "d"]).await.publish(summary(0, 4)).await.unwrap();
    let refused = run_with(&warehouse, &["a"]).await.publish(summary(4, 1)).await.unwrap();
    assert!(matches!(refused, Outcome::Refused(verdicts) if verdicts[0].is_refused));
    assert_eq!(staff_rows(&warehouse).await, Some(4));
    let kept = refused_path(warehouse.location(), "test");
    assert!(kept.exists());
    let accepted = RunSummary { accept_shrink: true, ..summary(4, 1) };
    let _ = run_with(&warehouse, &["a"]).await.publish(accepted).await.unwrap();
    assert_eq!(staff_rows(&warehouse).await, Some(1));
    assert!(!kept.exists());
}

/// Does what a run does before it is killed: writes its row down and commits the tables, or only writes.
async fn kill_while_publishing(run: Run, tables_are_committed: bool) {
    let mut heads = run.open_heads().await.unwrap();
    let mut row = run.ledger_row(&summary(0, 2), &[], &heads);
    if !tables_are_committed {
        // The row names one table more than gets its commit.
        *row.tables.get_mut("department").unwrap() += 1;
    }
    heads.retain(|(head, _)| head.table == "staff");
    write_json(&pending_path(run.warehouse.location()), &Pending { row }).unwrap();
    run.commit_tables(heads).await.unwrap();
}

#[tokio::test]
async fn invariant_9_a_run_killed_between_its_tables_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder).await;
    let _ = run_with(&warehouse, &["a"]).await.publish(summary(0, 1)).await.unwrap();
    kill_while_publishing(run_with(&warehouse, &["b", "c"]).await, false).await;
    assert_eq!(staff_rows(&warehouse).await, Some(1));
    let next = warehouse.begin().await.unwrap();
    assert_eq!(next.notes().len(), 1, "{:?}", next.notes());
    assert_eq!(next.snapshot_id(), SnapshotId(3), "an id that was given is never given again");
    drop(next);
    let heads = open_table(warehouse.location(), "staff", None).await.unwrap();
    assert_eq!(heads.rows(), 1, "outside readers of the head see the published rows again");
}

#[tokio::test]
async fn invariant_9_a_run_killed_before_its_ledger_row_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder).await;
    kill_while_publishing(run_with(&warehouse, &["b", "c"]).await, true).await;
    assert_eq!(staff_rows(&warehouse).await, None);
    drop(warehouse.begin().await.unwrap());
    assert_eq!(staff_rows(&warehouse).await, Some(2));
}

#[tokio::test]
async fn an_older_snapshot_is_found_by_id_and_by_time() {
    use tagmill_schemas::segment::AsOf;
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder).await;
    let _ = run_with(&warehouse, &["a"]).await.publish(summary(0, 1)).await.unwrap();
    let later: DateTime<Utc> = "2026-11-12T18:00:00Z".parse().unwrap();
    let second = RunSummary { read_from: later, read_until: later, ..summary(1, 2) };
    let _ = run_with(&warehouse, &["a", "b"]).await.publish(second).await.unwrap();
    let rows = async |as_of| warehouse.snapshot(&as_of).await.map(|found| found.row().row_counts["staff"]);
    assert_eq!(rows(AsOf::Latest).await.unwrap(), 2);
    assert_eq!(rows(AsOf::Snapshot(SnapshotId(1))).await.unwrap(), 1);
    assert_eq!(rows(AsOf::Time("2026-11-12T00:00:00Z".parse().unwrap())).await.unwrap(), 1);
    let early = rows(AsOf::Time("2020-01-01T00:00:00Z".parse().unwrap())).await.unwrap_err();
    assert!(matches!(early, StoreError::NoSnapshot { .. }), "{early}");
}

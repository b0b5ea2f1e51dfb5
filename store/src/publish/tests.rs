//! Publishing, refusing, and what a killed run leaves behind.

use std::collections::BTreeSet;
use std::path::PathBuf;

use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::record_batch::RecordBatch;

use super::refused::refused_path;
use super::*;
use crate::arrow_types::PRIVATE_KEY;
use crate::delta::tests::on_disk;
use crate::warehouse::NewWarehouse;

pub(crate) async fn warehouse(folder: &tempfile::TempDir) -> Warehouse {
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
pub(crate) async fn run_with(warehouse: &Warehouse, ids: &[&str]) -> Run {
    let mut run = warehouse.begin().await.unwrap();
    let batch = staff(&run, ids);
    let staged = run.stager("staff").unwrap().stage(None, [batch]).await.unwrap();
    run.replace_all("staff").unwrap();
    run.add("staff", staged).unwrap();
    run
}

pub(crate) fn summary(before: u64, after: u64) -> RunSummary {
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

pub(crate) async fn staff_rows(warehouse: &Warehouse) -> Option<u64> {
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
    let kept = on_disk(warehouse.location(), &refused_path("test"));
    assert!(kept.exists());
    let files = staff_files(&warehouse);
    assert_eq!(files.len(), 2, "{files:?}");
    let accepted = RunSummary { accept_shrink: true, ..summary(4, 1) };
    let _ = run_with(&warehouse, &["a"]).await.publish(accepted).await.unwrap();
    assert_eq!(staff_rows(&warehouse).await, Some(1));
    assert!(!kept.exists());
    let left = staff_files(&warehouse);
    assert_eq!(left.len(), 2, "those of the two snapshots: {left:?}");
    assert_eq!(left.intersection(&files).count(), 1, "the refused one is gone");
}

/// The Parquet files that lie in the folder of staff, whatever they belong to.
fn staff_files(warehouse: &Warehouse) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(on_disk(warehouse.location(), "tables/staff")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|ending| ending == "parquet")).collect()
}

#[tokio::test]
async fn a_source_that_is_refused_again_keeps_the_files_of_its_last_refusal_only() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder).await;
    let _ = run_with(&warehouse, &["a", "b", "c", "d"]).await.publish(summary(0, 4)).await.unwrap();
    let published = staff_files(&warehouse);
    for _ in 0..3 {
        let _ = run_with(&warehouse, &["a"]).await.publish(summary(4, 1)).await.unwrap();
        let files = staff_files(&warehouse);
        assert!(files.is_superset(&published) && files.len() == 2, "{files:?}");
    }
}

#[tokio::test]
async fn a_list_of_refused_files_that_names_a_published_one_does_not_remove_it() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder).await;
    let _ = run_with(&warehouse, &["a", "b"]).await.publish(summary(0, 2)).await.unwrap();
    let published = staff_files(&warehouse);
    let head = open_table(warehouse.location(), "staff", None).await.unwrap();
    let named = serde_json::json!({ "path": head.files[0].path, "size": 1, "rows": 1, "stats": "{}" });
    let list = serde_json::json!({
        "source": "test", "refused_at": "2026-11-11T18:00:00Z", "verdicts": [], "files": { "staff": [named] },
    });
    let path = on_disk(warehouse.location(), &refused_path("test"));
    write_json(warehouse.location().objects(), &refused_path("test"), &list).await.unwrap();
    refused::forget(warehouse.location(), "test").await.unwrap();
    assert!(!path.exists());
    assert_eq!(staff_files(&warehouse), published);
}

#[tokio::test]
async fn a_dry_run_begins_beside_a_writer_mends_nothing_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder).await;
    let _ = run_with(&warehouse, &["a"]).await.publish(summary(0, 1)).await.unwrap();
    kill_while_publishing(run_with(&warehouse, &["b", "c"]).await, false).await;
    let pending = on_disk(warehouse.location(), PENDING);
    let dry = warehouse.begin_dry().await.unwrap();
    assert!(pending.exists(), "what a killed run left is for the next writer");
    let writer = warehouse.begin().await.unwrap();
    let beside = warehouse.begin_dry().await.unwrap();
    assert_eq!(beside.base().map(|base| base.row().snapshot_id), Some(SnapshotId(1)));
    drop(writer);
    assert!(matches!(dry.stager("staff"), Err(StoreError::DryRun { .. })));
    assert!(matches!(dry.publish(summary(0, 1)).await, Err(StoreError::DryRun { .. })));
}

#[tokio::test]
async fn what_is_staged_or_replaced_must_fit_its_table() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder).await;
    let mut run = warehouse.begin().await.unwrap();
    let batch = staff(&run, &["a"]);
    let staff_stager = run.stager("staff").unwrap();
    let misused = |result: Result<(), StoreError>| matches!(result, Err(StoreError::Contract { .. }));
    assert!(misused(staff_stager.stage(Some(0), [batch.clone()]).await.map(|_| ())), "staff has no buckets");
    let customers = RecordBatch::new_empty(run.schema("customer").unwrap());
    let customer_stager = run.stager("customer").unwrap();
    assert!(misused(customer_stager.stage(None, [customers]).await.map(|_| ())), "customer has");
    let staged = staff_stager.stage(None, [batch]).await.unwrap();
    assert!(misused(run.add("department", staged.clone())), "it was staged for another table");
    assert!(misused(run.replace_all("custmer")), "there is no such table");
    assert!(misused(run.replace_bucket("staff", 0)), "it has none");
    for ledger in [run.stager("snapshot").map(|_| ()), run.replace_all("snapshot")] {
        assert!(misused(ledger), "no run fills the ledger");
    }
    run.add("staff", staged).unwrap();
}

#[tokio::test]
async fn a_declared_column_is_added_once_and_what_is_said_of_it_later_holds() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder).await;
    let size = Field::new("shoe_size", DataType::Int64, true);
    let private = size.clone().with_metadata([(PRIVATE_KEY.to_owned(), "true".to_owned())].into());
    let mut run = run_with(&warehouse, &["a"]).await;
    for declared in [&size, &private, &size] {
        run.declare("staff", &Schema::new(vec![declared.clone()])).unwrap();
    }
    let other = Schema::new(vec![Field::new("shoe_size", DataType::Utf8, true)]);
    assert!(matches!(run.declare("staff", &other), Err(StoreError::Contract { .. })));
    let _ = run.publish(summary(0, 1)).await.unwrap();
    let schema = warehouse.head().await.unwrap().unwrap().schema("staff").unwrap();
    assert_eq!(schema.fields().iter().filter(|field| field.name() == "shoe_size").count(), 1);
    assert_eq!(schema.field_with_name("shoe_size").unwrap(), &private);
    let mut next = warehouse.begin().await.unwrap();
    next.declare("staff", &Schema::new(vec![size])).unwrap();
    assert!(next.changes.is_empty(), "nothing is new");
}

#[tokio::test]
async fn a_warehouse_can_be_read_wherever_it_can_be_made() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("here")).unwrap();
    for place in ["here/../corp", "50% off, 数据 #1"] {
        let path = folder.path().join(place).display().to_string();
        let warehouse = Warehouse::open_or_create(&path, NewWarehouse::default()).await.unwrap();
        let _ = run_with(&warehouse, &["a"]).await.publish(summary(0, 1)).await.unwrap();
        assert_eq!(staff_rows(&warehouse).await, Some(1), "{place}");
    }
}

/// Does what a run does before it is killed: writes its row down, and commits all its tables or all but one.
pub(crate) async fn kill_while_publishing(run: Run, tables_are_committed: bool) {
    let mut heads = run.open_heads().await.unwrap();
    let mut row = run.ledger_row(&summary(0, 2), &[], &heads);
    if !tables_are_committed {
        // The row names one table more than gets its commit.
        *row.tables.get_mut("department").unwrap() += 1;
    }
    heads.retain(|(head, _)| head.table == "staff");
    write_json(run.warehouse.location().objects(), PENDING, &Pending { row }).await.unwrap();
    run.commit_tables(heads).await.unwrap();
}

/// Does what a run does before it is killed: writes its row down, and commits nothing.
pub(crate) async fn kill_before_its_commits(run: Run) {
    let heads = run.open_heads().await.unwrap();
    let row = run.ledger_row(&summary(0, 2), &[], &heads);
    write_json(run.warehouse.location().objects(), PENDING, &Pending { row }).await.unwrap();
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

//! What is ahead of the ledger, by a killed run or by another program.

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use serde_json::json;

use super::*;
use crate::delta::tests::{commit_by_hand, on_disk, removal};
use crate::publish::tests::{kill_before_its_commits, kill_while_publishing, run_with, staff_rows, summary, warehouse};

/// A warehouse with one snapshot of two staff members.
async fn with_two_staff(folder: &tempfile::TempDir) -> Warehouse {
    let warehouse = warehouse(folder).await;
    let _ = run_with(&warehouse, &["a", "b"]).await.publish(summary(0, 2)).await.unwrap();
    warehouse
}

async fn staff(warehouse: &Warehouse) -> TableVersion {
    open_table(warehouse.location(), "staff", None).await.unwrap()
}

/// What the next run says it had to mend.
async fn notes(warehouse: &Warehouse) -> Vec<String> {
    warehouse.begin().await.unwrap().notes().to_vec()
}

/// Takes all files of staff away, as another program would.
async fn delete_from_outside(warehouse: &Warehouse) {
    let head = staff(warehouse).await;
    let actions: Vec<_> = head.files.iter().map(|file| removal(&file.path)).collect();
    commit_by_hand(warehouse.location(), "staff", head.version + 1, &actions);
}

#[tokio::test]
async fn what_another_program_has_changed_is_taken_back_with_a_note_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_two_staff(&folder).await;
    let kept = staff(&warehouse).await.files;
    delete_from_outside(&warehouse).await;
    assert_eq!(staff(&warehouse).await.rows(), 0);
    let said = notes(&warehouse).await;
    assert!(said.len() == 1 && said[0].contains("in `staff`: another program's change"), "{said:?}");
    assert_eq!(staff(&warehouse).await.files, kept);
    assert_eq!(notes(&warehouse).await, Vec::<String>::new());
    let _ = run_with(&warehouse, &["c"]).await.publish(summary(0, 1)).await.unwrap();
    assert_eq!(staff_rows(&warehouse).await, Some(1));
    assert_eq!(staff(&warehouse).await.rows(), 1, "what is replaced is what the snapshot holds, and nothing else");
}

#[tokio::test]
async fn files_that_another_program_has_rewritten_are_not_doubled_by_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_two_staff(&folder).await;
    let head = staff(&warehouse).await;
    let file = &head.files[0];
    let table = on_disk(warehouse.location(), "tables/staff");
    std::fs::copy(table.join(&file.path), table.join("compacted.parquet")).unwrap();
    let stats = json!({ "numRecords": file.rows }).to_string();
    let added = json!({ "add": {
        "path": "compacted.parquet", "partitionValues": {}, "size": file.size, "modificationTime": 0, "dataChange": false,
        "stats": stats,
    } });
    commit_by_hand(warehouse.location(), "staff", head.version + 1, &[removal(&file.path), added]);
    assert_eq!(staff(&warehouse).await.files[0].path, "compacted.parquet");
    assert_eq!(notes(&warehouse).await.len(), 1);
    assert_eq!(staff(&warehouse).await.files, head.files);
}

#[tokio::test]
async fn what_changes_under_a_run_makes_it_fail_and_nothing_of_it_is_visible() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_two_staff(&folder).await;
    let run = run_with(&warehouse, &["c"]).await;
    delete_from_outside(&warehouse).await;
    let refused = run.publish(summary(0, 1)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Overtaken { .. }), "{refused}");
    assert_eq!(staff_rows(&warehouse).await, Some(2));
    assert_eq!(notes(&warehouse).await.len(), 1);
    assert_eq!(staff(&warehouse).await.rows(), 2);
}

#[tokio::test]
async fn a_killed_runs_columns_are_taken_back_with_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_two_staff(&folder).await;
    let kept = staff(&warehouse).await.schema;
    let mut run = run_with(&warehouse, &["c"]).await;
    run.declare("staff", &Schema::new(vec![Field::new("shoe_size", DataType::Int64, true)])).unwrap();
    kill_while_publishing(run, false).await;
    assert_ne!(staff(&warehouse).await.schema, kept);
    assert_eq!(notes(&warehouse).await.len(), 1);
    assert_eq!(staff(&warehouse).await.schema, kept);
    assert_eq!(notes(&warehouse).await, Vec::<String>::new());
}

#[tokio::test]
async fn columns_alone_are_taken_back_too() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_two_staff(&folder).await;
    let kept = staff(&warehouse).await;
    let mut fields: Vec<_> = kept.schema.fields().iter().cloned().collect();
    fields.push(Field::new("shoe_size", DataType::Int64, true).into());
    let change = TableCommit { schema: Some(Schema::new(fields).into()), ..TableCommit::default() };
    kept.commit(change, 1, warehouse.clock().now()).await.unwrap();
    assert_eq!(notes(&warehouse).await.len(), 1);
    assert_eq!(staff(&warehouse).await.schema, kept.schema);
}

#[tokio::test]
async fn a_run_whose_own_account_is_damaged_is_taken_back_and_both_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_two_staff(&folder).await;
    kill_while_publishing(run_with(&warehouse, &["c"]).await, true).await;
    let pending = on_disk(warehouse.location(), PENDING);
    std::fs::write(&pending, "{").unwrap();
    let said = notes(&warehouse).await;
    assert!(said.len() == 2 && said[0].contains("was damaged") && said[1].contains("took back"), "{said:?}");
    assert!(!pending.exists());
    assert_eq!(staff_rows(&warehouse).await, Some(2));
    assert_eq!(staff(&warehouse).await.rows(), 2);
}

#[tokio::test]
async fn another_programs_commit_in_the_place_of_a_killed_runs_does_not_finish_it() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = with_two_staff(&folder).await;
    kill_before_its_commits(run_with(&warehouse, &["c"]).await).await;
    delete_from_outside(&warehouse).await;
    let said = notes(&warehouse).await;
    assert!(said.len() == 1 && said[0].contains("another program's change"), "{said:?}");
    assert_eq!(staff_rows(&warehouse).await, Some(2));
    assert_eq!(staff(&warehouse).await.rows(), 2);
}

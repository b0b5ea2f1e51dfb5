//! Compacting a warehouse in a bucket, where nothing lies on the disk.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, new_null_array};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::arrow::record_batch::RecordBatch;

use super::*;
use crate::parquet_file::read_object;
use crate::publish::tests::summary;
use crate::retention::tests::in_a_bucket;

/// Publishes an event of each of these customers, by their numbers and in this order.
async fn publish_events(warehouse: &Warehouse, customers: &[i64]) {
    let mut run = warehouse.begin().await.unwrap();
    let schema = run.schema("event").unwrap();
    let numbers: ArrayRef = Arc::new(Int64Array::from(customers.to_vec()));
    let columns = schema
        .fields()
        .iter()
        .map(|field| match field.name().as_str() {
            "customer_no" => numbers.clone(),
            _ => new_null_array(field.data_type(), customers.len()),
        })
        .collect();
    let batch = RecordBatch::try_new(schema, columns).unwrap();
    let staged = run.stager("event").unwrap().stage(Some(0), [batch]).await.unwrap();
    run.add("event", staged).unwrap();
    let outcome = run.publish(summary(0, 0)).await.unwrap();
    assert!(matches!(outcome, Outcome::Published(_)));
}

/// A warehouse in a bucket with a file of events from each of these runs.
async fn with_events(runs: &[[i64; 2]]) -> Warehouse {
    let warehouse = in_a_bucket().await;
    for customers in runs {
        publish_events(&warehouse, customers).await;
    }
    warehouse
}

/// The customers of the events of the newest snapshot, file by file.
async fn customers(warehouse: &Warehouse) -> Vec<Vec<i64>> {
    let newest = warehouse.ledger().await.unwrap().pop().unwrap();
    let events = open_table(warehouse.location(), "event", Some(newest.tables["event"])).await.unwrap();
    let mut files = Vec::new();
    for file in &events.files {
        let batches = read_object(warehouse.location().objects(), &format!("tables/event/{}", file.path)).await;
        let batches = batches.unwrap();
        let numbers = batches.iter().map(|batch| batch.column_by_name("customer_no").unwrap());
        files.push(numbers.flat_map(|numbers| numbers.as_primitive::<Int64Type>().values().to_vec()).collect());
    }
    files
}

#[tokio::test]
async fn four_small_files_become_one_that_is_sorted_by_customer_and_three_are_left_alone() {
    let warehouse = with_events(&[[5, 1], [9, 4], [2, 7]]).await;
    assert_eq!(warehouse.compact_dry().await.unwrap().merged_files(), 0);
    publish_events(&warehouse, &[8, 0]).await;
    let dry = warehouse.compact_dry().await.unwrap();
    let compaction = warehouse.compact().await.unwrap();
    assert_eq!(customers(&warehouse).await, [[0, 1, 2, 4, 5, 7, 8, 9]]);

    let [told] = compaction.tables.as_slice() else { panic!("events alone have files: {compaction:?}") };
    assert_eq!((told.table.as_str(), told.files, told.files_after, told.merged_files), ("event", 4, 1, 4));
    assert_eq!(told.merged_bytes, told.bytes);
    assert!(told.bytes_after.is_some_and(|bytes| bytes < told.bytes), "{told:?}");
    let foreseen = CompactedTable { bytes_after: None, ..told.clone() };
    assert_eq!(dry, Compaction { tables: vec![foreseen], published: None, notes: Vec::new() });
}

#[tokio::test]
async fn the_snapshot_says_what_its_parent_said_and_the_next_compaction_publishes_none() {
    let warehouse = with_events(&[[0, 1]; 4]).await;
    let published = warehouse.compact().await.unwrap().published.unwrap();
    let ledger = warehouse.ledger().await.unwrap();
    let [.., before, after] = ledger.as_slice() else { panic!("there are five snapshots: {ledger:?}") };
    assert_eq!(after, &*published);
    let expected = LedgerRow {
        snapshot_id: after.snapshot_id,
        parent_snapshot_id: Some(before.snapshot_id),
        published_at: after.published_at,
        read_from: before.taken_at,
        read_until: before.taken_at,
        source: SOURCE.to_owned(),
        tables: after.tables.clone(),
        guard: Vec::new(),
        ..before.clone()
    };
    assert_eq!(after, &expected);
    let moved: Vec<&String> = after.tables.keys().filter(|name| after.tables[*name] != before.tables[*name]).collect();
    assert_eq!(moved, ["event"]);
    assert_eq!(warehouse.compact().await.unwrap().published, None);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_fails_the_compaction_and_nothing_is_changed() {
    let warehouse = with_events(&[[0, 1]; 4]).await;
    let ledger = warehouse.ledger().await.unwrap();
    let events = open_table(warehouse.location(), "event", None).await.unwrap();
    warehouse.location().objects().remove(&format!("tables/event/{}", events.files[2].path)).await.unwrap();
    let failed = warehouse.compact().await.unwrap_err();
    assert!(matches!(&failed, StoreError::Merge { table, .. } if table == "event"), "{failed}");
    assert_eq!(warehouse.ledger().await.unwrap(), ledger);
    let head = open_table(warehouse.location(), "event", None).await.unwrap();
    assert_eq!(head.version, events.version);
}

#[tokio::test]
async fn before_the_first_snapshot_there_is_nothing_to_compact() {
    let warehouse = in_a_bucket().await;
    let nothing = Compaction { tables: Vec::new(), published: None, notes: Vec::new() };
    assert_eq!(warehouse.compact_dry().await.unwrap(), nothing);
    assert_eq!(warehouse.compact().await.unwrap(), nothing);
}

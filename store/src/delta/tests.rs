//! Commits of ours, and of other programs.

use std::path::PathBuf;

use serde_json::{Value, json};
use tagmill_schemas::tables::contract;

use super::*;
use crate::arrow_types::arrow_schema;

/// Where something of a warehouse in a folder lies on the disk.
pub(crate) fn on_disk(location: &Location, below: &str) -> PathBuf {
    location.folder().unwrap().join(below)
}

/// Commits to a table as another program would: actions in a log file, without a transaction of ours.
pub(crate) fn commit_by_hand(location: &Location, table: &str, version: u64, actions: &[Value]) {
    let lines: Vec<String> = actions.iter().map(Value::to_string).collect();
    let path = on_disk(location, &location.table_folder(table)).join(LOG).join(format!("{version:020}.json"));
    assert!(!path.exists(), "{} is there", path.display());
    std::fs::write(path, lines.join("\n")).unwrap();
}

/// The removal of a file, as another program writes it.
pub(crate) fn removal(path: &str) -> Value {
    json!({ "remove": { "path": path, "deletionTimestamp": 0, "dataChange": true } })
}

/// What a table says of itself in its first commit.
fn metadata(location: &Location, table: &str) -> Value {
    let path = on_disk(location, &location.table_folder(table)).join(LOG).join(format!("{:020}.json", 0));
    let log = std::fs::read_to_string(path).unwrap();
    let mut actions = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    actions.find(|action| action.get("metaData").is_some()).unwrap()
}

async fn staff_table(folder: &tempfile::TempDir) -> Location {
    let location = Location::parse(&folder.path().join("corp").display().to_string()).unwrap();
    create_table(&location, "staff", &arrow_schema(contract("staff").unwrap(), &[])).await.unwrap();
    location
}

async fn head(location: &Location) -> TableVersion {
    open_table(location, "staff", None).await.unwrap()
}

/// A commit that changes nothing but the newest snapshot id.
async fn commit(on: &TableVersion, snapshot_id: i64) -> Result<u64, StoreError> {
    on.commit(TableCommit::default(), snapshot_id, DateTime::UNIX_EPOCH).await
}

#[tokio::test]
async fn a_commit_on_a_head_that_has_moved_is_overtaken() {
    let folder = tempfile::tempdir().unwrap();
    let location = staff_table(&folder).await;
    let (one, other) = (head(&location).await, head(&location).await);
    assert_eq!(commit(&one, 1).await.unwrap(), 1);
    let refused = commit(&other, 2).await.unwrap_err();
    assert!(matches!(refused, StoreError::Overtaken { .. }), "{refused}");
    assert_eq!(head(&location).await.last_snapshot_id().await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_commit_is_known_by_its_snapshot_id_whatever_was_said_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let location = staff_table(&folder).await;
    let (before, nothing) = (head(&location).await, TableCommit::default());
    assert!(!before.is_followed_by(&nothing, 1).await, "nothing is committed yet");
    commit(&before, 1).await.unwrap();
    assert!(before.is_followed_by(&nothing, 1).await);
    assert!(!before.is_followed_by(&nothing, 2).await, "it is another run's");
    let after = head(&location).await;
    commit(&after, 1).await.unwrap();
    assert!(!after.is_followed_by(&nothing, 1).await, "an id that was there before proves nothing");
}

#[tokio::test]
async fn of_two_commits_for_one_snapshot_id_the_second_is_overtaken() {
    let folder = tempfile::tempdir().unwrap();
    let location = staff_table(&folder).await;
    let (one, other) = (head(&location).await, head(&location).await);
    let adding = |path: &str| {
        let stats = json!({ "numRecords": 1 }).to_string();
        let file = StagedFile { path: path.to_owned(), size: 1, rows: 1, stats };
        TableCommit { add: vec![file], ..TableCommit::default() }
    };
    assert_eq!(one.commit(adding("a.parquet"), 1, DateTime::UNIX_EPOCH).await.unwrap(), 1);
    let refused = other.commit(adding("b.parquet"), 1, DateTime::UNIX_EPOCH).await.unwrap_err();
    assert!(matches!(refused, StoreError::Overtaken { .. }), "{refused}");
}

#[tokio::test]
async fn a_commit_stands_where_the_checkpoint_after_it_fails() {
    let folder = tempfile::tempdir().unwrap();
    let location = staff_table(&folder).await;
    let mut every_commit = metadata(&location, "staff");
    every_commit["metaData"]["configuration"]["delta.checkpointInterval"] = json!("1");
    commit_by_hand(&location, "staff", 1, &[every_commit]);
    // No file can take the place of a folder.
    let checkpoint = on_disk(&location, "tables/staff").join(LOG).join(format!("{:020}.checkpoint.parquet", 2));
    std::fs::create_dir(checkpoint).unwrap();
    assert_eq!(commit(&head(&location).await, 7).await.unwrap(), 2);
    assert_eq!(head(&location).await.last_snapshot_id().await.unwrap(), Some(7));
}

#[tokio::test]
async fn a_table_that_asks_more_of_its_readers_is_refused_and_its_older_versions_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let location = staff_table(&folder).await;
    let vectors = json!(["deletionVectors"]);
    let protocol = json!({ "protocol": {
        "minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": vectors, "writerFeatures": vectors,
    } });
    commit_by_hand(&location, "staff", 1, &[protocol]);
    let refused = open_table(&location, "staff", None).await.unwrap_err();
    assert!(matches!(refused, StoreError::Profile { .. }), "{refused}");
    assert!(refused.to_string().ends_with("needs reader version 3 with `deletionVectors`"), "{refused}");
    assert_eq!(open_table(&location, "staff", Some(0)).await.unwrap().version, 0);
}

#[tokio::test]
async fn files_that_a_commit_has_named_are_told_from_those_that_none_has() {
    let folder = tempfile::tempdir().unwrap();
    let location = staff_table(&folder).await;
    commit_by_hand(&location, "staff", 1, &[removal("b0000/gone.parquet")]);
    let names = ["b0000/gone.parquet", "b0000/never.parquet"].map(str::to_owned).to_vec();
    let never = never_committed(location.objects(), "staff", names).await.unwrap();
    assert_eq!(never, ["b0000/never.parquet"]);
}

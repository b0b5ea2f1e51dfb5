//! Backups beside writers and prunes, what a cut or damaged one leaves, and what is refused.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error as ObjectError, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result as ObjectResult,
};
use tagmill_schemas::segment::AsOf;
use tagmill_schemas::tables::TABLES;
use tempfile::TempDir;
use tokio::sync::{Notify, watch};

use super::manifest::MANIFEST;
use super::*;
use crate::delta::open_table;
use crate::delta::tests::on_disk;
use crate::parquet_file::read_object;
use crate::publish::tests::{kill_while_publishing, run_with, summary, warehouse};
use crate::publish::{LEDGER, Outcome, PENDING, RunSummary};
use crate::retention::Ladder;
use crate::warehouse::NewWarehouse;

const JANUARY: [&str; 2] = ["2026-01-10T02:00:00Z", "2026-01-31T02:00:00Z"];

/// A store behind which somebody meddles.
#[derive(Debug)]
struct Meddled {
    inner: Arc<dyn ObjectStore>,
    /// Where reads of the data files of staff wait.
    gate: Option<Arc<Gate>>,
    /// The name of the objects that cannot be written.
    refused: Option<&'static str>,
}

#[derive(Debug, Default)]
struct Gate {
    reached: Notify,
    is_open: watch::Sender<bool>,
}

impl Gate {
    async fn pass(&self) {
        self.reached.notify_one();
        let mut is_open = self.is_open.subscribe();
        is_open.wait_for(|is_open| *is_open).await.unwrap();
    }
}

impl fmt::Display for Meddled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Meddled {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> ObjectResult<PutResult> {
        if self.refused.is_some() && location.filename() == self.refused {
            return Err(ObjectError::Generic { store: "test", source: "no room".into() });
        }
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> ObjectResult<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> ObjectResult<GetResult> {
        let is_data = location.as_ref().contains("/tables/staff/s") && location.extension() == Some("parquet");
        if let Some(gate) = self.gate.as_ref().filter(|_| is_data) {
            gate.pass().await;
        }
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, ObjectResult<Path>>,
    ) -> BoxStream<'static, ObjectResult<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, ObjectResult<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> ObjectResult<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> ObjectResult<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// Backs a warehouse up, and does something when the first data file of staff is about to be read.
async fn back_up_while(warehouse: &Warehouse, to: &Location, meanwhile: impl Future<Output = ()>) -> Backup {
    let gate = Arc::new(Gate::default());
    let waiting = Some(gate.clone());
    let location = warehouse.location().clone();
    let location = location.layered(|inner| Arc::new(Meddled { inner, gate: waiting, refused: None }));
    let slow = Warehouse::open_at(location).await.unwrap();
    let meddle = async {
        gate.reached.notified().await;
        meanwhile.await;
        gate.is_open.send_replace(true);
    };
    let (made, ()) = tokio::join!(slow.back_up(to), meddle);
    made.unwrap()
}

/// A place whose manifest cannot be written.
fn without_room(place: &Location) -> Location {
    place.clone().layered(|inner| Arc::new(Meddled { inner, gate: None, refused: Some(MANIFEST) }))
}

fn place(folder: &TempDir, name: &str) -> Location {
    Location::parse(&folder.path().join(name).display().to_string()).unwrap()
}

async fn publish(warehouse: &Warehouse, ids: &[&str], at: &str) {
    let at = at.parse().unwrap();
    let summary = RunSummary { read_from: at, read_until: at, ..summary(0, ids.len() as u64) };
    let outcome = run_with(warehouse, ids).await.publish(summary).await.unwrap();
    assert!(matches!(outcome, Outcome::Published(_)));
}

/// Restores a backup into a folder of its own.
async fn restored(folder: &TempDir, backup: &Location) -> Warehouse {
    let name = format!("restored-{}", uuid::Uuid::new_v4().simple());
    Warehouse::restore(backup, place(folder, &name), None).await.unwrap().warehouse
}

/// Checks which snapshots there are and how many rows of staff each has, by reading them, and that nothing is ahead of the
/// ledger.
async fn check_holds(warehouse: &Warehouse, expected: &[(i64, u64)]) {
    let (location, mut counts) = (warehouse.location(), Vec::new());
    let rows = warehouse.ledger().await.unwrap();
    for row in &rows {
        let staff = open_table(location, "staff", Some(row.tables["staff"])).await.unwrap();
        let mut count = 0;
        for file in &staff.files {
            let batches = read_object(location.objects(), &format!("tables/staff/{}", file.path)).await.unwrap();
            count += batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>();
        }
        counts.push((row.snapshot_id.0, count));
    }
    assert_eq!(counts, expected);
    let newest = rows.last().unwrap();
    for table in TABLES.iter().filter(|table| table.name != LEDGER) {
        let head = open_table(location, table.name, None).await.unwrap().version;
        assert_eq!(head, newest.tables[table.name], "{}", table.name);
    }
    assert!(!on_disk(location, PENDING).exists());
}

#[tokio::test]
async fn a_backup_in_a_bucket_comes_back_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder).await;
    publish(&warehouse, &["a"], JANUARY[0]).await;
    publish(&warehouse, &["a", "b"], JANUARY[1]).await;
    let bucket = Location::parse("s3://backups/corp").unwrap().layered(|_| Arc::new(InMemory::new()));
    let made = warehouse.back_up(&bucket).await.unwrap();
    assert_eq!((made.newest, made.removed_objects), (Some(SnapshotId(2)), 0));
    assert_eq!(made.all, made.copied);
    let back = Warehouse::restore(&bucket, place(&folder, "back"), None).await.unwrap();
    assert_eq!((back.newest, back.all), (made.newest, made.all));
    assert_eq!(back.warehouse.ledger().await.unwrap(), warehouse.ledger().await.unwrap());
    check_holds(&back.warehouse, &[(1, 1), (2, 2)]).await;
    publish(&back.warehouse, &["a", "b", "c"], "2026-02-01T02:00:00Z").await;
    check_holds(&back.warehouse, &[(1, 1), (2, 2), (3, 3)]).await;
}

#[tokio::test]
async fn a_warehouse_without_a_snapshot_is_backed_up_too() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder).await;
    let to = place(&folder, "backup");
    assert_eq!(warehouse.back_up(&to).await.unwrap().newest, None);
    let back = restored(&folder, &to).await;
    publish(&back, &["a"], JANUARY[0]).await;
    check_holds(&back, &[(1, 1)]).await;
}

#[tokio::test]
async fn what_a_killed_run_had_committed_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder).await;
    publish(&warehouse, &["a"], JANUARY[0]).await;
    kill_while_publishing(run_with(&warehouse, &["b", "c"]).await, false).await;
    let to = place(&folder, "backup");
    warehouse.back_up(&to).await.unwrap();
    let back = restored(&folder, &to).await;
    check_holds(&back, &[(1, 1)]).await;
    assert!(back.begin().await.unwrap().notes().is_empty(), "nothing is to be mended");
}

#[tokio::test]
async fn what_is_published_meanwhile_is_for_the_next_backup() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder).await;
    publish(&warehouse, &["a"], JANUARY[0]).await;
    let to = place(&folder, "backup");
    let made = back_up_while(&warehouse, &to, publish(&warehouse, &["a", "b"], JANUARY[1])).await;
    assert_eq!(made.newest, Some(SnapshotId(1)));
    check_holds(&restored(&folder, &to).await, &[(1, 1)]).await;
    assert_eq!(warehouse.back_up(&to).await.unwrap().newest, Some(SnapshotId(2)));
    check_holds(&restored(&folder, &to).await, &[(1, 1), (2, 2)]).await;
}

#[tokio::test]
async fn a_prune_meanwhile_makes_it_begin_again_from_the_newest_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder).await;
    publish(&warehouse, &["a"], JANUARY[0]).await;
    publish(&warehouse, &["a", "b"], JANUARY[1]).await;
    let to = place(&folder, "backup");
    let prune = async {
        let pruning = warehouse.prune(Ladder { all_days: 0, daily_days: 0 }).await.unwrap();
        assert_eq!(pruning.pruned(), 1);
    };
    back_up_while(&warehouse, &to, prune).await;
    let back = restored(&folder, &to).await;
    check_holds(&back, &[(2, 2)]).await;
    let pruned = back.snapshot(&AsOf::Snapshot(SnapshotId(1))).await;
    assert!(matches!(pruned, Err(StoreError::Pruned { .. })));
}

#[tokio::test]
async fn what_is_gone_each_time_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder).await;
    publish(&warehouse, &["a"], JANUARY[0]).await;
    let staff = open_table(warehouse.location(), "staff", None).await.unwrap();
    let file = on_disk(warehouse.location(), &format!("tables/staff/{}", staff.files[0].path));
    std::fs::remove_file(&file).unwrap();
    let refused = warehouse.back_up(&place(&folder, "backup")).await.unwrap_err();
    let expected = file.display().to_string();
    assert!(matches!(&refused, StoreError::Backup(BackupError::Unsettled { path }) if *path == expected), "{refused}");
}

#[tokio::test]
async fn only_what_is_new_is_copied_and_what_is_needed_no_more_goes() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder).await;
    publish(&warehouse, &["a"], JANUARY[0]).await;
    let to = place(&folder, "backup");
    let first = warehouse.back_up(&to).await.unwrap();
    let again = warehouse.back_up(&to).await.unwrap();
    assert_eq!(again, Backup { copied: Amount::default(), ..first.clone() });
    publish(&warehouse, &["a", "b"], JANUARY[1]).await;
    let third = warehouse.back_up(&to).await.unwrap();
    // A file and a commit of staff, and of the ledger, whose file before is needed no more.
    assert_eq!((third.copied.objects, third.removed_objects), (4, 1));
    assert_eq!(third.all.objects, first.all.objects + 3);
    check_holds(&restored(&folder, &to).await, &[(1, 1), (2, 2)]).await;
}

#[tokio::test]
async fn a_file_that_was_written_anew_in_its_place_is_copied_again() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder).await;
    publish(&warehouse, &["a"], JANUARY[0]).await;
    let to = place(&folder, "backup");
    warehouse.back_up(&to).await.unwrap();
    let staff = open_table(warehouse.location(), "staff", None).await.unwrap();
    let path = format!("tables/staff/{}", staff.files[0].path);
    let anew = vec![7; usize::try_from(staff.files[0].size).unwrap()];
    warehouse.location().objects().write(&path, anew.clone()).await.unwrap();
    let made = warehouse.back_up(&to).await.unwrap();
    assert_eq!(made.copied, Amount { objects: 1, bytes: anew.len() as u64 });
    let back = restored(&folder, &to).await;
    assert_eq!(back.location().objects().read(&path).await.unwrap(), Some(anew));
}

#[tokio::test]
async fn a_file_that_is_not_as_its_table_says_is_not_backed_up() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder).await;
    publish(&warehouse, &["a"], JANUARY[0]).await;
    let to = place(&folder, "backup");
    warehouse.back_up(&to).await.unwrap();
    let staff = open_table(warehouse.location(), "staff", None).await.unwrap();
    let path = format!("tables/staff/{}", staff.files[0].path);
    warehouse.location().objects().write(&path, b"short".to_vec()).await.unwrap();
    assert!(matches!(warehouse.back_up(&to).await, Err(StoreError::Damaged { .. })));
    check_holds(&restored(&folder, &to).await, &[(1, 1)]).await;
}

#[tokio::test]
async fn a_backup_that_is_cut_short_leaves_the_one_before_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder).await;
    publish(&warehouse, &["a"], JANUARY[0]).await;
    let to = place(&folder, "backup");
    assert!(warehouse.back_up(&without_room(&to)).await.is_err());
    let missing = Warehouse::restore(&to, place(&folder, "back"), None).await.unwrap_err();
    assert!(matches!(missing, StoreError::Backup(BackupError::Missing { .. })), "{missing}");
    warehouse.back_up(&to).await.unwrap();
    assert!(!on_disk(&to, UNFINISHED).exists());
    publish(&warehouse, &["a", "b"], JANUARY[1]).await;
    assert!(warehouse.back_up(&without_room(&to)).await.is_err());
    check_holds(&restored(&folder, &to).await, &[(1, 1)]).await;
    warehouse.back_up(&to).await.unwrap();
    check_holds(&restored(&folder, &to).await, &[(1, 1), (2, 2)]).await;
}

#[tokio::test]
async fn a_backup_goes_to_an_empty_place_or_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder).await;
    let other = place(&folder, "other");
    let other = Warehouse::open_or_create_at(other, NewWarehouse::default()).await.unwrap();
    let of_other = place(&folder, "of-other");
    other.back_up(&of_other).await.unwrap();
    let mine = place(&folder, "mine");
    mine.objects().write("thesis.txt", b"x".to_vec()).await.unwrap();
    let within = place(&folder, "corp/backup");
    let check = async |to: &Location, reason: &str| {
        let refused = warehouse.back_up(to).await.unwrap_err();
        assert!(matches!(refused, StoreError::Backup(BackupError::Destination { .. })), "{refused}");
        assert!(refused.to_string().contains(reason), "{refused}");
    };
    check(warehouse.location(), "it is the warehouse itself").await;
    check(&within, "one lies in the other").await;
    check(other.location(), "it is a warehouse").await;
    check(&mine, "it holds something else, such as `thesis.txt`").await;
    check(&of_other, "it holds the backup of another warehouse").await;
    assert!(!on_disk(&mine, "writer.lock").exists(), "nothing is written there");
}

#[tokio::test]
async fn what_is_damaged_is_named_and_a_restore_goes_on_once_it_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder).await;
    publish(&warehouse, &["a"], JANUARY[0]).await;
    let (to, back) = (place(&folder, "backup"), place(&folder, "back"));
    warehouse.back_up(&to).await.unwrap();
    let staff = open_table(warehouse.location(), "staff", None).await.unwrap();
    let file = on_disk(&to, &format!("tables/staff/{}", staff.files[0].path));
    let whole = std::fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for (damaged, reason) in [(Some(&flipped[..]), "SHA-256"), (Some(&whole[1..]), "bytes"), (None, "it is gone")] {
        match damaged {
            Some(bytes) => std::fs::write(&file, bytes).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let refused = Warehouse::restore(&to, back.clone(), None).await.unwrap_err();
        assert!(matches!(refused, StoreError::Backup(BackupError::Damaged { .. })), "{refused}");
        let said = refused.to_string();
        assert!(said.contains(&file.display().to_string()) && said.contains(reason), "{said}");
        assert!(matches!(Warehouse::open_at(back.clone()).await, Err(StoreError::NoWarehouse { .. })));
    }
    std::fs::write(&file, &whole).unwrap();
    let restored = Warehouse::restore(&to, back, None).await.unwrap();
    check_holds(&restored.warehouse, &[(1, 1)]).await;
}

#[tokio::test]
async fn nothing_that_is_there_is_restored_over() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse(&folder).await;
    publish(&warehouse, &["a"], JANUARY[0]).await;
    let to = place(&folder, "backup");
    warehouse.back_up(&to).await.unwrap();
    let check = async |target: &Location, reason: &str| {
        let refused = Warehouse::restore(&to, target.clone(), None).await.unwrap_err();
        assert!(matches!(refused, StoreError::Backup(BackupError::Target { .. })), "{refused}");
        assert!(refused.to_string().contains(reason), "{refused}");
    };
    check(warehouse.location(), "there is a warehouse already").await;
    check(&to, "the backup is there").await;
    for path in ["tables/staff/_delta_log/00000000000000000009.json", "staged/pending.json", "pruned.json"] {
        let target = place(&folder, &format!("with-{}", path.len()));
        target.objects().write(path, b"{}".to_vec()).await.unwrap();
        check(&target, &format!("it holds a `{path}`")).await;
    }
    let target = place(&folder, "with-another");
    let commit = "tables/staff/_delta_log/00000000000000000000.json";
    target.objects().write(commit, b"{}".to_vec()).await.unwrap();
    check(&target, &format!("it holds a `{commit}`")).await;
    for name in ["control.sqlite", "control.sqlite-wal"] {
        let target = place(&folder, &format!("with-{name}"));
        target.objects().write(name, b"another's".to_vec()).await.unwrap();
        check(&target, "there is a control state already").await;
    }
}

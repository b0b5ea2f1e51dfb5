//! An erasure from end to end, one that was killed, and what it refuses.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, new_null_array};
use datafusion::arrow::util::display::array_value_to_string;
use object_store::memory::InMemory as MemoryStore;
use tagmill_schemas::ids::SnapshotId;
use tagmill_schemas::segment::AsOf;

use super::journal::JOURNAL;
use super::*;
use crate::location::Location;
use crate::parquet_file::read_batches;
use crate::publish::tests::{summary, warehouse};
use crate::publish::{Outcome, Run};
use crate::warehouse::NewWarehouse;

/// What nobody may find afterwards. The customer had another name in each snapshot.
const SECRETS: [&str; 8] = [
    "wm-secret-1",
    "u-secret-1",
    "13800138001",
    "秘密一号",
    "秘密二号",
    "secret note",
    "d-secret-1",
    "bb63166deebe61d290485bfe19dd2cd97a4bbbe0ed3fa62044dd595f59c0ce53",
];
/// The hash of another number that the customer had in the first snapshot.
const OLD_MOBILE: &str = "13800138002";

type Texts<'t> = (&'t str, &'t [Option<&'t str>]);

/// Rows of a table by their customers' numbers and texts; every other column is NULL.
fn rows(run: &Run, table: &str, numbers: &[i64], texts: &[Texts<'_>]) -> RecordBatch {
    let schema = run.schema(table).unwrap();
    let count = texts[0].1.len();
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        let told = texts.iter().find(|(name, _)| name == field.name());
        match (field.name().as_str(), told) {
            ("customer_no", _) => Arc::new(Int64Array::from(numbers.to_vec())),
            (_, Some((_, texts))) => Arc::new(StringArray::from(texts.to_vec())),
            _ => new_null_array(field.data_type(), count),
        }
    });
    RecordBatch::try_new(schema.clone(), columns.collect()).unwrap()
}

async fn put(run: &mut Run, table: &str, bucket: Option<u32>, batch: RecordBatch) {
    let staged = run.stager(table).unwrap().stage(bucket, [batch]).await.unwrap();
    run.replace_all(table).unwrap();
    run.add(table, staged).unwrap();
}

/// Publishes two customers, of whom the second is to go, with everything that names it.
async fn publish(warehouse: &Warehouse, name: &str, mobile: &str) {
    let mut run = warehouse.begin().await.unwrap();
    let customers = rows(
        &run,
        "customer",
        &[0, 1],
        &[
            ("id_space", &[Some("corp"), Some("corp")]),
            ("customer_id", &[Some("wm-other-0"), Some("wm-secret-1")]),
            ("name", &[Some("别人"), Some(name)]),
            ("unionid", &[None, Some("u-secret-1")]),
            ("mobile", &[Some("13900139000"), Some(mobile)]),
            ("city", &[Some("上海"), Some("杭州")]),
        ],
    );
    let follows = rows(
        &run,
        "follow",
        &[1, 0],
        &[("staff_id", &[Some("zhang"), Some("zhang")]), ("remark", &[Some("secret note"), Some("other note")])],
    );
    let links = rows(
        &run,
        "id_map",
        &[1, 0],
        &[("platform", &[Some("douyin"), Some("douyin")]), ("platform_id", &[Some("d-secret-1"), Some("d-other-0")])],
    );
    let waiting = rows(
        &run,
        "unmatched_event",
        &[],
        &[
            ("event_id", &[Some("w1"), Some("w2")]),
            ("id_space", &[Some("corp"), Some("corp")]),
            ("customer_id", &[None, Some("wm-new")]),
            ("mobile_sha256", &[Some(SECRETS[7]), None]),
            ("content", &[Some(r#"{"type":"pay","properties":"to 秘密一号"}"#), Some(r#"{"type":"pay"}"#)]),
        ],
    );
    let refused = rows(
        &run,
        "quarantine",
        &[],
        &[
            ("code", &[Some("BAD_VALUE"), Some("BAD_VALUE")]),
            ("reason", &[Some("`x` is no number"), Some("`x` is no number")]),
            ("raw", &[Some("o1,138 0013 8001,x"), Some("o2,13900139000,x")]),
        ],
    );
    put(&mut run, "customer", Some(0), customers).await;
    put(&mut run, "follow", Some(0), follows).await;
    put(&mut run, "id_map", None, links).await;
    put(&mut run, "unmatched_event", None, waiting).await;
    put(&mut run, "quarantine", None, refused).await;
    let outcome = run.publish(summary(0, 2)).await.unwrap();
    assert!(matches!(outcome, Outcome::Published(_)));
}

/// A warehouse with two snapshots, between which the customer's name and number changed.
async fn two_snapshots(folder: &tempfile::TempDir) -> Warehouse {
    let warehouse = warehouse(folder).await;
    publish(&warehouse, "秘密一号", OLD_MOBILE).await;
    publish(&warehouse, "秘密二号", "13800138001").await;
    warehouse
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    files_below(folder).into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// Everything that a file says: its bytes, and its cells where it has any.
fn said(path: &Path) -> String {
    let mut said = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    if path.extension().is_some_and(|ending| ending == "parquet") {
        for batch in read_batches(path).unwrap() {
            for column in batch.columns() {
                let cells = (0..batch.num_rows()).map(|row| array_value_to_string(column, row).unwrap());
                said.extend(cells.map(|cell| format!("\n{cell}")));
            }
        }
    }
    said
}

fn check_nothing_is_left(folder: &Path) {
    let mut others = 0;
    for path in files_below(folder) {
        let said = said(&path);
        for secret in SECRETS.into_iter().chain([OLD_MOBILE]) {
            assert!(!said.contains(secret), "{secret} is left in {}", path.display());
        }
        let of_others = ["别人", "13900139000", "other note", "d-other-0"];
        others += of_others.into_iter().filter(|other| said.contains(other)).count();
    }
    assert!(others >= 8, "what is others' stays in both snapshots: {others}");
}

async fn check_counts(warehouse: &Warehouse) {
    for id in [1, 2] {
        let snapshot = warehouse.snapshot(&AsOf::Snapshot(SnapshotId(id))).await.unwrap();
        for table in ["customer", "follow", "id_map", "unmatched_event", "quarantine"] {
            assert_eq!(snapshot.row().row_counts[table], 2, "{table} of snapshot {id}");
        }
    }
}

#[tokio::test]
async fn a_customer_goes_from_both_snapshots_and_nobody_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = two_snapshots(&folder).await;
    let before = contents(folder.path());
    let Erasing::Done(dry) = warehouse.erase_dry("wm-secret-1").await.unwrap() else { panic!("erased before") };
    assert_eq!(contents(folder.path()), before, "a dry run changes nothing");
    let Erasing::Done(done) = warehouse.erase("corp:wm-secret-1", "li").await.unwrap() else { panic!("erased before") };
    assert_eq!((&done.counts, done.customer_no, done.tombstone.as_str()), (&dry.counts, CustomerNo(1), "erased:1"));
    let tables: Vec<(&str, u64, u64)> =
        done.counts.tables.iter().map(|told| (told.table.as_str(), told.files, told.rows)).collect();
    let each = ["customer", "follow", "unmatched_event", "id_map", "quarantine"].map(|table| (table, 2, 2));
    assert_eq!(tables, each);
    let found = done.found.unwrap();
    assert_eq!(found.left, []);
    assert!(found.objects >= before.len() as u64 && found.bytes > 0);
    check_nothing_is_left(folder.path());
    check_counts(&warehouse).await;
    for (path, content) in contents(&folder.path().join("corp/tables")) {
        assert_eq!(content.len(), before[&path].len(), "{}", path.display());
    }
    let acts = warehouse.control().unwrap().audit().unwrap();
    assert_eq!((acts.len(), acts[0].act.as_str(), acts[0].subject.as_str()), (1, "erase", "customer 1"));
    assert!(warehouse.erased().await.unwrap().is_erased("corp", "wm-secret-1"));
}

#[tokio::test]
async fn who_was_erased_is_not_erased_again_and_who_never_was_there_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = two_snapshots(&folder).await;
    let _ = warehouse.erase("wm-secret-1", "li").await.unwrap();
    let tables = contents(&folder.path().join("corp/tables"));
    for name in ["wm-secret-1", "corp:wm-secret-1", "erased:1"] {
        let again = warehouse.erase(name, "li").await.unwrap();
        assert!(matches!(&again, Erasing::Before(before) if before.customer_no == CustomerNo(1)), "{name}: {again:?}");
    }
    assert_eq!(contents(&folder.path().join("corp/tables")), tables);
    let unknown = warehouse.erase("wm-nobody", "li").await.unwrap_err();
    assert!(matches!(unknown, StoreError::NoCustomer { .. }), "{unknown}");
    assert_eq!(warehouse.control().unwrap().audit().unwrap().len(), 1);
}

#[tokio::test]
async fn an_erasure_that_was_killed_at_any_step_is_finished_by_the_next_writer() {
    for files_done in [0, 1, 4, 10] {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = two_snapshots(&folder).await;
        let key = CustomerKey { id_space: "corp".to_owned(), customer_id: "wm-secret-1".to_owned() };
        let Survey { search, holdings, counts } = Survey::of(&warehouse, CustomerNo(1), key).await.unwrap();
        let (values, begun_at) = (search.values.clone(), warehouse.clock().now());
        let journal = Journal { values, by: "li".to_owned(), begun_at, counts };
        journal.write(warehouse.location()).await.unwrap();
        let objects = warehouse.location().objects();
        assert_eq!(holdings.files.len(), 10);
        for file in holdings.files.iter().take(files_done) {
            let content = rewritten(objects, file, &holdings, &search).await.unwrap().unwrap().content;
            objects.write(&file.path, content.into()).await.unwrap();
        }
        let run = warehouse.begin().await.unwrap();
        let said = "finished the erasure of customer 1, which had been broken off";
        assert_eq!(run.notes(), [said]);
        drop(run);
        assert_eq!(objects.read(JOURNAL).await.unwrap(), None);
        check_nothing_is_left(folder.path());
        check_counts(&warehouse).await;
        assert!(warehouse.begin().await.unwrap().notes().is_empty());
        assert_eq!(warehouse.control().unwrap().audit().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn the_log_never_said_anything_of_private_columns() {
    let folder = tempfile::tempdir().unwrap();
    let _ = two_snapshots(&folder).await;
    for version in [1, 2] {
        let log = format!("corp/tables/customer/_delta_log/{version:020}.json");
        let said = std::fs::read_to_string(folder.path().join(log)).unwrap();
        assert!(said.contains("customer_no") && said.contains("city"), "{said}");
        assert!(!said.contains("mobile") && !said.contains("unionid"), "{said}");
    }
}

#[tokio::test]
async fn what_the_guard_refused_is_erased_too() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = two_snapshots(&folder).await;
    let mut run = warehouse.begin().await.unwrap();
    let rows = rows(
        &run,
        "customer",
        &[0, 1],
        &[
            ("id_space", &[Some("corp"), Some("corp")]),
            ("customer_id", &[Some("wm-other-0"), Some("wm-secret-1")]),
            ("name", &[Some("别人"), Some("秘密一号")]),
        ],
    );
    put(&mut run, "customer", Some(0), rows).await;
    let refused = run.publish(summary(4, 1)).await.unwrap();
    assert!(matches!(refused, Outcome::Refused(_)));
    let Erasing::Done(done) = warehouse.erase("wm-secret-1", "li").await.unwrap() else { panic!("erased before") };
    assert_eq!((done.counts.tables[0].table.as_str(), done.counts.tables[0].files), ("customer", 3));
    check_nothing_is_left(folder.path());
}

#[tokio::test]
async fn what_its_owner_keeps_beside_the_tables_is_told_and_left() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = two_snapshots(&folder).await;
    let exports = folder.path().join("corp/audiences");
    std::fs::create_dir(&exports).unwrap();
    std::fs::write(exports.join("vip.csv"), "customer_id,name\nwm-secret-1,秘密二号\n").unwrap();
    std::fs::write(exports.join("other.csv"), "customer_id,name\nwm-other-0,别人\n").unwrap();
    let Erasing::Done(done) = warehouse.erase("wm-secret-1", "li").await.unwrap() else { panic!("erased before") };
    let left = done.found.unwrap().left;
    assert!(left.iter().all(|left| left.is_yours && left.path == "audiences/vip.csv"), "{left:?}");
    let mut what: Vec<&str> = left.iter().map(|left| left.what.as_str()).collect();
    what.sort_unstable();
    assert_eq!(what, ["name", "outside id"]);
    assert!(exports.join("vip.csv").is_file());
}

#[tokio::test]
async fn in_a_bucket_whose_control_state_nobody_names_nothing_is_erased() {
    let location = Location::over(Arc::new(MemoryStore::new()), "s3://bucket/corp").unwrap();
    let warehouse = Warehouse::open_or_create_at(location.clone(), NewWarehouse::default()).await.unwrap();
    publish(&warehouse, "秘密一号", "13800138001").await;
    let before = location.objects().list("").await.unwrap();
    let refused = warehouse.erase("wm-secret-1", "li").await.unwrap_err();
    assert!(matches!(refused, StoreError::NoState { .. }), "{refused}");
    assert_eq!(location.objects().list("").await.unwrap(), before);

    let folder = tempfile::tempdir().unwrap();
    let warehouse = warehouse.with_state(folder.path().join("state.sqlite"));
    let Erasing::Done(done) = warehouse.erase("wm-secret-1", "li").await.unwrap() else { panic!("erased before") };
    assert_eq!(done.found.unwrap().left, []);
    let head = warehouse.head().await.unwrap().unwrap();
    assert_eq!(head.row().row_counts["customer"], 2);
}

//! Two writers at once: whatever the store, one publishes and the other is told so. In a bucket the lock is a lease, which
//! may end while who holds it goes on.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, StringArray, new_null_array};
use chrono::DateTime;
use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;
use object_store::throttle::{ThrottleConfig, ThrottledStore};
use object_store::{ObjectStore, ObjectStoreExt, PutMode, UpdateVersion};
use serde_json::Value;
use tagmill_query::{Access, Engine, Limits};
use tagmill_schemas::segment::AsOf;
use tagmill_store::{LedgerRow, Location, NewWarehouse, Outcome, Run, RunSummary, StoreError, Warehouse};

use crate::harness::Sandbox;
use crate::harness::s3::S3;
use crate::harness::view::{texts, wait_for};

/// Races in one warehouse until the next is made, because what a run costs grows with the log.
const RACES_EACH: u64 = 5;

/// Where writers meet. Each opens it for itself.
enum Ground {
    Folder(Sandbox),
    Memory(Arc<dyn ObjectStore>),
    /// The name of a bucket.
    S3(String),
}

impl Ground {
    /// A bucket in memory. A write takes a moment, in which another can be made.
    fn memory() -> Self {
        let moment = ThrottleConfig { wait_put_per_call: Duration::from_millis(1), ..Default::default() };
        Self::Memory(Arc::new(ThrottledStore::new(InMemory::new(), moment)))
    }

    fn s3() -> Self {
        Self::S3(S3::get().new_bucket())
    }

    /// The bucket.
    fn store(&self) -> Arc<dyn ObjectStore> {
        match self {
            Self::Folder(sandbox) => panic!("{} is no bucket", sandbox.root().display()),
            Self::Memory(store) => store.clone(),
            Self::S3(bucket) => S3::get().store(bucket),
        }
    }

    /// The place of a warehouse, opened anew.
    fn location(&self, number: u64) -> Location {
        let name = format!("corp-{number}");
        match self {
            Self::Folder(sandbox) => Location::parse(sandbox.path(&name).to_str().unwrap()).unwrap(),
            _ => Location::over(self.store(), &format!("s3://bucket/{name}")).unwrap(),
        }
    }

    /// A warehouse, made where there is none.
    async fn warehouse(&self, number: u64) -> Warehouse {
        Warehouse::open_or_create_at(self.location(number), NewWarehouse::default()).await.unwrap()
    }

    /// Ends the lease of the first warehouse, as it ends by itself after half a minute.
    async fn end_lease(&self) {
        let (store, path) = (self.store(), ObjectPath::from("corp-0/writer.lease"));
        let held = store.get(&path).await.unwrap().bytes().await.unwrap();
        let mut term: Value = serde_json::from_slice(&held).unwrap();
        term["until"] = "2020-01-01T00:00:00Z".into();
        store.put(&path, term.to_string().into()).await.unwrap();
    }
}

/// Publishes a staff of one, under that one's name.
async fn publish(mut run: Run, name: &str) -> Result<LedgerRow, StoreError> {
    let schema = run.schema("staff")?;
    let column = |field: &str| match field {
        "staff_id" | "source" => Some(Arc::new(StringArray::from(vec![name])) as ArrayRef),
        _ => None,
    };
    let fields = schema.fields().iter();
    let columns = fields.map(|field| column(field.name()).unwrap_or_else(|| new_null_array(field.data_type(), 1)));
    let batch = RecordBatch::try_new(schema.clone(), columns.collect()).unwrap();
    let staged = run.stager("staff")?.stage(None, [batch]).await?;
    run.replace_all("staff")?;
    run.add("staff", staged)?;
    let summary = RunSummary {
        source: name.to_owned(),
        read_from: DateTime::UNIX_EPOCH,
        read_until: DateTime::UNIX_EPOCH,
        counts: Vec::new(),
        accept_shrink: false,
        state: None,
    };
    match run.publish(summary).await? {
        Outcome::Published(row) => Ok(*row),
        Outcome::Refused(verdicts) => panic!("{verdicts:?}"),
    }
}

/// Whoever published, after the other was told that it could not.
fn the_one_that_won(ended: [Result<LedgerRow, StoreError>; 2]) -> LedgerRow {
    match ended {
        [Ok(won), Err(lost)] | [Err(lost), Ok(won)] => {
            let is_told =
                matches!(lost, StoreError::Locked { .. } | StoreError::Overtaken { .. } | StoreError::LeaseLost { .. });
            assert!(is_told, "{lost:?}");
            won
        }
        other => panic!("not one has won: {other:?}"),
    }
}

/// Checks that a run was published as the newest of so many, and that the staff is the one that it brought.
async fn check_published(warehouse: &Warehouse, won: &LedgerRow, count: usize) {
    let rows = warehouse.ledger().await.unwrap();
    assert_eq!(rows.len(), count);
    let newest = rows.last().unwrap();
    assert_eq!((newest.snapshot_id, &newest.source), (won.snapshot_id, &won.source));
    let engine = Engine::new(warehouse.clone(), Limits::default()).unwrap();
    let view = engine.view(AsOf::Latest, Access::Full).await.unwrap();
    assert_eq!(texts(&view, "SELECT staff_id FROM staff").await, [won.source.as_str()]);
}

/// One of two writers, which begin at once. Neither ends before both have tried, so that they do not come one after the
/// other.
async fn write(location: Location, name: &str, together: &Barrier) -> Result<LedgerRow, StoreError> {
    let opened = Warehouse::open_at(location).await;
    together.wait();
    let begun = match opened {
        Ok(warehouse) => warehouse.begin().await,
        Err(cause) => Err(cause),
    };
    together.wait();
    publish(begun?, name).await
}

fn race(ground: &Ground, number: u64) -> [Result<LedgerRow, StoreError>; 2] {
    let together = &Barrier::new(2);
    std::thread::scope(|scope| {
        let writers =
            ["li", "wang"].map(|name| scope.spawn(move || wait_for(|| write(ground.location(number), name, together))));
        writers.map(|writer| writer.join().unwrap())
    })
}

/// Lets two writers race so often.
fn race_often(ground: &Ground, races: u64) {
    for number in 0..races / RACES_EACH {
        wait_for(|| async { drop(ground.warehouse(number).await) });
        for count in 1..=RACES_EACH {
            let won = the_one_that_won(race(ground, number));
            wait_for(|| async { check_published(&ground.warehouse(number).await, &won, count as usize).await });
        }
    }
}

#[test]
fn of_two_writers_of_a_folder_one_wins_each_of_100_times() {
    race_often(&Ground::Folder(Sandbox::new()), 100);
}

#[test]
fn of_two_writers_of_a_bucket_one_wins_each_of_100_times() {
    race_often(&Ground::memory(), 100);
}

#[test]
fn of_two_writers_of_an_s3_bucket_one_wins_each_time() {
    race_often(&Ground::s3(), 20);
}

/// A writer whose lease has ended while it slept, and one that has taken the lease since.
async fn late_and_next(ground: &Ground) -> (Run, Run) {
    let late = ground.warehouse(0).await.begin().await.unwrap();
    let locked = ground.warehouse(0).await.begin().await.unwrap_err();
    assert!(matches!(locked, StoreError::Locked { until: Some(_), .. }), "{locked:?}");
    ground.end_lease().await;
    (late, ground.warehouse(0).await.begin().await.unwrap())
}

fn check_late_writer(ground: &Ground) {
    wait_for(|| async {
        let (late, next) = late_and_next(ground).await;
        let won = publish(next, "wang").await;
        let won = the_one_that_won([publish(late, "li").await, won]);
        assert_eq!(won.source, "wang");
        let warehouse = ground.warehouse(0).await;
        check_published(&warehouse, &won, 1).await;
        let won = publish(warehouse.begin().await.unwrap(), "zhao").await.unwrap();
        check_published(&warehouse, &won, 2).await;
    });
}

#[test]
fn a_lease_that_has_ended_is_the_next_writers_and_the_late_one_publishes_nothing() {
    check_late_writer(&Ground::memory());
    check_late_writer(&Ground::s3());
}

/// The lease is for courtesy; that commits go to the version they were made from is what keeps two writers apart.
fn check_both_at_once(ground: &Ground, times: usize) {
    wait_for(|| async {
        for count in 1..=times {
            let (late, next) = late_and_next(ground).await;
            let (late, next) = tokio::join!(publish(late, "li"), publish(next, "wang"));
            let won = the_one_that_won([late, next]);
            check_published(&ground.warehouse(0).await, &won, count).await;
        }
    });
}

#[test]
fn of_two_writers_that_both_take_themselves_for_the_only_one_one_publishes() {
    check_both_at_once(&Ground::memory(), 10);
    check_both_at_once(&Ground::s3(), 3);
}

/// How many of three writes at once are done.
async fn done_of_three(store: &dyn ObjectStore, path: &ObjectPath, mode: PutMode) -> usize {
    let put = |content: &'static str| store.put_opts(path, content.into(), mode.clone().into());
    let (one, two, three) = tokio::join!(put("one"), put("two"), put("three"));
    [one, two, three].iter().filter(|written| written.is_ok()).count()
}

/// What the lease and the log stand on, and what a server for tests may get wrong.
#[test]
fn of_conditional_writes_to_the_s3_of_the_tests_one_is_done() {
    wait_for(|| async {
        let store = S3::get().store(&S3::get().new_bucket());
        let there = async |path: &ObjectPath| {
            PutMode::Update(UpdateVersion { e_tag: store.head(path).await.unwrap().e_tag, version: None })
        };
        for number in 0..20 {
            let path = ObjectPath::from(number.to_string());
            assert_eq!(done_of_three(&*store, &path, PutMode::Create).await, 1);
            assert_eq!(done_of_three(&*store, &path, PutMode::Create).await, 0);
            let before = there(&path).await;
            store.put(&path, "changed".into()).await.unwrap();
            assert_eq!(done_of_three(&*store, &path, before).await, 0);
            let now = there(&path).await;
            assert_eq!(done_of_three(&*store, &path, now).await, 1);
        }
    });
}

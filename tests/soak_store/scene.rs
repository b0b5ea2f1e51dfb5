//! Where a scenario plays: a warehouse of its own, its objects as they lie there, and ways to open it.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{Error as ObjectError, ObjectMeta, ObjectStore, ObjectStoreExt};
use serde_json::{Value, json};
use tagmill_schemas::clock::FixedClock;
use tagmill_store::{Location, NewWarehouse, Warehouse};

use crate::harness::Sandbox;
use crate::harness::faulty::{FaultPlan, faulty};
use crate::harness::s3::S3;

/// The lease of the writer on a bucket.
const LEASE: &str = "writer.lease";
/// What a run has written down that is committing.
pub const PENDING: &str = "staged/pending.json";
/// How many objects are written at once.
const WRITTEN_AT_ONCE: usize = 8;

/// What a warehouse lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Folder,
    /// A bucket's rules without a bucket's requests.
    Memory,
    Bucket,
}

/// The objects of a warehouse with their content, but for the writer's lock.
pub type Content = Vec<(Path, Bytes)>;

/// A warehouse of one scenario.
pub struct Scene {
    pub kind: Kind,
    sandbox: Sandbox,
    url: String,
    /// `None` for a folder.
    store: Option<Arc<dyn ObjectStore>>,
    /// The same by paths below the warehouse.
    objects: Arc<dyn ObjectStore>,
}

/// The instant at which everything happens.
pub fn now() -> DateTime<Utc> {
    "2026-07-01T00:00:00Z".parse().unwrap()
}

impl Scene {
    /// A place with that content, and no warehouse where there is none in it.
    pub async fn with(kind: Kind, content: &Content) -> anyhow::Result<Self> {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let prefix = format!("scene-{}/warehouse", MADE.fetch_add(1, Ordering::Relaxed));
        let sandbox = Sandbox::new();
        let (url, store): (String, Option<Arc<dyn ObjectStore>>) = match kind {
            Kind::Folder => (sandbox.warehouse().display().to_string(), None),
            Kind::Memory => (format!("s3://memory/{prefix}"), Some(Arc::new(InMemory::new()))),
            Kind::Bucket => {
                let bucket = S3::get().new_bucket();
                (format!("s3://{bucket}/{prefix}"), Some(S3::get().store(&bucket)))
            }
        };
        let objects: Arc<dyn ObjectStore> = match &store {
            None => {
                std::fs::create_dir_all(sandbox.warehouse())?;
                Arc::new(LocalFileSystem::new_with_prefix(sandbox.warehouse())?)
            }
            Some(store) => Arc::new(PrefixStore::new(store.clone(), prefix.as_str())),
        };
        let written = stream::iter(content.iter().cloned()).map(|(path, bytes)| {
            let objects = objects.clone();
            async move { objects.put(&path, bytes.into()).await }
        });
        written.buffer_unordered(WRITTEN_AT_ONCE).try_collect::<Vec<_>>().await?;
        Ok(Self { kind, sandbox, url, store, objects })
    }

    /// The warehouse without anything between it and its store.
    pub async fn warehouse(&self) -> anyhow::Result<Warehouse> {
        Ok(self.equipped(Warehouse::open_at(self.location()?).await?))
    }

    /// The warehouse behind a store that does what a plan says.
    pub async fn under(&self, plan: &Arc<FaultPlan>) -> anyhow::Result<Warehouse> {
        Ok(self.equipped(Warehouse::open_at(faulty(self.location()?, plan)).await?))
    }

    /// As [`Self::under`], making the warehouse where there is none.
    pub async fn made_under(&self, plan: &Arc<FaultPlan>) -> anyhow::Result<Warehouse> {
        let new = NewWarehouse { clock: Some(Arc::new(FixedClock(now()))), ..NewWarehouse::default() };
        Ok(self.equipped(Warehouse::open_or_create_at(faulty(self.location()?, plan), new).await?))
    }

    fn equipped(&self, warehouse: Warehouse) -> Warehouse {
        warehouse.with_clock(Arc::new(FixedClock(now()))).with_state(self.sandbox.path("control.sqlite"))
    }

    fn location(&self) -> anyhow::Result<Location> {
        Ok(match &self.store {
            None => Location::parse(&self.url)?,
            Some(store) => Location::over(store.clone(), &self.url)?,
        })
    }

    /// A call of the program on this warehouse, whose words nobody reads.
    pub fn command(&self, args: &[&str]) -> Command {
        let state = self.sandbox.path("control.sqlite").display().to_string();
        let mut command = self.sandbox.command(args);
        command.env("TAGMILL_WAREHOUSE", &self.url).env("TAGMILL_STATE", state);
        if self.kind == Kind::Bucket {
            command.envs(S3::get().environment());
        }
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Lets the lease of a writer that is gone come to its end, as it would by itself half a minute later.
    pub async fn end_lease(&self) -> anyhow::Result<()> {
        let path = Path::from(LEASE);
        let there = match self.objects.get(&path).await {
            Ok(found) => found.bytes().await?,
            Err(ObjectError::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let mut term: Value = serde_json::from_slice(&there)?;
        term["until"] = json!("1970-01-01T00:00:00Z");
        self.objects.put(&path, serde_json::to_vec(&term)?.into()).await?;
        Ok(())
    }

    /// Whether an object is there.
    pub async fn has(&self, path: &str) -> anyhow::Result<bool> {
        match self.objects.head(&Path::from(path)).await {
            Ok(_) => Ok(true),
            Err(ObjectError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Everything that the warehouse keeps, by path.
    pub async fn content(&self) -> anyhow::Result<Content> {
        let mut content = Content::new();
        for object in self.listed().await? {
            if !object.location.as_ref().starts_with("writer.") {
                let bytes = self.objects.get(&object.location).await?.bytes().await?;
                content.push((object.location, bytes));
            }
        }
        content.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(content)
    }

    /// How many data files lie beside each table, whatever they belong to.
    pub async fn data_files(&self) -> anyhow::Result<BTreeMap<String, usize>> {
        let mut files = BTreeMap::new();
        for object in self.listed().await? {
            let path = object.location.as_ref();
            let Some((table, below)) = path.strip_prefix("tables/").and_then(|path| path.split_once('/')) else {
                continue;
            };
            if below.ends_with(".parquet") && !below.starts_with("_delta_log") {
                *files.entry(table.to_owned()).or_default() += 1;
            }
        }
        Ok(files)
    }

    /// The files of a folder that were never finished. They are listed for nobody, and a bucket has none.
    pub fn drafts(&self) -> usize {
        let files = crate::harness::files_below(self.sandbox.root());
        files.keys().filter(|path| path.display().to_string().contains('#')).count()
    }

    async fn listed(&self) -> anyhow::Result<Vec<ObjectMeta>> {
        Ok(self.objects.list(None).try_collect().await?)
    }
}

//! The objects of a warehouse: everything that is kept lies in one object store, a folder or a bucket, and is read and
//! written here.
//!
//! A path is relative to the warehouse, such as `staged/pending.json`. A write is whole and durable when it returns: who
//! reads finds the content before or this one, whatever crashes when. Beside the objects there are only the writer's lock
//! of a folder and the control state, which are local files.

mod local;
mod meter;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::execution::object_store::ObjectStoreUrl;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path as ObjectPath;
use object_store::{
    Error as ObjectError, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion,
};
use sha2::{Digest, Sha256};
use url::Url;

pub use meter::Traffic;

pub(crate) use local::{drafts_below, local_files, remove_drafts};

use meter::{Meter, Metered};

use crate::error::StoreError;

/// The objects of one warehouse. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Objects {
    /// The whole file system, or the whole bucket.
    root: Arc<dyn ObjectStore>,
    /// Where the warehouse lies in it.
    base: ObjectPath,
    meter: Arc<Meter>,
    engine_url: ObjectStoreUrl,
}

/// An object that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Its path below the folder that was listed.
    pub(crate) path: String,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// When it was written, by the clock of the store.
    pub(crate) written_at: DateTime<Utc>,
}

/// An object as it was read, to be replaced only if nobody else has replaced it since.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    /// What it holds.
    pub(crate) content: Vec<u8>,
    /// Which writing of it this is.
    pub(crate) version: UpdateVersion,
}

/// How a conditional write ended.
#[derive(Debug, Clone)]
pub(crate) enum Conditional {
    /// It is written, and this is which writing.
    Written(UpdateVersion),
    /// Somebody else was there first, and nothing is changed.
    Overtaken,
}

impl Objects {
    /// The objects below `base` of a store; `url` is the warehouse's.
    pub(crate) fn new(root: Arc<dyn ObjectStore>, base: ObjectPath, url: &Url) -> Result<Self, StoreError> {
        let meter = Arc::new(Meter::default());
        let is_local = url.scheme() == "file";
        let root = Arc::new(Metered::new(root, is_local, meter.clone()));
        let unique = format!("{:x}", Sha256::digest(url.as_str().as_bytes()));
        let engine_url = ObjectStoreUrl::parse(format!("warehouse://{unique:.16}"))
            .map_err(|cause| StoreError::Location { location: url.to_string(), reason: cause.to_string() })?;
        Ok(Self { root, base, meter, engine_url })
    }

    /// The same objects behind one layer more, such as one that injects faults.
    pub(crate) fn layered(self, layer: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>) -> Self {
        Self { root: layer(self.root), ..self }
    }

    /// The store that holds the warehouse and, maybe, much else.
    pub(crate) fn root(&self) -> &Arc<dyn ObjectStore> {
        &self.root
    }

    /// The name under which the engine knows the store.
    pub(crate) fn engine_url(&self) -> &ObjectStoreUrl {
        &self.engine_url
    }

    /// What has been read and written so far.
    pub(crate) fn traffic(&self) -> Traffic {
        self.meter.traffic()
    }

    /// Where an object lies in the store.
    ///
    /// # Errors
    /// `StoreError::Damaged` for a name that no object can have.
    pub(crate) fn path(&self, below: &str) -> Result<ObjectPath, StoreError> {
        let below = ObjectPath::parse(below)
            .map_err(|cause| StoreError::Damaged { what: below.to_owned(), reason: cause.to_string() })?;
        Ok(self.base.parts().chain(below.parts()).collect())
    }

    /// The whole content of an object; `None` where there is none.
    pub(crate) async fn read(&self, below: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.read_version(below).await?.map(|read| read.content))
    }

    /// As [`Self::read`], with which writing of it that is.
    pub(crate) async fn read_version(&self, below: &str) -> Result<Option<Read>, StoreError> {
        let path = self.path(below)?;
        let failed = |source| object_error("read", below, source);
        let found = match self.root.get(&path).await {
            Ok(found) => found,
            Err(ObjectError::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(failed(source)),
        };
        let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        let content = found.bytes().await.map_err(failed)?.to_vec();
        Ok(Some(Read { content, version }))
    }

    /// Puts a whole object in its place.
    pub(crate) async fn write(&self, below: &str, content: Vec<u8>) -> Result<(), StoreError> {
        let path = self.path(below)?;
        let written = self.root.put(&path, PutPayload::from(content)).await;
        written.map(drop).map_err(|source| object_error("write", below, source))
    }

    /// Puts an object where there is none (`over` is `None`), or in the place of that writing of it.
    pub(crate) async fn write_over(
        &self,
        below: &str,
        content: Vec<u8>,
        over: Option<UpdateVersion>,
    ) -> Result<Conditional, StoreError> {
        let path = self.path(below)?;
        let mode = over.map_or(PutMode::Create, PutMode::Update);
        let options = PutOptions { mode, ..PutOptions::default() };
        match self.root.put_opts(&path, PutPayload::from(content), options).await {
            Ok(written) => Ok(Conditional::Written(UpdateVersion { e_tag: written.e_tag, version: written.version })),
            Err(ObjectError::AlreadyExists { .. } | ObjectError::Precondition { .. }) => Ok(Conditional::Overtaken),
            // Where it is not found, the bucket is not: that an object to be replaced is gone is a failed precondition.
            Err(source) => Err(object_error("write", below, source)),
        }
    }

    /// Removes an object, whether it is there or not.
    pub(crate) async fn remove(&self, below: &str) -> Result<(), StoreError> {
        match self.root.delete(&self.path(below)?).await {
            Ok(()) | Err(ObjectError::NotFound { .. }) => Ok(()),
            Err(source) => Err(object_error("remove", below, source)),
        }
    }

    /// Removes many objects, whether they are there or not: on a bucket, a thousand with each request.
    ///
    /// # Errors
    /// `StoreError::Object` for the first that cannot be removed; others may be removed by then.
    pub(crate) async fn remove_all(&self, all_below: &[String]) -> Result<(), StoreError> {
        let paths = all_below.iter().map(|below| self.path(below)).collect::<Result<Vec<_>, _>>()?;
        let removals = self.root.delete_stream(stream::iter(paths.into_iter().map(Ok)).boxed());
        // What was asked for is answered in the same order.
        let mut answers = removals.zip(stream::iter(all_below));
        while let Some((removed, below)) = answers.next().await {
            match removed {
                Ok(_) | Err(ObjectError::NotFound { .. }) => {}
                Err(source) => return Err(object_error("remove", below, source)),
            }
        }
        Ok(())
    }

    /// What is known of an object without reading it; `None` where there is none.
    pub(crate) async fn look_at(&self, below: &str) -> Result<Option<Listed>, StoreError> {
        match self.root.head(&self.path(below)?).await {
            Ok(meta) => Ok(Some(listed(below.to_owned(), &meta))),
            Err(ObjectError::NotFound { .. }) => Ok(None),
            Err(source) => Err(object_error("look at", below, source)),
        }
    }

    /// Every object below a folder, sorted by path; none where there is no such folder. `""` is the warehouse itself.
    pub(crate) async fn list(&self, folder: &str) -> Result<Vec<Listed>, StoreError> {
        let failed = |source| object_error("list", folder, source);
        let prefix = if folder.is_empty() { self.base.clone() } else { self.path(folder)? };
        let found: Vec<ObjectMeta> = self.root.list(Some(&prefix)).try_collect().await.map_err(failed)?;
        let below = |meta: &ObjectMeta| -> Option<String> {
            let parts = meta.location.prefix_match(&prefix)?;
            Some(parts.collect::<ObjectPath>().to_string())
        };
        let mut objects: Vec<Listed> =
            found.iter().filter_map(|meta| Some(listed(below(meta)?, meta))).filter(|it| !it.path.is_empty()).collect();
        objects.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(objects)
    }
}

fn listed(path: String, meta: &ObjectMeta) -> Listed {
    Listed { path, size: meta.size, written_at: meta.last_modified }
}

/// The error of a step that failed on an object.
pub(crate) fn object_error(step: &'static str, below: &str, source: ObjectError) -> StoreError {
    StoreError::Object { step, path: below.to_owned(), source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::Location;

    fn objects(folder: &tempfile::TempDir) -> Objects {
        Location::parse(&folder.path().join("商城 #1").display().to_string()).unwrap().objects().clone()
    }

    #[tokio::test]
    async fn what_is_written_is_read_listed_replaced_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let objects = objects(&folder);
        assert_eq!(objects.read("staged/a.json").await.unwrap(), None);
        assert_eq!(objects.list("").await.unwrap(), []);
        for content in ["a longer text", "short"] {
            objects.write("staged/商城-a.json", content.into()).await.unwrap();
            assert_eq!(objects.read("staged/商城-a.json").await.unwrap(), Some(content.into()));
        }
        objects.write("b.json", b"{}".to_vec()).await.unwrap();
        let there = objects.list("").await.unwrap();
        let paths: Vec<(&str, u64)> = there.iter().map(|listed| (listed.path.as_str(), listed.size)).collect();
        assert_eq!(paths, [("b.json", 2), ("staged/商城-a.json", 5)]);
        assert_eq!(objects.list("staged").await.unwrap()[0].path, "商城-a.json");
        for _twice in 0..2 {
            objects.remove("b.json").await.unwrap();
        }
        assert_eq!(objects.look_at("b.json").await.unwrap(), None);
    }

    #[tokio::test]
    async fn many_are_removed_whether_they_are_there_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let objects = objects(&folder);
        let mut all: Vec<String> = (0..30).map(|number| format!("tables/staff/{number}.parquet")).collect();
        for below in &all {
            objects.write(below, b"x".to_vec()).await.unwrap();
        }
        let stays = all.pop().unwrap();
        all.insert(3, "tables/staff/gone.parquet".to_owned());
        objects.remove_all(&all).await.unwrap();
        let left = objects.list("").await.unwrap();
        assert_eq!(left.iter().map(|listed| &listed.path).collect::<Vec<_>>(), [&stays]);
        objects.remove_all(&[]).await.unwrap();
    }

    #[tokio::test]
    async fn an_object_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let objects = objects(&folder);
        let made = objects.write_over("a", b"1".to_vec(), None).await.unwrap();
        assert!(matches!(made, Conditional::Written(_)));
        let again = objects.write_over("a", b"2".to_vec(), None).await.unwrap();
        assert!(matches!(again, Conditional::Overtaken));
        assert_eq!(objects.read("a").await.unwrap(), Some(b"1".to_vec()));
    }

    #[tokio::test]
    async fn requests_and_bytes_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let objects = objects(&folder);
        objects.write("a", vec![0; 10]).await.unwrap();
        let before = objects.traffic();
        objects.read("a").await.unwrap();
        objects.read("gone").await.unwrap();
        objects.list("").await.unwrap();
        let traffic = objects.traffic() - before;
        assert_eq!(traffic, Traffic { reads: 2, bytes_read: 10, lists: 1, ..Traffic::default() });
    }
}

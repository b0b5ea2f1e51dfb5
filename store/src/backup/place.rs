//! The two ends of a copy, and the copy itself: a stream in bounded memory, whose SHA-256 is computed on the way.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::buffered::BufWriter;
use object_store::path::Path as ObjectPath;
use object_store::{Error as ObjectError, ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use url::Url;

use super::BackupError;
use crate::durable::file_error;
use crate::error::StoreError;
use crate::location::Location;
use crate::objects::{Listed, Objects, local_files};

/// How many bytes are handed to a store at once, and how many such parts of one object may be on their way.
const PART_BYTES: usize = 8 << 20;
const PARTS_AT_ONCE: usize = 2;
/// What whoever writes somewhere leaves there.
const LOCKS: [&str; 2] = ["writer.lock", "writer.lease"];

/// What an object holds, told from everything else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Content {
    /// Its size in bytes.
    pub(super) size: u64,
    /// Its SHA-256 in hexadecimal digits.
    pub(super) sha256: String,
}

impl Content {
    /// What these bytes are.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut sum = Sum::default();
        sum.add(bytes);
        sum.content()
    }
}

/// The content of an object that is passing by.
#[derive(Default)]
struct Sum {
    size: u64,
    digest: Sha256,
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.digest.update(bytes);
    }

    fn content(self) -> Content {
        Content { size: self.size, sha256: format!("{:x}", self.digest.finalize()) }
    }
}

/// A place that is copied from or to. Its errors name what failed as people find it. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Place {
    objects: Objects,
    name: String,
}

impl Place {
    /// A place that has been read.
    pub(super) fn of(location: &Location) -> Self {
        Self { objects: location.objects().clone(), name: location.to_string() }
    }

    /// A local folder that is there, whatever it is called; the empty path is the one that we are in.
    ///
    /// # Errors
    /// `StoreError::File` where it is not there.
    pub(super) fn of_folder(folder: &Path) -> Result<Self, StoreError> {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let found = folder.canonicalize().map_err(|source| file_error("find", folder, source))?;
        let name = found.display().to_string();
        let refuse = |reason: String| StoreError::Location { location: name.clone(), reason };
        let url = Url::from_directory_path(&found).map_err(|()| refuse("it has no URL form".to_owned()))?;
        let base = ObjectPath::from_absolute_path(&found).map_err(|cause| refuse(cause.to_string()))?;
        let objects = Objects::new(Arc::new(local_files()), base, &url)?;
        Ok(Self { objects, name })
    }

    /// How something below it is named for people.
    pub(super) fn shown(&self, below: &str) -> String {
        if below.is_empty() { self.name.clone() } else { format!("{}/{below}", self.name) }
    }

    /// The whole content of a small object; `None` where there is none.
    pub(super) async fn read(&self, below: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.objects.read(below).await.map_err(|cause| self.named(cause))
    }

    /// Puts a small object in its place.
    pub(super) async fn write(&self, below: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.objects.write(below, bytes).await.map_err(|cause| self.named(cause))
    }

    /// Whether there is such an object.
    pub(super) async fn has(&self, below: &str) -> Result<bool, StoreError> {
        Ok(self.objects.look_at(below).await.map_err(|cause| self.named(cause))?.is_some())
    }

    /// Every object below a folder, with its path from the place itself.
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<Listed>, StoreError> {
        let found = self.objects.list(folder).await.map_err(|cause| self.named(cause))?;
        Ok(found.into_iter().map(|it| Listed { path: format!("{folder}/{}", it.path), ..it }).collect())
    }

    /// Removes objects, whether they are there or not.
    pub(super) async fn remove_all(&self, paths: &[String]) -> Result<(), StoreError> {
        self.objects.remove_all(paths).await.map_err(|cause| self.named(cause))
    }

    /// The name of something that lies there, other than the lock of whoever writes there; `None` for an empty place.
    pub(super) async fn something(&self) -> Result<Option<String>, StoreError> {
        let top = self.objects.path("")?;
        let found = self.objects.root().list_with_delimiter(Some(&top)).await;
        let found = found.map_err(|source| self.error("list", "", source))?;
        let all = found.common_prefixes.iter().chain(found.objects.iter().map(|object| &object.location));
        let mut names = all.filter_map(|path| path.filename());
        Ok(names.find(|name| !LOCKS.contains(name)).map(str::to_owned))
    }

    /// What an object holds, read to its end; `None` where there is none.
    pub(super) async fn content(&self, below: &str) -> Result<Option<Content>, StoreError> {
        let Some(mut chunks) = self.open(below).await? else { return Ok(None) };
        let mut sum = Sum::default();
        while let Some(chunk) = chunks.next().await {
            sum.add(&chunk.map_err(|source| self.error("read", below, source))?);
        }
        Ok(Some(sum.content()))
    }

    async fn open(&self, below: &str) -> Result<Option<Chunks>, StoreError> {
        match self.objects.root().get(&self.objects.path(below)?).await {
            Ok(found) => Ok(Some(found.into_stream())),
            Err(ObjectError::NotFound { .. }) => Ok(None),
            Err(source) => Err(self.error("read", below, source)),
        }
    }

    fn named(&self, cause: StoreError) -> StoreError {
        match cause {
            StoreError::Object { step, path, source } => self.error(step, &path, *source),
            other => other,
        }
    }

    fn error(&self, step: &'static str, below: &str, source: ObjectError) -> StoreError {
        BackupError::Object { step, path: self.shown(below), source: Box::new(source) }.into()
    }
}

type Chunks = BoxStream<'static, object_store::Result<Bytes>>;

/// Copies an object, in the place of what is there; `None` where there is nothing to copy. Where it is known what it has
/// to hold, nothing else is ever put there.
///
/// # Errors
/// `BackupError::Damaged` where it holds anything but what is expected, `BackupError::Object` where it cannot be read or
/// written.
pub(super) async fn copy(
    (from, source): (&Place, &str),
    (to, target): (&Place, &str),
    expected: Option<&Content>,
) -> Result<Option<Content>, StoreError> {
    let Some(chunks) = from.open(source).await? else { return Ok(None) };
    let path = to.objects.path(target)?;
    let writer = BufWriter::with_capacity(to.objects.root().clone(), path, PART_BYTES);
    let mut writer = writer.with_max_concurrency(PARTS_AT_ONCE);
    let poured = pour(chunks, &mut writer, (from, source), (to, target)).await;
    let checked = poured.and_then(|content| match expected {
        Some(expected) => check(&content, expected, || from.shown(source)).map(|()| content),
        None => Ok(content),
    });
    let content = match checked {
        Ok(content) => content,
        Err(cause) => {
            // What cannot be taken back is an upload that was never completed.
            let _ = writer.abort().await;
            return Err(cause);
        }
    };
    let written = writer.shutdown().await;
    written
        .map_err(|cause| to.error("write", target, ObjectError::Generic { store: "upload", source: cause.into() }))?;
    Ok(Some(content))
}

async fn pour(
    mut chunks: Chunks,
    writer: &mut BufWriter,
    (from, source): (&Place, &str),
    (to, target): (&Place, &str),
) -> Result<Content, StoreError> {
    let mut sum = Sum::default();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|cause| from.error("read", source, cause))?;
        sum.add(&chunk);
        writer.put(chunk).await.map_err(|cause| to.error("write", target, cause))?;
    }
    Ok(sum.content())
}

fn check(found: &Content, expected: &Content, path: impl FnOnce() -> String) -> Result<(), StoreError> {
    if found == expected {
        return Ok(());
    }
    let reason = if found.size == expected.size {
        "its SHA-256 is not that of what was backed up".to_owned()
    } else {
        format!("it has {} bytes and should have {}", found.size, expected.size)
    };
    Err(BackupError::Damaged { path: path(), reason }.into())
}

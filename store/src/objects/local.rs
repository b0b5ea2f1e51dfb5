//! The file system as an object store whose every write is on disk when it returns.
//!
//! The library's own does not sync, so that a power cut could leave a commit empty. Here a file is synced before it gets
//! its name, and the name before the write returns. An unfinished file is called `NAME#DIGITS`, as the library calls its
//! own, and is never listed; who holds the writer's lock removes those that a killed process has left ([`remove_drafts`]).

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

use super::object_error;
use crate::durable::sync_folder;
use crate::error::StoreError;

/// The whole file system, durably written.
pub(crate) fn local_files() -> impl ObjectStore {
    LocalFiles { inner: LocalFileSystem::new() }
}

#[derive(Debug)]
struct LocalFiles {
    inner: LocalFileSystem,
}

impl fmt::Display for LocalFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for LocalFiles {
    async fn put_opts(&self, location: &ObjectPath, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let is_new = match options.mode {
            PutMode::Overwrite => false,
            PutMode::Create => true,
            // The library says that it cannot.
            PutMode::Update(_) => return self.inner.put_opts(location, payload, options).await,
        };
        let path = self.inner.path_to_filesystem(location)?;
        blocking(move || put(&path, &payload, is_new).map_err(|cause| io_error(&path, cause))).await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(
        &self,
        location: &ObjectPath,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let path = self.inner.path_to_filesystem(location)?;
        let new_folders = missing_folders(&path);
        let inner = self.inner.put_multipart_opts(location, options).await?;
        Ok(Box::new(LocalUpload { inner, path, new_folders }))
    }

    async fn get_opts(&self, location: &ObjectPath, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &ObjectPath, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<ObjectPath>>,
    ) -> BoxStream<'static, Result<ObjectPath>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&ObjectPath>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&ObjectPath>,
        offset: &ObjectPath,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&ObjectPath>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &ObjectPath, to: &ObjectPath, options: CopyOptions) -> Result<()> {
        let path = self.inner.path_to_filesystem(to)?;
        let new_folders = missing_folders(&path);
        self.inner.copy_opts(from, to, options).await?;
        blocking(move || sync(&path, &new_folders).map_err(|cause| io_error(&path, cause))).await
    }
}

/// An upload in parts, synced when it is complete.
#[derive(Debug)]
struct LocalUpload {
    inner: Box<dyn MultipartUpload>,
    path: PathBuf,
    new_folders: Vec<PathBuf>,
}

#[async_trait]
impl MultipartUpload for LocalUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let done = self.inner.complete().await?;
        let (path, new_folders) = (self.path.clone(), std::mem::take(&mut self.new_folders));
        blocking(move || sync(&path, &new_folders).map_err(|cause| io_error(&path, cause))).await?;
        Ok(done)
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

/// Writes a file under a draft's name, syncs it, and gives it its own name.
fn put(path: &Path, payload: &PutPayload, is_new: bool) -> std::io::Result<()> {
    let new_folders = missing_folders(path);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let draft = draft_of(path);
    let written = write_draft(&draft, payload)
        .and_then(|()| if is_new { std::fs::hard_link(&draft, path) } else { std::fs::rename(&draft, path) });
    if is_new || written.is_err() {
        // What cannot be removed is a draft that nobody lists.
        let _ = std::fs::remove_file(&draft);
    }
    written?;
    sync_names(path, &new_folders)
}

fn write_draft(draft: &Path, payload: &PutPayload) -> std::io::Result<()> {
    let mut file = File::create_new(draft)?;
    for chunk in payload {
        file.write_all(chunk)?;
    }
    file.sync_all()
}

/// A name for an unfinished file that the library lists for nobody.
fn draft_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!("#{}", uuid::Uuid::new_v4().as_u64_pair().0));
    PathBuf::from(name)
}

/// Whether a file is an unfinished one, by its name.
pub(crate) fn is_draft(name: &str) -> bool {
    name.rsplit_once('#').is_some_and(|(_, digits)| !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit()))
}

/// The unfinished files below a folder, sorted; none where there is no such folder.
pub(crate) async fn drafts_below(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let top = folder.to_path_buf();
    let found = blocking(move || find_drafts(top)).await;
    found.map_err(|source| object_error("look through", &folder.display().to_string(), source))
}

/// Removes the unfinished files in a folder of a warehouse and below those of its folders that are named, and says how many
/// there were. Nobody may be writing there.
pub(crate) async fn remove_drafts(folder: &Path, below: &[&str]) -> Result<usize, StoreError> {
    let top = folder.to_path_buf();
    let found = blocking(move || drafts_in(&top, &mut Vec::new())).await;
    let mut drafts = found.map_err(|source| object_error("look through", &folder.display().to_string(), source))?;
    for inner in below {
        drafts.extend(drafts_below(&folder.join(inner)).await?);
    }
    let count = drafts.len();
    let removed = blocking(move || drafts.iter().try_for_each(|draft| remove_draft(draft))).await;
    removed.map_err(|source| object_error("clear up", &folder.display().to_string(), source))?;
    Ok(count)
}

fn find_drafts(top: PathBuf) -> Result<Vec<PathBuf>> {
    let (mut drafts, mut folders) = (Vec::new(), vec![top]);
    while let Some(folder) = folders.pop() {
        drafts.extend(drafts_in(&folder, &mut folders)?);
    }
    drafts.sort();
    Ok(drafts)
}

/// The unfinished files in one folder, if it is there; the folders in it are added to `inner`.
fn drafts_in(folder: &Path, inner: &mut Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    let failed = |cause: std::io::Error| io_error(folder, cause);
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(failed(cause)),
    };
    let mut drafts = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            inner.push(entry.path());
        } else if kind.is_file() && entry.file_name().to_str().is_some_and(is_draft) {
            drafts.push(entry.path());
        }
    }
    Ok(drafts)
}

fn remove_draft(draft: &Path) -> Result<()> {
    match std::fs::remove_file(draft) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(io_error(draft, cause)),
        _ => Ok(()),
    }
}

/// The folders above a path that are not there yet.
fn missing_folders(path: &Path) -> Vec<PathBuf> {
    path.ancestors().skip(1).take_while(|folder| !folder.is_dir()).map(Path::to_path_buf).collect()
}

fn sync(path: &Path, new_folders: &[PathBuf]) -> std::io::Result<()> {
    File::open(path)?.sync_all()?;
    sync_names(path, new_folders)
}

/// Syncs the name of a file and those of the folders that were made for it.
fn sync_names(path: &Path, new_folders: &[PathBuf]) -> std::io::Result<()> {
    let named = std::iter::once(path).chain(new_folders.iter().map(PathBuf::as_path));
    named.filter_map(Path::parent).try_for_each(sync_folder)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|source| Error::JoinError { source })?
}

fn io_error(path: &Path, source: std::io::Error) -> Error {
    let path = path.display().to_string();
    match source.kind() {
        ErrorKind::AlreadyExists => Error::AlreadyExists { path, source: source.into() },
        ErrorKind::NotFound => Error::NotFound { path, source: source.into() },
        ErrorKind::PermissionDenied => Error::PermissionDenied { path, source: source.into() },
        _ => Error::Generic { store: "LocalFileSystem", source: source.into() },
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;

    use super::*;

    #[tokio::test]
    async fn a_file_is_made_once_in_folders_that_were_not_there_and_leaves_no_draft() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a").join("b").join("c.json");
        let location = ObjectPath::from_absolute_path(&path).unwrap();
        let create = || PutOptions::from(PutMode::Create);
        local_files().put_opts(&location, "first".into(), create()).await.unwrap();
        let again = local_files().put_opts(&location, "second".into(), create()).await.unwrap_err();
        assert!(matches!(again, Error::AlreadyExists { .. }), "{again}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first");
        local_files().put(&location, "third".into()).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "third");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_draft_is_told_by_its_name() {
        let draft = draft_of(Path::new("/data/a.parquet"));
        assert!(is_draft(draft.to_str().unwrap()));
        for name in ["a.parquet", "a#.json", "#b1c", "数据#1.json"] {
            assert!(!is_draft(name), "{name}");
        }
    }

    #[tokio::test]
    async fn drafts_are_found_and_removed_however_deep_they_lie_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("customer").join("b0000");
        std::fs::create_dir_all(&deep).unwrap();
        let [draft, data] = ["a.parquet#17", "a.parquet"].map(|name| deep.join(name));
        for file in [&draft, &data] {
            std::fs::write(file, "x").unwrap();
        }
        assert_eq!(drafts_below(folder.path()).await.unwrap(), [draft]);
        assert_eq!(remove_drafts(folder.path(), &["gone"]).await.unwrap(), 0);
        for left in [1, 0] {
            assert_eq!(remove_drafts(folder.path(), &["customer"]).await.unwrap(), left);
        }
        assert!(data.is_file());
        std::fs::write(folder.path().join("pruned.json#17"), "x").unwrap();
        assert_eq!(remove_drafts(folder.path(), &[]).await.unwrap(), 1);
    }
}

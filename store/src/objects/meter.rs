//! Counting what a store is asked for: on a bucket, requests and bytes are what is paid for.

use std::fmt;
use std::ops::{Range, Sub};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
    UploadPart, coalesce_ranges,
};

/// How many objects a bucket lists in one answer.
const LISTED_AT_ONCE: usize = 1000;

/// What a store has been asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests that read an object, a part of it, or only asked for it.
    pub reads: u64,
    /// Bytes that were read.
    pub bytes_read: u64,
    /// Requests that wrote an object or a part of one.
    pub writes: u64,
    /// Bytes that were written.
    pub bytes_written: u64,
    /// Requests that listed objects, a thousand each.
    pub lists: u64,
    /// Objects that were removed.
    pub removes: u64,
}

impl Sub for Traffic {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            reads: self.reads - before.reads,
            bytes_read: self.bytes_read - before.bytes_read,
            writes: self.writes - before.writes,
            bytes_written: self.bytes_written - before.bytes_written,
            lists: self.lists - before.lists,
            removes: self.removes - before.removes,
        }
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} reads ({} bytes), {} writes ({} bytes), {} lists, {} removes",
            self.reads, self.bytes_read, self.writes, self.bytes_written, self.lists, self.removes
        )
    }
}

/// The counters behind [`Traffic`].
#[derive(Debug, Default)]
pub(super) struct Meter {
    reads: AtomicU64,
    bytes_read: AtomicU64,
    writes: AtomicU64,
    bytes_written: AtomicU64,
    lists: AtomicU64,
    removes: AtomicU64,
}

impl Meter {
    /// What has been counted so far.
    pub(super) fn traffic(&self) -> Traffic {
        let so_far = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            reads: so_far(&self.reads),
            bytes_read: so_far(&self.bytes_read),
            writes: so_far(&self.writes),
            bytes_written: so_far(&self.bytes_written),
            lists: so_far(&self.lists),
            removes: so_far(&self.removes),
        }
    }

    fn read(&self, bytes: u64) {
        add(&self.reads, 1);
        add(&self.bytes_read, bytes);
    }

    fn written(&self, bytes: usize) {
        add(&self.writes, 1);
        add(&self.bytes_written, bytes as u64);
    }

    /// Counts the pages of a listing as its objects come by.
    fn listed(
        self: Arc<Self>,
        objects: BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        add(&self.lists, 1);
        let counted = objects.enumerate().map(move |(index, object)| {
            if index > 0 && index % LISTED_AT_ONCE == 0 {
                add(&self.lists, 1);
            }
            object
        });
        counted.boxed()
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

/// A store that counts what it is asked for.
#[derive(Debug)]
pub(super) struct Metered {
    inner: Arc<dyn ObjectStore>,
    /// A file is opened once for many ranges; a bucket is asked for each.
    is_local: bool,
    meter: Arc<Meter>,
}

impl Metered {
    pub(super) fn new(inner: Arc<dyn ObjectStore>, is_local: bool, meter: Arc<Meter>) -> Self {
        Self { inner, is_local, meter }
    }
}

impl fmt::Display for Metered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Metered {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.meter.written(payload.content_length());
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.meter.written(0);
        let inner = self.inner.put_multipart_opts(location, options).await?;
        Ok(Box::new(MeteredUpload { inner, meter: self.meter.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let is_head = options.head;
        let got = self.inner.get_opts(location, options).await;
        let bytes = got.as_ref().map_or(0, |got| if is_head { 0 } else { got.range.end - got.range.start });
        self.meter.read(bytes);
        got
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if self.is_local {
            self.meter.read(ranges.iter().map(|range| range.end - range.start).sum());
            return self.inner.get_ranges(location, ranges).await;
        }
        coalesce_ranges(ranges, |range| self.get_range(location, range), OBJECT_STORE_COALESCE_DEFAULT).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let meter = self.meter.clone();
        let counted = locations.inspect(move |_| add(&meter.removes, 1));
        self.inner.delete_stream(counted.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.meter.clone().listed(self.inner.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.meter.clone().listed(self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        add(&self.meter.lists, 1);
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.meter.written(0);
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.meter.written(0);
        self.inner.rename_opts(from, to, options).await
    }
}

/// An upload in parts that counts them.
#[derive(Debug)]
struct MeteredUpload {
    inner: Box<dyn MultipartUpload>,
    meter: Arc<Meter>,
}

#[async_trait]
impl MultipartUpload for MeteredUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.meter.written(data.content_length());
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.meter.written(0);
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

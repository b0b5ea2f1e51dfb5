//! The store that does what a plan says, operation by operation.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use tagmill_store::Location;

use super::{Course, FaultPlan, Verb, failed};

/// How many objects are deleted with one request.
const DELETED_AT_ONCE: usize = 1000;

/// The same place behind a store that does what a plan says.
pub fn faulty(location: Location, plan: &Arc<FaultPlan>) -> Location {
    let (plan, is_folder) = (plan.clone(), location.folder().is_some());
    location.layered(|inner| Arc::new(Faulty { inner, plan, is_folder }))
}

#[derive(Debug)]
struct Faulty {
    inner: Arc<dyn ObjectStore>,
    plan: Arc<FaultPlan>,
    /// Whether paths are those of files, from the root on.
    is_folder: bool,
}

impl Faulty {
    /// Leaves what a process leaves that is killed while it writes a file. A bucket has nothing half done.
    fn leave_draft(&self, location: &Path, payload: &PutPayload) {
        if !self.is_folder {
            return;
        }
        let whole: Vec<u8> = payload.into_iter().flatten().copied().collect();
        let draft = format!("/{location}#{}", self.plan.begun());
        let draft = std::path::Path::new(&draft);
        std::fs::create_dir_all(draft.parent().unwrap()).unwrap();
        std::fs::write(draft, &whole[..whole.len() / 2]).unwrap();
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let course = self.plan.course(Verb::Put, location).await;
        if matches!(course, Course::Torn) {
            self.leave_draft(location, &payload);
        }
        let put = || {
            let (inner, location) = (self.inner.clone(), location.clone());
            let (payload, options) = (payload.clone(), options.clone());
            self.plan.clone().sent(async move { inner.put_opts(&location, payload, options).await })
        };
        if matches!(course, Course::Twice) {
            let _ = put().await;
        }
        self.plan.through(course, put()).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let course = self.plan.course(Verb::BeginUpload, location).await;
        let inner = self.plan.through(course, self.inner.put_multipart_opts(location, options)).await?;
        Ok(Box::new(FaultyUpload { inner, location: location.clone(), plan: self.plan.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let verb = if options.head { Verb::Head } else { Verb::Get };
        let course = self.plan.course(verb, location).await;
        if matches!((verb, &course), (Verb::Get, Course::Torn)) {
            return torn(self.inner.get_opts(location, options).await?).await;
        }
        self.plan.through(course, self.inner.get_opts(location, options)).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let course = self.plan.course(Verb::Get, location).await;
        self.plan.through(course, self.inner.get_ranges(location, ranges)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (inner, plan) = (self.inner.clone(), self.plan.clone());
        let requests = locations.ready_chunks(DELETED_AT_ONCE);
        let answers = requests.then(move |paths| delete(inner.clone(), plan.clone(), paths));
        answers.flat_map(stream::iter).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        listed(self.plan.clone(), prefix.cloned().unwrap_or_default(), self.inner.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let objects = self.inner.list_with_offset(prefix, offset);
        listed(self.plan.clone(), prefix.cloned().unwrap_or_default(), objects)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let course = self.plan.course(Verb::List, &prefix.cloned().unwrap_or_default()).await;
        self.plan.through(course, self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let course = self.plan.course(Verb::Copy, to).await;
        let copy = || {
            let (inner, from, to, options) = (self.inner.clone(), from.clone(), to.clone(), options.clone());
            self.plan.clone().sent(async move { inner.copy_opts(&from, &to, options).await })
        };
        if matches!(course, Course::Twice) {
            let _ = copy().await;
        }
        self.plan.through(course, copy()).await
    }
}

/// Content that breaks off half way.
async fn torn(found: GetResult) -> Result<GetResult> {
    let (meta, range, attributes) = (found.meta.clone(), found.range.clone(), found.attributes.clone());
    let whole = found.bytes().await?;
    let half = whole.slice(..whole.len() / 2);
    let broken = stream::iter([Ok(half), Err(failed("it was broken off"))]).boxed();
    Ok(GetResult { payload: GetResultPayload::Stream(broken), meta, range, attributes })
}

/// Deletes objects with one request, and answers for each in turn.
async fn delete(inner: Arc<dyn ObjectStore>, plan: Arc<FaultPlan>, paths: Vec<Result<Path>>) -> Vec<Result<Path>> {
    let asked = paths.len();
    let paths = match paths.into_iter().collect::<Result<Vec<Path>>>() {
        Ok(paths) => paths,
        Err(error) => return vec![Err(error)],
    };
    let course = plan.course(Verb::Delete, &paths.first().cloned().unwrap_or_default()).await;
    let request = |paths: Vec<Path>| {
        let inner = inner.clone();
        plan.clone().sent(async move {
            let paths = stream::iter(paths.into_iter().map(Ok)).boxed();
            Ok(inner.delete_stream(paths).collect::<Vec<_>>().await)
        })
    };
    if matches!(course, Course::Torn) {
        let mut answers = request(paths[..asked / 2].to_vec()).await.unwrap_or_default();
        answers.push(Err(failed("it was broken off")));
        return answers;
    }
    if matches!(course, Course::Twice) {
        let _ = request(paths.clone()).await;
    }
    match plan.through(course, request(paths)).await {
        Ok(answers) => answers,
        Err(_) => (0..asked).map(|_| Err(failed("the objects may not be deleted"))).collect(),
    }
}

/// A list that may break off half way.
fn listed(
    plan: Arc<FaultPlan>,
    prefix: Path,
    objects: BoxStream<'static, Result<ObjectMeta>>,
) -> BoxStream<'static, Result<ObjectMeta>> {
    let answered = async move {
        let course = plan.course(Verb::List, &prefix).await;
        if matches!(course, Course::Torn) {
            let mut found: Vec<Result<ObjectMeta>> = objects.collect().await;
            found.truncate(found.len() / 2);
            found.push(Err(failed("it was broken off")));
            return stream::iter(found).boxed();
        }
        match plan.through(course, async { Ok(()) }).await {
            Ok(()) => objects,
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    };
    stream::once(answered).flatten().boxed()
}

/// An upload in parts whose operations may be struck.
#[derive(Debug)]
struct FaultyUpload {
    inner: Box<dyn MultipartUpload>,
    location: Path,
    plan: Arc<FaultPlan>,
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (part, location, plan) = (self.inner.put_part(data), self.location.clone(), self.plan.clone());
        let put = async move {
            let course = plan.course(Verb::PutPart, &location).await;
            plan.through(course, plan.clone().sent(part)).await
        };
        put.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let course = self.plan.course(Verb::CompleteUpload, &self.location).await;
        self.plan.through(course, self.inner.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        let course = self.plan.course(Verb::AbortUpload, &self.location).await;
        self.plan.through(course, self.inner.abort()).await
    }
}

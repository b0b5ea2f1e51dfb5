//! An object store that fails as it is told to: once, from some operation on, or until it is released.
//!
//! It lies between a warehouse and its store, counts what it is asked for, and does to one operation what a [`Fault`]
//! says. A write that was sent on is finished even where nobody waits for it any longer, as a store finishes a request
//! whose sender was killed; [`FaultPlan::end`] waits for such writes, and lets nothing through after them.

mod store;

use std::io::{Error as IoError, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use object_store::path::Path;
use object_store::{Error, Result};
use tokio::runtime::Handle;
use tokio::sync::watch;

pub use store::faulty;

/// How many operations an outage swallows after the one whose reply it loses.
const OUTAGE: u64 = 3;
/// How long a slow store takes for an operation at most, in milliseconds.
const SLOWNESS_MILLIS: u64 = 4;
/// No write that was sent on takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a store is asked to do: the parts of an upload are operations of their own, and so is a request that deletes many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Put,
    BeginUpload,
    PutPart,
    CompleteUpload,
    AbortUpload,
    Get,
    Head,
    List,
    Delete,
    Copy,
}

impl Verb {
    /// Whether it needs space that a full disk has not.
    fn takes_space(self) -> bool {
        matches!(self, Self::Put | Self::BeginUpload | Self::PutPart | Self::CompleteUpload | Self::Copy)
    }
}

/// The operation that a fault strikes.
#[derive(Debug, Clone, Copy)]
pub enum When {
    /// The one of that number, from 1.
    Number(u64),
    /// The one of that number, from 1, among those that do this to a path that holds a text.
    Nth(u64, Verb, &'static str),
}

/// What becomes of the operation that is struck, and of those after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It fails and nothing is done.
    Refused,
    /// It is done, and whoever asked is told that it failed.
    LostReply,
    /// It is done twice, and answered as the second time.
    Twice,
    /// It is done half: a list ends early, content breaks off, half of the objects are deleted, and a file is left as a
    /// draft. Nothing else can be done half, and fails.
    Torn,
    /// Its reply is lost, and the next few fail.
    Outage,
    /// From now on nothing can be written; reading and deleting go on.
    Full,
    /// It fails, and so does everything after it.
    DeadBefore,
    /// It is done, and its reply is lost and everything after it fails.
    DeadAfter,
    /// Whoever asked is killed before it is done: [`FaultPlan::struck`] tells, and everything after it fails.
    KilledBefore,
    /// Whoever asked is killed once it is done.
    KilledAfter,
    /// It waits for [`FaultPlan::release`] and is done then.
    Paused,
}

/// One fault, and what has come of it. Shared by a store and whoever looks on.
#[derive(Debug)]
pub struct FaultPlan {
    fault: Option<(When, Fault)>,
    /// What makes each operation take another while; `None` where none is slow.
    slowness: Option<u64>,
    begun: AtomicU64,
    /// Operations of those that [`When::Nth`] counts.
    fitting: AtomicU64,
    /// Writes that were sent on and are not finished.
    running: AtomicU64,
    outage_left: AtomicU64,
    is_full: AtomicBool,
    is_over: AtomicBool,
    met: Mutex<Option<String>>,
    phase: watch::Sender<Phase>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Free,
    Waiting,
    Released,
}

/// What is done with one operation.
enum Course {
    Plain,
    Refused(Error),
    LostReply,
    Twice,
    Torn,
    Killed { is_done: bool },
    Paused,
}

impl FaultPlan {
    /// A fault at some operation.
    pub fn new(when: When, fault: Fault) -> Arc<Self> {
        Self::with(Some((when, fault)), None)
    }

    /// No fault: operations are only counted.
    pub fn none() -> Arc<Self> {
        Self::with(None, None)
    }

    /// No fault, and operations that take a while each, another one for every seed.
    pub fn slow(seed: u64) -> Arc<Self> {
        Self::with(None, Some(seed))
    }

    fn with(fault: Option<(When, Fault)>, slowness: Option<u64>) -> Arc<Self> {
        Arc::new(Self {
            fault,
            slowness,
            begun: AtomicU64::new(0),
            fitting: AtomicU64::new(0),
            running: AtomicU64::new(0),
            outage_left: AtomicU64::new(0),
            is_full: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            met: Mutex::new(None),
            phase: watch::Sender::new(Phase::Free),
        })
    }

    /// How many operations were asked for.
    pub fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    /// The operation that was struck; `None` where none has been.
    pub fn met(&self) -> Option<String> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until an operation is killed or pauses; for ever where none does.
    pub async fn struck(&self) {
        let mut phase = self.phase.subscribe();
        // The sender lives as long as the plan.
        let _ = phase.wait_for(|phase| *phase == Phase::Waiting).await;
    }

    /// Lets what has paused go on.
    pub fn release(&self) {
        self.phase.send_replace(Phase::Released);
    }

    /// Lets nothing through any longer, and waits until every write that was sent on is finished.
    pub async fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.release();
        let finished = async {
            while self.running.load(Ordering::SeqCst) > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, finished).await.expect("a write that was sent on does not end");
    }

    /// What is to be done with an operation.
    async fn course(&self, verb: Verb, path: &Path) -> Course {
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(seed) = self.slowness {
            let millis = (seed + number).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            tokio::time::sleep(Duration::from_millis(millis % (SLOWNESS_MILLIS + 1))).await;
        }
        if self.is_over.load(Ordering::SeqCst) {
            return Course::Refused(failed("the process is gone"));
        }
        if let Some(fault) = self.fault_of(number, verb, path) {
            *self.met.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{verb:?} {}", shown(path)));
            return self.strike(fault, verb);
        }
        let outage_left = self.outage_left.load(Ordering::SeqCst);
        if outage_left > 0 {
            self.outage_left.store(outage_left - 1, Ordering::SeqCst);
            return Course::Refused(failed("the store cannot be reached"));
        }
        if self.is_full.load(Ordering::SeqCst) && verb.takes_space() {
            return Course::Refused(full());
        }
        Course::Plain
    }

    /// The fault, where it strikes this operation.
    fn fault_of(&self, number: u64, verb: Verb, path: &Path) -> Option<Fault> {
        let (when, fault) = self.fault?;
        let is_struck = match when {
            When::Number(wanted) => number == wanted,
            When::Nth(wanted, of, text) => {
                let fits = verb == of && path.as_ref().contains(text);
                fits && self.fitting.fetch_add(1, Ordering::SeqCst) + 1 == wanted
            }
        };
        is_struck.then_some(fault)
    }

    fn strike(&self, fault: Fault, verb: Verb) -> Course {
        let over = || self.is_over.store(true, Ordering::SeqCst);
        match fault {
            Fault::Refused => Course::Refused(failed("the store said no")),
            Fault::LostReply => Course::LostReply,
            Fault::Twice => Course::Twice,
            Fault::Torn => Course::Torn,
            Fault::Paused => Course::Paused,
            Fault::Outage => {
                self.outage_left.store(OUTAGE, Ordering::SeqCst);
                Course::LostReply
            }
            Fault::Full => {
                self.is_full.store(true, Ordering::SeqCst);
                if verb.takes_space() { Course::Refused(full()) } else { Course::Plain }
            }
            Fault::DeadBefore => {
                over();
                Course::Refused(failed("the process is gone"))
            }
            Fault::DeadAfter => {
                over();
                Course::LostReply
            }
            Fault::KilledBefore | Fault::KilledAfter => {
                over();
                Course::Killed { is_done: fault == Fault::KilledAfter }
            }
        }
    }

    /// Does with an operation what its course says; what can be done twice or half is up to the caller.
    async fn through<T>(&self, course: Course, work: impl Future<Output = Result<T>>) -> Result<T> {
        match course {
            Course::Plain | Course::Twice => work.await,
            Course::Refused(error) => Err(error),
            Course::Torn => Err(failed("it was broken off")),
            Course::LostReply => {
                let _ = work.await;
                Err(failed("the reply was lost"))
            }
            Course::Killed { is_done } => {
                if is_done {
                    let _ = work.await;
                }
                self.wait().await;
                Err(failed("the process is gone"))
            }
            Course::Paused => {
                self.wait().await;
                work.await
            }
        }
    }

    /// Tells whoever looks on, and waits to be released.
    async fn wait(&self) {
        self.phase.send_if_modified(|phase| {
            let is_free = *phase == Phase::Free;
            if is_free {
                *phase = Phase::Waiting;
            }
            is_free
        });
        let mut phase = self.phase.subscribe();
        let _ = phase.wait_for(|phase| *phase == Phase::Released).await;
    }

    /// Sends a write on. It is finished even if nobody waits for it.
    async fn sent<T: Send + 'static>(
        self: Arc<Self>,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.running.fetch_add(1, Ordering::SeqCst);
        let running = Running(self);
        let work = async move {
            let _running = running;
            work.await
        };
        match Handle::try_current() {
            Ok(runtime) => runtime.spawn(work).await.map_err(|source| Error::JoinError { source })?,
            Err(_) => work.await,
        }
    }
}

/// Counts a write off when it is finished.
struct Running(Arc<FaultPlan>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

fn failed(what: &'static str) -> Error {
    Error::Generic { store: "faulty", source: what.into() }
}

fn full() -> Error {
    Error::Generic { store: "faulty", source: IoError::from(ErrorKind::StorageFull).into() }
}

/// A path from the warehouse on.
fn shown(path: &Path) -> &str {
    let path = path.as_ref();
    path.split_once("warehouse/").map_or(path, |(_, below)| below)
}

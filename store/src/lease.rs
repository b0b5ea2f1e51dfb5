//! The lease of a writer on a bucket: an object that says who writes and until when.
//!
//! It is taken and renewed by conditional writes, so that of two writers who want it one gets it; each taking counts its
//! epoch up. A writer that is killed leaves it behind until it ends. Clocks may differ and a writer may sleep: that two
//! write at once is made unlikely here, and no commit of one replaces the other's, since each goes to the version that was
//! read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use object_store::UpdateVersion;
use serde::{Deserialize, Serialize};
use tagmill_schemas::clock::{Clock, SystemClock};
use tokio::sync::{Mutex, Notify, watch};

use crate::error::StoreError;
use crate::location::Location;
use crate::objects::{Conditional, Objects};

/// The object.
const LEASE: &str = "writer.lease";
/// How long a lease lasts that is not renewed.
const TERM: Duration = Duration::from_secs(30);
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(8);
/// How long whoever ends a process waits for leases that are being given back.
const GIVING_BACK: Duration = Duration::from_secs(5);

/// What the object says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Term {
    /// How often the lease has been taken.
    epoch: u64,
    /// Tells one taking from another.
    token: String,
    /// The end; over where it was given back.
    until: DateTime<Utc>,
}

/// A lease that is held.
#[derive(Debug)]
pub(crate) struct Lease {
    location: String,
    held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    objects: Objects,
    term: Term,
    /// Which writing of the object is ours; `None` once it is lost.
    version: Mutex<Option<UpdateVersion>>,
    /// Until when it is ours for certain.
    until: watch::Sender<Option<Instant>>,
    /// Nobody needs it any more.
    is_over: Notify,
}

impl Lease {
    /// Takes the lease, or says that another holds it.
    pub(crate) async fn take(location: &Location) -> Result<Self, StoreError> {
        let objects = location.objects();
        let before = objects.read_version(LEASE).await?;
        // What cannot be read was written by nobody's rules, and is over.
        let term: Option<Term> = before.as_ref().and_then(|read| serde_json::from_slice(&read.content).ok());
        if let Some(term) = term.as_ref().filter(|term| term.until > SystemClock.now()) {
            return Err(StoreError::Locked { location: location.to_string(), until: Some(term.until) });
        }
        let taken = Term {
            epoch: term.map_or(1, |term| term.epoch + 1),
            token: uuid::Uuid::new_v4().simple().to_string(),
            until: SystemClock.now() + TERM,
        };
        let began = Instant::now();
        let Some(version) = put(objects, &taken, before.map(|read| read.version)).await? else {
            return Err(StoreError::Locked { location: location.to_string(), until: None });
        };
        let held = Arc::new(Held {
            objects: objects.clone(),
            term: taken,
            version: Mutex::new(Some(version)),
            until: watch::Sender::new(Some(began + TERM)),
            is_over: Notify::new(),
        });
        tokio::spawn(keep(held.clone()));
        Ok(Self { location: location.to_string(), held })
    }

    /// Whether it is still ours for certain.
    ///
    /// # Errors
    /// `StoreError::LeaseLost` where it could not be renewed in time.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let is_ours = self.held.until.borrow().is_some_and(|until| Instant::now() < until);
        if is_ours { Ok(()) } else { Err(StoreError::LeaseLost { location: self.location.clone() }) }
    }

    /// Renews it at once. That works only where nobody else has taken it meanwhile, whatever the clocks say.
    ///
    /// # Errors
    /// `StoreError::LeaseLost` where somebody has; `StoreError::Object` where the store does not answer.
    pub(crate) async fn confirm(&self) -> Result<(), StoreError> {
        let is_ours = self.held.renew().await?;
        if is_ours { Ok(()) } else { Err(StoreError::LeaseLost { location: self.location.clone() }) }
    }

    /// Gives it back.
    pub(crate) async fn release(self) {
        self.held.give_back().await;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let held = self.held.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let counted = GivingBack::counted();
            runtime.spawn(async move {
                held.give_back().await;
                drop(counted);
            });
        }
    }
}

/// One lease that is being given back in the background; counted until it is dropped, with its task or its runtime.
struct GivingBack;

impl GivingBack {
    fn counted() -> Self {
        GIVEN_BACK.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for GivingBack {
    fn drop(&mut self) {
        GIVEN_BACK.fetch_sub(1, Ordering::SeqCst);
    }
}

/// How many leases are being given back in the background.
static GIVEN_BACK: AtomicUsize = AtomicUsize::new(0);

/// Waits until no lease is being given back in the background, for a few seconds at most: for whoever ends the process.
pub async fn leases_given_back() {
    let until = Instant::now() + GIVING_BACK;
    while GIVEN_BACK.load(Ordering::SeqCst) > 0 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl Held {
    /// Renews the lease; `false` once it is another's.
    async fn renew(&self) -> Result<bool, StoreError> {
        let mut version = self.version.lock().await;
        let Some(ours) = version.clone() else { return Ok(false) };
        let (began, term) = (Instant::now(), Term { until: SystemClock.now() + TERM, ..self.term.clone() });
        *version = put(&self.objects, &term, Some(ours)).await?;
        let is_ours = version.is_some();
        self.until.send_replace(is_ours.then(|| began + TERM));
        Ok(is_ours)
    }

    /// Ends the lease, where it is still ours.
    async fn give_back(&self) {
        self.is_over.notify_one();
        let Some(ours) = self.version.lock().await.take() else { return };
        let over = Term { until: DateTime::UNIX_EPOCH, ..self.term.clone() };
        if let Err(cause) = put(&self.objects, &over, Some(ours)).await {
            tracing::warn!(cause = ?cause, "the writer's lease could not be given back; it ends by itself");
        }
    }
}

async fn keep(held: Arc<Held>) {
    while tokio::time::timeout(RENEWAL, held.is_over.notified()).await.is_err() {
        match held.renew().await {
            Ok(true) => {}
            Ok(false) => return,
            // The store may answer the next time; until then the term runs on.
            Err(cause) => tracing::warn!(cause = ?cause, "the writer's lease could not be renewed"),
        }
    }
}

/// Writes a term over a writing of the object; `None` where it is somebody else's by now.
async fn put(objects: &Objects, term: &Term, over: Option<UpdateVersion>) -> Result<Option<UpdateVersion>, StoreError> {
    // Numbers, texts and instants always serialise.
    let content = serde_json::to_vec(term).unwrap_or_default();
    let written = objects.write_over(LEASE, content.clone(), over).await;
    if let Ok(Conditional::Written(version)) = written {
        return Ok(Some(version));
    }
    // A write whose reply was lost is done all the same, be it this one or the one before.
    let there = objects.read_version(LEASE).await?;
    let told = there.and_then(|read| Some((serde_json::from_slice::<Term>(&read.content).ok()?, read.version)));
    if let Some((_, version)) = told.as_ref().filter(|(there, _)| there == term) {
        return Ok(Some(version.clone()));
    }
    match (told, written?) {
        (Some((there, version)), Conditional::Overtaken) if there.token == term.token => {
            match objects.write_over(LEASE, content, Some(version)).await? {
                Conditional::Written(version) => Ok(Some(version)),
                Conditional::Overtaken => Ok(None),
            }
        }
        _ => Ok(None),
    }
}

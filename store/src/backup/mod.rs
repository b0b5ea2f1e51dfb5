//! Backups: a copy of all that a warehouse keeps, made while others read and write, and restored elsewhere.
//!
//! A backup lies in a folder or a bucket. What has a name of its own for ever (data files, commits, the steps of plans)
//! lies there under the same name, so that the next backup copies only what is new; what changes under its name lies in
//! `state/`, named by its SHA-256. `backup.json` lists all of it, with sizes and hashes, and is written last. Nothing that
//! it lists is removed or overwritten before the next one takes its place, so that a backup that was cut short leaves the
//! one before as it was. The exception is meant: what an erasure has written anew is overwritten, and an older manifest no
//! longer fits it.
//!
//! No lock of the warehouse is taken. The control state is copied first and the ledger is read after it, so that no plan is
//! told to be carried out which the copied tables do not know of; where a prune takes away what is being copied, all begins
//! again from the newest ledger.

mod contents;
mod control;
mod destination;
mod error;
mod manifest;
mod place;
mod restore;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use tagmill_schemas::ids::SnapshotId;

pub use error::BackupError;
pub use restore::Restored;

use contents::Source;
use manifest::{FORMAT, Kept, Manifest, STATE, UNFINISHED};
use place::{Content, Place, copy};

use crate::control::ControlCopy;
use crate::error::StoreError;
use crate::ledger::Ledger;
use crate::location::Location;
use crate::lock::WriterLock;
use crate::warehouse::{SETTINGS, Warehouse};

/// How often a backup is begun, where what it copies goes away meanwhile.
const ATTEMPTS: usize = 3;
/// How many objects are copied at once.
const COPIES_AT_ONCE: usize = 4;

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// The newest snapshot in it; `None` where nothing was published yet.
    pub newest: Option<SnapshotId>,
    /// All that it holds.
    pub all: Amount,
    /// What had to be copied for it, because no earlier backup had left it there.
    pub copied: Amount,
    /// How many objects of earlier backups were removed.
    pub removed_objects: u64,
}

/// How much there is of something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, content: &Content) {
        self.objects += 1;
        self.bytes += content.size;
    }
}

/// Why a backup did not come to its end.
#[derive(Debug)]
enum Halt {
    /// What was to be copied is gone or was written anew.
    Moved(String),
    /// Something failed.
    Failed(StoreError),
}

impl From<StoreError> for Halt {
    fn from(cause: StoreError) -> Self {
        Self::Failed(cause)
    }
}

impl Warehouse {
    /// Backs everything up: all kept snapshots, the control state with its plans, and the definitions in the warehouse's
    /// folder. Whoever reads or writes meanwhile is not disturbed; the backup holds what the ledger listed at one instant.
    ///
    /// What an earlier backup in the same place has left is not copied again. Killed at any moment, it leaves the earlier
    /// backup as it was; doing it again begins anew.
    ///
    /// # Errors
    /// `BackupError::Destination` for a place that holds anything else, `StoreError::Locked` where another backup is being
    /// made there, `StoreError::NoState` where nothing says where the control state is, `BackupError::Unsettled` where what
    /// it copies went away each time, `StoreError::Damaged` where a file is not as its table says. Where only the removal
    /// of what is no longer needed fails, the backup is made.
    pub async fn back_up(&self, to: &Location) -> Result<Backup, StoreError> {
        self.state_path()?;
        destination::check(self, to).await?;
        let lock = destination::lock(to).await?;
        let made = self.back_up_locked(to, &lock).await;
        lock.release().await;
        made
    }

    async fn back_up_locked(&self, to: &Location, lock: &WriterLock) -> Result<Backup, StoreError> {
        let mut making = Making::begin(self, to).await?;
        let manifest = making.copy_all().await?;
        lock.confirm().await?;
        manifest.write(&making.to).await?;
        lock.confirm().await?;
        Ok(Backup {
            newest: manifest.newest_snapshot,
            all: manifest.amount(),
            copied: making.copied,
            removed_objects: making.remove_unwanted(&manifest).await?,
        })
    }
}

/// A backup in the making.
struct Making<'w> {
    warehouse: &'w Warehouse,
    to: Place,
    /// What lies in the folders of the backup, with its size.
    there: BTreeMap<String, u64>,
    /// What is known to have been copied under its own name.
    known: BTreeMap<String, Kept>,
    copied: Amount,
}

impl<'w> Making<'w> {
    /// Looks at what an earlier backup has left.
    async fn begin(warehouse: &'w Warehouse, location: &Location) -> Result<Self, StoreError> {
        let before = destination::check(warehouse, location).await?;
        let to = Place::of(location);
        if before.is_none() {
            let from = serde_json::json!({ "from": warehouse.location().to_string() });
            to.write(UNFINISHED, from.to_string().into_bytes()).await?;
        }
        let there = destination::clear_drafts_and_list(location).await?;
        let objects = before.into_iter().flat_map(|manifest| manifest.objects);
        let known = objects.filter(|kept| kept.stored == kept.path).map(|kept| (kept.path.clone(), kept)).collect();
        Ok(Self { warehouse, to, there, known, copied: Amount::default() })
    }

    async fn copy_all(&mut self) -> Result<Manifest, StoreError> {
        let mut moved = String::new();
        for _ in 0..ATTEMPTS {
            match self.copy_once().await {
                Ok(manifest) => return Ok(manifest),
                Err(Halt::Moved(path)) => moved = path,
                Err(Halt::Failed(cause)) => return Err(cause),
            }
        }
        Err(BackupError::Unsettled { path: moved }.into())
    }

    async fn copy_once(&mut self) -> Result<Manifest, Halt> {
        let control = control::copied(self.warehouse).await?;
        let ledger = self.warehouse.read_ledger().await?;
        let sources = contents::sources(self.warehouse, &ledger, control.as_ref()).await?;
        let mut objects = self.keep_sources(&sources).await?;
        objects.extend(self.keep_changing(&ledger).await?);
        if let Some(control) = &control {
            objects.push(self.keep_control(control).await?);
        }
        contents::check_unchanged(&sources).await?;
        objects.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Manifest {
            format: FORMAT,
            made_at: self.warehouse.clock().now(),
            from: self.warehouse.location().to_string(),
            newest_snapshot: ledger.rows.last().map(|row| row.snapshot_id),
            objects,
        })
    }

    /// Copies what is not there yet, several objects at once. The others are copied where one is gone, so that beginning
    /// again has less to do.
    async fn keep_sources(&mut self, sources: &[Source]) -> Result<Vec<Kept>, Halt> {
        let (there, missing): (Vec<&Source>, Vec<&Source>) = sources.iter().partition(|source| self.has(source));
        let mut objects: Vec<Kept> = there.iter().filter_map(|source| self.known.get(&source.path).cloned()).collect();
        let mut gone = None;
        let to = self.to.clone();
        let mut copies = stream::iter(missing).map(|source| keep_source(source, &to)).buffer_unordered(COPIES_AT_ONCE);
        while let Some(copied) = copies.try_next().await? {
            match copied {
                Ok(kept) => {
                    self.note(&kept);
                    self.known.insert(kept.path.clone(), kept.clone());
                    objects.push(kept);
                }
                Err(path) => gone = Some(path),
            }
        }
        gone.map_or(Ok(objects), |path| Err(Halt::Moved(path)))
    }

    /// Whether an object lies in the backup as it is in the warehouse: of the same size, and copied since it was written.
    fn has(&self, source: &Source) -> bool {
        let is_copied = |kept: &Kept| kept.content.size == source.size && kept.written_at == Some(source.written_at);
        self.there.get(&source.path) == Some(&source.size) && self.known.get(&source.path).is_some_and(is_copied)
    }

    /// Keeps the objects that are replaced in their place. They are small.
    async fn keep_changing(&mut self, ledger: &Ledger) -> Result<Vec<Kept>, Halt> {
        let place = Place::of(self.warehouse.location());
        let mut objects = Vec::new();
        for path in contents::changing(&place, ledger).await? {
            let Some(bytes) = place.read(&path).await? else { continue };
            if !contents::is_of_state(ledger, &path, &bytes) {
                continue;
            }
            let kept = in_state(path, Content::of(&bytes));
            if self.lacks(&kept) {
                self.to.write(&kept.stored, bytes).await?;
                self.note(&kept);
            }
            objects.push(kept);
        }
        if objects.iter().all(|kept| kept.path != SETTINGS) {
            return Err(Halt::Moved(place.shown(SETTINGS)));
        }
        Ok(objects)
    }

    async fn keep_control(&mut self, control: &ControlCopy) -> Result<Kept, Halt> {
        let from = Place::of_folder(control.folder())?;
        let gone = || Halt::Moved(from.shown(manifest::CONTROL));
        let content = from.content(manifest::CONTROL).await?.ok_or_else(gone)?;
        let kept = in_state(manifest::CONTROL.to_owned(), content);
        if self.lacks(&kept) {
            let copied = copy((&from, manifest::CONTROL), (&self.to, &kept.stored), Some(&kept.content)).await?;
            copied.ok_or_else(gone)?;
            self.note(&kept);
        }
        Ok(kept)
    }

    fn lacks(&self, kept: &Kept) -> bool {
        self.there.get(&kept.stored) != Some(&kept.content.size)
    }

    /// Remembers what has been copied.
    fn note(&mut self, kept: &Kept) {
        self.there.insert(kept.stored.clone(), kept.content.size);
        self.copied.add(&kept.content);
    }

    /// Removes what only earlier backups needed, and says how many objects that were.
    async fn remove_unwanted(&self, manifest: &Manifest) -> Result<u64, StoreError> {
        let wanted: BTreeSet<&str> = manifest.objects.iter().map(|kept| kept.stored.as_str()).collect();
        let mut unwanted: Vec<String> =
            self.there.keys().filter(|path| !wanted.contains(path.as_str())).cloned().collect();
        let removed = unwanted.len() as u64;
        unwanted.push(UNFINISHED.to_owned());
        self.to.remove_all(&unwanted).await?;
        Ok(removed)
    }
}

/// Copies an object under its own name; its name for people where it is gone.
async fn keep_source(source: &Source, to: &Place) -> Result<Result<Kept, String>, StoreError> {
    let path = source.path.clone();
    Ok(match copy((&source.place, &path), (to, &path), None).await? {
        Some(content) => Ok(Kept { stored: path.clone(), path, content, written_at: Some(source.written_at) }),
        None => Err(source.place.shown(&path)),
    })
}

/// An object that is named by what it holds.
fn in_state(path: String, content: Content) -> Kept {
    Kept { path, stored: format!("{STATE}/{}", content.sha256), content, written_at: None }
}

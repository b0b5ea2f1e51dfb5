//! Restoring a backup: every object is checked against the size and the SHA-256 that the manifest has of it, and nothing
//! that fails is put anywhere.
//!
//! `warehouse.json` comes last, so that a killed or refused restore leaves nothing that passes for a warehouse. What it
//! leaves is taken up by restoring the same backup again; anything else that lies there is refused, and never overwritten.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use futures::{StreamExt, TryStreamExt, stream};
use tagmill_schemas::ids::SnapshotId;

use super::contents::REMEMBERED;
use super::destination::{lock, overlap};
use super::manifest::{CONTROL, Kept, MANIFEST, Manifest, TABLES_FOLDER, is_below};
use super::place::{Place, copy};
use super::{Amount, BackupError, COPIES_AT_ONCE};
use crate::durable::{file_error, sync_folder_of};
use crate::error::StoreError;
use crate::location::Location;
use crate::lock::WriterLock;
use crate::publish::STAGED;
use crate::retention::remove_drafts;
use crate::warehouse::{SETTINGS, Warehouse};

/// What SQLite keeps beside a file that it has not finished writing: it would be taken for part of a restored one.
const JOURNALS: [&str; 2] = ["-wal", "-journal"];

/// A warehouse that was restored.
#[derive(Debug)]
pub struct Restored {
    /// The warehouse, opened with its control state.
    pub warehouse: Warehouse,
    /// Its newest snapshot; `None` where nothing was published before the backup.
    pub newest: Option<SnapshotId>,
    /// All that was restored.
    pub all: Amount,
}

impl Warehouse {
    /// Restores a backup to a place where there is no warehouse yet. `state` is where its control state goes, by default
    /// into the warehouse's folder.
    ///
    /// # Errors
    /// `BackupError::Missing` where there is no complete backup, `BackupError::Damaged` where an object of it is not what
    /// was backed up, `BackupError::Target` where the place holds a warehouse, a control state, or anything else of one,
    /// `StoreError::Locked` where somebody writes there, `StoreError::NoState` where a control state was backed up and
    /// nothing says where it goes. Nothing passes for a warehouse then.
    pub async fn restore(backup: &Location, to: Location, state: Option<PathBuf>) -> Result<Restored, StoreError> {
        let from = Place::of(backup);
        let manifest = Manifest::read(&from).await?;
        let manifest = manifest.ok_or_else(|| BackupError::Missing { location: backup.to_string() })?;
        if overlap(backup, &to) {
            return Err(refused(&to, "the backup is there, or one lies in the other"));
        }
        let file = state.clone().or_else(|| Some(to.folder()?.join(CONTROL)));
        let mut restoring = Restoring { from, to: &to, state: file, manifest: &manifest, there: BTreeSet::new() };
        restoring.check_target().await?;
        let lock = lock(&to).await?;
        let done = restoring.restore_locked(&lock).await;
        lock.release().await;
        done?;
        let warehouse = Warehouse::open_at(to).await?;
        let warehouse = match state {
            Some(file) => warehouse.with_state(file),
            None => warehouse,
        };
        let newest = warehouse.head().await?.map(|snapshot| snapshot.row().snapshot_id);
        Ok(Restored { warehouse, newest, all: manifest.amount() })
    }
}

/// A restore at work.
struct Restoring<'r> {
    from: Place,
    to: &'r Location,
    /// The file of the control state; `None` for a bucket without one.
    state: Option<PathBuf>,
    manifest: &'r Manifest,
    /// What lies under the tables already.
    there: BTreeSet<String>,
}

impl Restoring<'_> {
    async fn restore_locked(&mut self, lock: &WriterLock) -> Result<(), StoreError> {
        // Somebody may have been at it until a moment ago.
        self.check_target().await?;
        remove_drafts(self.to).await?;
        let (settings, others): (Vec<&Kept>, Vec<&Kept>) =
            self.manifest.objects.iter().partition(|kept| kept.path == SETTINGS);
        let [settings] = settings[..] else {
            return Err(self.damaged(MANIFEST, format!("it does not list `{SETTINGS}` once")).into());
        };
        let (of_control, of_warehouse): (Vec<&Kept>, Vec<&Kept>) =
            others.into_iter().partition(|kept| kept.is_of_control());
        let to = Place::of(self.to);
        self.put_all(&of_warehouse, &to).await?;
        self.put_control(&of_control).await?;
        lock.confirm().await?;
        self.put(settings, &to, &settings.path).await
    }

    /// Refuses a place that holds anything that this backup would not have put there.
    async fn check_target(&mut self) -> Result<(), StoreError> {
        let to = Place::of(self.to);
        if to.has(SETTINGS).await? {
            return Err(refused(self.to, "there is a warehouse already"));
        }
        let listed: BTreeSet<&str> = self.manifest.objects.iter().map(|kept| kept.path.as_str()).collect();
        self.there.clear();
        for folder in [TABLES_FOLDER, STAGED] {
            for object in to.list(folder).await? {
                if !listed.contains(object.path.as_str()) {
                    return Err(self.holds_another(&object.path));
                }
                self.there.insert(object.path);
            }
        }
        for path in REMEMBERED {
            if !listed.contains(path) && to.has(path).await? {
                return Err(self.holds_another(path));
            }
        }
        self.check_state().await
    }

    /// Refuses a file of a control state that is another's.
    async fn check_state(&self) -> Result<(), StoreError> {
        let kept = self.manifest.objects.iter().find(|kept| kept.path == CONTROL);
        let Some(file) = &self.state else {
            return match kept {
                Some(_) => Err(StoreError::NoState { location: self.to.to_string() }),
                None => Ok(()),
            };
        };
        let taken = || {
            let reason = "there is a control state already".to_owned();
            Err(BackupError::Target { location: file.display().to_string(), reason }.into())
        };
        let journals = JOURNALS.map(|ending| {
            let mut name = file.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        });
        if journals.iter().any(|journal| journal.exists()) {
            return taken();
        }
        if !file.exists() {
            return Ok(());
        }
        // A restore of this backup that was killed may have put it there.
        let (folder, name) = folder_and_name(file)?;
        let found = Place::of_folder(folder)?.content(name).await?;
        if found.is_some() && found.as_ref() == kept.map(|kept| &kept.content) { Ok(()) } else { taken() }
    }

    async fn put_all(&self, objects: &[&Kept], to: &Place) -> Result<(), StoreError> {
        let puts = stream::iter(objects).map(|kept| self.put(kept, to, &kept.path));
        puts.buffer_unordered(COPIES_AT_ONCE).try_collect::<Vec<()>>().await.map(drop)
    }

    /// Puts the steps of the plans into their folder and then the plans into their file, so that no plan is without steps.
    async fn put_control(&self, objects: &[&Kept]) -> Result<(), StoreError> {
        let Some(file) = self.state.as_deref().filter(|_| !objects.is_empty()) else { return Ok(()) };
        let (folder, name) = folder_and_name(file)?;
        if !folder.as_os_str().is_empty() {
            std::fs::create_dir_all(folder).map_err(|source| file_error("make the folder", folder, source))?;
            sync_folder_of(folder)?;
        }
        let beside = Place::of_folder(folder)?;
        let (plans, steps): (Vec<&Kept>, Vec<&Kept>) = objects.iter().copied().partition(|kept| kept.path == CONTROL);
        self.put_all(&steps, &beside).await?;
        for kept in plans {
            self.put(kept, &beside, name).await?;
        }
        Ok(())
    }

    /// Puts one object in its place. One that is there already has to be what was backed up.
    async fn put(&self, kept: &Kept, to: &Place, target: &str) -> Result<(), StoreError> {
        let is_looked_for = !is_below(&kept.path, TABLES_FOLDER) || self.there.contains(&kept.path);
        if is_looked_for && let Some(found) = to.content(target).await? {
            return if found == kept.content { Ok(()) } else { Err(self.holds_another(target)) };
        }
        let copied = copy((&self.from, &kept.stored), (to, target), Some(&kept.content)).await?;
        copied.map(drop).ok_or_else(|| self.damaged(&kept.stored, "it is gone".to_owned()).into())
    }

    fn damaged(&self, stored: &str, reason: String) -> BackupError {
        BackupError::Damaged { path: self.from.shown(stored), reason }
    }

    fn holds_another(&self, path: &str) -> StoreError {
        refused(self.to, &format!("it holds a `{path}` that is not of this backup"))
    }
}

fn refused(to: &Location, reason: &str) -> StoreError {
    BackupError::Target { location: to.to_string(), reason: reason.to_owned() }.into()
}

/// The folder of a file, which may be empty for the one that we are in, and the file's name.
fn folder_and_name(file: &Path) -> Result<(&Path, &str), StoreError> {
    let parts = file.parent().zip(file.file_name().and_then(|name| name.to_str()));
    parts.ok_or_else(|| StoreError::Location {
        location: file.display().to_string(),
        reason: "it is no name of a file".to_owned(),
    })
}

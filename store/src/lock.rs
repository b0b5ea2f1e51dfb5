//! The writer's lock: one run at a time writes to a warehouse.
//!
//! In a folder the operating system drops the lock with the process, so that a killed writer never leaves one behind. In a
//! bucket it is a lease ([`Lease`]).

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::error::StoreError;
use crate::lease::Lease;
use crate::location::Location;

/// Held while a run writes; dropping it lets the next writer in.
#[derive(Debug)]
pub(crate) enum WriterLock {
    /// A locked file.
    Folder { _file: File },
    /// A lease on a bucket.
    Bucket(Lease),
}

impl WriterLock {
    /// Takes the lock, or says that another writer holds it. Never waits.
    pub(crate) async fn take(location: &Location) -> Result<Self, StoreError> {
        match location.folder() {
            Some(folder) => Self::of_folder(folder, location),
            None => Ok(Self::Bucket(Lease::take(location).await?)),
        }
    }

    fn of_folder(folder: &Path, location: &Location) -> Result<Self, StoreError> {
        let path = folder.join("writer.lock");
        let failed =
            |source| StoreError::File { step: "open the writer's lock", path: path.display().to_string(), source };
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self::Folder { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { location: location.to_string(), until: None }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Whether it is still held.
    ///
    /// # Errors
    /// `StoreError::LeaseLost` where it could not be renewed in time.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match self {
            Self::Folder { .. } => Ok(()),
            Self::Bucket(lease) => lease.check(),
        }
    }

    /// Makes certain that it is still held, by asking the store and no clock: whatever was found before is no other
    /// writer's, and may be removed.
    ///
    /// # Errors
    /// `StoreError::LeaseLost` where another writer has taken it; what asking failed with.
    pub(crate) async fn confirm(&self) -> Result<(), StoreError> {
        match self {
            Self::Folder { .. } => Ok(()),
            Self::Bucket(lease) => lease.confirm().await,
        }
    }

    /// Lets the next writer in, at once. Without it a lease is given back in the background.
    pub(crate) async fn release(self) {
        match self {
            Self::Folder { .. } => {}
            Self::Bucket(lease) => lease.release().await,
        }
    }
}

//! The writer's lock: one run at a time writes to a warehouse.
//!
//! The operating system drops the lock with the process, so that a killed writer never leaves one behind.

use std::fs::{File, OpenOptions, TryLockError};

use crate::error::StoreError;
use crate::location::Location;

/// Held while a run writes; dropping it lets the next writer in.
#[derive(Debug)]
pub(crate) struct WriterLock {
    _file: File,
}

impl WriterLock {
    /// Takes the lock, or says that another writer holds it. Never waits.
    pub(crate) fn take(location: &Location) -> Result<Self, StoreError> {
        let path = location.folder().join("writer.lock");
        let failed =
            |source| StoreError::File { step: "open the writer's lock", path: path.display().to_string(), source };
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { location: location.to_string() }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

//! Whether the file of the control state is sound by SQLite's own account.

use super::{ControlStore, query_all};
use crate::error::StoreError;

impl ControlStore {
    /// What SQLite finds wrong with the file, in its words; nothing where it is sound.
    ///
    /// # Errors
    /// `StoreError::Control` where the file is too damaged to be asked.
    pub(crate) fn faults(&self) -> Result<Vec<String>, StoreError> {
        let mut said = query_all(&self.lock(), "PRAGMA integrity_check", None, |row| row.get::<_, String>(0))?;
        said.retain(|line| line != "ok");
        Ok(said)
    }
}

//! What an erasure has begun: written before the first file is changed, and removed after the last step, so that one
//! that was killed is finished by whoever writes next.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Counts;
use super::values::Values;
use crate::error::StoreError;
use crate::location::Location;

/// The object. While it is there, it holds the very values that are to go.
pub(crate) const JOURNAL: &str = "staged/erasing.json";

/// An erasure that has begun.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Journal {
    /// Whom and what it erases.
    pub(super) values: Values,
    /// Who asked for it.
    pub(super) by: String,
    /// When it began.
    pub(super) begun_at: DateTime<Utc>,
    /// What there was to replace.
    pub(super) counts: Counts,
}

impl Journal {
    /// Writes it down.
    pub(super) async fn write(&self, location: &Location) -> Result<(), StoreError> {
        // Texts, numbers and instants always serialise.
        location.objects().write(JOURNAL, serde_json::to_vec(self).unwrap_or_default()).await
    }

    /// The one that was left behind. One that cannot be read is removed, and the notes say so.
    pub(super) async fn left(location: &Location, notes: &mut Vec<String>) -> Result<Option<Self>, StoreError> {
        let Some(content) = location.objects().read(JOURNAL).await? else { return Ok(None) };
        match serde_json::from_slice(&content) {
            Ok(journal) => Ok(Some(journal)),
            Err(_) => {
                remove(location).await?;
                let path = location.shown(JOURNAL);
                notes.push(format!("`{path}`, which an erasure had left, was damaged and is gone now: erase again"));
                Ok(None)
            }
        }
    }
}

/// Removes it.
pub(super) async fn remove(location: &Location) -> Result<(), StoreError> {
    location.objects().remove(JOURNAL).await
}

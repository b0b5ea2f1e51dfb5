//! What a backup says of itself: `backup.json`, which is written last and makes it one.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tagmill_schemas::ids::SnapshotId;

use super::place::{Content, Place};
use super::{Amount, BackupError};
use crate::error::StoreError;

/// The object.
pub(super) const MANIFEST: &str = "backup.json";
/// Says that a first backup has been begun, where no manifest says that one has ended.
pub(super) const UNFINISHED: &str = "unfinished.json";
/// The folder of what changes under its name in a warehouse; here it is named by its SHA-256.
pub(super) const STATE: &str = "state";
/// What the control state is called in a backup, wherever the warehouse keeps it.
pub(super) const CONTROL: &str = "control.sqlite";
/// The folder of the steps of plans, beside the control state.
pub(super) const STEPS: &str = "plans";
/// The folder of the tables.
pub(super) const TABLES_FOLDER: &str = "tables";
/// The format of what is written; a newer one is refused.
pub(super) const FORMAT: u32 = 1;

/// A complete backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) format: u32,
    pub(super) made_at: DateTime<Utc>,
    /// The warehouse, as it is named for people.
    pub(super) from: String,
    /// `None` where nothing was published yet.
    pub(super) newest_snapshot: Option<SnapshotId>,
    /// Ordered by path.
    pub(super) objects: Vec<Kept>,
}

/// One object of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Where it lies in a warehouse; [`CONTROL`] and what is below [`STEPS`] belong to the control state.
    pub(super) path: String,
    /// Where it lies in the backup.
    pub(super) stored: String,
    /// What it holds.
    #[serde(flatten)]
    pub(super) content: Content,
    /// When the warehouse had written it; only for what has a name of its own there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) written_at: Option<DateTime<Utc>>,
}

impl Kept {
    /// Whether it belongs to the control state.
    pub(super) fn is_of_control(&self) -> bool {
        self.path == CONTROL || is_below(&self.path, STEPS)
    }
}

impl Manifest {
    /// Reads the manifest of a backup; `None` where there is none.
    ///
    /// # Errors
    /// `BackupError::Damaged` where it cannot be read, or is of a newer format.
    pub(super) async fn read(place: &Place) -> Result<Option<Self>, StoreError> {
        let Some(bytes) = place.read(MANIFEST).await? else { return Ok(None) };
        let damaged = |reason: String| BackupError::Damaged { path: place.shown(MANIFEST), reason };
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|cause| damaged(cause.to_string()))?;
        if manifest.format > FORMAT {
            let reason = format!("its format {} is newer than this program knows ({FORMAT})", manifest.format);
            return Err(damaged(reason).into());
        }
        Ok(Some(manifest))
    }

    /// How much a backup holds. What lies there once for several paths counts once.
    pub(super) fn amount(&self) -> Amount {
        let contents: BTreeMap<&str, &Content> =
            self.objects.iter().map(|kept| (kept.stored.as_str(), &kept.content)).collect();
        let mut amount = Amount::default();
        contents.into_values().for_each(|content| amount.add(content));
        amount
    }

    /// Makes what has been copied a backup.
    pub(super) async fn write(&self, place: &Place) -> Result<(), StoreError> {
        // Texts, numbers and instants always serialise.
        place.write(MANIFEST, serde_json::to_vec(self).unwrap_or_default()).await
    }
}

/// Whether a path leads below a folder.
pub(super) fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

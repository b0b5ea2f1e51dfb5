//! What is remembered of pruned snapshots: that they were there, and when they were taken.
//!
//! Nobody is given another state than the one that was asked for: an `as_of` that means a pruned snapshot is refused by
//! name, and not answered by an older one. `pruned.json` is written before the ledger lets go of its rows, so that a crash
//! in between leaves a name too many. The ledger has the last word: what it still lists is there.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tagmill_schemas::ids::SnapshotId;
use tagmill_schemas::segment::AsOf;

use super::JudgedSnapshot;
use crate::error::StoreError;
use crate::ledger::LedgerRow;
use crate::location::Location;

/// What is remembered of pruned snapshots, below the warehouse.
pub(crate) const PRUNED: &str = "pruned.json";

/// A snapshot that is no more. Its id is never given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct PrunedSnapshot {
    snapshot_id: SnapshotId,
    taken_at: DateTime<Utc>,
    pruned_at: DateTime<Utc>,
}

/// Remembers those of the ledger's snapshots that go, before the ledger lets go of them.
///
/// # Errors
/// `StoreError::Object`; `StoreError::Damaged` where what is remembered already cannot be read.
pub(super) async fn remember(
    location: &Location,
    snapshots: &[JudgedSnapshot],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut remembered = read(location).await?;
    // What a killed prune had named is still in the ledger, and may stay this time.
    remembered.retain(|pruned| snapshots.iter().all(|snapshot| snapshot.row.snapshot_id != pruned.snapshot_id));
    let going = snapshots.iter().filter(|snapshot| snapshot.kept_as.is_none());
    remembered.extend(going.map(|snapshot| PrunedSnapshot {
        snapshot_id: snapshot.row.snapshot_id,
        taken_at: snapshot.row.taken_at,
        pruned_at: now,
    }));
    remembered.sort_by_key(|pruned| pruned.snapshot_id);
    // Numbers and instants always serialise.
    location.objects().write(PRUNED, serde_json::to_vec(&remembered).unwrap_or_default()).await
}

/// Refuses an `as_of` that means a pruned snapshot. `ledger` is every row there is, ascending.
///
/// # Errors
/// `StoreError::Pruned`, which names the kept snapshots beside it; what reading failed with.
pub(crate) async fn refuse_pruned(location: &Location, ledger: &[LedgerRow], as_of: &AsOf) -> Result<(), StoreError> {
    if matches!(as_of, AsOf::Latest) {
        return Ok(());
    }
    let gone = read(location).await?.into_iter().filter(|pruned| !lists(ledger, pruned.snapshot_id));
    let meant = gone.filter(|pruned| is_meant(pruned, as_of)).max_by_key(|pruned| pruned.snapshot_id);
    let Some(pruned) = meant else { return Ok(()) };
    let is_before = |row: &&LedgerRow| row.snapshot_id < pruned.snapshot_id;
    let after = ledger.iter().find(|row| row.snapshot_id > pruned.snapshot_id);
    let held = match as_of {
        // The kept snapshot after the pruned one was taken by then, and so it is the one that is meant.
        AsOf::Time(instant) if after.is_some_and(|row| row.taken_at <= *instant) => return Ok(()),
        AsOf::Time(instant) => format!(", the last one taken by {},", instant.to_rfc3339()),
        AsOf::Snapshot(_) | AsOf::Latest => String::new(),
    };
    Err(StoreError::Pruned {
        snapshot: format!("{} (taken {}){held}", pruned.snapshot_id, pruned.taken_at.to_rfc3339()),
        kept: beside(ledger.iter().rfind(is_before), after),
    })
}

/// Whether an `as_of` would mean that snapshot if it were there and no later one were.
fn is_meant(pruned: &PrunedSnapshot, as_of: &AsOf) -> bool {
    match as_of {
        AsOf::Latest => false,
        AsOf::Snapshot(id) => pruned.snapshot_id == *id,
        AsOf::Time(instant) => pruned.taken_at <= *instant,
    }
}

/// The kept snapshots before and after a pruned one, in words.
fn beside(before: Option<&LedgerRow>, after: Option<&LedgerRow>) -> String {
    let named =
        |row: &LedgerRow, side: &str| format!("{} (taken {}) {side} it", row.snapshot_id, row.taken_at.to_rfc3339());
    let before = before.map_or("none before it".to_owned(), |row| named(row, "before"));
    let after = after.map_or("none after it".to_owned(), |row| named(row, "after"));
    format!("of the snapshots beside it, {before} and {after} are kept; `tagmill snapshot list` shows all")
}

fn lists(ledger: &[LedgerRow], id: SnapshotId) -> bool {
    ledger.binary_search_by_key(&id, |row| row.snapshot_id).is_ok()
}

async fn read(location: &Location) -> Result<Vec<PrunedSnapshot>, StoreError> {
    let Some(content) = location.objects().read(PRUNED).await? else { return Ok(Vec::new()) };
    serde_json::from_slice(&content)
        .map_err(|cause| StoreError::Damaged { what: location.shown(PRUNED), reason: cause.to_string() })
}

//! Retention: which snapshots are kept, and how the others go.
//!
//! Delta's own retention is by age, and off. Here the ledger decides: a prune judges every snapshot ([`Ladder`]), remembers
//! those that go, replaces the ledger by one without them, and then removes the files that nothing kept refers to. The
//! ledger comes before the files: a kill in between leaves files that the next prune removes, never a kept snapshot without
//! its files.

mod ladder;
mod pruned;
mod sweep;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;

use tagmill_schemas::documents::plan::PlanState;
use tagmill_schemas::ids::{PlanId, SnapshotId};

pub use ladder::{KeptAs, Ladder};
pub(crate) use pruned::{PRUNED, refuse_pruned};
pub(crate) use sweep::remove_drafts;

use sweep::{Orphan, Referenced};

use crate::error::StoreError;
use crate::ledger::LedgerRow;
use crate::lock::WriterLock;
use crate::publish::replace_ledger;
use crate::recover;
use crate::warehouse::Warehouse;

/// What a prune did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruning {
    /// Every snapshot there was, ascending by id.
    pub snapshots: Vec<JudgedSnapshot>,
    /// The data files that went: those of pruned snapshots alone, and those that killed runs had left.
    pub freed_files: u64,
    /// Their bytes.
    pub freed_bytes: u64,
    /// What had to be mended before, in words.
    pub notes: Vec<String>,
}

/// A snapshot, and whether it stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedSnapshot {
    /// Its ledger row.
    pub row: LedgerRow,
    /// Why it stays; `None` where it goes.
    pub kept_as: Option<KeptAs>,
}

impl Pruning {
    /// How many snapshots go.
    pub fn pruned(&self) -> usize {
        self.snapshots.iter().filter(|snapshot| snapshot.kept_as.is_none()).count()
    }

    fn of(snapshots: Vec<JudgedSnapshot>, orphans: &[Orphan], notes: Vec<String>) -> Self {
        let freed_bytes = orphans.iter().map(|orphan| orphan.size).sum();
        Self { snapshots, freed_files: orphans.len() as u64, freed_bytes, notes }
    }
}

impl Warehouse {
    /// Prunes the snapshots that the ladder does not keep and that no plan refers to, and removes the data files that
    /// nothing kept refers to any more.
    ///
    /// The plans are those of the control state that the warehouse was opened with.
    /// Ids of pruned snapshots are never given again, and asking for one is `StoreError::Pruned`. Doing it twice changes
    /// nothing more. A reader that is still at work on a snapshot that goes may fail.
    ///
    /// # Errors
    /// `StoreError::Locked` where a run is writing, `StoreError::LeaseLost` or `StoreError::Overtaken` where another has
    /// begun to, `StoreError::NoState` where nothing says where the plans are. Where a kept snapshot cannot be opened,
    /// nothing is changed; where a file is not removed, it is an orphan that the next prune removes.
    pub async fn prune(&self, ladder: Ladder) -> Result<Pruning, StoreError> {
        let lock = WriterLock::take(self.location()).await?;
        let pruned = self.prune_locked(&lock, ladder).await;
        lock.release().await;
        pruned
    }

    async fn prune_locked(&self, lock: &WriterLock, ladder: Ladder) -> Result<Pruning, StoreError> {
        let location = self.location();
        let recovered = recover::recover(self).await?;
        let ledger = self.read_ledger().await?;
        let snapshots = self.judged(ledger.rows, ladder)?;
        let kept = kept_rows(&snapshots);
        // Every kept version is opened before anything is let go.
        let mut referenced = Referenced::by(location, &kept).await?;
        lock.check()?;
        self.let_go(ledger.version, &snapshots, &kept).await?;
        referenced.add_ledger(location, true).await?;
        let orphans = referenced.orphans(location).await?;
        lock.confirm().await?;
        sweep::remove(location, &orphans).await?;
        remove_drafts(location).await?;
        Ok(Pruning::of(snapshots, &orphans, recovered.notes))
    }

    /// What [`Self::prune`] would do. Takes no lock, mends nothing and changes nothing; files that a run may be staging at
    /// the moment are left out of account.
    ///
    /// # Errors
    /// As [`Self::prune`], without `StoreError::Locked`.
    pub async fn prune_dry(&self, ladder: Ladder) -> Result<Pruning, StoreError> {
        let snapshots = self.judged(self.ledger().await?, ladder)?;
        let kept = kept_rows(&snapshots);
        let mut referenced = Referenced::by(self.location(), &kept).await?;
        // The ledger would be replaced, so that the file of today would be the one before.
        let is_replaced = kept.len() < snapshots.len();
        referenced.add_ledger(self.location(), !is_replaced).await?;
        let newest = kept.last().map_or(SnapshotId(0), |row| row.snapshot_id);
        let mut orphans = referenced.orphans(self.location()).await?;
        orphans.retain(|orphan| orphan.staged_for <= newest);
        Ok(Pruning::of(snapshots, &orphans, Vec::new()))
    }

    /// Every snapshot of the ledger beside the reason why it stays.
    fn judged(&self, rows: Vec<LedgerRow>, ladder: Ladder) -> Result<Vec<JudgedSnapshot>, StoreError> {
        let taken: Vec<_> = rows.iter().map(|row| (row.snapshot_id, row.taken_at)).collect();
        let verdicts = ladder::judge(&taken, self.zone(), ladder, &self.plans_that_keep()?);
        Ok(rows.into_iter().zip(verdicts).map(|(row, kept_as)| JudgedSnapshot { row, kept_as }).collect())
    }

    /// For each snapshot that a plan refers to which is not over or can be taken back, one such plan.
    fn plans_that_keep(&self) -> Result<BTreeMap<SnapshotId, PlanId>, StoreError> {
        // Looking makes no control state.
        let plans = if self.state_path()?.is_file() { self.control()?.plans()? } else { Vec::new() };
        let keeping = plans.into_iter().filter(|plan| keeps_its_snapshot(plan.state));
        Ok(keeping.map(|plan| (plan.header.snapshot_id, plan.header.plan_id)).collect())
    }

    /// Takes what goes out of the ledger, which was read at version `based_on`: after that, files may be removed.
    async fn let_go(&self, based_on: u64, snapshots: &[JudgedSnapshot], kept: &[LedgerRow]) -> Result<(), StoreError> {
        // The newest always stays, so that only an empty ledger keeps nothing.
        let Some(newest) = kept.last().filter(|_| kept.len() < snapshots.len()) else { return Ok(()) };
        pruned::remember(self.location(), snapshots, self.clock().now()).await?;
        replace_ledger(self, based_on, kept, newest.snapshot_id).await
    }
}

fn kept_rows(snapshots: &[JudgedSnapshot]) -> Vec<LedgerRow> {
    snapshots.iter().filter(|snapshot| snapshot.kept_as.is_some()).map(|snapshot| snapshot.row.clone()).collect()
}

/// Whether a plan in that state may still be looked at against the snapshot that it was computed on.
fn keeps_its_snapshot(state: PlanState) -> bool {
    match state {
        PlanState::Pending | PlanState::Approved | PlanState::Executing | PlanState::Executed => true,
        PlanState::Rejected | PlanState::Undone => false,
    }
}

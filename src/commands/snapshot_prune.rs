//! `tagmill snapshot prune`: which snapshots go, which stay and why.

use arrow::array::RecordBatch;
use tagmill_store::{Ladder, Pruning};

use super::columns::{batch, count_column, instant_column, text_column};
use crate::cli::SnapshotPruneArgs;
use crate::globals::Globals;
use crate::output::{say, thousands, write_batch};

/// Prunes the snapshots that the ladder does not keep, or says which it would prune.
///
/// # Errors
/// `StoreError::Locked` where a run is writing; what reading or removing failed with.
pub(crate) async fn prune_snapshots(globals: &Globals, args: &SnapshotPruneArgs) -> anyhow::Result<()> {
    let format = args.output.resolved_format()?;
    let warehouse = globals.open_warehouse().await?;
    let ladder = Ladder { all_days: args.keep_all, daily_days: args.keep_daily };
    let pruning = if args.dry_run { warehouse.prune_dry(ladder).await? } else { warehouse.prune(ladder).await? };
    for note in &pruning.notes {
        say(note);
    }
    write_batch(&verdicts(&pruning)?, format, &args.output.destination())?;
    say(told(&pruning, args.dry_run));
    Ok(())
}

/// A row a snapshot, the oldest first.
fn verdicts(pruning: &Pruning) -> anyhow::Result<RecordBatch> {
    let rows = || pruning.snapshots.iter().map(|snapshot| &snapshot.row);
    let kept = || pruning.snapshots.iter().map(|snapshot| snapshot.kept_as.as_ref());
    batch([
        ("snapshot_id", count_column(rows().map(|row| u64::try_from(row.snapshot_id.0).ok()))),
        ("taken_at", instant_column(rows().map(|row| Some(row.taken_at)))),
        ("source", text_column(rows().map(|row| Some(&row.source)))),
        ("verdict", text_column(kept().map(|kept| Some(if kept.is_some() { "stays" } else { "goes" })))),
        ("kept_as", text_column(kept().map(|kept| kept.map(ToString::to_string)))),
    ])
}

/// What was done in one sentence.
fn told(pruning: &Pruning, is_dry_run: bool) -> String {
    let all = pruning.snapshots.len();
    let snapshots = match (pruning.pruned(), is_dry_run) {
        (0, _) => format!("no snapshot is to be pruned: all {all} stay"),
        (pruned, true) => format!("dry run: {pruned} of {all} snapshots would be pruned"),
        (pruned, false) => format!("pruned {pruned} of {all} snapshots"),
    };
    let Pruning { freed_files, freed_bytes, .. } = pruning;
    if *freed_files == 0 {
        return snapshots;
    }
    let freed = if is_dry_run { "would be freed" } else { "freed" };
    format!("{snapshots}; {} bytes in {} files {freed}", thousands(*freed_bytes), thousands(*freed_files))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_freed_is_told_only_where_something_is() {
        let nothing = Pruning { snapshots: Vec::new(), freed_files: 0, freed_bytes: 0, notes: Vec::new() };
        assert_eq!(told(&nothing, false), "no snapshot is to be pruned: all 0 stay");
        let orphans = Pruning { freed_files: 2, freed_bytes: 12_345, ..nothing };
        let said = "no snapshot is to be pruned: all 0 stay; 12,345 bytes in 2 files";
        assert_eq!(told(&orphans, false), format!("{said} freed"));
        assert_eq!(told(&orphans, true), format!("{said} would be freed"));
    }
}

//! `tagmill backup` and `tagmill restore`: all that is kept, copied elsewhere and brought back.

use tagmill_schemas::ids::SnapshotId;
use tagmill_store::{Amount, Location, Warehouse};

use crate::cli::{BackupArgs, RestoreArgs};
use crate::globals::Globals;
use crate::output::{busy, say, thousands};

/// Backs the warehouse up, while others may use it.
///
/// # Errors
/// `BackupError::Destination` for a place that holds anything but an earlier backup of it; what copying failed with.
pub(crate) async fn back_up_warehouse(globals: &Globals, args: &BackupArgs) -> anyhow::Result<()> {
    let warehouse = globals.open_warehouse().await?;
    let to = Location::parse(&args.destination)?;
    let shown = busy("copying");
    let backup = warehouse.back_up(&to).await?;
    drop(shown);
    say(format!("backed up {} to `{to}`: {}", named(backup.newest), told(backup.all)));
    if backup.copied == Amount::default() {
        say("  nothing had to be copied: an earlier backup had left all of it there");
    } else if backup.copied != backup.all {
        say(format!("  copied {}; an earlier backup had left the others there", told(backup.copied)));
    }
    if backup.removed_objects > 0 {
        say(format!("  removed what only an earlier backup needed: {} objects", thousands(backup.removed_objects)));
    }
    Ok(())
}

/// Restores a backup to where `--warehouse` says, and its control state to where `--state` says.
///
/// # Errors
/// `BackupError::Target` where a warehouse or a part of one is there; `BackupError::Missing` and `BackupError::Damaged`
/// where the backup is not complete and sound. Nothing passes for a warehouse then.
pub(crate) async fn restore_warehouse(globals: &Globals, args: &RestoreArgs) -> anyhow::Result<()> {
    let backup = Location::parse(&args.backup)?;
    let to = Location::parse(&globals.location)?;
    let shown = busy("copying and checking");
    let restored = Warehouse::restore(&backup, to.clone(), globals.state.clone()).await?;
    drop(shown);
    let (newest, all) = (named(restored.newest), told(restored.all));
    say(format!("restored {newest} from `{backup}` to `{to}`: {all}, each as it was backed up"));
    Ok(())
}

fn named(newest: Option<SnapshotId>) -> String {
    newest.map_or("a warehouse without a snapshot".to_owned(), |id| format!("snapshot {id}"))
}

fn told(amount: Amount) -> String {
    let plural = if amount.objects == 1 { "" } else { "s" };
    format!("{} object{plural} with {} bytes", thousands(amount.objects), thousands(amount.bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_snapshots_are_told_in_words() {
        assert_eq!(told(Amount { objects: 1, bytes: 1_234 }), "1 object with 1,234 bytes");
        assert_eq!(told(Amount { objects: 1_000, bytes: 0 }), "1,000 objects with 0 bytes");
        assert_eq!(named(Some(SnapshotId(7))), "snapshot 7");
        assert_eq!(named(None), "a warehouse without a snapshot");
    }
}

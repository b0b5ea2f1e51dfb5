//! Arguments of the commands that bring data in and look at what is kept.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tagmill_store::Ladder;

use super::OutputArgs;
use crate::output::ObjectFormat;

/// What to read, and how carefully.
#[derive(Debug, Args)]
pub(crate) struct IngestArgs {
    /// The source's document
    #[arg(value_name = "SOURCE.yaml")]
    pub(crate) source: PathBuf,

    /// Read and check everything, say what would change, publish nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Publish although far fewer rows came than last time; the acceptance is logged
    #[arg(long)]
    pub(crate) accept_shrink: bool,
}

/// What to see of the snapshots.
#[derive(Debug, Subcommand)]
pub(crate) enum SnapshotCommand {
    /// List the snapshots, the oldest first, with their row counts
    #[command(after_help = "Example:\n  tagmill snapshot list --format json")]
    List(SnapshotListArgs),

    /// Show everything the ledger says of one snapshot
    #[command(after_help = "Example:\n  tagmill snapshot show 3")]
    Show(SnapshotShowArgs),

    /// Compare two snapshots: rows per table; tag groups and tags added, renamed and ended
    #[command(after_help = "\
A group or tag that was added is listed with the instants between which it appeared:
after `seen_after`, not later than `seen_by`.

Example:
  tagmill snapshot diff 2 3")]
    Diff(SnapshotDiffArgs),

    /// Let old snapshots go, and the files that only they hold
    #[command(after_help = "\
Days are counted back from the newest snapshot, in the business time zone. The newest snapshot, the last of each month,
and those that a plan was computed on which is not over or can be taken back always stay. What was pruned cannot be
asked for any more, and its number is never given again.

Examples:
  tagmill snapshot prune --dry-run                        what would go, what stays and why
  tagmill snapshot prune                                  all for 7 days, one a day for 90, one a month for ever
  tagmill snapshot prune --keep-all 30 --keep-daily 365")]
    Prune(SnapshotPruneArgs),

    /// Merge the many small files that runs leave into few, sorted by customer
    #[command(after_help = "\
One new snapshot is published. It holds the same rows and was taken when the newest one was, so that every answer stays
as it is and large questions are answered sooner. Older snapshots keep their small files until they are pruned.

Examples:
  tagmill snapshot compact --dry-run    for each table, how many files it has and how many it would have
  tagmill snapshot compact              where no 4 small files lie together, nothing is published")]
    Compact(SnapshotCompactArgs),
}

/// How to list the snapshots.
#[derive(Debug, Args)]
pub(crate) struct SnapshotListArgs {
    /// Where the rows go.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Which snapshot to show.
#[derive(Debug, Args)]
pub(crate) struct SnapshotShowArgs {
    /// The snapshot's number
    #[arg(value_name = "ID")]
    pub(crate) snapshot_id: i64,

    /// `table` for people, `json` for programs
    #[arg(long, value_enum, default_value_t = ObjectFormat::Table)]
    pub(crate) format: ObjectFormat,
}

/// Which snapshots to compare.
#[derive(Debug, Args)]
pub(crate) struct SnapshotDiffArgs {
    /// The snapshot before
    #[arg(value_name = "A")]
    pub(crate) before: i64,

    /// The snapshot after
    #[arg(value_name = "B")]
    pub(crate) after: i64,

    /// Where the rows go.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Which snapshots to let go.
#[derive(Debug, Args)]
pub(crate) struct SnapshotPruneArgs {
    /// Say what would go and what stays, change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Keep every snapshot for so many days
    #[arg(long, value_name = "DAYS", default_value_t = Ladder::default().all_days)]
    pub(crate) keep_all: u32,

    /// Keep the last snapshot of each business day for so many days
    #[arg(long, value_name = "DAYS", default_value_t = Ladder::default().daily_days)]
    pub(crate) keep_daily: u32,

    /// Where the rows go.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Whether to merge files.
#[derive(Debug, Args)]
pub(crate) struct SnapshotCompactArgs {
    /// Say which tables would have fewer files, change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Where the rows go.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// What to see of the quarantine.
#[derive(Debug, Subcommand)]
pub(crate) enum QuarantineCommand {
    /// Count the rows that were not taken, by source, target table and code, with an example of the reason
    #[command(after_help = "\
Examples:
  tagmill quarantine list
  tagmill quarantine list --rows --code BAD_VALUE --unmask raw -o rejected.csv")]
    List(QuarantineListArgs),
}

/// Which rejected rows to see.
#[derive(Debug, Args)]
pub(crate) struct QuarantineListArgs {
    /// List the rows themselves, with file and line, instead of counting them
    #[arg(long)]
    pub(crate) rows: bool,

    /// Only rows of this source
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,

    /// Only rows meant for this table
    #[arg(long, value_name = "TABLE")]
    pub(crate) target: Option<String>,

    /// Only rows with this code
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<String>,

    /// Show private columns as they are; `raw` is the row as it came
    #[arg(long, value_name = "COL,…", value_delimiter = ',', requires = "rows")]
    pub(crate) unmask: Vec<String>,

    /// Where the rows go.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// How to look at all that is kept.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// First repair what can be derived: finish or take back a killed run, remove the old files that no commit names
    #[arg(long)]
    pub(crate) repair: bool,

    /// Where the rows go.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

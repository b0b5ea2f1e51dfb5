//! The command line: what may be typed, and how it is explained to a marketer and to an analyst.
//!
//! Nothing is opened or answered here: the commands are in [`crate::commands`], what the global options mean in
//! [`crate::globals`]. Arguments that need more than a word are read in [`values`].

mod actions;
mod backups;
mod erasing;
mod imports;
mod questions;
mod sources;
mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tagmill_schemas::clock::BusinessZone;
use tagmill_schemas::policy::Profile;
use tagmill_schemas::segment::parse::WrittenAsOf;

pub(crate) use actions::{
    AudienceCommand, AudienceExportArgs, DemoArgs, PlanCommand, PlanIdArgs, PlanListArgs, PlanRejectArgs, RuleCommand,
    RuleRunArgs, ServeArgs, StaleCommand, StaleReportArgs,
};
pub(crate) use backups::{BackupArgs, RestoreArgs};
pub(crate) use erasing::EraseArgs;
pub(crate) use imports::ImportArgs;
pub(crate) use questions::{
    CrosstabArgs, LimitArgs, SegmentCommand, SegmentCountArgs, SegmentExplainArgs, SegmentMembersArgs,
    SegmentValidateArgs, Shares, SqlArgs, TagCommand, TagLintArgs, TagListArgs,
};
pub(crate) use sources::{
    DoctorArgs, IngestArgs, QuarantineCommand, QuarantineListArgs, SnapshotCommand, SnapshotCompactArgs,
    SnapshotDiffArgs, SnapshotListArgs, SnapshotPruneArgs, SnapshotShowArgs,
};

use crate::output::{Destination, Format};

/// Everything that was typed.
#[derive(Debug, Parser)]
#[command(name = "tagmill", version, about = ABOUT, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// The options that every command takes.
    #[command(flatten)]
    pub(crate) globals: GlobalArgs,

    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const ABOUT: &str = "The analytics and segmentation warehouse for customer tags in WeCom: \
dated snapshots in, segment questions answered, computed tags, audiences and stale-tag reports out";

const AFTER_HELP: &str = "\
First steps:
  tagmill demo                                        a sample corp, its answers, and a server to look at them
  tagmill ingest shop.yaml                            read a source into a new snapshot
  tagmill segment count segments/vip.yaml             how many customers a segment has
  tagmill audience export segments/vip.yaml -o a.csv  hand them out

Data goes to stdout, words to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by a guard or policy.";

/// The options that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// The warehouse: a folder, or a URL such as file:///data/warehouse or s3://bucket/warehouse
    #[arg(long, global = true, env = "TAGMILL_WAREHOUSE", value_name = "URL", default_value = "./warehouse")]
    pub(crate) warehouse: String,

    /// The local file of the control state (plans, approvals, audit); by default it lies in the warehouse's folder
    #[arg(long, global = true, env = "TAGMILL_STATE", value_name = "PATH")]
    pub(crate) state: Option<PathBuf>,

    /// Answer as of a snapshot (12), a business day (2026-11-12), a time (2026-11-12T02:00) or `latest`
    #[arg(long, global = true, value_name = "SNAPSHOT|TIME", value_parser = values::parse_as_of)]
    pub(crate) as_of: Option<WrittenAsOf>,

    /// The policy profile: name rules and call rates
    #[arg(long, global = true, value_enum, default_value_t = ProfileName::Guide)]
    pub(crate) profile: ProfileName,

    /// The business time zone, set when a warehouse is made and never changed [default: Asia/Shanghai]
    #[arg(long, global = true, value_name = "ZONE", value_parser = values::parse_zone)]
    pub(crate) time_zone: Option<BusinessZone>,

    /// The folder in which segments, rules and audiences are looked up by name [default: the warehouse's `definitions`]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) definitions: Option<PathBuf>,

    /// Who is acting, for authorship and approval; recorded as unverified [default: the OS user]
    #[arg(long = "as", global = true, value_name = "NAME")]
    pub(crate) actor: Option<String>,
}

/// The policy profiles that come with the warehouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProfileName {
    /// The practice guide: 20 characters, Chinese, letters and digits, 60 writes a minute
    Guide,
    /// The limits of the official WeCom documents
    WecomOfficial,
}

impl From<ProfileName> for Profile {
    fn from(name: ProfileName) -> Self {
        match name {
            ProfileName::Guide => Self::Guide,
            ProfileName::WecomOfficial => Self::WecomOfficial,
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// See it all at work: a sample corp and real orders, from ingest to a served dashboard
    #[command(after_help = "Example:\n  tagmill demo --no-serve")]
    Demo(DemoArgs),

    /// Read a source into the warehouse: one run, at most one new snapshot
    #[command(after_help = "\
Examples:
  tagmill ingest shop.yaml --dry-run         read and check everything, publish nothing
  tagmill ingest shop.yaml                   publish a snapshot; the same input twice publishes nothing
  tagmill ingest shop.yaml --accept-shrink   publish although far fewer customers came than last time")]
    Ingest(IngestArgs),

    /// Look at the published states of the warehouse, and let old ones go
    #[command(subcommand)]
    Snapshot(SnapshotCommand),

    /// Look at the input rows that were not taken, with their reasons
    #[command(subcommand)]
    Quarantine(QuarantineCommand),

    /// Check every kept snapshot, file by file and row by row, and the plans; say what is not as it was written
    #[command(after_help = "\
Nothing is changed without --repair. Exit code 1: an error was found, so that something is lost or answers may be wrong.

Examples:
  tagmill doctor
  tagmill doctor --repair         finish or take back a killed run, and remove what it had staged
  tagmill doctor --format json    for a program that watches over the warehouse")]
    Doctor(DoctorArgs),

    /// Erase a customer: its private values go from every snapshot, plan and rejected row, for good
    #[command(after_help = "\
The customer's number and all that is not private stay, so that every count of every snapshot stays as it was. The id
becomes erased:NUMBER. All that is kept is looked through afterwards; exit code 1: something is left in files that are
yours, such as exports. Backups, and copies elsewhere, are yours to delete.

Examples:
  tagmill erase corp:wm0042 --dry-run     what would be replaced, file by file
  tagmill erase corp:wm0042 --as li")]
    Erase(EraseArgs),

    /// Copy all that is kept elsewhere: snapshots, plans, definitions; others may read and write meanwhile
    #[command(after_help = "\
A backup holds what was published when it began. In a place with an earlier backup of the same warehouse only what is new
is copied, and what is no longer kept goes. It is complete once `backup.json` is there, which lists every object with its
SHA-256.

Examples:
  tagmill backup /mnt/backup/corp
  tagmill --warehouse s3://bucket/corp --state control.sqlite backup s3://other-bucket/corp")]
    Backup(BackupArgs),

    /// Bring a backup back to where there is no warehouse yet, every object checked by its SHA-256
    #[command(after_help = "\
It goes to where --warehouse says, and its plans to where --state says. A restore that was cut short leaves no warehouse;
doing it again goes on.

Example:
  tagmill --warehouse ./restored restore /mnt/backup/corp")]
    Restore(RestoreArgs),

    /// Ask the warehouse in SQL; nothing can be changed by it
    #[command(after_help = "\
Examples:
  tagmill sql \"SELECT province, count(*) AS customers FROM customer GROUP BY province ORDER BY 2 DESC\"
  tagmill sql -f spend.sql -o spend.parquet --timeout 10m
  tagmill --as-of 3 sql \"SELECT count(*) FROM follow\" --format csv")]
    Sql(SqlArgs),

    /// Count and list the customers that answer a segment's question
    #[command(subcommand)]
    Segment(SegmentCommand),

    /// Cross two dimensions: distinct customers and their shares
    #[command(after_help = "\
Dimensions: group:NAME (a tag group), attribute:COLUMN or the bare column, birth_month, activity_band, spend_band

Examples:
  tagmill crosstab --rows group:来源渠道 --cols activity_band
  tagmill crosstab --rows group:会员等级 --cols birth_month --where segments/quiet.yaml --shares column
  tagmill crosstab --rows province --cols spend_band --format csv")]
    Crosstab(CrosstabArgs),

    /// Hand out the customers of a segment as a file
    #[command(subcommand)]
    Audience(AudienceCommand),

    /// Look through the tags and check their names
    #[command(subcommand)]
    Tag(TagCommand),

    /// Turn segments into computed tags
    #[command(subcommand)]
    Rule(RuleCommand),

    /// Turn an uploaded list of customers into a plan of tags to approve; nothing is changed yet
    #[command(after_help = "\
FILE is CSV (UTF-8, UTF-16 or GB18030) or a workbook (.xlsx). Its first row names the columns: `customer_id`, 客户ID or
外部联系人ID, and where they are there `staff_id` or 员工ID, and `id_space`. A customer may be written SPACE:ID.
Every row is matched, inactive (not in --segment), unmatched, duplicate or rejected; all but the matched are written,
with row and code, to FILE.errors.csv.

Examples:
  tagmill import vips.xlsx --tag 会员等级/VIP
  tagmill import course.csv --column 学员ID --tag 课程/理财入门 --segment active_3_months --errors left_out.csv")]
    Import(ImportArgs),

    /// Find the tags that have outlived their purpose
    #[command(subcommand)]
    Stale(StaleCommand),

    /// Review, approve, carry out and undo what is to change
    #[command(subcommand)]
    Plan(PlanCommand),

    /// Answer over HTTP, for dashboards and notebooks on this machine
    #[command(after_help = "\
Example:
  tagmill serve --listen 127.0.0.1:8080
  curl http://127.0.0.1:8080/api/openapi.json")]
    Serve(ServeArgs),
}

/// Where rows go and in which form.
#[derive(Debug, Clone, Args)]
pub(crate) struct OutputArgs {
    /// Write to this file instead of stdout; it appears when it is complete
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// The form of the rows [default: by the file's ending, else table]
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
}

impl OutputArgs {
    /// Where the rows go.
    pub(crate) fn destination(&self) -> Destination {
        Destination::new(self.output.clone())
    }

    /// The form of the rows: as asked for, else by the file's ending, else a table.
    ///
    /// # Errors
    /// Usage, where a file's ending names no form and none was asked for.
    pub(crate) fn resolved_format(&self) -> anyhow::Result<Format> {
        Format::resolve(self.format, &self.destination())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_may_stand_behind_the_command() {
        let words = ["tagmill", "snapshot", "list", "--warehouse", "w", "--as", "li"];
        let cli = Cli::try_parse_from(words).expect("a command");
        assert_eq!(cli.globals.warehouse, "w");
        assert_eq!(cli.globals.actor.as_deref(), Some("li"));
    }

    #[test]
    fn profile_names_are_those_of_the_option() {
        for profile in [ProfileName::Guide, ProfileName::WecomOfficial] {
            let name = profile.to_possible_value().expect("a visible value");
            assert_eq!(name.get_name(), Profile::from(profile).name());
        }
    }
}

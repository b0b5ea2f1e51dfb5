//! Arguments of the commands that hand answers out: audiences, rules, stale tags, plans, the server, the demo.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{OutputArgs, values};
use crate::output::{Format, ObjectFormat};

/// Where servers listen unless told otherwise.
const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

/// How to run the demo.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// End after the answers instead of serving them
    #[arg(long)]
    pub(crate) no_serve: bool,

    /// Where to serve
    #[arg(long, value_name = "ADDRESS", default_value = DEFAULT_LISTEN, value_parser = values::parse_listen)]
    pub(crate) listen: SocketAddr,
}

/// Where to serve.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The address; only this machine itself can be served for now
    #[arg(long, value_name = "ADDRESS", default_value = DEFAULT_LISTEN, value_parser = values::parse_listen)]
    pub(crate) listen: SocketAddr,

    /// Use at most this much memory for all questions that are answered at once: 512MB, 4GB
    #[arg(long, value_name = "SIZE", default_value = "2GB", value_parser = values::parse_bytes)]
    pub(crate) memory: usize,
}

/// What to do with an audience.
#[derive(Debug, Subcommand)]
pub(crate) enum AudienceCommand {
    /// Write the customers of a segment or audience to FILE, with FILE.manifest.json beside it
    #[command(after_help = "\
Private columns are written as *** unless they are named in --unmask.
In CSV, values that a spreadsheet would run as a formula are defused.

Examples:
  tagmill audience export segments/vip.yaml -o vip.csv
  tagmill audience export segments/vip.yaml -o vip.ndjson --columns customer_id,name,province --unmask name")]
    Export(AudienceExportArgs),
}

/// What to export.
#[derive(Debug, Args)]
pub(crate) struct AudienceExportArgs {
    /// A name in the definitions folder, or a file
    #[arg(value_name = "NAME-or-FILE")]
    pub(crate) audience: String,

    /// The file to write; it appears when it is complete
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// csv, ndjson or parquet [default: by the file's ending]
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,

    /// The columns to write, in order [default: what the audience says]
    #[arg(long, value_name = "COL,…", value_delimiter = ',')]
    pub(crate) columns: Vec<String>,

    /// Private columns to write as they are
    #[arg(long, value_name = "COL,…", value_delimiter = ',')]
    pub(crate) unmask: Vec<String>,
}

/// What to do with a rule.
#[derive(Debug, Subcommand)]
pub(crate) enum RuleCommand {
    /// Work out what a rule would change, as a plan to approve; nothing is changed yet
    #[command(after_help = "Example:\n  tagmill rule run rules/sleeping.yaml\n  tagmill plan show plan-0f3a…")]
    Run(RuleRunArgs),
}

/// Which rule to run.
#[derive(Debug, Args)]
pub(crate) struct RuleRunArgs {
    /// A name in the definitions folder, or a file
    #[arg(value_name = "NAME-or-FILE")]
    pub(crate) rule: String,

    /// `table` for people, `json` for programs
    #[arg(long, value_enum, default_value_t = ObjectFormat::Table)]
    pub(crate) format: ObjectFormat,
}

/// What to do about stale tags.
#[derive(Debug, Subcommand)]
pub(crate) enum StaleCommand {
    /// List old, unused and unread tags: how old, who holds them, who reads them
    #[command(after_help = "\
Examples:
  tagmill stale report
  tagmill --definitions segments stale report -o stale.html    a page to read and to pass on")]
    Report(StaleReportArgs),
}

/// Where the stale-tag report goes.
#[derive(Debug, Args)]
pub(crate) struct StaleReportArgs {
    /// Write FILE.html, a page for people, or FILE.json, the findings for programs
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Without a file: `table` for people, `json` for programs
    #[arg(long, value_enum, default_value_t = ObjectFormat::Table, conflicts_with = "output")]
    pub(crate) format: ObjectFormat,
}

/// What to do with plans.
#[derive(Debug, Subcommand)]
pub(crate) enum PlanCommand {
    /// List the plans, the newest first
    #[command(after_help = "Example:\n  tagmill plan list")]
    List(PlanListArgs),

    /// Show a plan: its steps in numbers, its findings, who agreed, what happened
    #[command(after_help = "Example:\n  tagmill plan show plan-0f3a12bc45de")]
    Show(PlanIdArgs),

    /// Agree to a plan; never possible under its author's name
    #[command(after_help = "Example:\n  tagmill --as wang plan approve plan-0f3a12bc45de")]
    Approve(PlanIdArgs),

    /// Turn a plan down for good
    #[command(after_help = "Example:\n  tagmill --as wang plan reject plan-0f3a12bc45de --reason 'too many customers'")]
    Reject(PlanRejectArgs),

    /// Carry out an approved plan; doing it twice changes nothing more
    #[command(after_help = "Example:\n  tagmill plan execute plan-0f3a12bc45de")]
    Execute(PlanIdArgs),

    /// Make the plan that takes back an executed one
    #[command(after_help = "Example:\n  tagmill plan undo plan-0f3a12bc45de")]
    Undo(PlanIdArgs),
}

/// How to list the plans.
#[derive(Debug, Args)]
pub(crate) struct PlanListArgs {
    /// Where the rows go.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Which plan is meant.
#[derive(Debug, Args)]
pub(crate) struct PlanIdArgs {
    /// The plan's id
    #[arg(value_name = "ID")]
    pub(crate) plan_id: String,

    /// `table` for people, `json` for programs
    #[arg(long, value_enum, default_value_t = ObjectFormat::Table)]
    pub(crate) format: ObjectFormat,
}

/// Which plan is turned down, and why.
#[derive(Debug, Args)]
pub(crate) struct PlanRejectArgs {
    /// The plan's id
    #[arg(value_name = "ID")]
    pub(crate) plan_id: String,

    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

//! Arguments of the commands that ask the warehouse: SQL, segments, cross-tabs, tags.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::{OutputArgs, values};
use crate::output::ObjectFormat;

/// How much time and memory an answer may take.
#[derive(Debug, Clone, Args)]
pub(crate) struct LimitArgs {
    /// Stop after this long: 30s, 5m, 1h
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = values::parse_duration)]
    pub(crate) timeout: Duration,

    /// Use at most this much memory: 512MB, 4GB
    #[arg(long, value_name = "SIZE", default_value = "4GB", value_parser = values::parse_bytes)]
    pub(crate) memory: usize,
}

/// What to ask in SQL.
#[derive(Debug, Args)]
pub(crate) struct SqlArgs {
    /// The SELECT
    #[arg(value_name = "SQL", required_unless_present = "file", conflicts_with = "file")]
    pub(crate) sql: Option<String>,

    /// Read the SELECT from a file; `-` is stdin
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// Where the rows go.
    #[command(flatten)]
    pub(crate) output: OutputArgs,

    /// What the answer may take.
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// What to ask of a segment.
#[derive(Debug, Subcommand)]
pub(crate) enum SegmentCommand {
    /// Check definitions and report every problem at once, with line and column
    #[command(after_help = "Example:\n  tagmill segment validate segments/*.yaml")]
    Validate(SegmentValidateArgs),

    /// Say a segment in English and Chinese, and count each of its conditions
    #[command(after_help = "\
Examples:
  tagmill segment explain segments/vip.yaml          where the customers are lost, condition by condition
  tagmill segment explain segments/vip.yaml --sql    and how each condition is asked")]
    Explain(SegmentExplainArgs),

    /// Count the customers of a segment
    #[command(after_help = "\
Examples:
  tagmill segment count segments/june_cart_no_pay.yaml
  tagmill --definitions segments --as-of 2026-06-30 segment count june_cart_no_pay --format json")]
    Count(SegmentCountArgs),

    /// List the customers of a segment
    #[command(after_help = "\
Examples:
  tagmill segment members segments/vip.yaml --limit 20
  tagmill segment members segments/vip.yaml --columns customer_id,province,member_level -o vip.parquet")]
    Members(SegmentMembersArgs),
}

/// Which definitions to check.
#[derive(Debug, Args)]
pub(crate) struct SegmentValidateArgs {
    /// Names in the definitions folder, or files
    #[arg(value_name = "NAME-or-FILE", required = true)]
    pub(crate) segments: Vec<String>,
}

/// Which segment to explain.
#[derive(Debug, Args)]
pub(crate) struct SegmentExplainArgs {
    /// A name in the definitions folder, or a file
    #[arg(value_name = "NAME-or-FILE")]
    pub(crate) segment: String,

    /// Show the SQL behind each condition
    #[arg(long)]
    pub(crate) sql: bool,

    /// `table` for people, `json` for programs
    #[arg(long, value_enum, default_value_t = ObjectFormat::Table)]
    pub(crate) format: ObjectFormat,

    /// What the answer may take.
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// Which segment to count.
#[derive(Debug, Args)]
pub(crate) struct SegmentCountArgs {
    /// A name in the definitions folder, or a file
    #[arg(value_name = "NAME-or-FILE")]
    pub(crate) segment: String,

    /// `table` for people; `json` prints one object
    #[arg(long, value_enum, default_value_t = ObjectFormat::Table)]
    pub(crate) format: ObjectFormat,

    /// What the answer may take.
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// Which customers to list, and what of them.
#[derive(Debug, Args)]
pub(crate) struct SegmentMembersArgs {
    /// A name in the definitions folder, or a file
    #[arg(value_name = "NAME-or-FILE")]
    pub(crate) segment: String,

    /// The columns of `customer` to list
    #[arg(long, value_name = "COL,…", value_delimiter = ',', default_value = "customer_no,id_space,customer_id")]
    pub(crate) columns: Vec<String>,

    /// List at most this many
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,

    /// Where the rows go.
    #[command(flatten)]
    pub(crate) output: OutputArgs,

    /// What the answer may take.
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// What to cross.
#[derive(Debug, Args)]
pub(crate) struct CrosstabArgs {
    /// The dimension down the side
    #[arg(long, value_name = "DIM")]
    pub(crate) rows: String,

    /// The dimension along the top
    #[arg(long, value_name = "DIM")]
    pub(crate) cols: String,

    /// Only customers of this segment [default: everybody who is followed]
    #[arg(long = "where", value_name = "NAME-or-FILE")]
    pub(crate) segment: Option<String>,

    /// What the shares in a table are taken of
    #[arg(long, value_enum, default_value_t = Shares::Row)]
    pub(crate) shares: Shares,

    /// Where the rows go.
    #[command(flatten)]
    pub(crate) output: OutputArgs,

    /// What the answer may take.
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// What a cell's share is taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shares {
    /// The customers of its row
    Row,
    /// The customers of its column
    Column,
    /// All customers asked about
    All,
}

/// What to see of the tags.
#[derive(Debug, Subcommand)]
pub(crate) enum TagCommand {
    /// List the tags with the number of customers who hold them now
    #[command(after_help = "Examples:\n  tagmill tag list --find vip\n  tagmill --as-of 2 tag list --ended")]
    List(TagListArgs),

    /// Check the names of groups and tags against the policy profile; nothing is rejected by it
    #[command(after_help = "Example:\n  tagmill --profile wecom-official tag lint")]
    Lint(TagLintArgs),
}

/// Which tags to list.
#[derive(Debug, Args)]
pub(crate) struct TagListArgs {
    /// Only tags whose `group/tag` contains this, whatever the case
    #[arg(long, value_name = "TEXT")]
    pub(crate) find: Option<String>,

    /// List tags that are no longer there as well
    #[arg(long)]
    pub(crate) ended: bool,

    /// Where the rows go.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// How to list what the linter finds.
#[derive(Debug, Args)]
pub(crate) struct TagLintArgs {
    /// Where the rows go.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

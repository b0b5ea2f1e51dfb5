//! Arguments of `tagmill erase`.

use clap::Args;

use super::OutputArgs;

/// Whom to erase.
#[derive(Debug, Args)]
pub(crate) struct EraseArgs {
    /// The customer: SPACE:ID, or the bare id where one name space has it
    #[arg(value_name = "CUSTOMER")]
    pub(crate) customer: String,

    /// Say what would be replaced, change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Where the rows go.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

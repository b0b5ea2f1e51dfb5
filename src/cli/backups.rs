//! Arguments of `tagmill backup` and `tagmill restore`.

use clap::Args;

/// Where a backup goes.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The backup: a folder, or a URL such as s3://bucket/backup; empty, or with an earlier backup of the same warehouse
    #[arg(value_name = "DEST")]
    pub(crate) destination: String,
}

/// What is restored.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The backup: a folder, or a URL such as s3://bucket/backup
    #[arg(value_name = "BACKUP")]
    pub(crate) backup: String,
}

//! `tagmill`: the analytics and segmentation warehouse for customer tags in WeCom.
//!
//! The binary reads the command line ([`cli`]), calls the library crates ([`commands`]) and prints ([`output`],
//! [`errors`]).

mod cli;
mod commands;
mod errors;
mod globals;
mod output;

use std::process::ExitCode;

use clap::Parser;
use tagmill_store::leases_given_back;
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    start_log();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => errors::report(&error),
    }
}

fn run(cli: cli::Cli) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let outcome = runtime.block_on(async {
        let outcome = commands::run(cli).await;
        leases_given_back().await;
        outcome
    });
    // A command that has ended waits for nobody.
    runtime.shutdown_background();
    outcome
}

/// Planning a deep question recurses deeply, and more so in an unoptimised build, than a default stack allows.
const STACK_BYTES: usize = 8 * 1024 * 1024;

fn runtime() -> anyhow::Result<Runtime> {
    Ok(Builder::new_multi_thread().enable_all().thread_stack_size(STACK_BYTES).build()?)
}

/// Logs go to stderr; `TAGMILL_LOG` says which, as in `TAGMILL_LOG=tagmill=debug`.
fn start_log() {
    let filter = EnvFilter::try_from_env("TAGMILL_LOG").unwrap_or_else(|_| EnvFilter::new("error,tagmill=warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

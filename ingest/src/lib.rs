#![doc = include_str!("../README.md")]

mod error;
pub mod raw;
mod run;
pub mod sample;
mod source;
mod values;

pub use error::IngestError;
pub use run::report::{FileCount, RunReport, TableCount};
pub use run::{IngestOptions, RunOutcome, run_source};
pub use source::{DeclaredColumn, Mode, SampleSpec, Source, SourceKind, TableSelect};

#![doc = include_str!("../README.md")]

mod arrow_types;
mod assignment_log;
mod control;
mod delta;
pub mod doctor;
mod durable;
mod engine_words;
mod error;
mod ledger;
mod location;
mod lock;
mod parquet_file;
mod provider;
mod publish;
mod recover;
mod retention;
mod snapshot;
mod views;
mod warehouse;

pub use arrow_types::{PRIVATE_KEY, arrow_schema, arrow_type, column_type, money_type, timestamp_type};
pub use assignment_log::{LogOp, LogRow, log_batch};
pub use control::{ControlStore, StoredPlan};
pub use engine_words::engine_words;
pub use error::StoreError;
pub use ledger::{FullReading, LedgerRow, ReadFiles, SourceState, TableFill};
pub use location::Location;
pub use parquet_file::{read_batches, write_batches};
pub use provider::WarehouseTable;
pub use publish::{GuardCount, GuardVerdict, Outcome, Run, RunSummary, Staged, Stager};
pub use retention::{JudgedSnapshot, KeptAs, Ladder, Pruning};
pub use snapshot::Snapshot;
pub use views::{HELD_ASSIGNMENT, TableView, VIEWS};
pub use warehouse::{NewWarehouse, Warehouse};

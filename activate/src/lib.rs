#![doc = include_str!("../README.md")]

mod cells;
mod computed;
mod error;
mod execute;
mod holders;
mod import;
mod lint;
mod plan;
mod rule;
pub mod stale;
mod stale_facts;

pub use computed::ComputedTagSink;
pub use error::ActivateError;
pub use execute::{Execution, SinkOutcome, TagSink, execute_plan, undo_plan};
pub use import::{
    Import, ImportCounts, ImportPlan, LeftOut, RowOutcome, UploadColumns, WhyNot, read_upload, run_import,
};
pub use plan::{approve_plan, reject_plan};
pub use rule::{LoadedRule, RulePlan, load_rule, run_rule};
pub use stale_facts::stale_report;

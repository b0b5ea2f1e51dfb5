#![doc = include_str!("../README.md")]

mod catalog;
mod crosstab;
mod definitions;
pub mod doctor;
mod engine;
mod error;
pub mod export;
mod segment;
mod view;

pub use crosstab::{Crosstab, CrosstabRequest, Dimension};
pub use definitions::{Definitions, LoadedSegment};
pub use engine::{Engine, Limits, Rows};
pub use error::QueryError;
pub use segment::{Evaluation, ExplainedNode, Explanation, SegmentCount};
pub use view::{Access, View};

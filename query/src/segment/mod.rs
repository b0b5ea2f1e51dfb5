//! Segments as typed sets: leaves by SQL, everything above them by set algebra.

mod evaluate;
mod explain;
mod leaves;
pub(crate) mod sets;
pub(crate) mod sql_text;

pub(crate) use leaves::holders;

pub use evaluate::{Evaluation, SegmentCount};
pub use explain::{ExplainedNode, Explanation};

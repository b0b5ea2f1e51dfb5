//! Segments as typed sets: leaves by SQL, everything above them by set algebra.

mod check;
mod evaluate;
mod explain;
mod leaves;
pub(crate) mod sets;
pub(crate) mod sql_text;
mod tags;

pub(crate) use leaves::{holders, refuse_several_currencies};

pub use evaluate::{Evaluation, SegmentCount};
pub use explain::{ExplainedNode, Explanation};

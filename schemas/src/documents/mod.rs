//! The documents around a segment: what is done with its answer.
//!
//! A [`rule`] turns a segment into a tag, an [`audience`] hands its answer out, an [`import`] turns an uploaded list into
//! tags, and a [`plan`] says step by step what will change, who agreed and what happened.

use crate::yaml::{At, Problem, codes};

pub mod audience;
pub mod import;
pub mod plan;
pub mod rule;

/// Reports a key that the documents will have and that has no effect yet.
fn not_supported(at: &At<'_>, what: &str, problems: &mut Vec<Problem>) {
    let message = format!("{what} is not supported yet");
    problems.push(at.problem(codes::NOT_SUPPORTED_YET, message).with_hint("leave it out, so that nobody relies on it"));
}

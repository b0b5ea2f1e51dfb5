//! The segment document: a question whose answer is a set of customers.
//!
//! The tree here is what a document means, free of how it was written: [`parse`] makes it from YAML and reports every
//! problem at once, [`check`] holds it against the tables, [`canonical`] renders and hashes it, and [`sentence`] says it in
//! English and Chinese. How it is answered is the business of `query`.

pub mod canonical;
pub mod check;
pub mod json_schema;
pub mod parse;
pub mod sentence;
pub mod tree;

pub use tree::*;

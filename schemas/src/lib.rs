#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod clock;
pub mod documents;
pub mod error;
pub mod ids;
pub mod policy;
pub mod segment;
pub mod tables;
pub mod tag_name;
mod words;
pub mod yaml;

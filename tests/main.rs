//! The end-to-end tests: the program as its users meet it, on real files, real tables and real processes.
//!
//! One binary, so that it is linked once; its modules mirror the surface. What they share is in [`harness`]. Nothing
//! here needs a network, a fixed port, the clock or the order of the tests. Warehouses that take seconds to build are
//! built once and only read; whoever writes takes a copy.
//!
//! What people read (errors, the demo) is compared with the texts in `tests/snapshots`. After a change that is meant,
//! `INSTA_UPDATE=always cargo test --test it` writes them anew: read the difference as prose.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops on its first surprise")]

mod audience;
mod audience_ranges;
mod backup;
mod buckets;
mod commands;
mod compact;
mod crash;
mod crosstab;
mod demo;
mod doctor;
mod erase;
mod errors;
mod explain;
mod harness;
mod http;
mod identity;
mod import;
mod ingest;
mod late;
mod listing;
mod object_stores;
mod oracle;
mod outside_readers;
mod plans;
mod raw_forms;
mod reading;
mod readme;
mod real_data;
mod retention;
mod rules;
mod segments;
mod soak_store;
mod sql;
mod stale;
mod taxonomy;
mod tidy;
mod two_writers;
mod value_functions;

//! The seeded sample corp: an invented Chinese food brand with its customers, staff, tags and a year of events.
//!
//! It stands in for a WeCom corp wherever nobody has one at hand: in the demo, in tests and in benches. The same seed
//! and size give the same rows for ever, on every machine: nothing here reads a clock, and the random numbers are our
//! own (`random`). Every person, number and order is made up.
//!
//! Three dated pulls tell a small story. The first lists the corp on 2026-09-12 with a year of events behind it; the
//! second, two months later, has new customers, a renamed tag and changed assignments; the third covers Singles' Day
//! 2026 and brings a new tag group. [`SampleCorp::tables`] gives each pull in the columns a source's SELECT would give.
//!
//! Where to look: `people` and `channels` decide who the customers are, `follows` who follows them, `tags` and
//! `taggings` what they are tagged with, `journeys` and `events` what they do, `batches` how it becomes Arrow.

mod batches;
mod channels;
mod corp;
mod days;
mod events;
mod follows;
mod goods;
mod journeys;
mod names;
mod org;
mod people;
mod places;
mod random;
mod taggings;
mod tags;
#[cfg(test)]
mod tests;

pub use corp::{CorpSize, SampleCorp, SamplePull};

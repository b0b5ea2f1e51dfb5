//! The corp as a whole, and what each of its pulls lists.

use chrono::{DateTime, Utc};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::error::ArrowError;

use super::batches;
use super::days::{self, PULLS};
use super::events::{Event, events};
use super::follows::{Follow, follows};
use super::org::Org;
use super::people::{Customer, customers};
use super::taggings::{Held, taggings};
use super::tags::Taxonomy;

/// How big a sample corp is. Follows come to about 1.3 a customer, and there are always 120 tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CorpSize {
    /// How many customers the last pull lists.
    pub customers: usize,
    /// How many events there are in all pulls together. Below about seven a customer there may be some more than asked
    /// for, because what customers set out to do is never cut.
    pub events: usize,
    /// How many members the staff has; at least four.
    pub staff: usize,
}

impl Default for CorpSize {
    /// The demo's size: 20,000 customers, 300,000 events, 40 staff.
    fn default() -> Self {
        Self { customers: 20_000, events: 300_000, staff: 40 }
    }
}

/// One of the dated readings of the sample corp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SamplePull {
    /// Its number, from 0.
    pub pull: usize,
    /// The instant as of which it lists the corp.
    pub taken_at: DateTime<Utc>,
}

/// An invented corp, the same for the same seed and size on every machine.
pub struct SampleCorp {
    org: Org,
    taxonomy: Taxonomy,
    customers: Vec<Customer>,
    follows: Vec<Follow>,
    /// The tags of each follow, in the order of the follows.
    taggings: Vec<Vec<Held>>,
    /// In the order of time.
    events: Vec<Event>,
}

impl SampleCorp {
    /// Invents a corp.
    pub fn new(seed: u64, size: CorpSize) -> Self {
        let org = Org::new(size.staff);
        let taxonomy = Taxonomy::new();
        let customers = customers(seed, size.customers);
        let follows = follows(seed, &customers, &org);
        let taggings = taggings(seed, &taxonomy, &customers, &follows);
        let events = events(seed, &customers, size.events);
        Self { org, taxonomy, customers, follows, taggings, events }
    }

    /// The three pulls, in the order of time.
    pub fn pulls() -> [SamplePull; 3] {
        [0, 1, 2].map(|pull| SamplePull { pull, taken_at: Self::taken_at(pull) })
    }

    /// When a pull was taken: 02:00 in Asia/Shanghai on 2026-09-12, 2026-11-11 and 2026-11-12. Any number above 2 means
    /// the last.
    pub fn taken_at(pull: usize) -> DateTime<Utc> {
        days::as_utc(days::taken_at(pull))
    }

    /// What a pull lists, by table: `customer`, `follow`, `staff`, `department`, `tag_group`, `tag`, `assignment`,
    /// `event`.
    ///
    /// All tables but `event` are full listings as of the pull. `event` has what happened since the pull before, for
    /// the first pull in the year before it. The columns are those that a source fills, with `customer_id` for the
    /// customer; `assignment` has `customer_id`, `staff_id` and `tag_id`, and no time, as in WeCom. Each table has at
    /// least one batch, and no batch has more than 65,536 rows.
    ///
    /// # Errors
    ///
    /// An invalid argument for a pull above 2.
    pub fn tables(&self, pull: usize) -> Result<Vec<(&'static str, Vec<RecordBatch>)>, ArrowError> {
        if pull >= PULLS {
            return Err(ArrowError::InvalidArgumentError(format!("the sample corp has no pull `{pull}`, only 0 to 2")));
        }
        Ok(vec![
            ("customer", batches::customers(&self.customers_in(pull))?),
            ("follow", batches::follows(&self.follows_in(pull), &self.customers, &self.org)?),
            ("staff", batches::staff(&self.org, pull)?),
            ("department", batches::departments()?),
            ("tag_group", batches::tag_groups(pull)?),
            ("tag", batches::tags(&self.taxonomy, pull)?),
            ("assignment", self.assignments(pull)?),
            ("event", batches::events(self.events_in(pull), &self.customers)?),
        ])
    }

    /// The customers known by a pull, with what their follows say about them.
    fn customers_in(&self, pull: usize) -> Vec<ListedCustomer<'_>> {
        let known = self.customers.partition_point(|customer| customer.created_at < days::taken_at(pull));
        let mut listed: Vec<ListedCustomer<'_>> = self.customers[..known]
            .iter()
            .map(|customer| ListedCustomer { customer, lost_at: None, latest_channel: customer.told_channel() })
            .collect();
        for follows in self.follows.chunk_by(|one, next| one.customer == next.customer) {
            let mut present: Vec<&Follow> = follows.iter().filter(|follow| follow.status(pull).is_some()).collect();
            present.sort_by_key(|follow| follow.added_at);
            let Some(latest) = present.last() else { continue };
            let row = &mut listed[latest.customer];
            row.latest_channel = latest.channel.or(row.latest_channel);
            if present.iter().all(|follow| follow.status(pull) == Some("left")) {
                row.lost_at = present.iter().filter_map(|follow| follow.left_at).max();
            }
        }
        listed
    }

    /// The follows a pull lists, each with its status.
    fn follows_in(&self, pull: usize) -> Vec<(&Follow, &'static str)> {
        self.follows.iter().filter_map(|follow| Some((follow, follow.status(pull)?))).collect()
    }

    fn assignments(&self, pull: usize) -> Result<Vec<RecordBatch>, ArrowError> {
        let mut rows = Vec::with_capacity(self.follows.len() * 7);
        for (follow, held) in self.follows.iter().zip(&self.taggings) {
            if follow.status(pull).is_none() {
                continue;
            }
            let customer_id = self.customers[follow.customer].customer_id.as_str();
            let staff_id = self.org.staff[usize::from(follow.staff)].staff_id.as_str();
            for held in held.iter().filter(|held| held.is_listed(pull)) {
                rows.push([customer_id, staff_id, self.taxonomy.tags[usize::from(held.tag)].tag_id.as_str()]);
            }
        }
        batches::assignments(&rows)
    }

    /// The events of a pull: those since the pull before, or in the year before the first.
    fn events_in(&self, pull: usize) -> &[Event] {
        let from = if pull == 0 { days::first_event_at() } else { days::taken_at(pull - 1) };
        let first = self.events.partition_point(|event| event.occurred_at < from);
        let end = self.events.partition_point(|event| event.occurred_at < days::taken_at(pull));
        &self.events[first..end]
    }
}

/// A customer as a pull lists them.
pub(super) struct ListedCustomer<'a> {
    pub customer: &'a Customer,
    pub lost_at: Option<i64>,
    pub latest_channel: Option<&'static str>,
}

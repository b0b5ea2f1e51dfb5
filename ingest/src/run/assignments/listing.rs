//! The rows of a listing, one after the other: what each says of who holds which tag, and what is refused.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, SecondsFormat};
use datafusion::arrow::array::{Array, RecordBatch};

use super::super::conform::{place_of, raw_of};
use super::super::context::{RunContext, Target};
use super::super::keys::cell;
use super::super::listed::unmatched_customer;
use super::super::quarantine::Refusal;
use super::parts::{Parts, Row};
use super::places::Places;
use super::reading::{Columns, ReadRows, Whom};
use super::tag_index::{Found, NewTag, TagIndex};
use crate::error::IngestError;

/// Stands for "no follow" in a key: a customer-level assignment.
pub(super) const NO_FOLLOW: u32 = u32::MAX;

/// Who holds which tag; sorts by customer, so that the log's files do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) customer: u32,
    pub(super) follow: u32,
    pub(super) tag: u32,
}

/// A key with the instant at which the source says the tag was given; `i64::MIN` where it says none.
pub(super) type Held = (Key, i64);

/// The rows of a listing so far.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) tags: TagIndex,
    /// Keys that only rows say which were not taken: they are listed all the same.
    pub(super) listed_too: HashSet<Key>,
    /// Customers of whom a row was not taken, so that the listing may have more of theirs than was understood.
    pub(super) doubtful: BTreeSet<u32>,
    /// The rows that were taken.
    pub(super) rows: Parts,
    /// Where the rows came from.
    pub(super) places: Places,
}

/// What a row says.
enum Said {
    /// Who holds which tag.
    Key(Key),
    /// The customer and the follow that hold a tag which may be made known.
    New(u32, u32, NewTag),
    /// Nothing that can be taken, of a customer if that can be told; with what it may mean.
    Refused { refusal: Refusal, customer: Option<u32>, keys: Vec<Key> },
    /// Not even who or what it is about.
    Unreadable(Refusal),
}

/// A batch with what was read of its rows.
struct Batch<'b> {
    columns: Columns<'b>,
    read: &'b ReadRows,
    /// What each mention of a tag means, as far as that was asked and no tag has been made known since.
    meanings: Vec<Option<Found>>,
}

impl<'b> Batch<'b> {
    fn of(rows: &'b RecordBatch, read: &'b ReadRows) -> Self {
        Self { columns: Columns::of(rows), read, meanings: vec![None; read.mentions.first_rows().len()] }
    }
}

impl Listing {
    pub(super) fn new(tags: TagIndex) -> Self {
        let (rows, places) = (Parts::default(), Places::default());
        Self { tags, listed_too: HashSet::new(), doubtful: BTreeSet::new(), rows, places }
    }

    /// Takes conformed rows in; those that cannot be matched are put into quarantine.
    pub(super) fn take(
        &mut self,
        context: &mut RunContext<'_>,
        rows: &RecordBatch,
        read: &ReadRows,
        target: &mut Target<'_>,
    ) -> Result<(), IngestError> {
        let first = self.places.take(rows)?;
        let mut batch = Batch::of(rows, read);
        for row in 0..rows.num_rows() {
            let key = match self.said(context, &mut batch, row) {
                Said::Key(key) => key,
                Said::New(customer, follow, tag) => {
                    // Words may mean the new tag from here on.
                    batch.meanings.fill(None);
                    Key { customer, follow, tag: self.tags.add(tag) }
                }
                Said::Refused { refusal, customer, keys } => {
                    self.doubtful.extend(customer);
                    self.listed_too.extend(keys);
                    refuse(context, rows, row, refusal)?;
                    continue;
                }
                Said::Unreadable(refusal) => {
                    target.unreadable += 1;
                    refuse(context, rows, row, refusal)?;
                    continue;
                }
            };
            let at = batch.columns.at.filter(|at| !at.is_null(row)).map_or(i64::MIN, |at| at.value(row));
            self.rows.push(Row { key, at, ordinal: first + row as u32 });
        }
        Ok(())
    }

    /// Takes in what rows are about that do not fit the contract and are in quarantine already.
    pub(super) fn take_refused(
        &mut self,
        context: &RunContext<'_>,
        rows: &RecordBatch,
        read: &ReadRows,
        target: &mut Target<'_>,
    ) {
        let mut batch = Batch::of(rows, read);
        for row in 0..rows.num_rows() {
            match self.said(context, &mut batch, row) {
                Said::Key(key) => {
                    self.doubtful.insert(key.customer);
                    self.listed_too.insert(key);
                }
                Said::New(customer, ..) => {
                    self.doubtful.insert(customer);
                }
                Said::Refused { customer, keys, .. } => {
                    self.doubtful.extend(customer);
                    self.listed_too.extend(keys);
                }
                Said::Unreadable(_) => target.unreadable += 1,
            }
        }
    }

    fn said(&self, context: &RunContext<'_>, batch: &mut Batch<'_>, row: usize) -> Said {
        let missing = |what: &str| Said::Unreadable(Refusal::new("MISSING_VALUE", what.to_owned()));
        match (batch.read.whom[row], batch.read.mentions.of_row(row)) {
            (Whom::Untold, _) => missing("`customer_id` is missing"),
            (_, None) => missing("neither `tag_id` nor `group_name` and `tag_name` is given"),
            (Whom::Known { customer, follow }, Some(mention)) => {
                self.said_of(customer, follow, batch, mention as usize, row)
            }
            (Whom::UnknownCustomer, Some(_)) => {
                let id = cell(batch.columns.customer, row).unwrap_or_default();
                Said::Refused { refusal: unmatched_customer(context, id), customer: None, keys: Vec::new() }
            }
            (Whom::UnknownFollow, Some(_)) => {
                let staff = cell(batch.columns.staff, row).unwrap_or_default();
                let reason = format!("`{staff}` is not known to follow this customer");
                let refusal = Refusal::new("UNMATCHED_FOLLOW", reason);
                Said::Refused { refusal, customer: None, keys: Vec::new() }
            }
        }
    }

    /// What a row says of those whom it is about.
    fn said_of(&self, customer: u32, follow: u32, batch: &mut Batch<'_>, mention: usize, row: usize) -> Said {
        let columns = &batch.columns;
        let meant_by = |row: usize| self.tags.find(columns.tag_id(row), columns.tag_named(row));
        let first = batch.read.mentions.first_rows()[mention];
        let found = batch.meanings[mention].get_or_insert_with(|| meant_by(first));
        // A new tag bears the name that its own row gives it, and not that of an earlier one that was refused.
        let of_row;
        let found: &Found = if matches!(found, Found::New(_)) {
            of_row = meant_by(row);
            &of_row
        } else {
            found
        };
        match found {
            Found::Tag(tag) => Said::Key(Key { customer, follow, tag: *tag }),
            Found::New(tag) => Said::New(customer, follow, tag.clone()),
            Found::Refused(refusal, tags) => {
                let keys = tags.iter().map(|tag| Key { customer, follow, tag: *tag }).collect();
                Said::Refused { refusal: refusal.clone(), customer: Some(customer), keys }
            }
            Found::Untold => Said::Unreadable(Refusal::new("MISSING_VALUE", "no tag is given".to_owned())),
        }
    }
}

fn refuse(context: &mut RunContext<'_>, rows: &RecordBatch, row: usize, refusal: Refusal) -> Result<(), IngestError> {
    context.quarantine.add("assignment", &place_of(rows, row), refusal, || raw_of(rows, row))
}

/// Puts a row that says again what another says into quarantine.
pub(super) fn refuse_repeated(
    context: &mut RunContext<'_>,
    places: &Places,
    tags: &TagIndex,
    row: &Row,
    stays: &Row,
) -> Result<(), IngestError> {
    let refusal = match instant(stays.at) {
        Some(later) if stays.at != row.at => {
            let reason = format!("the same tag on the same follow was listed with {later}; the latest stays");
            Refusal::new("KEY_CONFLICT", reason)
        }
        _ => Refusal::new("DUPLICATE", "the same tag on the same follow was listed before".to_owned()),
    };
    context.quarantine.add("assignment", &places.of(row.ordinal), refusal, || {
        let key = row.key;
        let follow = (key.follow != NO_FOLLOW).then_some(key.follow);
        let (customer, tag, assigned_at) = (key.customer, tags.id(key.tag), instant(row.at));
        serde_json::json!({
            "customer_no": customer,
            "follow_no": follow,
            "tag_id": tag,
            "assigned_at": assigned_at,
        })
        .to_string()
    })
}

/// An instant as a reason shows it; `None` for the stand-in of "not told".
fn instant(micros: i64) -> Option<String> {
    let instant = (micros != i64::MIN).then(|| DateTime::from_timestamp_micros(micros)).flatten();
    instant.map(|instant| instant.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

//! The rows of a listing as keys: small numbers that sort by customer, so that a listing of any width fits in memory.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, SecondsFormat};
use datafusion::arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{Int64Type, TimestampMicrosecondType};

use super::super::context::{RunContext, Target};
use super::super::listed::unmatched_customer;
use super::super::quarantine::{Place, Refusal};
use super::tag_index::{Found, NewTag, TagIndex};
use crate::error::IngestError;

/// Stands for "no follow" in a key: a customer-level assignment.
pub(super) const NO_FOLLOW: u32 = u32::MAX;
/// Stands for "no file" in an origin.
const NO_FILE: u32 = u32::MAX;

/// Who holds which tag; sorts by customer, so that the log's files do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) customer: u32,
    pub(super) follow: u32,
    pub(super) tag: u32,
}

/// A key with the instant at which the source says the tag was given; `i64::MIN` where it says none.
pub(super) type Held = (Key, i64);

/// A listed row: what it says, and where it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    held: Held,
    file: u32,
    line: i64,
}

/// The rows of a listing so far.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) tags: TagIndex,
    /// Keys that only rows say which were not taken: they are listed all the same.
    pub(super) listed_too: HashSet<Key>,
    /// Customers of whom a row was not taken, so that the listing may have more of theirs than was understood.
    pub(super) doubtful: BTreeSet<u32>,
    rows: Vec<Row>,
    files: Vec<String>,
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

/// The columns of a batch, looked up once.
struct Columns<'b> {
    customer: Option<&'b StringArray>,
    staff: Option<&'b StringArray>,
    tag: Option<&'b StringArray>,
    group: Option<&'b StringArray>,
    name: Option<&'b StringArray>,
    at: Option<&'b TimestampMicrosecondArray>,
    file: Option<&'b StringArray>,
    line: Option<&'b Int64Array>,
}

impl<'b> Columns<'b> {
    fn of(batch: &'b RecordBatch) -> Self {
        let text = |name: &str| batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        Self {
            customer: text("customer_id"),
            staff: text("staff_id"),
            tag: text("tag_id"),
            group: text("group_name"),
            name: text("tag_name"),
            at: batch.column_by_name("assigned_at").and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>()),
            file: text("_file"),
            line: batch.column_by_name("_line").and_then(|c| c.as_primitive_opt::<Int64Type>()),
        }
    }
}

fn cell(column: Option<&StringArray>, row: usize) -> Option<&str> {
    column.filter(|column| !column.is_null(row)).map(|column| column.value(row))
}

impl Listing {
    pub(super) fn new(tags: TagIndex) -> Self {
        let (rows, files) = (Vec::new(), Vec::new());
        Self { tags, listed_too: HashSet::new(), doubtful: BTreeSet::new(), rows, files }
    }

    /// Takes conformed rows in; those that cannot be matched are put into quarantine.
    pub(super) fn take(
        &mut self,
        context: &mut RunContext<'_>,
        batch: &RecordBatch,
        target: &mut Target<'_>,
    ) -> Result<(), IngestError> {
        let columns = Columns::of(batch);
        self.rows.reserve(batch.num_rows());
        for row in 0..batch.num_rows() {
            let key = match self.read(context, &columns, row) {
                Said::Key(key) => key,
                Said::New(customer, follow, tag) => Key { customer, follow, tag: self.tags.add(tag) },
                Said::Refused { refusal, customer, keys } => {
                    self.doubtful.extend(customer);
                    self.listed_too.extend(keys);
                    refuse(context, batch, row, refusal)?;
                    continue;
                }
                Said::Unreadable(refusal) => {
                    target.unreadable += 1;
                    refuse(context, batch, row, refusal)?;
                    continue;
                }
            };
            let at = columns.at.filter(|at| !at.is_null(row)).map_or(i64::MIN, |at| at.value(row));
            let file = cell(columns.file, row).map_or(NO_FILE, |file| self.file_number(file));
            let line = columns.line.map_or(0, |line| line.value(row));
            self.rows.push(Row { held: (key, at), file, line });
        }
        Ok(())
    }

    /// Takes in what rows are about that do not fit the contract and are in quarantine already.
    pub(super) fn take_refused(&mut self, context: &RunContext<'_>, batch: &RecordBatch, target: &mut Target<'_>) {
        let columns = Columns::of(batch);
        for row in 0..batch.num_rows() {
            match self.read(context, &columns, row) {
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

    /// The sorted keys; repeated rows are put into quarantine, the one that was assigned last stays.
    pub(super) fn finish(
        &mut self,
        context: &mut RunContext<'_>,
        target: &mut Target<'_>,
    ) -> Result<Vec<Held>, IngestError> {
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_unstable();
        let listed = one_each(rows, |row, stays| self.refuse_repeated(context, row, stays))?;
        target.count.accepted = listed.len() as u64;
        Ok(listed)
    }

    fn refuse_repeated(&self, context: &mut RunContext<'_>, row: &Row, stays: &Row) -> Result<(), IngestError> {
        let file = self.files.get(row.file as usize).cloned();
        let place = Place { line: file.as_ref().map(|_| row.line), file };
        let (key, at) = row.held;
        let refusal = match instant(stays.held.1) {
            Some(later) if stays.held.1 != at => {
                let reason = format!("the same tag on the same follow was listed with {later}; the latest stays");
                Refusal::new("KEY_CONFLICT", reason)
            }
            _ => Refusal::new("DUPLICATE", "the same tag on the same follow was listed before".to_owned()),
        };
        context.quarantine.add("assignment", &place, refusal, || {
            let follow = (key.follow != NO_FOLLOW).then_some(key.follow);
            let (customer, tag, assigned_at) = (key.customer, self.tags.id(key.tag), instant(at));
            serde_json::json!({
                "customer_no": customer,
                "follow_no": follow,
                "tag_id": tag,
                "assigned_at": assigned_at,
            })
            .to_string()
        })
    }

    fn file_number(&mut self, file: &str) -> u32 {
        let known = self.files.iter().rposition(|known| known == file);
        let number = known.unwrap_or_else(|| {
            self.files.push(file.to_owned());
            self.files.len() - 1
        });
        // Files are counted in thousands at most.
        number as u32
    }

    fn read(&self, context: &RunContext<'_>, columns: &Columns<'_>, row: usize) -> Said {
        let missing = |what: &str| Said::Unreadable(Refusal::new("MISSING_VALUE", what.to_owned()));
        let Some(id) = cell(columns.customer, row).filter(|id| !id.is_empty()) else {
            return missing("`customer_id` is missing");
        };
        let named = cell(columns.group, row).zip(cell(columns.name, row));
        let found = self.tags.find(cell(columns.tag, row), named);
        if found == Found::Untold {
            return missing("neither `tag_id` nor `group_name` and `tag_name` is given");
        }
        let Some(customer) = context.customers.get(id) else {
            let refusal = unmatched_customer(context, id);
            return Said::Refused { refusal, customer: None, keys: Vec::new() };
        };
        let follow = match cell(columns.staff, row) {
            None => NO_FOLLOW,
            Some(staff) => match context.follows.get(staff, customer) {
                Some(follow) => follow,
                None => {
                    let reason = format!("`{staff}` is not known to follow this customer");
                    let refusal = Refusal::new("UNMATCHED_FOLLOW", reason);
                    return Said::Refused { refusal, customer: None, keys: Vec::new() };
                }
            },
        };
        match found {
            Found::Tag(tag) => Said::Key(Key { customer, follow, tag }),
            Found::New(tag) => Said::New(customer, follow, tag),
            Found::Refused(refusal, tags) => {
                let keys = tags.into_iter().map(|tag| Key { customer, follow, tag }).collect();
                Said::Refused { refusal, customer: Some(customer), keys }
            }
            Found::Untold => missing("no tag is given"),
        }
    }
}

/// One row for each key of sorted rows: the one that was assigned last, and of equal ones the first. Each of the others is
/// handed to `refuse` with a row that outranks it.
fn one_each(
    rows: Vec<Row>,
    mut refuse: impl FnMut(&Row, &Row) -> Result<(), IngestError>,
) -> Result<Vec<Held>, IngestError> {
    let mut listed: Vec<Held> = Vec::with_capacity(rows.len());
    let mut rows = rows.into_iter();
    let Some(mut last) = rows.next() else { return Ok(listed) };
    for row in rows {
        if last.held == row.held {
            refuse(&row, &last)?;
            continue;
        }
        if last.held.0 == row.held.0 {
            refuse(&last, &row)?;
        } else {
            listed.push(last.held);
        }
        last = row;
    }
    listed.push(last.held);
    Ok(listed)
}

/// An instant as a reason shows it; `None` for the stand-in of "not told".
fn instant(micros: i64) -> Option<String> {
    let instant = (micros != i64::MIN).then(|| DateTime::from_timestamp_micros(micros)).flatten();
    instant.map(|instant| instant.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

fn refuse(context: &mut RunContext<'_>, batch: &RecordBatch, row: usize, refusal: Refusal) -> Result<(), IngestError> {
    let place = super::super::conform::place_of(batch, row);
    context.quarantine.add("assignment", &place, refusal, || super::super::conform::raw_of(batch, row))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows by tag, assigned at, line; compares what stays, and the lines that are refused with those that outrank them.
    fn check(rows: &[(u32, i64, i64)], stays: &[(u32, i64)], refused: &[(i64, i64)]) {
        let row = |(tag, at, line): &(u32, i64, i64)| {
            let key = Key { customer: 1, follow: 1, tag: *tag };
            Row { held: (key, *at), file: 0, line: *line }
        };
        let mut rows: Vec<Row> = rows.iter().map(row).collect();
        rows.sort_unstable();
        let mut told = Vec::new();
        let listed = one_each(rows, |row, stays| {
            told.push((row.line, stays.line));
            Ok(())
        });
        let listed: Vec<_> = listed.expect("a listing").iter().map(|(key, at)| (key.tag, *at)).collect();
        assert_eq!((listed.as_slice(), told.as_slice()), (stays, refused));
    }

    #[test]
    fn of_repeated_assignments_the_latest_stays_and_the_others_are_refused_with_their_own_line() {
        check(&[(0, 5, 2), (1, 5, 3)], &[(0, 5), (1, 5)], &[]);
        // Line 3 was assigned later than line 2 and than line 4.
        check(&[(0, 5, 2), (0, 9, 3), (0, i64::MIN, 4)], &[(0, 9)], &[(4, 2), (2, 3)]);
    }

    #[test]
    fn of_equal_assignments_the_first_stays() {
        check(&[(0, 5, 7), (0, 5, 2), (0, 5, 4)], &[(0, 5)], &[(4, 2), (7, 2)]);
    }
}

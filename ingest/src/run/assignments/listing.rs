//! The rows of a listing as keys: small numbers that sort by customer, so that a listing of any width fits in memory.

use std::collections::HashMap;

use datafusion::arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{Int64Type, TimestampMicrosecondType};

use super::super::context::{RunContext, Target};
use super::super::listed::refuse_unmatched;
use super::super::quarantine::{Place, Refusal};
use super::super::tags::made_tag_id;
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

/// Tag ids as small numbers.
#[derive(Debug, Default)]
pub(super) struct TagNumbers {
    by_id: HashMap<Box<str>, u32>,
    pub(super) ids: Vec<Box<str>>,
}

impl TagNumbers {
    pub(super) fn number(&mut self, id: &str) -> u32 {
        if let Some(number) = self.by_id.get(id) {
            return *number;
        }
        // Tags are counted in thousands.
        let number = self.ids.len() as u32;
        self.by_id.insert(id.into(), number);
        self.ids.push(id.into());
        number
    }
}

/// A listed row: what it says, and where it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    held: Held,
    file: u32,
    line: i64,
}

/// The rows of a listing so far.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) tags: TagNumbers,
    rows: Vec<Row>,
    files: Vec<String>,
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
    /// Takes conformed rows in; unmatched ones are put into quarantine.
    pub(super) fn take(&mut self, context: &mut RunContext<'_>, batch: &RecordBatch) -> Result<(), IngestError> {
        let columns = Columns::of(batch);
        self.rows.reserve(batch.num_rows());
        for row in 0..batch.num_rows() {
            let Some(key) = self.key(context, batch, &columns, row)? else { continue };
            let at = columns.at.filter(|at| !at.is_null(row)).map_or(i64::MIN, |at| at.value(row));
            let file = cell(columns.file, row).map_or(NO_FILE, |file| self.file_number(file));
            let line = columns.line.map_or(0, |line| line.value(row));
            self.rows.push(Row { held: (key, at), file, line });
        }
        Ok(())
    }

    /// The sorted keys; repeated rows are put into quarantine, the latest of them stays.
    pub(super) fn finish(
        &mut self,
        context: &mut RunContext<'_>,
        target: &mut Target<'_>,
    ) -> Result<Vec<Held>, IngestError> {
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_unstable();
        let mut listed: Vec<Held> = Vec::with_capacity(rows.len());
        for row in rows {
            let (key, at) = row.held;
            match listed.last_mut() {
                Some((last, last_at)) if *last == key => {
                    *last_at = at;
                    self.refuse_repeated(context, &row)?;
                }
                _ => listed.push((key, at)),
            }
        }
        target.count.accepted = listed.len() as u64;
        Ok(listed)
    }

    fn refuse_repeated(&self, context: &mut RunContext<'_>, row: &Row) -> Result<(), IngestError> {
        let file = self.files.get(row.file as usize).cloned();
        let place = Place { line: file.as_ref().map(|_| row.line), file };
        let refusal = Refusal::new("DUPLICATE", "the same tag on the same follow was listed before".to_owned());
        let key = row.held.0;
        context.quarantine.add("assignment", &place, refusal, || {
            let follow = (key.follow != NO_FOLLOW).then_some(key.follow);
            let tag = &self.tags.ids[key.tag as usize];
            serde_json::json!({ "customer_no": key.customer, "follow_no": follow, "tag_id": tag }).to_string()
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

    /// The key of a row; `None` where it was put into quarantine.
    fn key(
        &mut self,
        context: &mut RunContext<'_>,
        batch: &RecordBatch,
        columns: &Columns<'_>,
        row: usize,
    ) -> Result<Option<Key>, IngestError> {
        let Some(customer) = context.customers.get(cell(columns.customer, row).unwrap_or_default()) else {
            refuse_unmatched(context, batch, "assignment", row)?;
            return Ok(None);
        };
        let follow = match cell(columns.staff, row) {
            None => NO_FOLLOW,
            Some(staff) => match context.follows.get(staff, customer) {
                Some(follow) => follow,
                None => {
                    let reason = format!("`{staff}` is not known to follow this customer");
                    refuse(context, batch, row, Refusal::new("UNMATCHED_FOLLOW", reason))?;
                    return Ok(None);
                }
            },
        };
        let named = cell(columns.group, row).zip(cell(columns.name, row));
        let tag = match (cell(columns.tag, row), named) {
            (Some(id), _) => self.tags.number(id),
            (None, Some((group, name))) => self.tags.number(&made_tag_id(&context.source.name, group, name)),
            (None, None) => {
                let reason = "neither `tag_id` nor `group_name` and `tag_name` is given".to_owned();
                refuse(context, batch, row, Refusal::new("MISSING_VALUE", reason))?;
                return Ok(None);
            }
        };
        Ok(Some(Key { customer, follow, tag }))
    }
}

fn refuse(context: &mut RunContext<'_>, batch: &RecordBatch, row: usize, refusal: Refusal) -> Result<(), IngestError> {
    let place = super::super::conform::place_of(batch, row);
    context.quarantine.add("assignment", &place, refusal, || super::super::conform::raw_of(batch, row))
}

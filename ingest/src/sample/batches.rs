//! The rows of a pull as Arrow batches: the columns a source's SELECT would give, in the types of the contracts.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use datafusion::arrow::error::ArrowError;

use super::corp::ListedCustomer;
use super::days::PULLS;
use super::events::Event;
use super::follows::Follow;
use super::org::{DEPARTMENTS, Org};
use super::people::Customer;
use super::tags::{GROUPS, Group, Tag, Taxonomy, group_id};

/// The most rows in one batch.
const MAX_ROWS: usize = 65_536;

/// The named columns of one batch.
type Columns = Vec<(&'static str, ArrayRef)>;

/// Customers.
pub(super) fn customers(rows: &[ListedCustomer<'_>]) -> Result<Vec<RecordBatch>, ArrowError> {
    batches(rows, |rows| {
        let each = || rows.iter().map(|row| row.customer);
        Ok(vec![
            ("customer_id", text(each().map(|row| Some(row.customer_id.as_str())))),
            ("name", text(each().map(|row| Some(row.name.as_str())))),
            ("kind", text(each().map(|row| Some(row.kind)))),
            ("gender", text(each().map(|row| row.gender))),
            ("birth_year", small(each().map(|row| row.birth.year))),
            ("birth_month", small(each().map(|row| row.birth.month))),
            ("birth_day", small(each().map(|row| row.birth.day))),
            ("province", text(each().map(|row| row.province.map(|province| province.name)))),
            ("city", text(each().map(|row| row.city))),
            ("member_level", text(each().map(Customer::told_level))),
            ("first_channel", text(each().map(Customer::told_channel))),
            ("latest_channel", text(rows.iter().map(|row| row.latest_channel))),
            ("created_at", instant(each().map(|row| Some(row.created_at)))),
            ("lost_at", instant(rows.iter().map(|row| row.lost_at))),
            ("unionid", text(each().map(|row| row.unionid.as_deref()))),
            ("mobile", text(each().map(|row| row.mobile.as_deref()))),
        ])
    })
}

/// Follows with their statuses.
pub(super) fn follows(
    rows: &[(&Follow, &'static str)],
    customers: &[Customer],
    org: &Org,
) -> Result<Vec<RecordBatch>, ArrowError> {
    batches(rows, |rows| {
        let each = || rows.iter().map(|(follow, _)| *follow);
        Ok(vec![
            ("customer_id", text(each().map(|row| Some(customers[row.customer].customer_id.as_str())))),
            ("staff_id", text(each().map(|row| Some(org.staff[usize::from(row.staff)].staff_id.as_str())))),
            ("added_at", instant(each().map(|row| Some(row.added_at)))),
            ("add_way", text(each().map(|row| Some(row.add_way)))),
            ("state", text(each().map(|row| row.state.as_deref()))),
            ("channel", text(each().map(|row| row.channel))),
            ("remark", text(each().map(|row| row.remark.as_deref()))),
            ("status", text(rows.iter().map(|(_, status)| Some(*status)))),
        ])
    })
}

/// The staff as of a pull: by the last one the member who came last has left the company.
pub(super) fn staff(org: &Org, pull: usize) -> Result<Vec<RecordBatch>, ArrowError> {
    let leaver = if pull + 1 == PULLS { org.staff.last().map(|row| row.staff_id.as_str()) } else { None };
    batches(&org.staff, |rows| {
        Ok(vec![
            ("staff_id", text(rows.iter().map(|row| Some(row.staff_id.as_str())))),
            ("name", text(rows.iter().map(|row| Some(row.name.as_str())))),
            ("department_id", text(rows.iter().map(|row| Some(DEPARTMENTS[row.department].department_id)))),
            ("is_active", flag(rows.iter().map(|row| Some(leaver != Some(row.staff_id.as_str()))))),
        ])
    })
}

/// The departments, the same in every pull.
pub(super) fn departments() -> Result<Vec<RecordBatch>, ArrowError> {
    batches(&DEPARTMENTS, |rows| {
        Ok(vec![
            ("department_id", text(rows.iter().map(|row| Some(row.department_id)))),
            ("parent_department_id", text(rows.iter().map(|row| row.parent_department_id))),
            ("name", text(rows.iter().map(|row| Some(row.name)))),
        ])
    })
}

/// The tag groups a pull lists. What we compute ourselves is not known upstream.
pub(super) fn tag_groups(pull: usize) -> Result<Vec<RecordBatch>, ArrowError> {
    let listed: Vec<(String, &Group)> = GROUPS
        .iter()
        .enumerate()
        .filter(|(_, group)| group.first_pull <= pull)
        .map(|(index, group)| (group_id(index), group))
        .collect();
    batches(&listed, |rows| {
        let upstream = rows.iter().map(|(id, group)| (group.kind != "computed").then_some(id.as_str()));
        Ok(vec![
            ("upstream_id", text(upstream)),
            ("group_name", text(rows.iter().map(|(_, group)| Some(group.name)))),
            ("kind", text(rows.iter().map(|(_, group)| Some(group.kind)))),
        ])
    })
}

/// The tags a pull lists, under the names they have by then.
pub(super) fn tags(taxonomy: &Taxonomy, pull: usize) -> Result<Vec<RecordBatch>, ArrowError> {
    let listed: Vec<&Tag> = taxonomy.tags.iter().filter(|tag| tag.group.first_pull <= pull).collect();
    batches(&listed, |rows| {
        let upstream = rows.iter().map(|tag| (tag.group.kind != "computed").then_some(tag.tag_id.as_str()));
        let class = rows.iter().map(|tag| Some(if tag.is_temporary() { "temporary" } else { "long_term" }));
        Ok(vec![
            ("tag_id", text(rows.iter().map(|tag| Some(tag.tag_id.as_str())))),
            ("upstream_id", text(upstream)),
            ("group_name", text(rows.iter().map(|tag| Some(tag.group.name)))),
            ("tag_name", text(rows.iter().map(|tag| Some(tag.name(pull))))),
            ("parent_tag_id", text(rows.iter().map(|tag| tag.parent_tag_id.as_deref()))),
            ("kind", text(rows.iter().map(|tag| Some(tag.group.kind)))),
            ("class", text(class)),
            ("created_at", instant(rows.iter().map(|tag| Some(tag.created_at())))),
            ("is_protected", flag(rows.iter().map(|tag| Some(tag.group.is_protected)))),
            ("valid_until", instant(rows.iter().map(|tag| tag.valid_until()))),
            ("may_mark", flag(rows.iter().map(|tag| Some(tag.spec.may_mark)))),
            ("may_edit_definition", flag(rows.iter().map(|tag| Some(!tag.group.is_protected)))),
        ])
    })
}

/// Assignments from rows of customer id, staff id and tag id.
pub(super) fn assignments(rows: &[[&str; 3]]) -> Result<Vec<RecordBatch>, ArrowError> {
    batches(rows, |rows| {
        Ok(vec![
            ("customer_id", text(rows.iter().map(|row| Some(row[0])))),
            ("staff_id", text(rows.iter().map(|row| Some(row[1])))),
            ("tag_id", text(rows.iter().map(|row| Some(row[2])))),
        ])
    })
}

/// Events, in the order they come in.
pub(super) fn events(rows: &[Event], customers: &[Customer]) -> Result<Vec<RecordBatch>, ArrowError> {
    batches(rows, |rows| {
        Ok(vec![
            ("event_id", text(rows.iter().map(|row| Some(format!("ev{:08}", row.number))))),
            ("customer_id", text(rows.iter().map(|row| Some(customers[row.customer].customer_id.as_str())))),
            ("type", text(rows.iter().map(|row| Some(row.event_type.name())))),
            ("occurred_at", instant(rows.iter().map(|row| Some(row.occurred_at)))),
            ("channel", text(rows.iter().map(|row| row.channel))),
            ("amount", money_from_fen(rows.iter().map(|row| row.amount_fen))?),
            ("currency", text(rows.iter().map(|row| row.amount_fen.map(|_| "CNY")))),
            ("duration_seconds", large(rows.iter().map(|row| row.duration_seconds))),
            ("ref", text(rows.iter().map(|row| row.reference))),
        ])
    })
}

/// Cuts rows into batches; no rows give one empty batch, so that the columns are known all the same.
fn batches<T>(
    rows: &[T],
    columns: impl Fn(&[T]) -> Result<Columns, ArrowError>,
) -> Result<Vec<RecordBatch>, ArrowError> {
    if rows.is_empty() {
        return Ok(vec![batch(columns(rows)?)?]);
    }
    rows.chunks(MAX_ROWS).map(|chunk| batch(columns(chunk)?)).collect()
}

/// Every column may be missing as far as Arrow is concerned, so that all batches of a table have one schema.
fn batch(columns: Columns) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
}

fn text<S: AsRef<str>>(values: impl Iterator<Item = Option<S>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn instant(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

fn small(values: impl Iterator<Item = Option<i32>>) -> ArrayRef {
    Arc::new(values.collect::<Int32Array>())
}

fn large(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<Int64Array>())
}

fn flag(values: impl Iterator<Item = Option<bool>>) -> ArrayRef {
    Arc::new(values.collect::<BooleanArray>())
}

/// Money in yuan with four decimals, from 分.
fn money_from_fen(values: impl Iterator<Item = Option<i64>>) -> Result<ArrayRef, ArrowError> {
    let units = values.map(|fen| fen.map(|fen| i128::from(fen) * 100));
    Ok(Arc::new(units.collect::<Decimal128Array>().with_precision_and_scale(18, 4)?))
}

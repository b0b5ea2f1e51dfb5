//! Holding mapped rows against a table's contract: what does not fit costs one row, and is told with its place.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, TimestampMicrosecondArray, new_null_array};
use datafusion::arrow::compute::{CastOptions, cast_with_options, filter_record_batch};
use datafusion::arrow::datatypes::{DataType, Field, Schema, TimeUnit, TimestampMicrosecondType};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::array_value_to_string;
use tagmill_schemas::clock::BusinessZone;
use tagmill_store::timestamp_type;

use super::quarantine::{Place, Quarantine, Refusal};
use super::targets::InputColumn;
use crate::error::IngestError;

/// The columns that carry a row's place through a row-wise SELECT.
pub(crate) const LINEAGE: [&str; 3] = ["_file", "_line", "_raw"];

/// Holds batches of one SELECT against the columns of its target.
pub(crate) struct Conformer {
    table: String,
    columns: Vec<InputColumn>,
    zone: BusinessZone,
}

impl Conformer {
    /// `columns` are those that the SELECT gives, in the order of the target.
    pub(crate) fn new(table: &str, columns: Vec<InputColumn>, zone: BusinessZone) -> Self {
        Self { table: table.to_owned(), columns, zone }
    }

    /// Casts a batch, puts rows that do not fit into quarantine, and returns the others: the target's columns, then the
    /// lineage columns that the batch carries.
    pub(crate) fn conform(&self, batch: &RecordBatch, quarantine: &mut Quarantine) -> Result<RecordBatch, IngestError> {
        let mut fields = Vec::new();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        let mut refused: Vec<Option<Refusal>> = vec![None; batch.num_rows()];
        for column in &self.columns {
            let given = batch.column_by_name(&column.name).cloned();
            let given = given.unwrap_or_else(|| new_null_array(&DataType::Utf8, batch.num_rows()));
            let cast = cast_column(&given, &column.ty, self.zone).map_err(IngestError::internal)?;
            judge(column, &given, &cast, &mut refused);
            fields.push(Field::new(&column.name, column.ty.clone(), true));
            arrays.push(cast);
        }
        for name in LINEAGE {
            if let Some(array) = batch.column_by_name(name) {
                fields.push(Field::new(name, array.data_type().clone(), true));
                arrays.push(array.clone());
            }
        }
        let typed = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(IngestError::internal)?;
        if refused.iter().all(Option::is_none) {
            return Ok(typed);
        }
        for (row, refusal) in refused.iter().enumerate() {
            if let Some(refusal) = refusal {
                quarantine.add(&self.table, &place_of(batch, row), refusal.clone(), || raw_of(batch, row))?;
            }
        }
        let kept: BooleanArray = refused.iter().map(|refusal| Some(refusal.is_none())).collect();
        filter_record_batch(&typed, &kept).map_err(IngestError::internal)
    }
}

/// Notes the first thing that is wrong with each row of a column.
fn judge(column: &InputColumn, given: &ArrayRef, cast: &ArrayRef, refused: &mut [Option<Refusal>]) {
    let is_whole = cast.null_count() == given.null_count();
    if is_whole && !column.is_needed {
        return;
    }
    for (row, refusal) in refused.iter_mut().enumerate().filter(|(_, refusal)| refusal.is_none()) {
        if given.is_null(row) || is_empty_text(cast, row) {
            if column.is_needed {
                *refusal = Some(Refusal::new("MISSING_VALUE", format!("`{}` is missing", column.name)));
            }
        } else if cast.is_null(row) {
            let value = array_value_to_string(given, row).unwrap_or_default();
            let shown: String = value.chars().take(80).collect();
            // Reasons are public, private columns are not; the raw row, which is private too, keeps the value.
            let shown = if column.is_private { "the value".to_owned() } else { format!("`{shown}`") };
            let reason = format!("{shown} is no {} for `{}`", type_word(&column.ty), column.name);
            *refusal = Some(Refusal::new("BAD_VALUE", reason));
        }
    }
}

fn is_empty_text(array: &ArrayRef, row: usize) -> bool {
    array.as_string_opt::<i32>().is_some_and(|texts| !texts.is_null(row) && texts.value(row).is_empty())
}

fn type_word(ty: &DataType) -> &'static str {
    match ty {
        DataType::Int32 | DataType::Int64 => "whole number",
        DataType::Decimal128(..) => "amount with at most 14 digits before the point",
        DataType::Timestamp(..) => "time",
        DataType::Date32 => "day",
        DataType::Boolean => "true or false",
        _ => "text",
    }
}

/// Where a mapped row came from; nothing where its SELECT is not row-wise.
pub(crate) fn place_of(batch: &RecordBatch, row: usize) -> Place {
    let text = |name: &str| {
        let array = batch.column_by_name(name).filter(|array| !array.is_null(row))?;
        array_value_to_string(array, row).ok()
    };
    Place { file: text("_file"), line: text("_line").and_then(|line| line.parse().ok()) }
}

/// A row as it came: its raw text where the batch carries it, else its mapped values as JSON.
pub(crate) fn raw_of(batch: &RecordBatch, row: usize) -> String {
    if let Some(raw) = batch.column_by_name("_raw").filter(|raw| !raw.is_null(row)) {
        return array_value_to_string(raw, row).unwrap_or_default();
    }
    let mut object = serde_json::Map::new();
    for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
        if !field.name().starts_with('_') && !array.is_null(row) {
            object.insert(field.name().clone(), array_value_to_string(array, row).unwrap_or_default().into());
        }
    }
    serde_json::Value::Object(object).to_string()
}

/// Casts a column; a value that does not fit becomes NULL.
fn cast_column(
    array: &ArrayRef,
    ty: &DataType,
    zone: BusinessZone,
) -> Result<ArrayRef, datafusion::arrow::error::ArrowError> {
    let options = CastOptions { safe: true, ..CastOptions::default() };
    if *ty == timestamp_type() {
        return match array.data_type() {
            DataType::Timestamp(_, Some(_)) => cast_with_options(array, ty, &options),
            DataType::Timestamp(_, None) | DataType::Date32 | DataType::Date64 => {
                let naive = cast_with_options(array, &DataType::Timestamp(TimeUnit::Microsecond, None), &options)?;
                Ok(localised(&naive, zone))
            }
            _ => {
                let texts = cast_with_options(array, &DataType::Utf8, &options)?;
                let parsed = texts.as_string::<i32>().iter().map(|text| text.and_then(|text| parse_time(text, zone)));
                Ok(micros(parsed))
            }
        };
    }
    // Text in other guises (views, dictionaries, large text) becomes plain text first, so that one cast serves all.
    let plain = match array.data_type() {
        DataType::Utf8View | DataType::LargeUtf8 | DataType::Dictionary(..) => {
            cast_with_options(array, &DataType::Utf8, &options)?
        }
        _ => array.clone(),
    };
    if plain.data_type() == ty { Ok(plain) } else { cast_with_options(&plain, ty, &options) }
}

fn localised(naive: &ArrayRef, zone: BusinessZone) -> ArrayRef {
    let values = naive.as_primitive::<TimestampMicrosecondType>();
    micros(values.iter().map(|value| {
        let local = DateTime::from_timestamp_micros(value?)?.naive_utc();
        Some(zone.instant_of(local))
    }))
}

fn micros(instants: impl Iterator<Item = Option<DateTime<Utc>>>) -> ArrayRef {
    let values: TimestampMicrosecondArray =
        instants.map(|instant| instant.map(|instant| instant.timestamp_micros())).collect();
    Arc::new(values.with_timezone("UTC"))
}

/// Reads a time: with an offset as it stands, without one as a local time of the zone.
fn parse_time(text: &str, zone: BusinessZone) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Some(instant.with_timezone(&Utc));
    }
    for format in ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M"] {
        if let Ok(local) = NaiveDateTime::parse_from_str(text, format) {
            return Some(zone.instant_of(local));
        }
    }
    if let Ok(instant) = DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%:z") {
        return Some(instant.with_timezone(&Utc));
    }
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(zone.instant_of(day.and_time(NaiveTime::MIN)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let zone = BusinessZone::parse("Europe/London").expect("a zone");
        assert_eq!(parse_time(text, zone).map(|instant| instant.to_rfc3339()).as_deref(), expected, "{text}");
    }

    #[test]
    fn times_without_an_offset_are_local_and_summer_time_counts() {
        check("2011-06-01 08:26:00", Some("2011-06-01T07:26:00+00:00"));
        check("2010-12-01 08:26", Some("2010-12-01T08:26:00+00:00"));
        check("2010-12-01T08:26:00+08:00", Some("2010-12-01T00:26:00+00:00"));
        check("2011-02-30 00:00:00", None);
        check("soon", None);
    }
}

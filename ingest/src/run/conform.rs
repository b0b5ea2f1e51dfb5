//! Holding mapped rows against a table's contract: what does not fit costs one row, and is told with its place.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, TimestampMicrosecondArray, new_null_array,
};
use datafusion::arrow::compute::{CastOptions, cast_with_options, filter_record_batch};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Field, Int32Type, Int64Type, Schema, TimeUnit, TimestampMicrosecondType,
};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::array_value_to_string;
use tagmill_schemas::clock::BusinessZone;
use tagmill_schemas::tables::{Domain, contract};
use tagmill_store::timestamp_type;

use super::exact;
use super::quarantine::{Place, Quarantine, Refusal};
use super::targets::InputColumn;
use crate::error::IngestError;
use crate::values;

/// The columns that carry a row's place through a row-wise SELECT.
pub(crate) const LINEAGE: [&str; 3] = ["_file", "_line", "_raw"];

/// A batch held against a contract. Both parts have the same columns: the target's, then the lineage columns that the
/// batch carries.
pub(crate) struct Conformed {
    /// The rows that fit.
    pub(crate) rows: RecordBatch,
    /// The rows that do not and are in quarantine; a value of another type is NULL in them. Their keys say what is there
    /// all the same.
    pub(crate) refused: RecordBatch,
}

/// Holds batches of one SELECT against the columns of its target.
pub(crate) struct Conformer {
    table: String,
    columns: Vec<(InputColumn, Option<Domain>)>,
    zone: BusinessZone,
}

impl Conformer {
    /// `columns` are those that the SELECT gives, in the order of the target.
    pub(crate) fn new(table: &str, columns: Vec<InputColumn>, zone: BusinessZone) -> Self {
        let declared = |name: &str| contract(table).and_then(|table| table.column(name));
        let columns = columns.into_iter().map(|column| {
            let domain = declared(&column.name).and_then(|declared| declared.domain);
            (column, domain)
        });
        Self { table: table.to_owned(), columns: columns.collect(), zone }
    }

    /// Casts a batch and puts rows that do not fit into quarantine.
    pub(crate) fn conform(&self, batch: &RecordBatch, quarantine: &mut Quarantine) -> Result<Conformed, IngestError> {
        let mut fields = Vec::new();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        let mut refused: Vec<Option<Refusal>> = vec![None; batch.num_rows()];
        for (column, domain) in &self.columns {
            let given = given_column(batch, column);
            let cast = cast_column(&given, &column.ty, self.zone).map_err(IngestError::internal)?;
            let changed = exact::changed(&given, &cast).map_err(IngestError::internal)?;
            Judge { column, domain: *domain, given: &given, cast: &cast, changed }.judge(&mut refused);
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
            let refused = typed.slice(0, 0);
            return Ok(Conformed { rows: typed, refused });
        }
        for (row, refusal) in refused.iter().enumerate() {
            if let Some(refusal) = refusal {
                quarantine.add(&self.table, &place_of(batch, row), refusal.clone(), || raw_of(batch, row))?;
            }
        }
        let picked = |is_refused: bool| {
            let rows: BooleanArray = refused.iter().map(|refusal| Some(refusal.is_some() == is_refused)).collect();
            filter_record_batch(&typed, &rows).map_err(IngestError::internal)
        };
        Ok(Conformed { rows: picked(false)?, refused: picked(true)? })
    }
}

/// A column as it was given. `NULL AS x` has a type of its own, whose rows do not say that they are NULL; what was not
/// given is missing in every row.
fn given_column(batch: &RecordBatch, column: &InputColumn) -> ArrayRef {
    let given = batch.column_by_name(&column.name).filter(|given| *given.data_type() != DataType::Null);
    given.cloned().unwrap_or_else(|| new_null_array(&column.ty, batch.num_rows()))
}

/// Judges the rows of one column.
struct Judge<'c> {
    column: &'c InputColumn,
    domain: Option<Domain>,
    given: &'c ArrayRef,
    cast: &'c ArrayRef,
    /// The rows whose value the cast changed.
    changed: Option<BooleanArray>,
}

impl Judge<'_> {
    /// Notes the first thing that is wrong with each row.
    fn judge(&self, refused: &mut [Option<Refusal>]) {
        let is_whole = self.cast.null_count() == self.given.null_count() && self.changed.is_none();
        if is_whole && !self.column.is_needed && self.domain.is_none() {
            return;
        }
        for (row, refusal) in refused.iter_mut().enumerate().filter(|(_, refusal)| refusal.is_none()) {
            let is_null = self.given.is_null(row);
            if self.column.is_needed && (is_null || is_empty_text(self.cast, row)) {
                *refusal = Some(Refusal::new("MISSING_VALUE", format!("`{}` is missing", self.column.name)));
            } else if !is_null {
                *refusal = self.fault(row).map(|reason| Refusal::new("BAD_VALUE", reason));
            }
        }
    }

    /// What is wrong with a value that is there.
    fn fault(&self, row: usize) -> Option<String> {
        let name = &self.column.name;
        if self.cast.is_null(row) {
            return Some(format!("{} is no {} for `{name}`", self.shown(row), type_word(&self.column.ty)));
        }
        if self.changed.as_ref().is_some_and(|changed| changed.value(row)) {
            return Some(match self.column.ty {
                DataType::Decimal128(_, scale) => {
                    format!("{} has more than {scale} places after the point for `{name}`", self.shown(row))
                }
                _ => format!("{} is no {} for `{name}`", self.shown(row), type_word(&self.column.ty)),
            });
        }
        let domain = self.domain.filter(|domain| !is_within(*domain, self.cast, row))?;
        Some(format!("{} is no value for `{name}`, which takes {}", self.shown(row), domain.describe()))
    }

    fn shown(&self, row: usize) -> String {
        // Reasons are public, private columns are not; the raw row, which is private too, keeps the value.
        if self.column.is_private {
            return "the value".to_owned();
        }
        let value = array_value_to_string(self.given, row).unwrap_or_default();
        format!("`{}`", value.chars().take(80).collect::<String>())
    }
}

fn is_within(domain: Domain, cast: &ArrayRef, row: usize) -> bool {
    match cast.data_type() {
        DataType::Utf8 => domain.holds_word(cast.as_string::<i32>().value(row)),
        DataType::Int32 => domain.holds_number(i64::from(cast.as_primitive::<Int32Type>().value(row))),
        DataType::Int64 => domain.holds_number(cast.as_primitive::<Int64Type>().value(row)),
        _ => true,
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
        let is_missing = array.is_null(row) || *array.data_type() == DataType::Null;
        if !field.name().starts_with('_') && !is_missing {
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
    if let (DataType::Date32, Some(texts)) = (ty, plain.as_string_opt::<i32>()) {
        let days = texts.iter().map(|text| parse_day(text?, zone).map(Date32Type::from_naive_date));
        return Ok(Arc::new(days.collect::<Date32Array>()));
    }
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
    let local = values::parse_time(text).map(|local| zone.instant_of(local));
    local.or_else(|| parse_instant(text))
}

/// Reads a day; that of a time with an offset is the one on which it falls in the zone.
fn parse_day(text: &str, zone: BusinessZone) -> Option<NaiveDate> {
    values::parse_date(text).or_else(|| parse_instant(text).map(|instant| zone.day_of(instant)))
}

/// Reads a time that has an offset.
fn parse_instant(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let found = DateTime::parse_from_rfc3339(text);
    let found = found.or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%:z"));
    found.ok().map(|instant| instant.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{NullArray, StringArray};
    use tagmill_schemas::ids::SnapshotId;

    use super::super::targets::input_columns;
    use super::*;

    /// Conforms text columns (none: `NULL AS …`); returns what became of the rows, and the codes of the refused ones.
    fn conformed(table: &str, columns: &[(&str, Option<&[&str]>)]) -> (Conformed, Vec<(&'static str, u64)>) {
        let rows = columns.iter().find_map(|(_, values)| *values).map_or(0, <[&str]>::len);
        let arrays = columns.iter().map(|(name, values)| {
            let array: ArrayRef = match values {
                Some(values) => Arc::new(StringArray::from(values.to_vec())),
                None => Arc::new(NullArray::new(rows)),
            };
            (*name, array, true)
        });
        let batch = RecordBatch::try_from_iter_with_nullable(arrays).expect("a batch");
        let is_given = |column: &InputColumn| columns.iter().any(|(name, _)| *name == column.name);
        let inputs = input_columns(table, &[]).into_iter().filter(is_given).collect();
        let mut quarantine = Quarantine::new("shop", SnapshotId(1), None);
        let conformer = Conformer::new(table, inputs, BusinessZone::default());
        let conformed = conformer.conform(&batch, &mut quarantine).expect("conformed");
        (conformed, quarantine.counts().iter().map(|(_, code, count)| (*code, *count)).collect())
    }

    fn texts(batch: &RecordBatch, column: &str) -> Vec<String> {
        let texts = batch.column_by_name(column).expect(column).as_string::<i32>();
        texts.iter().map(|text| text.unwrap_or("-").to_owned()).collect()
    }

    #[test]
    fn a_refused_row_keeps_its_key() {
        let ids: &[&str] = &["t1", "t2", "t3"];
        let made: &[&str] = &["2026-01-01", "soon", "2026-01-02"];
        let names: &[&str] = &["A", "B", "C"];
        let names = [("tag_id", Some(ids)), ("group_name", Some(names)), ("tag_name", Some(names))];
        let columns: Vec<_> = names.into_iter().chain([("created_at", Some(made))]).collect();
        let (conformed, codes) = conformed("tag", &columns);
        assert_eq!(texts(&conformed.rows, "tag_id"), ["t1", "t3"]);
        assert_eq!(texts(&conformed.refused, "tag_id"), ["t2"]);
        assert_eq!(codes, [("BAD_VALUE", 1)]);
    }

    #[test]
    fn a_column_of_nulls_is_missing_in_every_row_and_no_bad_value() {
        let ids: &[&str] = &["c1", "c2"];
        let columns = [("customer_id", Some(ids)), ("staff_id", None), ("tag_id", Some(ids)), ("assigned_at", None)];
        let (conformed, codes) = conformed("assignment", &columns);
        assert_eq!(texts(&conformed.rows, "customer_id"), ["c1", "c2"]);
        assert_eq!(texts(&conformed.rows, "staff_id"), ["-", "-"]);
        assert!(codes.is_empty(), "{codes:?}");
        let (conformed, codes) = self::conformed("follow", &[("customer_id", Some(ids)), ("staff_id", None)]);
        assert_eq!((conformed.rows.num_rows(), codes), (0, vec![("MISSING_VALUE", 2)]));
    }

    #[test]
    fn a_value_outside_its_domain_is_a_bad_value() {
        let ids: &[&str] = &["c1", "c2", "c3"];
        let months: &[&str] = &["12", "13", "0"];
        let (people, codes) = conformed("customer", &[("customer_id", Some(ids)), ("birth_month", Some(months))]);
        assert_eq!(texts(&people.rows, "customer_id"), ["c1"]);
        assert_eq!(codes, [("BAD_VALUE", 2)]);
        let statuses: &[&str] = &["half", "Half", "gone"];
        let columns = [("customer_id", Some(ids)), ("staff_id", Some(ids)), ("status", Some(statuses))];
        assert_eq!(texts(&conformed("follow", &columns).0.rows, "customer_id"), ["c1"]);
    }

    #[test]
    fn an_amount_that_would_have_to_be_rounded_is_a_bad_value() {
        let ids: &[&str] = &["e1", "e2"];
        let amounts: &[&str] = &["0.1234", "0.12345"];
        let (events, codes) = conformed("event", &[("event_id", Some(ids)), ("amount", Some(amounts))]);
        assert_eq!(texts(&events.rows, "event_id"), ["e1"]);
        assert_eq!(codes, [("BAD_VALUE", 1)]);
    }

    fn check(text: &str, expected: Option<&str>) {
        let zone = BusinessZone::parse("Europe/London").expect("a zone");
        assert_eq!(parse_time(text, zone).map(|instant| instant.to_rfc3339()).as_deref(), expected, "{text}");
    }

    #[test]
    fn times_without_an_offset_are_local_and_summer_time_counts() {
        check("2011-06-01 08:26:00", Some("2011-06-01T07:26:00+00:00"));
        check("2010-12-01 08:26", Some("2010-12-01T08:26:00+00:00"));
        check("2010-12-01T08:26:00+08:00", Some("2010-12-01T00:26:00+00:00"));
        check(" 2010-12-01 08:26:00.5-05:00", Some("2010-12-01T13:26:00.500+00:00"));
        check("2011/6/1 下午 8:26", Some("2011-06-01T19:26:00+00:00"));
        check("2011年6月1日", Some("2011-05-31T23:00:00+00:00"));
        check("2011-02-30 00:00:00", None);
        check("soon", None);
    }

    #[test]
    fn days_are_those_of_the_zone_where_the_time_has_an_offset() {
        let zone = BusinessZone::default();
        let texts =
            ["2026/6/1", "2026年6月1日", "2026-06-01 23:59", "2026-05-31T16:00:00Z", "2026-06-01T00:00:00+08:00"];
        for text in texts {
            assert_eq!(parse_day(text, zone).map(|day| day.to_string()).as_deref(), Some("2026-06-01"), "{text}");
        }
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("2026.6.1"), None, Some("6/1/2026")]));
        for guise in [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View] {
            let given = cast_with_options(&texts, &guise, &CastOptions::default()).expect("a guise");
            let days = cast_column(&given, &DataType::Date32, zone).expect("days");
            assert_eq!(days.as_primitive::<Date32Type>().iter().collect::<Vec<_>>(), [Some(20_605), None, None]);
        }
    }
}

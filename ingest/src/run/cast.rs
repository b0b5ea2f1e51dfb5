//! Casting the columns of a SELECT to the types of their target: whatever guise text comes in, and times as they are
//! written.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Date32Array, TimestampMicrosecondArray};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Date32Type, TimeUnit, TimestampMicrosecondType};
use datafusion::arrow::error::ArrowError;
use tagmill_schemas::clock::BusinessZone;
use tagmill_store::timestamp_type;

use crate::values;

/// Casts a column; a value that does not fit becomes NULL.
pub(super) fn cast_column(array: &ArrayRef, ty: &DataType, zone: BusinessZone) -> Result<ArrayRef, ArrowError> {
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
    use datafusion::arrow::array::StringArray;

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

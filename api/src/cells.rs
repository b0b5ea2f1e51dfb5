//! Cells of an answer as JSON, exactly: what a JSON number cannot hold without loss is a text.
//!
//! | column | cell |
//! |---|---|
//! | integers, floating point | number (infinities and NaN: text) |
//! | decimal | text, with all its digits |
//! | timestamp with zone | RFC 3339 in UTC |
//! | timestamp without zone, date, time, interval, binary, struct | text |
//! | list | array of cells |
//! | NULL of any type | null |

use std::mem;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, ArrowTimestampType, DataType, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Schema,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use arrow::temporal_conversions::as_datetime;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::SecondsFormat;
use serde_json::{Map, Number, Value};

use crate::error::ApiError;

/// The rows of a batch, each with its cells in the order of the columns.
pub(crate) fn rows_of(batch: &RecordBatch) -> Result<Vec<Vec<Value>>, ApiError> {
    let columns: Result<Vec<Vec<Value>>, ArrowError> =
        batch.columns().iter().map(|column| cells_of(column.as_ref())).collect();
    let mut columns = columns.map_err(|source| ApiError::Cells { source })?;
    let row = |index: usize| -> Vec<Value> { columns.iter_mut().map(|column| mem::take(&mut column[index])).collect() };
    Ok((0..batch.num_rows()).map(row).collect())
}

/// A row as an object by column name.
pub(crate) fn object_of(schema: &Schema, row: Vec<Value>) -> Value {
    let names = schema.fields().iter().map(|field| field.name().clone());
    Value::Object(names.zip(row).collect::<Map<String, Value>>())
}

/// The type of a column as the tables' contracts write it (`bigint`, `text`, `decimal(18,4)`), or else as Arrow does.
pub(crate) fn type_name(ty: &DataType) -> String {
    let name = match ty {
        DataType::Boolean => "bool",
        DataType::Int64 => "bigint",
        DataType::Int32 => "int",
        DataType::Float64 => "double",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text",
        DataType::Date32 => "date",
        DataType::Timestamp(_, Some(_)) => "timestamp",
        DataType::Timestamp(_, None) => "timestamp without zone",
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => return format!("decimal({precision},{scale})"),
        DataType::Dictionary(_, values) => return type_name(values),
        other => return other.to_string().to_lowercase(),
    };
    name.to_owned()
}

fn cells_of(column: &dyn Array) -> Result<Vec<Value>, ArrowError> {
    let cells = match column.data_type() {
        DataType::Null => vec![Value::Null; column.len()],
        DataType::Boolean => column.as_boolean().iter().map(Value::from).collect(),
        DataType::Int8 => integers::<Int8Type>(column),
        DataType::Int16 => integers::<Int16Type>(column),
        DataType::Int32 => integers::<Int32Type>(column),
        DataType::Int64 => integers::<Int64Type>(column),
        DataType::UInt8 => integers::<UInt8Type>(column),
        DataType::UInt16 => integers::<UInt16Type>(column),
        DataType::UInt32 => integers::<UInt32Type>(column),
        DataType::UInt64 => integers::<UInt64Type>(column),
        DataType::Float64 => floats(column),
        DataType::Float16 | DataType::Float32 => floats(cast(column, &DataType::Float64)?.as_ref()),
        DataType::Utf8 => column.as_string::<i32>().iter().map(Value::from).collect(),
        DataType::LargeUtf8 => column.as_string::<i64>().iter().map(Value::from).collect(),
        DataType::Utf8View => column.as_string_view().iter().map(Value::from).collect(),
        DataType::Timestamp(unit, zone) => timestamps(column, *unit, zone.is_some()),
        DataType::Dictionary(_, values) => return cells_of(cast(column, values)?.as_ref()),
        DataType::List(_) => return lists(column.as_list::<i32>().iter()),
        DataType::LargeList(_) => return lists(column.as_list::<i64>().iter()),
        _ => return texts(column),
    };
    Ok(cells)
}

fn integers<T>(column: &dyn Array) -> Vec<Value>
where
    T: ArrowPrimitiveType,
    T::Native: Into<Value>,
{
    column.as_primitive::<T>().iter().map(|cell| cell.map_or(Value::Null, Into::into)).collect()
}

fn floats(column: &dyn Array) -> Vec<Value> {
    let number = |cell: f64| Number::from_f64(cell).map_or_else(|| Value::from(cell.to_string()), Value::Number);
    column.as_primitive::<Float64Type>().iter().map(|cell| cell.map_or(Value::Null, number)).collect()
}

fn timestamps(column: &dyn Array, unit: TimeUnit, has_zone: bool) -> Vec<Value> {
    match unit {
        TimeUnit::Second => instants::<TimestampSecondType>(column, has_zone),
        TimeUnit::Millisecond => instants::<TimestampMillisecondType>(column, has_zone),
        TimeUnit::Microsecond => instants::<TimestampMicrosecondType>(column, has_zone),
        TimeUnit::Nanosecond => instants::<TimestampNanosecondType>(column, has_zone),
    }
}

fn instants<T: ArrowTimestampType>(column: &dyn Array, has_zone: bool) -> Vec<Value> {
    let text = |ticks: i64| match as_datetime::<T>(ticks) {
        Some(time) if has_zone => time.and_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true),
        // A time without zone is some local time: an offset would claim more than is known.
        Some(time) => time.format("%Y-%m-%dT%H:%M:%S%.f").to_string(),
        None => ticks.to_string(),
    };
    column.as_primitive::<T>().iter().map(|cell| cell.map(text).into()).collect()
}

fn lists(items: impl Iterator<Item = Option<ArrayRef>>) -> Result<Vec<Value>, ArrowError> {
    items.map(|list| list.map_or(Ok(Value::Null), |list| cells_of(list.as_ref()).map(Value::Array))).collect()
}

fn texts(column: &dyn Array) -> Result<Vec<Value>, ArrowError> {
    let options = FormatOptions::new();
    let formatter = ArrayFormatter::try_new(column, &options)?;
    let cell = |index: usize| {
        if column.is_null(index) { Ok(Value::Null) } else { formatter.value(index).try_to_string().map(Value::from) }
    };
    (0..column.len()).map(cell).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        Date32Array, Decimal128Array, Float64Array, Int64Array, ListArray, NullArray, StringArray,
        TimestampMicrosecondArray,
    };
    use serde_json::json;

    use super::*;

    fn check(column: ArrayRef, expected: Value) {
        let ty = column.data_type().clone();
        let batch = RecordBatch::try_from_iter([("c", column)]).expect("a batch");
        let rows = rows_of(&batch).expect("rows");
        let cells: Vec<Value> = rows.into_iter().flatten().collect();
        assert_eq!(Value::Array(cells), expected, "{ty}");
    }

    #[test]
    fn nothing_is_lost_on_the_way_to_json() {
        check(Arc::new(Int64Array::from(vec![Some(i64::MAX), None])), json!([i64::MAX, null]));
        check(Arc::new(Float64Array::from(vec![0.5, f64::INFINITY])), json!([0.5, "inf"]));
        check(Arc::new(StringArray::from(vec![Some("视频号"), None])), json!(["视频号", null]));
        let money = Decimal128Array::from(vec![83_000_658_140_i128, -5]).with_precision_and_scale(18, 4);
        check(Arc::new(money.expect("money")), json!(["8300065.8140", "-0.0005"]));
        check(Arc::new(Date32Array::from(vec![0])), json!(["1970-01-01"]));
        check(Arc::new(NullArray::new(1)), json!([null]));
    }

    #[test]
    fn a_time_with_zone_is_told_in_utc_and_one_without_as_it_stands() {
        let times = || TimestampMicrosecondArray::from(vec![1_500_000, 0]);
        let with_zone = times().with_timezone("Asia/Shanghai");
        check(Arc::new(with_zone), json!(["1970-01-01T00:00:01.500Z", "1970-01-01T00:00:00Z"]));
        check(Arc::new(times()), json!(["1970-01-01T00:00:01.500", "1970-01-01T00:00:00"]));
    }

    #[test]
    fn a_list_is_an_array() {
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None]);
        check(Arc::new(lists), json!([[1, null], null]));
    }

    #[test]
    fn types_are_named_as_the_tables_name_them() {
        assert_eq!(type_name(&DataType::Decimal128(18, 4)), "decimal(18,4)");
        assert_eq!(type_name(&DataType::Int64), "bigint");
        assert_eq!(type_name(&DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))), "timestamp");
    }
}

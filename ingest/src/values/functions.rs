//! The SQL functions over the values: each takes one value and gives NULL for what it cannot read.

use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Decimal128Array, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Date32Type, Decimal128Type, TimeUnit};
use datafusion::arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::common::utils::take_function_args;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::date::parse_date;
use super::excel::{excel_date, excel_time, parse_serial};
use super::mobile::parse_mobile;
use super::number::{PRECISION, SCALE, parse_number};
use super::time::parse_time;

/// The functions that the SELECTs of a source know beside those of the engine.
pub(crate) fn value_functions() -> impl Iterator<Item = ScalarUDF> {
    ALL.into_iter().map(|reading| {
        ScalarUDF::new_from_impl(ValueFunction { reading, signature: Signature::any(1, Volatility::Immutable) })
    })
}

/// A function that reads one value. It judges the type of its argument itself, since text comes in several guises.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ValueFunction {
    reading: Reading,
    signature: Signature,
}

impl ScalarUDFImpl for ValueFunction {
    fn name(&self) -> &str {
        self.reading.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        let [given] = take_function_args(self.name(), arg_types)?;
        if !self.reading.takes(given) {
            let (name, taken) = (self.name(), self.reading.taken());
            return Err(DataFusionError::Plan(format!("`{name}` takes {taken}, and not {given}")));
        }
        Ok(self.reading.gives())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [given] = take_function_args(self.name(), args.args)?;
        Ok(match given {
            ColumnarValue::Array(array) => ColumnarValue::Array(self.reading.read(&array)?),
            ColumnarValue::Scalar(value) => {
                let read = self.reading.read(&value.to_array()?)?;
                ColumnarValue::Scalar(ScalarValue::try_from_array(&read, 0)?)
            }
        })
    }
}

/// What a function reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Reading {
    Number,
    Date,
    Time,
    ExcelDate,
    ExcelTime,
    Mobile,
}

const ALL: [Reading; 6] =
    [Reading::Number, Reading::Date, Reading::Time, Reading::ExcelDate, Reading::ExcelTime, Reading::Mobile];

impl Reading {
    fn name(self) -> &'static str {
        match self {
            Self::Number => "parse_number",
            Self::Date => "parse_date",
            Self::Time => "parse_time",
            Self::ExcelDate => "excel_date",
            Self::ExcelTime => "excel_time",
            Self::Mobile => "parse_mobile",
        }
    }

    fn gives(self) -> DataType {
        match self {
            Self::Number => DataType::Decimal128(PRECISION, SCALE),
            Self::Date | Self::ExcelDate => DataType::Date32,
            Self::Time | Self::ExcelTime => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Mobile => DataType::Utf8,
        }
    }

    fn is_of_serials(self) -> bool {
        matches!(self, Self::ExcelDate | Self::ExcelTime)
    }

    /// Whole numbers are taken for the text of their digits: a file that knows types has `20260601` and mobiles as such.
    fn takes(self, ty: &DataType) -> bool {
        match ty {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => true,
            DataType::Dictionary(_, values) => self.takes(values),
            _ => ty.is_integer() || (self.is_of_serials() && ty.is_numeric()),
        }
    }

    /// What [`Self::takes`] lets pass, in words.
    fn taken(self) -> &'static str {
        if self.is_of_serials() { "a number or its text" } else { "text or a whole number" }
    }

    /// Reads an array into one of as many rows.
    fn read(self, given: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        let read: ArrayRef = match self {
            Self::Number => {
                let numbers: Decimal128Array = texts(given)?.iter().map(|text| parse_number(text?)).collect();
                Arc::new(numbers.with_precision_and_scale(PRECISION, SCALE)?)
            }
            Self::Date => days(texts(given)?.iter().map(|text| parse_date(text?))),
            Self::Time => times(texts(given)?.iter().map(|text| parse_time(text?))),
            Self::ExcelDate => days(serials(given)?.iter().map(|serial| excel_date(serial?))),
            Self::ExcelTime => times(serials(given)?.iter().map(|serial| excel_time(serial?))),
            Self::Mobile => Arc::new(texts(given)?.iter().map(|text| parse_mobile(text?)).collect::<StringArray>()),
        };
        Ok(read)
    }
}

/// Text in any guise, and whole numbers, as plain text.
fn texts(given: &ArrayRef) -> Result<StringArray, ArrowError> {
    Ok(cast(given, &DataType::Utf8)?.as_string::<i32>().clone())
}

/// Serials times 10^[`SCALE`].
fn serials(given: &ArrayRef) -> Result<Decimal128Array, ArrowError> {
    if given.data_type().is_numeric() {
        let decimals = cast(given, &DataType::Decimal128(PRECISION, SCALE))?;
        return Ok(decimals.as_primitive::<Decimal128Type>().clone());
    }
    Ok(texts(given)?.iter().map(|text| parse_serial(text?)).collect())
}

fn days(dates: impl Iterator<Item = Option<NaiveDate>>) -> ArrayRef {
    Arc::new(dates.map(|date| date.map(Date32Type::from_naive_date)).collect::<Date32Array>())
}

fn times(times: impl Iterator<Item = Option<NaiveDateTime>>) -> ArrayRef {
    let micros = times.map(|time| time.map(|time| time.and_utc().timestamp_micros()));
    Arc::new(micros.collect::<TimestampMicrosecondArray>())
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Float64Array, Int64Array, NullArray};
    use datafusion::arrow::util::display::array_value_to_string;
    use datafusion::execution::context::SessionContext;

    use super::*;

    fn shown(array: &ArrayRef) -> Vec<String> {
        (0..array.len()).map(|row| array_value_to_string(array, row).expect("a value")).collect()
    }

    #[track_caller]
    fn check(reading: Reading, given: &ArrayRef, expected: &[&str]) {
        assert!(reading.takes(given.data_type()), "{reading:?} of {}", given.data_type());
        let read = reading.read(given).expect("an array");
        assert_eq!(*read.data_type(), reading.gives(), "{reading:?}");
        assert_eq!(shown(&read), expected, "{reading:?} of {}", given.data_type());
    }

    #[test]
    fn text_is_read_in_every_guise_and_nothing_stays_nothing() {
        let cases = [
            (Reading::Number, "¥1,234.50", "1234.5000000000"),
            (Reading::Date, "2026年6月1日", "2026-06-01"),
            (Reading::Time, "2026/6/1 8:05", "2026-06-01T08:05:00"),
            (Reading::ExcelDate, "46174.5", "2026-06-01"),
            (Reading::ExcelTime, "46174.5", "2026-06-01T12:00:00"),
            (Reading::Mobile, "+86 139-0000-0001", "13900000001"),
        ];
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        for (reading, text, expected) in cases {
            let texts: ArrayRef = Arc::new(StringArray::from(vec![Some(text), None, Some("last week")]));
            for guise in [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View, dictionary.clone()] {
                check(reading, &cast(&texts, &guise).expect("a guise"), &[expected, "", ""]);
            }
            let nothing: ArrayRef = Arc::new(NullArray::new(2));
            check(reading, &nothing, &["", ""]);
            check(reading, &texts.slice(0, 0), &[]);
        }
    }

    #[test]
    fn numbers_are_read_where_they_stand_for_text_or_for_a_serial() {
        let whole: ArrayRef = Arc::new(Int64Array::from(vec![20_260_601, 13_900_000_001]));
        check(Reading::Date, &whole, &["2026-06-01", ""]);
        check(Reading::Mobile, &whole, &["", "13900000001"]);
        check(Reading::Number, &whole, &["20260601.0000000000", "13900000001.0000000000"]);
        let serials: ArrayRef = Arc::new(Int64Array::from(vec![46_174, 60]));
        check(Reading::ExcelDate, &serials, &["2026-06-01", ""]);
        let serials: ArrayRef = Arc::new(Float64Array::from(vec![46_174.336_805_556, f64::NAN, 1e300]));
        check(Reading::ExcelTime, &serials, &["2026-06-01T08:05:00", "", ""]);
        let decimals = Decimal128Array::from(vec![4_617_425]).with_precision_and_scale(9, 2).expect("a decimal type");
        let decimals: ArrayRef = Arc::new(decimals);
        check(Reading::ExcelTime, &decimals, &["2026-06-01T06:00:00"]);
    }

    fn session() -> SessionContext {
        let session = SessionContext::new();
        value_functions().for_each(|function| session.register_udf(function));
        session
    }

    async fn asked(sql: &str) -> Vec<String> {
        let batches = session().sql(sql).await.expect("a plan").collect().await.expect("an answer");
        batches.iter().flat_map(|batch| batch.columns().iter().flat_map(shown)).collect()
    }

    #[tokio::test]
    async fn sql_reads_literals_and_columns_alike() {
        let literals = "SELECT parse_number('1.2万'), parse_date('2026/6/1'), parse_time('2026/6/1 8:05'), \
                        excel_date(46174), excel_time('46174.5'), parse_mobile('139 0000 0001'), parse_number(NULL)";
        let expected = [
            "12000.0000000000",
            "2026-06-01",
            "2026-06-01T08:05:00",
            "2026-06-01",
            "2026-06-01T12:00:00",
            "13900000001",
            "",
        ];
        assert_eq!(asked(literals).await, expected);
        let column =
            "SELECT CAST(parse_number(t) AS DECIMAL(18, 4)) FROM (VALUES ('(1,234.5)'), ('x'), (NULL)) AS v(t)";
        assert_eq!(asked(column).await, ["-1234.5000", "", ""]);
    }

    #[tokio::test]
    async fn another_type_and_another_number_of_arguments_are_refused_before_anything_is_read() {
        let refused = session().sql("SELECT parse_date(true)").await.expect_err("a refusal").to_string();
        assert!(refused.contains("`parse_date` takes text or a whole number"), "{refused}");
        let refused = session().sql("SELECT excel_time(current_date())").await.expect_err("a refusal").to_string();
        assert!(refused.contains("`excel_time` takes a number or its text"), "{refused}");
        for sql in ["SELECT parse_number()", "SELECT parse_number('1', '2')", "SELECT parse_number(1.5)"] {
            assert!(session().sql(sql).await.is_err(), "{sql}");
        }
    }
}

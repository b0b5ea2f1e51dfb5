//! Whether a cast kept the value: money and whole numbers are exact, or their row is refused.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use datafusion::arrow::compute::kernels::cmp::distinct;
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::arrow::error::ArrowError;

/// The rows in which `cast` holds another number than `given`; `None` where there are none. What is NULL after the cast
/// may be told or not.
pub(super) fn changed(given: &ArrayRef, cast: &ArrayRef) -> Result<Option<BooleanArray>, ArrowError> {
    let rows = match (given.data_type(), cast.data_type()) {
        (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..), to) => match to {
            DataType::Decimal128(_, scale) => changed_texts(given, *scale)?,
            _ => return Ok(None),
        },
        (
            DataType::Decimal32(_, from)
            | DataType::Decimal64(_, from)
            | DataType::Decimal128(_, from)
            | DataType::Decimal256(_, from),
            DataType::Decimal128(_, to),
        ) if from > to => distinct(&cast_safely(cast, given.data_type())?, given)?,
        (
            DataType::Decimal32(_, from)
            | DataType::Decimal64(_, from)
            | DataType::Decimal128(_, from)
            | DataType::Decimal256(_, from),
            DataType::Int32 | DataType::Int64,
        ) if *from > 0 => distinct(&cast_safely(cast, given.data_type())?, given)?,
        (DataType::Float16 | DataType::Float32 | DataType::Float64, to) => match to {
            DataType::Decimal128(_, scale) => changed_floats(given, *scale)?,
            DataType::Int32 | DataType::Int64 => changed_floats(given, 0)?,
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    Ok((rows.true_count() > 0).then_some(rows))
}

fn cast_safely(array: &ArrayRef, ty: &DataType) -> Result<ArrayRef, ArrowError> {
    cast_with_options(array, ty, &CastOptions { safe: true, ..CastOptions::default() })
}

fn changed_texts(given: &ArrayRef, scale: i8) -> Result<BooleanArray, ArrowError> {
    let texts = cast_safely(given, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    Ok(texts.iter().map(|text| Some(text.is_some_and(|text| places(text) > i64::from(scale)))).collect())
}

/// A floating-point number stands for the decimal number nearest to it; only noise as small as its type's is forgiven.
fn changed_floats(given: &ArrayRef, scale: i8) -> Result<BooleanArray, ArrowError> {
    let noise = match given.data_type() {
        DataType::Float64 => f64::EPSILON,
        DataType::Float32 => f64::from(f32::EPSILON),
        // Half precision has 11 bits.
        _ => 1.0 / 1024.0,
    };
    let factor = 10_f64.powi(i32::from(scale));
    let floats = cast_safely(given, &DataType::Float64)?;
    let is_changed = |value: f64| ((value * factor).round() / factor - value).abs() > 2.0 * noise * value.abs();
    Ok(floats.as_primitive::<Float64Type>().iter().map(|value| Some(value.is_some_and(is_changed))).collect())
}

/// How many places after the point a number written as text needs; zeros at its end need none.
fn places(text: &str) -> i64 {
    let text = text.trim();
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let needed = match fraction.trim_end_matches('0').len() {
        0 if !whole.contains(|c: char| matches!(c, '1'..='9')) => return 0,
        0 => -((whole.len() - whole.trim_end_matches('0').len()) as i64),
        needed => needed as i64,
    };
    needed.saturating_sub(exponent)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{Decimal128Array, Float32Array, Float64Array, StringArray};

    use super::*;

    fn check(given: ArrayRef, ty: &DataType, expected: &[bool]) {
        let cast = cast_safely(&given, ty).expect("a cast");
        let rows = changed(&given, &cast).expect("an answer");
        let rows: Vec<bool> = (0..given.len()).map(|row| rows.as_ref().is_some_and(|rows| rows.value(row))).collect();
        assert_eq!(rows, expected, "{given:?}");
    }

    const MONEY: DataType = DataType::Decimal128(18, 4);

    #[test]
    fn text_with_more_than_four_places_is_no_exact_amount_and_zeros_at_the_end_do_not_count() {
        let texts = ["1.2345", "1.23450000", "1.23456", "-0.00001"].map(Some);
        let texts: StringArray = texts.into_iter().chain([None]).collect();
        check(Arc::new(texts), &MONEY, &[false, false, true, true, false]);
        for (text, expected) in [("100", -2), ("0.000", 0), ("12e-5", 5), ("120e-5", 4), ("1.5E+1", 0), ("", 0)] {
            assert_eq!(places(text), expected, "{text}");
        }
    }

    #[test]
    fn decimals_keep_their_value_or_are_told() {
        let decimals = Decimal128Array::from(vec![Some(123_450_000), Some(123_456_789), None]);
        let decimals = decimals.with_precision_and_scale(37, 8).expect("a decimal type");
        check(Arc::new(decimals), &MONEY, &[false, true, false]);
        let decimals = Decimal128Array::from(vec![Some(120_000_000_000), Some(127_000_000_000), None]);
        let decimals = decimals.with_precision_and_scale(38, 10).expect("a decimal type");
        check(Arc::new(decimals), &DataType::Int32, &[false, true, false]);
    }

    #[test]
    fn the_noise_of_floating_point_is_forgiven_and_more_is_not() {
        check(
            Arc::new(Float64Array::from(vec![12.34, 0.1 + 0.2, 1.23456, -5.0])),
            &MONEY,
            &[false, false, true, false],
        );
        check(Arc::new(Float32Array::from(vec![12.34, 1.23456])), &MONEY, &[false, true]);
        check(Arc::new(Float64Array::from(vec![1980.0, 12.7])), &DataType::Int32, &[false, true]);
    }
}

//! A stable hash of what a source says of each event: FNV-1a over its columns in the order of the table. It is kept beside
//! the event, so that it must never change.

use std::fmt::Write;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::TimestampMicrosecondType;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

/// The hash of nothing.
const START: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;
/// What ends a value.
const END: &[u8] = &[0xff];

/// The hash of each row, over those of the named columns that it has a value in.
pub(super) fn content_hashes<'c>(rows: &RecordBatch, columns: impl IntoIterator<Item = &'c str>) -> Vec<i64> {
    let mut hashes = vec![START; rows.num_rows()];
    for name in columns {
        if let Some(column) = rows.column_by_name(name) {
            absorb_column(&mut hashes, name.as_bytes(), column);
        }
    }
    hashes.into_iter().map(|hash| i64::from_le_bytes(hash.to_le_bytes())).collect()
}

fn absorb_column(hashes: &mut [u64], name: &[u8], column: &ArrayRef) {
    if let Some(texts) = column.as_string_opt::<i32>() {
        absorb_told(hashes, name, column, |hash, row| absorb(hash, texts.value(row).as_bytes()));
    } else if let Some(times) = column.as_primitive_opt::<TimestampMicrosecondType>() {
        absorb_told(hashes, name, column, |hash, row| absorb(hash, &times.value(row).to_le_bytes()));
    } else {
        // A value of a type that cannot be shown counts as it is, without its value.
        let options = FormatOptions::default().with_display_error(true);
        let shown = ArrayFormatter::try_new(column, &options).ok();
        let mut text = String::new();
        absorb_told(hashes, name, column, |hash, row| {
            text.clear();
            let is_written = shown.as_ref().is_some_and(|shown| write!(text, "{}", shown.value(row)).is_ok());
            if is_written { absorb(hash, text.as_bytes()) } else { hash }
        });
    }
}

/// Takes a column in, by row. The name keeps values of different columns apart; what is missing says nothing, so that a
/// column declared later changes no event that lacks it.
fn absorb_told(hashes: &mut [u64], name: &[u8], column: &ArrayRef, mut value: impl FnMut(u64, usize) -> u64) {
    let nulls = column.nulls();
    for (row, hash) in hashes.iter_mut().enumerate() {
        if nulls.is_none_or(|nulls| nulls.is_valid(row)) {
            *hash = absorb(value(absorb(*hash, name), row), END);
        }
    }
}

fn absorb(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{
        BooleanArray, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray, new_null_array,
    };

    use super::*;

    fn rows() -> RecordBatch {
        let money = Decimal128Array::from(vec![Some(-123_456), None]).with_precision_and_scale(18, 4).expect("a type");
        let instants = TimestampMicrosecondArray::from(vec![1_780_000_000_000_001, -1]).with_timezone("UTC");
        let columns: [(&str, ArrayRef); 5] = [
            ("type", Arc::new(StringArray::from(vec!["支付", ""]))),
            ("occurred_at", Arc::new(instants)),
            ("amount", Arc::new(money)),
            ("duration_seconds", Arc::new(Int64Array::from(vec![Some(-7), Some(600)]))),
            ("is_first", Arc::new(BooleanArray::from(vec![None, Some(true)]))),
        ];
        let columns = columns.into_iter().map(|(name, column)| (name, column, true));
        RecordBatch::try_from_iter_with_nullable(columns).expect("a batch")
    }

    /// FNV-1a of the bytes, as its authors define it.
    fn fnv(bytes: &[u8]) -> i64 {
        let mut hash = 14_695_981_039_346_656_037_u64;
        for byte in bytes {
            hash ^= u64::from(*byte);
            hash = hash.wrapping_mul(1_099_511_628_211);
        }
        hash as i64
    }

    #[test]
    fn the_hash_is_that_of_names_and_values_in_the_order_of_the_columns() {
        let columns = ["type", "occurred_at", "amount", "duration_seconds", "is_first", "no_such"];
        let told = |parts: &[(&str, &[u8])]| -> i64 {
            let bytes = parts.iter().flat_map(|(name, value)| [name.as_bytes(), value, &[0xff]].concat());
            fnv(&bytes.collect::<Vec<u8>>())
        };
        let [first, second] = [1_780_000_000_000_001_i64, -1].map(i64::to_le_bytes);
        let expected = [
            told(&[
                ("type", "支付".as_bytes()),
                ("occurred_at", &first),
                ("amount", b"-12.3456"),
                ("duration_seconds", b"-7"),
            ]),
            told(&[("type", b""), ("occurred_at", &second), ("duration_seconds", b"600"), ("is_first", b"true")]),
        ];
        assert_eq!(content_hashes(&rows(), columns), expected);
    }

    #[test]
    fn a_column_that_says_nothing_changes_no_hash() {
        let rows = rows();
        let before = content_hashes(&rows, ["type"]);
        let nulls = new_null_array(rows.column(2).data_type(), 2);
        let with_nulls =
            RecordBatch::try_from_iter_with_nullable([("type", rows.column(0).clone(), true), ("amount", nulls, true)]);
        assert_eq!(content_hashes(&with_nulls.expect("a batch"), ["type", "amount"]), before);
        assert_ne!(content_hashes(&rows, ["type", "amount"]), before);
        assert_eq!(content_hashes(&rows, []), vec![fnv(b""); 2]);
    }
}

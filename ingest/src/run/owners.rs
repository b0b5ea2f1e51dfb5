//! Whose customer each is: one of those who follow them.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::datatypes::TimestampMicrosecondType;

use super::keys::{cell, numbers};
use super::person::texts;

/// The column that says whose customer it is.
pub(super) const OWNER: &str = "is_owner";

/// Exactly one owner for each customer who is followed: the one the source names (`is_told`: any source names some), else
/// the follow added first, ties by staff id; among active follows where there are any. The follows of one customer come
/// one after the other.
pub(super) fn owners(merged: &RecordBatch, is_told: bool) -> ArrayRef {
    let added = merged.column_by_name("added_at").and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
    let named = merged.column_by_name(OWNER).and_then(|column| column.as_boolean_opt()).filter(|_| is_told);
    let (statuses, staff) = (texts(merged, "status"), texts(merged, "staff_id"));
    let rank = |row: &usize| {
        let is_active = matches!(cell(statuses, *row), Some("active" | "half"));
        let is_named = named.is_some_and(|named| !named.is_null(*row) && named.value(*row));
        let added = added.filter(|added| !added.is_null(*row)).map_or(i64::MAX, |added| added.value(*row));
        (!is_active, !is_named, added, cell(staff, *row).unwrap_or_default())
    };
    let mut owners = vec![false; merged.num_rows()];
    let mut row = 0;
    for follows in numbers(merged, "customer_no").chunk_by(|a, b| a == b) {
        // Of several that rank first, the first.
        if let Some(owner) = (row..row + follows.len()).min_by_key(rank) {
            owners[owner] = true;
        }
        row += follows.len();
    }
    Arc::new(BooleanArray::from(owners))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Int64Array, StringArray, TimestampMicrosecondArray};

    use super::*;

    /// A follow: customer, staff, status, when it was added, whether the source names its staff member as the owner.
    type Follow = (i64, &'static str, &'static str, Option<i64>, Option<bool>);

    fn check(is_told: bool, follows: &[Follow], expected: &[&str]) {
        let columns: [(&str, ArrayRef); 5] = [
            ("customer_no", Arc::new(follows.iter().map(|follow| Some(follow.0)).collect::<Int64Array>())),
            ("staff_id", Arc::new(follows.iter().map(|follow| Some(follow.1)).collect::<StringArray>())),
            ("status", Arc::new(follows.iter().map(|follow| Some(follow.2)).collect::<StringArray>())),
            ("added_at", Arc::new(follows.iter().map(|follow| follow.3).collect::<TimestampMicrosecondArray>())),
            (OWNER, Arc::new(follows.iter().map(|follow| follow.4).collect::<BooleanArray>())),
        ];
        let columns = columns.into_iter().map(|(name, column)| (name, column, true));
        let rows = RecordBatch::try_from_iter_with_nullable(columns).expect("a batch");
        let owners = owners(&rows, is_told);
        let owners = owners.as_boolean().iter().zip(follows).filter(|(owner, _)| *owner == Some(true));
        let owners: Vec<&str> = owners.map(|(_, follow)| follow.1).collect();
        assert_eq!(owners, expected, "{follows:?}");
    }

    #[test]
    fn the_follow_that_was_added_first_owns_and_an_active_one_before_any_that_ended() {
        let first =
            [(1, "a", "active", Some(5), None), (1, "b", "active", Some(3), None), (2, "c", "left", None, None)];
        check(false, &first, &["b", "c"]);
        let ended = [(1, "a", "half", None, None), (1, "b", "ended", Some(3), None), (1, "c", "left", Some(2), None)];
        check(false, &ended, &["a"]);
        let tie = [(1, "b", "active", Some(3), None), (1, "a", "active", Some(3), None)];
        check(false, &tie, &["a"]);
        check(false, &[], &[]);
    }

    #[test]
    fn the_one_whom_a_source_names_owns_and_a_flag_that_nobody_told_counts_for_nothing() {
        let named = [(1, "a", "active", Some(3), Some(false)), (1, "b", "active", Some(5), Some(true))];
        check(true, &named, &["b"]);
        check(false, &named, &["a"]);
        let ended = [(1, "a", "active", Some(3), None), (1, "b", "ended", Some(2), Some(true))];
        check(true, &ended, &["a"]);
    }
}

//! The listed rows as keys: small numbers, put apart by customer, so that a listing of any width fits in memory and its
//! parts can be sorted side by side.

use std::ops::Range;

use tagmill_schemas::ids::BUCKET_BITS;

use super::listing::Key;

/// Customers of one part, as a power of two: few enough that several parts of a large listing are sorted at once.
const PART_BITS: u32 = 17;
/// Rows that are kept in one piece, so that a part does not move all of its rows to take one more.
const PIECE_ROWS: usize = 1 << 15;

/// A listed row: what it says, and how many rows came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) key: Key,
    /// When the source says that the tag was given, in microseconds; `i64::MIN` where it says nothing.
    pub(super) at: i64,
    pub(super) ordinal: u32,
}

/// Listed rows by the part that their customer is in.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// By the number of the part, its rows in the order in which they came.
    by_number: Vec<Vec<Vec<Row>>>,
}

impl Parts {
    /// Takes a row in.
    pub(super) fn push(&mut self, row: Row) {
        let number = (row.key.customer >> PART_BITS) as usize;
        if number >= self.by_number.len() {
            self.by_number.resize_with(number + 1, Vec::new);
        }
        let pieces = &mut self.by_number[number];
        match pieces.last_mut().filter(|piece| piece.len() < PIECE_ROWS) {
            Some(piece) => piece.push(row),
            None => pieces.push(vec![row]),
        }
    }

    /// Hands out the rows of a part, in the order in which they came.
    pub(super) fn take(&mut self, number: usize) -> Vec<Vec<Row>> {
        self.by_number.get_mut(number).map(std::mem::take).unwrap_or_default()
    }
}

/// The parts of a bucket of customers.
pub(super) fn parts_of_bucket(bucket: u32) -> Range<usize> {
    let parts = 1_usize << (BUCKET_BITS - PART_BITS);
    let first = bucket as usize * parts;
    first..first + parts
}

/// The part that a customer is in.
pub(super) fn part_of(customer: u32) -> usize {
    (customer >> PART_BITS) as usize
}

/// The rows of a part as one, sorted by key, then by when the tag was given, then as they came.
pub(super) fn sorted(mut pieces: Vec<Vec<Row>>) -> Vec<Row> {
    let mut rows = if pieces.len() == 1 { pieces.pop().unwrap_or_default() } else { pieces.concat() };
    drop(pieces);
    // A stable sort, because it takes sorted stretches as they are, and exports have long ones.
    rows.sort();
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(customer: u32, tag: u32, ordinal: u32) -> Row {
        Row { key: Key { customer, follow: customer, tag }, at: 0, ordinal }
    }

    #[test]
    fn the_parts_hold_every_row_once_and_sorted_they_follow_each_other() {
        let mut parts = Parts::default();
        let customers = [5, 1 << 20, 4, (1 << 17) - 1, 1 << 17, (2 << 20) + 9];
        for ordinal in 0..200_000 {
            parts.push(row(customers[ordinal as usize % customers.len()], ordinal % 7, ordinal));
        }
        let numbers = (0..3).flat_map(parts_of_bucket);
        let rows: Vec<Row> = numbers.flat_map(|number| sorted(parts.take(number))).collect();
        assert_eq!(rows.len(), 200_000);
        assert!(rows.windows(2).all(|pair| pair[0] < pair[1]));
        assert!((0..3).flat_map(parts_of_bucket).all(|number| parts.take(number).is_empty()));
    }

    #[test]
    fn a_part_lies_in_the_bucket_of_its_customers() {
        for customer in [0, 1 << 17, (1 << 20) - 1, 1 << 20, u32::MAX] {
            assert!(parts_of_bucket(customer >> BUCKET_BITS).contains(&part_of(customer)), "{customer}");
        }
    }

    #[test]
    fn a_row_is_small() {
        assert_eq!(size_of::<Row>(), 24);
    }
}

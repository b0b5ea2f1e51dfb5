//! What is known of dense numbers, kept by number: looked into for every row, and without hashing.

/// Stands for "no instant".
const NO_INSTANT: i64 = i64::MIN;
/// Stands for "no row".
const NO_ROW: u32 = u32::MAX;

/// An instant of some numbers, in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Instants(Vec<i64>);

impl Instants {
    /// The instant of a number; `None` where it has none.
    pub(crate) fn get(&self, number: u32) -> Option<i64> {
        self.0.get(number as usize).copied().filter(|at| *at != NO_INSTANT)
    }

    /// Notes the instant of a number, in the place of any that it had.
    pub(crate) fn set(&mut self, number: u32, at: i64) {
        *slot(&mut self.0, number, NO_INSTANT) = at;
    }
}

impl FromIterator<(u32, i64)> for Instants {
    fn from_iter<I: IntoIterator<Item = (u32, i64)>>(each: I) -> Self {
        let mut instants = Self::default();
        each.into_iter().for_each(|(number, at)| instants.set(number, at));
        instants
    }
}

/// A set of numbers.
#[derive(Debug, Default)]
pub(crate) struct NumberSet(Vec<bool>);

impl NumberSet {
    /// Whether a number is in it.
    pub(crate) fn contains(&self, number: u32) -> bool {
        self.0.get(number as usize).copied().unwrap_or_default()
    }

    /// Puts a number in.
    pub(crate) fn insert(&mut self, number: u32) {
        *slot(&mut self.0, number, false) = true;
    }
}

impl FromIterator<u32> for NumberSet {
    fn from_iter<I: IntoIterator<Item = u32>>(each: I) -> Self {
        let mut set = Self::default();
        each.into_iter().for_each(|number| set.insert(number));
        set
    }
}

/// The row that was the first about each number.
#[derive(Debug, Default)]
pub(crate) struct FirstRows(Vec<u32>);

impl FirstRows {
    /// Notes that a row is about a number; returns the row that was the first, unless it is this one.
    pub(crate) fn note(&mut self, number: u32, row: u32) -> Option<u32> {
        let first = slot(&mut self.0, number, NO_ROW);
        if *first != NO_ROW {
            return Some(*first);
        }
        *first = row;
        None
    }
}

/// What is kept of a number; all numbers up to it are given `nothing` where they have nothing yet.
fn slot<T: Copy>(kept: &mut Vec<T>, number: u32, nothing: T) -> &mut T {
    let index = number as usize;
    if index >= kept.len() {
        kept.resize(index + 1, nothing);
    }
    &mut kept[index]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_the_instant_that_was_set_last_and_others_have_none() {
        let instants = Instants::from_iter([(3, 7), (1, 0), (3, 9)]);
        assert_eq!([0, 1, 2, 3, 4].map(|number| instants.get(number)), [None, Some(0), None, Some(9), None]);
        assert_eq!(instants.get(u32::MAX), None);
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set = NumberSet::from_iter([2, 0]);
        assert_eq!([0, 1, 2, 3].map(|number| set.contains(number)), [true, false, true, false]);
    }

    #[test]
    fn of_rows_about_one_number_the_first_is_remembered() {
        let mut rows = FirstRows::default();
        assert_eq!([rows.note(5, 0), rows.note(2, 1), rows.note(5, 2)], [None, None, Some(0)]);
        assert_eq!(rows.note(5, 3), Some(0));
    }
}

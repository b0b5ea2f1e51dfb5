//! Where the rows of a listing came from. Rows follow each other in their files, so that a run of them is kept as one
//! place.

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Int32Type, Int64Type};

use super::super::quarantine::Place;
use crate::error::IngestError;

/// Stands for "no file".
const NO_FILE: u32 = u32::MAX;

/// The places of the rows that have come, by their ordinals: how many came before each.
#[derive(Debug, Default)]
pub(super) struct Places {
    rows: u32,
    files: Vec<String>,
    runs: Vec<Run>,
}

/// Rows of one file from one line on.
#[derive(Debug, Clone, Copy)]
struct Run {
    first: u32,
    file: u32,
    line: i64,
}

impl Places {
    /// Takes in the places of conformed rows; returns the ordinal of the first.
    pub(super) fn take(&mut self, batch: &RecordBatch) -> Result<u32, IngestError> {
        let first = self.rows;
        let end = u32::try_from(batch.num_rows()).ok().and_then(|rows| first.checked_add(rows));
        self.rows = end.ok_or_else(|| IngestError::internal("a listing has 2³² rows or more"))?;
        let files = batch.column_by_name("_file").and_then(|column| column.as_dictionary_opt::<Int32Type>());
        let lines = batch.column_by_name("_line").and_then(|column| column.as_primitive_opt::<Int64Type>());
        let (Some(files), Some(lines)) = (files, lines) else {
            self.note(first, NO_FILE, 0);
            return Ok(first);
        };
        let names = files.values().as_string_opt::<i32>();
        let numbers: Vec<u32> =
            names.into_iter().flatten().map(|name| name.map_or(NO_FILE, |name| self.file_number(name))).collect();
        for row in 0..batch.num_rows() {
            let file = files.key(row).and_then(|key| numbers.get(key)).copied().unwrap_or(NO_FILE);
            self.note(first + row as u32, file, lines.value(row));
        }
        Ok(first)
    }

    /// Where a row came from.
    pub(super) fn of(&self, ordinal: u32) -> Place {
        let after = self.runs.partition_point(|run| run.first <= ordinal);
        let run = after.checked_sub(1).and_then(|index| self.runs.get(index));
        let found = run.and_then(|run| Some((run.line_of(ordinal), self.files.get(run.file as usize)?.clone())));
        let (line, file) = found.unzip();
        Place { file, line }
    }

    /// Notes the place of the row that comes after all that were noted.
    fn note(&mut self, ordinal: u32, file: u32, line: i64) {
        let goes_on = |run: &Run| run.file == file && (file == NO_FILE || run.line_of(ordinal) == line);
        if !self.runs.last().is_some_and(goes_on) {
            self.runs.push(Run { first: ordinal, file, line });
        }
    }

    fn file_number(&mut self, file: &str) -> u32 {
        let known = self.files.iter().rposition(|known| known == file);
        let number = known.unwrap_or_else(|| {
            self.files.push(file.to_owned());
            self.files.len() - 1
        });
        // Files are counted in thousands at most.
        number as u32
    }
}

impl Run {
    /// The line of one of its rows, or the one that the row after its last would have.
    fn line_of(&self, ordinal: u32) -> i64 {
        self.line + i64::from(ordinal - self.first)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, DictionaryArray, Int64Array, StringArray};

    use super::*;

    fn batch(rows: &[(&str, i64)]) -> RecordBatch {
        let files: DictionaryArray<Int32Type> = rows.iter().map(|row| row.0).collect();
        let lines: Int64Array = rows.iter().map(|row| Some(row.1)).collect();
        let columns: [(&str, ArrayRef); 2] = [("_file", Arc::new(files)), ("_line", Arc::new(lines))];
        RecordBatch::try_from_iter(columns).expect("a batch")
    }

    #[test]
    fn every_row_is_found_where_it_came_from_and_neighbours_are_kept_as_one() {
        let mut places = Places::default();
        let first = [("a", 2), ("a", 3), ("a", 7)];
        let second = [("a", 8), ("b", 9), ("b", 10), ("a", 11)];
        assert_eq!(places.take(&batch(&first)).expect("an ordinal"), 0);
        assert_eq!(places.take(&batch(&second)).expect("an ordinal"), 3);
        for (ordinal, (file, line)) in (0..).zip(first.iter().chain(&second)) {
            let place = places.of(ordinal);
            assert_eq!((place.file.as_deref(), place.line), (Some(*file), Some(*line)), "{ordinal}");
        }
        assert_eq!(places.runs.len(), 4);
    }

    #[test]
    fn rows_of_a_select_that_is_not_row_wise_have_no_place() {
        let mut places = Places::default();
        let ids: ArrayRef = Arc::new(StringArray::from(vec!["x", "y"]));
        let rows = RecordBatch::try_from_iter([("customer_id", ids)]).expect("a batch");
        for expected in [0, 2] {
            assert_eq!(places.take(&rows).expect("an ordinal"), expected);
        }
        assert_eq!((places.of(3), places.runs.len()), (Place::default(), 1));
    }
}

//! A Parquet file written anew in exactly as many bytes, with other values in some rows.
//!
//! The Delta log names a data file with its length and its row count, for ever. A file that says less is shorter, and
//! is filled up with zeros before the metadata at its end: everything in a file is found from there, by its place from
//! the beginning, and nobody looks between. Rows keep their order, and row groups their rows.

use bytes::Bytes;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_writer::ArrowWriterOptions;
use datafusion::parquet::file::properties::EnabledStatistics;

use super::in_memory::InMemory;
use crate::error::StoreError;
use crate::parquet_file::{ZSTD_LEVEL, parquet_error, writer_properties};

/// What ends a file behind its metadata: their length in four bytes, and `PAR1`.
const TRAILER_BYTES: usize = 8;

/// A batch with other values, and in how many rows.
pub(super) type Replaced = (RecordBatch, u64);

/// A file with other values, and in how many rows.
pub(super) struct Rewritten {
    /// The whole file, as long as it was.
    pub(super) content: Bytes,
    /// The rows that changed.
    pub(super) rows: u64,
}

/// How hard a file is pressed.
struct Effort {
    level: i32,
    statistics: EnabledStatistics,
    /// Whether the Arrow schema is in the file a second time, in Arrow's own form.
    has_arrow_schema: bool,
}

/// As files are written first, and then with less and less that readers can do without.
const EFFORTS: [Effort; 4] = [
    Effort { level: ZSTD_LEVEL, statistics: EnabledStatistics::Page, has_arrow_schema: true },
    Effort { level: 9, statistics: EnabledStatistics::Page, has_arrow_schema: true },
    Effort { level: 19, statistics: EnabledStatistics::Chunk, has_arrow_schema: true },
    Effort { level: 19, statistics: EnabledStatistics::None, has_arrow_schema: false },
];

/// Writes a file anew. `replace` is given every batch, and says what stands in its place; `None` where no row changes.
/// Returns `None` where no row of the file does.
///
/// # Errors
/// `StoreError::NoRoom` where it does not fit into its length.
pub(super) fn rewrite(
    file: &InMemory,
    replace: impl Fn(&RecordBatch) -> Result<Option<Replaced>, StoreError>,
) -> Result<Option<Rewritten>, StoreError> {
    let mut needed = 0;
    for effort in &EFFORTS {
        let (encoded, rows) = encode(file, effort, &replace)?;
        if rows == 0 {
            return Ok(None);
        }
        needed = encoded.len();
        if let Some(content) = filled_up(encoded, file.size()) {
            let rewritten = InMemory::open(content.into(), file.name())?;
            if rewritten.rows() != file.rows() {
                let reason = format!("written anew it has {} rows, not {}", rewritten.rows(), file.rows());
                return Err(StoreError::Damaged { what: file.name().to_owned(), reason });
            }
            return Ok(Some(Rewritten { content: rewritten.into_content(), rows }));
        }
    }
    Err(StoreError::NoRoom { path: file.name().to_owned(), size: file.size() as u64, needed: needed as u64 })
}

fn encode(
    file: &InMemory,
    effort: &Effort,
    replace: &impl Fn(&RecordBatch) -> Result<Option<Replaced>, StoreError>,
) -> Result<(Vec<u8>, u64), StoreError> {
    let failed = |source| parquet_error("write anew", file.name(), source);
    let properties = writer_properties(effort.level).map_err(failed)?.set_statistics_enabled(effort.statistics);
    let options = ArrowWriterOptions::new()
        .with_properties(properties.build())
        .with_skip_arrow_metadata(!effort.has_arrow_schema);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), file.schema().clone(), options).map_err(failed)?;
    let mut rows = 0;
    for group in file.groups() {
        for batch in file.batches(group, None)? {
            let batch = batch?;
            match replace(&batch)? {
                Some((replaced, changed)) => {
                    rows += changed;
                    writer.write(&replaced).map_err(failed)?;
                }
                None => writer.write(&batch).map_err(failed)?,
            }
        }
        writer.flush().map_err(failed)?;
    }
    Ok((writer.into_inner().map_err(failed)?, rows))
}

/// A file with zeros before its metadata, so that it has that length; `None` where it is longer.
fn filled_up(mut encoded: Vec<u8>, size: usize) -> Option<Vec<u8>> {
    let missing = size.checked_sub(encoded.len())?;
    let trailer = encoded.len().checked_sub(TRAILER_BYTES)?;
    let length: [u8; 4] = encoded.get(trailer..trailer + 4)?.try_into().ok()?;
    let metadata = trailer.checked_sub(u32::from_le_bytes(length) as usize)?;
    drop(encoded.splice(metadata..metadata, std::iter::repeat_n(0, missing)));
    Some(encoded)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
    use datafusion::arrow::datatypes::SchemaRef;

    use super::super::in_memory::number_at;
    use super::*;

    /// A file of customers whose names tell their numbers, in row groups of these lengths.
    fn file(groups: &[i64]) -> Bytes {
        let mut first = 0;
        let batches: Vec<RecordBatch> = groups
            .iter()
            .map(|rows| {
                let numbers = first..first + rows;
                first += rows;
                let names: StringArray = numbers.clone().map(|number| Some(format!("customer {number}"))).collect();
                let columns: [(&str, ArrayRef); 2] =
                    [("customer_no", Arc::new(Int64Array::from_iter_values(numbers))), ("name", Arc::new(names))];
                RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
            })
            .collect();
        let schema: SchemaRef = batches[0].schema();
        let properties = writer_properties(ZSTD_LEVEL).unwrap().build();
        let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties)).unwrap();
        for batch in batches {
            writer.write(&batch).unwrap();
            writer.flush().unwrap();
        }
        writer.into_inner().unwrap().into()
    }

    /// Gives the customers of these numbers another name.
    fn renamed<'n>(
        numbers: &'n [i64],
        name: Option<&'n str>,
    ) -> impl Fn(&RecordBatch) -> Result<Option<Replaced>, StoreError> + 'n {
        move |batch| {
            let is_theirs = |row: &usize| number_at(batch, *row).is_some_and(|no| numbers.contains(&no));
            let count = (0..batch.num_rows()).filter(is_theirs).count() as u64;
            if count == 0 {
                return Ok(None);
            }
            let names = batch.column(1).as_string::<i32>();
            let others: StringArray =
                (0..batch.num_rows()).map(|row| if is_theirs(&row) { name } else { Some(names.value(row)) }).collect();
            let columns = vec![batch.column(0).clone(), Arc::new(others) as ArrayRef];
            Ok(Some((RecordBatch::try_new(batch.schema(), columns).unwrap(), count)))
        }
    }

    fn names(file: &InMemory) -> Vec<Option<String>> {
        let mut names = Vec::new();
        let mut look = |batch: &RecordBatch| {
            let column = batch.column(1).as_string::<i32>();
            names.extend((0..column.len()).map(|row| (!column.is_null(row)).then(|| column.value(row).to_owned())));
            Ok(())
        };
        file.each_batch(None, &mut look).unwrap();
        names
    }

    /// Renames one customer and checks that the file has its length, its row groups and all its other rows.
    fn check(groups: &[i64], number: i64, name: Option<&str>) {
        let before = InMemory::open(file(groups), "before").unwrap();
        let rewritten = rewrite(&before, renamed(&[number], name)).unwrap().expect("a row that changes");
        assert_eq!(rewritten.rows, 1);
        assert_eq!(rewritten.content.len(), before.size());
        let after = InMemory::open(rewritten.content, "after").unwrap();
        let rows_of = |group: usize| -> i64 {
            after.batches(group, None).unwrap().map(|rows| rows.unwrap().num_rows() as i64).sum()
        };
        assert_eq!(after.groups().map(rows_of).collect::<Vec<i64>>(), groups);
        let mut expected = names(&before);
        expected[usize::try_from(number).unwrap()] = name.map(str::to_owned);
        assert_eq!(names(&after), expected);
    }

    #[test]
    fn a_file_that_says_less_keeps_its_length_its_row_groups_and_its_other_rows() {
        check(&[40_000, 3], 7, None);
        check(&[5, 40_000, 1], 4, None);
        check(&[1], 0, None);
    }

    #[test]
    fn a_file_that_says_as_much_or_a_little_more_is_pressed_into_its_length() {
        check(&[3, 2], 2, Some("customer 9"));
        check(&[5], 3, Some("a longer name than there was"));
        check(&[20_000], 3, Some("a longer name than there was"));
    }

    #[test]
    fn where_nothing_changes_nothing_is_written() {
        let before = InMemory::open(file(&[10]), "before").unwrap();
        assert!(rewrite(&before, renamed(&[99], None)).unwrap().is_none());
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_names_the_file() {
        let before = InMemory::open(file(&[3]), "tables/x.parquet").unwrap();
        // Nothing that could be pressed.
        let mixed = |number: u32| b'!' + (number.wrapping_mul(2_654_435_761) >> 25) as u8 % 90;
        let long: String = (0..20_000).map(|number| char::from(mixed(number))).collect();
        let refused = rewrite(&before, renamed(&[1], Some(long.as_str()))).err().expect("an error");
        let said = refused.to_string();
        assert!(said.starts_with("the file `tables/x.parquet` cannot be written anew in its"), "{said}");
    }
}

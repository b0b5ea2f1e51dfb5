//! The columns of a raw table: names without doubles, our own four at the end, and the same set in every file.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use datafusion::arrow::datatypes::{DataType, Field};

use super::error::RawError;

/// The names of our own columns, in their order.
const OWN_COLUMNS: [&str; 4] = ["_file", "_line", "_raw", "_row_id"];

/// The most columns of a raw table, as many as a worksheet has. More are no table: ids have become names.
pub(super) const MAX_COLUMNS: usize = 16_384;

/// Refuses a file that would make a table of more than [`MAX_COLUMNS`].
///
/// # Errors
///
/// [`RawError::TooManyColumns`].
pub(super) fn check_column_count(path: &Path, count: usize) -> Result<(), RawError> {
    if count <= MAX_COLUMNS { Ok(()) } else { Err(RawError::TooManyColumns { path: path.to_owned() }) }
}

/// What a column of a scan's output is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// The column of the table with this index, before ours.
    Column(usize),
    File,
    Line,
    Raw,
    RowId,
}

/// Returns our own columns, to be put after those of the files.
pub(super) fn own_columns() -> [(Field, Output); 4] {
    let [file, line, raw, row_id] = OWN_COLUMNS;
    [
        (Field::new(file, DataType::Utf8, false), Output::File),
        (Field::new(line, DataType::Int64, false), Output::Line),
        (Field::new(raw, DataType::Utf8, false), Output::Raw),
        (Field::new(row_id, DataType::Utf8, false), Output::RowId),
    ]
}

/// Returns the names with `column_N` for the empty ones (N from 1) and `_2`, `_3`, … after those that are taken, ours
/// included.
pub(super) fn unique_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut taken: HashSet<String> = OWN_COLUMNS.map(str::to_owned).into();
    let mut unique = Vec::new();
    for name in names {
        let wanted = if name.is_empty() { format!("column_{}", unique.len() + 1) } else { name.to_owned() };
        let mut free = wanted.clone();
        let mut suffix = 2;
        while !taken.insert(free.clone()) {
            free = format!("{wanted}_{suffix}");
            suffix += 1;
        }
        unique.push(free);
    }
    unique
}

/// Returns, for each column of the table, its index among the columns `own` of the file at `path`.
///
/// # Errors
///
/// [`RawError::ColumnsDiffer`] unless both have the same names, in whatever order.
pub(super) fn match_columns(
    first: &Path,
    columns: &[String],
    path: &Path,
    own: &[String],
) -> Result<Vec<usize>, RawError> {
    let position_of: HashMap<&String, usize> =
        own.iter().enumerate().map(|(position, name)| (name, position)).collect();
    let positions: Vec<usize> = columns.iter().filter_map(|name| position_of.get(name).copied()).collect();
    if positions.len() == columns.len() && own.len() == columns.len() {
        return Ok(positions);
    }
    let lacks = without(columns, own).map(|name| format!("it lacks `{name}`"));
    let adds = without(own, columns).map(|name| format!("it adds `{name}`"));
    let difference = lacks.chain(adds).collect::<Vec<_>>().join(", ");
    Err(RawError::ColumnsDiffer { path: path.to_owned(), first: first.to_owned(), difference })
}

/// Returns the names that are in `names` and not in `others`.
fn without<'a>(names: &'a [String], others: &'a [String]) -> impl Iterator<Item = &'a String> {
    names.iter().filter(move |name| !others.contains(name))
}

//! A workbook (`.xlsx`) as rows: its first visible sheet, cell by cell.

use std::borrow::Cow;
use std::io::{self, Cursor, Read};

use calamine::{DataRef, Reader, SheetType, SheetVisible, Xlsx};
use zip::ZipArchive;

use super::read::List;
use crate::error::ActivateError;

/// What a workbook may hold when it is unpacked.
const MAX_UNPACKED_BYTES: u64 = 512 << 20;
/// From here on not every whole number has a form of its own: spreadsheets keep 15 digits.
const FIRST_ROUNDED: f64 = 1e15;

/// Reads a workbook. A row's number is the sheet's; rows without content are no rows.
///
/// # Errors
/// Where it is damaged or protected, has no sheet, or is far larger than its file.
pub(super) fn read(bytes: &[u8], list: &mut List<'_>) -> Result<(), ActivateError> {
    let unpacked = unpacked_bytes(bytes, MAX_UNPACKED_BYTES).map_err(|cause| unreadable(list, &cause))?;
    if unpacked > MAX_UNPACKED_BYTES {
        let reason = format!("holds more than {} MiB when it is unpacked", MAX_UNPACKED_BYTES >> 20);
        return Err(list.fault(reason, "save the sheet of customers alone"));
    }
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(|cause| unreadable(list, &cause))?;
    let is_shown =
        |sheet: &&calamine::Sheet| sheet.typ == SheetType::WorkSheet && sheet.visible == SheetVisible::Visible;
    let Some(sheet) = book.sheets_metadata().iter().find(is_shown).map(|sheet| sheet.name.clone()) else {
        return Err(list.fault("has no visible sheet", "save the list as CSV UTF-8"));
    };
    let mut cells = book.worksheet_cells_reader(&sheet).map_err(|cause| unreadable(list, &cause))?;
    let mut row = Row::default();
    while let Some(cell) = cells.next_cell().map_err(|cause| unreadable(list, &cause))? {
        let (row_place, column) = cell.get_position();
        let number = u64::from(row_place) + 1;
        if number != row.number {
            row.hand_over(list)?;
            row.number = number;
        }
        let column = column as usize;
        if list.wants(column) {
            row.set(column, text_of(cell.get_value()));
        }
    }
    row.hand_over(list)
}

/// How much an archive holds, counted by unpacking it; no further than one byte beyond the limit.
///
/// What the archive says of itself is not trusted: a small file may hold gigabytes.
fn unpacked_bytes(bytes: &[u8], limit: u64) -> Result<u64, zip::result::ZipError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))?;
    let mut unpacked = 0;
    for place in 0..archive.len() {
        let left = (limit + 1).saturating_sub(unpacked);
        unpacked += io::copy(&mut archive.by_index(place)?.take(left), &mut io::sink())?;
    }
    Ok(unpacked)
}

fn unreadable(list: &List<'_>, cause: &dyn std::error::Error) -> ActivateError {
    list.fault(format!("cannot be read as a workbook: {cause}"), "save it again as .xlsx, or as CSV UTF-8")
}

/// The cells of the row under way.
#[derive(Debug, Default)]
struct Row {
    /// From 1; 0 before the first row.
    number: u64,
    cells: Vec<String>,
}

impl Row {
    fn set(&mut self, column: usize, text: Cow<'_, str>) {
        if text.is_empty() {
            return;
        }
        if self.cells.len() <= column {
            self.cells.resize(column + 1, String::new());
        }
        self.cells[column] = text.into_owned();
    }

    /// Gives the row to the list, unless it holds nothing, and begins anew.
    fn hand_over(&mut self, list: &mut List<'_>) -> Result<(), ActivateError> {
        if !self.cells.is_empty() {
            let cells: Vec<&str> = self.cells.iter().map(String::as_str).collect();
            list.take(self.number, &cells)?;
            self.cells.clear();
        }
        Ok(())
    }
}

/// A cell as text. A number has no point where it is a whole one; one with more digits than a spreadsheet keeps is
/// written as the spreadsheet writes it, so that it is known for what it is.
fn text_of<'c>(value: &'c DataRef<'_>) -> Cow<'c, str> {
    match value {
        DataRef::String(text) => Cow::Borrowed(text),
        DataRef::SharedString(text) => Cow::Borrowed(text),
        DataRef::Int(number) => Cow::Owned(number.to_string()),
        DataRef::Float(number) if number.abs() < FIRST_ROUNDED => Cow::Owned(number.to_string()),
        DataRef::Float(number) => Cow::Owned(format!("{number:.5E}").replace('E', "E+")),
        DataRef::Bool(truth) => Cow::Borrowed(if *truth { "TRUE" } else { "FALSE" }),
        DataRef::DateTime(instant) => Cow::Owned(instant.as_f64().to_string()),
        DataRef::Error(error) => Cow::Owned(error.to_string()),
        DataRef::Empty => Cow::Borrowed(""),
        // Never an id, and shown as what it is.
        other => Cow::Owned(format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKBOOK: &[u8] = include_bytes!("../../../tests/data/import/vips.xlsx");

    #[test]
    fn an_archive_is_unpacked_up_to_the_limit_and_no_further() {
        assert_eq!(unpacked_bytes(WORKBOOK, 1000).expect("an archive"), 1001);
        let all = unpacked_bytes(WORKBOOK, MAX_UNPACKED_BYTES).expect("an archive");
        assert!(all > WORKBOOK.len() as u64 && all < 10_000, "{all}");
    }

    #[test]
    fn numbers_are_written_as_ids_are() {
        let check = |value: DataRef<'_>, expected: &str| assert_eq!(text_of(&value), expected, "{value:?}");
        check(DataRef::Float(10_001.0), "10001");
        check(DataRef::Float(999_999_999_999_999.0), "999999999999999");
        check(DataRef::Float(123_456_789_012_345_680.0), "1.23457E+17");
        check(DataRef::Float(1.5), "1.5");
        check(DataRef::Int(7), "7");
        check(DataRef::SharedString("wm1"), "wm1");
        check(DataRef::Empty, "");
    }
}

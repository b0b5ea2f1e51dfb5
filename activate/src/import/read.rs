//! Reading an upload: a CSV file or a workbook as rows, within limits that a hostile file cannot exceed.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use tagmill_query::export::neutralised;
use tagmill_schemas::documents::import::UploadRow;

use super::columns::{Places, UploadColumns};
use super::{delimited, workbook};
use crate::error::ActivateError;

/// The largest file that is read.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// The most rows that are taken; a sheet cannot have as many.
const MAX_ROWS: usize = 2_000_000;
/// The first bytes of a ZIP archive, which a workbook is.
const ZIP_MAGIC: &[u8] = b"PK\x03\x04";
/// The first bytes of what Excel wrote until 2003.
const OLD_EXCEL_MAGIC: &[u8] = &[0xd0, 0xcf, 0x11, 0xe0];

/// Reads an upload. What it is shows in its first bytes, whatever its name: a workbook (`.xlsx`), of which the first
/// visible sheet is read, or delimited text.
///
/// The first row that holds anything names the columns.
///
/// # Errors
/// `ActivateError::UploadFile` where the file cannot be read, `ActivateError::Upload` where it is neither, too large, or
/// does not say which column holds the customers.
pub fn read_upload(path: &Path, columns: &UploadColumns) -> Result<Vec<UploadRow>, ActivateError> {
    let shown = path.display().to_string();
    let failed = |source| ActivateError::UploadFile { path: shown.clone(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    let mut list = List::new(&shown, columns);
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let reason = format!("is larger than {} MiB", MAX_FILE_BYTES >> 20);
        return Err(list.fault(reason, "import it in parts"));
    }
    if bytes.starts_with(ZIP_MAGIC) {
        workbook::read(&bytes, &mut list)?;
    } else if bytes.starts_with(OLD_EXCEL_MAGIC) {
        return Err(list.fault(
            "is a workbook of the old form, or has a password",
            "save it as .xlsx or as CSV UTF-8, without one",
        ));
    } else {
        delimited::read(&bytes, &mut list)?;
    }
    list.finish()
}

/// The rows of an upload in the making.
#[derive(Debug)]
pub(super) struct List<'a> {
    path: &'a str,
    columns: &'a UploadColumns,
    /// `None` until the header has come.
    places: Option<Places>,
    rows: Vec<UploadRow>,
}

impl<'a> List<'a> {
    pub(super) fn new(path: &'a str, columns: &'a UploadColumns) -> Self {
        Self { path, columns, places: None, rows: Vec::new() }
    }

    /// Takes the next row; the first that holds anything is the header.
    ///
    /// # Errors
    /// Where the header does not say which column holds the customers, and where there are too many rows.
    pub(super) fn take(&mut self, row: u64, cells: &[&str]) -> Result<(), ActivateError> {
        let Some(places) = self.places else {
            if cells.iter().any(|cell| !cleaned(cell).is_empty()) {
                let found = Places::find(cells, self.columns).map_err(|bad| self.fault(bad.reason, bad.advice))?;
                self.places = Some(found);
            }
            return Ok(());
        };
        if self.rows.len() == MAX_ROWS {
            return Err(self.fault(format!("has more than {MAX_ROWS} rows"), "import it in parts"));
        }
        let cell = |place: usize| cells.get(place).map(|cell| cleaned(cell)).filter(|cell| !cell.is_empty());
        self.rows.push(UploadRow {
            row,
            id_space: places.id_space.and_then(cell),
            customer_id: cell(places.customer).unwrap_or_default(),
            staff_id: places.staff.and_then(cell),
        });
        Ok(())
    }

    /// Whether a column is looked at: all are until the header has come.
    pub(super) fn wants(&self, column: usize) -> bool {
        self.places.is_none_or(|places| places.contains(column))
    }

    /// What is wrong with the file, as the end of a sentence about it, with advice.
    pub(super) fn fault(&self, reason: impl Into<String>, advice: impl Into<String>) -> ActivateError {
        ActivateError::Upload { path: self.path.to_owned(), reason: reason.into(), advice: advice.into() }
    }

    pub(super) fn finish(self) -> Result<Vec<UploadRow>, ActivateError> {
        if self.places.is_none() {
            let advice = "its first row names the columns, such as `customer_id` and `staff_id`";
            return Err(self.fault("holds nothing", advice));
        }
        Ok(self.rows)
    }
}

/// A cell without the blanks and invisible marks around it, and without the apostrophe that keeps a spreadsheet from
/// running it: our own exports write one.
fn cleaned(cell: &str) -> String {
    let is_blank = |c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}');
    let text = cell.trim_matches(is_blank);
    match text.strip_prefix('\'') {
        Some(defused) if matches!(neutralised(defused), Cow::Owned(_)) => defused.to_owned(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_lose_what_exports_put_around_them_and_nothing_else() {
        let check = |cell: &str, expected: &str| assert_eq!(cleaned(cell), expected);
        check(" \u{3000}wm1\t", "wm1");
        check("\u{feff}wm1\u{200b}", "wm1");
        check("'-wm1", "-wm1");
        check("'wm1", "'wm1");
        check("wm 1", "wm 1");
        check(" ", "");
    }

    #[test]
    fn the_first_row_that_holds_anything_is_the_header() {
        let columns = UploadColumns::default();
        let mut list = List::new("list.csv", &columns);
        assert!(list.wants(7));
        list.take(1, &["", " "]).expect("a blank row");
        list.take(2, &["客户ID", "员工ID"]).expect("a header");
        assert!(list.wants(1) && !list.wants(7));
        list.take(3, &["c1"]).expect("a short row");
        list.take(4, &["", "li"]).expect("a row without a customer");
        let rows = list.finish().expect("rows");
        let row = |row, customer_id: &str, staff_id: Option<&str>| UploadRow {
            row,
            id_space: None,
            customer_id: customer_id.to_owned(),
            staff_id: staff_id.map(str::to_owned),
        };
        assert_eq!(rows, [row(3, "c1", None), row(4, "", Some("li"))]);
    }
}

//! Delimited text as rows: UTF-8, UTF-16 or GB18030, with commas, semicolons or tabs.

use std::borrow::Cow;
use std::io::Read;

use csv::{ReaderBuilder, StringRecord};
use encoding_rs::{Encoding, GB18030};

use super::read::List;
use crate::error::ActivateError;

/// A last record, which no text holds. Where it does not come out again, a quote was open before it.
const END: &[u8] = b"\n\0";

/// Reads delimited text.
///
/// A row's number is the line that it begins in. Blank lines are no rows.
///
/// # Errors
/// Where it is no text, and where a quote is not closed, because nobody can tell how many rows that hides.
pub(super) fn read(bytes: &[u8], list: &mut List<'_>) -> Result<(), ActivateError> {
    let text = decoded(bytes).filter(|text| !text.contains('\0'));
    let Some(text) = text else {
        return Err(list.fault("is neither text nor a workbook", "save it as CSV UTF-8 or as .xlsx"));
    };
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter_of(&text))
        .from_reader(text.as_bytes().chain(END));
    let mut lines = Lines { text: text.as_bytes(), at: 0, line: 1 };
    let mut record = StringRecord::new();
    let mut line = 1;
    loop {
        let has_more = reader.read_record(&mut record);
        if !has_more.map_err(|cause| list.fault(format!("is no CSV: {cause}"), "save it as CSV UTF-8"))? {
            let advice = format!("look at line {line}; a quote inside quotes is doubled");
            return Err(list.fault("has a quote that is not closed", advice));
        }
        if record.len() == 1 && record.get(0) == Some("\0") {
            return Ok(());
        }
        let start = record.position().map_or(0, csv::Position::byte);
        line = lines.line_of(usize::try_from(start).unwrap_or(usize::MAX));
        let cells: Vec<&str> = record.iter().collect();
        list.take(line, &cells)?;
    }
}

/// The text behind the bytes: as its mark says, else UTF-8, else GB18030, in which Excel saves CSV in China.
fn decoded(bytes: &[u8]) -> Option<Cow<'_, str>> {
    if let Some((encoding, mark_bytes)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling_and_without_replacement(&bytes[mark_bytes..]);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(Cow::Borrowed(text)),
        Err(_) => GB18030.decode_without_bom_handling_and_without_replacement(bytes),
    }
}

/// The sign that stands most often in the first line; a comma where none does.
fn delimiter_of(text: &str) -> u8 {
    let header = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let count = |sign: u8| header.bytes().filter(|byte| *byte == sign).count();
    // Of several that stand as often, the last is taken.
    [b';', b'\t', b','].into_iter().max_by_key(|sign| count(*sign)).unwrap_or(b',')
}

/// Counts lines along a text.
struct Lines<'t> {
    text: &'t [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line in which a record begins, from 1. The reader takes the line ends before a record for part of it.
    fn line_of(&mut self, start: usize) -> u64 {
        let rest = self.text.get(start..).unwrap_or_default();
        let begin = start + rest.iter().take_while(|byte| is_line_end(**byte)).count();
        let passed = self.text.get(self.at..begin).unwrap_or_default();
        let is_break = |place: &usize| passed[*place] == b'\n' || passed.get(place + 1) != Some(&b'\n');
        let breaks = (0..passed.len()).filter(|place| is_line_end(passed[*place]) && is_break(place)).count();
        self.line += breaks as u64;
        self.at = begin;
        self.line
    }
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::columns::UploadColumns;

    /// The rows of a text, each with its line; or what is wrong with it.
    fn rows(bytes: &[u8]) -> Result<Vec<(u64, String)>, String> {
        let columns = UploadColumns::default();
        let mut list = List::new("list.csv", &columns);
        let read = read(bytes, &mut list).and_then(|()| list.finish());
        let rows = read.map_err(|error| error.to_string())?;
        Ok(rows.into_iter().map(|row| (row.row, row.customer_id)).collect())
    }

    fn check(bytes: &[u8], expected: &[(u64, &str)]) {
        let expected: Vec<(u64, String)> = expected.iter().map(|(line, id)| (*line, (*id).to_owned())).collect();
        assert_eq!(rows(bytes), Ok(expected), "{:?}", String::from_utf8_lossy(bytes));
    }

    #[test]
    fn a_row_has_the_number_of_the_line_that_it_begins_in() {
        check(b"customer_id\nc1\nc2", &[(2, "c1"), (3, "c2")]);
        check(b"customer_id\r\nc1\r\n\r\nc2\r\n", &[(2, "c1"), (4, "c2")]);
        check(b"customer_id\rc1\r\rc2", &[(2, "c1"), (4, "c2")]);
        check(b"\n\ncustomer_id,note\nc1,\"two\nlines\"\nc2,x\n", &[(4, "c1"), (6, "c2")]);
        check(b"note,customer_id\n,\nx,c1\n", &[(2, ""), (3, "c1")]);
    }

    #[test]
    fn text_is_read_in_the_encodings_that_excel_writes() {
        let text = "客户ID\nc1\n";
        check(text.as_bytes(), &[(2, "c1")]);
        check(format!("\u{feff}{text}").as_bytes(), &[(2, "c1")]);
        check(b"\xbf\xcd\xbb\xa7ID\nc1\n", &[(2, "c1")]);
        let marked = format!("\u{feff}{text}");
        let little: Vec<u8> = marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = marked.encode_utf16().flat_map(u16::to_be_bytes).collect();
        check(&little, &[(2, "c1")]);
        check(&big, &[(2, "c1")]);
    }

    #[test]
    fn the_header_shows_what_separates_the_cells() {
        check(b"name;customer_id\na,b;c1\n", &[(2, "c1")]);
        check(b"name\tcustomer_id\na,b\tc1\n", &[(2, "c1")]);
        check(b"customer_id\na;b\n", &[(2, "a;b")]);
    }

    #[test]
    fn what_hides_rows_or_is_no_text_is_refused() {
        let unclosed = rows(b"customer_id,note\nc1,\"open\nc2,x\n").expect_err("an open quote");
        assert!(unclosed.contains("has a quote that is not closed"), "{unclosed}");
        for no_text in [&b"customer_id\nc1\0\n"[..], b"\xff\x00\x12\x34"] {
            let said = rows(no_text).expect_err("no text");
            assert!(said.contains("is neither text nor a workbook"), "{said}");
        }
        for nothing in [&b""[..], b"\n\n", b"\xef\xbb\xbf"] {
            assert!(rows(nothing).expect_err("nothing").contains("holds nothing"), "{nothing:?}");
        }
    }
}

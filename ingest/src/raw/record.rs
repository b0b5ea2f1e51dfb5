//! Cuts bytes into CSV records, in bounded memory and without losing the rest of a file to one bad record.
//!
//! The grammar is csv-core's. Around it, this reader keeps what csv-core does not: the record as it came, the line
//! where it starts, which fields were quoted, and where to go on after a record that has no end. A quote that is never
//! closed would swallow the file, or 8 MiB of it; so the first *line* of such a record is given up alone, and reading
//! goes on at the next line.

use std::io::{self, Read};

use csv_core::ReadFieldResult;
use memchr::{memchr_iter, memchr2};

use super::account::{FIELD_COUNT, NUL_BYTE, TOO_LONG, UNTERMINATED_QUOTE, Unparsable};
use super::encoding::Encoding;
use super::format::CsvDialect;

/// How much is read at a time.
const CHUNK_BYTES: usize = 64 * 1024;
/// How often reading may go back after an open quote. Each time costs a second look at up to one longest record; a file
/// that needs it more often is not CSV, and is given up record by record instead.
const MAX_RETURNS: u32 = 1_000;
/// What Windows programs put before UTF-8 text.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A record, or what can't be read as one.
pub(super) enum Piece<'a> {
    Record(Record<'a>),
    Flawed(Unparsable),
}

/// A record that ends where it should; its fields are still to be checked.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    /// The physical line where it starts, from 1.
    pub(super) line: u64,
    /// The record as it came, without its line end.
    pub(super) raw: &'a [u8],
    /// The contents of the fields, end to end.
    text: &'a [u8],
    ends: &'a [FieldEnd],
    /// How the file is written; the record is UTF-8 by now, but for what could not be decoded.
    encoding: Encoding,
}

#[derive(Clone, Copy)]
struct FieldEnd {
    end: usize,
    is_quoted: bool,
}

/// The fields of a record, as text.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    text: &'a str,
    ends: &'a [FieldEnd],
}

impl<'a> Fields<'a> {
    pub(super) fn count(&self) -> usize {
        self.ends.len()
    }

    /// Returns the field's content; `index` must be less than [`count`](Self::count).
    pub(super) fn get(&self, index: usize) -> &'a str {
        let start = if index == 0 { 0 } else { self.ends[index - 1].end };
        &self.text[start..self.ends[index].end]
    }

    pub(super) fn is_quoted(&self, index: usize) -> bool {
        self.ends[index].is_quoted
    }
}

impl<'a> Record<'a> {
    /// Reads the fields as text, however many there are.
    pub(super) fn fields(&self) -> Result<Fields<'a>, Unparsable> {
        if self.text.contains(&0) {
            return Err(self.flaw(NUL_BYTE, "the record holds a NUL byte".to_owned()));
        }
        let not_text = || self.encoding.flaw(self.line, self.raw);
        let text = std::str::from_utf8(self.text).map_err(|_| not_text())?;
        // Two broken halves of a character in neighbouring fields are whole only when put together.
        if text.is_ascii() || self.ends.iter().all(|field| text.is_char_boundary(field.end)) {
            Ok(Fields { text, ends: self.ends })
        } else {
            Err(not_text())
        }
    }

    /// Reads the fields of a record that must have `count` of them; further ones are overlooked if they are empty.
    pub(super) fn fields_of(&self, count: usize) -> Result<Fields<'a>, Unparsable> {
        let fields = self.fields()?;
        let found = fields.count();
        if found >= count && (count..found).all(|index| fields.get(index).is_empty()) {
            return Ok(fields);
        }
        Err(self.flaw(FIELD_COUNT, format!("the record has {found} fields, the table has {count} columns")))
    }

    fn flaw(&self, code: &'static str, reason: String) -> Unparsable {
        Unparsable::new(self.line, code, reason, self.raw)
    }
}

/// Reads records from `input`, holding little more than one longest record at a time.
pub(super) struct RecordReader<R> {
    input: R,
    /// Bytes that are read and not yet given up.
    window: Vec<u8>,
    /// Where the record under way starts in `window`.
    start: usize,
    /// How many bytes from `start` the parser has taken.
    taken: usize,
    parser: csv_core::Reader,
    /// The unescaped fields of the record under way are the first `text_length` bytes of `text`.
    text: Vec<u8>,
    text_length: usize,
    ends: Vec<FieldEnd>,
    quote: Option<u8>,
    encoding: Encoding,
    max_record_bytes: usize,
    returns_left: u32,
    /// Whether the last byte before `start` is a CR, whose line is not counted yet.
    is_after_cr: bool,
}

/// What [`RecordReader::advance`] came to; the record itself lies in the reader.
enum Step {
    Record { line: u64, raw_length: usize },
    Flawed(Unparsable),
    End,
}

impl<R: Read> RecordReader<R> {
    /// Starts at the first byte after a byte order mark.
    pub(super) fn new(input: R, dialect: &CsvDialect, encoding: Encoding) -> io::Result<Self> {
        let mut parser = csv_core::ReaderBuilder::new();
        parser.delimiter(dialect.delimiter).quote(dialect.quote.unwrap_or(b'"')).quoting(dialect.quote.is_some());
        let mut reader = Self {
            input,
            window: Vec::new(),
            start: 0,
            taken: 0,
            parser: parser.build(),
            text: vec![0; CHUNK_BYTES],
            text_length: 0,
            ends: Vec::new(),
            quote: dialect.quote,
            encoding,
            max_record_bytes: dialect.max_record_bytes,
            returns_left: MAX_RETURNS,
            is_after_cr: false,
        };
        reader.fill()?;
        if reader.window.starts_with(BYTE_ORDER_MARK) {
            reader.start = BYTE_ORDER_MARK.len();
        }
        Ok(reader)
    }

    /// Returns the input, as far as it has been read.
    pub(super) fn into_input(self) -> R {
        self.input
    }

    /// Reads the next record; `None` at the end. Blank lines are passed over.
    pub(super) fn read_record(&mut self) -> io::Result<Option<Piece<'_>>> {
        Ok(match self.advance()? {
            Step::Record { line, raw_length } => Some(Piece::Record(Record {
                line,
                raw: &self.window[self.start..self.start + raw_length],
                text: &self.text[..self.text_length],
                ends: &self.ends,
                encoding: self.encoding,
            })),
            Step::Flawed(row) => Some(Piece::Flawed(row)),
            Step::End => None,
        })
    }

    fn advance(&mut self) -> io::Result<Step> {
        if self.taken > 0 {
            self.is_after_cr = self.window[self.start + self.taken - 1] == b'\r';
        }
        self.start += self.taken;
        self.taken = 0;
        if !self.skip_line_ends()? {
            return Ok(Step::End);
        }
        self.ends.clear();
        self.text_length = 0;
        let line = self.parser.line();
        let mut field_start = 0;
        loop {
            if self.start + self.taken == self.window.len() {
                if self.taken > self.max_record_bytes {
                    return self.give_up(line);
                }
                if !self.fill()? {
                    return self.end_of_input(line, field_start);
                }
            }
            let input = &self.window[self.start + self.taken..];
            let (result, read, written) = self.parser.read_field(input, &mut self.text[self.text_length..]);
            self.taken += read;
            self.text_length += written;
            match result {
                ReadFieldResult::Field { record_end } => {
                    self.end_field(field_start);
                    field_start = self.taken;
                    if record_end {
                        return self.end_record(line);
                    }
                }
                ReadFieldResult::OutputFull => self.grow_text(),
                ReadFieldResult::InputEmpty | ReadFieldResult::End => {}
            }
        }
    }

    /// Moves on to the first byte that is no line end; tells whether there is one.
    fn skip_line_ends(&mut self) -> io::Result<bool> {
        loop {
            while let Some(byte) = self.window.get(self.start).copied() {
                // A CR alone ends a line as well; of CR and LF together, the LF is counted.
                if byte == b'\n' || self.is_after_cr {
                    self.parser.set_line(self.parser.line() + 1);
                }
                self.is_after_cr = byte == b'\r';
                if !matches!(byte, b'\n' | b'\r') {
                    return Ok(true);
                }
                self.start += 1;
            }
            if !self.fill()? {
                return Ok(false);
            }
        }
    }

    /// Gives up what lies before `start` and reads a chunk more; tells whether there was any.
    fn fill(&mut self) -> io::Result<bool> {
        self.window.drain(..self.start);
        self.start = 0;
        let read = self.input.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut self.window)?;
        Ok(read > 0)
    }

    fn grow_text(&mut self) {
        self.text.resize(self.text.len() * 2, 0);
    }

    fn end_field(&mut self, field_start: usize) {
        let is_quoted = self.quote.is_some() && self.window.get(self.start + field_start).copied() == self.quote;
        self.ends.push(FieldEnd { end: self.text_length, is_quoted });
    }

    fn end_record(&mut self, line: u64) -> io::Result<Step> {
        // The parser has taken one byte of the line end with it.
        let raw_length = self.taken - 1;
        if raw_length > self.max_record_bytes {
            return self.give_up(line);
        }
        Ok(Step::Record { line, raw_length })
    }

    /// Ends the last record of a text without a line end. A line end closes every record but one inside quotes.
    fn end_of_input(&mut self, line: u64, field_start: usize) -> io::Result<Step> {
        if self.text_length == self.text.len() {
            self.grow_text();
        }
        let (result, _, written) = self.parser.read_field(b"\n", &mut self.text[self.text_length..]);
        if result != (ReadFieldResult::Field { record_end: true }) {
            return self.give_up(line);
        }
        self.text_length += written;
        self.end_field(field_start);
        Ok(Step::Record { line, raw_length: self.taken })
    }

    /// Gives up a record that is too long or whose quote stays open. If it spans lines, an open quote is the likely
    /// cause, and only its first line is given up; otherwise all of it, up to the next line end after the longest
    /// record.
    fn give_up(&mut self, line: u64) -> io::Result<Step> {
        let is_too_long = self.taken > self.max_record_bytes;
        let searched = self.taken.min(self.max_record_bytes);
        let record = &self.window[self.start..self.start + self.taken];
        let first_line = memchr2(b'\n', b'\r', &record[..searched]);
        match first_line {
            Some(length) if self.returns_left > 0 => {
                self.returns_left -= 1;
                Ok(self.give_up_bytes(line, length))
            }
            _ if is_too_long => self.give_up_long(line),
            _ => Ok(self.give_up_bytes(line, self.taken)),
        }
    }

    /// Gives up the first `length` bytes of the record for an open quote, and goes on after them.
    fn give_up_bytes(&mut self, line: u64, length: usize) -> Step {
        let raw = &self.window[self.start..self.start + length];
        let reason = if self.taken > self.max_record_bytes {
            format!("a quote that opens here is not closed in the next {} bytes", self.max_record_bytes)
        } else {
            "a quote that opens here is not closed before the end of the file".to_owned()
        };
        let row = Unparsable::new(line, UNTERMINATED_QUOTE, reason, raw);
        let lines = count_lines(raw);
        self.taken = length;
        self.restart(line + lines);
        Step::Flawed(row)
    }

    /// Gives up a record that is too long, and goes on at the first line end after the longest record.
    fn give_up_long(&mut self, line: u64) -> io::Result<Step> {
        let reason = format!("the record is longer than {} bytes", self.max_record_bytes);
        let mut searched = self.start + self.max_record_bytes;
        let row = Unparsable::new(line, TOO_LONG, reason, &self.window[self.start..searched]);
        let lines = count_lines(&self.window[self.start..searched]);
        loop {
            if let Some(offset) = memchr2(b'\n', b'\r', &self.window[searched..]) {
                self.start = searched + offset;
                break;
            }
            self.start = self.window.len();
            if !self.fill()? {
                break;
            }
            searched = 0;
        }
        self.taken = 0;
        self.restart(line + lines);
        Ok(Step::Flawed(row))
    }

    /// Makes the parser forget the record under way.
    fn restart(&mut self, line: u64) {
        self.is_after_cr = false;
        self.parser.reset();
        self.parser.set_line(line);
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

#[cfg(test)]
mod tests;

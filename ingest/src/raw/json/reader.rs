//! Cuts a text into JSON records, in bounded memory and without losing the rest of a file to one bad record.
//!
//! A text that begins with `[` is an array, or several; its records are the elements. In every other text each line is
//! a record. What a record holds is not looked at here, beyond what tells its end.
//!
//! In an array, a brace or a quote that is not closed would swallow what follows. A text never spans lines in JSON, so
//! a line end ends one here; and where a record has no end, reading goes on at the next line that opens an object as
//! far from the margin as the record did.

use std::io::{self, Read};

use memchr::{memchr2, memchr2_iter, memrchr2};

use super::super::account::{JSON_OPEN, NOT_JSON, TOO_LONG, Unparsable};
use super::super::record::BYTE_ORDER_MARK;

/// How much is read at a time.
const CHUNK_BYTES: u64 = 64 * 1024;
/// How often reading may go back after a record without end; each time costs a second look at up to one longest record.
const MAX_RETURNS: u32 = 1_000;

/// A record, or what can't be one.
pub(super) enum Piece<'a> {
    /// What lies between two line ends or commas, without the blanks around it.
    Record {
        /// The physical line where it starts, from 1.
        line: u64,
        raw: &'a [u8],
    },
    Flawed(Unparsable),
}

/// Reads records from `input`, holding little more than one longest record at a time.
pub(super) struct JsonReader<R> {
    input: R,
    /// Bytes that are read and not yet given up.
    window: Vec<u8>,
    /// Where the record under way starts in `window`.
    start: usize,
    /// How many bytes from `start` belong to it, as far as is known.
    taken: usize,
    lines: Lines,
    place: Place,
    max_record_bytes: usize,
    returns_left: u32,
}

/// Where in a text the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Lines,
    Array,
    BehindArray,
}

/// What [`JsonReader::advance`] came to; the record itself lies in the reader.
enum Step {
    Record { line: u64 },
    Flawed(Unparsable),
    End,
}

impl<R: Read> JsonReader<R> {
    /// Starts at the first byte after a byte order mark.
    pub(super) fn new(input: R, max_record_bytes: usize) -> io::Result<Self> {
        let mut reader = Self {
            input,
            window: Vec::new(),
            start: 0,
            taken: 0,
            lines: Lines::default(),
            place: Place::Start,
            max_record_bytes,
            returns_left: MAX_RETURNS,
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

    /// Reads the next record; `None` at the end.
    pub(super) fn read_record(&mut self) -> io::Result<Option<Piece<'_>>> {
        Ok(match self.advance()? {
            Step::Record { line } => Some(Piece::Record { line, raw: self.record().trim_ascii_end() }),
            Step::Flawed(row) => Some(Piece::Flawed(row)),
            Step::End => None,
        })
    }

    fn advance(&mut self) -> io::Result<Step> {
        self.pass(self.taken);
        loop {
            let Some(byte) = self.skip_blanks()? else { return Ok(self.end()) };
            match (self.place, byte) {
                (Place::Start | Place::BehindArray, b'[') => {
                    self.place = Place::Array;
                    self.pass(1);
                }
                (Place::Start, _) => self.place = Place::Lines,
                (Place::Lines, _) => return self.line(),
                (Place::Array, b']') => {
                    self.place = Place::BehindArray;
                    self.pass(1);
                }
                (Place::Array, b',') => self.pass(1),
                (Place::Array, _) => return self.element(),
                (Place::BehindArray, _) => return self.give_up_rest(),
            }
        }
    }

    /// Tells the end of the text; first, that an array was not closed before it.
    fn end(&mut self) -> Step {
        if self.place != Place::Array {
            return Step::End;
        }
        self.place = Place::BehindArray;
        self.flaw(JSON_OPEN, "the array is not closed before the end of the file".to_owned(), b"")
    }

    /// Takes the line that starts here.
    fn line(&mut self) -> io::Result<Step> {
        loop {
            let unseen = self.start + self.taken;
            let line_end = memchr2(b'\n', b'\r', &self.window[unseen..]);
            self.taken = line_end.map_or(self.window.len() - self.start, |length| self.taken + length);
            if self.taken > self.max_record_bytes {
                let flaw = self.too_long();
                self.pass_until(|rest| memchr2(b'\n', b'\r', rest))?;
                return Ok(flaw);
            }
            if line_end.is_some() || !self.fill()? {
                return Ok(Step::Record { line: self.lines.line });
            }
        }
    }

    /// Takes the element that starts here.
    fn element(&mut self) -> io::Result<Step> {
        let mut nesting = Nesting::default();
        loop {
            let unseen = self.start + self.taken;
            let end = nesting.end_in(&self.window[unseen..]);
            self.taken = end.map_or(self.window.len() - self.start, |length| self.taken + length);
            if self.taken > self.max_record_bytes {
                return self.give_up_long(end.is_some(), nesting);
            }
            if end.is_some() {
                return Ok(Step::Record { line: self.lines.line });
            }
            if !self.fill()? {
                let is_whole = nesting == Nesting::default();
                return Ok(if is_whole { Step::Record { line: self.lines.line } } else { self.give_up_open() });
            }
        }
    }

    /// Gives up an element that is longer than the longest record: up to the next object, if it may be that it was only
    /// not closed, else up to its end.
    fn give_up_long(&mut self, is_end_known: bool, mut nesting: Nesting) -> io::Result<Step> {
        if !is_end_known && let Some(flaw) = self.give_up_to_next_object() {
            return Ok(flaw);
        }
        let flaw = self.too_long();
        self.pass(self.taken);
        if !is_end_known && !self.pass_until(|rest| nesting.end_in(rest))? {
            self.place = Place::BehindArray;
        }
        Ok(flaw)
    }

    /// Gives up an element that the end of the file cuts off.
    fn give_up_open(&mut self) -> Step {
        if let Some(flaw) = self.give_up_to_next_object() {
            return flaw;
        }
        self.place = Place::BehindArray;
        self.flaw_here(JSON_OPEN, "the record is not closed before the end of the file".to_owned())
    }

    /// Gives up what stands before the next line that opens an object as far from the margin as the record under way.
    fn give_up_to_next_object(&mut self) -> Option<Step> {
        let indent = self.lines.indent.unwrap_or(0);
        let record = self.record();
        let record = &record[..record.len().min(self.max_record_bytes)];
        let opens_object = |line: &usize| {
            let line = &record[*line..];
            line.get(indent) == Some(&b'{') && line[..indent].iter().all(|byte| matches!(byte, b' ' | b'\t'))
        };
        let next = memchr2_iter(b'\n', b'\r', record).map(|line_end| line_end + 1).find(opens_object)?;
        self.returns_left = self.returns_left.checked_sub(1)?;
        self.taken = next;
        Some(self.flaw_here(JSON_OPEN, "the record is not closed before the next one".to_owned()))
    }

    /// Gives up what follows an array and is none.
    fn give_up_rest(&mut self) -> io::Result<Step> {
        self.taken = self.window.len() - self.start;
        let flaw = self.flaw_here(NOT_JSON, "something stands behind the end of the array".to_owned());
        self.pass_until(|_| None)?;
        Ok(flaw)
    }

    fn too_long(&self) -> Step {
        let raw = &self.record()[..self.max_record_bytes];
        self.flaw(TOO_LONG, format!("the record is longer than {} bytes", self.max_record_bytes), raw)
    }

    fn flaw_here(&self, code: &'static str, reason: String) -> Step {
        self.flaw(code, reason, self.record().trim_ascii_end())
    }

    fn flaw(&self, code: &'static str, reason: String, raw: &[u8]) -> Step {
        Step::Flawed(Unparsable::new(self.lines.line, code, reason, raw))
    }

    /// Returns the bytes of the record under way.
    fn record(&self) -> &[u8] {
        &self.window[self.start..self.start + self.taken]
    }

    /// Moves on to the first byte that is no blank, and returns it.
    fn skip_blanks(&mut self) -> io::Result<Option<u8>> {
        loop {
            let rest = &self.window[self.start..];
            let blanks = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let next = rest.get(blanks).copied();
            self.pass(blanks);
            if next.is_some() || !self.fill()? {
                return Ok(next);
            }
        }
    }

    /// Moves on to where `find` finds something in what is read, or to the end; tells whether it did find it.
    fn pass_until(&mut self, mut find: impl FnMut(&[u8]) -> Option<usize>) -> io::Result<bool> {
        loop {
            let rest = &self.window[self.start..];
            let found = find(rest);
            let length = found.unwrap_or(rest.len());
            self.pass(length);
            if found.is_some() || !self.fill()? {
                return Ok(found.is_some());
            }
        }
    }

    /// Moves on by `length` bytes, which belong to no record to come.
    fn pass(&mut self, length: usize) {
        self.lines.pass(&self.window[self.start..self.start + length]);
        self.start += length;
        self.taken = 0;
    }

    /// Gives up what lies before `start` and reads a chunk more; tells whether there was any.
    fn fill(&mut self) -> io::Result<bool> {
        self.window.drain(..self.start);
        self.start = 0;
        let read = self.input.by_ref().take(CHUNK_BYTES).read_to_end(&mut self.window)?;
        Ok(read > 0)
    }
}

/// Counts physical lines, which end in LF, CRLF or CR, and how far from the margin the reader is.
struct Lines {
    line: u64,
    is_after_cr: bool,
    /// The blanks before the next byte, where the line has had nothing else so far.
    indent: Option<usize>,
}

impl Default for Lines {
    fn default() -> Self {
        Self { line: 1, is_after_cr: false, indent: Some(0) }
    }
}

impl Lines {
    fn pass(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        for at in memchr2_iter(b'\n', b'\r', bytes) {
            let is_after_cr = if at == 0 { self.is_after_cr } else { bytes[at - 1] == b'\r' };
            if bytes[at] == b'\r' || !is_after_cr {
                self.line += 1;
            }
        }
        self.is_after_cr = *last == b'\r';
        let (before, tail) = match memrchr2(b'\n', b'\r', bytes) {
            Some(line_end) => (Some(0), &bytes[line_end + 1..]),
            None => (self.indent, bytes),
        };
        let is_blank = tail.iter().all(u8::is_ascii_whitespace);
        self.indent = before.filter(|_| is_blank).map(|before| before + tail.len());
    }
}

/// How deep in an element the reader is.
#[derive(Debug, Default, PartialEq, Eq)]
struct Nesting {
    braces: usize,
    brackets: usize,
    is_in_text: bool,
    is_escaped: bool,
    /// Whether something was closed that was not open.
    is_broken: bool,
}

impl Nesting {
    /// Goes through the next bytes of an element, and returns where in them it ends.
    fn end_in(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                _ if self.is_in_text => self.follow_text(*byte),
                b'"' => self.is_in_text = true,
                b'{' => self.braces += 1,
                b'[' => self.brackets += 1,
                b',' | b']' if self.braces == 0 && self.brackets == 0 => return Some(at),
                b'}' if self.braces > 0 => self.braces -= 1,
                b']' if self.brackets > 0 => self.brackets -= 1,
                b'}' | b']' => self.is_broken = true,
                _ => {}
            }
        }
        None
    }

    fn follow_text(&mut self, byte: u8) {
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' => self.is_escaped = true,
            b'"' | b'\n' | b'\r' => self.is_in_text = false,
            _ => {}
        }
    }
}

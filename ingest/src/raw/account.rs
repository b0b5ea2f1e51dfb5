//! What became of every record of a file: raw = parsed + unparsable.

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::OnceLock;

use super::digest::{FileVersion, file_digest};
use super::error::RawError;

/// The most bytes of one unparsable record that are kept.
const MAX_RAW_BYTES: usize = 64 * 1024;

/// The record is not UTF-8.
pub(super) const NOT_UTF8: &str = "RAW_NOT_UTF8";
/// The record is not in the encoding of its file, which is not UTF-8.
pub(super) const NOT_IN_ENCODING: &str = "RAW_NOT_IN_ENCODING";
/// The record holds a NUL byte.
pub(super) const NUL_BYTE: &str = "RAW_NUL_BYTE";
/// The record has another number of fields than the table.
pub(super) const FIELD_COUNT: &str = "RAW_FIELD_COUNT";
/// The record is longer than the dialect allows.
pub(super) const TOO_LONG: &str = "RAW_TOO_LONG";
/// A quote opens in the record and is not closed.
pub(super) const UNTERMINATED_QUOTE: &str = "RAW_UNTERMINATED_QUOTE";
/// The record is no JSON object.
pub(super) const NOT_JSON: &str = "RAW_NOT_JSON";
/// A brace, a bracket or a quote opens in the record, or an array in the file, and is not closed.
pub(super) const JSON_OPEN: &str = "RAW_JSON_OPEN";

/// Hears how far the reading of files has come.
pub trait Progress: Send + Sync {
    /// Takes note of `bytes` more bytes read, as on disk. Of a Parquet file, of which only some columns are read, the
    /// bytes count in proportion to the rows, so that a file read to its end always counts whole.
    fn bytes_read(&self, bytes: u64);
}

/// A [`Progress`] that nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn bytes_read(&self, _bytes: u64) {}
}

/// Hears of each record that can't be read; it breaks when it wants no more.
pub(super) type FlawSink<'a> = dyn FnMut(Unparsable) -> ControlFlow<()> + 'a;

/// The records of a file, for whoever wants their account and not their rows.
pub(super) trait Records: fmt::Debug + Send + Sync {
    /// Where the file is, as the source wrote it.
    fn location(&self) -> &Path;

    /// Reads the file until it ends or `flawed` breaks, hands over every record that can't be read, in the order of the
    /// file, and returns what was counted so far; blocks.
    fn tally(&self, flawed: &mut FlawSink<'_>) -> Result<TallySheet, RawError>;
}

/// The account of one file, empty until a scan has read the file to its end.
#[derive(Debug)]
pub struct FileAccount {
    path: String,
    records: Box<dyn Records>,
    version: OnceLock<FileVersion>,
    tally: OnceLock<FileTally>,
}

impl FileAccount {
    pub(super) fn new(records: impl Records + 'static) -> Self {
        let path = records.location().display().to_string();
        Self { path, records: Box::new(records), version: OnceLock::new(), tally: OnceLock::new() }
    }

    /// Returns the path as the source wrote it, the same text as in `_file`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the tally of the first scan that read the file to its end; later scans change nothing. `None` where no
    /// scan did: nothing read the file, a LIMIT was satisfied, or the reading failed.
    pub fn get(&self) -> Option<FileTally> {
        self.tally.get().cloned()
    }

    /// Returns the tally, and reads the file for it alone where no scan has read it to its end; blocks.
    ///
    /// # Errors
    ///
    /// [`RawError`] where the file can't be read, or is not the version that the account knows.
    pub fn tally(&self) -> Result<FileTally, RawError> {
        match self.get() {
            Some(tally) => Ok(tally),
            None => {
                let sheet = self.records.tally(&mut |_| ControlFlow::Continue(()))?;
                self.settle(sheet, None)
            }
        }
    }

    /// Reads the file once more and hands over every record that can't be read, in the order of the file, until
    /// `flawed` breaks; blocks. Nothing is held back: memory does not grow with their number.
    ///
    /// # Errors
    ///
    /// [`RawError`] where the file can't be read, or is not the version that the account knows.
    pub fn read_unparsable(&self, flawed: &mut dyn FnMut(Unparsable) -> ControlFlow<()>) -> Result<(), RawError> {
        self.records.tally(flawed)?;
        self.check_version()
    }

    /// Tells the version that the file had when it was hashed. No scan hashes it again then; one that reads the file to
    /// its end and finds that it was written since fails with [`RawError::Changed`]. The first version told stays.
    pub fn know_version(&self, version: FileVersion) {
        self.version.get_or_init(|| version);
    }

    /// Whether a scan that reads the file to its end has to hash it.
    pub(super) fn wants_digest(&self) -> bool {
        self.version.get().is_none() && self.tally.get().is_none()
    }

    /// Fills the account, unless an earlier scan has. `sha256` is the file's, where the scan has worked it out.
    pub(super) fn settle(&self, sheet: TallySheet, sha256: Option<String>) -> Result<FileTally, RawError> {
        self.check_version()?;
        if let Some(tally) = self.get() {
            return Ok(tally);
        }
        let sha256 = match (self.version.get(), sha256) {
            (Some(version), _) => version.sha256().to_owned(),
            (None, Some(sha256)) => sha256,
            (None, None) => file_digest(self.records.location())?,
        };
        let tally = || FileTally {
            path: self.path.clone(),
            raw: sheet.parsed + sheet.unparsable,
            parsed: sheet.parsed,
            unparsable: sheet.unparsable,
            sha256,
        };
        Ok(self.tally.get_or_init(tally).clone())
    }

    fn check_version(&self) -> Result<(), RawError> {
        self.version.get().map_or(Ok(()), |version| version.check(self.records.location()))
    }
}

/// What one file came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileTally {
    /// The path as the source wrote it.
    pub path: String,
    /// The records in the file, without header and blank lines: `parsed + unparsable`.
    pub raw: u64,
    /// The records that became rows of the table.
    pub parsed: u64,
    /// The records that could not be read; [`FileAccount::read_unparsable`] shows them.
    pub unparsable: u64,
    /// SHA-256 of the file's bytes as on disk (an archive's compressed bytes), in lower-case hex.
    pub sha256: String,
}

/// A record that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unparsable {
    /// The physical line where it starts, from 1.
    pub line: u64,
    /// `RAW_NOT_UTF8`, `RAW_NOT_IN_ENCODING`, `RAW_NUL_BYTE`, `RAW_FIELD_COUNT`, `RAW_TOO_LONG`,
    /// `RAW_UNTERMINATED_QUOTE`, `RAW_NOT_JSON` or `RAW_JSON_OPEN`.
    pub code: &'static str,
    /// The reason in words.
    pub reason: String,
    /// The record as it came, at most 64 KiB of it, with U+FFFD for what is no text.
    pub raw: String,
}

impl Unparsable {
    pub(super) fn new(line: u64, code: &'static str, reason: String, raw: &[u8]) -> Self {
        let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
        let mut text = String::from_utf8_lossy(&raw[..raw.len().min(MAX_RAW_BYTES)]).into_owned();
        // U+FFFD is longer than what it stands for.
        text.truncate(text.floor_char_boundary(MAX_RAW_BYTES));
        Self { line, code, reason, raw: text }
    }
}

/// The tally of a reading under way.
#[derive(Debug, Default)]
pub(super) struct TallySheet {
    parsed: u64,
    unparsable: u64,
}

impl TallySheet {
    pub(super) fn parsed(&mut self, rows: u64) {
        self.parsed += rows;
    }

    pub(super) fn unparsable(&mut self) {
        self.unparsable += 1;
    }
}

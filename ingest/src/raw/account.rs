//! What became of every record of a file: raw = parsed + unparsable.

use std::sync::OnceLock;

/// The most unparsable rows of one file that are kept with their text; the rest is counted.
const MAX_UNPARSABLE_KEPT: usize = 100_000;
/// The most bytes of one unparsable record that are kept.
const MAX_RAW_BYTES: usize = 64 * 1024;
/// Once a file's kept records come to `AMPLE_BYTES` together, further ones are cut to `SCANT_RAW_BYTES`: a file in a
/// wrong encoding is all unparsable, and must not fill the memory.
const AMPLE_BYTES: usize = 64 * 1024 * 1024;
const SCANT_RAW_BYTES: usize = 1024;

/// The record is not UTF-8.
pub(super) const NOT_UTF8: &str = "RAW_NOT_UTF8";
/// The record holds a NUL byte.
pub(super) const NUL_BYTE: &str = "RAW_NUL_BYTE";
/// The record has another number of fields than the table.
pub(super) const FIELD_COUNT: &str = "RAW_FIELD_COUNT";
/// The record is longer than the dialect allows.
pub(super) const TOO_LONG: &str = "RAW_TOO_LONG";
/// A quote opens in the record and is not closed.
pub(super) const UNTERMINATED_QUOTE: &str = "RAW_UNTERMINATED_QUOTE";

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

/// The account of one file, empty until a scan has read the file to its end.
#[derive(Debug)]
pub struct FileAccount {
    path: String,
    digest: OnceLock<String>,
    tally: OnceLock<FileTally>,
}

impl FileAccount {
    pub(super) fn new(path: String) -> Self {
        Self { path, digest: OnceLock::new(), tally: OnceLock::new() }
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

    /// Tells the SHA-256 of the file's bytes, where the caller has just computed it by
    /// [`file_digest`](super::file_digest); it saves reading a Parquet file a second time. The first digest told stays.
    /// Text is hashed as it is read, whatever is told here.
    pub fn know_digest(&self, sha256: String) {
        self.digest.get_or_init(|| sha256);
    }

    pub(super) fn known_digest(&self) -> Option<String> {
        self.digest.get().cloned()
    }

    pub(super) fn is_settled(&self) -> bool {
        self.tally.get().is_some()
    }

    /// Fills the account, unless an earlier scan has.
    pub(super) fn settle(&self, sheet: TallySheet, sha256: String) {
        self.tally.get_or_init(|| FileTally {
            path: self.path.clone(),
            raw: sheet.parsed + sheet.unparsable_count,
            parsed: sheet.parsed,
            unparsable: sheet.unparsable,
            unparsable_count: sheet.unparsable_count,
            sha256,
        });
    }
}

/// What one file came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileTally {
    /// The path as the source wrote it.
    pub path: String,
    /// The records in the file, without header and blank lines: `parsed + unparsable_count`.
    pub raw: u64,
    /// The records that became rows of the table.
    pub parsed: u64,
    /// The records that could not be read, in the order of the file: the first 100,000 of them.
    pub unparsable: Vec<Unparsable>,
    /// How many records could not be read, those that are not kept included.
    pub unparsable_count: u64,
    /// SHA-256 of the file's bytes as on disk (a gzip file's compressed bytes), in lower-case hex.
    pub sha256: String,
}

/// A record that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unparsable {
    /// The physical line where it starts, from 1.
    pub line: u64,
    /// `RAW_NOT_UTF8`, `RAW_NUL_BYTE`, `RAW_FIELD_COUNT`, `RAW_TOO_LONG` or `RAW_UNTERMINATED_QUOTE`.
    pub code: &'static str,
    /// The reason in words.
    pub reason: String,
    /// The record as it came, at most 64 KiB of it (1 KiB in a file with very many), with U+FFFD for what is not UTF-8.
    pub raw: String,
}

impl Unparsable {
    pub(super) fn new(line: u64, code: &'static str, reason: String, raw: &[u8]) -> Self {
        let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
        let mut text = String::from_utf8_lossy(&raw[..raw.len().min(MAX_RAW_BYTES)]).into_owned();
        cut(&mut text, MAX_RAW_BYTES);
        Self { line, code, reason, raw: text }
    }
}

/// The tally of a scan under way.
#[derive(Debug, Default)]
pub(super) struct TallySheet {
    parsed: u64,
    unparsable: Vec<Unparsable>,
    unparsable_count: u64,
    kept_bytes: usize,
}

impl TallySheet {
    pub(super) fn parsed(&mut self, rows: u64) {
        self.parsed += rows;
    }

    pub(super) fn unparsable(&mut self, mut row: Unparsable) {
        self.unparsable_count += 1;
        if self.unparsable.len() >= MAX_UNPARSABLE_KEPT {
            return;
        }
        if self.kept_bytes > AMPLE_BYTES {
            cut(&mut row.raw, SCANT_RAW_BYTES);
            row.raw.shrink_to_fit();
        }
        self.kept_bytes += row.raw.len();
        self.unparsable.push(row);
    }
}

/// Cuts `text` to at most `max_bytes`, between characters.
fn cut(text: &mut String, max_bytes: usize) {
    let end = text.floor_char_boundary(max_bytes);
    text.truncate(end);
}

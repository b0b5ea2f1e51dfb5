//! What a raw file is and how its text is to be read.

use std::path::{Path, PathBuf};

use super::encoding::Encoding;
use super::error::RawError;

/// Raw files that make one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawFileSpec {
    /// The table's name in SQL.
    pub name: String,
    /// The files, as the source wrote their paths; `_file` repeats them. [`list_files`](super::list_files) makes files
    /// of patterns and folders.
    pub paths: Vec<PathBuf>,
    /// How all of them are to be read.
    pub format: RawFormat,
    /// Whether the source says the format itself; otherwise it was guessed from the first path.
    pub is_format_stated: bool,
}

/// The format of a raw file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawFormat {
    /// Delimited text, plain, gzip or zstd; an archive is recognised by its first bytes, whatever the name.
    Csv(CsvDialect),
    /// JSON objects, one a line or in arrays, plain or in an archive as above.
    Json(JsonDialect),
    /// Apache Parquet.
    Parquet,
}

impl RawFormat {
    /// Guesses the format from the name alone: `.parquet` and `.pq` are Parquet, `.json`, `.jsonl` and `.ndjson` JSON,
    /// `.tsv` and `.tab` text with tabs, everything else comma-separated text with a header. A last `.gz` or `.zst` is
    /// looked through. A wrong guess is found out when the file is opened.
    pub fn guess(path: &Path) -> Self {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let name = [".gz", ".zst"].iter().find_map(|ending| name.strip_suffix(*ending)).unwrap_or(&name);
        match name.rsplit_once('.') {
            Some((_, "parquet" | "parq" | "pq")) => Self::Parquet,
            Some((_, "json" | "jsonl" | "ndjson")) => Self::Json(JsonDialect::default()),
            Some((_, "tsv" | "tab")) => Self::Csv(CsvDialect { delimiter: b'\t', ..CsvDialect::default() }),
            _ => Self::Csv(CsvDialect::default()),
        }
    }
}

/// The longest record that is read unless a dialect says otherwise, in bytes.
const MAX_RECORD_BYTES: usize = 8 * 1024 * 1024;

/// How delimited text is written. Quotes are doubled inside quotes; lines end in LF, CRLF or CR, which may mix; blank
/// lines are no records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvDialect {
    /// Whether the first record holds the column names. Default: true.
    pub has_header: bool,
    /// The column names where there is no header, or instead of the header's. Without either they are `column_1`,
    /// `column_2`, …. Default: none.
    pub columns: Option<Vec<String>>,
    /// The byte between fields; ASCII. Default: a comma.
    pub delimiter: u8,
    /// The byte around fields that hold delimiters or line ends; ASCII. Where there is none, every quote is text and
    /// every line a record. Default: `"`.
    pub quote: Option<u8>,
    /// The encoding where no byte order mark tells it. Default: UTF-8.
    pub encoding: Option<Encoding>,
    /// The words that stand for NULL: a field that is nothing but such a word and is not quoted is NULL, while `"NA"`
    /// stays text. Default: `NULL`, `NA` and the empty field.
    pub null_words: Vec<String>,
    /// The longest record that is read, in bytes; a longer one is unparsable. It bounds the memory of a scan. Default:
    /// 8 MiB.
    pub max_record_bytes: usize,
}

impl Default for CsvDialect {
    fn default() -> Self {
        Self {
            has_header: true,
            columns: None,
            delimiter: b',',
            quote: Some(b'"'),
            encoding: None,
            null_words: Vec::from(["NULL", "NA", ""].map(str::to_owned)),
            max_record_bytes: MAX_RECORD_BYTES,
        }
    }
}

impl CsvDialect {
    /// Checks what the types leave open.
    pub(super) fn check(&self) -> Result<(), RawError> {
        let is_one = |byte: u8| byte.is_ascii() && !matches!(byte, b'\r' | b'\n' | 0);
        if !is_one(self.delimiter) || self.quote.unwrap_or(b'"') == self.delimiter {
            return invalid("the delimiter must be one ASCII character other than the quote or a line end");
        }
        if self.quote.is_some_and(|quote| !is_one(quote)) {
            return invalid("the quote must be one ASCII character other than a line end");
        }
        check_limits(self.max_record_bytes, self.columns.as_ref())
    }
}

/// How JSON is written: objects, one a line (JSON lines), or as the elements of an array. Which of both is told by the
/// first character of each file.
///
/// Every key of the objects is a text column: a text as it is without its quotes, a number, `true` or `false` as it is
/// written, an object or an array as JSON, `null` and a missing key NULL. Of a key that an object has twice the last
/// counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonDialect {
    /// The keys that are columns, in their order. Without them the files are read once more, before the scan, and every
    /// key of any object in any of them is a column, in the order in which they first come. Default: none.
    pub columns: Option<Vec<String>>,
    /// The encoding where no byte order mark tells it. Default: UTF-8.
    pub encoding: Option<Encoding>,
    /// The longest object that is read, in bytes; a longer one is unparsable. It bounds the memory of a scan. Default:
    /// 8 MiB.
    pub max_record_bytes: usize,
}

impl Default for JsonDialect {
    fn default() -> Self {
        Self { columns: None, encoding: None, max_record_bytes: MAX_RECORD_BYTES }
    }
}

impl JsonDialect {
    /// Checks what the types leave open.
    pub(super) fn check(&self) -> Result<(), RawError> {
        check_limits(self.max_record_bytes, self.columns.as_ref())
    }
}

fn check_limits(max_record_bytes: usize, columns: Option<&Vec<String>>) -> Result<(), RawError> {
    if max_record_bytes == 0 {
        return invalid("the longest record must have at least one byte");
    }
    if columns.is_some_and(Vec::is_empty) {
        return invalid("the list of columns is empty");
    }
    Ok(())
}

fn invalid(reason: &str) -> Result<(), RawError> {
    Err(RawError::Dialect { reason: reason.to_owned() })
}

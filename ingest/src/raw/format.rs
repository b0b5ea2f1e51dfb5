//! What a raw file is and how its text is to be read.

use std::path::{Path, PathBuf};

use super::error::RawError;

/// Raw files that make one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawFileSpec {
    /// The table's name in SQL.
    pub name: String,
    /// The files, as the source wrote their paths; `_file` repeats them.
    pub paths: Vec<PathBuf>,
    /// How all of them are to be read.
    pub format: RawFormat,
}

/// The format of a raw file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawFormat {
    /// Delimited text in UTF-8, plain or gzip; gzip is recognised by its first bytes, whatever the name.
    Csv(CsvDialect),
    /// Apache Parquet.
    Parquet,
}

impl RawFormat {
    /// Guesses the format from the name alone: `.parquet` and `.pq` are Parquet, `.tsv` and `.tab` text with tabs,
    /// everything else comma-separated text with a header. A last `.gz` is looked through. A wrong guess is found out
    /// when the file is opened.
    pub fn guess(path: &Path) -> Self {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        match name.rsplit_once('.') {
            Some((_, "parquet" | "parq" | "pq")) => Self::Parquet,
            Some((_, "tsv" | "tab")) => Self::Csv(CsvDialect { delimiter: b'\t', ..CsvDialect::default() }),
            _ => Self::Csv(CsvDialect::default()),
        }
    }
}

/// How delimited text is written. Quotes are `"`, doubled inside quotes; lines end in LF, CRLF or CR; blank lines are
/// no records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvDialect {
    /// Whether the first record holds the column names. Default: true.
    pub has_header: bool,
    /// The column names where there is no header, or instead of the header's. Without either they are `column_1`,
    /// `column_2`, …. Default: none.
    pub columns: Option<Vec<String>>,
    /// The byte between fields; ASCII. Default: a comma.
    pub delimiter: u8,
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
            null_words: Vec::from(["NULL", "NA", ""].map(str::to_owned)),
            max_record_bytes: 8 * 1024 * 1024,
        }
    }
}

impl CsvDialect {
    /// Checks what the types leave open.
    pub(super) fn check(&self) -> Result<(), RawError> {
        let invalid = |reason: &str| Err(RawError::Dialect { reason: reason.to_owned() });
        if !self.delimiter.is_ascii() || matches!(self.delimiter, b'"' | b'\r' | b'\n' | 0) {
            return invalid("the delimiter must be one ASCII character other than a quote or a line end");
        }
        if self.max_record_bytes == 0 {
            return invalid("the longest record must have at least one byte");
        }
        if self.columns.as_ref().is_some_and(Vec::is_empty) {
            return invalid("the list of columns is empty");
        }
        Ok(())
    }
}

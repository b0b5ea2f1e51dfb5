//! Raw files as tables: CSV, JSON and Parquet, read leniently and accounted for to the last row.
//!
//! [`list_files`] finds the files that a source means, and [`raw_table`] turns them into a DataFusion table that a
//! SELECT can read. The columns of CSV and JSON are all text, so that a bad value costs a cast and never a file;
//! Parquet keeps its types. Text may be UTF-8, UTF-16 or GB 18030, and packed by gzip or zstd. Every table ends in four
//! columns of ours:
//!
//! | column | type | holds |
//! |---|---|---|
//! | `_file` | Utf8 | the path as the source wrote it |
//! | `_line` | Int64 | the physical line where the record starts, from 1, header counted; for Parquet the row, from 1 |
//! | `_raw` | Utf8 | the record as it came, in UTF-8; for Parquet the row as JSON, without its NULLs |
//! | `_row_id` | Utf8 | SHA-256 of the raw record, `#` and its ordinal among the equal records of that file, in hex |
//!
//! `_raw` and `_row_id` are only made when a query asks for them.
//!
//! A scan reads each file anew, on a blocking thread, and hands over batches of at most 8,192 rows: no file is ever
//! held whole. What grows with a file is only the memory behind `_row_id`, some 30 bytes for each distinct record. A
//! record that can't be read costs one row: it is counted in the file's [`FileAccount`], where raw = parsed +
//! unparsable, and [`FileAccount::read_unparsable`] shows it with line, code and reason. A quote that is never closed
//! costs the line it opens in, and reading goes on at the next. Whatever a file holds, memory is bounded by the longest
//! record that a dialect allows; an archive that unpacks to more than 500 times its size, and to more than 256 MiB, is
//! refused.
//!
//! What this module does not do: cast, reject or count anything that depends on the target table; that is the mapping's
//! work. Start at `table` for the scan, at `input` for how bytes become text, at `record` and `json` for how text is
//! cut into records.

mod account;
mod columns;
mod digest;
mod encoding;
mod error;
mod format;
mod input;
mod json;
mod listing;
mod parquet;
mod record;
mod rows;
mod table;
#[cfg(test)]
mod tests;
mod text;

use std::sync::Arc;

use datafusion::catalog::TableProvider;

pub use self::account::{FileAccount, FileTally, NoProgress, Progress, Unparsable};
pub use self::digest::{FileVersion, file_digest};
pub use self::encoding::Encoding;
pub use self::error::RawError;
pub use self::format::{CsvDialect, JsonDialect, RawFileSpec, RawFormat};
pub use self::listing::{RawListing, list_files};

/// The files of one [`RawFileSpec`] as a table, and the account that the scans of it fill.
#[derive(Debug, Clone)]
pub struct RawTable {
    /// The table: the columns of the files, then `_file`, `_line`, `_raw` and `_row_id`. It takes no filters and no
    /// writes.
    pub provider: Arc<dyn TableProvider>,
    /// One account per file, in the order of the spec's paths. Each is filled by the first scan that reads the file to
    /// its end.
    pub accounts: Vec<Arc<FileAccount>>,
    files: Arc<table::RawProvider>,
}

impl RawTable {
    /// Returns the table with the rows of only those files whose index among the [`accounts`](Self::accounts)
    /// `is_meant` accepts. Scans of it fill the same accounts.
    pub fn only(&self, is_meant: impl Fn(usize) -> bool) -> Arc<dyn TableProvider> {
        Arc::new(self.files.only(is_meant))
    }
}

/// Opens the files of `spec` far enough to know their columns, and returns them as a table.
///
/// The paths of `spec` are files, neither patterns nor folders. Several files make one table: the columns of CSV and
/// Parquet are matched by name where they have names, and must be the same; of JSON, every key of any file is a column.
/// In a session of one target partition, a scan is one partition with the rows in the order of the paths and of each
/// file. Otherwise it has one partition per file; with more than sixteen files, neighbours share a partition. A large
/// Parquet file is read in two parts, unless `_row_id` is asked for. This call reads the head of each file, and the
/// whole of JSON without stated columns; it blocks for that long.
///
/// Every scan tells `progress` about the bytes it reads, so that a table read twice counts twice.
///
/// # Errors
///
/// [`RawError`] where a file is missing, unreadable, empty without being allowed to, of another format than stated, or
/// has other columns than the first. Errors while scanning come out of the query as `DataFusionError::External` holding
/// a [`RawError`].
pub fn raw_table(spec: &RawFileSpec, progress: Arc<dyn Progress>) -> Result<RawTable, RawError> {
    if spec.paths.is_empty() {
        return Err(RawError::NoFiles { table: spec.name.clone() });
    }
    let parts = match &spec.format {
        RawFormat::Csv(dialect) => text::text_files(&spec.paths, dialect, &progress)?,
        RawFormat::Json(dialect) => json::json_files(&spec.paths, dialect, &progress)?,
        RawFormat::Parquet => parquet::parquet_files(&spec.paths, &progress)?,
    };
    let accounts = parts.files.iter().map(|file| Arc::clone(file.account())).collect();
    let files = Arc::new(table::RawProvider::new(parts));
    let provider: Arc<dyn TableProvider> = Arc::<table::RawProvider>::clone(&files);
    Ok(RawTable { provider, accounts, files })
}

/// Returns the size in bytes, as on disk, of all files that `specs` mean; what can't be seen counts as nothing.
pub fn total_bytes(specs: &[RawFileSpec]) -> u64 {
    let listings = list_files(specs).unwrap_or_default();
    let paths = listings.iter().flat_map(|listing| &listing.spec.paths);
    paths.filter_map(|path| std::fs::metadata(path).ok()).map(|metadata| metadata.len()).sum()
}

//! What can go wrong with a raw file as a whole; what is wrong with one row is an `Unparsable`.

use std::path::{Path, PathBuf};
use std::{fs, io};

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use tagmill_schemas::error::{Diagnose, ErrorKind, did_you_mean, near_names};

/// How many entries of a folder are looked at for near names.
const MAX_NEIGHBOURS: usize = 10_000;

/// An error that stops the reading of a raw file.
#[derive(Debug, thiserror::Error)]
pub enum RawError {
    /// A table is stated without files.
    #[error("the raw table `{table}` has no files")]
    NoFiles {
        /// The table's name.
        table: String,
    },
    /// The file does not exist.
    #[error("the file `{}` does not exist", .path.display())]
    FileMissing {
        /// The path as the source wrote it.
        path: PathBuf,
        /// What lies near it.
        hint: String,
    },
    /// The file can't be opened or read.
    #[error("the file `{}` cannot be read", .path.display())]
    Unreadable {
        /// The path as the source wrote it.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file was written to between two readings that belong together.
    #[error("the file `{}` changed while it was read", .path.display())]
    Changed {
        /// The path as the source wrote it.
        path: PathBuf,
    },
    /// A gzip file ends early or has wrong content.
    #[error("the gzip file `{}` is damaged or incomplete", .path.display())]
    GzipDamaged {
        /// The path as the source wrote it.
        path: PathBuf,
        /// What the decoder said.
        source: io::Error,
    },
    /// The file has no record to take the columns from.
    #[error("the file `{}` is empty", .path.display())]
    Empty {
        /// The path as the source wrote it.
        path: PathBuf,
    },
    /// The record that tells the columns can't be used.
    #[error("the first record of `{}` cannot be used: {reason}", .path.display())]
    Header {
        /// The path as the source wrote it.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is of another kind than it was said to be.
    #[error("the file `{}` is not UTF-8 text but {found}", .path.display())]
    WrongFormat {
        /// The path as the source wrote it.
        path: PathBuf,
        /// What it looks like.
        found: &'static str,
        /// What to do about it.
        advice: &'static str,
    },
    /// The source names another number of columns than the header has.
    #[error("the source names {stated} columns for `{}`, its header has {found}", .path.display())]
    ColumnCount {
        /// The path as the source wrote it.
        path: PathBuf,
        /// How many columns the source names.
        stated: usize,
        /// How many fields the header has.
        found: usize,
    },
    /// Two files of one table have different columns.
    #[error("the columns of `{}` differ from those of `{}`: {difference}", .path.display(), .first.display())]
    ColumnsDiffer {
        /// The path of the file that differs.
        path: PathBuf,
        /// The path of the table's first file.
        first: PathBuf,
        /// What differs, in words.
        difference: String,
    },
    /// The file is no Parquet file, or its footer is damaged.
    #[error("the file `{}` is not a readable Parquet file", .path.display())]
    NotParquet {
        /// The path as the source wrote it.
        path: PathBuf,
        /// What the Parquet reader said.
        source: ParquetError,
    },
    /// The rows of a Parquet file can't be read or shown.
    #[error("the rows of the Parquet file `{}` cannot be read", .path.display())]
    ParquetRows {
        /// The path as the source wrote it.
        path: PathBuf,
        /// What the Parquet reader said.
        source: ArrowError,
    },
    /// The dialect of a text file is contradictory.
    #[error("the stated CSV format cannot be used: {reason}")]
    Dialect {
        /// What is wrong with it.
        reason: String,
    },
    /// A batch of rows could not be put together.
    #[error("a batch of rows could not be built")]
    Batch {
        /// What the arrays said.
        source: ArrowError,
    },
}

impl RawError {
    /// Names the failure to open `path`; a missing file learns what lies near it.
    pub(super) fn opening(path: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::NotFound {
            Self::FileMissing { path: path.to_owned(), hint: missing_hint(path) }
        } else {
            Self::reading(path, false, source)
        }
    }

    /// Names the failure to read on in `path`.
    pub(super) fn reading(path: &Path, is_gzip: bool, source: io::Error) -> Self {
        let path = path.to_owned();
        if is_gzip { Self::GzipDamaged { path, source } } else { Self::Unreadable { path, source } }
    }
}

impl Diagnose for RawError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoFiles { .. } | Self::Dialect { .. } => ErrorKind::Usage,
            Self::FileMissing { .. } => ErrorKind::NotFound,
            Self::Unreadable { .. } => ErrorKind::Unavailable,
            Self::Changed { .. } => ErrorKind::Conflict,
            Self::GzipDamaged { .. }
            | Self::Empty { .. }
            | Self::Header { .. }
            | Self::WrongFormat { .. }
            | Self::ColumnCount { .. }
            | Self::ColumnsDiffer { .. }
            | Self::NotParquet { .. }
            | Self::ParquetRows { .. } => ErrorKind::InvalidInput,
            Self::Batch { .. } => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NoFiles { .. } => "RAW_NO_FILES",
            Self::FileMissing { .. } => "RAW_FILE_MISSING",
            Self::Unreadable { .. } => "RAW_FILE_UNREADABLE",
            Self::Changed { .. } => "RAW_FILE_CHANGED",
            Self::GzipDamaged { .. } => "RAW_GZIP_DAMAGED",
            Self::Empty { .. } => "RAW_FILE_EMPTY",
            Self::Header { .. } => "RAW_HEADER_INVALID",
            Self::WrongFormat { .. } => "RAW_FORMAT_WRONG",
            Self::ColumnCount { .. } => "RAW_COLUMN_COUNT",
            Self::ColumnsDiffer { .. } => "RAW_COLUMNS_DIFFER",
            Self::NotParquet { .. } => "RAW_NOT_PARQUET",
            Self::ParquetRows { .. } => "RAW_PARQUET_ROWS",
            Self::Dialect { .. } => "RAW_DIALECT_INVALID",
            Self::Batch { .. } => "RAW_BATCH",
        }
    }

    fn hint(&self) -> Option<String> {
        let hint: &str = match self {
            Self::NoFiles { .. } => "name at least one file for it",
            Self::FileMissing { hint, .. } => hint,
            Self::Unreadable { .. } => "check that it is a file and that you may read it",
            Self::Changed { .. } => "run again when nothing writes to it any more",
            Self::GzipDamaged { .. } => "`gzip -t FILE` tells whether the download is complete",
            Self::Empty { .. } => "without a header, the source must list the columns",
            Self::Header { .. } => "text must be UTF-8; without a header, say so and name the columns",
            Self::WrongFormat { advice, .. } => advice,
            Self::ColumnCount { .. } => "name all columns in their order, or leave the names to the header",
            Self::ColumnsDiffer { .. } => "make two raw tables, and put them together by UNION ALL",
            Self::NotParquet { .. } => "if it is text, give its format as csv",
            Self::ParquetRows { .. } => "write the file again; some types have no form in `_raw`",
            Self::Dialect { .. } | Self::Batch { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

impl From<RawError> for DataFusionError {
    fn from(error: RawError) -> Self {
        Self::External(Box::new(error))
    }
}

/// Says what lies near a path where no file is.
fn missing_hint(path: &Path) -> String {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = fs::read_dir(folder) else {
        return format!("there is no folder `{}` that can be read", folder.display());
    };
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let names: Vec<String> = entries.flatten().take(MAX_NEIGHBOURS).map(name).collect();
    let wanted = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let near = near_names(&wanted, names.iter().map(String::as_str));
    did_you_mean(&near).unwrap_or_else(|| format!("no file in the folder `{}` has a name like it", folder.display()))
}

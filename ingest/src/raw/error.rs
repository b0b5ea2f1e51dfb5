//! What can go wrong with a raw file as a whole; what is wrong with one row is an `Unparsable`.

use std::path::{Path, PathBuf};
use std::{fs, io};

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::parquet::errors::ParquetError;
use tagmill_schemas::error::{Diagnose, ErrorKind, did_you_mean, near_names};

use super::columns::MAX_COLUMNS;
use super::input::TooDense;

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
    /// An archive ends early or has wrong content.
    #[error("the {kind} file `{}` is damaged or incomplete", .path.display())]
    ArchiveDamaged {
        /// The path as the source wrote it.
        path: PathBuf,
        /// `gzip` or `zstd`.
        kind: &'static str,
        /// What the decoder said.
        source: io::Error,
    },
    /// An archive unpacks to a text that no export is.
    #[error("the archive `{}` unpacks to more than {ratio} times its size", .path.display())]
    ArchiveTooDense {
        /// The path as the source wrote it.
        path: PathBuf,
        /// The limit.
        ratio: u64,
    },
    /// No file has a name that fits a pattern, or a folder is empty.
    #[error("no file is meant by `{}`", .path.display())]
    NoMatch {
        /// The pattern or folder as the source wrote it.
        path: PathBuf,
        /// What lies near it.
        hint: String,
    },
    /// A pattern can't be understood.
    #[error("the pattern `{}` cannot be used: {reason}", .path.display())]
    Pattern {
        /// The pattern as the source wrote it.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A folder is given without saying what its files are.
    #[error("`{}` is a folder, and its `format` is not said", .path.display())]
    FolderFormat {
        /// The folder as the source wrote it.
        path: PathBuf,
    },
    /// The file would make a table of too many columns.
    #[error("the file `{}` has more than {most} columns", .path.display(), most = MAX_COLUMNS)]
    TooManyColumns {
        /// The path as the source wrote it.
        path: PathBuf,
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
    #[error("the file `{}` is not text but {found}", .path.display())]
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
    #[error("the stated format cannot be used: {reason}")]
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
            Self::reading(path, None, source)
        }
    }

    /// Names the failure to read on in `path`, which is an archive of the kind `archive` or none.
    pub(super) fn reading(path: &Path, archive: Option<&'static str>, source: io::Error) -> Self {
        let path = path.to_owned();
        let dense = source.get_ref().and_then(|cause| cause.downcast_ref::<TooDense>()).map(TooDense::ratio);
        match (dense, archive) {
            (Some(ratio), _) => Self::ArchiveTooDense { path, ratio },
            (None, Some(kind)) => Self::ArchiveDamaged { path, kind, source },
            (None, None) => Self::Unreadable { path, source },
        }
    }
}

impl Diagnose for RawError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoFiles { .. } | Self::Dialect { .. } | Self::Pattern { .. } | Self::FolderFormat { .. } => {
                ErrorKind::Usage
            }
            Self::FileMissing { .. } | Self::NoMatch { .. } => ErrorKind::NotFound,
            Self::Unreadable { .. } => ErrorKind::Unavailable,
            Self::Changed { .. } => ErrorKind::Conflict,
            Self::ArchiveDamaged { .. }
            | Self::ArchiveTooDense { .. }
            | Self::TooManyColumns { .. }
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
            Self::ArchiveDamaged { kind: "zstd", .. } => "RAW_ZSTD_DAMAGED",
            Self::ArchiveDamaged { .. } => "RAW_GZIP_DAMAGED",
            Self::ArchiveTooDense { .. } => "RAW_ARCHIVE_TOO_DENSE",
            Self::NoMatch { .. } => "RAW_NO_MATCH",
            Self::Pattern { .. } => "RAW_PATTERN_INVALID",
            Self::FolderFormat { .. } => "RAW_FOLDER_FORMAT",
            Self::TooManyColumns { .. } => "RAW_TOO_MANY_COLUMNS",
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
            Self::FileMissing { hint, .. } | Self::NoMatch { hint, .. } => hint,
            Self::Unreadable { .. } => "check that it is a file and that you may read it",
            Self::Changed { .. } => "run again when nothing writes to it any more",
            Self::ArchiveDamaged { kind: "zstd", .. } => "`zstd -t FILE` tells whether the download is complete",
            Self::ArchiveDamaged { .. } => "`gzip -t FILE` tells whether the download is complete",
            Self::ArchiveTooDense { .. } => "no export repeats itself so; unpack it, and look at what it holds",
            Self::Pattern { .. } => {
                "`*` stands for any part of one name, `?` for one character, `[ab]` for one of some"
            }
            Self::FolderFormat { .. } => "write `format: csv`, `format: json` or `format: parquet` beside it",
            Self::TooManyColumns { .. } => "if its keys are ids, list the `columns:` that are meant",
            Self::Empty { .. } => "without a header or a first record, the source must list the columns",
            Self::Header { .. } => {
                "text is UTF-8 unless its `encoding:` is said; without a header, say so and name the columns"
            }
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
pub(super) fn missing_hint(path: &Path) -> String {
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

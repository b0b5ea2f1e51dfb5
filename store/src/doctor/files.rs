//! Files on disk beside what the Delta log says of them.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::ParquetMetaDataReader;
use serde::de::IgnoredAny;

use super::findings::{Finding, Findings, Severity};
use super::in_words;
use crate::delta::DataFile;
use crate::durable::file_error;
use crate::error::StoreError;
use crate::location::Location;

/// The folder of a table's commits.
pub(super) const LOG: &str = "_delta_log";

/// What is wrong with a data file of a table, in words; `None` where length and row count are those of the log.
///
/// No checksum is recorded of a file, so that a byte that has changed within it is not noticed here.
pub(super) fn fault(location: &Location, table: &str, file: &DataFile) -> Option<String> {
    let path = location.table_folder(table).join(&file.path);
    let name = format!("`tables/{table}/{}`", file.path);
    let length = match std::fs::metadata(&path) {
        Ok(found) if found.is_file() => found.len(),
        Ok(_) => return Some(format!("{name} is no file")),
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Some(format!("{name} is gone")),
        Err(cause) => return Some(format!("{name} cannot be looked at: {cause}")),
    };
    if length != file.size {
        return Some(format!("{name} has {length} bytes and should have {}", file.size));
    }
    match footer_rows(&path) {
        Ok(rows) if rows == file.rows => None,
        Ok(rows) => Some(format!("the footer of {name} says {rows} rows, and the table's log {}", file.rows)),
        Err(cause) => Some(format!("the footer of {name} cannot be read: {cause}")),
    }
}

/// The rows of a Parquet file by its footer.
fn footer_rows(path: &Path) -> Result<u64, ParquetError> {
    let file = File::open(path)?;
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&file)?;
    Ok(u64::try_from(metadata.file_metadata().num_rows()).unwrap_or_default())
}

/// Says what is wrong with the commits of a table.
pub(super) fn check_log(location: &Location, table: &str, findings: &mut Findings) {
    let fault = match log_fault(&location.table_folder(table)) {
        Ok(None) => return,
        Ok(Some(fault)) => fault,
        Err(cause) => format!("its log cannot be read: {}", in_words(&cause)),
    };
    findings.add(Finding::new(Severity::Error, fault).of_table(table).with_hint(format!(
        "put the file back into `tables/{table}/{LOG}` from a backup; until then no staged file of the table is removed"
    )));
}

/// What is wrong with a table's commits, in words: one lacks between others, or is no longer as a commit is written.
///
/// The oldest may be gone, since a checkpoint stands for them.
pub(super) fn log_fault(table_folder: &Path) -> Result<Option<String>, StoreError> {
    let mut commits = commits(table_folder)?;
    commits.sort_unstable();
    if commits.is_empty() {
        return Ok(Some("its log has no commit".to_owned()));
    }
    for pair in commits.windows(2) {
        if let [(before, _), (after, _)] = pair
            && before + 1 != *after
        {
            return Ok(Some(format!("commit {} of its log is gone", before + 1)));
        }
    }
    for (version, path) in &commits {
        let text = std::fs::read_to_string(path).map_err(|source| file_error("read", path, source))?;
        let is_whole = |line: &str| serde_json::from_str::<IgnoredAny>(line).is_ok();
        if text.trim().is_empty() || !text.lines().filter(|line| !line.is_empty()).all(is_whole) {
            return Ok(Some(format!("commit {version} of its log is damaged")));
        }
    }
    Ok(None)
}

/// The commits of a table: version and file, in no order.
pub(super) fn commits(table_folder: &Path) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let log = table_folder.join(LOG);
    let failed = |source: std::io::Error| file_error("list", &log, source);
    let mut commits = Vec::new();
    for entry in std::fs::read_dir(&log).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let stem = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".json"));
        if let Some(version) = stem.and_then(|stem| stem.parse().ok()) {
            commits.push((version, path));
        }
    }
    Ok(commits)
}

//! Files beside what the Delta log says of them.

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use serde::de::IgnoredAny;

use super::findings::{Finding, Findings, Severity};
use super::{AT_ONCE, in_words};
use crate::delta::{DataFile, LOG};
use crate::error::StoreError;
use crate::location::Location;
use crate::parquet_file::footer_rows;

/// A commit of a table.
#[derive(Debug)]
pub(super) struct Commit {
    version: u64,
    /// Its path below the warehouse.
    path: String,
    /// When it was written, by the clock of the store.
    pub(super) written_at: DateTime<Utc>,
}

/// What is wrong with a data file of a table, in words; `None` where length and row count are those of the log.
///
/// No checksum is recorded of a file, so that a byte that has changed within it is not noticed here.
pub(super) async fn fault(location: &Location, table: &str, file: &DataFile) -> Option<String> {
    let (objects, path) = (location.objects(), format!("{}/{}", location.table_folder(table), file.path));
    let size = match objects.look_at(&path).await {
        Ok(Some(found)) => found.size,
        Ok(None) => return Some(format!("`{path}` is gone")),
        Err(cause) => return Some(format!("`{path}` cannot be looked at: {}", reason(&cause))),
    };
    if size != file.size {
        return Some(format!("`{path}` has {size} bytes and should have {}", file.size));
    }
    match footer_rows(objects, &path, size).await {
        Ok(rows) if rows == file.rows => None,
        Ok(rows) => Some(format!("the footer of `{path}` says {rows} rows, and the table's log {}", file.rows)),
        Err(cause) => Some(format!("the footer of `{path}` cannot be read: {}", reason(&cause))),
    }
}

/// Why a step failed, for whoever has named the step and the object already.
fn reason(error: &StoreError) -> String {
    match error {
        StoreError::Object { source, .. } => in_words(&**source),
        StoreError::Parquet { source, .. } => in_words(source),
        other => in_words(other),
    }
}

/// Says what is wrong with the commits of a table.
pub(super) async fn check_log(location: &Location, table: &str, findings: &mut Findings) {
    let fault = match log_fault(location, table).await {
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
pub(super) async fn log_fault(location: &Location, table: &str) -> Result<Option<String>, StoreError> {
    let commits = commits(location, table).await?;
    if commits.is_empty() {
        return Ok(Some("its log has no commit".to_owned()));
    }
    for pair in commits.windows(2) {
        if let [before, after] = pair
            && before.version + 1 != after.version
        {
            return Ok(Some(gone(before.version + 1)));
        }
    }
    let reading: Vec<_> = commits.iter().map(|commit| commit_fault(location, commit)).collect();
    let mut faults = stream::iter(reading).buffered(AT_ONCE);
    while let Some(fault) = faults.next().await {
        if let Some(fault) = fault? {
            return Ok(Some(fault));
        }
    }
    Ok(None)
}

/// What is wrong with a commit by itself, in words.
async fn commit_fault(location: &Location, commit: &Commit) -> Result<Option<String>, StoreError> {
    let version = commit.version;
    let Some(content) = location.objects().read(&commit.path).await? else { return Ok(Some(gone(version))) };
    let is_json = |line: &str| serde_json::from_str::<IgnoredAny>(line).is_ok();
    let is_whole = |text: &str| !text.trim().is_empty() && text.lines().filter(|line| !line.is_empty()).all(is_json);
    let is_damaged = !std::str::from_utf8(&content).is_ok_and(is_whole);
    Ok(is_damaged.then(|| format!("commit {version} of its log is damaged")))
}

fn gone(version: u64) -> String {
    format!("commit {version} of its log is gone")
}

/// The commits of a table, by version.
pub(super) async fn commits(location: &Location, table: &str) -> Result<Vec<Commit>, StoreError> {
    let log = format!("{}/{LOG}", location.table_folder(table));
    let mut commits = Vec::new();
    for object in location.objects().list(&log).await? {
        if let Some(version) = object.path.strip_suffix(".json").and_then(|stem| stem.parse().ok()) {
            commits.push(Commit { version, path: format!("{log}/{}", object.path), written_at: object.written_at });
        }
    }
    commits.sort_unstable_by_key(|commit| commit.version);
    Ok(commits)
}

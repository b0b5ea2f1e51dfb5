//! What runs have left under `staged/`: the row of one that was publishing, what the guard refused, unfinished drafts.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tagmill_schemas::ids::SnapshotId;

use super::findings::{Finding, Findings, Severity};
use super::{counted, in_words};
use crate::durable::file_error;
use crate::error::StoreError;
use crate::location::Location;
use crate::publish::{Pending, RefusedRun, pending_path};

/// Says what lies under `staged/`. `newest` is the newest snapshot.
pub(super) fn check(location: &Location, newest: Option<SnapshotId>, findings: &mut Findings) {
    match staged(location) {
        Ok(paths) => {
            for finding in paths.iter().filter_map(|path| about(location, path, newest)) {
                findings.add(finding);
            }
        }
        Err(cause) => findings.add(Finding::new(Severity::Error, in_words(&cause))),
    }
}

/// The files under `staged/`, sorted.
fn staged(location: &Location) -> Result<Vec<PathBuf>, StoreError> {
    let folder = location.folder().join("staged");
    let failed = |source: std::io::Error| file_error("list", &folder, source);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(source)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    Ok(paths)
}

fn is_refused(path: &Path) -> bool {
    name(path).starts_with("refused-") && name(path).ends_with(".json")
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn read_list(path: &Path) -> Result<RefusedRun, String> {
    let bytes = std::fs::read(path).map_err(|cause| cause.to_string())?;
    serde_json::from_slice(&bytes).map_err(|cause| cause.to_string())
}

/// What there is to say of a file under `staged/`.
fn about(location: &Location, path: &Path, newest: Option<SnapshotId>) -> Option<Finding> {
    let shown = format!("`staged/{}`", name(path));
    if *path == pending_path(location) {
        return Some(about_pending(path, newest));
    }
    if !is_refused(path) {
        let is_draft = name(path).ends_with(".tmp");
        return is_draft.then(|| {
            let finding =
                Finding::new(Severity::Note, format!("{shown} is the draft of a file that was never finished"));
            finding.with_hint("it is in nobody's way")
        });
    }
    Some(match read_list(path) {
        Ok(list) => about_refused(&list, &shown),
        Err(reason) => Finding::new(Severity::Warning, format!("{shown} cannot be read: {reason}"))
            .with_hint("the files of the run that was refused are told as files that no commit names"),
    })
}

fn about_refused(list: &RefusedRun, shown: &str) -> Finding {
    let count = list.files.values().map(Vec::len).sum();
    let bytes: u64 = list.files.values().flatten().map(|file| file.size).sum();
    let (source, at) = (&list.source, list.refused_at.to_rfc3339());
    let what = format!("the guard refused `{source}` at {at}: {} with {bytes} bytes are kept", counted(count, "file"));
    let hint = format!("{shown} says why; the files go when `{source}` is published or refused again");
    Finding::new(Severity::Note, what).with_hint(hint)
}

fn about_pending(path: &Path, newest: Option<SnapshotId>) -> Finding {
    let read = std::fs::read(path).map_err(|cause| cause.to_string());
    let pending = read.and_then(|bytes| serde_json::from_slice::<Pending>(&bytes).map_err(|cause| cause.to_string()));
    let what = match pending {
        Ok(pending) if Some(pending.row.snapshot_id) <= newest => {
            format!("`staged/pending.json` is left of snapshot {}, which is over", pending.row.snapshot_id)
        }
        Ok(pending) => {
            let row = &pending.row;
            format!(
                "`staged/pending.json`: `{}` was publishing snapshot {} and has not ended",
                row.source, row.snapshot_id
            )
        }
        Err(reason) => format!("`staged/pending.json` cannot be read: {reason}"),
    };
    Finding::new(Severity::Warning, what).with_hint(
        "if no run is writing now, it was killed: the next run, or `tagmill doctor --repair`, finishes it or takes it \
         back",
    )
}

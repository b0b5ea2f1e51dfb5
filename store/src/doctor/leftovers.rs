//! What runs have left under `staged/`: the row of one that was publishing, what the guard refused, unfinished drafts.

use serde::de::DeserializeOwned;
use tagmill_schemas::ids::SnapshotId;

use super::findings::{Finding, Findings, Severity};
use super::{counted, in_words};
use crate::error::StoreError;
use crate::location::Location;
use crate::objects::drafts_below;
use crate::publish::{PENDING, Pending, RefusedRun, STAGED};

/// Says what lies under `staged/`. `newest` is the newest snapshot.
pub(super) async fn check(location: &Location, newest: Option<SnapshotId>, findings: &mut Findings) {
    let looked = look(location, newest, findings).await;
    if let Err(cause) = looked {
        findings.add(Finding::new(Severity::Error, in_words(&cause)));
    }
}

async fn look(location: &Location, newest: Option<SnapshotId>, findings: &mut Findings) -> Result<(), StoreError> {
    for object in location.objects().list(STAGED).await? {
        let path = format!("{STAGED}/{}", object.path);
        if path == PENDING {
            findings.add(about_pending(location, newest).await);
        } else if object.path.starts_with("refused-") && object.path.ends_with(".json") {
            findings.add(about_refused(location, &path).await);
        }
    }
    // A bucket has none.
    let Some(folder) = location.folder() else { return Ok(()) };
    for draft in drafts_below(&folder.join(STAGED)).await? {
        let name = draft.file_name().unwrap_or_default().to_string_lossy();
        let what = format!("`{STAGED}/{name}` is the draft of a file that was never finished");
        let hint = "it is in nobody's way; `tagmill doctor --repair` removes it";
        findings.add(Finding::new(Severity::Note, what).with_hint(hint));
    }
    Ok(())
}

/// What an object holds, or why it cannot be told, in words.
async fn read<T: DeserializeOwned>(location: &Location, path: &str) -> Result<T, String> {
    let content = location.objects().read(path).await.map_err(|cause| in_words(&cause))?;
    let content = content.ok_or_else(|| "it is gone".to_owned())?;
    serde_json::from_slice(&content).map_err(|cause| cause.to_string())
}

async fn about_refused(location: &Location, path: &str) -> Finding {
    let list: RefusedRun = match read(location, path).await {
        Ok(list) => list,
        Err(reason) => {
            return Finding::new(Severity::Warning, format!("`{path}` cannot be read: {reason}"))
                .with_hint("the files of the run that was refused are told as files that no commit names");
        }
    };
    let count = list.files.values().map(Vec::len).sum();
    let bytes: u64 = list.files.values().flatten().map(|file| file.size).sum();
    let (source, at) = (&list.source, list.refused_at.to_rfc3339());
    let what = format!("the guard refused `{source}` at {at}: {} with {bytes} bytes are kept", counted(count, "file"));
    let hint = format!("`{path}` says why; the files go when `{source}` is published or refused again");
    Finding::new(Severity::Note, what).with_hint(hint)
}

async fn about_pending(location: &Location, newest: Option<SnapshotId>) -> Finding {
    let what = match read::<Pending>(location, PENDING).await {
        Ok(pending) if Some(pending.row.snapshot_id) <= newest => {
            format!("`{PENDING}` is left of snapshot {}, which is over", pending.row.snapshot_id)
        }
        Ok(pending) => {
            let row = &pending.row;
            format!("`{PENDING}`: `{}` was publishing snapshot {} and has not ended", row.source, row.snapshot_id)
        }
        Err(reason) => format!("`{PENDING}` cannot be read: {reason}"),
    };
    Finding::new(Severity::Warning, what).with_hint(
        "if no run is writing now, it was killed: the next run, or `tagmill doctor --repair`, finishes it or takes it \
         back",
    )
}

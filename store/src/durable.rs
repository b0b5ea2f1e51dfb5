//! Making the name of a local file outlive a power cut: it does once its folder is synced.

use std::fs::File;
use std::io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
use std::path::Path;

use crate::error::StoreError;

/// Syncs the names in a folder. Not every system lets a folder be opened or synced; such a one keeps names by itself.
pub(crate) fn sync_folder(path: &Path) -> std::io::Result<()> {
    match File::open(path).and_then(|folder| folder.sync_all()) {
        Err(cause) if matches!(cause.kind(), PermissionDenied | InvalidInput | Unsupported) => Ok(()),
        synced => synced,
    }
}

/// Syncs the folder that a file or folder lies in.
pub(crate) fn sync_folder_of(path: &Path) -> Result<(), StoreError> {
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => return Ok(()),
    };
    sync_folder(folder).map_err(|source| file_error("sync", folder, source))
}

/// The error of a step that failed on a file or folder.
pub(crate) fn file_error(step: &'static str, path: &Path, source: std::io::Error) -> StoreError {
    StoreError::File { step, path: path.display().to_string(), source }
}

//! Making what was written outlive a power cut: a file's content once the file is synced, its name once its folder is.

use std::fs::File;
use std::io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
use std::io::Write;
use std::path::Path;

use crate::error::StoreError;

/// Syncs a file that has been written.
pub(crate) fn sync_file(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|source| file_error("sync", path, source))
}

/// Syncs the names in a folder. Not every system lets a folder be opened or synced; such a one keeps names by itself.
pub(crate) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    match File::open(path).and_then(|folder| folder.sync_all()) {
        Err(cause) if matches!(cause.kind(), PermissionDenied | InvalidInput | Unsupported) => Ok(()),
        synced => synced.map_err(|source| file_error("sync", path, source)),
    }
}

/// Syncs the folder that a file or folder lies in.
pub(crate) fn sync_folder_of(path: &Path) -> Result<(), StoreError> {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => sync_folder(Path::new(".")),
        Some(folder) => sync_folder(folder),
        None => Ok(()),
    }
}

/// Puts a whole file in its place, making its folder where there is none: whoever reads it, and whatever crashes when,
/// finds the content before or this one.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let failed = |source: std::io::Error| file_error("write", path, source);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let draft = path.with_extension("tmp");
    let mut file = File::create(&draft).map_err(failed)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&draft, path).map_err(failed)?;
    sync_folder_of(path)
}

/// The error of a step that failed on a file or folder.
pub(crate) fn file_error(step: &'static str, path: &Path, source: std::io::Error) -> StoreError {
    StoreError::File { step, path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_file_takes_the_place_of_the_one_before_and_leaves_no_draft() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("staged").join("a.json");
        for content in ["a longer text", "short"] {
            write_whole(&path, content.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}

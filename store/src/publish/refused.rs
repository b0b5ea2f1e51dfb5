//! What the guard refused: its verdicts and its files, kept until the same source is published or refused again.
//!
//! The files lie beside those of their tables and belong to no version; the list of them is under `staged/`.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tagmill_schemas::tables::contract;

use super::files::{remove_if_there, write_json};
use crate::delta::never_committed;
use crate::durable::file_error;
use crate::error::StoreError;
use crate::location::Location;
use crate::parquet_file::StagedFile;

/// How much of a source's name the name of its list shows.
const READABLE_CHARS: usize = 40;

/// A run that was refused, as a person can look at it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RefusedRun {
    /// The source of the run.
    pub(crate) source: String,
    /// When it was refused.
    pub(crate) refused_at: DateTime<Utc>,
    /// What the guard said, in words.
    pub(crate) verdicts: Vec<String>,
    /// Table to the files that the run staged for it.
    pub(crate) files: BTreeMap<String, Vec<StagedFile>>,
}

/// Keeps a refused run in place of the one that the same source had before.
pub(super) fn keep(location: &Location, refused: &RefusedRun) -> Result<(), StoreError> {
    remove_files(location, &refused.source)?;
    write_json(&refused_path(location, &refused.source), refused)
}

/// Removes what is kept of a source's refused run, if anything is.
pub(super) fn forget(location: &Location, source: &str) -> Result<(), StoreError> {
    remove_files(location, source)?;
    remove_if_there(&refused_path(location, source))
}

/// The files of every refused run that is kept: table, and path below the table's folder.
pub(crate) fn refused_files(location: &Location) -> Result<Vec<(String, String)>, StoreError> {
    let staged = location.folder().join("staged");
    let failed = |source: std::io::Error| file_error("read", &staged, source);
    let entries = match std::fs::read_dir(&staged) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(source)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !name.starts_with("refused-") || !name.ends_with(".json") {
            continue;
        }
        for (table, of_table) in read(&path)?.into_iter().flat_map(|refused| refused.files) {
            files.extend(of_table.into_iter().map(|file| (table.clone(), file.path)));
        }
    }
    Ok(files)
}

/// Where the list of a source's refused run is. The hash tells sources apart whose names read alike.
pub(super) fn refused_path(location: &Location, source: &str) -> PathBuf {
    let is_plain = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_');
    let readable: String = source.chars().filter(is_plain).take(READABLE_CHARS).collect();
    let hash = format!("{:x}", Sha256::digest(source.as_bytes()));
    location.folder().join("staged").join(format!("refused-{readable}-{hash:.8}.json"))
}

/// Removes the files that a source's list names. A file that any commit has named is left alone, whatever the list says.
fn remove_files(location: &Location, source: &str) -> Result<(), StoreError> {
    let Some(refused) = read(&refused_path(location, source))? else { return Ok(()) };
    for (table, files) in refused.files {
        let folder = location.table_folder(&table);
        let paths: Vec<String> = files.into_iter().map(|file| file.path).filter(|path| is_below(path)).collect();
        if contract(&table).is_none() || paths.is_empty() {
            continue;
        }
        for path in never_committed(&folder, paths)? {
            remove_if_there(&folder.join(path))?;
        }
    }
    Ok(())
}

/// Whether a path leads to a Parquet file below the folder it starts from.
fn is_below(path: &str) -> bool {
    path.ends_with(".parquet") && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

/// The list, where there is one. One that cannot be read names no files.
fn read(path: &Path) -> Result<Option<RefusedRun>, StoreError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(file_error("read", path, source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_whose_names_read_alike_keep_lists_of_their_own() {
        let location = Location::parse("/data/corp").unwrap();
        let name = |source| refused_path(&location, source).file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(name("shop"), "refused-shop-8d9001d3.json");
        let alike = ["shop-1", "shop_1", "shop.1", "shop1", "shop/1"];
        let names: std::collections::BTreeSet<String> = alike.into_iter().map(name).collect();
        assert_eq!(names.len(), alike.len(), "{names:?}");
    }

    #[test]
    fn a_list_names_nothing_outside_its_table() {
        assert!(is_below("b0001/s000002-x.parquet"));
        for wrong in ["../customer/x.parquet", "/etc/x.parquet", "_delta_log/00000000000000000000.json"] {
            assert!(!is_below(wrong), "{wrong}");
        }
    }
}

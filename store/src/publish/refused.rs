//! What the guard refused: its verdicts and its files, kept until the same source is published or refused again.
//!
//! The files lie beside those of their tables and belong to no version; the list of them is under `staged/`.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tagmill_schemas::tables::contract;

use super::files::{STAGED, write_json};
use crate::delta::never_committed;
use crate::error::StoreError;
use crate::location::Location;
use crate::objects::Objects;
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
pub(super) async fn keep(location: &Location, refused: &RefusedRun) -> Result<(), StoreError> {
    remove_files(location, &refused.source).await?;
    write_json(location.objects(), &refused_path(&refused.source), refused).await
}

/// Removes what is kept of a source's refused run, if anything is.
pub(super) async fn forget(location: &Location, source: &str) -> Result<(), StoreError> {
    remove_files(location, source).await?;
    location.objects().remove(&refused_path(source)).await
}

/// The files of every refused run that is kept: table, and path below the table's folder.
pub(crate) async fn refused_files(location: &Location) -> Result<Vec<(String, String)>, StoreError> {
    let objects = location.objects();
    let mut files = Vec::new();
    for object in objects.list(STAGED).await? {
        if !object.path.starts_with("refused-") || !object.path.ends_with(".json") {
            continue;
        }
        let refused = read(objects, &format!("{STAGED}/{}", object.path)).await?;
        for (table, of_table) in refused.into_iter().flat_map(|refused| refused.files) {
            files.extend(of_table.into_iter().map(|file| (table.clone(), file.path)));
        }
    }
    Ok(files)
}

/// Where the list of a source's refused run is. The hash tells sources apart whose names read alike.
pub(super) fn refused_path(source: &str) -> String {
    let is_plain = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_');
    let readable: String = source.chars().filter(is_plain).take(READABLE_CHARS).collect();
    let hash = format!("{:x}", Sha256::digest(source.as_bytes()));
    format!("{STAGED}/refused-{readable}-{hash:.8}.json")
}

/// Removes the files that a source's list names. A file that any commit has named is left alone, whatever the list says.
async fn remove_files(location: &Location, source: &str) -> Result<(), StoreError> {
    let objects = location.objects();
    let Some(refused) = read(objects, &refused_path(source)).await? else { return Ok(()) };
    for (table, files) in refused.files {
        let paths: Vec<String> = files.into_iter().map(|file| file.path).filter(|path| is_below(path)).collect();
        if contract(&table).is_none() || paths.is_empty() {
            continue;
        }
        for path in never_committed(objects, &table, paths).await? {
            objects.remove(&format!("{}/{path}", location.table_folder(&table))).await?;
        }
    }
    Ok(())
}

/// Whether a path leads to a Parquet file below the folder it starts from.
fn is_below(path: &str) -> bool {
    path.ends_with(".parquet") && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

/// The list, where there is one. One that cannot be read names no files.
async fn read(objects: &Objects, below: &str) -> Result<Option<RefusedRun>, StoreError> {
    Ok(objects.read(below).await?.and_then(|content| serde_json::from_slice(&content).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_whose_names_read_alike_keep_lists_of_their_own() {
        let name = |source| refused_path(source);
        assert_eq!(name("shop"), "staged/refused-shop-8d9001d3.json");
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

//! Sweeping: the data files that nothing kept refers to, found and removed.
//!
//! What stays is read off the kept table versions themselves, opened as a reader opens them, and never guessed from the age
//! of a file. Only files with names of our own are ever removed. Whoever sweeps holds the writer's lock, so that no run is
//! staging.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::DirEntry;
use std::io::ErrorKind::NotFound;
use std::path::{Path, PathBuf};

use tagmill_schemas::ids::SnapshotId;
use tagmill_schemas::tables::TABLES;

use crate::delta::open_table;
use crate::durable::file_error;
use crate::error::StoreError;
use crate::ledger::LedgerRow;
use crate::location::Location;
use crate::publish::{LEDGER, refused_files, remove_if_there, staged_for};

/// The files that stay: table to paths below the table's folder.
#[derive(Debug, Default)]
pub(super) struct Referenced {
    files: BTreeMap<String, BTreeSet<String>>,
}

/// A data file that nothing kept refers to.
#[derive(Debug)]
pub(super) struct Orphan {
    path: PathBuf,
    /// Its size in bytes.
    pub(super) size: u64,
    /// The snapshot that it was staged for.
    pub(super) staged_for: SnapshotId,
}

impl Referenced {
    /// The files of every table version that these rows name, of the heads of the tables, and of refused runs.
    ///
    /// # Errors
    /// Where one of these versions cannot be opened.
    pub(super) async fn by(location: &Location, kept: &[LedgerRow]) -> Result<Self, StoreError> {
        let mut referenced = Self::default();
        for table in TABLES.iter().filter(|table| table.name != LEDGER) {
            referenced.add_version(location, table.name, None).await?;
            let versions: BTreeSet<u64> = kept.iter().filter_map(|row| row.tables.get(table.name).copied()).collect();
            for version in versions {
                referenced.add_version(location, table.name, Some(version)).await?;
            }
        }
        for (table, path) in refused_files(location)? {
            referenced.files.entry(table).or_default().insert(path);
        }
        Ok(referenced)
    }

    /// The ledger's file, and where `before` says so the one before it: a reader may have opened that version a moment ago.
    pub(super) async fn add_ledger(&mut self, location: &Location, before: bool) -> Result<(), StoreError> {
        let head = self.add_version(location, LEDGER, None).await?;
        if let Some(version) = head.checked_sub(1).filter(|_| before) {
            self.add_version(location, LEDGER, Some(version)).await?;
        }
        Ok(())
    }

    /// Adds the files of a version, by default of the head; returns which version it is.
    async fn add_version(&mut self, location: &Location, table: &str, version: Option<u64>) -> Result<u64, StoreError> {
        let opened = open_table(location, table, version).await?;
        let files = self.files.entry(table.to_owned()).or_default();
        files.extend(opened.files.into_iter().map(|file| file.path));
        Ok(opened.version)
    }

    /// Every data file of ours that is not among these.
    pub(super) fn orphans(&self, location: &Location) -> Result<Vec<Orphan>, StoreError> {
        let mut orphans = Vec::new();
        for table in TABLES {
            let folder = location.table_folder(table.name);
            let stays = self.files.get(table.name);
            for entry in data_files(&folder)? {
                let path = entry.path();
                let below = path.strip_prefix(&folder).ok().and_then(Path::to_str).unwrap_or_default();
                let Some(staged_for) = staged_for(below) else { continue };
                if stays.is_some_and(|files| files.contains(below)) {
                    continue;
                }
                let size = match entry.metadata() {
                    Ok(found) => found.len(),
                    // Whoever writes beside a dry run may have removed it.
                    Err(cause) if cause.kind() == NotFound => continue,
                    Err(source) => return Err(file_error("look at", &path, source)),
                };
                orphans.push(Orphan { path, size, staged_for });
            }
        }
        Ok(orphans)
    }
}

/// Removes files that nothing refers to. What is left where that fails is an orphan still.
pub(super) fn remove(orphans: &[Orphan]) -> Result<(), StoreError> {
    orphans.iter().try_for_each(|orphan| remove_if_there(&orphan.path))
}

/// What lies in a table's folder and in the folders of its buckets.
fn data_files(folder: &Path) -> Result<Vec<DirEntry>, StoreError> {
    let mut files = Vec::new();
    for entry in entries(folder)? {
        if is_bucket(&entry) {
            files.extend(entries(&entry.path())?);
        } else {
            files.push(entry);
        }
    }
    Ok(files)
}

fn entries(folder: &Path) -> Result<Vec<DirEntry>, StoreError> {
    let failed = |source: std::io::Error| file_error("read", folder, source);
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.collect::<Result<_, _>>().map_err(failed),
        Err(cause) if cause.kind() == NotFound => Ok(Vec::new()),
        Err(source) => Err(failed(source)),
    }
}

/// Whether it is the folder of a bucket: `b0003`.
fn is_bucket(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    let number = name.to_str().and_then(|name| name.strip_prefix('b'));
    let is_number = number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
    is_number && entry.file_type().is_ok_and(|kind| kind.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_a_run_gives_are_known() {
        let unique = "0123456789abcdef0123456789abcdef";
        for path in [format!("s000012-{unique}.parquet"), format!("b0003/s000012-{unique}.parquet")] {
            assert_eq!(staged_for(&path), Some(SnapshotId(12)), "{path}");
        }
        let others = [
            format!("part-00000-{unique}.snappy.parquet"),
            format!("s000012-{unique}.parquet.tmp"),
            format!("sx-{unique}.parquet"),
            "s000012-new.parquet".to_owned(),
            "compacted.parquet".to_owned(),
            "_delta_log/00000000000000000001.checkpoint.parquet".to_owned(),
        ];
        for path in others {
            assert_eq!(staged_for(&path), None, "{path}");
        }
    }
}

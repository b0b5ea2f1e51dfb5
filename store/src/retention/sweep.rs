//! Sweeping: the data files that nothing kept refers to, found and removed, and in a folder what was never finished.
//!
//! What stays is read off the kept table versions themselves, opened as a reader opens them, and never guessed from the age
//! of a file. Only files with names of our own are ever removed. Whoever sweeps holds the writer's lock, so that no run is
//! staging, and confirms it once the files are found and before they are removed: none of them is another run's then.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use tagmill_schemas::ids::SnapshotId;
use tagmill_schemas::tables::TABLES;

use crate::delta::{TableVersion, open_table};
use crate::error::StoreError;
use crate::ledger::LedgerRow;
use crate::location::Location;
use crate::objects;
use crate::publish::{LEDGER, STAGED, refused_files, staged_for};

/// How many table versions are opened at once.
const OPENED_AT_ONCE: usize = 8;

/// The files that stay: table to paths below the table's folder.
#[derive(Debug, Default)]
pub(super) struct Referenced {
    files: BTreeMap<String, BTreeSet<String>>,
}

/// A data file that nothing kept refers to.
#[derive(Debug)]
pub(super) struct Orphan {
    /// Its path below the warehouse.
    path: String,
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
        let mut opening = Vec::new();
        for table in TABLES.iter().filter(|table| table.name != LEDGER) {
            let named: BTreeSet<u64> = kept.iter().filter_map(|row| row.tables.get(table.name).copied()).collect();
            let versions = std::iter::once(None).chain(named.into_iter().map(Some));
            opening.extend(versions.map(|version| open_table(location, table.name, version)));
        }
        let mut referenced = Self::default();
        let mut opened = stream::iter(opening).buffered(OPENED_AT_ONCE);
        while let Some(version) = opened.next().await {
            referenced.add(version?);
        }
        for (table, path) in refused_files(location).await? {
            referenced.files.entry(table).or_default().insert(path);
        }
        Ok(referenced)
    }

    /// The ledger's file, and where `before` says so the one before it: a reader may have opened that version a moment ago.
    pub(super) async fn add_ledger(&mut self, location: &Location, before: bool) -> Result<(), StoreError> {
        let head = open_table(location, LEDGER, None).await?;
        let older = head.version.checked_sub(1).filter(|_| before);
        self.add(head);
        if older.is_some() {
            self.add(open_table(location, LEDGER, older).await?);
        }
        Ok(())
    }

    fn add(&mut self, version: TableVersion) {
        let files = self.files.entry(version.table).or_default();
        files.extend(version.files.into_iter().map(|file| file.path));
    }

    /// Every data file of ours that is not among these.
    pub(super) async fn orphans(&self, location: &Location) -> Result<Vec<Orphan>, StoreError> {
        let mut orphans = Vec::new();
        for table in TABLES {
            let folder = location.table_folder(table.name);
            let stays = self.files.get(table.name);
            for object in location.objects().list(&folder).await? {
                let Some(staged_for) = staged_for(&object.path) else { continue };
                if !is_staged_there(&object.path) || stays.is_some_and(|files| files.contains(&object.path)) {
                    continue;
                }
                orphans.push(Orphan { path: format!("{folder}/{}", object.path), size: object.size, staged_for });
            }
        }
        Ok(orphans)
    }
}

/// Removes files that nothing refers to. What is left where that fails is an orphan still.
pub(super) async fn remove(location: &Location, orphans: &[Orphan]) -> Result<(), StoreError> {
    let paths: Vec<String> = orphans.iter().map(|orphan| orphan.path.clone()).collect();
    location.objects().remove_all(&paths).await
}

/// Removes what a killed process was writing into a folder and never finished; says how many files. Nobody lists them.
/// A bucket has none.
pub(crate) async fn remove_drafts(location: &Location) -> Result<usize, StoreError> {
    let Some(folder) = location.folder() else { return Ok(0) };
    objects::remove_drafts(folder, &["tables", STAGED]).await
}

/// Whether a run puts data files there: into a table's folder itself, or into that of a bucket, such as `b0003`.
fn is_staged_there(path: &str) -> bool {
    let Some((folder, _)) = path.rsplit_once('/') else { return true };
    let number = folder.strip_prefix('b').unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
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

    #[test]
    fn only_folders_that_a_run_fills_are_swept() {
        for path in ["s1.parquet", "b0003/s1.parquet"] {
            assert!(is_staged_there(path), "{path}");
        }
        for path in ["old/s1.parquet", "b/s1.parquet", "b0003/old/s1.parquet", "_delta_log/s1.parquet"] {
            assert!(!is_staged_there(path), "{path}");
        }
    }
}

//! What a backup of one state of a warehouse holds: the logs as far as the ledger names their versions, the data files that
//! these versions refer to, and the steps of the plans.
//!
//! What no version that is kept refers to is left out, whoever has staged, committed or refused it: in a copy no table is
//! ahead of the ledger, and nothing is left to be mended.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use tagmill_schemas::tables::TABLES;

use super::Halt;
use super::manifest::{STEPS, TABLES_FOLDER, is_below};
use super::place::Place;
use crate::control::ControlCopy;
use crate::delta::{LOG, open_table};
use crate::erase::{ERASED, JOURNAL};
use crate::error::StoreError;
use crate::ledger::Ledger;
use crate::location::Location;
use crate::objects::Listed;
use crate::publish::LEDGER;
use crate::retention::PRUNED;
use crate::warehouse::{SETTINGS, Warehouse};

/// The objects that remember what is no more, where anything is.
pub(super) const REMEMBERED: [&str; 3] = [PRUNED, ERASED, JOURNAL];
/// The folder of a warehouse in which people keep their segments, rules and audiences.
const DEFINITIONS: &str = "definitions";
/// What a log says of its newest checkpoint.
const LAST_CHECKPOINT: &str = "_last_checkpoint";
/// How many versions of a table are opened at once.
const VERSIONS_AT_ONCE: usize = 8;

/// An object to be copied whose name is never given to anything else. Only an erasure writes it anew.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) place: Place,
    /// Where it lies there, in a warehouse and in a backup.
    pub(super) path: String,
    /// Its size in bytes.
    pub(super) size: u64,
    /// When it was written, by the clock of its store.
    pub(super) written_at: DateTime<Utc>,
}

/// Everything with a name of its own that belongs to the warehouse as the ledger says it is.
pub(super) async fn sources(
    warehouse: &Warehouse,
    ledger: &Ledger,
    control: Option<&ControlCopy>,
) -> Result<Vec<Source>, Halt> {
    let place = Place::of(warehouse.location());
    let data = data_files(warehouse.location(), ledger).await?;
    let there = listed(&place, TABLES_FOLDER).await?;
    let mut sources = Vec::new();
    for (path, size) in data {
        let source = found(&place, &there, path)?;
        if source.size != size {
            let reason = format!("it has {} bytes and should have {size}", source.size);
            return Err(StoreError::Damaged { what: place.shown(&source.path), reason }.into());
        }
        sources.push(source);
    }
    for path in log_files(ledger, &there) {
        sources.push(found(&place, &there, path)?);
    }
    if let Some(control) = control {
        let beside = Place::of_folder(&control.beside)?;
        let there = listed(&beside, STEPS).await?;
        for file in &control.step_files {
            sources.push(found(&beside, &there, format!("{STEPS}/{file}"))?);
        }
    }
    Ok(sources)
}

/// Makes sure that none of these has been written anew since it was listed. One that is gone by now was copied before.
pub(super) async fn check_unchanged(sources: &[Source]) -> Result<(), Halt> {
    for folder in [TABLES_FOLDER, STEPS] {
        let mut of_folder = sources.iter().filter(|source| is_below(&source.path, folder)).peekable();
        let Some(first) = of_folder.peek() else { continue };
        let there = listed(&first.place, folder).await?;
        let is_another = |source: &&Source| {
            let now = there.get(&source.path);
            now.is_some_and(|now| (now.size, now.written_at) != (source.size, source.written_at))
        };
        if let Some(source) = of_folder.find(is_another) {
            return Err(Halt::Moved(source.place.shown(&source.path)));
        }
    }
    Ok(())
}

/// The objects that are replaced in their place, as far as they are there, by path.
pub(super) async fn changing(place: &Place, ledger: &Ledger) -> Result<Vec<String>, StoreError> {
    let mut paths = vec![SETTINGS.to_owned()];
    paths.extend(REMEMBERED.map(str::to_owned));
    paths.extend(place.list(DEFINITIONS).await?.into_iter().map(|object| object.path));
    paths.extend(tables(ledger).into_iter().map(|table| log_path(table, LAST_CHECKPOINT)));
    Ok(paths)
}

/// Whether a [`changing`] object belongs to the warehouse as the ledger says it is: of a checkpoint that came later, the
/// copied log knows nothing.
pub(super) fn is_of_state(ledger: &Ledger, path: &str, bytes: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct LastCheckpoint {
        version: u64,
    }
    match tables(ledger).into_iter().find(|table| log_path(table, LAST_CHECKPOINT) == path) {
        None => true,
        Some(table) => serde_json::from_slice::<LastCheckpoint>(bytes)
            .is_ok_and(|checkpoint| checkpoint.version <= head_version(ledger, table)),
    }
}

/// The data files of every version that the ledger names, and the file of the ledger itself: by path, with the sizes that
/// the logs say.
async fn data_files(location: &Location, ledger: &Ledger) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut files = BTreeMap::new();
    for table in tables(ledger) {
        let folder = location.table_folder(table);
        let open = |version: u64| open_table(location, table, Some(version));
        let mut opened = stream::iter(versions(ledger, table)).map(open).buffer_unordered(VERSIONS_AT_ONCE);
        while let Some(version) = opened.try_next().await? {
            files.extend(version.files.into_iter().map(|file| (format!("{folder}/{}", file.path), file.size)));
        }
    }
    Ok(files)
}

/// The names of the tables.
fn tables(ledger: &Ledger) -> BTreeSet<&str> {
    let named = ledger.rows.iter().flat_map(|row| row.tables.keys().map(String::as_str));
    TABLES.iter().map(|table| table.name).chain(named).collect()
}

/// The versions of a table that may be asked for.
fn versions(ledger: &Ledger, table: &str) -> BTreeSet<u64> {
    if table == LEDGER {
        return BTreeSet::from([ledger.version]);
    }
    ledger.rows.iter().filter_map(|row| row.tables.get(table).copied()).collect()
}

/// The version that is to be the newest of a table: before the first snapshot, it is as it was made.
fn head_version(ledger: &Ledger, table: &str) -> u64 {
    if table == LEDGER {
        return ledger.version;
    }
    ledger.rows.last().and_then(|row| row.tables.get(table).copied()).unwrap_or(0)
}

/// Every commit up to the newest version of each table, and the checkpoints among them.
fn log_files(ledger: &Ledger, there: &BTreeMap<String, Listed>) -> Vec<String> {
    let mut paths = Vec::new();
    for table in tables(ledger) {
        let newest = head_version(ledger, table);
        paths.extend((0..=newest).map(|version| log_path(table, &format!("{version:020}.json"))));
        let log = log_path(table, "");
        let of_log = there.keys().filter(|path| {
            let checkpoint = path.strip_prefix(&log).and_then(checkpoint_version);
            checkpoint.is_some_and(|version| version <= newest)
        });
        paths.extend(of_log.cloned());
    }
    paths
}

fn log_path(table: &str, name: &str) -> String {
    format!("{TABLES_FOLDER}/{table}/{LOG}/{name}")
}

/// The version that a checkpoint, or a part of one, is of; `None` for what is none.
fn checkpoint_version(name: &str) -> Option<u64> {
    let (version, rest) = name.split_once('.')?;
    let is_checkpoint = version.len() == 20 && rest.starts_with("checkpoint.") && rest.ends_with("parquet");
    version.parse().ok().filter(|_| is_checkpoint)
}

fn found(place: &Place, there: &BTreeMap<String, Listed>, path: String) -> Result<Source, Halt> {
    match there.get(&path) {
        Some(listed) => Ok(Source { place: place.clone(), path, size: listed.size, written_at: listed.written_at }),
        None => Err(Halt::Moved(place.shown(&path))),
    }
}

async fn listed(place: &Place, folder: &str) -> Result<BTreeMap<String, Listed>, StoreError> {
    Ok(place.list(folder).await?.into_iter().map(|object| (object.path.clone(), object)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_are_told_by_their_names() {
        for (name, version) in [
            ("00000000000000000010.checkpoint.parquet", 10),
            ("00000000000000000010.checkpoint.0000000001.0000000002.parquet", 10),
        ] {
            assert_eq!(checkpoint_version(name), Some(version), "{name}");
        }
        for other in ["00000000000000000010.json", "_last_checkpoint", "10.checkpoint.parquet", "x.checkpoint.parquet"]
        {
            assert_eq!(checkpoint_version(other), None, "{other}");
        }
    }
}

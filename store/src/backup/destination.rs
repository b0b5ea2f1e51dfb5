//! Where a backup goes: an empty place, or one with an earlier backup of the same warehouse, and nobody else at it.

use std::collections::BTreeMap;

use super::BackupError;
use super::manifest::{Manifest, STATE, STEPS, TABLES_FOLDER, UNFINISHED};
use super::place::Place;
use crate::durable::{file_error, sync_folder_of};
use crate::error::StoreError;
use crate::location::Location;
use crate::lock::WriterLock;
use crate::objects::remove_drafts;
use crate::warehouse::{SETTINGS, Warehouse};

/// The folders that are a backup's own.
const FOLDERS: [&str; 3] = [TABLES_FOLDER, STEPS, STATE];

/// The complete backup that lies there, if there is one; refuses a place that holds anything else.
///
/// # Errors
/// `BackupError::Destination`; `BackupError::Damaged` where the manifest that lies there cannot be read.
pub(super) async fn check(warehouse: &Warehouse, to: &Location) -> Result<Option<Manifest>, StoreError> {
    let refused = |reason: String| Err(BackupError::Destination { location: to.to_string(), reason }.into());
    if overlap(warehouse.location(), to) {
        return refused("it is the warehouse itself, or one lies in the other".to_owned());
    }
    let place = Place::of(to);
    if place.has(SETTINGS).await? {
        return refused("it is a warehouse".to_owned());
    }
    let Some(manifest) = Manifest::read(&place).await? else {
        return match place.something().await? {
            Some(name) if !place.has(UNFINISHED).await? => {
                refused(format!("it holds something else, such as `{name}`"))
            }
            _ => Ok(None),
        };
    };
    let settings = Place::of(warehouse.location()).content(SETTINGS).await?;
    let kept = manifest.objects.iter().find(|kept| kept.path == SETTINGS);
    if kept.map(|kept| &kept.content) != settings.as_ref() {
        return refused(format!("it holds the backup of another warehouse, `{}`", manifest.from));
    }
    Ok(Some(manifest))
}

/// Takes the writer's lock of a place, which is made where it is a folder that is not there.
///
/// # Errors
/// `StoreError::Locked` where somebody else writes there.
pub(super) async fn lock(location: &Location) -> Result<WriterLock, StoreError> {
    if let Some(folder) = location.folder() {
        std::fs::create_dir_all(folder).map_err(|source| file_error("make the folder", folder, source))?;
        sync_folder_of(folder)?;
    }
    WriterLock::take(location).await
}

/// Removes the files that a killed backup was writing and never finished, and lists what else is the backup's own, with
/// sizes.
pub(super) async fn clear_drafts_and_list(location: &Location) -> Result<BTreeMap<String, u64>, StoreError> {
    let place = Place::of(location);
    let mut there = BTreeMap::new();
    if let Some(local) = location.folder() {
        remove_drafts(local, &FOLDERS).await?;
    }
    for folder in FOLDERS {
        there.extend(place.list(folder).await?.into_iter().map(|object| (object.path, object.size)));
    }
    Ok(there)
}

/// Whether one place is the other, or lies in it.
pub(super) fn overlap(one: &Location, other: &Location) -> bool {
    let [one, other] = [one, other].map(|location| format!("{location}/"));
    one.starts_with(&other) || other.starts_with(&one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_overlap_where_one_is_or_holds_the_other() {
        let check = |one: &str, other: &str, expected: bool| {
            let [one, other] = [one, other].map(|text| Location::parse(text).unwrap());
            assert_eq!(overlap(&one, &other), expected, "{one} and {other}");
            assert_eq!(overlap(&other, &one), expected, "{other} and {one}");
        };
        check("/data/corp", "/data/corp/", true);
        check("/data/corp", "/data/corp/backup", true);
        check("/data/corp", "/data/corp-backup", false);
        check("s3://bucket/corp", "s3://bucket", true);
        check("s3://bucket/corp", "/bucket/corp", false);
    }
}

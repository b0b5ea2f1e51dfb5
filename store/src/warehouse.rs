//! A warehouse: opening it, making it, and its ledger.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tagmill_schemas::clock::{BusinessZone, Clock, SystemClock};
use tagmill_schemas::segment::AsOf;
use tagmill_schemas::tables::TABLES;

use crate::arrow_types::arrow_schema;
use crate::control::ControlStore;
use crate::delta::{create_table, open_table};
use crate::durable::{file_error, sync_folder_of};
use crate::error::StoreError;
use crate::ledger::{self, Ledger, LedgerRow};
use crate::location::Location;
use crate::lock::WriterLock;
use crate::objects::Traffic;
use crate::parquet_file::read_object;
use crate::publish::{LEDGER, Run};
use crate::retention::refuse_pruned;
use crate::snapshot::Snapshot;

/// The format of what is kept; a newer one is refused.
const FORMAT: u32 = 1;
/// What is set once: the object that makes a place a warehouse.
pub(crate) const SETTINGS: &str = "warehouse.json";

/// A warehouse that exists. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Warehouse {
    location: Location,
    zone: BusinessZone,
    /// The file of the control state; `None` where a bucket was opened without one.
    state: Option<PathBuf>,
    clock: Arc<dyn Clock>,
}

/// What a warehouse is made with, where there is none yet.
#[derive(Debug, Clone, Default)]
pub struct NewWarehouse {
    /// The business time zone; `None` is Asia/Shanghai for a new one and any for an existing one.
    pub zone: Option<BusinessZone>,
    /// The clock that says when it is made, and that it carries from then on; `None` is the machine's.
    pub clock: Option<Arc<dyn Clock>>,
}

/// `warehouse.json`: what is set once and never changes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    format: u32,
    time_zone: String,
    created_at: DateTime<Utc>,
}

impl Warehouse {
    /// Opens a warehouse that exists.
    ///
    /// # Errors
    /// `StoreError::NoWarehouse` where there is none, `StoreError::Damaged` where its settings cannot be read.
    pub async fn open(location: &str) -> Result<Self, StoreError> {
        Self::open_at(Location::parse(location)?).await
    }

    /// As [`Self::open`], at a place that has been read already.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_at(location: Location) -> Result<Self, StoreError> {
        let settings = read_settings(&location)
            .await?
            .ok_or_else(|| StoreError::NoWarehouse { location: location.to_string() })?;
        Self::from_settings(location, &settings, Arc::new(SystemClock))
    }

    /// Opens a warehouse, making it first where there is none. Safe to call twice at once.
    ///
    /// # Errors
    /// `StoreError::ZoneFixed` where it was made with another time zone, `StoreError::Locked` where another process is
    /// making it right now.
    pub async fn open_or_create(location: &str, new: NewWarehouse) -> Result<Self, StoreError> {
        Self::open_or_create_at(Location::parse(location)?, new).await
    }

    /// As [`Self::open_or_create`], at a place that has been read already.
    ///
    /// # Errors
    /// As [`Self::open_or_create`].
    pub async fn open_or_create_at(location: Location, new: NewWarehouse) -> Result<Self, StoreError> {
        let clock = new.clock.unwrap_or_else(|| Arc::new(SystemClock));
        let settings = match read_settings(&location).await? {
            Some(settings) => settings,
            None => create(&location, new.zone.unwrap_or_default(), clock.as_ref()).await?,
        };
        if let Some(zone) = new.zone.filter(|zone| zone.name() != settings.time_zone) {
            return Err(StoreError::ZoneFixed {
                location: location.to_string(),
                kept: settings.time_zone,
                wanted: zone.name().to_owned(),
            });
        }
        Self::from_settings(location, &settings, clock)
    }

    fn from_settings(location: Location, settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let zone = BusinessZone::parse(&settings.time_zone).ok_or_else(|| StoreError::Damaged {
            what: location.shown(SETTINGS),
            reason: format!("`{}` is no time zone", settings.time_zone),
        })?;
        let state = location.folder().map(|folder| folder.join("control.sqlite"));
        Ok(Self { location, zone, state, clock })
    }

    /// The same warehouse with another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The same warehouse with its control state in another file.
    #[must_use]
    pub fn with_state(mut self, path: PathBuf) -> Self {
        self.state = Some(path);
        self
    }

    /// Where it is.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Its business time zone.
    pub fn zone(&self) -> BusinessZone {
        self.zone
    }

    /// Its clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// What has been read from and written to its store since it was opened, by all clones together.
    pub fn traffic(&self) -> Traffic {
        self.location.objects().traffic()
    }

    /// The file of its control state, whether it is there or not.
    ///
    /// # Errors
    /// `StoreError::NoState` for a bucket that was opened without one.
    pub(crate) fn state_path(&self) -> Result<&Path, StoreError> {
        self.state.as_deref().ok_or_else(|| StoreError::NoState { location: self.location.to_string() })
    }

    /// The folder of the steps of its plans, beside its control state.
    ///
    /// # Errors
    /// As [`Self::state_path`].
    pub(crate) fn plans_folder(&self) -> Result<PathBuf, StoreError> {
        Ok(self.state_path()?.with_file_name("plans"))
    }

    /// Its control state, made where there is none.
    ///
    /// # Errors
    /// `StoreError::Control` where the file cannot be opened, `StoreError::NoState` for a bucket that was opened without
    /// one.
    pub fn control(&self) -> Result<ControlStore, StoreError> {
        ControlStore::open(self.state_path()?, &self.plans_folder()?)
    }

    /// Every ledger row, ascending by snapshot id.
    ///
    /// # Errors
    /// `StoreError::Delta` or `StoreError::Damaged` where the ledger cannot be read.
    pub async fn ledger(&self) -> Result<Vec<LedgerRow>, StoreError> {
        Ok(self.read_ledger().await?.rows)
    }

    /// As [`Self::ledger`], for whoever is going to change it.
    pub(crate) async fn read_ledger(&self) -> Result<Ledger, StoreError> {
        let table = open_table(&self.location, LEDGER, None).await?;
        let folder = self.location.table_folder(LEDGER);
        let mut batches = Vec::new();
        for file in &table.files {
            batches.extend(read_object(self.location.objects(), &format!("{folder}/{}", file.path)).await?);
        }
        Ok(Ledger { version: table.version, rows: ledger::from_batches(&batches)? })
    }

    /// The newest snapshot; `None` before the first.
    ///
    /// # Errors
    /// As [`Self::ledger`], and `StoreError::Delta` where a table cannot be opened.
    pub async fn head(&self) -> Result<Option<Snapshot>, StoreError> {
        match self.ledger().await?.pop() {
            Some(row) => Ok(Some(Snapshot::open(&self.location, row).await?)),
            None => Ok(None),
        }
    }

    /// The snapshot that an `as_of` means: the newest, that id, or the last one taken at or before that time.
    ///
    /// # Errors
    /// `StoreError::Empty` before the first snapshot, `StoreError::NoSnapshot` for an unknown id or a time before the first,
    /// `StoreError::Pruned` where that snapshot was pruned.
    pub async fn snapshot(&self, as_of: &AsOf) -> Result<Snapshot, StoreError> {
        let mut rows = self.ledger().await?;
        let (Some(first), Some(last)) = (rows.first().cloned(), rows.last().cloned()) else {
            return Err(StoreError::Empty { location: self.location.to_string() });
        };
        refuse_pruned(&self.location, &rows, as_of).await?;
        let found = match as_of {
            AsOf::Latest => rows.pop(),
            AsOf::Snapshot(id) => rows.into_iter().find(|row| row.snapshot_id == *id),
            AsOf::Time(instant) => rows.into_iter().rfind(|row| row.taken_at <= *instant),
        };
        let row = found.ok_or_else(|| StoreError::NoSnapshot {
            wanted: match as_of {
                AsOf::Time(instant) => format!("was taken at or before {}", instant.to_rfc3339()),
                AsOf::Snapshot(id) => format!("has the id {id}"),
                AsOf::Latest => "is there".to_owned(),
            },
            there_is: format!(
                "there are snapshots {} (taken {}) to {} (taken {}); `tagmill snapshot list` shows them",
                first.snapshot_id,
                first.taken_at.to_rfc3339(),
                last.snapshot_id,
                last.taken_at.to_rfc3339()
            ),
        })?;
        Snapshot::open(&self.location, row).await
    }

    /// Begins a run: takes the writer's lock, mends what is ahead of the ledger, and pins the head.
    ///
    /// # Errors
    /// `StoreError::Locked` where another run is writing.
    pub async fn begin(&self) -> Result<Run, StoreError> {
        Run::begin(self).await
    }

    /// Begins a dry run on the newest snapshot: without the lock, beside whoever writes, mending nothing. It can neither
    /// stage nor publish.
    ///
    /// # Errors
    /// As [`Self::head`].
    pub async fn begin_dry(&self) -> Result<Run, StoreError> {
        Run::begin_dry(self).await
    }
}

async fn read_settings(location: &Location) -> Result<Option<Settings>, StoreError> {
    let damaged = |reason: String| StoreError::Damaged { what: location.shown(SETTINGS), reason };
    let Some(content) = location.objects().read(SETTINGS).await? else { return Ok(None) };
    let settings: Settings = serde_json::from_slice(&content).map_err(|cause| damaged(cause.to_string()))?;
    if settings.format > FORMAT {
        return Err(damaged(format!("its format {} is newer than this program knows ({FORMAT})", settings.format)));
    }
    Ok(Some(settings))
}

/// Makes the empty tables. The settings come last and make it a warehouse, so that a process killed half way leaves nothing
/// that passes for one; making it again takes up what is there.
async fn create(location: &Location, zone: BusinessZone, clock: &dyn Clock) -> Result<Settings, StoreError> {
    if let Some(folder) = location.folder() {
        std::fs::create_dir_all(folder).map_err(|source| file_error("make the folder", folder, source))?;
        sync_folder_of(folder)?;
    }
    let lock = WriterLock::take(location).await?;
    let made = create_locked(location, zone, clock).await;
    lock.release().await;
    made
}

async fn create_locked(location: &Location, zone: BusinessZone, clock: &dyn Clock) -> Result<Settings, StoreError> {
    if let Some(settings) = read_settings(location).await? {
        return Ok(settings);
    }
    for table in TABLES {
        create_table(location, table.name, &arrow_schema(table, &[])).await?;
    }
    let settings = Settings { format: FORMAT, time_zone: zone.name().to_owned(), created_at: clock.now() };
    location.objects().write(SETTINGS, serde_json::to_vec_pretty(&settings).unwrap_or_default()).await?;
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use tagmill_schemas::clock::FixedClock;

    use super::*;

    #[tokio::test]
    async fn a_warehouse_is_made_at_the_time_of_the_clock_it_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("corp").display().to_string();
        let now: DateTime<Utc> = "2026-11-11T18:00:00Z".parse().unwrap();
        let new = NewWarehouse { clock: Some(Arc::new(FixedClock(now))), ..NewWarehouse::default() };
        let warehouse = Warehouse::open_or_create(&path, new).await.unwrap();
        assert_eq!(warehouse.clock().now(), now);
        assert_eq!(read_settings(warehouse.location()).await.unwrap().unwrap().created_at, now);
    }
}

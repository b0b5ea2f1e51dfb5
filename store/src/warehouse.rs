//! A warehouse: opening it, making it, and its ledger.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tagmill_schemas::clock::{BusinessZone, Clock, SystemClock};
use tagmill_schemas::segment::AsOf;
use tagmill_schemas::tables::TABLES;

use crate::arrow_types::arrow_schema;
use crate::control::ControlStore;
use crate::delta::{create_table, open_table};
use crate::error::StoreError;
use crate::ledger::{self, LedgerRow};
use crate::location::Location;
use crate::lock::WriterLock;
use crate::parquet_file::read_batches;
use crate::publish::Run;
use crate::snapshot::Snapshot;

/// The format of the folder; a newer one is refused.
const FORMAT: u32 = 1;

/// A warehouse that exists. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Warehouse {
    location: Location,
    zone: BusinessZone,
    state: PathBuf,
    clock: Arc<dyn Clock>,
}

/// What a warehouse is made with, where there is none yet.
#[derive(Debug, Clone, Copy, Default)]
pub struct NewWarehouse {
    /// The business time zone; `None` is Asia/Shanghai for a new one and any for an existing one.
    pub zone: Option<BusinessZone>,
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
        let location = Location::parse(location)?;
        let settings =
            read_settings(&location)?.ok_or_else(|| StoreError::NoWarehouse { location: location.to_string() })?;
        Self::from_settings(location, &settings)
    }

    /// Opens a warehouse, making it first where there is none. Safe to call twice at once.
    ///
    /// # Errors
    /// `StoreError::ZoneFixed` where it was made with another time zone, `StoreError::Locked` where another process is
    /// making it right now.
    pub async fn open_or_create(location: &str, new: NewWarehouse) -> Result<Self, StoreError> {
        let location = Location::parse(location)?;
        let settings = match read_settings(&location)? {
            Some(settings) => settings,
            None => create(&location, new.zone.unwrap_or_default()).await?,
        };
        if let Some(zone) = new.zone.filter(|zone| zone.name() != settings.time_zone) {
            return Err(StoreError::ZoneFixed {
                location: location.to_string(),
                kept: settings.time_zone,
                wanted: zone.name().to_owned(),
            });
        }
        Self::from_settings(location, &settings)
    }

    fn from_settings(location: Location, settings: &Settings) -> Result<Self, StoreError> {
        let zone = BusinessZone::parse(&settings.time_zone).ok_or_else(|| StoreError::Damaged {
            what: settings_path(&location).display().to_string(),
            reason: format!("`{}` is no time zone", settings.time_zone),
        })?;
        let state = location.folder().join("control.sqlite");
        Ok(Self { location, zone, state, clock: Arc::new(SystemClock) })
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
        self.state = path;
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

    /// Its control state, made where there is none.
    ///
    /// # Errors
    /// `StoreError::Control` where the file cannot be opened.
    pub fn control(&self) -> Result<ControlStore, StoreError> {
        ControlStore::open(&self.state, &self.location.folder().join("plans"))
    }

    /// Every ledger row, ascending by snapshot id.
    ///
    /// # Errors
    /// `StoreError::Delta` or `StoreError::Damaged` where the ledger cannot be read.
    pub async fn ledger(&self) -> Result<Vec<LedgerRow>, StoreError> {
        let table = open_table(&self.location, "snapshot", None).await?;
        let folder = self.location.table_folder("snapshot");
        let mut batches = Vec::new();
        for file in &table.files {
            batches.extend(read_batches(&folder.join(&file.path))?);
        }
        ledger::from_batches(&batches)
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
    /// `StoreError::Empty` before the first snapshot, `StoreError::NoSnapshot` for an unknown id or a time before the first.
    pub async fn snapshot(&self, as_of: &AsOf) -> Result<Snapshot, StoreError> {
        let mut rows = self.ledger().await?;
        let (Some(first), Some(last)) = (rows.first().cloned(), rows.last().cloned()) else {
            return Err(StoreError::Empty { location: self.location.to_string() });
        };
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

    /// Begins a run: takes the writer's lock, mends what a killed run left, and pins the head.
    ///
    /// # Errors
    /// `StoreError::Locked` where another run is writing.
    pub async fn begin(&self) -> Result<Run, StoreError> {
        Run::begin(self).await
    }
}

fn settings_path(location: &Location) -> PathBuf {
    location.folder().join("warehouse.json")
}

fn read_settings(location: &Location) -> Result<Option<Settings>, StoreError> {
    let path = settings_path(location);
    let damaged = |reason: String| StoreError::Damaged { what: path.display().to_string(), reason };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StoreError::File { step: "read", path: path.display().to_string(), source }),
    };
    let settings: Settings = serde_json::from_str(&text).map_err(|cause| damaged(cause.to_string()))?;
    if settings.format > FORMAT {
        return Err(damaged(format!("its format {} is newer than this program knows ({FORMAT})", settings.format)));
    }
    Ok(Some(settings))
}

/// Makes the folder and its empty tables. The settings file comes last and makes it a warehouse, so that a process killed
/// half way leaves nothing that passes for one; making it again takes up what is there.
async fn create(location: &Location, zone: BusinessZone) -> Result<Settings, StoreError> {
    let folder = location.folder();
    let failed =
        |step, path: PathBuf| move |source| StoreError::File { step, path: path.display().to_string(), source };
    std::fs::create_dir_all(folder).map_err(failed("make the folder", folder.to_path_buf()))?;
    let _lock = WriterLock::take(location)?;
    if let Some(settings) = read_settings(location)? {
        return Ok(settings);
    }
    for table in TABLES {
        create_table(location, table.name, &arrow_schema(table, &[])).await?;
    }
    let settings = Settings { format: FORMAT, time_zone: zone.name().to_owned(), created_at: Utc::now() };
    let path = settings_path(location);
    let text = serde_json::to_string_pretty(&settings).unwrap_or_default();
    let draft = path.with_extension("json.tmp");
    std::fs::write(&draft, text).map_err(failed("write", draft.clone()))?;
    std::fs::rename(&draft, &path).map_err(failed("write", path.clone()))?;
    Ok(settings)
}

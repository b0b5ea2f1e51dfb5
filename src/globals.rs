//! What the global options mean: the warehouse, the instant, the definitions, and who is acting.

use std::path::PathBuf;

use tagmill_query::{Access, Definitions, Engine, Limits, LoadedSegment, View};
use tagmill_schemas::clock::BusinessZone;
use tagmill_schemas::policy::Profile;
use tagmill_schemas::segment::AsOf;
use tagmill_schemas::segment::parse::WrittenAsOf;
use tagmill_store::{Location, NewWarehouse, StoreError, Warehouse};

use crate::cli::GlobalArgs;
use crate::errors::SurfaceError;

/// The folder of a warehouse in which definitions are looked for where `--definitions` does not say.
pub(crate) const DEFINITIONS: &str = "definitions";

/// The global options of one call.
#[derive(Debug, Clone)]
pub(crate) struct Globals {
    /// The warehouse's location, a path or a URL.
    pub(crate) location: String,
    /// Where the control state is kept, if not beside the warehouse.
    pub(crate) state: Option<PathBuf>,
    /// The policy profile.
    pub(crate) profile: Profile,
    /// The folder of the definitions that are named without a path.
    pub(crate) definitions_dir: Option<PathBuf>,
    /// Who is acting; nobody has verified it.
    pub(crate) actor: String,
    as_of: Option<WrittenAsOf>,
    time_zone: Option<BusinessZone>,
}

impl Globals {
    /// Takes the options as they were typed.
    pub(crate) fn new(args: GlobalArgs) -> Self {
        Self {
            location: args.warehouse,
            state: args.state,
            profile: args.profile.into(),
            definitions_dir: args.definitions,
            actor: args.actor.unwrap_or_else(operating_system_user),
            as_of: args.as_of,
            time_zone: args.time_zone,
        }
    }

    /// Opens the warehouse.
    ///
    /// # Errors
    /// `StoreError::NoWarehouse` where there is none, `StoreError::ZoneFixed` where it has another time zone than was
    /// given.
    pub(crate) async fn open_warehouse(&self) -> anyhow::Result<Warehouse> {
        let warehouse = Warehouse::open(&self.location).await?;
        if let Some(wanted) = self.time_zone.filter(|zone| *zone != warehouse.zone()) {
            return Err(StoreError::ZoneFixed {
                location: self.location.clone(),
                kept: warehouse.zone().name().to_owned(),
                wanted: wanted.name().to_owned(),
            }
            .into());
        }
        Ok(self.with_state(warehouse))
    }

    /// Opens the warehouse, and makes it where there is none.
    ///
    /// # Errors
    /// `StoreError::ZoneFixed` where it has another time zone than was given; what making it failed with.
    pub(crate) async fn open_or_create_warehouse(&self) -> anyhow::Result<Warehouse> {
        let new = NewWarehouse { zone: self.time_zone, ..NewWarehouse::default() };
        Ok(self.with_state(Warehouse::open_or_create(&self.location, new).await?))
    }

    /// Opens the warehouse for questions.
    ///
    /// # Errors
    /// As [`Self::open_warehouse`].
    pub(crate) async fn open_engine(&self, limits: Limits) -> anyhow::Result<Engine> {
        Ok(Engine::new(self.open_warehouse().await?, limits)?)
    }

    /// Where segments, rules and audiences are looked up by name: in `--definitions`, else in the warehouse's own
    /// folder `definitions` where it has one.
    pub(crate) fn definitions(&self) -> Definitions {
        let beside = || {
            let folder = Location::parse(&self.location).ok()?.folder()?.join(DEFINITIONS);
            folder.is_dir().then_some(folder)
        };
        Definitions::new(self.definitions_dir.clone().or_else(beside))
    }

    /// Pins what `--as-of` means, by default the newest snapshot; private columns are shown as they are, and one call of
    /// the program is one question.
    ///
    /// # Errors
    /// `StoreError::NoSnapshot` where there is no such snapshot, `StoreError::Empty` where there is none at all.
    pub(crate) async fn view(&self, engine: &Engine) -> anyhow::Result<View> {
        Ok(engine.view(self.as_of(engine.warehouse().zone()), Access::Full).await?.for_one_question())
    }

    /// Pins the state a segment is asked of: `--as-of` fills a `latest`, and is refused beside a fixed one.
    ///
    /// # Errors
    /// Usage, where both say something; as [`Self::view`] otherwise.
    pub(crate) async fn view_for(&self, engine: &Engine, loaded: &LoadedSegment) -> anyhow::Result<View> {
        let as_of = match (loaded.segment.as_of, self.as_of) {
            (AsOf::Latest, _) => self.as_of(engine.warehouse().zone()),
            (fixed, None) => fixed,
            (_, Some(_)) => {
                return Err(SurfaceError::usage(
                    format!("segment `{}` fixes its own `as_of`", loaded.key),
                    "leave `--as-of` away, or write `as_of: latest` in the definition",
                )
                .into());
            }
        };
        Ok(engine.view(as_of, Access::Full).await?.for_one_question())
    }

    /// What `--as-of` means in a business time zone, by default the newest snapshot.
    pub(crate) fn as_of(&self, zone: BusinessZone) -> AsOf {
        self.as_of.map_or(AsOf::Latest, |as_of| as_of.resolve(zone))
    }

    fn with_state(&self, warehouse: Warehouse) -> Warehouse {
        match &self.state {
            Some(path) => warehouse.with_state(path.clone()),
            None => warehouse,
        }
    }
}

/// The name of the user who runs this program; `unknown` where the system does not tell.
fn operating_system_user() -> String {
    let told = ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(|variable| std::env::var(variable).ok());
    told.filter(|name| !name.is_empty()).or_else(process_owner).unwrap_or_else(|| "unknown".to_owned())
}

/// The owner of this process by the user database, for containers that set no variable.
#[cfg(unix)]
fn process_owner() -> Option<String> {
    use std::os::unix::fs::MetadataExt;

    let user_id = std::fs::metadata("/proc/self").ok()?.uid().to_string();
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == user_id).then(|| name.to_owned())
    })
}

/// No user database is known here.
#[cfg(not(unix))]
fn process_owner() -> Option<String> {
    None
}

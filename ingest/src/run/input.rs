//! What a run reads, opened; or the finding that it is what the last run read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{DateTime, Utc};
use datafusion::arrow::record_batch::RecordBatch;
use sha2::{Digest, Sha256};
use tagmill_store::SourceState;

use super::IngestOptions;
use super::files::RawFiles;
use super::mapping::{Mapper, MapperTable};
use super::read_before::{OpenedTable, ReadBefore};
use crate::error::IngestError;
use crate::raw::{self, FileVersion, RawFileSpec, RawFormat, RawListing};
use crate::sample::{CorpSize, SampleCorp};
use crate::source::{SampleSpec, Source, SourceKind, TableSelect};

/// Files that are hashed at once: one for each core of a small machine.
const HASHED_AT_ONCE: usize = 2;

/// What a run reads.
pub(crate) enum Input {
    /// Raw files and their SELECTs, opened.
    Files {
        mapper: Mapper,
        files: RawFiles,
        tables: Vec<TableSelect>,
        digests: BTreeMap<String, String>,
        read_before: ReadBefore,
    },
    /// One pull of the sample corp.
    Sample { tables: Vec<(&'static str, Vec<RecordBatch>)>, taken_at: DateTime<Utc>, digest: String },
}

impl Input {
    /// Opens the input; `None` where it is the one of the source's last run.
    pub(crate) fn open(
        source: &Source,
        state: Option<&SourceState>,
        options: &IngestOptions,
    ) -> Result<Option<Self>, IngestError> {
        match &source.kind {
            SourceKind::Files { files, tables } => Self::open_files(source, files, tables, state, options),
            SourceKind::Sample(spec) => Self::open_sample(spec, state),
        }
    }

    fn open_files(
        source: &Source,
        files: &[RawFileSpec],
        tables: &[TableSelect],
        state: Option<&SourceState>,
        options: &IngestOptions,
    ) -> Result<Option<Self>, IngestError> {
        let listings = raw::list_files(files)?;
        let versions = versions_of(&listings)?;
        let read = files_digest(&listings, &versions);
        let digests: BTreeMap<String, String> =
            tables.iter().map(|table| (table.table.clone(), input_digest(source, table, &read))).collect();
        let is_same = |(table, digest): (&String, &String)| {
            state.and_then(|state| state.tables.get(table)).is_some_and(|fill| fill.input_digest == *digest)
        };
        if digests.iter().all(is_same) {
            return Ok(None);
        }
        let (mut providers, mut opened, mut raw_tables) = (Vec::new(), RawFiles::default(), Vec::new());
        for listing in &listings {
            let file = &listing.spec;
            let table = raw::raw_table(file, options.progress.clone())?;
            providers.push(MapperTable {
                name: file.name.clone(),
                provider: table.provider.clone(),
                is_typed: file.format == RawFormat::Parquet,
            });
            let mut digests = Vec::new();
            for (path, account) in file.paths.iter().zip(&table.accounts) {
                if let Some(version) = versions.get(path.as_path()) {
                    account.know_version(version.clone());
                    digests.push(version.sha256().to_owned());
                }
                opened.add(&file.name, account.clone());
            }
            raw_tables.push(OpenedTable { listing: listing.clone(), table, digests });
        }
        let mapper = Mapper::new(&providers)?;
        let read_before = ReadBefore::new(source, raw_tables, state);
        Ok(Some(Self::Files { mapper, files: opened, tables: tables.to_vec(), digests, read_before }))
    }

    fn open_sample(spec: &SampleSpec, state: Option<&SourceState>) -> Result<Option<Self>, IngestError> {
        let digest = |pull: usize| format!("sample:{}:{}:{}:{pull}", spec.seed, spec.customers, spec.events);
        let last = state.and_then(|state| state.tables.get("customer")).map(|fill| fill.input_digest.clone());
        let pulls = SampleCorp::pulls().len();
        let next = match last {
            None => 0,
            Some(last) => (0..pulls).find(|pull| digest(*pull) == last).map_or(0, |pull| pull + 1),
        };
        if next >= pulls {
            return Ok(None);
        }
        let size = CorpSize { customers: spec.customers, events: spec.events, ..CorpSize::default() };
        let tables = SampleCorp::new(spec.seed, size).tables(next).map_err(IngestError::internal)?;
        Ok(Some(Self::Sample { tables, taken_at: SampleCorp::taken_at(next), digest: digest(next) }))
    }
}

/// Hashes every file, once however many raw tables it belongs to, several at once.
fn versions_of(files: &[RawListing]) -> Result<HashMap<&Path, FileVersion>, IngestError> {
    let mut seen = HashSet::new();
    let every = files.iter().flat_map(|file| &file.spec.paths).map(PathBuf::as_path);
    let paths: Vec<&Path> = every.filter(|path| seen.insert(*path)).collect();
    let next = AtomicUsize::new(0);
    let hash_some = || {
        let mut hashed = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = paths.get(index) else { return hashed };
            hashed.push((index, *path, FileVersion::of(path)));
        }
    };
    let mut hashed = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..HASHED_AT_ONCE.min(paths.len())).map(|_| scope.spawn(hash_some)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect::<Vec<_>>()
    });
    if hashed.len() < paths.len() {
        return Err(IngestError::internal("a thread that hashed files broke off"));
    }
    // Of several files that cannot be read, the first is told.
    hashed.sort_unstable_by_key(|(index, ..)| *index);
    hashed.into_iter().map(|(_, path, version)| Ok((path, version?))).collect()
}

/// SHA-256 over the bytes of the raw files and how they are read. Where they lie does not count.
fn files_digest(files: &[RawListing], versions: &HashMap<&Path, FileVersion>) -> String {
    let mut hash = Sha256::new();
    for file in files.iter().map(|file| &file.spec) {
        hash.update(format!("{}={:?}\n", file.name, file.format).as_bytes());
        for path in &file.paths {
            hash.update(versions.get(path.as_path()).map_or("", FileVersion::sha256).as_bytes());
            hash.update(b"\n");
        }
    }
    hex(hash)
}

/// SHA-256 over everything that decides what a table's run brings: what the files hold and how it is mapped.
fn input_digest(source: &Source, table: &TableSelect, files_digest: &str) -> String {
    let mut hash = Sha256::new();
    let zone = source.zone.map_or("", |zone| zone.name());
    let settings = format!("{}\n{zone}\n{:?}\n{table:?}\n{files_digest}", source.id_space, source.taken_at);
    hash.update(settings.as_bytes());
    hex(hash)
}

pub(super) fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

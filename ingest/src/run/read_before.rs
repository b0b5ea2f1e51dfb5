//! The files that an earlier run has read: a target that only adds takes nothing from them again.
//!
//! This is for patterns and folders, which grow by a file a day. A file is known by its content, whatever its name, and
//! only as long as everything that decides what comes of it is the same: another SELECT or another dialect reads all of
//! them again. Skipped are the files of a SELECT that reads one raw table row by row; a join or a group needs every row
//! there is. What is listed no longer is forgotten, and costs nothing but a second reading if it ever comes back.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};
use tagmill_store::{ReadFiles, SourceState};

use super::input::hex;
use super::mapping::{Mapped, Mapper, MapperTable};
use crate::error::IngestError;
use crate::raw::{RawFormat, RawListing, RawTable};
use crate::source::{Mode, Source, TableSelect};

/// One raw table, opened.
pub(crate) struct OpenedTable {
    pub(crate) listing: RawListing,
    pub(crate) table: RawTable,
    /// SHA-256 of each file, in their order.
    pub(crate) digests: Vec<String>,
}

/// What a run knows of the files that earlier ones have read.
pub(crate) struct ReadBefore {
    tables: Vec<OpenedTable>,
    /// By target, what its last run has left.
    read: BTreeMap<String, ReadFiles>,
    /// What the source says for all of its tables.
    settings: String,
}

/// Files of a raw table that a target need not read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Skipped {
    /// The raw table.
    pub(crate) table: String,
    paths: BTreeSet<String>,
}

impl ReadBefore {
    pub(crate) fn new(source: &Source, tables: Vec<OpenedTable>, state: Option<&SourceState>) -> Self {
        let fills = state.into_iter().flat_map(|state| &state.tables);
        let read = fills.filter_map(|(target, fill)| Some((target.clone(), fill.read_files.clone()?))).collect();
        let zone = source.zone.map_or("", |zone| zone.name());
        Self { tables, read, settings: format!("{}\n{zone}", source.id_space) }
    }

    /// The files that a target need not read.
    pub(crate) fn skipped(&self, select: &TableSelect, mapped: &Mapped) -> Skipped {
        let Some(opened) = self.open_table(select, mapped) else { return Skipped::default() };
        let Some(read) = self.read.get(&select.table) else { return Skipped::default() };
        if read.reading != self.reading(select, opened) {
            return Skipped::default();
        }
        let files = opened.table.accounts.iter().zip(&opened.digests);
        let known = files.filter(|(_, digest)| read.files.contains(*digest));
        let paths = known.map(|(account, _)| account.path().to_owned()).collect();
        Skipped { table: opened.listing.spec.name.clone(), paths }
    }

    /// A mapper that finds only the other files in the raw table.
    pub(crate) fn mapper_without(&self, skipped: &Skipped) -> Result<Mapper, IngestError> {
        let providers = self.tables.iter().map(|opened| {
            let name = opened.listing.spec.name.clone();
            let is_left = |file: usize| {
                opened.table.accounts.get(file).is_some_and(|account| !skipped.has(&name, account.path()))
            };
            let provider = opened.table.only(is_left);
            MapperTable { name, provider, is_typed: opened.listing.spec.format == RawFormat::Parquet }
        });
        Mapper::new(&providers.collect::<Vec<_>>())
    }

    /// What the next run need not read for a target that has taken all there was. Files in `unsettled` have rows that
    /// may be judged otherwise once other sources have brought more.
    pub(crate) fn remember(
        &self,
        select: &TableSelect,
        mapped: &Mapped,
        unsettled: &BTreeSet<String>,
    ) -> Option<ReadFiles> {
        let opened = self.open_table(select, mapped)?;
        let files = opened.table.accounts.iter().zip(&opened.digests);
        let settled = files.filter(|(account, _)| !unsettled.contains(account.path()));
        let files = settled.map(|(_, digest)| digest.clone()).collect();
        Some(ReadFiles { reading: self.reading(select, opened), files })
    }

    /// The raw table of which a target takes every row once, if the source left open which files it has.
    fn open_table(&self, select: &TableSelect, mapped: &Mapped) -> Option<&OpenedTable> {
        let raw = mapped.row_wise_over.as_ref().filter(|_| select.mode == Mode::Append && mapped.scans == 1)?;
        self.tables.iter().find(|opened| opened.listing.is_open && opened.listing.spec.name == *raw)
    }

    /// SHA-256 over everything that decides what comes of a file.
    fn reading(&self, select: &TableSelect, opened: &OpenedTable) -> String {
        let mut hash = Sha256::new();
        hash.update(format!("{}\n{select:?}\n{:?}", self.settings, opened.listing.spec.format).as_bytes());
        hex(hash)
    }
}

impl Skipped {
    pub(crate) fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Whether it is about this file of this raw table.
    pub(crate) fn has(&self, table: &str, path: &str) -> bool {
        self.table == table && self.paths.contains(path)
    }

    /// Says what is skipped for a target.
    pub(crate) fn note(&self, target: &str) -> String {
        let count = self.paths.len();
        let (files, were) = if count == 1 { ("file", "was") } else { ("files", "were") };
        let table = &self.table;
        format!("{count} {files} of `{table}` {were} read by an earlier run, and skipped for `{target}`")
    }
}

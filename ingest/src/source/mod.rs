//! A source: the YAML file that says what is read, and how it becomes rows of the tables.

mod parse;
mod raw_file;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use chrono::NaiveDateTime;
use chrono::{DateTime, Utc};
use tagmill_schemas::clock::BusinessZone;
use tagmill_schemas::tables::ColumnType;

use crate::error::IngestError;
use crate::raw::RawFileSpec;

/// A source, read and checked.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its identity for ever.
    pub name: String,
    /// The name space of the ids it brings; its name unless it says otherwise.
    pub id_space: String,
    /// The zone of its times without zone; `None` is the warehouse's.
    pub zone: Option<BusinessZone>,
    /// When it was read, where it says so itself.
    pub taken_at: Option<TakenAt>,
    /// What it reads.
    pub kind: SourceKind,
}

/// An instant that a source states: with an offset, or as a local time of its zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenAt {
    /// With an offset.
    Instant(DateTime<Utc>),
    /// A local time of the source's zone.
    Local(NaiveDateTime),
}

/// What a source reads.
#[derive(Debug, Clone)]
pub enum SourceKind {
    /// Raw files, mapped by one SELECT per table.
    Files {
        /// The raw files by their name in SQL; their paths may be patterns and folders.
        files: Vec<RawFileSpec>,
        /// The target tables.
        tables: Vec<TableSelect>,
    },
    /// The seeded sample corp; each run brings the next of its three pulls.
    Sample(SampleSpec),
}

/// The sample corp that a source means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleSpec {
    /// The seed.
    pub seed: u64,
    /// Its customers.
    pub customers: usize,
    /// Its events.
    pub events: usize,
}

/// How one target table is filled.
#[derive(Debug, Clone)]
pub struct TableSelect {
    /// The target: a table's name, or `assignment`.
    pub table: String,
    /// What the rows mean for what is there already.
    pub mode: Mode,
    /// The rank of this source's columns where another fills them too.
    pub priority: Option<i32>,
    /// Further columns: attributes of customers, properties of events.
    pub declared: Vec<DeclaredColumn>,
    /// Whether each raw row is an event of its own, for exports without ids.
    pub is_row_event_id: bool,
    /// The SELECT.
    pub select: String,
}

/// A column that a source adds to a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredColumn {
    /// Its name, `lower_snake_case`.
    pub name: String,
    /// Its type.
    pub ty: ColumnType,
    /// Whether it is masked unless asked for by somebody who may. Once a source has said so, it stays so for all.
    pub is_private: bool,
}

/// What the rows of a run mean for what the same source brought before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// All there is: what is no longer listed is ended or closed.
    Full,
    /// What is new or changed; the rest stays.
    Upsert,
    /// Only new rows.
    Append,
}

impl Mode {
    /// The word a source file uses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Upsert => "upsert",
            Self::Append => "append",
        }
    }
}

impl Source {
    /// Reads a source file. Paths in it are relative to the file.
    ///
    /// # Errors
    /// `IngestError::SourceFile`, or `IngestError::Source` with every problem.
    pub fn load(path: &Path) -> Result<Self, IngestError> {
        let shown = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|source| IngestError::SourceFile { path: shown.clone(), source })?;
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_else(|| PathBuf::from("."));
        Self::parse(&text, &folder, &shown)
    }

    /// Reads a source document; `folder` is what its paths are relative to.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(text: &str, folder: &Path, shown: &str) -> Result<Self, IngestError> {
        parse::parse_source(text, folder).map_err(|failure| match failure {
            parse::Failure::Problems(problems) => IngestError::Source { path: shown.to_owned(), problems },
            parse::Failure::KindNotYet(kind) => IngestError::KindNotYet { kind },
        })
    }

    /// The zone in which its times without zone are meant.
    pub fn zone_or(&self, warehouse: BusinessZone) -> BusinessZone {
        self.zone.unwrap_or(warehouse)
    }
}

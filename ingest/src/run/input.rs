//! What a run reads, opened; or the finding that it is what the last run read.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::record_batch::RecordBatch;
use sha2::{Digest, Sha256};
use tagmill_store::SourceState;

use super::IngestOptions;
use super::mapping::Mapper;
use crate::error::IngestError;
use crate::raw::{self, FileAccount};
use crate::sample::{CorpSize, SampleCorp};
use crate::source::{SampleSpec, Source, SourceKind, TableSelect};

/// What a run reads.
pub(crate) enum Input {
    /// Raw files and their SELECTs, opened.
    Files {
        mapper: Mapper,
        accounts: Vec<(String, Arc<FileAccount>)>,
        tables: Vec<TableSelect>,
        digests: BTreeMap<String, String>,
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
            SourceKind::Files { files, tables } => {
                let mut file_digests = Vec::new();
                for file in files {
                    for path in &file.paths {
                        file_digests.push(format!("{}={}", file.name, raw::file_digest(path)?));
                    }
                }
                let digests: BTreeMap<String, String> = tables
                    .iter()
                    .map(|table| (table.table.clone(), input_digest(source, table, &file_digests)))
                    .collect();
                let is_same = |(table, digest): (&String, &String)| {
                    state.and_then(|state| state.tables.get(table)).is_some_and(|fill| fill.input_digest == *digest)
                };
                if digests.iter().all(is_same) {
                    return Ok(None);
                }
                let (mut providers, mut accounts) = (Vec::new(), Vec::new());
                for file in files {
                    let table = raw::raw_table(file, options.progress.clone())?;
                    providers.push((file.name.clone(), table.provider));
                    accounts.extend(table.accounts.into_iter().map(|account| (file.name.clone(), account)));
                }
                let mapper = Mapper::new(&providers)?;
                Ok(Some(Self::Files { mapper, accounts, tables: tables.clone(), digests }))
            }
            SourceKind::Sample(spec) => Self::open_sample(spec, state),
        }
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

/// SHA-256 over everything that decides what a table's run brings: the files' bytes and how they are mapped.
fn input_digest(source: &Source, table: &TableSelect, file_digests: &[String]) -> String {
    let mut hash = Sha256::new();
    let zone = source.zone.map_or("", |zone| zone.name());
    let settings = format!("{}\n{zone}\n{:?}\n{table:?}\n", source.id_space, source.taken_at);
    hash.update(settings.as_bytes());
    for digest in file_digests {
        hash.update(digest.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

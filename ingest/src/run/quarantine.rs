//! Rows that were not taken, with the reason: rejected, duplicate, unmatched and unparsable ones.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use tagmill_schemas::ids::SnapshotId;
use tagmill_store::{Staged, Stager, StoreError};

use crate::error::IngestError;

/// Rows that wait in memory before they are staged.
const WAITING: usize = 50_000;
/// Bytes of raw rows and reasons that wait in memory before they are staged.
const WAITING_BYTES: usize = 64 * 1024 * 1024;
/// Files of them that may be in the making while more rows come.
const STAGING_AT_ONCE: usize = 2;

/// Where a row came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The raw file.
    pub(crate) file: Option<String>,
    /// The line or row in it, from 1.
    pub(crate) line: Option<i64>,
}

/// Why a row was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// A stable code.
    pub(crate) code: &'static str,
    /// The reason in words.
    pub(crate) reason: String,
}

impl Refusal {
    pub(crate) fn new(code: &'static str, reason: String) -> Self {
        Self { code, reason }
    }
}

/// Whether a row that is refused with a code may be taken once other sources have brought more.
fn is_unsettled(code: &str) -> bool {
    code == "IDENTITY_CONFLICT" || code.starts_with("UNMATCHED_")
}

/// Collects rows that were not taken and stages them in bounded memory.
pub(crate) struct Quarantine {
    source: String,
    run: SnapshotId,
    stager: Option<Stager>,
    waiting: Vec<Row>,
    waiting_bytes: usize,
    staging: VecDeque<SpawnedTask<Result<Staged, StoreError>>>,
    staged: Vec<Staged>,
    counts: Vec<(String, &'static str, u64)>,
    unsettled_files: BTreeSet<String>,
}

struct Row {
    /// `None`: the source of the run.
    source: Option<String>,
    target: String,
    place: Place,
    refusal: Refusal,
    raw: String,
}

impl Quarantine {
    /// Without a stager (a dry run) rows are counted and not kept.
    pub(crate) fn new(source: &str, run: SnapshotId, stager: Option<Stager>) -> Self {
        Self {
            source: source.to_owned(),
            run,
            stager,
            waiting: Vec::new(),
            waiting_bytes: 0,
            staging: VecDeque::new(),
            staged: Vec::new(),
            counts: Vec::new(),
            unsettled_files: BTreeSet::new(),
        }
    }

    /// Takes a row in.
    pub(crate) fn add(
        &mut self,
        target: &str,
        place: &Place,
        refusal: Refusal,
        raw: impl FnOnce() -> String,
    ) -> Result<(), IngestError> {
        self.put(None, target, place, refusal, raw)
    }

    /// Takes in a row that another run has brought, under the source of that run.
    pub(crate) fn add_for(
        &mut self,
        source: &str,
        target: &str,
        place: &Place,
        refusal: Refusal,
        raw: impl FnOnce() -> String,
    ) -> Result<(), IngestError> {
        self.put(Some(source.to_owned()), target, place, refusal, raw)
    }

    fn put(
        &mut self,
        source: Option<String>,
        target: &str,
        place: &Place,
        refusal: Refusal,
        raw: impl FnOnce() -> String,
    ) -> Result<(), IngestError> {
        match self.counts.iter_mut().find(|(table, code, _)| table == target && *code == refusal.code) {
            Some((.., count)) => *count += 1,
            None => self.counts.push((target.to_owned(), refusal.code, 1)),
        }
        if let Some(file) = place.file.as_ref().filter(|_| is_unsettled(refusal.code)) {
            self.unsettled_files.insert(file.clone());
        }
        if self.stager.is_some() {
            let raw = raw();
            self.waiting_bytes += raw.len() + refusal.reason.len();
            self.waiting.push(Row { source, target: target.to_owned(), place: place.clone(), refusal, raw });
        }
        let is_full = self.waiting.len() >= WAITING || self.waiting_bytes >= WAITING_BYTES;
        if is_full { self.flush() } else { Ok(()) }
    }

    /// How many rows of a target were put here with a code.
    pub(crate) fn count(&self, target: &str, is_code: impl Fn(&str) -> bool) -> u64 {
        self.counts.iter().filter(|(table, code, _)| table == target && is_code(code)).map(|(.., count)| count).sum()
    }

    /// The files with rows that would be taken if more were known of the persons or tags that they are about.
    pub(crate) fn unsettled_files(&self) -> &BTreeSet<String> {
        &self.unsettled_files
    }

    /// All counts by target and code.
    pub(crate) fn counts(&self) -> &[(String, &'static str, u64)] {
        &self.counts
    }

    /// Waits until few files are in the making; to be called now and then while rows come.
    pub(crate) async fn settle(&mut self) -> Result<(), IngestError> {
        self.settle_to(STAGING_AT_ONCE).await
    }

    async fn settle_to(&mut self, in_the_making: usize) -> Result<(), IngestError> {
        while self.staging.len() > in_the_making {
            let Some(oldest) = self.staging.pop_front() else { break };
            self.staged.push(oldest.join().await.map_err(IngestError::internal)??);
        }
        Ok(())
    }

    /// Stages what still waits and hands out every staged file.
    pub(crate) async fn finish(mut self) -> Result<Vec<Staged>, IngestError> {
        self.flush()?;
        self.settle_to(0).await?;
        Ok(self.staged)
    }

    fn flush(&mut self) -> Result<(), IngestError> {
        let Some(stager) = self.stager.as_ref().filter(|_| !self.waiting.is_empty()) else { return Ok(()) };
        let rows = &self.waiting;
        let texts =
            |pick: &dyn Fn(&Row) -> Option<String>| Arc::new(StringArray::from_iter(rows.iter().map(pick))) as ArrayRef;
        let columns: Vec<ArrayRef> = vec![
            texts(&|row| Some(row.source.as_ref().unwrap_or(&self.source).clone())),
            Arc::new(Int64Array::from_value(self.run.0, rows.len())),
            texts(&|row| Some(row.target.clone())),
            texts(&|row| row.place.file.clone()),
            Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.place.line))),
            texts(&|row| Some(row.refusal.code.to_owned())),
            texts(&|row| Some(row.refusal.reason.clone())),
            texts(&|row| Some(row.raw.clone())),
        ];
        let batch = RecordBatch::try_new(stager.schema().clone(), columns).map_err(IngestError::internal)?;
        let stager = stager.clone();
        self.staging.push_back(SpawnedTask::spawn(async move { stager.stage(None, [batch]).await }));
        self.waiting.clear();
        self.waiting_bytes = 0;
        Ok(())
    }
}

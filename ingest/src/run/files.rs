//! The raw files of a run: what each came to, and the records in them that could not be read.

use std::ops::ControlFlow;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::quarantine::{Place, Quarantine, Refusal};
use super::read_before::Skipped;
use crate::error::IngestError;
use crate::raw::{FileAccount, FileTally, RawError, Unparsable};

/// How many records that can't be read wait between a file and the quarantine.
const WAITING: usize = 64;

/// Raw files, each with the raw table that it belongs to. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawFiles(Vec<(String, Arc<FileAccount>)>);

impl RawFiles {
    /// Takes a file in.
    pub(crate) fn add(&mut self, table: &str, account: Arc<FileAccount>) {
        self.0.push((table.to_owned(), account));
    }

    /// The raw table of each file.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(table, _)| table.as_str())
    }

    /// The files of some raw tables.
    pub(crate) fn of(&self, is_meant: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(table, _)| is_meant(table)).cloned().collect())
    }

    /// The files but those that are skipped.
    pub(crate) fn without(&self, skipped: &Skipped) -> Self {
        Self(self.0.iter().filter(|(table, account)| !skipped.has(table, account.path())).cloned().collect())
    }

    /// What each file came to, in order. A file that no SELECT read to its end is read now, to be counted.
    pub(crate) async fn tallies(&self) -> Result<Vec<FileTally>, IngestError> {
        let files = self.clone();
        let count = move || files.0.iter().map(|(_, account)| account.tally()).collect::<Result<Vec<_>, RawError>>();
        Ok(tokio::task::spawn_blocking(count).await.map_err(IngestError::internal)??)
    }

    /// Puts every record that could not be read into quarantine, under the name of its raw table, and returns what each
    /// file came to. Files with such records are read once more, so that memory does not grow with their number.
    pub(crate) async fn settle(&self, quarantine: &mut Quarantine) -> Result<Vec<FileTally>, IngestError> {
        let tallies = self.tallies().await?;
        for ((table, account), tally) in self.0.iter().zip(&tallies).filter(|(_, tally)| tally.unparsable > 0) {
            let found = read_again(table, account, quarantine).await?;
            if found != tally.unparsable {
                let counted = tally.unparsable;
                let reason = format!("`{}` had {counted} unparsable rows, and then {found}", tally.path);
                return Err(IngestError::internal(reason));
            }
        }
        Ok(tallies)
    }
}

/// Moves the records of a file that can't be read into quarantine, and counts them.
async fn read_again(table: &str, account: &Arc<FileAccount>, quarantine: &mut Quarantine) -> Result<u64, IngestError> {
    let (sender, mut unparsable) = mpsc::channel::<Unparsable>(WAITING);
    let file = Arc::clone(account);
    let reading = tokio::task::spawn_blocking(move || {
        file.read_unparsable(&mut |row: Unparsable| match sender.blocking_send(row) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        })
    });
    let mut found = 0;
    while let Some(row) = unparsable.recv().await {
        found += 1;
        let place = Place { file: Some(account.path().to_owned()), line: i64::try_from(row.line).ok() };
        quarantine.add(table, &place, Refusal::new(row.code, row.reason), || row.raw)?;
    }
    reading.await.map_err(IngestError::internal)??;
    Ok(found)
}

//! Batches on their way to a sink. What can be told of one without regard to the others is found out beside the run, on
//! whatever core is free; the run itself takes them one after the other, in their order.

use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use futures::StreamExt;
use futures::stream::BoxStream;

use super::assignments::{AssignmentReader, ReadAssignments};
use super::conform::{Conformed, Conformer, RefusedRow};
use super::erased::ErasedPeople;
use super::event_reading::{EventReader, ReadEvent};
use crate::error::IngestError;

/// Batches that are prepared at once, or wait until it is their turn.
const AT_ONCE: usize = 4;

/// Prepares the batches of one target.
pub(super) struct Preparer {
    pub(super) conformer: Conformer,
    pub(super) erased: ErasedPeople,
    pub(super) reader: Reader,
}

/// What reads the rows that fit.
pub(super) enum Reader {
    /// Nobody: they wait until all are there.
    Whole,
    Assignments(AssignmentReader),
    Events(EventReader),
}

/// A batch that is ready to be taken.
pub(super) struct Prepared {
    /// The rows that the SELECT gave.
    pub(super) mapped: u64,
    pub(super) refused: Vec<RefusedRow>,
    pub(super) conformed: Conformed,
    pub(super) read: Read,
}

/// What was read of the rows that fit, as the [`Reader`] is.
pub(super) enum Read {
    Nothing,
    Assignments(ReadAssignments),
    Events(Vec<ReadEvent>),
}

impl Preparer {
    fn prepare(&self, batch: &RecordBatch) -> Result<Prepared, IngestError> {
        let (conformed, mut refused) = self.conformer.conform(batch)?;
        let conformed = self.erased.take_out(conformed, &mut refused)?;
        let read = match &self.reader {
            Reader::Whole => Read::Nothing,
            Reader::Assignments(reader) => Read::Assignments(reader.read(&conformed)),
            Reader::Events(reader) => Read::Events(reader.read(&conformed.rows)),
        };
        Ok(Prepared { mapped: batch.num_rows() as u64, refused, conformed, read })
    }
}

/// Prepares batch after batch, several at once, and keeps their order.
pub(super) fn prepare_each(
    batches: BoxStream<'_, Result<RecordBatch, IngestError>>,
    preparer: Preparer,
) -> BoxStream<'_, Result<Prepared, IngestError>> {
    let preparer = Arc::new(preparer);
    let prepared = batches.map(move |batch| {
        let preparer = Arc::clone(&preparer);
        async move {
            let batch = batch?;
            let preparing = tokio::task::spawn_blocking(move || preparer.prepare(&batch));
            preparing.await.map_err(IngestError::internal)?
        }
    });
    prepared.buffered(AT_ONCE).boxed()
}

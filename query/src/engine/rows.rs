//! Rows as they come: a stream that a computing thread fills and the caller empties.

mod in_turn;

use std::time::Duration;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinHandle;

use super::Engine;
use super::cancel::Guard;
use super::statement::Running;
use crate::error::QueryError;

/// Batches that wait between the computing thread and the caller.
const WAITING: usize = 4;

/// The rows of an answer, as they come. Dropping it stops the query.
#[derive(Debug)]
pub struct Rows {
    /// The columns.
    pub schema: SchemaRef,
    batches: Receiver<Result<RecordBatch, DataFusionError>>,
    /// The task that fills `batches`; `None` once it has come to its end.
    filling: Option<JoinHandle<()>>,
    guard: Guard,
    /// Its threads have to stay until the last row is read.
    engine: Engine,
    left: usize,
    is_truncated: bool,
}

impl Rows {
    pub(super) fn start(running: Running, guard: Guard, engine: &Engine) -> Result<Self, QueryError> {
        let (sender, batches) = channel(WAITING);
        let schema = running.schema();
        let filling = Some(engine.handle()?.spawn(running.hand_out(sender)));
        let left = engine.limits().max_rows.unwrap_or(usize::MAX);
        Ok(Self { schema, batches, filling, guard, engine: engine.clone(), left, is_truncated: false })
    }

    /// The next batch; `None` after the last one.
    ///
    /// Batches are never empty. Rows beyond the row limit are cut off, see [`Self::is_truncated`].
    pub async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        loop {
            // A little longer than the plan's own limit, so that a plan that stops itself says so first.
            let patience = self.guard.left() + Duration::from_millis(100);
            let batch = match tokio::time::timeout(patience, self.batches.recv()).await {
                Err(_) => return Some(Err(self.timeout())),
                Ok(None) => return self.end().await.err().map(Err),
                Ok(Some(Err(_))) if self.guard.is_over() => return Some(Err(self.timeout())),
                Ok(Some(Err(cause))) => return Some(Err(QueryError::from_engine(cause, self.engine.limits()))),
                Ok(Some(Ok(batch))) => batch,
            };
            if batch.num_rows() == 0 {
                continue;
            }
            if self.left == 0 {
                self.is_truncated = true;
                self.guard.stop();
                return None;
            }
            let taken = batch.num_rows().min(self.left);
            self.is_truncated |= taken < batch.num_rows();
            self.left -= taken;
            return Some(Ok(batch.slice(0, taken)));
        }
    }

    /// All batches at once; for answers known to be small.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>, QueryError> {
        let mut all = Vec::new();
        while let Some(batch) = self.next().await {
            all.push(batch?);
        }
        Ok(all)
    }

    /// Whether rows beyond the row limit were cut off. Known once `next` has returned `None`.
    pub fn is_truncated(&self) -> bool {
        self.is_truncated
    }

    /// Makes sure that the rows have ended because there are no more, and not because the task that fills them broke off.
    async fn end(&mut self) -> Result<(), QueryError> {
        let Some(filling) = &mut self.filling else { return Ok(()) };
        let ended = filling.await;
        self.filling = None;
        ended.map_err(QueryError::from_task)
    }

    fn timeout(&self) -> QueryError {
        self.guard.stop();
        QueryError::Timeout { seconds: self.engine.limits().timeout.as_secs() }
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.guard.stop();
    }
}

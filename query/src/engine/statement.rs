//! One statement on the computing threads: planned, run, and run a second time where its joins were too large for memory.

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNode;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use futures::StreamExt;
use tokio::sync::mpsc::Sender;

use super::cancel::{Guard, lace};

/// Partitions of a second attempt. Each sorts by itself and needs memory to do so, and one alone would be given no join
/// that sorts.
const SORTING_PARTITIONS: usize = 2;

/// What each sort of a second attempt keeps free for merging, bytes. The engine's own 10 MB is more than a small memory
/// limit has for all of them.
const SORT_RESERVE_BYTES: usize = 1 << 20;

/// A statement that is to be run.
pub(super) struct Statement {
    pub(super) state: SessionState,
    pub(super) plan: LogicalPlan,
    pub(super) guard: Guard,
}

/// A statement that runs.
pub(super) struct Running {
    statement: Statement,
    attempt: Attempt,
}

/// One attempt at a statement.
struct Attempt {
    stream: SendableRecordBatchStream,
    guard: Guard,
    /// Whether a hash join is among what finds the rows.
    joins_by_hash: bool,
}

impl Statement {
    /// Begins to run it.
    pub(super) async fn start(self) -> EngineResult<Running> {
        let attempt = self.attempt().await?;
        Ok(Running { statement: self, attempt })
    }

    async fn attempt(&self) -> EngineResult<Attempt> {
        let guard = self.guard.for_attempt();
        let plan = self.state.create_physical_plan(&self.plan).await?;
        let joins_by_hash = plan.exists(|node| Ok(node.name() == "HashJoinExec"))?;
        let stream = execute_stream(lace(plan, &guard)?, self.state.task_ctx())?;
        Ok(Attempt { stream, guard, joins_by_hash })
    }

    /// The same statement with joins that sort. A sort spills to disk where a hash join fails.
    fn sorting(mut self) -> Self {
        let options = self.state.config_mut().options_mut();
        options.optimizer.prefer_hash_join = false;
        options.execution.target_partitions = SORTING_PARTITIONS;
        options.execution.sort_spill_reservation_bytes = SORT_RESERVE_BYTES;
        self
    }
}

impl Running {
    /// The columns of its rows.
    pub(super) fn schema(&self) -> SchemaRef {
        self.attempt.stream.schema()
    }

    /// Hands the rows out until they end or fail, or nobody wants more of them.
    ///
    /// Where a hash join is too large for memory before there was a first row, the statement is run once more without.
    pub(super) async fn hand_out(self, batches: Sender<EngineResult<RecordBatch>>) {
        let Self { statement, attempt } = self;
        let Attempt { mut stream, guard, joins_by_hash } = attempt;
        let mut next = stream.next().await;
        if joins_by_hash && next.as_ref().is_some_and(is_out_of_memory) {
            drop(stream);
            guard.attempt_is_gone().await;
            match statement.sorting().attempt().await {
                Ok(again) => stream = again.stream,
                Err(cause) => {
                    // Nobody to tell is no failure.
                    let _ = batches.send(Err(cause)).await;
                    return;
                }
            }
            next = stream.next().await;
        }
        while let Some(batch) = next {
            let is_last = batch.is_err();
            if batches.send(batch).await.is_err() || is_last {
                break;
            }
            next = stream.next().await;
        }
    }
}

fn is_out_of_memory(batch: &EngineResult<RecordBatch>) -> bool {
    batch.as_ref().is_err_and(|cause| matches!(cause.find_root(), DataFusionError::ResourcesExhausted(_)))
}

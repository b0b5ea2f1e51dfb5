//! Several statements as one answer: each is begun when the one before has ended, so that there is memory in use for one
//! of them at a time.

use std::time::Instant;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::Result as EngineResult;
use datafusion::execution::context::{SessionContext, SessionState};
use datafusion::logical_expr::LogicalPlan;
use tokio::sync::mpsc::{Sender, channel};

use super::{Rows, WAITING};
use crate::engine::Engine;
use crate::engine::cancel::Guard;
use crate::engine::statement::{Running, Statement};
use crate::error::QueryError;

impl Engine {
    /// Runs plans that have the same columns one after the other within the limits, until a deadline at most, and hands
    /// out their rows as they come, no more than `limit`.
    pub(crate) async fn run_in_turn(
        &self,
        session: &SessionContext,
        plans: Vec<LogicalPlan>,
        limit: Option<usize>,
        until: Instant,
    ) -> Result<Rows, QueryError> {
        let guard = Guard::new(until);
        let mut turns = Turns {
            state: on_one_thread(session.state()),
            guard: guard.clone(),
            waiting: plans.into_iter(),
            left: limit.unwrap_or(usize::MAX),
        };
        let Some(first) = turns.next() else {
            return Err(QueryError::Internal { reason: "there is no statement to run".to_owned() });
        };
        let running = self.begin(first).await?;
        let (sender, batches) = channel(WAITING);
        let schema = running.schema();
        let filling = Some(self.handle()?.spawn(turns.hand_out(running, sender)));
        let left = self.limits().max_rows.unwrap_or(usize::MAX);
        Ok(Rows { schema, batches, filling, guard, engine: self.clone(), left, is_truncated: false })
    }
}

/// Each statement is small, and what it needs should not grow with the machine's cores.
fn on_one_thread(mut state: SessionState) -> SessionState {
    state.config_mut().options_mut().execution.target_partitions = 1;
    state
}

/// Statements that wait for their turn.
struct Turns {
    state: SessionState,
    guard: Guard,
    waiting: std::vec::IntoIter<LogicalPlan>,
    /// Rows that may still be handed out.
    left: usize,
}

impl Turns {
    fn next(&mut self) -> Option<Statement> {
        let plan = self.waiting.next()?;
        Some(Statement { state: self.state.clone(), plan, guard: self.guard.clone() })
    }

    /// Hands out the rows of the statement that runs and of those that wait, until they end or fail, or nobody wants more
    /// of them.
    async fn hand_out(mut self, first: Running, batches: Sender<EngineResult<RecordBatch>>) {
        let mut running = first;
        while hand_on(running, &batches, &mut self.left).await {
            let Some(statement) = self.next() else { return };
            running = match statement.start().await {
                Ok(running) => running,
                Err(cause) => {
                    // Nobody to tell is no failure.
                    let _ = batches.send(Err(cause)).await;
                    return;
                }
            };
        }
    }
}

/// Hands on the rows of one statement; `false` where none are to come after them.
async fn hand_on(running: Running, batches: &Sender<EngineResult<RecordBatch>>, left: &mut usize) -> bool {
    let (own, mut found) = channel::<EngineResult<RecordBatch>>(WAITING);
    let passing = async move {
        while let Some(batch) = found.recv().await {
            let batch = batch.map(|batch| batch.slice(0, batch.num_rows().min(*left)));
            let is_last = match &batch {
                Ok(batch) => {
                    *left -= batch.num_rows();
                    *left == 0
                }
                Err(_) => true,
            };
            if batches.send(batch).await.is_err() || is_last {
                return false;
            }
        }
        true
    };
    let ((), goes_on) = tokio::join!(running.hand_out(own), passing);
    goes_on
}

//! Points in a plan where it can be stopped.
//!
//! Dropping a stream stops a plan only between two polls, and one poll of a join or an aggregate may take minutes. A
//! [`CancelExec`] above every operator asks after each batch whether the query's time is up.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions};
use futures::{Stream, StreamExt};

/// How long an attempt that was given up is waited for at most, and how often it is looked after.
const PATIENCE: Duration = Duration::from_secs(5);
const GLANCE: Duration = Duration::from_millis(5);

/// One query's stop sign: set by hand, or by its time being up.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    is_stopped: Arc<AtomicBool>,
    until: Instant,
    /// Counts the clones of one attempt.
    attempt: Arc<()>,
}

impl Guard {
    pub(super) fn new(until: Instant) -> Self {
        Self { is_stopped: Arc::default(), until, attempt: Arc::default() }
    }

    /// The same sign for one attempt at the query.
    pub(super) fn for_attempt(&self) -> Self {
        Self { attempt: Arc::default(), ..self.clone() }
    }

    /// Waits until nothing is left of an attempt that was laced with this sign, and all its memory is given back. What is
    /// dropped goes only when the step that it computes has ended.
    pub(super) async fn attempt_is_gone(&self) {
        let begun = Instant::now();
        while Arc::strong_count(&self.attempt) > 1 && !self.is_over() && begun.elapsed() < PATIENCE {
            tokio::time::sleep(GLANCE).await;
        }
    }

    pub(super) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    /// How long is left.
    pub(super) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed) || self.left().is_zero()
    }
}

/// Puts a stop point above every operator.
pub(super) fn lace(plan: Arc<dyn ExecutionPlan>, guard: &Guard) -> EngineResult<Arc<dyn ExecutionPlan>> {
    let laced = plan.transform_up(|node| {
        Ok(Transformed::yes(Arc::new(CancelExec { input: node, guard: guard.clone() }) as Arc<dyn ExecutionPlan>))
    })?;
    Ok(laced.data)
}

/// Passes its input through and ends it with an error once the guard is over.
#[derive(Debug)]
struct CancelExec {
    input: Arc<dyn ExecutionPlan>,
    guard: Guard,
}

impl DisplayAs for CancelExec {
    fn fmt_as(&self, _form: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CancelExec")
    }
}

impl ExecutionPlan for CancelExec {
    fn name(&self) -> &str {
        "CancelExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> EngineResult<TreeNodeRecursion>,
    ) -> EngineResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let Some(input) = children.pop() else {
            return Err(DataFusionError::Internal("a stop point needs one input".to_owned()));
        };
        Ok(Arc::new(Self { input, guard: self.guard.clone() }))
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let Some(input) = children.pop() else {
            return Err(DataFusionError::Internal("a stop point needs one input".to_owned()));
        };
        Ok(Arc::new(Self { input, guard: self.guard.clone() }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> EngineResult<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        Ok(Box::pin(CancelStream { input, guard: self.guard.clone() }))
    }
}

struct CancelStream {
    input: SendableRecordBatchStream,
    guard: Guard,
}

impl Stream for CancelStream {
    type Item = EngineResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.guard.is_over() {
            return Poll::Ready(Some(Err(DataFusionError::Execution(STOPPED.to_owned()))));
        }
        self.input.poll_next_unpin(context)
    }
}

impl RecordBatchStream for CancelStream {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}

/// What a stopped plan says of itself; the caller sees a timeout instead.
const STOPPED: &str = "stopped: the query's time is up";

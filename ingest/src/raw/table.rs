//! Raw files as a DataFusion table: projection down to the reader, one stream per file or one for all, back-pressure.
//!
//! A scan's plan is DataFusion's own `StreamingTableExec`. Each of its partitions reads on a blocking thread and sends
//! its batches through a channel that holds two of them; when the query drops the stream, the next send fails and the
//! thread ends.

use std::fmt;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};

use super::account::FileAccount;
use super::columns::{Output, own_columns};
use super::error::RawError;

/// The most files that are read at the same time; each holds a thread and a few batches.
const MAX_PARTITIONS: usize = 16;
/// How many batches wait between a reader and the query.
const CHANNEL_BATCHES: usize = 2;

/// What a scan calls with each batch; it breaks when nobody listens any more.
pub(super) type Emit<'a> = dyn FnMut(RecordBatch) -> ControlFlow<()> + 'a;

/// What a format makes of the files of one table.
pub(super) struct TableParts {
    /// The columns of the files, without ours.
    pub(super) columns: Vec<Field>,
    /// The files, in the order of their paths.
    pub(super) files: Vec<Arc<dyn RawFile>>,
}

/// A file that can be scanned any number of times.
pub(super) trait RawFile: Send + Sync {
    /// The account that the first complete scan fills.
    fn account(&self) -> &Arc<FileAccount>;

    /// Returns a scan of the file, as one part or as several that may run side by side, in the order of the file.
    fn scans(self: Arc<Self>, outputs: &[Output], schema: &SchemaRef) -> Vec<Arc<dyn FileScan>>;
}

/// A scan of a file or of a part of it.
pub(super) trait FileScan: Send + Sync {
    /// Reads to the end or until `emit` breaks; blocks. Settles the account before it returns from a complete scan.
    fn run(&self, emit: &mut Emit<'_>) -> Result<ControlFlow<()>, RawError>;
}

/// The table of [`raw_table`](super::raw_table).
pub(super) struct RawProvider {
    schema: SchemaRef,
    /// For each column of `schema`, what it is made from.
    outputs: Vec<Output>,
    files: Vec<Arc<dyn RawFile>>,
}

impl RawProvider {
    pub(super) fn new(parts: TableParts) -> Self {
        let columns = parts.columns.into_iter().enumerate().map(|(index, field)| (field, Output::Column(index)));
        let (fields, outputs): (Vec<Field>, Vec<Output>) = columns.chain(own_columns()).unzip();
        Self { schema: Arc::new(Schema::new(fields)), outputs, files: parts.files }
    }

    /// Returns the table of only those files whose index `is_meant` accepts.
    pub(super) fn only(&self, is_meant: impl Fn(usize) -> bool) -> Self {
        let files = self.files.iter().enumerate().filter(|(index, _)| is_meant(*index));
        let files = files.map(|(_, file)| Arc::clone(file)).collect();
        Self { schema: Arc::clone(&self.schema), outputs: self.outputs.clone(), files }
    }

    /// Plans a scan with at most `most_partitions`; a single one keeps the rows in the order of the files.
    fn plan(
        &self,
        most_partitions: usize,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let indices = projection.cloned().unwrap_or_else(|| (0..self.outputs.len()).collect());
        let schema: SchemaRef = Arc::new(self.schema.project(&indices)?);
        let outputs: Vec<Output> = indices.iter().map(|index| self.outputs[*index]).collect();
        let scans: Vec<Arc<dyn FileScan>> =
            self.files.iter().flat_map(|file| Arc::clone(file).scans(&outputs, &schema)).collect();
        let scans_each = scans.len().div_ceil(most_partitions).max(1);
        let partition = |scans: &[Arc<dyn FileScan>]| -> Arc<dyn PartitionStream> {
            Arc::new(RawPartition { schema: Arc::clone(&schema), scans: scans.to_vec() })
        };
        let mut partitions: Vec<Arc<dyn PartitionStream>> = scans.chunks(scans_each).map(partition).collect();
        if partitions.is_empty() {
            partitions.push(partition(&[]));
        }
        let plan = StreamingTableExec::try_new(schema, partitions, None, std::iter::empty(), false, limit)?;
        Ok(Arc::new(plan))
    }
}

impl TableProvider for RawProvider {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    // What `async fn` would expand to. Nothing here waits, and a future that captures `Expr` is slow to compile.
    fn scan<'life0, 'life1, 'life2, 'life3, 'async_trait>(
        &'life0 self,
        state: &'life1 dyn Session,
        projection: Option<&'life2 Vec<usize>>,
        _filters: &'life3 [Expr],
        limit: Option<usize>,
    ) -> Pin<Box<dyn Future<Output = Result<Arc<dyn ExecutionPlan>>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        'life3: 'async_trait,
        Self: 'async_trait,
    {
        // Who asks for one partition wants the rows in order, not only in one stream.
        let most_partitions = if state.config().target_partitions() == 1 { 1 } else { MAX_PARTITIONS };
        Box::pin(std::future::ready(self.plan(most_partitions, projection, limit)))
    }
}

impl fmt::Debug for RawProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: Vec<&str> = self.files.iter().map(|file| file.account().path()).collect();
        f.debug_struct("RawProvider").field("files", &files).finish_non_exhaustive()
    }
}

/// One stream of a scan: some scans, one after the other.
struct RawPartition {
    schema: SchemaRef,
    scans: Vec<Arc<dyn FileScan>>,
}

impl PartitionStream for RawPartition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _ctx: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut stream = RecordBatchReceiverStreamBuilder::new(Arc::clone(&self.schema), CHANNEL_BATCHES);
        let sender = stream.tx();
        let scans = self.scans.clone();
        stream.spawn_blocking(move || {
            let mut emit = |batch: RecordBatch| match sender.blocking_send(Ok(batch)) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            };
            for scan in &scans {
                if scan.run(&mut emit).map_err(DataFusionError::from)?.is_break() {
                    break;
                }
            }
            Ok(())
        });
        stream.build()
    }
}

impl fmt::Debug for RawPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawPartition").field("scans", &self.scans.len()).finish_non_exhaustive()
    }
}

//! Merging: the rows of some files, sorted by customer, as one staged file.
//!
//! Rows stream through: what is sorted beyond a limit of memory waits in the temporary folder, and what is sorted goes on
//! to whoever encodes it while the rest is being merged.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::ident;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt;
use tokio::sync::mpsc;

use super::candidates::Group;
use crate::delta::TableVersion;
use crate::error::StoreError;
use crate::location::Location;
use crate::provider::WarehouseTable;
use crate::publish::{Staged, Stager};

/// Memory for the rows that are being sorted.
const MEMORY_BYTES: usize = 1 << 30;
/// Batches that may wait for whoever encodes them.
const WAITING_BATCHES: usize = 4;

/// What the rows of a table are sorted by; nothing where they are of no customer.
///
/// No two rows of a sound table are equal in all of these, so that nothing hangs on which of two equal ones comes first:
/// of one assignment a snapshot writes one step at most.
fn order_of(table: &str) -> &'static [&'static str] {
    match table {
        "customer" => &["customer_no"],
        "follow" => &["customer_no", "follow_no"],
        "assignment_log" => &["customer_no", "follow_no", "tag_id", "source", "snapshot_id"],
        "event" => &["customer_no", "occurred_at", "source", "event_id"],
        "id_map" => &["customer_no", "platform", "platform_id", "source"],
        "group_member" => &["customer_no", "chat_id", "source"],
        _ => &[],
    }
}

/// Stages one file with the rows of a group of files.
///
/// # Errors
/// `StoreError::Merge` where the files cannot be read or sorted, `StoreError::Damaged` where they do not hold as many rows
/// as their table's log says; what staging failed with. A file that was staged by then belongs to no version.
pub(super) async fn merge(
    location: &Location,
    stager: &Stager,
    version: &TableVersion,
    group: &Group,
) -> Result<Staged, StoreError> {
    let failed = |cause| merge_error(&version.table, cause);
    let mut part = version.clone();
    part.files = group.files.clone();
    let rows = sorted(WarehouseTable::new(location, &part)?, &part.table).await.map_err(failed)?;
    let (sender, waiting) = mpsc::channel(WAITING_BATCHES);
    // On another thread than the one that waits here, because sorting keeps a thread for long.
    let reading = tokio::spawn(hand_on(rows, stager.schema().clone(), sender));
    let staged = stager.stage(group.bucket, received(waiting)).await?;
    let read = reading.await.map_err(|cause| failed(DataFusionError::External(Box::new(cause))))?;
    read.map_err(failed)?;
    if staged.rows() != group.rows() {
        let reason = format!("{} rows were read from files that should hold {}", staged.rows(), group.rows());
        return Err(StoreError::Damaged { what: location.table_folder(&part.table), reason });
    }
    Ok(staged)
}

/// The rows of a table in its order; in the order of its files where it has none.
async fn sorted(table: WarehouseTable, name: &str) -> Result<SendableRecordBatchStream, DataFusionError> {
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(FairSpillPool::new(MEMORY_BYTES))).build_arc()?;
    let config = SessionConfig::new()
        // One file after the other.
        .with_target_partitions(1)
        .set_bool("datafusion.execution.parquet.schema_force_view_types", false);
    let frame = SessionContext::new_with_config_rt(config, runtime).read_table(Arc::new(table))?;
    let order: Vec<_> = order_of(name).iter().map(|column| ident(*column).sort(true, true)).collect();
    let frame = if order.is_empty() { frame } else { frame.sort(order)? };
    frame.execute_stream().await
}

/// Hands rows on in the columns that are written, with what is said of each; ends when nobody takes them any more.
async fn hand_on(
    mut rows: SendableRecordBatchStream,
    schema: SchemaRef,
    sender: mpsc::Sender<RecordBatch>,
) -> Result<(), DataFusionError> {
    while let Some(batch) = rows.next().await {
        let batch = RecordBatch::try_new(schema.clone(), batch?.columns().to_vec())?;
        if sender.send(batch).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// What comes, for a thread that may wait for it.
fn received(mut waiting: mpsc::Receiver<RecordBatch>) -> impl Iterator<Item = RecordBatch> + Send + 'static {
    std::iter::from_fn(move || waiting.blocking_recv())
}

fn merge_error(table: &str, cause: DataFusionError) -> StoreError {
    StoreError::Merge { table: table.to_owned(), source: Box::new(cause) }
}

#[cfg(test)]
mod tests {
    use tagmill_schemas::tables::TABLES;

    use super::*;

    #[test]
    fn whatever_is_of_a_customer_is_sorted_by_customer_first() {
        for table in TABLES {
            let order = order_of(table.name);
            let first = table.column("customer_no").map(|column| column.name);
            assert_eq!(order.first().copied(), first, "{}", table.name);
            assert!(order.iter().all(|name| table.column(name).is_some()), "{}: {order:?}", table.name);
        }
    }
}

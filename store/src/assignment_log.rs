//! Rows of the assignment log: the one place that knows its columns.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use tagmill_schemas::ids::{CustomerNo, FollowNo, SnapshotId};

use crate::error::StoreError;

/// What happened to an assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogOp {
    /// It began.
    Open,
    /// It was given again while it was held.
    Renew,
    /// It ended.
    Close,
}

impl LogOp {
    /// The word in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Renew => "renew",
            Self::Close => "close",
        }
    }
}

/// One row of the log. Instants are microseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy)]
pub struct LogRow<'a> {
    /// The customer.
    pub customer_no: CustomerNo,
    /// The follow; `None` for a customer-level assignment.
    pub follow_no: Option<FollowNo>,
    /// The tag.
    pub tag_id: &'a str,
    /// What happened.
    pub op: LogOp,
    /// Why: `listed`, `unlisted`, or the plan that changed it.
    pub cause: &'a str,
    /// When the tag was given, where that is known.
    pub assigned_at: Option<i64>,
    /// It happened at this instant or later.
    pub seen_after: Option<i64>,
    /// It had happened by this instant.
    pub seen_by: i64,
}

/// Rows of one source and snapshot as a batch of the `assignment_log` contract, in the order given.
///
/// # Errors
/// `StoreError::Contract` where `schema` is not that of the log.
pub fn log_batch<'a>(
    schema: &SchemaRef,
    source: &str,
    snapshot_id: SnapshotId,
    rows: &[LogRow<'a>],
) -> Result<RecordBatch, StoreError> {
    let texts = |pick: &dyn Fn(&LogRow<'a>) -> &'a str| {
        Arc::new(StringArray::from_iter_values(rows.iter().map(pick))) as ArrayRef
    };
    let instants = |pick: &dyn Fn(&LogRow<'a>) -> Option<i64>| {
        Arc::new(TimestampMicrosecondArray::from_iter(rows.iter().map(pick)).with_timezone("UTC")) as ArrayRef
    };
    let sources: ArrayRef = Arc::new(StringArray::from_iter_values(std::iter::repeat_n(source, rows.len())));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| i64::from(row.customer_no.0)))),
        Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.follow_no.map(|no| i64::from(no.0))))),
        texts(&|row| row.tag_id),
        texts(&|row| row.op.as_str()),
        texts(&|row| row.cause),
        sources,
        instants(&|row| row.assigned_at),
        instants(&|row| row.seen_after),
        instants(&|row| Some(row.seen_by)),
        Arc::new(Int64Array::from_value(snapshot_id.0, rows.len())),
    ];
    RecordBatch::try_new(schema.clone(), columns)
        .map_err(|cause| StoreError::Contract { table: "assignment_log".to_owned(), reason: cause.to_string() })
}

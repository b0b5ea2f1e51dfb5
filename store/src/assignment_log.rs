//! Rows of the assignment log: the one place that knows its columns.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray, new_null_array};
use datafusion::arrow::datatypes::{FieldRef, SchemaRef};
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
    let numbers = |array: Int64Array| Arc::new(array) as ArrayRef;
    let customers = rows.iter().map(|row| i64::from(row.customer_no.0));
    let follows = rows.iter().map(|row| row.follow_no.map(|no| i64::from(no.0)));
    let known: [(&str, ArrayRef); 10] = [
        ("customer_no", numbers(Int64Array::from_iter_values(customers))),
        ("follow_no", numbers(Int64Array::from_iter(follows))),
        ("tag_id", texts(&|row| row.tag_id)),
        ("op", texts(&|row| row.op.as_str())),
        ("cause", texts(&|row| row.cause)),
        ("source", sources),
        ("assigned_at", instants(&|row| row.assigned_at)),
        ("seen_after", instants(&|row| row.seen_after)),
        ("seen_by", instants(&|row| Some(row.seen_by))),
        ("snapshot_id", numbers(Int64Array::from_value(snapshot_id.0, rows.len()))),
    ];
    // By name, because a warehouse keeps the columns it was made with; what no row tells is NULL.
    let column = |field: &FieldRef| {
        let told = known.iter().find(|(name, _)| name == field.name()).map(|(_, array)| array.clone());
        told.unwrap_or_else(|| new_null_array(field.data_type(), rows.len()))
    };
    let columns: Vec<ArrayRef> = schema.fields().iter().map(column).collect();
    RecordBatch::try_new(schema.clone(), columns)
        .map_err(|cause| StoreError::Contract { table: "assignment_log".to_owned(), reason: cause.to_string() })
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Array, AsArray};
    use datafusion::arrow::datatypes::{Schema, TimestampMicrosecondType};
    use tagmill_schemas::tables::contract;

    use super::*;
    use crate::arrow_types::arrow_schema;

    fn batch(schema: &SchemaRef) -> RecordBatch {
        let row = LogRow {
            customer_no: CustomerNo(7),
            follow_no: None,
            tag_id: "t1",
            op: LogOp::Close,
            cause: "unlisted",
            assigned_at: Some(1),
            seen_after: Some(2),
            seen_by: 3,
        };
        log_batch(schema, "wecom", SnapshotId(5), &[row]).expect("a batch")
    }

    #[test]
    fn every_value_of_a_row_stands_in_the_column_of_its_name_and_upstream_since_is_missing() {
        let schema = arrow_schema(contract("assignment_log").expect("a contract"), &[]);
        let batch = batch(&schema);
        let text = |name: &str| batch.column_by_name(name).expect(name).as_string::<i32>().value(0).to_owned();
        let instant = |name: &str| {
            let array = batch.column_by_name(name).expect(name).as_primitive::<TimestampMicrosecondType>();
            (!array.is_null(0)).then(|| array.value(0))
        };
        assert_eq!(["tag_id", "op", "cause", "source"].map(text), ["t1", "close", "unlisted", "wecom"]);
        let instants = ["assigned_at", "seen_after", "seen_by", "upstream_since"].map(instant);
        assert_eq!(instants, [Some(1), Some(2), Some(3), None]);
    }

    #[test]
    fn a_log_made_before_a_column_was_declared_is_written_without_it() {
        let schema = arrow_schema(contract("assignment_log").expect("a contract"), &[]);
        let fields = schema.fields().iter().filter(|field| field.name() != "upstream_since").cloned();
        let older: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        assert_eq!(batch(&older).num_columns(), schema.fields().len() - 1);
    }
}

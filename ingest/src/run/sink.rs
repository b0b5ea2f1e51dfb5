//! Where the conformed rows of one target go: most tables are taken in whole, the two large ones as they come.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;

use super::assignments::AssignmentSink;
use super::conform::Conformed;
use super::context::{RunContext, Target};
use super::events::EventSink;
use super::keys::text_at;
use super::merge::concat;
use super::prepare::{Read, Reader};
use super::{customers, dated, follows, listed, tags};
use crate::error::IngestError;

/// Takes the rows of one target, batch by batch.
pub(super) enum Sink {
    /// Events are sorted and staged in bounded memory.
    Events(Box<EventSink>),
    /// Assignments are kept as numbers and compared with the log at the end.
    Assignments(Box<AssignmentSink>),
    /// The rows of every other table wait until all are there.
    Whole(Vec<Conformed>),
}

impl Sink {
    /// The sink for the rows of a target.
    pub(super) async fn open(context: &RunContext<'_>, target: &Target<'_>) -> Result<Self, IngestError> {
        Ok(match target.select.table.as_str() {
            "event" => Self::Events(Box::new(EventSink::open(context, target).await?)),
            "assignment" => Self::Assignments(Box::new(AssignmentSink::open(context).await?)),
            _ => Self::Whole(Vec::new()),
        })
    }

    /// What reads the rows ahead.
    pub(super) fn reader(&self, context: &RunContext<'_>, target: &Target<'_>) -> Reader {
        match self {
            Self::Events(sink) => Reader::Events(sink.reader(context, target)),
            Self::Assignments(_) => Reader::Assignments(AssignmentSink::reader(context)),
            Self::Whole(_) => Reader::Whole,
        }
    }

    /// Takes conformed rows in, with what the sink's [`reader`](Self::reader) has read of them.
    pub(super) async fn take(
        &mut self,
        context: &mut RunContext<'_>,
        conformed: Conformed,
        read: Read,
        target: &mut Target<'_>,
    ) -> Result<(), IngestError> {
        match (self, read) {
            (Self::Events(sink), Read::Events(read)) => sink.take(context, &conformed.rows, read).await,
            (Self::Assignments(sink), Read::Assignments(read)) => sink.take(context, &conformed, &read, target),
            (Self::Whole(kept), Read::Nothing) => {
                target.unreadable += without_key(&target.select.table, &conformed.refused);
                kept.push(conformed);
                Ok(())
            }
            _ => Err(IngestError::internal("rows were read for another table than they are for")),
        }
    }

    /// Applies what was taken and stages what it changes.
    pub(super) async fn finish(self, context: &mut RunContext<'_>, target: &mut Target<'_>) -> Result<(), IngestError> {
        match self {
            Self::Events(sink) => sink.finish(context, target).await,
            Self::Assignments(sink) => sink.finish(context, target).await,
            Self::Whole(kept) => apply(context, kept, target).await,
        }
    }
}

/// How many rows do not say what they are about.
fn without_key(table: &str, rows: &RecordBatch) -> u64 {
    // One of these sets of columns is enough.
    let keys: &[&[&str]] = match table {
        "tag_group" => &[&["upstream_id"], &["group_name"]],
        "tag" => &[&["tag_id"], &["group_name", "tag_name"]],
        "customer" => &[&["customer_id"]],
        "follow" => &[&["staff_id", "customer_id"]],
        "staff" => &[&["staff_id"]],
        "department" => &[&["department_id"]],
        "id_map" => &[&["platform", "platform_id"]],
        "group_chat" => &[&["chat_id"]],
        "group_member" => &[&["chat_id", "customer_id"]],
        _ => &[],
    };
    let is_told = |column: &str, row: usize| text_at(rows, column, row).is_some_and(|text| !text.is_empty());
    let has_key = |row: &usize| keys.iter().any(|key| key.iter().all(|column| is_told(column, *row)));
    (0..rows.num_rows()).filter(|row| !has_key(row)).count() as u64
}

/// Applies the rows of a table that is taken in whole.
async fn apply(context: &mut RunContext<'_>, kept: Vec<Conformed>, target: &mut Target<'_>) -> Result<(), IngestError> {
    let fields: Vec<Field> =
        target.columns.iter().map(|column| Field::new(&column.name, column.ty.clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let (rows, refused): (Vec<RecordBatch>, Vec<RecordBatch>) =
        kept.into_iter().map(|conformed| (conformed.rows, conformed.refused)).unzip();
    let listing = Conformed { rows: concat(&schema, &rows)?, refused: concat(&schema, &refused)? };
    drop((rows, refused));
    match target.select.table.as_str() {
        "customer" => customers::apply(context, &listing.rows, target).await,
        "follow" => follows::apply(context, &listing, target).await,
        "tag_group" => tags::apply_groups(context, &listing, target).await,
        "tag" => tags::apply(context, &listing, target).await,
        "department" | "staff" => dated::apply(context, &listing, target).await,
        _ => listed::apply(context, &listing, target).await,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, StringArray};

    use super::*;

    fn check(table: &str, columns: &[(&str, Option<&str>)], expected: u64) {
        let arrays = columns.iter().map(|(name, value)| {
            let array: ArrayRef = Arc::new(StringArray::from(vec![*value]));
            (*name, array, true)
        });
        let rows = RecordBatch::try_from_iter_with_nullable(arrays).expect("a batch");
        assert_eq!(without_key(table, &rows), expected, "{table} {columns:?}");
    }

    #[test]
    fn a_row_has_its_key_where_one_set_of_columns_is_told() {
        check("tag", &[("tag_id", Some("t1")), ("group_name", None), ("tag_name", None)], 0);
        check("tag", &[("tag_id", None), ("group_name", Some("A")), ("tag_name", Some("B"))], 0);
        check("tag", &[("tag_id", None), ("group_name", Some("A")), ("tag_name", None)], 1);
        check("follow", &[("staff_id", Some("li")), ("customer_id", Some("c1"))], 0);
        check("follow", &[("staff_id", Some("")), ("customer_id", Some("c1"))], 1);
    }
}

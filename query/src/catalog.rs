//! What a segment document is checked against, read from the snapshot.

use chrono::DateTime;
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, SchemaRef, TimestampMicrosecondType};
use tagmill_schemas::ids::{StaffId, TagId};
use tagmill_schemas::segment::check::{Catalog, CatalogTag};
use tagmill_schemas::tables::ColumnType;
use tagmill_store::column_type;

use crate::error::QueryError;
use crate::view::{Access, View};

/// Loads the catalogue of a view's snapshot.
pub(crate) async fn load(view: &View) -> Result<Catalog, QueryError> {
    let mut tags = Vec::new();
    for batch in view.rows("SELECT tag_id, group_name, tag_name, valid_to FROM tag ORDER BY tag_id").await? {
        for row in 0..batch.num_rows() {
            let ended = batch.column(3).as_primitive::<TimestampMicrosecondType>();
            tags.push(CatalogTag {
                tag_id: TagId(text(&batch, 0, row)),
                group_name: text(&batch, 1, row),
                tag_name: text(&batch, 2, row),
                valid_to: (!ended.is_null(row)).then(|| DateTime::from_timestamp_micros(ended.value(row))).flatten(),
            });
        }
    }
    let staff = texts(view, "SELECT DISTINCT staff_id FROM (SELECT staff_id FROM staff UNION ALL SELECT staff_id FROM follow) AS known ORDER BY staff_id")
        .await?;
    let states = view.ledger_row().sources.values();
    let mut event_types: Vec<String> = states.flat_map(|state| state.event_types.keys().cloned()).collect();
    event_types.sort();
    event_types.dedup();
    Ok(Catalog {
        columns: columns(view.snapshot().schema("customer")),
        event_columns: columns(view.snapshot().schema("event")),
        event_types,
        tags,
        staff: staff.into_iter().map(StaffId).collect(),
        masked_columns: match view.access() {
            Access::Full => Vec::new(),
            Access::Masked => {
                ["customer", "event"].into_iter().flat_map(|table| private_columns(view, table)).collect()
            }
        },
    })
}

fn private_columns(view: &View, table: &str) -> Vec<String> {
    let schema = view.snapshot().schema(table);
    let fields = schema.iter().flat_map(|schema| schema.fields().iter());
    fields.map(|field| field.name().clone()).filter(|column| view.is_private(table, column)).collect()
}

fn columns(schema: Option<SchemaRef>) -> Vec<(String, ColumnType)> {
    let fields = schema.iter().flat_map(|schema| schema.fields().iter()).cloned().collect::<Vec<_>>();
    fields.iter().filter_map(|field| Some((field.name().clone(), column_type(field.data_type())?))).collect()
}

/// The texts of a one-column answer.
pub(crate) async fn texts(view: &View, sql: &str) -> Result<Vec<String>, QueryError> {
    let batches = view.rows(sql).await?;
    Ok(batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| text(batch, 0, row))).collect())
}

/// A text cell; empty for NULL.
pub(crate) fn text(batch: &RecordBatch, column: usize, row: usize) -> String {
    let array = batch.column(column);
    if array.is_null(row) {
        return String::new();
    }
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::Utf8View => array.as_string_view().value(row).to_owned(),
        _ => datafusion::arrow::util::display::array_value_to_string(array, row).unwrap_or_default(),
    }
}

//! Contracts as Arrow schemas, in the strict profile that every Delta reader understands: signed integers, UTF-8, UTC
//! microseconds, exact decimals.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use tagmill_schemas::tables::{ColumnType, Table};

/// The key of a column's metadata that says whether a source declares it private; the value is then `true`.
pub const PRIVATE_KEY: &str = "tagmill.private";

/// The Arrow type of an instant.
pub fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The Arrow type of money: 18 digits, 4 of them after the point.
pub fn money_type() -> DataType {
    DataType::Decimal128(18, 4)
}

/// The Arrow type of a column type.
pub fn arrow_type(ty: ColumnType) -> DataType {
    match ty {
        ColumnType::Int64 => DataType::Int64,
        ColumnType::Int32 => DataType::Int32,
        ColumnType::Text => DataType::Utf8,
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Timestamp => timestamp_type(),
        ColumnType::Date => DataType::Date32,
        ColumnType::Money => money_type(),
    }
}

/// The column type of an Arrow type of the strict profile; `None` for any other.
pub fn column_type(ty: &DataType) -> Option<ColumnType> {
    ColumnType::ALL.into_iter().find(|candidate| arrow_type(*candidate) == *ty)
}

/// The Arrow schema of a table: its contract's columns in order, then declared ones by the order they were declared in.
///
/// Every column is nullable towards Delta, so that a contract may change without a rewrite; `ingest` enforces what may be
/// missing.
pub fn arrow_schema(table: &Table, declared: &[(String, ColumnType)]) -> SchemaRef {
    let contract = table.columns.iter().map(|column| Field::new(column.name, arrow_type(column.ty), true));
    let extra = declared.iter().map(|(name, ty)| Field::new(name, arrow_type(*ty), true));
    Arc::new(Schema::new(contract.chain(extra).collect::<Vec<_>>()))
}

/// The private columns of a table: by its contract, or because a source has declared them so.
pub(crate) fn private_columns(table: &Table, schema: &Schema) -> BTreeSet<String> {
    let by_contract = |name: &str| table.column(name).is_some_and(|column| column.is_private);
    let is_declared = |field: &Field| field.metadata().get(PRIVATE_KEY).is_some_and(|value| value == "true");
    let private = schema.fields().iter().filter(|field| by_contract(field.name()) || is_declared(field));
    private.map(|field| field.name().clone()).collect()
}

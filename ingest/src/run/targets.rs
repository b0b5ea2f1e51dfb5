//! What a SELECT may give for each target table, and what every row needs.

use datafusion::arrow::datatypes::DataType;
use tagmill_schemas::tables::{ColumnType, Filled, contract};
use tagmill_store::arrow_type;

use crate::source::DeclaredColumn;

/// A column that a SELECT may give.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct InputColumn {
    /// Its name.
    pub(crate) name: String,
    /// Its type after conforming.
    pub(crate) ty: DataType,
    /// Whether every row needs a value.
    pub(crate) is_needed: bool,
    /// Whether its values must not be shown to everybody.
    pub(crate) is_private: bool,
}

/// The order in which targets are filled: what is referred to comes before what refers to it.
pub(crate) const ORDER: &[&str] = &[
    "department",
    "staff",
    "tag_group",
    "tag",
    "customer",
    "follow",
    "assignment",
    "id_map",
    "group_chat",
    "group_member",
    "event",
];

/// The columns that a SELECT may give for a target.
pub(crate) fn input_columns(table: &str, declared: &[DeclaredColumn]) -> Vec<InputColumn> {
    let needed = needed_columns(table);
    let text = |name: &str| (name.to_owned(), ColumnType::Text);
    let mut columns: Vec<(String, ColumnType)> = match table {
        "assignment" => vec![
            text("customer_id"),
            text("staff_id"),
            text("tag_id"),
            text("group_name"),
            text("tag_name"),
            ("assigned_at".to_owned(), ColumnType::Timestamp),
        ],
        _ => contract(table)
            .map_or(&[][..], |table| table.columns)
            .iter()
            .filter(|column| column.filled == Filled::BySource)
            .map(|column| (column.name.to_owned(), column.ty))
            .collect(),
    };
    if matches!(table, "follow" | "event" | "id_map" | "group_member") {
        columns.push(text("customer_id"));
    }
    let by_contract = columns.into_iter().map(|(name, ty)| InputColumn {
        is_needed: needed.contains(&name.as_str()),
        is_private: contract(table).and_then(|table| table.column(&name)).is_some_and(|column| column.is_private),
        name,
        ty: arrow_type(ty),
    });
    let by_source = declared.iter().map(|column| InputColumn {
        name: column.name.clone(),
        ty: arrow_type(column.ty),
        is_needed: false,
        is_private: column.is_private,
    });
    by_contract.chain(by_source).collect()
}

/// The columns without which a row of a target is rejected.
fn needed_columns(table: &str) -> &'static [&'static str] {
    match table {
        "customer" => &["customer_id"],
        "follow" => &["staff_id", "customer_id"],
        "staff" => &["staff_id"],
        "department" => &["department_id"],
        "tag_group" => &["group_name"],
        "tag" => &["group_name", "tag_name"],
        "assignment" => &["customer_id"],
        "event" => &["event_id", "customer_id", "type", "occurred_at"],
        "id_map" => &["platform", "platform_id", "customer_id"],
        "group_chat" => &["chat_id"],
        "group_member" => &["chat_id", "customer_id"],
        _ => &[],
    }
}

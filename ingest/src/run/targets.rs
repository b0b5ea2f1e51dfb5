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

/// The table whose columns say how a source may name the person of an event.
const PERSON_TABLE: &str = "unmatched_event";

/// What says whose an event is: one of these sets of columns is enough.
const PERSON_KEYS: &[&[&str]] =
    &[&["customer_id"], &["unionid"], &["mobile"], &["mobile_sha256"], &["mobile_md5"], &["platform", "platform_id"]];

/// Whether a column says whose an event is.
pub(crate) fn is_person_column(name: &str) -> bool {
    PERSON_KEYS.iter().any(|key| key.contains(&name))
}

/// Whether the columns of a SELECT can say whose an event is.
pub(crate) fn names_a_person(given: &[String]) -> bool {
    let is_given = |column: &&str| given.iter().any(|name| name == column);
    PERSON_KEYS.iter().any(|key| key.iter().all(is_given))
}

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
    if matches!(table, "follow" | "id_map" | "group_member") {
        columns.push(text("customer_id"));
    }
    if table == "event" {
        columns.extend(PERSON_KEYS.iter().copied().flatten().copied().map(text));
    }
    let by_contract = columns.into_iter().map(|(name, ty)| InputColumn {
        is_needed: needed.contains(&name.as_str()),
        is_private: is_private(table, &name),
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

/// Whether the contract says that a column's values must not be shown to everybody.
fn is_private(table: &str, name: &str) -> bool {
    let declared = |table: &str| contract(table).and_then(|table| table.column(name));
    let of_person = declared(PERSON_TABLE).filter(|_| table == "event" && is_person_column(name));
    declared(table).or(of_person).is_some_and(|column| column.is_private)
}

/// The columns without which a row of a target is rejected. Whose an event is may be said in several ways, so that no
/// column that says it is among them.
fn needed_columns(table: &str) -> &'static [&'static str] {
    match table {
        "customer" => &["customer_id"],
        "follow" => &["staff_id", "customer_id"],
        "staff" => &["staff_id"],
        "department" => &["department_id"],
        "tag_group" => &["group_name"],
        "tag" => &["group_name", "tag_name"],
        "assignment" => &["customer_id"],
        "event" => &["event_id", "type", "occurred_at"],
        "id_map" => &["platform", "platform_id", "customer_id"],
        "group_chat" => &["chat_id"],
        "group_member" => &["chat_id", "customer_id"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_names_the_person_of_an_event_is_kept_with_those_that_wait_and_private_where_that_is() {
        let inputs = input_columns("event", &[]);
        for name in PERSON_KEYS.iter().copied().flatten() {
            let input = inputs.iter().find(|input| input.name == *name).expect(name);
            let kept = contract(PERSON_TABLE).and_then(|table| table.column(name)).expect(name);
            assert_eq!((kept.filled, input.is_private), (Filled::BySource, kept.is_private), "{name}");
            assert!(!input.is_needed, "{name}");
        }
    }

    #[test]
    fn an_id_on_a_platform_names_a_person_together_with_the_platform_only() {
        let names = |given: &[&str]| names_a_person(&given.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert!(names(&["event_id", "mobile_md5"]));
        assert!(names(&["platform_id", "platform"]));
        assert!(!names(&["event_id", "platform_id"]));
        assert!(!names(&["event_id"]));
    }
}

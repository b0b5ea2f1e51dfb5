//! Table contracts: every column of every table, declared once.
//!
//! A contract says a column's type, whether it may be missing and what that means, its unit, and whether it is private.
//! How a contract becomes an Arrow or Delta schema is the business of `store`.

mod contracts;
mod domain;

pub use contracts::{TABLES, contract};
pub use domain::Domain;

/// The type of a column, in the strict profile that every reader of the tables understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// Signed 64-bit integer.
    Int64,
    /// Signed 32-bit integer.
    Int32,
    /// UTF-8 text.
    Text,
    /// True or false.
    Bool,
    /// An instant: microseconds since 1970-01-01 UTC.
    Timestamp,
    /// A calendar day without zone.
    Date,
    /// Exact decimal with 18 digits, 4 of them after the point.
    Money,
}

impl ColumnType {
    /// Every column type.
    pub const ALL: [Self; 7] =
        [Self::Int64, Self::Int32, Self::Text, Self::Bool, Self::Timestamp, Self::Date, Self::Money];

    /// The name of the type as a source file or an error message writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int64 => "bigint",
            Self::Int32 => "int",
            Self::Text => "text",
            Self::Bool => "bool",
            Self::Timestamp => "timestamp",
            Self::Date => "date",
            Self::Money => "decimal",
        }
    }

    /// Reads a type's name as a source file writes it, for declared properties and attributes.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ty| ty.name() == name)
    }
}

/// Who gives a column its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    /// A source's SELECT may give it.
    BySource,
    /// The warehouse gives it; a SELECT that names it is refused.
    ByWarehouse,
}

/// One column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// The column's name, `lower_snake_case`.
    pub name: &'static str,
    /// Its type.
    pub ty: ColumnType,
    /// `None`: never missing. `Some(meaning)`: may be NULL, and what NULL says.
    pub null_means: Option<&'static str>,
    /// Masked unless asked for by somebody who may.
    pub is_private: bool,
    /// Who gives it.
    pub filled: Filled,
    /// The values it takes where its type alone would admit more; `None`: every value of the type.
    pub domain: Option<Domain>,
    /// What it holds, with its unit.
    pub doc: &'static str,
}

/// One table of the warehouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// The table's name, singular.
    pub name: &'static str,
    /// What one row is.
    pub row_is: &'static str,
    /// The columns in order.
    pub columns: &'static [Column],
    /// Whether further columns may be declared by a source (attributes of a customer, properties of an event).
    pub is_extensible: bool,
    /// Whether the table is split by `bucket`, the customer number divided by 2²⁰.
    pub is_bucketed: bool,
}

impl Table {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_a_singular_snake_case_name_and_distinct_columns() {
        for table in TABLES {
            assert!(table.name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{}", table.name);
            assert!(!table.name.ends_with('s'), "{} should be singular", table.name);
            let mut names: Vec<_> = table.columns.iter().map(|column| column.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), table.columns.len(), "{} declares a column twice", table.name);
        }
    }

    #[test]
    fn whatever_names_a_person_who_is_not_known_yet_may_be_missing_and_is_private_where_it_tells_who() {
        let event = contract("unmatched_event").expect("a contract");
        let ids = [
            ("customer_id", false),
            ("unionid", true),
            ("mobile", true),
            ("mobile_sha256", true),
            ("mobile_md5", true),
            ("platform", false),
            ("platform_id", true),
        ];
        for (name, is_private) in ids {
            let column = event.column(name).expect(name);
            assert_eq!((column.is_private, column.null_means.is_some()), (is_private, true), "{name}");
        }
    }

    #[test]
    fn type_names_are_read_back() {
        for ty in [ColumnType::Int64, ColumnType::Text, ColumnType::Money, ColumnType::Timestamp] {
            assert_eq!(ColumnType::parse(ty.name()), Some(ty));
        }
    }
}

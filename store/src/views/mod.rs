//! What the assignment log says, as views over it: the one place that knows how its steps add up.

/// A view: its name, and the SQL over the tables that defines it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableView {
    /// Its name in SQL.
    pub name: &'static str,
    /// The statement behind it.
    pub sql: &'static str,
}

/// The log as intervals: one row for each time that a tag was held by a source on a follow or a customer.
const ASSIGNMENT: TableView = TableView { name: "assignment", sql: include_str!("assignment.sql") };

/// What is held now: one row for each tag that a source holds on a follow or a customer.
pub const HELD_ASSIGNMENT: TableView = TableView { name: "held_assignment", sql: include_str!("held_assignment.sql") };

/// All views.
pub const VIEWS: &[TableView] = &[ASSIGNMENT, HELD_ASSIGNMENT];

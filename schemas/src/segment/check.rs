//! Holds a segment against what a warehouse has: its columns, event types, tags and staff.
//!
//! The tree says where a name stands but not its line, so that a problem here carries a JSON pointer and no position.
//! Whether a referenced segment exists and what an `sql:` leaf may do is for `query` to say.

mod catalog;
#[cfg(test)]
mod tests;
mod types;

pub use catalog::{Catalog, CatalogTag, RenamedTag};

use self::types::{Subject, check_comparison, check_values};
use super::tree::{AttributeLeaf, EventLeaf, FollowNode, Follower, Measure, Node, Segment, TagTest};
use crate::error::{did_you_mean, near_names};
use crate::ids::StaffId;
use crate::tables::ColumnType;
use crate::yaml::{Problem, pointer};

/// Returns every problem that keeps the segment from being asked of a warehouse with this catalog, in document order.
///
/// Codes: `ATTRIBUTE_UNKNOWN`, `EVENT_COLUMN_UNKNOWN`, `EVENT_TYPE_UNKNOWN`, `TAG_UNKNOWN`, `TAG_AMBIGUOUS`,
/// `TAG_DEAD`, `STAFF_UNKNOWN`, `TYPE_MISMATCH`, `OPERATOR_MISMATCH`, `PRIVATE_COLUMN`.
pub fn check(segment: &Segment, catalog: &Catalog) -> Vec<Problem> {
    let mut problems = Vec::new();
    check_node(&segment.condition, "/where", catalog, &mut problems);
    problems
}

fn check_node(node: &Node, path: &str, catalog: &Catalog, problems: &mut Vec<Problem>) {
    match node {
        Node::All(parts) => check_parts(parts, &format!("{path}/all"), catalog, problems),
        Node::Any(parts) => check_parts(parts, &format!("{path}/any"), catalog, problems),
        Node::Not(part) => check_node(part, &format!("{path}/not"), catalog, problems),
        Node::SameFollower(parts) => {
            for (position, part) in parts.iter().enumerate() {
                check_follow_node(part, &format!("{path}/same_follower/{position}"), catalog, problems);
            }
        }
        Node::Tag(leaf) => {
            check_tags(&leaf.test, &format!("{path}/tag"), catalog, problems);
            if let Follower::Named(staff) = &leaf.follower {
                check_staff(staff, &format!("{path}/tag/follower"), catalog, problems);
            }
        }
        Node::Attribute(leaf) => check_attribute(leaf, &format!("{path}/attribute"), catalog, problems),
        Node::Event(leaf) => check_event(leaf, path, catalog, problems),
        Node::Segment(_) | Node::Sql(_) => {}
    }
}

fn check_parts(parts: &[Node], path: &str, catalog: &Catalog, problems: &mut Vec<Problem>) {
    for (position, part) in parts.iter().enumerate() {
        check_node(part, &format!("{path}/{position}"), catalog, problems);
    }
}

fn check_follow_node(node: &FollowNode, path: &str, catalog: &Catalog, problems: &mut Vec<Problem>) {
    match node {
        FollowNode::Tag(test) => check_tags(test, &format!("{path}/tag"), catalog, problems),
        FollowNode::Staff(staff) => check_staff(staff, &format!("{path}/staff"), catalog, problems),
        FollowNode::Not(part) => check_follow_node(part, &format!("{path}/not"), catalog, problems),
        FollowNode::Any(parts) => {
            for (position, part) in parts.iter().enumerate() {
                check_follow_node(part, &format!("{path}/any/{position}"), catalog, problems);
            }
        }
    }
}

fn check_tags(test: &TagTest, path: &str, catalog: &Catalog, problems: &mut Vec<Problem>) {
    let key = match test {
        TagTest::AnyOf(_) => "any_of",
        TagTest::AllOf(_) => "all_of",
        TagTest::NoneOf(_) => "none_of",
    };
    for (position, tag) in test.tags().iter().enumerate() {
        if let Err(unresolved) = catalog.resolve(tag) {
            problems.push(Problem { path: format!("{path}/{key}/{position}"), ..unresolved });
        }
    }
}

fn check_staff(staff: &[StaffId], path: &str, catalog: &Catalog, problems: &mut Vec<Problem>) {
    for (position, staff_id) in staff.iter().enumerate() {
        if catalog.staff.contains(staff_id) {
            continue;
        }
        let near = near_names(staff_id.as_str(), catalog.staff.iter().map(StaffId::as_str));
        let hint = did_you_mean(&near).or_else(|| Some("staff are named by their `staff_id`".to_owned()));
        let message = format!("there is no staff member `{staff_id}`");
        problems.push(problem(&format!("{path}/{position}"), "STAFF_UNKNOWN", message, hint));
    }
}

fn check_attribute(leaf: &AttributeLeaf, path: &str, catalog: &Catalog, problems: &mut Vec<Problem>) {
    let name = &leaf.name;
    if is_masked(name, &format!("{path}/name"), catalog, problems) {
        return;
    }
    let Some(ty) = catalog.attribute_type(name) else {
        let hint = names_hint(name, catalog.columns.iter().map(|(column, _)| column.as_str()), "the attributes are");
        let message = format!("customers have no attribute `{name}`");
        problems.push(problem(&format!("{path}/name"), "ATTRIBUTE_UNKNOWN", message, hint));
        return;
    };
    let subject = Subject { what: format!("the attribute `{name}`"), ty, is_month: name == "birth_month" };
    check_comparison(&subject, &leaf.test, path, problems);
}

fn check_event(leaf: &EventLeaf, path: &str, catalog: &Catalog, problems: &mut Vec<Problem>) {
    for (position, event_type) in leaf.events.iter().enumerate() {
        if !catalog.event_types.contains(event_type) {
            let known = catalog.event_types.iter().map(String::as_str);
            let hint = names_hint(event_type, known, "the event types seen so far are");
            let message = format!("no event of the type `{event_type}` has ever been seen");
            problems.push(problem(&format!("{path}/event/{position}"), "EVENT_TYPE_UNKNOWN", message, hint));
        }
    }
    for (column, values) in &leaf.filter {
        let column_path = pointer(&format!("{path}/filter"), column);
        if let Some(ty) = event_column(column, &column_path, catalog, problems) {
            let subject = Subject { what: format!("the event column `{column}`"), ty, is_month: false };
            check_values(&subject, values, &column_path, problems);
        }
    }
    if let Measure::Distinct(column) = &leaf.measure {
        event_column(column, &format!("{path}/of"), catalog, problems);
    }
    check_comparison(&measured(&leaf.measure), &leaf.test, path, problems);
}

/// What a measure's value is, for its comparison.
fn measured(measure: &Measure) -> Subject {
    let ty = match measure {
        Measure::Count | Measure::Distinct(_) | Measure::DistinctDays => ColumnType::Int64,
        Measure::Sum => ColumnType::Money,
        Measure::Last => ColumnType::Timestamp,
    };
    Subject { what: format!("the measure `{}`", measure.word()), ty, is_month: false }
}

/// The type of an event column that may be used; reports one that is unknown or masked.
fn event_column(column: &str, path: &str, catalog: &Catalog, problems: &mut Vec<Problem>) -> Option<ColumnType> {
    if is_masked(column, path, catalog, problems) {
        return None;
    }
    let ty = catalog.event_column_type(column);
    if ty.is_none() {
        let known = catalog.event_columns.iter().map(|(name, _)| name.as_str());
        let hint = names_hint(column, known, "the columns and declared properties are");
        let message = format!("events have no column or declared property `{column}`");
        problems.push(problem(path, "EVENT_COLUMN_UNKNOWN", message, hint));
    }
    ty
}

fn is_masked(name: &str, path: &str, catalog: &Catalog, problems: &mut Vec<Problem>) -> bool {
    let is_masked = catalog.masked_columns.iter().any(|masked| masked == name);
    if is_masked {
        let message = format!("`{name}` is private and masked here, so that no condition may use it");
        let hint = "a condition would tell the values; ask by a door where private columns are shown".to_owned();
        problems.push(problem(path, "PRIVATE_COLUMN", message, Some(hint)));
    }
    is_masked
}

/// The near names as a question, else all that would have been valid.
fn names_hint<'a>(wanted: &str, known: impl Iterator<Item = &'a str>, introduction: &str) -> Option<String> {
    let known: Vec<&str> = known.collect();
    if known.is_empty() {
        return Some("there is none in this snapshot yet".to_owned());
    }
    did_you_mean(&near_names(wanted, known.iter().copied())).or_else(|| {
        let listed: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
        Some(format!("{introduction} {}", listed.join(", ")))
    })
}

fn problem(path: &str, code: &'static str, message: String, hint: Option<String>) -> Problem {
    Problem { position: None, path: path.to_owned(), code, message, hint }
}

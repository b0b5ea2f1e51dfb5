//! A segment said in one sentence, in English and in Chinese, so that a person can tell whether it asks what was meant.
//!
//! Nothing is left to a default in the reader's head: the universe, as_of, every operator (in words and as a sign), the
//! scope of a tag, the treatment of missing values and both ends of a window are always said. Square brackets hold what
//! a group or a negation covers. Neither language needs the warehouse, so that a definition can be reviewed before
//! there is one.

mod chinese;
mod english;

use chrono::Timelike;

use super::canonical::time_text;
use super::tree::{FollowNode, Node, Operator, Segment, TagRef, TagTest, TimeValue, Value};

/// How much of an `sql:` leaf a sentence shows, in characters.
const SQL_SHOWN: usize = 160;

/// Says a segment in one English sentence.
pub fn english(segment: &Segment) -> String {
    english::segment(segment)
}

/// Says a segment in one Chinese sentence.
pub fn chinese(segment: &Segment) -> String {
    chinese::segment(segment)
}

/// Says one node in English, as a clause without capital and full stop.
pub fn node_english(node: &Node) -> String {
    english::clause(node)
}

/// Says one node in Chinese, as a clause without full stop.
pub fn node_chinese(node: &Node) -> String {
    chinese::clause(node)
}

/// Says one condition on a single follow in English, as a clause without capital and full stop.
pub fn follow_node_english(node: &FollowNode) -> String {
    english::follow_clause(node)
}

/// Says in English which tags are held, as a clause without capital and full stop that leaves open on which follows.
pub fn test_english(test: &TagTest) -> String {
    english::held(test)
}

/// The English heading above the parts of a node, such as `all of`; `None` for a node without parts, which
/// [`node_english`] says whole.
pub fn heading_english(node: &Node) -> Option<&'static str> {
    english::heading(node)
}

/// The English heading above the parts of a condition on a follow, such as `not`; `None` for one without parts, which
/// [`follow_node_english`] says whole.
pub fn follow_heading_english(node: &FollowNode) -> Option<&'static str> {
    english::follow_heading(node)
}

/// The operator's sign as people write it on paper.
fn sign(operator: Operator) -> &'static str {
    match operator {
        Operator::Eq => "=",
        Operator::Ne => "≠",
        Operator::Lt => "<",
        Operator::Le => "≤",
        Operator::Gt => ">",
        Operator::Ge => "≥",
    }
}

/// A tag as the document names it.
fn tag_shown(tag: &TagRef) -> &str {
    match tag {
        TagRef::Name(name) => name,
        TagRef::Id(id) => id.as_str(),
    }
}

/// A time for the eye: local times with their hour, so that midnight is seen; others as documents write them.
fn time_shown(time: TimeValue) -> String {
    match time {
        TimeValue::Local(local) => {
            let is_whole_minute = local.second() == 0 && local.nanosecond() == 0;
            local.format(if is_whole_minute { "%Y-%m-%d %H:%M" } else { "%Y-%m-%d %H:%M:%S%.f" }).to_string()
        }
        relative_or_absolute => time_text(relative_or_absolute),
    }
}

/// A value without quotes, as it stands beside an operator's sign.
fn value_shown(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Number(number) => number.normalize().to_string(),
        Value::Bool(truth) => truth.to_string(),
        Value::Time(time) => time_shown(*time),
        Value::AsOfMonth => "as_of.month".to_owned(),
    }
}

/// An SQL text on one line, cut where it is long.
fn sql_shown(sql: &str) -> String {
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SQL_SHOWN) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests;

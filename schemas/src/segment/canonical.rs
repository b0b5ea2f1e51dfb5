//! The canonical form of a segment: one JSON tree, its readable YAML, and the hash that identifies it.
//!
//! A tree is first laid out as a `Doc`, then written as JSON or YAML, so that the two can never differ in content.
//! Defaults are left out where the document may leave them out; operator, window, measure, follower and missing are
//! always written.

use std::collections::BTreeMap;

use chrono::{NaiveTime, SecondsFormat};
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::tree::{
    AsOf, AttributeLeaf, CalendarUnit, Comparison, EventLeaf, FollowNode, Follower, Measure, Node, Segment, TagLeaf,
    TagRef, TagTest, TimeValue, Value, Window,
};

/// Returns the segment as its canonical JSON tree, with its name.
///
/// Times and `as_of.month` are texts, as JSON has no other way; only [`to_yaml`] keeps them apart from quoted texts. A
/// number that a double cannot hold exactly becomes a text, as RFC 8785 advises, so that two such numbers never look
/// equal.
pub fn to_json(segment: &Segment) -> Json {
    json(&segment_doc(segment, segment.name.as_deref(), &str::to_owned))
}

/// Returns the segment as YAML that people like to read and that parses back to an equal segment, name included.
///
/// Texts are always quoted, so that `"2026-06-01"` stays a text; numbers, times and words of the grammar are plain.
pub fn to_yaml(segment: &Segment) -> String {
    let mut out = String::new();
    if let Doc::Block(entries) = segment_doc(segment, segment.name.as_deref(), &str::to_owned) {
        write_entries(&entries, 0, true, &mut out);
    }
    out
}

/// Returns the identity of a segment: the SHA-256, in hexadecimal digits, of the RFC 8785 form of its canonical JSON.
///
/// The name is no part of it. A reference to another segment counts as that segment's own hash, given in `references`
/// by name; a name that is not given there counts as written.
pub fn hash(segment: &Segment, references: &BTreeMap<String, String>) -> String {
    let by_hash = |name: &str| references.get(name).map_or(name, String::as_str).to_owned();
    digest(&json(&segment_doc(segment, None, &by_hash)))
}

/// The SHA-256, in hexadecimal digits, of a value's RFC 8785 form.
pub(crate) fn digest<T: Serialize>(value: &T) -> String {
    format!("{:x}", Sha256::digest(canonical_bytes(value)))
}

/// A value's RFC 8785 form.
pub(crate) fn canonical_bytes<T: Serialize>(value: &T) -> Vec<u8> {
    // This fails only for maps whose keys are no texts and for infinite numbers. What we hash has neither.
    serde_json_canonicalizer::to_vec(value).unwrap_or_else(|error| error.to_string().into_bytes())
}

/// A point in time as documents write it.
pub(crate) fn time_text(time: TimeValue) -> String {
    match time {
        TimeValue::Instant(instant) => instant.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        TimeValue::Local(local) if local.time() == NaiveTime::MIN => local.format("%Y-%m-%d").to_string(),
        TimeValue::Local(local) => local.format("%Y-%m-%dT%H:%M:%S%.f").to_string(),
        TimeValue::AsOfMinus(0, CalendarUnit::Days) => "as_of".to_owned(),
        TimeValue::AsOfMinus(count, CalendarUnit::Days) => format!("as_of - {count} days"),
        TimeValue::AsOfMinus(count, CalendarUnit::Months) => format!("as_of - {count} months"),
    }
}

/// A document on its way to JSON or YAML; the variants say how YAML lays it out.
enum Doc {
    /// A mapping with a line for every key.
    Block(Vec<(&'static str, Doc)>),
    /// A list with a dash for every item.
    Items(Vec<Doc>),
    /// A mapping on one line.
    Flow(Vec<(&'static str, Doc)>),
    /// A mapping on one line whose keys are names given by people.
    Named(Vec<(String, Doc)>),
    /// A list on one line.
    Row(Vec<Doc>),
    /// A text, quoted.
    Text(String),
    /// A word of the grammar or a time, plain.
    Word(String),
    /// An exact number.
    Number(Decimal),
    /// True or false.
    Bool(bool),
}

impl Doc {
    fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    fn word(word: impl Into<String>) -> Self {
        Self::Word(word.into())
    }

    fn texts<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::Row(texts.into_iter().map(|text| Self::text(text.as_ref())).collect())
    }
}

/// Says how a reference to another segment is written.
type Reference<'a> = &'a dyn Fn(&str) -> String;

fn segment_doc(segment: &Segment, name: Option<&str>, reference: Reference<'_>) -> Doc {
    let as_of = match segment.as_of {
        AsOf::Latest => Doc::word("latest"),
        AsOf::Snapshot(snapshot_id) => Doc::Number(Decimal::from(snapshot_id.0)),
        AsOf::Time(instant) => Doc::Word(time_text(TimeValue::Instant(instant))),
    };
    let mut entries: Vec<(&'static str, Doc)> = name.map(|name| ("name", Doc::text(name))).into_iter().collect();
    entries.push(("universe", Doc::word(segment.universe.as_str())));
    entries.push(("as_of", as_of));
    entries.push(("where", node_doc(&segment.condition, reference)));
    Doc::Block(entries)
}

fn node_doc(node: &Node, reference: Reference<'_>) -> Doc {
    let items = |parts: &[Node]| Doc::Items(parts.iter().map(|part| node_doc(part, reference)).collect());
    match node {
        Node::All(parts) => Doc::Block(vec![("all", items(parts))]),
        Node::Any(parts) => Doc::Block(vec![("any", items(parts))]),
        Node::Not(part) => Doc::Block(vec![("not", node_doc(part, reference))]),
        Node::SameFollower(parts) => {
            Doc::Block(vec![("same_follower", Doc::Items(parts.iter().map(follow_node_doc).collect()))])
        }
        Node::Tag(leaf) => Doc::Block(vec![("tag", tag_doc(leaf))]),
        Node::Attribute(leaf) => Doc::Block(vec![("attribute", attribute_doc(leaf))]),
        Node::Event(leaf) => event_doc(leaf),
        Node::Segment(name) => Doc::Block(vec![("segment", Doc::Text(reference(name)))]),
        Node::Sql(sql) => Doc::Block(vec![("sql", Doc::text(sql))]),
    }
}

fn follow_node_doc(node: &FollowNode) -> Doc {
    match node {
        FollowNode::Tag(test) => Doc::Block(vec![("tag", Doc::Flow(vec![tag_test_entry(test)]))]),
        FollowNode::Staff(staff) => Doc::Block(vec![("staff", Doc::texts(staff.iter().map(|id| id.as_str())))]),
        FollowNode::Not(part) => Doc::Block(vec![("not", follow_node_doc(part))]),
        FollowNode::Any(parts) => Doc::Block(vec![("any", Doc::Items(parts.iter().map(follow_node_doc).collect()))]),
    }
}

fn tag_doc(leaf: &TagLeaf) -> Doc {
    let follower = match &leaf.follower {
        Follower::Any => Doc::word("any"),
        Follower::All => Doc::word("all"),
        Follower::Named(staff) => Doc::texts(staff.iter().map(|id| id.as_str())),
    };
    Doc::Flow(vec![tag_test_entry(&leaf.test), ("follower", follower)])
}

fn tag_test_entry(test: &TagTest) -> (&'static str, Doc) {
    let key = match test {
        TagTest::AnyOf(_) => "any_of",
        TagTest::AllOf(_) => "all_of",
        TagTest::NoneOf(_) => "none_of",
    };
    let tag = |tag: &TagRef| match tag {
        TagRef::Name(name) => Doc::text(name),
        TagRef::Id(id) => Doc::Flow(vec![("id", Doc::text(id.as_str()))]),
    };
    (key, Doc::Row(test.tags().iter().map(tag).collect()))
}

fn attribute_doc(leaf: &AttributeLeaf) -> Doc {
    let mut entries = vec![("name", Doc::text(&leaf.name))];
    entries.extend(comparison_entries(&leaf.test));
    entries.push(("missing", Doc::word(leaf.missing.as_str())));
    Doc::Flow(entries)
}

fn event_doc(leaf: &EventLeaf) -> Doc {
    let mut entries = vec![("event", Doc::texts(&leaf.events))];
    if !leaf.filter.is_empty() {
        let columns = leaf.filter.iter().map(|(column, values)| (column.clone(), values_doc(values)));
        entries.push(("filter", Doc::Named(columns.collect())));
    }
    entries.push(("window", window_doc(leaf.window)));
    if leaf.include_today {
        entries.push(("include_today", Doc::Bool(true)));
    }
    entries.extend(measure_entries(&leaf.measure));
    entries.extend(comparison_entries(&leaf.test));
    if let Some(currency) = &leaf.currency {
        entries.push(("currency", Doc::text(currency)));
    }
    if let Some(never) = leaf.never {
        entries.push(("never", Doc::word(never.as_str())));
    }
    Doc::Block(entries)
}

fn window_doc(window: Window) -> Doc {
    match window {
        Window::Lifetime => Doc::word("lifetime"),
        Window::ThisMonth => Doc::word("this_month"),
        Window::LastMonth => Doc::word("last_month"),
        Window::LastDays(count) => Doc::Word(format!("last_{count}_days")),
        Window::LastMonths(count) => Doc::Word(format!("last_{count}_months")),
        Window::Between { from, to } => {
            Doc::Flow(vec![("from", Doc::Word(time_text(from))), ("to", Doc::Word(time_text(to)))])
        }
    }
}

fn measure_entries(measure: &Measure) -> Vec<(&'static str, Doc)> {
    let mut entries = vec![("measure", Doc::word(measure.word().as_str()))];
    if let Measure::Distinct(column) = measure {
        entries.push(("of", Doc::text(column)));
    }
    entries
}

fn comparison_entries(test: &Comparison) -> Vec<(&'static str, Doc)> {
    match test {
        Comparison::Single(operator, value) => {
            vec![("op", Doc::text(operator.symbol())), ("value", value_doc(value))]
        }
        Comparison::In(values) => vec![("op", Doc::word("in")), ("value", values_doc(values))],
        Comparison::Band { from, to } => {
            let end = |key: &'static str, value: &Option<Value>| value.as_ref().map(|value| (key, value_doc(value)));
            let ends = [end("from", from), end("to", to)].into_iter().flatten().collect();
            vec![("op", Doc::word("between")), ("value", Doc::Flow(ends))]
        }
    }
}

fn values_doc(values: &[Value]) -> Doc {
    Doc::Row(values.iter().map(value_doc).collect())
}

fn value_doc(value: &Value) -> Doc {
    match value {
        Value::Text(text) => Doc::text(text),
        Value::Number(number) => Doc::Number(*number),
        Value::Bool(truth) => Doc::Bool(*truth),
        Value::Time(time) => Doc::Word(time_text(*time)),
        Value::AsOfMonth => Doc::word("as_of.month"),
    }
}

fn json(doc: &Doc) -> Json {
    match doc {
        Doc::Block(entries) | Doc::Flow(entries) => {
            Json::Object(entries.iter().map(|(key, value)| ((*key).to_owned(), json(value))).collect())
        }
        Doc::Named(entries) => Json::Object(entries.iter().map(|(key, value)| (key.clone(), json(value))).collect()),
        Doc::Items(items) | Doc::Row(items) => Json::Array(items.iter().map(json).collect()),
        Doc::Text(text) | Doc::Word(text) => Json::String(text.clone()),
        Doc::Number(number) => json_number(*number),
        Doc::Bool(truth) => Json::Bool(*truth),
    }
}

/// A number as JSON: a number where a double holds it exactly, else its digits as a text.
pub(crate) fn json_number(number: Decimal) -> Json {
    let text = number.normalize().to_string();
    // Rust prints a double as the shortest digits that read back to it: equal digits mean that nothing was lost.
    let exact = text.parse::<f64>().ok().filter(|double| double.to_string() == text);
    match (exact, text.parse::<i64>()) {
        (Some(_), Ok(whole)) => Json::from(whole),
        (Some(double), Err(_)) => Json::from(double),
        (None, _) => Json::String(text),
    }
}

fn write_entries(entries: &[(&'static str, Doc)], indent: usize, is_first_padded: bool, out: &mut String) {
    for (position, (key, value)) in entries.iter().enumerate() {
        if position > 0 || is_first_padded {
            pad(indent, out);
        }
        out.push_str(key);
        out.push(':');
        match value {
            Doc::Block(inner) => {
                out.push('\n');
                write_entries(inner, indent + 2, true, out);
            }
            Doc::Items(items) if !items.is_empty() => {
                out.push('\n');
                write_items(items, indent + 2, out);
            }
            line => {
                out.push(' ');
                out.push_str(&on_one_line(line));
                out.push('\n');
            }
        }
    }
}

fn write_items(items: &[Doc], indent: usize, out: &mut String) {
    for item in items {
        pad(indent, out);
        out.push_str("- ");
        match item {
            // The first key stands behind the dash, the others below it.
            Doc::Block(entries) => write_entries(entries, indent + 2, false, out),
            line => {
                out.push_str(&on_one_line(line));
                out.push('\n');
            }
        }
    }
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn on_one_line(doc: &Doc) -> String {
    match doc {
        Doc::Block(entries) | Doc::Flow(entries) => {
            braced(entries.iter().map(|(key, value)| format!("{key}: {}", on_one_line(value))))
        }
        Doc::Named(entries) => {
            braced(entries.iter().map(|(key, value)| format!("{}: {}", quoted(key), on_one_line(value))))
        }
        Doc::Items(items) | Doc::Row(items) => {
            format!("[{}]", items.iter().map(on_one_line).collect::<Vec<_>>().join(", "))
        }
        Doc::Text(text) => quoted(text),
        Doc::Word(word) => word.clone(),
        Doc::Number(number) => number.normalize().to_string(),
        Doc::Bool(truth) => truth.to_string(),
    }
}

fn braced(entries: impl Iterator<Item = String>) -> String {
    format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
}

/// A text in double quotes, with everything escaped that YAML would fold, end or refuse.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;

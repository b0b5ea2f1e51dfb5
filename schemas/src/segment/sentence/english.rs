//! The English wording.

use super::{sign, sql_shown, tag_shown, time_shown, value_shown};
use crate::ids::StaffId;
use crate::segment::tree::{
    AsOf, AttributeLeaf, CalendarUnit, Comparison, EventLeaf, FollowNode, Follower, Measure, Missing, Never, Node,
    Operator, Segment, TagLeaf, TagTest, TimeValue, Universe, Value, Window,
};

/// The whole sentence.
pub(super) fn segment(segment: &Segment) -> String {
    let universe = match segment.universe {
        Universe::Followed => "customers with at least one active follow",
        Universe::All => "all customers ever known",
        Universe::Lost => "customers who had a follow once and have none now",
    };
    let as_of = match segment.as_of {
        AsOf::Latest => "the latest snapshot".to_owned(),
        AsOf::Snapshot(snapshot_id) => format!("snapshot {snapshot_id}"),
        AsOf::Time(instant) => time_shown(TimeValue::Instant(instant)),
    };
    let condition = match &segment.condition {
        Node::All(parts) if parts.len() > 1 => format!("all of the following hold: {}", clauses(parts, "and")),
        Node::Any(parts) if parts.len() > 1 => format!("at least one of the following holds: {}", clauses(parts, "or")),
        single => clause(single),
    };
    format!("Among {universe}, as of {as_of}, those for whom {condition}.")
}

/// One node as a clause.
pub(super) fn clause(node: &Node) -> String {
    match node {
        Node::All(parts) => format!("all of these hold [{}]", clauses(parts, "and")),
        Node::Any(parts) => format!("at least one of these holds [{}]", clauses(parts, "or")),
        Node::Not(part) => format!("it is not so that [{}]", clause(part)),
        Node::SameFollower(parts) => {
            let parts: Vec<String> = parts.iter().map(follow_clause).collect();
            format!("for one and the same follower all of these hold [{}]", series(&parts, "and"))
        }
        Node::Tag(leaf) => tag(leaf),
        Node::Attribute(leaf) => attribute(leaf),
        Node::Event(leaf) => event(leaf),
        Node::Segment(name) => format!("the customer is in the segment `{name}`"),
        Node::Sql(sql) => format!("the customer is in the answer of the SQL `{}`", sql_shown(sql)),
    }
}

/// What stands above the parts of a node, where it has parts.
pub(super) fn heading(node: &Node) -> Option<&'static str> {
    match node {
        Node::All(_) => Some("all of"),
        Node::Any(_) => Some(ANY_OF),
        Node::Not(_) => Some(NOT),
        Node::SameFollower(_) => Some("one and the same follower has all of"),
        Node::Tag(_) | Node::Attribute(_) | Node::Event(_) | Node::Segment(_) | Node::Sql(_) => None,
    }
}

/// What stands above the parts of a condition on a follow, where it has parts.
pub(super) fn follow_heading(node: &FollowNode) -> Option<&'static str> {
    match node {
        FollowNode::Any(_) => Some(ANY_OF),
        FollowNode::Not(_) => Some(NOT),
        FollowNode::Tag(_) | FollowNode::Staff(_) => None,
    }
}

const ANY_OF: &str = "at least one of";
const NOT: &str = "not";

fn clauses(parts: &[Node], conjunction: &str) -> String {
    let parts: Vec<String> = parts.iter().map(clause).collect();
    series(&parts, conjunction)
}

/// One condition on a follow as a clause.
pub(super) fn follow_clause(node: &FollowNode) -> String {
    match node {
        FollowNode::Tag(test) => held(test),
        FollowNode::Staff(staff) => format!("the follower is {}", one_of(staff.iter().map(StaffId::as_str))),
        FollowNode::Not(part) => format!("it is not so that [{}]", follow_clause(part)),
        FollowNode::Any(parts) => {
            let parts: Vec<String> = parts.iter().map(follow_clause).collect();
            format!("at least one of these holds [{}]", series(&parts, "or"))
        }
    }
}

fn tag(leaf: &TagLeaf) -> String {
    let held = held(&leaf.test);
    // Several tags may come from several followers, unless one follower is named or every one is asked.
    let spread = match &leaf.test {
        TagTest::AllOf(tags) if tags.len() > 1 => " (not necessarily the same one)",
        _ => "",
    };
    match &leaf.follower {
        Follower::Any => format!("{held} on any follower or on the customer{spread}"),
        Follower::All => format!("on every follower {held}"),
        Follower::Named(staff) => {
            let named = names(staff.iter().map(StaffId::as_str));
            if staff.len() == 1 {
                format!("{held} on the follower {named}")
            } else {
                format!("{held} on any follower among {named}{spread}")
            }
        }
    }
}

/// Which tags are held, without saying on which follows.
pub(super) fn held(test: &TagTest) -> String {
    let tags = names(test.tags().iter().map(tag_shown));
    let is_single = test.tags().len() == 1;
    match test {
        TagTest::AnyOf(_) | TagTest::AllOf(_) if is_single => format!("the tag {tags} is held"),
        TagTest::AnyOf(_) => format!("at least one of the tags {tags} is held"),
        TagTest::AllOf(_) => format!("each of the tags {tags} is held"),
        TagTest::NoneOf(_) if is_single => format!("the tag {tags} is not held"),
        TagTest::NoneOf(_) => format!("none of the tags {tags} is held"),
    }
}

fn attribute(leaf: &AttributeLeaf) -> String {
    let missing = match leaf.missing {
        Missing::Exclude => "left out",
        Missing::Include => "included",
    };
    format!("the attribute `{}` {}, customers without a value being {missing}", leaf.name, comparison(&leaf.test))
}

fn event(leaf: &EventLeaf) -> String {
    let events = events(leaf);
    let subject = match &leaf.measure {
        Measure::Count => format!("the number of {events}"),
        Measure::Sum => match &leaf.currency {
            Some(currency) => format!("the sum of `amount` in {currency} over {events}"),
            None => format!("the sum of `amount` over {events}"),
        },
        Measure::Last => format!("the time of the latest of {events}"),
        Measure::Distinct(column) => format!("the number of distinct values of `{column}` over {events}"),
        Measure::DistinctDays => format!("the number of distinct business days with {events}"),
    };
    let never = match leaf.never {
        None => "",
        Some(Never::Include) => ", customers who never had one being included",
        Some(Never::Exclude) => ", customers who never had one being left out",
        Some(Never::SinceCreated) => ", customers who never had one counting from the time they were created",
    };
    format!("{subject} {} {}{never}", window(leaf.window, leaf.include_today), comparison(&leaf.test))
}

fn events(leaf: &EventLeaf) -> String {
    let types = one_of(leaf.events.iter().map(String::as_str));
    let filters: Vec<String> =
        leaf.filter.iter().map(|(column, values)| format!("`{column}` is {}", values_in(values))).collect();
    if filters.is_empty() {
        return format!("{types} events");
    }
    format!("{types} events whose {}", filters.join(" and whose "))
}

fn window(window: Window, include_today: bool) -> String {
    let end = if include_today { "as_of (not included)" } else { "the start of as_of's day (not included)" };
    match window {
        Window::Lifetime => "at any time before as_of".to_owned(),
        Window::Between { from, to } => {
            format!("from {} (included) to {} (not included)", time_words(from), time_words(to))
        }
        Window::LastDays(count) => {
            let days = counted(count, "natural day");
            let last = if include_today { "ending with as_of's day" } else { "before as_of's day" };
            format!("in the {days} {last}, from the start of the first (included) to {end},")
        }
        Window::LastMonths(count) => {
            format!("from {} before as_of's day (included) to {end}", counted(count, "calendar month"))
        }
        Window::ThisMonth => format!("in as_of's calendar month, from its first day (included) to {end},"),
        Window::LastMonth => {
            let ends = "from its first day (included) to the first day of as_of's month (not included)";
            format!("in the calendar month before as_of's, {ends},")
        }
    }
}

fn comparison(test: &Comparison) -> String {
    let end = |operator, value: &Value| (words(operator, value), format!("{} {}", sign(operator), shown(value)));
    match test {
        Comparison::Single(operator, value) => {
            let (words, sign) = end(*operator, value);
            format!("{words} ({sign})")
        }
        Comparison::In(values) => format!("is {} (in)", values_in(values)),
        Comparison::Band { from, to } => {
            let from = from.as_ref().map(|value| end(Operator::Ge, value));
            let to = to.as_ref().map(|value| end(Operator::Lt, value));
            match (from, to) {
                (Some((from, ge)), Some((to, lt))) => format!("{from} and {to} ({ge} and {lt})"),
                (Some((from, ge)), None) => format!("{from} ({ge}, no upper end)"),
                (None, Some((to, lt))) => format!("{to} ({lt}, no lower end)"),
                (None, None) => "has a value".to_owned(),
            }
        }
    }
}

fn words(operator: Operator, value: &Value) -> String {
    let is_time = matches!(value, Value::Time(_));
    let verb = match operator {
        Operator::Eq => "equals",
        Operator::Ne => "differs from",
        Operator::Lt if is_time => "is earlier than",
        Operator::Le if is_time => "is not later than",
        Operator::Gt if is_time => "is later than",
        Operator::Ge if is_time => "is not earlier than",
        Operator::Lt => "is less than",
        Operator::Le => "is at most",
        Operator::Gt => "is more than",
        Operator::Ge => "is at least",
    };
    match value {
        Value::Time(time) => format!("{verb} {}", time_words(*time)),
        Value::AsOfMonth => format!("{verb} the calendar month of as_of"),
        plain => format!("{verb} {}", shown(plain)),
    }
}

fn time_words(time: TimeValue) -> String {
    match time {
        TimeValue::AsOfMinus(0, _) => "as_of".to_owned(),
        TimeValue::AsOfMinus(count, unit) => {
            let unit = match unit {
                CalendarUnit::Days => "natural day",
                CalendarUnit::Months => "calendar month",
            };
            format!("as_of minus {}", counted(count, unit))
        }
        fixed => time_shown(fixed),
    }
}

fn values_in(values: &[Value]) -> String {
    let values: Vec<String> = values.iter().map(shown).collect();
    match values.as_slice() {
        [single] => single.clone(),
        several => format!("one of {}", several.join(", ")),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("`{text}`"),
        plain => value_shown(plain),
    }
}

fn counted(count: u32, unit: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    names.map(|name| format!("`{name}`")).collect()
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    quoted(names).join(", ")
}

/// `a`, `a or b`, `a, b or c`.
fn one_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    match quoted(names).as_slice() {
        [front @ .., last] if !front.is_empty() => format!("{} or {last}", front.join(", ")),
        few => few.concat(),
    }
}

/// `a`, `a; and b`, `a; b; and c`.
fn series(items: &[String], conjunction: &str) -> String {
    match items {
        [front @ .., last] if !front.is_empty() => format!("{}; {conjunction} {last}", front.join("; ")),
        few => few.concat(),
    }
}

//! Conditions: which kind a mapping is, and the kinds that hold other conditions.

use super::{CONDITION_AMBIGUOUS, CONDITION_MISPLACED, CONDITION_UNKNOWN, events, leaves, not_yet};
use crate::ids::StaffId;
use crate::segment::tree::{FollowNode, Node};
use crate::yaml::{At, Entry, Fields, Problem, codes, near_hint, one_of, read_each};

/// Reads a condition on customers.
pub(super) fn node(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<Node> {
    let fields = at.fields("a condition, such as `tag: {…}`", problems)?;
    only(kinds(&fields, &CUSTOMER, problems), |entry| customer_kind(entry, &fields, problems))
}

/// Reads a condition on a single follow.
fn follow_node(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<FollowNode> {
    let fields = at.fields("a condition on a follow, such as `tag: {…}`", problems)?;
    only(kinds(&fields, &FOLLOW, problems), |entry| follow_kind(entry, &fields, problems))
}

fn customer_kind(entry: &Entry<'_>, fields: &Fields<'_>, problems: &mut Vec<Problem>) -> Option<Node> {
    if entry.key == "event" {
        return events::event(fields, &CUSTOMER.every_kind(), problems).map(Node::Event);
    }
    alone(entry, fields, &CUSTOMER, problems);
    let at = &entry.value;
    match entry.key {
        "all" => parts(at, node, problems).map(Node::All),
        "any" => parts(at, node, problems).map(Node::Any),
        "not" => node(at, problems).map(|part| Node::Not(Box::new(part))),
        "same_follower" => parts(at, follow_node, problems).map(Node::SameFollower),
        "tag" => leaves::tag(at, problems).map(Node::Tag),
        "attribute" => leaves::attribute(at, problems).map(Node::Attribute),
        "segment" => segment_name(at, problems).map(Node::Segment),
        _ => at.text("a SELECT", problems).map(Node::Sql),
    }
}

fn follow_kind(entry: &Entry<'_>, fields: &Fields<'_>, problems: &mut Vec<Problem>) -> Option<FollowNode> {
    alone(entry, fields, &FOLLOW, problems);
    let at = &entry.value;
    match entry.key {
        "any" => parts(at, follow_node, problems).map(FollowNode::Any),
        "not" => follow_node(at, problems).map(|part| FollowNode::Not(Box::new(part))),
        "tag" => leaves::follow_tag(at, problems).map(FollowNode::Tag),
        _ => {
            let staff = at.texts("a list of staff ids", problems)?;
            Some(FollowNode::Staff(staff.into_iter().map(StaffId::new).collect()))
        }
    }
}

type Read<T> = fn(&At<'_>, &mut Vec<Problem>) -> Option<T>;

fn parts<T>(at: &At<'_>, read: Read<T>, problems: &mut Vec<Problem>) -> Option<Vec<T>> {
    let items = at.items("a list of conditions", problems)?;
    read_each(&items, |item| read(item, problems))
}

/// Reads every kind that was found, so that the problems inside come out, and answers where it was the only one.
fn only<T>(kinds: Vec<&Entry<'_>>, read: impl FnMut(&Entry<'_>) -> Option<T>) -> Option<T> {
    let is_only = kinds.len() == 1;
    let mut found: Vec<Option<T>> = kinds.into_iter().map(read).collect();
    found.pop().flatten().filter(|_| is_only)
}

/// The kinds of condition that one place of the document knows.
struct Grammar {
    /// The keys that say what kind a condition is.
    kinds: &'static [&'static str],
    /// Kinds that belong into another place, and where.
    elsewhere: &'static [(&'static str, &'static str)],
    /// Kinds whose meaning is decided and that do not work yet.
    later: &'static [&'static str],
}

const CUSTOMER: Grammar = Grammar {
    kinds: &["all", "any", "not", "same_follower", "tag", "attribute", "event", "segment", "sql"],
    elsewhere: &[("staff", "a staff member is a condition on a follow: put `staff` inside `same_follower`")],
    later: &["sequence", "department", "added_at"],
};

const BESIDE: &str = "this is a condition on the customer: put it beside `same_follower` in a list of `all`";

const FOLLOW: Grammar = Grammar {
    kinds: &["tag", "staff", "not", "any"],
    elsewhere: &[
        ("all", "write the parts of `all` straight into the list of `same_follower`: every one of them has to hold"),
        ("same_follower", "the list of `same_follower` is about one follow already"),
        ("attribute", BESIDE),
        ("event", BESIDE),
        ("segment", BESIDE),
        ("sql", BESIDE),
        ("sequence", BESIDE),
    ],
    later: &["department", "added_at"],
};

impl Grammar {
    /// Every key that is a kind somewhere: it has its own message and is never merely an unknown key.
    fn every_kind(&self) -> Vec<&'static str> {
        let elsewhere = self.elsewhere.iter().map(|(kind, _)| *kind);
        self.kinds.iter().copied().chain(elsewhere).chain(self.later.iter().copied()).collect()
    }

    /// The problem with a kind that has no place here, or not yet.
    fn misfit(&self, entry: &Entry<'_>) -> Option<Problem> {
        if self.later.contains(&entry.key) {
            let message = format!("the condition `{}` is not supported yet", entry.key);
            return Some(not_yet(entry.problem(codes::NOT_SUPPORTED_YET, message)));
        }
        let (kind, hint) = self.elsewhere.iter().find(|(kind, _)| *kind == entry.key)?;
        Some(entry.problem(CONDITION_MISPLACED, format!("`{kind}` has no place here")).with_hint(*hint))
    }
}

/// Finds the keys that say what kind of condition this is. One is right; none and several are problems.
fn kinds<'f, 'a>(fields: &'f Fields<'a>, grammar: &Grammar, problems: &mut Vec<Problem>) -> Vec<&'f Entry<'a>> {
    let misfits: Vec<Problem> = fields.entries.iter().filter_map(|entry| grammar.misfit(entry)).collect();
    let found: Vec<&Entry<'a>> = fields.entries.iter().filter(|entry| grammar.kinds.contains(&entry.key)).collect();
    if found.is_empty() && misfits.is_empty() {
        problems.push(no_kind(fields, grammar));
    }
    if found.len() > 1 {
        let names: Vec<&str> = found.iter().map(|entry| entry.key).collect();
        let message = format!("a condition is of one kind, and this is `{}`", names.join("` and `"));
        let hint = "make each its own item, with its own `-`, of a list of `all` or `any`";
        problems.push(fields.at.problem(CONDITION_AMBIGUOUS, message).with_hint(hint));
    }
    problems.extend(misfits);
    found
}

fn no_kind(fields: &Fields<'_>, grammar: &Grammar) -> Problem {
    let Some(first) = fields.entries.first() else {
        let hint = format!("write {}", one_of(grammar.kinds));
        return fields.at.problem(CONDITION_UNKNOWN, "an empty mapping is no condition").with_hint(hint);
    };
    // Somebody who wrote the inside of a condition needs its name, not a list of all of them.
    let inside = INSIDES.iter().find(|(kind, keys)| {
        grammar.kinds.contains(kind) && fields.entries.iter().any(|entry| keys.contains(&entry.key))
    });
    match inside {
        Some(("event", _)) => fields.missing("event", "name the events that count, as in `event: pay`"),
        Some((kind, keys)) => {
            fields.missing(kind, &format!("put {} inside `{kind}: {{…}}`", one_of(keys).replace(" or ", " and ")))
        }
        None => first
            .problem(CONDITION_UNKNOWN, format!("unknown condition `{}`", first.key))
            .with_hint(near_hint(first.key, grammar.kinds)),
    }
}

/// Keys by which the inside of a condition is known.
const INSIDES: [(&str, &[&str]); 3] = [
    ("event", &["window", "measure", "filter", "include_today", "never", "of", "currency"]),
    ("tag", &["any_of", "all_of", "none_of", "follower"]),
    ("attribute", &["name", "op", "value", "missing"]),
];

/// Reports what stands beside a kind that has everything inside.
fn alone(entry: &Entry<'_>, fields: &Fields<'_>, grammar: &Grammar, problems: &mut Vec<Problem>) {
    let every_kind = grammar.every_kind();
    let inside = INSIDES.iter().find(|(kind, _)| *kind == entry.key).map(|(_, keys)| *keys).unwrap_or_default();
    for other in fields.entries.iter().filter(|other| !every_kind.contains(&other.key)) {
        let message = format!("`{}` has no place beside `{}`", other.key, entry.key);
        let problem = other.problem(codes::KEY_MISPLACED, message);
        problems.push(if inside.contains(&other.key) {
            problem.with_hint(format!("put it inside: `{}: {{…, {}: …}}`", entry.key, other.key))
        } else {
            problem.with_hint(format!("a condition has one key; `{}` is the one of this condition", entry.key))
        });
    }
}

/// Reads a reference to another segment: a file stem, so that no document reaches outside its folder.
fn segment_name(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<String> {
    let name = at.text("the name of a segment", problems)?;
    let is_path = name.contains(['/', '\\']) || name.starts_with('.') || name.contains(char::is_control);
    let is_file = [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending));
    if is_path || is_file {
        let message = format!("`{}` is a path, not the name of a segment", name.escape_debug());
        let hint = "write the name without folder and ending: `segment: vip_birthday` reads `vip_birthday.yaml`";
        problems.push(at.problem(codes::VALUE_INVALID, message).with_hint(hint));
        return None;
    }
    Some(name)
}

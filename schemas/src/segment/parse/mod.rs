//! The parser of segment documents: from text to the tree, with every problem of the text at once.
//!
//! It decides what the words of a document mean and never looks at a table: whether a tag, a column or an event type
//! exists is the business of `check`. There are no defaults for operator, window, measure, follower and missing: what
//! a document means can be read off the document.

mod as_of;
mod comparison;
mod events;
mod leaves;
mod nodes;
mod values;
mod windows;

pub use as_of::WrittenAsOf;
pub(crate) use comparison::OPERATORS;
pub(crate) use leaves::tag_ref;

use super::tree::{AsOf, Segment, TimeValue, Universe};
use crate::ids::SnapshotId;
use crate::yaml::{At, Fields, Problem, Problems, Spanned, codes, read};

/// Two kinds of condition in one mapping, or two ways to name tags in one condition.
pub const CONDITION_AMBIGUOUS: &str = "CONDITION_AMBIGUOUS";
/// A condition of no known kind.
pub const CONDITION_UNKNOWN: &str = "CONDITION_UNKNOWN";
/// A condition on customers where one on a follow is meant, or the other way round.
pub const CONDITION_MISPLACED: &str = "CONDITION_MISPLACED";
/// A tag that is named without its group.
pub const TAG_REF_INVALID: &str = "TAG_REF_INVALID";
/// A number that is not written out, or has too many digits.
pub const NUMBER_INVALID: &str = "NUMBER_INVALID";
/// A time that does not exist or is not written as one.
pub const TIME_INVALID: &str = "TIME_INVALID";
/// A window or a band that ends where or before it begins.
pub const WINDOW_REVERSED: &str = "WINDOW_REVERSED";

/// Reads a segment document.
///
/// # Errors
/// Every problem of the document, sorted by its place in the text.
pub fn parse_segment(text: &str) -> Result<Segment, Problems> {
    let document = read(text)?;
    let mut problems = Vec::new();
    let found = segment(&At::root(&document), Place::Document, &mut problems);
    Problems::resolve(found, problems)
}

/// Reads the segment inside another document, such as the `when` of a rule: without a name, and with `as_of: latest`
/// where it says nothing else.
///
/// The answer counts only where no problem was pushed.
pub(crate) fn segment_body(node: &Spanned, path: &str, problems: &mut Vec<Problem>) -> Option<Segment> {
    segment(&At::new(node, path), Place::Inside, problems)
}

/// Where a segment stands, which decides what it may leave out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Document,
    Inside,
}

fn segment(at: &At<'_>, place: Place, problems: &mut Vec<Problem>) -> Option<Segment> {
    let fields = at.fields("a segment with the keys `universe`, `as_of` and `where`", problems)?;
    let keys: &[&str] = match place {
        Place::Document => &["name", "universe", "as_of", "where"],
        Place::Inside => &["universe", "as_of", "where"],
    };
    fields.known(keys, problems);
    let name = match place {
        Place::Document => fields.get("name").and_then(|name| name.text("the segment's name", problems)),
        Place::Inside => None,
    };
    let universe = fields
        .need("universe", "say what `not` is taken against: `universe: followed`, `all` or `lost`", problems)
        .and_then(|word| word.word("universe", Universe::WORDS, problems));
    let as_of = match (fields.get("as_of"), place) {
        (Some(written), _) => as_of(&written, problems),
        (None, Place::Inside) => Some(AsOf::Latest),
        (None, Place::Document) => {
            let hint = "write `as_of: latest`, a snapshot's number, or a time with its offset";
            problems.push(fields.missing("as_of", hint));
            None
        }
    };
    let condition = fields
        .need("where", "write the condition, such as `where: {tag: {any_of: [会员等级/VIP], follower: any}}`", problems)
        .and_then(|condition| nodes::node(&condition, problems));
    Some(Segment { name, universe: universe?, as_of: as_of?, condition: condition? })
}

fn as_of(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<AsOf> {
    const EXPECTED: &str = "`latest`, a snapshot's number, or a time with its offset";
    let Some(text) = at.scalar() else {
        problems.push(at.expected(EXPECTED));
        return None;
    };
    if text == "latest" {
        return Some(AsOf::Latest);
    }
    if let Some(snapshot_id) = text.parse::<i64>().ok().filter(|id| *id > 0) {
        return Some(AsOf::Snapshot(SnapshotId(snapshot_id)));
    }
    match values::written_time(text) {
        Some(Ok(TimeValue::Instant(instant))) => return Some(AsOf::Time(instant)),
        Some(Ok(_)) => {
            let hint = "add the offset, as in `2026-06-01T08:00:00+08:00`: a document has no time zone of its own";
            problems.push(at.problem(TIME_INVALID, format!("`{text}` has no offset")).with_hint(hint));
        }
        Some(Err(fault)) => problems.push(fault.at(at)),
        None => problems.push(at.expected(EXPECTED)),
    }
    None
}

/// Reports the keys that are not known here, and apart from them those whose meaning is decided but does not work yet.
fn check_keys(fields: &Fields<'_>, known: &[&str], later: &[&str], problems: &mut Vec<Problem>) {
    for entry in &fields.entries {
        if later.contains(&entry.key) {
            let message = format!("`{}` is not supported yet", entry.key);
            problems.push(not_yet(entry.problem(codes::NOT_SUPPORTED_YET, message)));
        } else if !known.contains(&entry.key) {
            problems.push(entry.unknown(known));
        }
    }
}

/// Adds the hint of everything that does not work yet.
fn not_yet(problem: Problem) -> Problem {
    problem.with_hint("leave it out for now, or put that part of the question into an `sql:` condition")
}

#[cfg(test)]
mod tests;

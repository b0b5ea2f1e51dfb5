//! Conditions on tags and attributes.

use super::comparison::comparison;
use super::{CONDITION_AMBIGUOUS, TAG_REF_INVALID, check_keys, values};
use crate::ids::{StaffId, TagId};
use crate::segment::tree::{AttributeLeaf, Follower, Missing, TagLeaf, TagRef, TagTest};
use crate::yaml::{At, Entry, Fields, Problem, Yaml, codes, read_each};

const TAG_TESTS: [&str; 3] = ["any_of", "all_of", "none_of"];
const LATER_IN_TAG: [&str; 1] = ["held_since"];

/// Reads the inside of `tag:` as a condition on customers.
pub(super) fn tag(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<TagLeaf> {
    let fields = at.fields("a tag condition, such as `{any_of: [会员等级/VIP], follower: any}`", problems)?;
    check_keys(&fields, &["any_of", "all_of", "none_of", "follower"], &LATER_IN_TAG, problems);
    let test = tag_test(&fields, problems);
    let follower = fields
        .need("follower", "say on which follows: `follower: any`, `all`, or a list of staff ids", problems)
        .and_then(|at| follower(&at, problems));
    Some(TagLeaf { test: test?, follower: follower? })
}

/// Reads the inside of `tag:` as a condition on a single follow.
pub(super) fn follow_tag(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<TagTest> {
    let fields = at.fields("a tag condition, such as `{any_of: [会员等级/VIP]}`", problems)?;
    if let Some(entry) = fields.entry("follower") {
        let message = "`follower` has no place inside `same_follower`";
        let hint = "leave it out: every condition of `same_follower` is about one and the same follow";
        problems.push(entry.problem(codes::KEY_MISPLACED, message).with_hint(hint));
    }
    check_keys(&fields, &["any_of", "all_of", "none_of", "follower"], &LATER_IN_TAG, problems);
    tag_test(&fields, problems)
}

fn tag_test(fields: &Fields<'_>, problems: &mut Vec<Problem>) -> Option<TagTest> {
    let written: Vec<&Entry<'_>> = fields.entries.iter().filter(|entry| TAG_TESTS.contains(&entry.key)).collect();
    if written.is_empty() {
        let message = "one of `any_of`, `all_of` and `none_of` is missing";
        let hint = "name the tags, as in `any_of: [会员等级/VIP]`";
        problems.push(fields.at.problem(codes::KEY_MISSING, message).with_hint(hint));
    }
    if written.len() > 1 {
        let hint = "make each its own `tag:` condition in a list of `all`";
        let message = "a tag condition has one of `any_of`, `all_of` and `none_of`";
        problems.push(fields.at.problem(CONDITION_AMBIGUOUS, message).with_hint(hint));
    }
    let mut tests = Vec::new();
    for entry in &written {
        let items = entry.value.items("a list of tags", problems).unwrap_or_default();
        let tags = read_each(&items, |item| tag_ref(item, problems)).filter(|tags| !tags.is_empty());
        tests.extend(tags.map(|tags| match entry.key {
            "any_of" => TagTest::AnyOf(tags),
            "all_of" => TagTest::AllOf(tags),
            _ => TagTest::NoneOf(tags),
        }));
    }
    if written.len() == 1 { tests.pop() } else { None }
}

/// Reads `group/tag` or `{id: TAG_ID}`.
pub(crate) fn tag_ref(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<TagRef> {
    if matches!(at.node.value, Yaml::Mapping(_)) {
        let fields = at.fields("a tag's id", problems)?;
        fields.known(&["id"], problems);
        let id = fields.need("id", "write `{id: TAG_ID}`", problems)?.text("a tag's id", problems)?;
        return Some(TagRef::Id(TagId::new(id)));
    }
    let name = at.text("a tag as `group/tag` or `{id: TAG_ID}`", problems)?;
    // A name may hold slashes itself, so that all that is asked is one with something on both sides.
    let has_group = name.char_indices().any(|(index, c)| c == '/' && index > 0 && index + 1 < name.len());
    if !has_group {
        let hint = format!("write the group too, as in `会员等级/{}`, or `{{id: TAG_ID}}`", name.trim_matches('/'));
        problems.push(at.problem(TAG_REF_INVALID, format!("`{name}` does not say its tag group")).with_hint(hint));
        return None;
    }
    Some(TagRef::Name(name))
}

fn follower(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<Follower> {
    let staff = match &at.node.value {
        Yaml::Scalar { text, .. } if text == "any" => return Some(Follower::Any),
        Yaml::Scalar { text, .. } if text == "all" => return Some(Follower::All),
        Yaml::Scalar { text, .. } => {
            let hint = format!("write `any`, `all`, or a list of staff ids such as `[{text}]`");
            problems.push(at.problem(codes::WORD_UNKNOWN, format!("unknown follower `{text}`")).with_hint(hint));
            return None;
        }
        Yaml::Mapping(_) => {
            let fields = at.fields("`{named: [STAFF_ID]}`", problems)?;
            fields.known(&["named"], problems);
            fields.need("named", "write `{named: [STAFF_ID]}`", problems)?.texts("a list of staff ids", problems)?
        }
        Yaml::Null | Yaml::Sequence(_) => at.texts("a list of staff ids", problems)?,
    };
    Some(Follower::Named(staff.into_iter().map(StaffId::new).collect()))
}

/// Reads the inside of `attribute:`.
pub(super) fn attribute(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<AttributeLeaf> {
    const SHAPE: &str = "an attribute condition, such as `{name: city, op: \"=\", value: 上海, missing: exclude}`";
    let fields = at.fields(SHAPE, problems)?;
    fields.known(&["name", "op", "value", "missing"], problems);
    let name = fields
        .need("name", "name a column of customer, as in `name: city`", problems)
        .and_then(|at| at.text("a column of customer", problems));
    let test = comparison(&fields, values::value, problems);
    let missing = fields
        .need("missing", "say what a customer without the value is: `missing: exclude` or `include`", problems)
        .and_then(|at| at.word("`missing`", Missing::WORDS, problems));
    Some(AttributeLeaf { name: name?, test: test?, missing: missing? })
}

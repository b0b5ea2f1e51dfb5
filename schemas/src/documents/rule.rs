//! The rule document: a segment, the tag it gives, and how the tag is given and taken away.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::{Value as Json, json};

use super::not_supported;
use crate::segment::canonical::{digest, hash, json_number};
use crate::segment::check::{Catalog, check};
use crate::segment::parse::{segment_body, tag_ref};
use crate::segment::{Segment, TagRef};
use crate::words::words;
use crate::yaml::{self, At, Problem, Problems, codes};

/// How many customers a review shows where the document does not say.
const DEFAULT_SAMPLE: u32 = 20;
const KEYS: [&str; 6] = ["tag", "on", "when", "on_exit", "once_per", "review"];

/// A rule: who is in the segment gets the tag.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The tag that is given.
    pub tag: TagRef,
    /// On which follows it is given.
    pub on: OnFollows,
    /// Who gets it.
    pub when: Segment,
    /// What becomes of it when a customer no longer is in the segment.
    pub on_exit: OnExit,
    /// How the rule's plans are reviewed; `None` where nothing beyond the usual approval is asked for.
    pub review: Option<Review>,
}

words! {
    /// Which follows of a customer a rule tags.
    OnFollows {
        /// The follow that owns the customer.
        Owner = "owner",
        /// Every active follow.
        AllActive = "all_active",
        /// The follows that made the condition true.
        Matched = "matched",
        /// No follow: the assignment is the customer's.
        Customer = "customer",
    }
}

words! {
    /// What becomes of a computed tag when a customer leaves the segment.
    OnExit {
        /// It stays.
        Sticky = "sticky",
        /// It is taken away.
        Retract = "retract",
    }
}

/// How a rule's plans are reviewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Whether somebody has to look before a plan is approved.
    pub is_required: bool,
    /// How many customers are shown as a sample; 20 unless written.
    pub sample: u32,
    /// By which share of the tag's holders a plan may change them (0.5 is half) before it is refused; `None`: no limit.
    pub max_size_change: Option<Decimal>,
}

/// Reads a rule document.
///
/// # Errors
/// All problems of the document at once.
pub fn parse_rule(text: &str) -> Result<Rule, Problems> {
    let node = yaml::read(text)?;
    let mut problems = Vec::new();
    let rule = read_rule(&At::root(&node), &mut problems);
    Problems::resolve(rule, problems)
}

/// Returns every problem that keeps the rule's segment from being asked of a warehouse with this catalog.
///
/// Whether the rule's own tag exists is for whoever runs the rule to say: [`Catalog::resolve`] finds it.
pub fn check_rule(rule: &Rule, catalog: &Catalog) -> Vec<Problem> {
    let below_when = |problem: Problem| Problem { path: format!("/when{}", problem.path), ..problem };
    check(&rule.when, catalog).into_iter().map(below_when).collect()
}

/// Returns the identity of a rule: SHA-256, in hexadecimal digits, over all it says, its segment by hash.
///
/// `references` gives the hash of each segment that the rule's segment refers to, by name.
pub fn rule_hash(rule: &Rule, references: &BTreeMap<String, String>) -> String {
    let tag = match &rule.tag {
        TagRef::Name(name) => Json::String(name.clone()),
        TagRef::Id(id) => json!({ "id": id.as_str() }),
    };
    let review = rule.review.as_ref().map(|review| {
        json!({
            "required": review.is_required,
            "sample": review.sample,
            "max_size_change": review.max_size_change.map(json_number),
        })
    });
    digest(&json!({
        "tag": tag,
        "on": rule.on.as_str(),
        "when": hash(&rule.when, references),
        "on_exit": rule.on_exit.as_str(),
        "review": review,
    }))
}

fn read_rule(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<Rule> {
    let fields = at.fields("a rule with `tag`, `on`, `when` and `on_exit`", problems)?;
    fields.known(&KEYS, problems);
    let tag = fields
        .need("tag", "write `tag: group/tag`, or `tag: {id: TAG_ID}`", problems)
        .and_then(|at| tag_ref(&at, problems));
    let on = fields
        .need("on", "write `on: owner`, `all_active`, `matched` or `customer`", problems)
        .and_then(|at| at.word("choice of follows", OnFollows::WORDS, problems));
    let when = fields
        .need("when", "write `when:` with `universe:` and `where:`", problems)
        .and_then(|at| segment_body(at.node, &at.path, problems));
    let on_exit = fields
        .need("on_exit", "write `on_exit: sticky` or `on_exit: retract`", problems)
        .and_then(|at| read_on_exit(&at, problems));
    if let Some(once_per) = fields.get("once_per") {
        not_supported(&once_per, "`once_per`", problems);
    }
    let review = fields.get("review").map(|at| read_review(&at, problems));
    let review = match review {
        Some(read) => Some(read?),
        None => None,
    };
    Some(Rule { tag: tag?, on: on?, when: when?, on_exit: on_exit?, review })
}

fn read_on_exit(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<OnExit> {
    if at.scalar() == Some("expire") {
        not_supported(at, "`on_exit: expire`", problems);
        return None;
    }
    at.word("way out", OnExit::WORDS, problems)
}

fn read_review(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<Review> {
    let fields = at.fields("a review with `required`", problems)?;
    fields.known(&["required", "sample", "max_size_change"], problems);
    let is_required = fields.need("required", "write `required: true`", problems).and_then(|at| {
        let is_required = at.boolean(problems)?;
        if !is_required {
            let message = "every plan is approved before it is executed, so a review is always required";
            problems.push(at.problem(codes::VALUE_INVALID, message).with_hint("write `required: true`"));
        }
        Some(is_required)
    });
    let sample = match fields.get("sample") {
        Some(at) => at.integer(0..=1000, problems).and_then(|sample| u32::try_from(sample).ok()),
        None => Some(DEFAULT_SAMPLE),
    };
    let max_size_change = match fields.get("max_size_change") {
        Some(at) => Some(read_share(&at, problems)?),
        None => None,
    };
    Some(Review { is_required: is_required?, sample: sample?, max_size_change })
}

fn read_share(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<Decimal> {
    let share = at.plain().and_then(|text| text.parse::<Decimal>().ok()).filter(|share| !share.is_sign_negative());
    if share.is_none() {
        let message = format!("expected a share such as 0.5, found {}", at.node.value.describe());
        problems.push(at.problem(codes::VALUE_INVALID, message).with_hint("0.5 is half of the tag's holders"));
    }
    share
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLEEPING: &str = "
tag: 活跃度/沉睡用户
on: all_active
when:
  universe: followed
  where: {event: login, window: lifetime, measure: last, op: \"<\", value: as_of - 3 months, never: since_created}
on_exit: retract
once_per: null
review: {required: true, sample: 10, max_size_change: 0.5}
";

    #[test]
    fn a_rule_says_tag_follows_segment_and_way_out_s72() {
        let rule = parse_rule(SLEEPING).expect("a rule");
        assert_eq!(rule.tag, TagRef::Name("活跃度/沉睡用户".to_owned()));
        assert_eq!((rule.on, rule.on_exit), (OnFollows::AllActive, OnExit::Retract));
        assert_eq!(rule.when.as_of, crate::segment::AsOf::Latest);
        let half = Decimal::new(5, 1);
        assert_eq!(rule.review, Some(Review { is_required: true, sample: 10, max_size_change: Some(half) }));
    }

    #[test]
    fn all_problems_of_a_rule_are_told_at_once() {
        let text = "tag: VIP\non: owners\nwhen: {universe: all}\non_exit: expire\nreview: {sample: many}\nbeside: 1\n";
        let problems = parse_rule(text).expect_err("problems").0;
        let places: Vec<String> = problems.iter().map(|problem| format!("{} {}", problem.path, problem.code)).collect();
        let told = |place: &str| assert!(places.iter().any(|found| found == place), "{place} is not in {places:?}");
        told("/tag TAG_REF_INVALID");
        told("/on WORD_UNKNOWN");
        told("/on_exit NOT_SUPPORTED_YET");
        told("/review KEY_MISSING");
        told("/review/sample TYPE_WRONG");
        told("/beside KEY_UNKNOWN");
        assert!(places.iter().any(|place| place.starts_with("/when")), "{places:?}");
    }

    #[test]
    fn a_review_that_is_not_required_is_refused() {
        let text = SLEEPING.replace("required: true", "required: false");
        let problems = parse_rule(&text).expect_err("problems").0;
        let found: Vec<(&str, &str)> = problems.iter().map(|problem| (problem.path.as_str(), problem.code)).collect();
        assert_eq!(found, [("/review/required", codes::VALUE_INVALID)]);
        assert_eq!(problems[0].hint.as_deref(), Some("write `required: true`"));
    }

    #[test]
    fn whatever_a_rule_says_is_part_of_its_hash() {
        let of = |text: &str| rule_hash(&parse_rule(text).expect("a rule"), &BTreeMap::new());
        let sleeping = of(SLEEPING);
        assert_eq!(sleeping, of(&SLEEPING.replace("0.5", "0.50")));
        for (from, to) in [("all_active", "owner"), ("retract", "sticky"), ("3 months", "4 months"), ("10", "11")] {
            assert_ne!(sleeping, of(&SLEEPING.replace(from, to)), "{from} → {to}");
        }
    }

    #[test]
    fn a_problem_of_the_segment_is_placed_below_when() {
        let rule = parse_rule(SLEEPING).expect("a rule");
        let problems = check_rule(&rule, &Catalog::default());
        assert_eq!(problems[0].path, "/when/where/event/0");
    }
}

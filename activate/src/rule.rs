//! Running a rule: who should hold its tag, who does, and the plan that makes the one the other.

use std::collections::BTreeSet;

use rust_decimal::Decimal;
use tagmill_query::export::{MemberRows, RowPer};
use tagmill_query::{Access, Definitions, Engine, Evaluation, LoadedSegment, View};
use tagmill_schemas::documents::plan::{PlanHeader, PlanIdentity, PlanKind, PlanStep};
use tagmill_schemas::documents::rule::{OnExit, OnFollows, Rule, parse_rule, rule_hash};
use tagmill_schemas::ids::TagId;
use tagmill_schemas::segment::{AsOf, TagRef};
use tagmill_schemas::yaml::Problem;

use crate::error::ActivateError;
use crate::holders::{Holders, held_by, named_holders, step};
use crate::lint::lint;
use crate::plan::{actor_name, header_of, keep_plan};

/// Steps shown of a plan where its rule does not say how many.
const SAMPLE: usize = 20;

/// A rule with everything it refers to.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedRule {
    /// Its name: its file's stem. What it holds has the source `rule:KEY`.
    pub key: String,
    /// The document.
    pub rule: Rule,
    /// Its condition, with references.
    pub segment: LoadedSegment,
    /// SHA-256 of the canonical document.
    pub hash: String,
}

impl LoadedRule {
    /// The source that holds what the rule gives.
    pub fn source(&self) -> String {
        format!("rule:{}", self.key)
    }
}

/// A plan as a rule's run made it.
#[derive(Debug, Clone, PartialEq)]
pub struct RulePlan {
    /// The plan. With no steps it was not kept: there is nothing to do.
    pub header: PlanHeader,
    /// Customers in the rule's segment.
    pub members: u64,
    /// Of these, the ones that get no step from `on: matched` because the condition holds on none of their active
    /// follows; none where the rule says otherwise which follows it tags.
    pub unmatched_members: u64,
    /// Follows (or customers) that get the tag.
    pub entering: u64,
    /// Follows (or customers) that lose it.
    pub leaving: u64,
    /// Follows (or customers) that keep it.
    pub unchanged: u64,
    /// The first steps.
    pub sample: Vec<PlanStep>,
}

/// Loads a rule by name or file. The segments it refers to are looked for beside it, then in the folders.
///
/// # Errors
/// `ActivateError::RuleFile`, `ActivateError::Rule` with every problem, and what its references may fail with.
pub fn load_rule(definitions: &Definitions, name_or_file: &str) -> Result<LoadedRule, ActivateError> {
    let file = definitions.find(name_or_file)?;
    let shown = file.display().to_string();
    let text =
        std::fs::read_to_string(&file).map_err(|source| ActivateError::RuleFile { path: shown.clone(), source })?;
    let rule = parse_rule(&text).map_err(|problems| ActivateError::Rule { rule: shown.clone(), problems })?;
    let key = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let segment = definitions.beside(&file).from_segment(&key, rule.when.clone())?;
    if rule.on == OnFollows::Matched && !segment.holds_on_follows() {
        let message = "no condition of this rule holds on a follow, so none would be tagged";
        let problem = Problem::new(None, "/on", "NO_FOLLOW_CONDITION", message).with_hint(
            "`matched` needs a `tag:` or `same_follower:` outside `not`; `owner`, `all_active` and `customer` do not",
        );
        return Err(ActivateError::Rule { rule: shown, problems: problem.into() });
    }
    if rule.when.as_of != AsOf::Latest {
        let message = "a rule asks of the newest snapshot, because that is the one its plan changes";
        let problem = Problem::new(None, "/when/as_of", "AS_OF_FIXED", message).with_hint("write `as_of: latest`");
        return Err(ActivateError::Rule { rule: shown, problems: problem.into() });
    }
    let hashes = segment.references.iter().map(|(name, loaded)| (name.clone(), loaded.hash.clone())).collect();
    let hash = rule_hash(&rule, &hashes);
    Ok(LoadedRule { key, rule, segment, hash })
}

/// Makes a rule's plan on the newest snapshot, and keeps it as pending where it has steps.
///
/// The same rule on the same snapshot by the same author is the same plan.
///
/// # Errors
/// `ActivateError::NoActor` for an empty name, `ActivateError::Lint` and `ActivateError::SizeChange` where the plan
/// must not be, and what the question may fail with.
pub async fn run_rule(engine: &Engine, rule: &LoadedRule, author: &str) -> Result<RulePlan, ActivateError> {
    let author = actor_name(author)?;
    let view = engine.view(AsOf::Latest, Access::Full).await?;
    let tag = view.resolve_tag(&rule.rule.tag).await?;
    let evaluation = match rule.rule.on {
        OnFollows::Matched => view.evaluate_follows(&rule.segment).await?,
        _ => view.evaluate(&rule.segment).await?,
    };
    let members = evaluation.count().count;
    let wanted = wanted_holders(&view, rule, &evaluation).await?;
    let held = held_by(&view, &rule.source(), &tag).await?;
    let Changes { mut steps, entering, leaving, unchanged } = changes(&view, rule, &tag, &wanted, &held);
    lint(&view, &steps).await?;
    guard_size(rule, held.len() as u64, entering + leaving)?;
    let header = rule_header(&view, rule, author, &steps);
    if !steps.is_empty() {
        keep_plan(&engine.warehouse().control()?, &header, &steps)?;
    }
    let sample = rule.rule.review.as_ref().map_or(SAMPLE, |review| review.sample as usize);
    steps.truncate(sample);
    let unmatched_members = if rule.rule.on == OnFollows::Matched { members - customers_in(&wanted) } else { 0 };
    Ok(RulePlan { header, members, unmatched_members, entering, leaving, unchanged, sample: steps })
}

/// Who should hold the rule's tag.
async fn wanted_holders(view: &View, rule: &LoadedRule, evaluation: &Evaluation) -> Result<Holders, ActivateError> {
    let members = view.members(evaluation, &member_rows(rule)).await?;
    let mut wanted = named_holders(members, rule.rule.on != OnFollows::Customer, true).await?;
    if rule.rule.on == OnFollows::Matched {
        wanted.retain(|(_, follow), _| follow.is_some_and(|follow| evaluation.matches(follow)));
    }
    Ok(wanted)
}

fn customers_in(holders: &Holders) -> u64 {
    holders.keys().map(|(customer_no, _)| customer_no).collect::<BTreeSet<_>>().len() as u64
}

/// What makes those who hold the tag those who should.
struct Changes {
    /// One step for each change, by customer and follow, numbered from 1.
    steps: Vec<PlanStep>,
    entering: u64,
    leaving: u64,
    unchanged: u64,
}

fn changes(view: &View, rule: &LoadedRule, tag: &TagId, wanted: &Holders, held: &Holders) -> Changes {
    let as_of = view.as_of().with_timezone(&view.zone().0).format("%Y-%m-%d %H:%M");
    let evidence = format!("in `{}` as of {as_of}", rule.key);
    let missing = wanted.iter().filter(|(holder, _)| !held.contains_key(holder));
    let mut steps: Vec<PlanStep> = missing
        .map(|(holder, named)| step(*holder, named, (vec![tag.clone()], Vec::new()), evidence.clone()))
        .collect();
    let entering = steps.len() as u64;
    if rule.rule.on_exit == OnExit::Retract {
        let evidence = format!("no longer {evidence}");
        let gone = held.iter().filter(|(holder, _)| !wanted.contains_key(holder));
        steps.extend(
            gone.map(|(holder, named)| step(*holder, named, (Vec::new(), vec![tag.clone()]), evidence.clone())),
        );
    }
    let leaving = steps.len() as u64 - entering;
    steps.sort_by_key(|step| (step.customer_no, step.follow_no));
    for (place, step) in steps.iter_mut().enumerate() {
        step.step_no = place as i64 + 1;
    }
    Changes { steps, entering, leaving, unchanged: wanted.len() as u64 - entering }
}

fn rule_header(view: &View, rule: &LoadedRule, author: &str, steps: &[PlanStep]) -> PlanHeader {
    let tag = match &rule.rule.tag {
        TagRef::Name(name) => name.clone(),
        TagRef::Id(id) => id.to_string(),
    };
    let source = rule.source();
    let identity = PlanIdentity {
        kind: PlanKind::Rule,
        source: &source,
        author,
        snapshot_id: view.ledger_row().snapshot_id,
        definition_hash: &rule.hash,
    };
    header_of(&identity, format!("{} → {tag}", rule.key), steps, view.engine().warehouse().clock().now())
}

/// The rows of the segment's members that the rule's `on:` needs.
fn member_rows(rule: &LoadedRule) -> MemberRows {
    let customer = ["customer_no", "id_space", "customer_id"];
    let follow = ["customer_no", "id_space", "customer_id", "follow_no", "staff_id", "status"];
    match rule.rule.on {
        OnFollows::Customer => MemberRows::of(&customer),
        OnFollows::Owner => MemberRows::of(&follow),
        OnFollows::AllActive | OnFollows::Matched => MemberRows { row_per: RowPer::Follow, ..MemberRows::of(&follow) },
    }
}

/// A rule's first run may give its tag to as many as it wants; later ones change at most the share that it allows.
fn guard_size(rule: &LoadedRule, held: u64, changes: u64) -> Result<(), ActivateError> {
    let limit = rule.rule.review.as_ref().and_then(|review| review.max_size_change);
    let Some(limit) = limit.filter(|_| held > 0) else { return Ok(()) };
    // A limit that is too large to be multiplied out limits nothing.
    let allowed = limit.checked_mul(Decimal::from(held));
    if allowed.is_some_and(|allowed| Decimal::from(changes) > allowed) {
        return Err(ActivateError::SizeChange { changes, held, limit: limit.to_string() });
    }
    Ok(())
}

//! Running a rule: who should hold its tag, who does, and the plan that makes the one the other.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use tagmill_query::export::{MemberRows, RowPer};
use tagmill_query::{Access, Definitions, Engine, LoadedSegment, Rows, View};
use tagmill_schemas::documents::plan::{
    PlanHeader, PlanIdentity, PlanKind, PlanState, PlanStep, content_hash, plan_id,
};
use tagmill_schemas::documents::rule::{OnExit, OnFollows, Rule, parse_rule, rule_hash};
use tagmill_schemas::ids::{CustomerKey, CustomerNo, FollowNo, StaffId, TagId};
use tagmill_schemas::segment::TagRef;
use tagmill_store::StoredPlan;

use crate::cells::{dense, flag, text};
use crate::error::ActivateError;

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
    /// Follows (or customers) that get the tag.
    pub entering: u64,
    /// Follows (or customers) that lose it.
    pub leaving: u64,
    /// Follows (or customers) that keep it.
    pub unchanged: u64,
    /// The first steps.
    pub sample: Vec<PlanStep>,
}

/// Who holds or should hold a tag: a customer, on one of its follows or by itself.
type Holder = (CustomerNo, Option<FollowNo>);

/// What a step needs to say of a holder.
#[derive(Debug, Clone)]
struct Named {
    customer: CustomerKey,
    staff_id: Option<StaffId>,
}

/// Loads a rule by name or file.
///
/// # Errors
/// `ActivateError::RuleFile`, `ActivateError::Rule` with every problem, and what its references may fail with.
pub fn load_rule(definitions: &Definitions, name_or_file: &str) -> Result<LoadedRule, ActivateError> {
    let file = definitions.find(name_or_file)?;
    let shown = file.display().to_string();
    let text =
        std::fs::read_to_string(&file).map_err(|source| ActivateError::RuleFile { path: shown.clone(), source })?;
    let rule = parse_rule(&text).map_err(|problems| ActivateError::Rule { rule: shown, problems })?;
    let key = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let beside = Definitions::new(file.parent().map(std::path::Path::to_path_buf));
    let segment = beside.from_segment(&key, rule.when.clone())?;
    let hashes = segment.references.iter().map(|(name, loaded)| (name.clone(), loaded.hash.clone())).collect();
    let hash = rule_hash(&rule, &hashes);
    Ok(LoadedRule { key, rule, segment, hash })
}

/// Makes a rule's plan on the snapshot its document means, and keeps it as pending where it has steps.
///
/// The same rule on the same snapshot by the same author is the same plan.
///
/// # Errors
/// `ActivateError::Lint` and `ActivateError::SizeChange` where the plan must not be, and what the question may fail with.
pub async fn run_rule(engine: &Engine, rule: &LoadedRule, author: &str) -> Result<RulePlan, ActivateError> {
    let view = engine.view(rule.segment.segment.as_of, Access::Full).await?;
    let tag = view.resolve_tag(&rule.rule.tag).await?;
    let flags = tag_flags(&view, &tag).await?;
    let evaluation = view.evaluate(&rule.segment).await?;
    let members = view.members(&evaluation, &member_rows(rule)?).await?;
    let wanted = named_holders(members, rule.rule.on != OnFollows::Customer, true).await?;
    let held = held_by(&view, &rule.source(), &tag).await?;
    let as_of = view.as_of().with_timezone(&view.zone().0).format("%Y-%m-%d %H:%M");
    let mut steps = Vec::new();
    let mut unchanged = 0;
    for (holder, named) in &wanted {
        if held.contains_key(holder) {
            unchanged += 1;
        } else {
            steps.push(step(
                *holder,
                named,
                (vec![tag.clone()], Vec::new()),
                format!("in `{}` as of {as_of}", rule.key),
            ));
        }
    }
    let entering = steps.len() as u64;
    if rule.rule.on_exit == OnExit::Retract {
        for (holder, named) in held.iter().filter(|(holder, _)| !wanted.contains_key(holder)) {
            let evidence = format!("no longer in `{}` as of {as_of}", rule.key);
            steps.push(step(*holder, named, (Vec::new(), vec![tag.clone()]), evidence));
        }
    }
    let leaving = steps.len() as u64 - entering;
    steps.sort_by_key(|step| (step.customer_no, step.follow_no));
    for (place, step) in steps.iter_mut().enumerate() {
        step.step_no = place as i64 + 1;
    }
    lint(rule, &flags, leaving)?;
    guard_size(rule, held.len() as u64, entering + leaving)?;
    let header = header_of(engine, &view, rule, author, &steps);
    if !steps.is_empty() {
        let control = engine.warehouse().control()?;
        control.save_plan(&header, &steps)?;
        refuse_rejected(&control.plan(&header.plan_id)?)?;
    }
    let sample = rule.rule.review.as_ref().map_or(SAMPLE, |review| review.sample as usize);
    steps.truncate(sample);
    Ok(RulePlan { header, members: evaluation.count().count, entering, leaving, unchanged, sample: steps })
}

/// The same rule on the same snapshot is the same plan, and what was turned down once stays so.
fn refuse_rejected(plan: &StoredPlan) -> Result<(), ActivateError> {
    if plan.state != PlanState::Rejected {
        return Ok(());
    }
    Err(ActivateError::Lint {
        reason: format!("the same plan, `{}`, was rejected before", plan.header.plan_id),
        advice: "change the rule, or run it on a newer snapshot".to_owned(),
    })
}

fn header_of(engine: &Engine, view: &View, rule: &LoadedRule, author: &str, steps: &[PlanStep]) -> PlanHeader {
    let source = rule.source();
    let identity = PlanIdentity {
        kind: PlanKind::Rule,
        source: &source,
        author,
        snapshot_id: view.ledger_row().snapshot_id,
        definition_hash: &rule.hash,
    };
    let content = content_hash(&identity, steps.iter());
    let tag = match &rule.rule.tag {
        TagRef::Name(name) => name.clone(),
        TagRef::Id(id) => id.to_string(),
    };
    PlanHeader {
        plan_id: plan_id(&content),
        kind: PlanKind::Rule,
        title: format!("{} → {tag}", rule.key),
        author: author.to_owned(),
        created_at: engine.warehouse().clock().now(),
        snapshot_id: view.ledger_row().snapshot_id,
        definition_hash: rule.hash.clone(),
        step_count: steps.len() as u64,
        add_count: steps.iter().map(|step| step.add.len() as u64).sum(),
        remove_count: steps.iter().map(|step| step.remove.len() as u64).sum(),
        content_hash: content,
        source,
    }
}

fn step(holder: Holder, named: &Named, (add, remove): (Vec<TagId>, Vec<TagId>), evidence: String) -> PlanStep {
    PlanStep {
        step_no: 0,
        customer_no: holder.0,
        customer: named.customer.clone(),
        follow_no: holder.1,
        staff_id: named.staff_id.clone(),
        add,
        remove,
        evidence,
    }
}

/// The rows of the segment's members that the rule's `on:` needs.
fn member_rows(rule: &LoadedRule) -> Result<MemberRows, ActivateError> {
    let customer = ["customer_no", "id_space", "customer_id"];
    let follow = ["customer_no", "id_space", "customer_id", "follow_no", "staff_id", "status"];
    Ok(match rule.rule.on {
        OnFollows::Customer => MemberRows::of(&customer),
        OnFollows::Owner => MemberRows::of(&follow),
        OnFollows::AllActive => MemberRows { row_per: RowPer::Follow, ..MemberRows::of(&follow) },
        OnFollows::Matched => {
            return Err(ActivateError::NotYet {
                what: "on: matched".to_owned(),
                advice: "take `owner`, `all_active` or `customer`".to_owned(),
            });
        }
    })
}

/// Reads holders from rows; with `only_active`, follows that are not active or half are left out.
async fn named_holders(
    mut rows: Rows,
    has_follow: bool,
    only_active: bool,
) -> Result<BTreeMap<Holder, Named>, ActivateError> {
    let mut holders = BTreeMap::new();
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            let Some(customer_no) = dense(&batch, "customer_no", row)? else { continue };
            let mut holder: Holder = (CustomerNo(customer_no), None);
            let mut staff_id = None;
            if has_follow {
                holder.1 = dense(&batch, "follow_no", row)?.map(FollowNo);
                staff_id = text(&batch, "staff_id", row)?.map(StaffId);
            }
            let is_active = |status: Option<String>| matches!(status.as_deref(), Some("active" | "half"));
            if has_follow && only_active && !is_active(text(&batch, "status", row)?) {
                continue;
            }
            let customer = CustomerKey {
                id_space: text(&batch, "id_space", row)?.unwrap_or_default(),
                customer_id: text(&batch, "customer_id", row)?.unwrap_or_default(),
            };
            holders.insert(holder, Named { customer, staff_id });
        }
    }
    Ok(holders)
}

/// Who holds a tag by a source now.
async fn held_by(view: &View, source: &str, tag: &TagId) -> Result<BTreeMap<Holder, Named>, ActivateError> {
    let quoted = |text: &str| text.replace('\'', "''");
    let sql = format!(
        "SELECT held.customer_no, customer.id_space, customer.customer_id, held.follow_no, follow.staff_id \
         FROM (SELECT customer_no, follow_no FROM assignment_log WHERE source = '{}' AND tag_id = '{}' \
               GROUP BY customer_no, follow_no HAVING sum(CASE op WHEN 'open' THEN 1 WHEN 'close' THEN -1 ELSE 0 END) > 0) AS held \
         JOIN customer ON customer.customer_no = held.customer_no \
         LEFT JOIN follow ON follow.follow_no = held.follow_no",
        quoted(source),
        quoted(tag.as_str())
    );
    named_holders(view.sql(&sql).await?, true, false).await
}

/// What a tag's row says of what may be done with it.
struct TagFlags {
    name: String,
    may_mark: bool,
    is_protected: bool,
}

async fn tag_flags(view: &View, tag: &TagId) -> Result<TagFlags, ActivateError> {
    let sql = format!(
        "SELECT group_name || '/' || tag_name AS name, may_mark, is_protected FROM tag WHERE tag_id = '{}' \
         ORDER BY valid_from DESC LIMIT 1",
        tag.as_str().replace('\'', "''")
    );
    let batches = view.sql(&sql).await?.collect().await?;
    let missing = || ActivateError::Internal { reason: format!("tag `{tag}` has no row") };
    let batch = batches.first().ok_or_else(missing)?;
    Ok(TagFlags {
        name: text(batch, "name", 0)?.unwrap_or_default(),
        may_mark: flag(batch, "may_mark", 0)?.unwrap_or(true),
        is_protected: flag(batch, "is_protected", 0)?.unwrap_or(false),
    })
}

/// Steps that must not be, whatever the segment says.
fn lint(rule: &LoadedRule, flags: &TagFlags, leaving: u64) -> Result<(), ActivateError> {
    if !flags.may_mark {
        return Err(ActivateError::Lint {
            reason: format!("`{}` may not be marked by us", flags.name),
            advice: format!("give the rule `{}` a tag of its own", rule.key),
        });
    }
    if flags.is_protected && leaving > 0 {
        return Err(ActivateError::Lint {
            reason: format!("`{}` is protected, and {leaving} steps would remove it", flags.name),
            advice: "write `on_exit: sticky`, or give the rule another tag".to_owned(),
        });
    }
    Ok(())
}

/// A rule's first run may give its tag to as many as it wants; later ones change at most the share that it allows.
fn guard_size(rule: &LoadedRule, held: u64, changes: u64) -> Result<(), ActivateError> {
    let limit = rule.rule.review.as_ref().and_then(|review| review.max_size_change);
    let Some(limit) = limit.filter(|_| held > 0) else { return Ok(()) };
    if Decimal::from(changes) > limit * Decimal::from(held) {
        return Err(ActivateError::SizeChange { changes, held, limit: limit.to_string() });
    }
    Ok(())
}

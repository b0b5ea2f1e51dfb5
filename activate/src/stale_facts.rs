//! The facts that the stale report is made of, read from a snapshot and from the definitions.

use std::collections::BTreeMap;

use tagmill_query::{Access, Definitions, Engine, View};
use tagmill_schemas::ids::TagId;
use tagmill_schemas::segment::AsOf;

use crate::cells::{flag, instant, number, text};
use crate::error::ActivateError;
use crate::rule::load_rule;
use crate::stale::{StaleOptions, StaleReport, TagFacts, find_stale};

/// Finds the stale tags of a snapshot. Definitions that cannot be read count as readers of nothing.
///
/// # Errors
/// What the question may fail with.
pub async fn stale_report(
    engine: &Engine,
    definitions: &Definitions,
    max_age_days: u32,
    as_of: AsOf,
) -> Result<StaleReport, ActivateError> {
    let view = engine.view(as_of, Access::Full).await?;
    let readers = readers(&view, definitions).await?;
    let mut facts = Vec::new();
    let mut rows = view.sql(include_str!("stale_facts.sql")).await?;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            let tag_id = TagId(text(&batch, "tag_id", row)?.unwrap_or_default());
            facts.push(TagFacts {
                readers: readers.get(&tag_id).cloned().unwrap_or_default(),
                tag_id,
                group_name: text(&batch, "group_name", row)?.unwrap_or_default(),
                tag_name: text(&batch, "tag_name", row)?.unwrap_or_default(),
                created_at: instant(&batch, "created_at", row)?,
                valid_until: instant(&batch, "valid_until", row)?,
                valid_to: instant(&batch, "valid_to", row)?,
                is_protected: flag(&batch, "is_protected", row)?.unwrap_or(false),
                class: text(&batch, "class", row)?,
                holders: count(number(&batch, "holders", row)?),
                holding_follows: count(number(&batch, "holding_follows", row)?),
                last_given_certain: instant(&batch, "last_given_certain", row)?,
                last_given_possible: instant(&batch, "last_given_possible", row)?,
            });
        }
    }
    let options = StaleOptions {
        as_of: view.as_of(),
        zone: view.zone(),
        snapshot_id: view.ledger_row().snapshot_id,
        max_age_days,
    };
    Ok(find_stale(&facts, &options))
}

fn count(number: Option<i64>) -> u64 {
    number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
}

/// Which segments and rules read each tag.
async fn readers(view: &View, definitions: &Definitions) -> Result<BTreeMap<TagId, Vec<String>>, ActivateError> {
    let mut readers: BTreeMap<TagId, Vec<String>> = BTreeMap::new();
    for name in definitions.names()? {
        let (shown, condition, target) = if let Ok(segment) = definitions.load(&name) {
            (name, segment.segment.condition, None)
        } else if let Ok(rule) = load_rule(definitions, &name) {
            (format!("rule {name}"), rule.segment.segment.condition, Some(rule.rule.tag))
        } else {
            continue;
        };
        for tag in condition.tags().into_iter().chain(&target) {
            if let Ok(id) = view.resolve_tag(tag).await {
                let names = readers.entry(id).or_default();
                if !names.contains(&shown) {
                    names.push(shown.clone());
                }
            }
        }
    }
    Ok(readers)
}

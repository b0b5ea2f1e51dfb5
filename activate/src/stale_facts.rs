//! The facts that the stale report is made of, read from a snapshot and from the definitions.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use tagmill_query::{Access, Definitions, Engine, View};
use tagmill_schemas::documents::audience::parse_audience;
use tagmill_schemas::ids::TagId;
use tagmill_schemas::segment::{AsOf, Node, TagRef};

use crate::cells::{flag, instant, number, text};
use crate::error::ActivateError;
use crate::rule::load_rule;
use crate::stale::{ReaderDoubt, StaleOptions, StaleReport, TagFacts, find_stale, passed_at};

/// Finds the stale tags of a snapshot. A definition that cannot be read leaves it open which tags it reads, and the
/// report says so.
///
/// # Errors
/// What the questions may fail with; `QueryError::DefinitionFile` where the folder of definitions cannot be read.
pub async fn stale_report(
    engine: &Engine,
    definitions: &Definitions,
    max_age_days: u32,
    as_of: AsOf,
) -> Result<StaleReport, ActivateError> {
    let view = engine.view(as_of, Access::Full).await?;
    let options = StaleOptions {
        as_of: view.as_of(),
        zone: view.zone(),
        snapshot_id: view.ledger_row().snapshot_id,
        max_age_days,
    };
    let readership = Readership::of(&view, definitions).await?;
    let mut facts = tag_facts(&view, &readership).await?;
    add_givings(&view, &mut facts, &options).await?;
    Ok(find_stale(&facts, &readership.doubts, &options))
}

async fn tag_facts(view: &View, readership: &Readership) -> Result<Vec<TagFacts>, ActivateError> {
    let mut facts = Vec::new();
    let mut rows = view.sql(include_str!("stale_facts.sql")).await?;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            let tag_id = TagId(text(&batch, "tag_id", row)?.unwrap_or_default());
            facts.push(TagFacts {
                readers: readership.by_tag.get(&tag_id).cloned().unwrap_or_default(),
                tag_id,
                group_name: text(&batch, "group_name", row)?.unwrap_or_default(),
                tag_name: text(&batch, "tag_name", row)?.unwrap_or_default(),
                created_at: instant(&batch, "created_at", row)?,
                valid_until: instant(&batch, "valid_until", row)?,
                valid_to: instant(&batch, "valid_to", row)?,
                is_protected: flag(&batch, "is_protected", row)?.unwrap_or(false),
                class: text(&batch, "class", row)?,
                holders: count(number(&batch, "holders", row)?),
                former_holders: count(number(&batch, "former_holders", row)?),
                holding_follows: count(number(&batch, "holding_follows", row)?),
                held_by_rule: text(&batch, "held_by_rule", row)?,
                given_since: 0,
                undated: 0,
                last_given_certain: instant(&batch, "last_given_certain", row)?,
                last_given_possible: instant(&batch, "last_given_possible", row)?,
            });
        }
    }
    Ok(facts)
}

/// Counts, of the holders of each tag whose date has passed, those who were given it since.
async fn add_givings(view: &View, facts: &mut [TagFacts], options: &StaleOptions) -> Result<(), ActivateError> {
    let passed: Vec<String> = facts
        .iter()
        .filter(|fact| fact.holders > 0)
        .filter_map(|fact| Some(format!("({}, {})", quoted(&fact.tag_id), literal(passed_at(fact, options)?))))
        .collect();
    if passed.is_empty() {
        return Ok(());
    }
    let sql = include_str!("stale_givings.sql").replace("{passed}", &passed.join(", "));
    let mut counts: BTreeMap<TagId, (u64, u64)> = BTreeMap::new();
    for batch in view.sql(&sql).await?.collect().await? {
        for row in 0..batch.num_rows() {
            let tag_id = TagId(text(&batch, "tag_id", row)?.unwrap_or_default());
            let given_since = count(number(&batch, "given_since", row)?);
            counts.insert(tag_id, (given_since, count(number(&batch, "undated", row)?)));
        }
    }
    for fact in facts {
        if let Some(found) = counts.get(&fact.tag_id) {
            (fact.given_since, fact.undated) = *found;
        }
    }
    Ok(())
}

fn quoted(tag_id: &TagId) -> String {
    format!("'{}'", tag_id.as_str().replace('\'', "''"))
}

/// An instant as SQL, of the type that the log's columns have.
fn literal(at: DateTime<Utc>) -> String {
    let text = at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    format!("arrow_cast('{text}', 'Timestamp(Microsecond, Some(\"UTC\"))')")
}

fn count(number: Option<i64>) -> u64 {
    number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
}

/// Which segments and rules read each tag, and what keeps that from being all.
#[derive(Debug, Default)]
struct Readership {
    by_tag: BTreeMap<TagId, Vec<String>>,
    doubts: Vec<ReaderDoubt>,
}

impl Readership {
    async fn of(view: &View, definitions: &Definitions) -> Result<Self, ActivateError> {
        let mut readership = Self::default();
        if definitions.folder().is_none() {
            readership.doubts.push(ReaderDoubt::NoDefinitions);
            return Ok(readership);
        }
        let (mut unreadable, mut in_sql) = (Vec::new(), Vec::new());
        for name in definitions.names()? {
            let readers = readers_of_tags(definitions, &name);
            if readers.is_empty() && !is_audience(definitions, &name) {
                unreadable.push(name);
                continue;
            }
            for reader in readers {
                readership.add(view, &reader).await;
                if asks_in_sql(&reader.condition) {
                    in_sql.push(reader.shown);
                }
            }
        }
        if !unreadable.is_empty() {
            readership.doubts.push(ReaderDoubt::Unreadable(unreadable));
        }
        if !in_sql.is_empty() {
            readership.doubts.push(ReaderDoubt::AsksInSql(in_sql));
        }
        Ok(readership)
    }

    /// Adds the tags that a reader names. A name that stands for no tag of this snapshot reads none.
    async fn add(&mut self, view: &View, reader: &Reader) {
        for tag in reader.condition.tags().into_iter().chain(&reader.target) {
            if let Ok(id) = view.resolve_tag(tag).await {
                let names = self.by_tag.entry(id).or_default();
                if !names.contains(&reader.shown) {
                    names.push(reader.shown.clone());
                }
            }
        }
    }
}

/// A segment or a rule.
struct Reader {
    /// How a report names it.
    shown: String,
    condition: Node,
    /// The tag that a rule gives.
    target: Option<TagRef>,
}

/// What reads tags under a name: a segment, a rule, or one of each.
fn readers_of_tags(definitions: &Definitions, name: &str) -> Vec<Reader> {
    let segment = definitions.load_name(name).ok().map(|loaded| Reader {
        shown: name.to_owned(),
        condition: loaded.segment.condition,
        target: None,
    });
    let rule = load_rule(definitions, name).ok().map(|loaded| Reader {
        shown: format!("rule {name}"),
        condition: loaded.segment.segment.condition,
        target: Some(loaded.rule.tag),
    });
    segment.into_iter().chain(rule).collect()
}

/// An audience reads a segment, which is a definition of its own.
fn is_audience(definitions: &Definitions, name: &str) -> bool {
    let text = definitions.find(name).ok().and_then(|file| std::fs::read_to_string(file).ok());
    text.is_some_and(|text| parse_audience(&text).is_ok())
}

fn asks_in_sql(node: &Node) -> bool {
    match node {
        Node::All(parts) | Node::Any(parts) => parts.iter().any(asks_in_sql),
        Node::Not(part) => asks_in_sql(part),
        Node::Sql(_) => true,
        _ => false,
    }
}

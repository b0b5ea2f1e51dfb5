//! What changed between two snapshots: rows per table, and the dated taxonomy of tag groups and tags.
//!
//! A group or a tag is known by its id, so that a new name is a renaming, and the same name under a new id is another
//! tag. When something appeared or ended is known as an interval only: after one reading, not later than the next.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use tagmill_query::{Access, Engine, View};
use tagmill_schemas::ids::SnapshotId;
use tagmill_schemas::segment::AsOf;
use tagmill_schemas::tables::TABLES;
use tagmill_store::LedgerRow;

use super::columns::{batch, instant_column, instants, text_column, texts};

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// `table`, `tag_group` or `tag`.
    pub(crate) what: &'static str,
    /// `rows`, `added`, `renamed` or `ended`.
    pub(crate) change: &'static str,
    /// The table's name, or the group's or tag's id.
    pub(crate) id: String,
    /// The row count or the name before; none where it was not there.
    pub(crate) before: Option<String>,
    /// The row count or the name after; none where it is no longer there.
    pub(crate) after: Option<String>,
    /// It happened after this instant.
    pub(crate) seen_after: Option<DateTime<Utc>>,
    /// It had happened by this instant.
    pub(crate) seen_by: Option<DateTime<Utc>>,
}

/// Finds the differences between two snapshots: tables first, then groups, then tags, each by id.
///
/// # Errors
/// `StoreError::NoSnapshot` where there is none of such a number.
pub(crate) async fn changes(engine: &Engine, before: SnapshotId, after: SnapshotId) -> anyhow::Result<Vec<Change>> {
    let ledger = engine.warehouse().ledger().await?;
    let before = engine.view(AsOf::Snapshot(before), Access::Full).await?;
    let after = engine.view(AsOf::Snapshot(after), Access::Full).await?;
    let mut changes = row_changes(before.ledger_row(), after.ledger_row());
    for (what, sql) in [("tag_group", GROUPS_SQL), ("tag", TAGS_SQL)] {
        let (old, new) = (names(&before, sql).await?, names(&after, sql).await?);
        changes.extend(name_changes(what, &old, &new, &ledger));
    }
    Ok(changes)
}

/// The differences as rows: `what`, `change`, `id`, `before`, `after`, `seen_after`, `seen_by`.
///
/// # Errors
/// None that data can cause.
pub(crate) fn to_batch(changes: &[Change]) -> anyhow::Result<RecordBatch> {
    batch([
        ("what", text_column(changes.iter().map(|change| Some(change.what)))),
        ("change", text_column(changes.iter().map(|change| Some(change.change)))),
        ("id", text_column(changes.iter().map(|change| Some(&change.id)))),
        ("before", text_column(changes.iter().map(|change| change.before.as_ref()))),
        ("after", text_column(changes.iter().map(|change| change.after.as_ref()))),
        ("seen_after", instant_column(changes.iter().map(|change| change.seen_after))),
        ("seen_by", instant_column(changes.iter().map(|change| change.seen_by))),
    ])
}

const GROUPS_SQL: &str = "\
SELECT group_id AS id, group_name AS name, valid_from, valid_to
FROM tag_group
ORDER BY group_id, valid_from";

const TAGS_SQL: &str = "\
SELECT tag_id AS id, group_name || '/' || tag_name AS name, valid_from, valid_to
FROM tag
ORDER BY tag_id, valid_from";

/// The latest name of a group or a tag in one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    name: String,
    valid_from: Option<DateTime<Utc>>,
    valid_to: Option<DateTime<Utc>>,
}

/// By id, the latest name that each group or tag bears or bore.
async fn names(view: &View, sql: &str) -> anyhow::Result<BTreeMap<String, Named>> {
    let mut found = BTreeMap::new();
    for batch in view.sql(sql).await?.collect().await? {
        let starts = instants(&batch, "valid_from")?;
        let ends = instants(&batch, "valid_to")?;
        let named = texts(&batch, "id")?.into_iter().zip(texts(&batch, "name")?).zip(starts.into_iter().zip(ends));
        for ((id, name), (valid_from, valid_to)) in named {
            // Rows come in the order of their start: a later name takes the place of an earlier one.
            found.insert(id.unwrap_or_default(), Named { name: name.unwrap_or_default(), valid_from, valid_to });
        }
    }
    Ok(found)
}

fn row_changes(before: &LedgerRow, after: &LedgerRow) -> Vec<Change> {
    let counts = |row: &LedgerRow, table: &str| row.row_counts.get(table).copied().unwrap_or_default();
    TABLES
        .iter()
        .map(|table| (table.name, counts(before, table.name), counts(after, table.name)))
        .filter(|(_, old, new)| old != new)
        .map(|(table, old, new)| Change {
            what: "table",
            change: "rows",
            id: table.to_owned(),
            before: Some(old.to_string()),
            after: Some(new.to_string()),
            seen_after: None,
            seen_by: None,
        })
        .collect()
}

fn name_changes(
    what: &'static str,
    old: &BTreeMap<String, Named>,
    new: &BTreeMap<String, Named>,
    ledger: &[LedgerRow],
) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut push = |change, id: &str, before: Option<&Named>, after: Option<&Named>, seen_by: Option<DateTime<Utc>>| {
        changes.push(Change {
            what,
            change,
            id: id.to_owned(),
            before: before.map(|named| named.name.clone()),
            after: after.map(|named| named.name.clone()),
            seen_after: seen_by.and_then(|instant| reading_before(ledger, instant)),
            seen_by,
        });
    };
    for (id, now) in new {
        let then = old.get(id).filter(|then| then.valid_to.is_none());
        match (then, now.valid_to) {
            (None, None) => push("added", id, None, Some(now), now.valid_from),
            (Some(then), None) if then.name != now.name => push("renamed", id, Some(then), Some(now), now.valid_from),
            (Some(then), Some(ended)) => push("ended", id, Some(then), None, Some(ended)),
            _ => {}
        }
    }
    changes
}

/// The instant of the last reading before the one at `instant`; none before the first.
fn reading_before(ledger: &[LedgerRow], instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
    ledger.iter().map(|row| row.taken_at).filter(|taken_at| *taken_at < instant).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(hour * 3_600, 0).expect("an instant")
    }

    fn reading(id: i64, hour: i64) -> LedgerRow {
        LedgerRow {
            snapshot_id: SnapshotId(id),
            parent_snapshot_id: None,
            published_at: at(hour),
            read_from: at(hour),
            read_until: at(hour),
            taken_at: at(hour),
            source: "wecom".to_owned(),
            tables: BTreeMap::new(),
            row_counts: BTreeMap::new(),
            guard: Vec::new(),
            latest_events: BTreeMap::new(),
            sources: BTreeMap::new(),
        }
    }

    fn named<const N: usize>(rows: [(&str, &str, i64, Option<i64>); N]) -> BTreeMap<String, Named> {
        rows.into_iter()
            .map(|(id, name, from, to)| {
                (id.to_owned(), Named { name: name.to_owned(), valid_from: Some(at(from)), valid_to: to.map(at) })
            })
            .collect()
    }

    fn told(old: &BTreeMap<String, Named>, new: &BTreeMap<String, Named>) -> Vec<String> {
        let ledger = [reading(1, 1), reading(2, 2), reading(3, 3)];
        name_changes("tag", old, new, &ledger)
            .into_iter()
            .map(|change| {
                let hour = |instant: Option<DateTime<Utc>>| instant.map_or(-1, |instant| instant.timestamp() / 3_600);
                format!("{} {} ({},{}]", change.change, change.id, hour(change.seen_after), hour(change.seen_by))
            })
            .collect()
    }

    #[test]
    fn s1_an_added_group_is_listed_once_with_its_first_seen_interval() {
        assert_eq!(told(&named([]), &named([("g", "来源渠道", 2, None)])), ["added g (1,2]"]);
    }

    #[test]
    fn s2_a_new_name_is_a_renaming_and_a_new_id_is_another_tag() {
        let old = named([("a", "等级/VIP", 1, None), ("b", "活动/双11", 1, None)]);
        let renamed = named([("a", "等级/SVIP", 3, None), ("b", "活动/双11", 1, None)]);
        assert_eq!(told(&old, &renamed), ["renamed a (2,3]"]);
        let made_again =
            named([("a", "等级/VIP", 1, None), ("b", "活动/双11", 1, Some(2)), ("c", "活动/双11", 3, None)]);
        assert_eq!(told(&old, &made_again), ["ended b (1,2]", "added c (2,3]"]);
    }

    #[test]
    fn what_had_ended_before_is_no_change() {
        let both = named([("a", "等级/VIP", 1, Some(2))]);
        assert!(told(&both, &both).is_empty());
    }
}

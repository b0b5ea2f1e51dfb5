//! Tag groups and tags, dated: an id is for ever, a name may change, and what is no longer listed has ended.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};

use super::context::{RunContext, Target};
use super::keys::{instant_at, read, text_at};
use super::listed::{with_source, without_duplicates};
use super::merge::{Pair, Wins, concat, is_same, merge, with_column};
use crate::error::IngestError;
use crate::source::Mode;

/// Applies the rows of `tag_group` or `tag`.
pub(super) async fn apply(
    context: &mut RunContext<'_>,
    rows: &RecordBatch,
    target: &mut Target<'_>,
) -> Result<(), IngestError> {
    let (table, key) = if target.select.table == "tag" { ("tag", "tag_id") } else { ("tag_group", "group_id") };
    let rows = if table == "tag" { identified_tags(context, rows).await? } else { identified_groups(context, rows)? };
    let rows = without_duplicates(context, &rows, table, &[key])?;
    if table == "tag_group" {
        for row in 0..rows.num_rows() {
            if let (Some(name), Some(id)) = (text_at(&rows, "group_name", row), text_at(&rows, "group_id", row)) {
                context.staged_groups.insert(name.to_owned(), id.to_owned());
            }
        }
    }
    target.count.accepted = rows.num_rows() as u64;
    let rows = with_source(&rows, &context.source.name)?;
    let is_full = target.select.mode == Mode::Full;
    let (new, ended) = upsert_dated(context, table, key, &rows, is_full).await?;
    target.count.change("new", new);
    target.count.change("ended", ended);
    if table == "tag" {
        add_missing_groups(context, &rows).await?;
    }
    Ok(())
}

/// Merges dated rows into their table; returns how many are new and how many ended.
///
/// A row is an id under one name: a renamed tag has a row for each name it bore, the former ones ended.
async fn upsert_dated(
    context: &mut RunContext<'_>,
    table: &'static str,
    key: &str,
    rows: &RecordBatch,
    is_full: bool,
) -> Result<(u64, u64), IngestError> {
    let schema = context.run.schema(table)?;
    let sql = format!("SELECT * FROM {table} ORDER BY {key}, valid_from");
    let base = concat(&schema, &read(context.run.base(), table, &sql).await?)?;
    let now = context.read_by().timestamp_micros();
    let dating = Dating { source: &context.source.name, table, key, base: &base, rows, is_full, now };
    let dated = dating.rows();
    let pairs: Vec<Pair> = dated.iter().map(|row| row.pair).collect();
    let merged = merge(&schema, &base, rows, &pairs, |_| Wins::Incoming)?;
    let instants = |pick: fn(&Dated) -> Option<i64>| {
        Arc::new(TimestampMicrosecondArray::from_iter(dated.iter().map(pick)).with_timezone("UTC")) as ArrayRef
    };
    let merged = with_column(&merged, "valid_from", instants(|row| row.valid_from))?;
    let merged = with_column(&merged, "valid_to", instants(|row| row.valid_to))?;
    if table == "tag" {
        context.tag_created = Some(super::assignments::created_by_tag(std::slice::from_ref(&merged)));
    }
    if !is_same(&merged, &base) {
        context.run.replace_all(table);
        context.stage(table, None, vec![merged]).await?;
    }
    let new = dated.iter().filter(|row| row.pair.base.is_none()).count() as u64;
    let ended = dated.iter().filter(|row| row.pair.incoming.is_none() && row.valid_to == Some(now)).count() as u64;
    Ok((new, ended))
}

/// One row of the merge, with its dates.
struct Dated {
    pair: Pair,
    valid_from: Option<i64>,
    valid_to: Option<i64>,
}

/// What is needed to date the rows of a merge.
struct Dating<'d> {
    source: &'d str,
    table: &'d str,
    key: &'d str,
    base: &'d RecordBatch,
    rows: &'d RecordBatch,
    is_full: bool,
    now: i64,
}

impl Dating<'_> {
    /// What is there, each row in its place and after it its new name, then what is new.
    fn rows(&self) -> Vec<Dated> {
        let by_id = |batch: &RecordBatch| -> HashMap<String, usize> {
            // Rows of one id come in the order of their start, so that the latest is the one that stays.
            (0..batch.num_rows()).filter_map(|row| Some((text_at(batch, self.key, row)?.to_owned(), row))).collect()
        };
        let (listed, latest) = (by_id(self.rows), by_id(self.base));
        let mut dated = Vec::new();
        for row in 0..self.base.num_rows() {
            let id = text_at(self.base, self.key, row).unwrap_or_default();
            // A row that another source brought stays as it is, and so does a former name.
            let is_ours = text_at(self.base, "source", row) == Some(self.source) && latest.get(id) == Some(&row);
            self.date(row, listed.get(id).copied(), is_ours, &mut dated);
        }
        let mut new: Vec<usize> =
            listed.iter().filter(|(id, _)| !latest.contains_key(*id)).map(|(_, row)| *row).collect();
        new.sort_unstable();
        dated.extend(new.into_iter().map(|row| Dated {
            pair: Pair { base: None, incoming: Some(row) },
            valid_from: Some(self.now),
            valid_to: None,
        }));
        dated
    }

    fn date(&self, row: usize, listed: Option<usize>, is_ours: bool, dated: &mut Vec<Dated>) {
        let valid_from = instant_at(self.base, "valid_from", row);
        let valid_to = instant_at(self.base, "valid_to", row);
        let old = |valid_to| Dated { pair: Pair { base: Some(row), incoming: None }, valid_from, valid_to };
        match listed {
            _ if !is_ours => dated.push(old(valid_to)),
            None if self.is_full => dated.push(old(valid_to.or(Some(self.now)))),
            None => dated.push(old(valid_to)),
            Some(new) => {
                let pair = Pair { base: Some(row), incoming: Some(new) };
                if self.is_renamed(row, new) {
                    dated.push(old(valid_to.or(Some(self.now))));
                    dated.push(Dated { pair, valid_from: Some(self.now), valid_to: None });
                } else {
                    dated.push(Dated { pair, valid_from, valid_to: None });
                }
            }
        }
    }

    fn is_renamed(&self, row: usize, new: usize) -> bool {
        let names: &[&str] = if self.table == "tag" { &["group_name", "tag_name"] } else { &["group_name"] };
        names.iter().any(|name| text_at(self.base, name, row) != text_at(self.rows, name, new))
    }
}

/// A group's id: the source, and the id upstream or else the name.
fn group_id(source: &str, upstream_id: Option<&str>, group_name: &str) -> String {
    format!("{source}:{}", upstream_id.unwrap_or(group_name))
}

/// The id of a tag that its source gives none: `SOURCE:GROUP/NAME`.
pub(super) fn made_tag_id(source: &str, group_name: &str, tag_name: &str) -> String {
    format!("{source}:{group_name}/{tag_name}")
}

fn identified_groups(context: &RunContext<'_>, rows: &RecordBatch) -> Result<RecordBatch, IngestError> {
    let ids: StringArray = (0..rows.num_rows())
        .map(|row| {
            let name = text_at(rows, "group_name", row).unwrap_or_default();
            Some(group_id(&context.source.name, text_at(rows, "upstream_id", row), name))
        })
        .collect();
    with_column(rows, "group_id", Arc::new(ids))
}

/// Tags with their own id, the id of their group, and the flags that are never missing.
async fn identified_tags(context: &mut RunContext<'_>, rows: &RecordBatch) -> Result<RecordBatch, IngestError> {
    let groups = known_groups(context).await?;
    let source = context.source.name.clone();
    let each = 0..rows.num_rows();
    let group_of = |row: usize| text_at(rows, "group_name", row).unwrap_or_default();
    let ids: StringArray = each
        .clone()
        .map(|row| {
            let made = || made_tag_id(&source, group_of(row), text_at(rows, "tag_name", row).unwrap_or_default());
            Some(text_at(rows, "tag_id", row).map_or_else(made, str::to_owned))
        })
        .collect();
    let group_ids: StringArray = each
        .map(|row| {
            let name = group_of(row);
            Some(groups.get(name).cloned().unwrap_or_else(|| group_id(&source, None, name)))
        })
        .collect();
    let rows = with_column(rows, "tag_id", Arc::new(ids))?;
    with_column(&rows, "group_id", Arc::new(group_ids))
}

/// The living groups of this source by name, those that this run has just staged included.
async fn known_groups(context: &mut RunContext<'_>) -> Result<HashMap<String, String>, IngestError> {
    let mut groups = context.staged_groups.clone();
    let sql = "SELECT group_id, group_name, source FROM tag_group WHERE valid_to IS NULL";
    for batch in read(context.run.base(), "tag_group", sql).await? {
        for row in 0..batch.num_rows() {
            let is_ours = text_at(&batch, "source", row) == Some(context.source.name.as_str());
            if let (true, Some(id), Some(name)) =
                (is_ours, text_at(&batch, "group_id", row), text_at(&batch, "group_name", row))
            {
                groups.entry(name.to_owned()).or_insert_with(|| id.to_owned());
            }
        }
    }
    Ok(groups)
}

/// Adds the groups that tags name and no listing of groups has brought.
async fn add_missing_groups(context: &mut RunContext<'_>, tags: &RecordBatch) -> Result<(), IngestError> {
    let known = known_groups(context).await?;
    let mut names: Vec<String> = (0..tags.num_rows())
        .filter_map(|row| text_at(tags, "group_name", row))
        .filter(|name| !known.contains_key(*name))
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    if names.is_empty() || context.state.tables.contains_key("tag_group") {
        return Ok(());
    }
    let rows = RecordBatch::try_from_iter([("group_name", Arc::new(StringArray::from(names)) as ArrayRef)])
        .map_err(IngestError::internal)?;
    let rows = identified_groups(context, &rows)?;
    let rows = with_source(&rows, &context.source.name)?;
    upsert_dated(context, "tag_group", "group_id", &rows, false).await?;
    Ok(())
}

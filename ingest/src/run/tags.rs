//! Tag groups and tags: their ids, the group of each tag, and what is known of them without being listed.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};

use super::conform::Conformed;
use super::context::{RunContext, Target};
use super::dated::{self, TAG, TAG_GROUP};
use super::keys::{read, text_at};
use super::merge::with_column;
use crate::error::IngestError;

/// Applies the rows of `tag_group`.
pub(super) async fn apply_groups(
    context: &mut RunContext<'_>,
    listing: &Conformed,
    target: &mut Target<'_>,
) -> Result<(), IngestError> {
    let listing = Conformed {
        rows: identified_groups(context, &listing.rows)?,
        refused: identified_groups(context, &listing.refused)?,
    };
    let rows = dated::take_in(context, &TAG_GROUP, &listing, target).await?;
    for row in 0..rows.num_rows() {
        if let (Some(name), Some(id)) = (text_at(&rows, "group_name", row), text_at(&rows, "group_id", row)) {
            context.staged_groups.insert(name.to_owned(), id.to_owned());
        }
    }
    Ok(())
}

/// Applies the rows of `tag`.
pub(super) async fn apply(
    context: &mut RunContext<'_>,
    listing: &Conformed,
    target: &mut Target<'_>,
) -> Result<(), IngestError> {
    let groups = known_groups(context).await?;
    let listing = Conformed {
        rows: identified_tags(context, &groups, &listing.rows)?,
        refused: identified_tags(context, &groups, &listing.refused)?,
    };
    let rows = dated::take_in(context, &TAG, &listing, target).await?;
    add_missing_groups(context, &groups, &rows).await
}

/// Adds tags that only assignments name: `tag_id`, `group_name` and `tag_name` of each. Their ids have to be new.
pub(super) async fn make_known(context: &mut RunContext<'_>, rows: &RecordBatch) -> Result<(), IngestError> {
    let groups = known_groups(context).await?;
    let rows = identified_tags(context, &groups, rows)?;
    dated::add(context, &TAG, &rows).await?;
    add_missing_groups(context, &groups, &rows).await
}

/// A group's id: the source, and the id upstream or else the name.
fn group_id(source: &str, upstream_id: Option<&str>, group_name: &str) -> String {
    format!("{source}:{}", upstream_id.unwrap_or(group_name))
}

/// The id of a tag that its source gives none: `SOURCE:GROUP/NAME`, where a `/` of the group is written `\/`, so that
/// two tags never have one id.
pub(super) fn made_tag_id(source: &str, group_name: &str, tag_name: &str) -> String {
    format!("{source}:{}/{tag_name}", group_name.replace('\\', "\\\\").replace('/', "\\/"))
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

/// Tags with their own id and the id of their group.
fn identified_tags(
    context: &RunContext<'_>,
    groups: &HashMap<String, String>,
    rows: &RecordBatch,
) -> Result<RecordBatch, IngestError> {
    let source = context.source.name.as_str();
    let each = 0..rows.num_rows();
    let group_of = |row: usize| text_at(rows, "group_name", row).unwrap_or_default();
    let ids: StringArray = each
        .clone()
        .map(|row| {
            let made = || made_tag_id(source, group_of(row), text_at(rows, "tag_name", row).unwrap_or_default());
            Some(text_at(rows, "tag_id", row).map_or_else(made, str::to_owned))
        })
        .collect();
    let group_ids: StringArray = each
        .map(|row| {
            let name = group_of(row);
            Some(groups.get(name).cloned().unwrap_or_else(|| group_id(source, None, name)))
        })
        .collect();
    let rows = with_column(rows, "tag_id", Arc::new(ids))?;
    with_column(&rows, "group_id", Arc::new(group_ids))
}

/// The living groups of this source by name, those that this run has just staged included.
async fn known_groups(context: &RunContext<'_>) -> Result<HashMap<String, String>, IngestError> {
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
async fn add_missing_groups(
    context: &mut RunContext<'_>,
    known: &HashMap<String, String>,
    tags: &RecordBatch,
) -> Result<(), IngestError> {
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
    dated::add(context, &TAG_GROUP, &rows).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_tags_never_have_one_made_id() {
        assert_eq!(made_tag_id("shop", "会员等级", "VIP"), "shop:会员等级/VIP");
        assert_ne!(made_tag_id("shop", "A/B", "C"), made_tag_id("shop", "A", "B/C"));
        assert_ne!(made_tag_id("shop", "A\\", "B"), made_tag_id("shop", "A", "\\B"));
    }
}

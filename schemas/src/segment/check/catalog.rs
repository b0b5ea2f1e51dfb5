//! What a segment may name in one snapshot of a warehouse, and how a tag's name finds its id.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::problem;
use crate::error::{did_you_mean, near_names};
use crate::ids::{StaffId, TagId};
use crate::segment::tree::{Segment, TagRef};
use crate::tables::ColumnType;
use crate::yaml::Problem;

/// How many names a hint lists at most.
const LISTED: usize = 5;

/// The columns, event types, tags and staff that a segment may name.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// The columns of `customer`, declared attributes included.
    pub columns: Vec<(String, ColumnType)>,
    /// The columns of `event`, declared properties included.
    pub event_columns: Vec<(String, ColumnType)>,
    /// Every event type ever seen.
    pub event_types: Vec<String>,
    /// Every tag ever known, dead ones too.
    pub tags: Vec<CatalogTag>,
    /// Every staff member ever known, from the staff table or from a follow.
    pub staff: Vec<StaffId>,
    /// The columns of `customer` and of `event` that whoever asks may see only masked. They are refused in conditions
    /// on either table, because a condition would tell their values. Empty: none is masked.
    pub masked_columns: Vec<String>,
}

/// One tag under one of its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogTag {
    /// The tag.
    pub tag_id: TagId,
    /// The name of its group.
    pub group_name: String,
    /// Its name.
    pub tag_name: String,
    /// Since when the tag no longer exists under this name; `None` for a living tag.
    pub valid_to: Option<DateTime<Utc>>,
}

impl CatalogTag {
    /// The tag as documents write it: `group/tag`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.group_name, self.tag_name)
    }

    fn is_named(&self, name: &str) -> bool {
        let tag_part = name.strip_prefix(self.group_name.as_str()).and_then(|rest| rest.strip_prefix('/'));
        tag_part == Some(self.tag_name.as_str())
    }
}

/// A tag that a document names as it was called once.
///
/// Displayed as a warning in one sentence, without full stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RenamedTag {
    /// The former name, as the document writes it: `group/tag`.
    pub written: String,
    /// What the tag is called now: `group/tag`.
    pub now: String,
    /// The tag.
    pub tag_id: TagId,
}

impl fmt::Display for RenamedTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the tag `{}` is called `{}` now (its id is `{}`)", self.written, self.now, self.tag_id)
    }
}

impl Catalog {
    /// The type of a column of `customer`; `None` where there is no such column.
    pub fn attribute_type(&self, name: &str) -> Option<ColumnType> {
        type_of(&self.columns, name)
    }

    /// The type of a column or declared property of `event`; `None` where there is no such column.
    pub fn event_column_type(&self, name: &str) -> Option<ColumnType> {
        type_of(&self.event_columns, name)
    }

    /// Finds the tag that a reference means.
    ///
    /// A name means the living tag of that name; the former name of a tag that lives on under another name still means
    /// it. A dead tag is found by id only.
    ///
    /// # Errors
    /// A problem without place: `TAG_UNKNOWN`, `TAG_AMBIGUOUS` where several living tags bear the name, or `TAG_DEAD`
    /// where only dead ones do.
    pub fn resolve(&self, tag: &TagRef) -> Result<TagId, Problem> {
        match tag {
            TagRef::Name(name) => self.resolve_name(name),
            TagRef::Id(id) => self.resolve_id(id),
        }
    }

    /// Tells what the tag that a reference means is called now, where the reference names it as it was called once.
    ///
    /// `None` for a name that the tag bears, for an id, and for what [`Catalog::resolve`] refuses.
    pub fn renamed(&self, tag: &TagRef) -> Option<RenamedTag> {
        let TagRef::Name(written) = tag else { return None };
        let tag_id = self.resolve_name(written).ok()?;
        let mut living = self.tags.iter().filter(|known| known.valid_to.is_none() && known.tag_id == tag_id).peekable();
        let now = living.peek()?.full_name();
        let is_former = !living.any(|known| known.is_named(written));
        is_former.then(|| RenamedTag { written: written.clone(), now, tag_id })
    }

    /// Every tag that the segment names as it was called once, each name once, in the order of the document.
    ///
    /// Such a segment is answered with the tag as it is; whoever shows the answer shows these as warnings. Segments
    /// that it refers to are not looked into.
    pub fn renamed_tags(&self, segment: &Segment) -> Vec<RenamedTag> {
        let mut renamed: Vec<RenamedTag> = Vec::new();
        for tag in segment.condition.tags() {
            let found = self.renamed(tag).filter(|found| !renamed.contains(found));
            renamed.extend(found);
        }
        renamed
    }

    fn resolve_name(&self, name: &str) -> Result<TagId, Problem> {
        let named: Vec<&CatalogTag> = self.tags.iter().filter(|tag| tag.is_named(name)).collect();
        let living: BTreeSet<&TagId> =
            named.iter().filter(|tag| tag.valid_to.is_none()).map(|tag| &tag.tag_id).collect();
        // A former name of a tag that lives on: the tag is the same, whatever it is called.
        let renamed: BTreeSet<&TagId> = named.iter().map(|tag| &tag.tag_id).filter(|id| self.is_living(id)).collect();
        let meant = if living.is_empty() { renamed } else { living };
        match (meant.first(), meant.len()) {
            (Some(id), 1) => Ok((*id).clone()),
            (Some(_), _) => Err(ambiguous(name, &meant)),
            (None, _) if named.is_empty() => Err(self.unknown(name)),
            (None, _) => Err(dead(name, &named)),
        }
    }

    fn resolve_id(&self, id: &TagId) -> Result<TagId, Problem> {
        if self.tags.iter().any(|tag| tag.tag_id == *id) {
            return Ok(id.clone());
        }
        let near = near_names(id.as_str(), self.tags.iter().map(|tag| tag.tag_id.as_str()));
        Err(problem("", "TAG_UNKNOWN", format!("there is no tag with the id `{id}`"), did_you_mean(&near)))
    }

    fn is_living(&self, id: &TagId) -> bool {
        self.tags.iter().any(|tag| tag.valid_to.is_none() && tag.tag_id == *id)
    }

    fn unknown(&self, name: &str) -> Problem {
        let living = || self.tags.iter().filter(|tag| tag.valid_to.is_none());
        // A group's or a tag's name may itself hold `/`, so that every part after one may be the tag that was meant.
        let tag_parts: Vec<String> = std::iter::once(name)
            .chain(name.match_indices('/').map(|(position, _)| &name[position + 1..]))
            .map(str::to_lowercase)
            .collect();
        let elsewhere: BTreeSet<String> = living()
            .filter(|tag| tag_parts.contains(&tag.tag_name.to_lowercase()))
            .map(CatalogTag::full_name)
            .collect();
        let hint = if elsewhere.is_empty() {
            let full_names: Vec<String> = living().map(CatalogTag::full_name).collect();
            did_you_mean(&near_names(name, full_names.iter().map(String::as_str)))
        } else {
            let listed: Vec<String> = elsewhere.iter().take(LISTED).map(|full| format!("`{full}`")).collect();
            Some(format!("a tag of that name lives in another group: write {}", listed.join(" or ")))
        };
        let hint = hint.or_else(|| Some("`SELECT group_name, tag_name FROM tag` lists the tags".to_owned()));
        problem("", "TAG_UNKNOWN", format!("there is no tag `{name}`"), hint)
    }
}

fn type_of(columns: &[(String, ColumnType)], name: &str) -> Option<ColumnType> {
    columns.iter().find(|(column, _)| column == name).map(|(_, ty)| *ty)
}

fn ambiguous(name: &str, ids: &BTreeSet<&TagId>) -> Problem {
    let listed: Vec<String> = ids.iter().map(|id| format!("`{id}`")).collect();
    let choices: Vec<String> = ids.iter().take(LISTED).map(|id| format!("`{{id: \"{id}\"}}`")).collect();
    let message = format!("`{name}` fits {} living tags: {}", ids.len(), listed.join(", "));
    problem("", "TAG_AMBIGUOUS", message, Some(format!("name the one you mean by its id: {}", choices.join(" or "))))
}

fn dead(name: &str, named: &[&CatalogTag]) -> Problem {
    let ended = |tag: &&CatalogTag| {
        let until = tag.valid_to.map(|end| end.format("%Y-%m-%d %H:%M UTC").to_string());
        format!("`{}` (until {})", tag.tag_id, until.unwrap_or_default())
    };
    let listed: Vec<String> = named.iter().map(ended).collect();
    let message = format!("`{name}` names only what no longer exists: {}", listed.join(", "));
    let hint = "`{id: …}` works for a tag that no longer exists".to_owned();
    problem("", "TAG_DEAD", message, Some(hint))
}

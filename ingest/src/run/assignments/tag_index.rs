//! The tags that an assignment may mean: by id, and by the group and name that a living tag bears.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::DateTime;
use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use tagmill_schemas::clock::BusinessZone;

use super::super::context::RunContext;
use super::super::keys::{HashMap, instant_at, read, text_at};
use super::super::quarantine::Refusal;
use super::super::tags::made_tag_id;
use crate::error::IngestError;

/// Tags as small numbers, and what finds them.
#[derive(Debug, Clone, Default)]
pub(super) struct TagIndex {
    source: String,
    zone: BusinessZone,
    /// Whether a tag that nobody has listed becomes known by an assignment: where its source lists no tags itself.
    makes_known: bool,
    by_id: HashMap<Box<str>, u32>,
    ids: Vec<Box<str>>,
    created: Vec<Option<i64>>,
    living: Names,
    former: Names,
    made: Vec<NewTag>,
}

/// Group, then name, then who bears it.
type Names = HashMap<Box<str>, HashMap<Box<str>, Bearers>>;

/// The tags that bear or bore a name. Those of the source itself come before those of other sources of its id space, and
/// tags of other id spaces belong to another corp.
#[derive(Debug, Clone, Default)]
struct Bearers {
    is_ours: bool,
    tags: Vec<(u32, Option<i64>)>,
}

/// A tag that only assignments name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewTag {
    id: String,
    group: String,
    name: String,
}

/// What an assignment says of its tag came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// The tag of that number.
    Tag(u32),
    /// A tag that is not known yet and may be made known.
    New(NewTag),
    /// No tag, or no single one; with those that it may mean.
    Refused(Refusal, Vec<u32>),
    /// It says nothing.
    Untold,
}

impl TagIndex {
    /// Loads the tags as this run leaves them.
    pub(super) async fn load(context: &RunContext<'_>) -> Result<Self, IngestError> {
        let mut index = Self {
            source: context.source.name.clone(),
            zone: context.zone,
            makes_known: !context.state.tables.contains_key("tag"),
            ..Self::default()
        };
        let batches = match &context.tags {
            Some(rows) => vec![rows.clone()],
            None => {
                let columns = "tag_id, group_name, tag_name, source, created_at, valid_to";
                read(context.run.base(), "tag", &format!("SELECT {columns} FROM tag ORDER BY valid_from")).await?
            }
        };
        let neighbours: HashSet<&str> = context
            .others()
            .filter(|(_, state)| state.id_space == context.source.id_space)
            .map(|(name, _)| name.as_str())
            .collect();
        for batch in &batches {
            index.take(batch, &neighbours);
        }
        Ok(index)
    }

    fn take(&mut self, batch: &RecordBatch, neighbours: &HashSet<&str>) {
        for row in 0..batch.num_rows() {
            let text = |column: &str| text_at(batch, column, row).unwrap_or_default();
            let number = self.number(text("tag_id"));
            if let Some(at) = instant_at(batch, "created_at", row) {
                self.created[number as usize] = Some(at);
            }
            let is_ours = text("source") == self.source;
            if is_ours || neighbours.contains(text("source")) {
                let ended = instant_at(batch, "valid_to", row);
                let names = if ended.is_none() { &mut self.living } else { &mut self.former };
                bear(names, (text("group_name"), text("tag_name")), (number, ended), is_ours);
            }
        }
    }

    /// The number of an id; `None` where it has none.
    pub(super) fn known_number(&self, id: &str) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    /// The number of an id; it is given one where it has none.
    pub(super) fn number(&mut self, id: &str) -> u32 {
        if let Some(number) = self.by_id.get(id) {
            return *number;
        }
        // Tags are counted in thousands.
        let number = self.ids.len() as u32;
        self.by_id.insert(id.into(), number);
        self.ids.push(id.into());
        self.created.push(None);
        number
    }

    /// The id of a number that this index has given.
    pub(super) fn id(&self, number: u32) -> &str {
        self.ids.get(number as usize).map_or("", |id| id.as_ref())
    }

    /// When a tag was made, microseconds; `None` where nobody tells.
    pub(super) fn created(&self, number: u32) -> Option<i64> {
        self.created.get(number as usize).copied().flatten()
    }

    /// Finds the tag that is meant by an id, else by group and name.
    pub(super) fn find(&self, id: Option<&str>, named: Option<(&str, &str)>) -> Found {
        match (id, named) {
            (Some(id), _) => match self.by_id.get(id) {
                Some(number) => Found::Tag(*number),
                None if self.makes_known => {
                    // A tag of which nothing but the id is known bears it as its name, in a group of its source.
                    let (group, name) = named.unwrap_or((self.source.as_str(), id));
                    Found::New(NewTag { id: id.to_owned(), group: group.to_owned(), name: name.to_owned() })
                }
                None => Found::Refused(Refusal::new("UNMATCHED_TAG", format!("no tag `{id}` is known")), Vec::new()),
            },
            (None, Some((group, name))) => self.find_named(group, name),
            (None, None) => Found::Untold,
        }
    }

    fn find_named(&self, group: &str, name: &str) -> Found {
        let borne = |names: &Names| -> Vec<(u32, Option<i64>)> {
            names.get(group).and_then(|names| names.get(name)).map(|found| found.tags.clone()).unwrap_or_default()
        };
        let living = self.living.get(group).and_then(|names| names.get(name)).map(|found| found.tags.as_slice());
        if let Some([(number, _)]) = living {
            return Found::Tag(*number);
        }
        let (meant, refusal) = match (borne(&self.living), borne(&self.former)) {
            (living, _) if !living.is_empty() => {
                let ids: Vec<String> = living.iter().map(|(number, _)| format!("`{}`", self.id(*number))).collect();
                let reason = format!("the tags {} are all named `{group}/{name}`", ids.join(", "));
                (living, Refusal::new("AMBIGUOUS_TAG", reason))
            }
            (_, former) if !former.is_empty() => {
                let ended: Vec<String> = former.iter().map(|(number, ended)| self.ended(*number, *ended)).collect();
                let reason = format!("no tag is named `{group}/{name}` any more: {}", ended.join(", "));
                (former, Refusal::new("UNMATCHED_TAG", reason))
            }
            _ if self.makes_known => {
                let id = made_tag_id(&self.source, group, name);
                return match self.by_id.get(id.as_str()) {
                    Some(number) => Found::Tag(*number),
                    None => Found::New(NewTag { id, group: group.to_owned(), name: name.to_owned() }),
                };
            }
            _ => (Vec::new(), Refusal::new("UNMATCHED_TAG", format!("no tag `{group}/{name}` is known"))),
        };
        Found::Refused(refusal, meant.into_iter().map(|(number, _)| number).collect())
    }

    fn ended(&self, number: u32, ended: Option<i64>) -> String {
        let day = ended.and_then(DateTime::from_timestamp_micros).map(|at| self.zone.day_of(at).to_string());
        format!("`{}` bore the name until {}", self.id(number), day.unwrap_or_default())
    }

    /// Makes a tag known, and returns its number.
    pub(super) fn add(&mut self, tag: NewTag) -> u32 {
        let number = self.number(&tag.id);
        bear(&mut self.living, (tag.group.as_str(), tag.name.as_str()), (number, None), true);
        self.made.push(tag);
        number
    }

    /// The tags that were made known, as `tag_id`, `group_name` and `tag_name`; `None` where there are none.
    pub(super) fn made(&self) -> Result<Option<RecordBatch>, IngestError> {
        if self.made.is_empty() {
            return Ok(None);
        }
        let texts = |pick: fn(&NewTag) -> &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(self.made.iter().map(pick)))
        };
        let columns = [
            ("tag_id", texts(|tag| tag.id.as_str())),
            ("group_name", texts(|tag| tag.group.as_str())),
            ("tag_name", texts(|tag| tag.name.as_str())),
        ];
        RecordBatch::try_from_iter(columns).map(Some).map_err(IngestError::internal)
    }
}

/// Notes that a tag bears a name, unless one that comes before it does.
fn bear(names: &mut Names, (group, name): (&str, &str), tag: (u32, Option<i64>), is_ours: bool) {
    let bearers = names.entry(group.into()).or_default().entry(name.into()).or_default();
    if is_ours && !bearers.is_ours {
        *bearers = Bearers { is_ours, tags: Vec::new() };
    }
    if is_ours == bearers.is_ours {
        // A tag may have borne a name twice; the later end counts.
        bearers.tags.retain(|(number, _)| *number != tag.0);
        bearers.tags.push(tag);
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::TimestampMicrosecondArray;

    use super::*;

    /// 2026-06-08 00:00 in Shanghai.
    const ENDED: i64 = 1_780_848_000_000_000;

    /// The tags of a corp as `wecom` sees them: id, name in the group `等级`, source, end. `crm` is of its id space,
    /// `shop` is not.
    fn index(makes_known: bool) -> TagIndex {
        let rows = [
            ("t1", "VIP", "wecom", None),
            ("t2", "普通", "wecom", Some(ENDED)),
            ("t3", "重名", "wecom", None),
            ("t4", "重名", "wecom", None),
            ("c1", "VIP", "crm", None),
            ("c2", "银卡", "crm", None),
            ("s1", "VIP", "shop", None),
            ("s2", "金卡", "shop", None),
        ];
        let texts = |array: StringArray| Arc::new(array) as ArrayRef;
        let ends = rows.iter().map(|row| row.3).collect::<TimestampMicrosecondArray>().with_timezone("UTC");
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("tag_id", texts(rows.iter().map(|row| Some(row.0)).collect()), true),
            ("group_name", texts(rows.iter().map(|_| Some("等级")).collect()), true),
            ("tag_name", texts(rows.iter().map(|row| Some(row.1)).collect()), true),
            ("source", texts(rows.iter().map(|row| Some(row.2)).collect()), true),
            ("valid_to", Arc::new(ends) as ArrayRef, true),
        ])
        .expect("a batch");
        let mut index = TagIndex { source: "wecom".to_owned(), makes_known, ..TagIndex::default() };
        index.take(&batch, &HashSet::from(["crm"]));
        index
    }

    fn check(makes_known: bool, id: Option<&str>, name: Option<&str>, expected: &str) {
        let mut index = index(makes_known);
        let told = match index.find(id, name.map(|name| ("等级", name))) {
            Found::Tag(number) => index.id(number).to_owned(),
            Found::New(tag) => {
                let number = index.add(tag.clone());
                assert_eq!(index.find(Some(&tag.id), None), Found::Tag(number));
                assert_eq!(index.find(None, Some((&tag.group, &tag.name))), Found::Tag(number));
                format!("new {} {}/{}", tag.id, tag.group, tag.name)
            }
            Found::Refused(refusal, meant) => {
                let meant: Vec<&str> = meant.into_iter().map(|number| index.id(number)).collect();
                format!("{} {meant:?}", refusal.code)
            }
            Found::Untold => "untold".to_owned(),
        };
        assert_eq!(told, expected, "{id:?} {name:?}");
    }

    #[test]
    fn a_name_means_the_living_tag_of_the_source_then_of_its_id_space() {
        check(false, None, Some("VIP"), "t1");
        check(false, None, Some("银卡"), "c2");
        check(false, None, Some("金卡"), "UNMATCHED_TAG []");
        check(false, None, Some("重名"), "AMBIGUOUS_TAG [\"t3\", \"t4\"]");
        check(false, None, Some("普通"), "UNMATCHED_TAG [\"t2\"]");
        check(true, None, Some("普通"), "UNMATCHED_TAG [\"t2\"]");
        check(false, None, None, "untold");
    }

    #[test]
    fn an_id_means_its_tag_whoever_listed_it_and_whether_it_lives() {
        check(false, Some("s2"), None, "s2");
        check(false, Some("t2"), Some("VIP"), "t2");
        check(false, Some("t9"), Some("VIP"), "UNMATCHED_TAG []");
    }

    #[test]
    fn a_source_that_lists_no_tags_makes_them_known() {
        check(true, Some("t9"), None, "new t9 wecom/t9");
        check(true, Some("t9"), Some("钻石"), "new t9 等级/钻石");
        check(true, None, Some("钻石"), "new wecom:等级/钻石 等级/钻石");
        check(true, None, Some("VIP"), "t1");
    }

    #[test]
    fn a_name_that_only_an_ended_tag_bore_is_refused_with_id_and_day() {
        let Found::Refused(refusal, _) = index(false).find(None, Some(("等级", "普通"))) else { panic!("refused") };
        assert_eq!(refusal.reason, "no tag is named `等级/普通` any more: `t2` bore the name until 2026-06-08");
    }
}

//! The earlier of the two instants that bound a change: before it, nothing can have happened.

use std::collections::{HashMap, HashSet};

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;

use super::super::context::RunContext;
use super::super::keys::{dense, instant_at, read, text_at};
use super::Step;
use super::listing::{NO_FOLLOW, TagNumbers};
use crate::error::IngestError;

/// Before which instant nothing can have happened.
pub(super) struct Bounds {
    /// When each tag was made, by its number.
    tag_created: Vec<Option<i64>>,
    /// When each follow began, by its number.
    follow_added: HashMap<u32, i64>,
    /// When the source's last reading began, and which follows it covered.
    last_reading: Option<(i64, HashSet<u32>)>,
}

impl Bounds {
    pub(super) async fn load(context: &RunContext<'_>, tags: &TagNumbers) -> Result<Self, IngestError> {
        let created = match &context.tag_created {
            Some(created) => created.clone(),
            None => {
                let sql = "SELECT tag_id, created_at FROM tag";
                created_by_tag(&read(context.run.base(), "tag", sql).await?)
            }
        };
        let follow_added = match &context.follow_added {
            Some(added) => added.clone(),
            None => {
                let sql = "SELECT follow_no, added_at FROM follow";
                added_by_follow(&read(context.run.base(), "follow", sql).await?)?
            }
        };
        let mut covered = HashSet::new();
        let sql = "SELECT follow_no FROM follow WHERE status <> 'ended'";
        for batch in read(context.run.base(), "follow", sql).await? {
            for follow in batch.column(0).as_primitive::<Int64Type>().values() {
                covered.insert(dense(*follow)?);
            }
        }
        // A source that has never listed assignments covered nothing.
        let has_listed = context.state.tables.contains_key("assignment");
        let last = context.state.last_read_from.filter(|_| has_listed);
        Ok(Self {
            tag_created: tags.ids.iter().map(|id| created.get(id.as_ref()).copied()).collect(),
            follow_added,
            last_reading: last.map(|at| (at.timestamp_micros(), covered)),
        })
    }

    /// The instant at or after which a step happened; `None` where nothing bounds it.
    pub(super) fn seen_after(&self, step: &Step) -> Option<i64> {
        let last = self
            .last_reading
            .as_ref()
            .filter(|(_, covered)| step.key.follow == NO_FOLLOW || covered.contains(&step.key.follow))
            .map(|(at, _)| *at);
        let made = self.tag_created.get(step.key.tag as usize).copied().flatten();
        let added = self.follow_added.get(&step.key.follow).copied();
        [last, made, added].into_iter().flatten().max()
    }
}

/// When each tag of some rows was made, microseconds; tags that do not say are left out.
pub(in crate::run) fn created_by_tag(batches: &[RecordBatch]) -> HashMap<String, i64> {
    let mut created = HashMap::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            if let (Some(id), Some(at)) = (text_at(batch, "tag_id", row), instant_at(batch, "created_at", row)) {
                created.insert(id.to_owned(), at);
            }
        }
    }
    created
}

/// When each follow of some rows began, microseconds; follows that do not say are left out.
pub(in crate::run) fn added_by_follow(batches: &[RecordBatch]) -> Result<HashMap<u32, i64>, IngestError> {
    let mut added = HashMap::new();
    for batch in batches {
        let Some(follows) = batch.column_by_name("follow_no").and_then(|c| c.as_primitive_opt::<Int64Type>()) else {
            continue;
        };
        for row in 0..batch.num_rows() {
            if let Some(at) = instant_at(batch, "added_at", row) {
                added.insert(dense(follows.value(row))?, at);
            }
        }
    }
    Ok(added)
}

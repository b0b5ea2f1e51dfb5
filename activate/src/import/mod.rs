//! Imports: a list of customers that somebody uploads, and the plan that gives them tags.
//!
//! [`read_upload`] makes rows of a file (`delimited`, `workbook`, `columns`), `directory` finds their customers in a
//! snapshot, `matching` decides each row, and [`run_import`] makes the plan, through the linter that every plan passes.
//! An import only ever gives tags: whoever is no longer listed keeps what an earlier import gave.

mod columns;
mod delimited;
mod directory;
mod matching;
mod outcome;
mod read;
mod workbook;

use std::collections::BTreeMap;

use tagmill_query::{Access, Engine, LoadedSegment, QueryError, View};
use tagmill_schemas::documents::import::{ImportOn, ImportSettings, UploadRow, import_hash};
use tagmill_schemas::documents::plan::{PlanHeader, PlanIdentity, PlanKind, PlanStep};
use tagmill_schemas::ids::TagId;
use tagmill_schemas::segment::{AsOf, TagRef};

use self::directory::Directory;
use self::matching::{Listed, judge};
use crate::error::ActivateError;
use crate::holders::{Holder, Holders, Named, held_by, step};
use crate::lint::lint;
use crate::plan::{actor_name, header_of, keep_plan};

pub use self::columns::UploadColumns;
pub use self::outcome::{ImportCounts, RowOutcome, WhyNot};
pub use self::read::read_upload;

/// Steps shown of an import's plan.
const SAMPLE: usize = 20;

/// What to do with the rows of an upload.
#[derive(Debug, Clone, PartialEq)]
pub struct Import {
    /// Its name. What it gives has the source `import:NAME`, so that the same name again adds to it.
    pub name: String,
    /// The tags that are given; one at least.
    pub tags: Vec<TagRef>,
    /// On which follows.
    pub on: ImportOn,
    /// Who may get them; `None` for everybody who is listed.
    pub segment: Option<LoadedSegment>,
}

impl Import {
    /// The source that holds what the import gives.
    pub fn source(&self) -> String {
        format!("import:{}", self.name)
    }
}

/// A row that gives nobody a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The row, as it was written.
    pub row: UploadRow,
    /// Why.
    pub why: WhyNot,
}

/// A plan as an import made it.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportPlan {
    /// The plan. With no steps it was not kept: there is nothing to do.
    pub header: PlanHeader,
    /// What became of the rows.
    pub counts: ImportCounts,
    /// The rows that were not matched, in order.
    pub left_out: Vec<LeftOut>,
    /// Follows (or customers) that get a tag.
    pub entering: u64,
    /// Follows (or customers) that hold all the tags by this import already.
    pub unchanged: u64,
    /// The first steps.
    pub sample: Vec<PlanStep>,
}

/// Makes an import's plan on the newest snapshot, and keeps it as pending where it has steps.
///
/// The same rows on the same snapshot by the same author are the same plan.
///
/// # Errors
/// `ActivateError::NoActor` for an empty name, `ActivateError::FixedSegment` for a segment of another time,
/// `ActivateError::Lint` where the plan must not be, and what the questions may fail with.
pub async fn run_import(
    engine: &Engine,
    import: &Import,
    rows: &[UploadRow],
    author: &str,
) -> Result<ImportPlan, ActivateError> {
    let author = actor_name(author)?;
    let view = engine.view(AsOf::Latest, Access::Full).await?;
    let tags = resolved(&view, &import.tags).await?;
    let segment = match &import.segment {
        Some(segment) => Some(view.evaluate(asking_latest(segment)?).await?),
        None => None,
    };
    let directory = Directory::load(&view, rows).await?;
    let is_inside = |customer_no| segment.as_ref().is_none_or(|segment| segment.contains(customer_no));
    let verdicts = judge(rows, &directory, import.on, is_inside);
    let Sorted { counts, left_out, wanted } = sorted(rows, verdicts);
    let mut held = Vec::new();
    for tag in &tags {
        held.push((tag.clone(), held_by(&view, &import.source(), tag).await?));
    }
    let mut steps = steps(&view, import, &wanted, &held);
    lint(&view, &steps).await?;
    let header = header(&view, import, &tags, rows, author, &steps);
    if !steps.is_empty() {
        keep_plan(&engine.warehouse().control()?, &header, &steps)?;
    }
    let entering = steps.len() as u64;
    let unchanged = wanted.len() as u64 - entering;
    steps.truncate(SAMPLE);
    Ok(ImportPlan { header, counts, left_out, entering, unchanged, sample: steps })
}

/// The ids of the tags that are meant, each once.
async fn resolved(view: &View, tags: &[TagRef]) -> Result<Vec<TagId>, ActivateError> {
    let mut ids = Vec::new();
    for tag in tags {
        let id = view.resolve_tag(tag).await.map_err(|error| match error {
            QueryError::Document { problems, .. } => ActivateError::ImportTag { problems },
            other => other.into(),
        })?;
        ids.push(id);
    }
    ids.sort();
    ids.dedup();
    Ok(ids)
}

/// The segment, where it asks of the newest snapshot: that is the one the plan changes.
fn asking_latest(segment: &LoadedSegment) -> Result<&LoadedSegment, ActivateError> {
    if segment.segment.as_of == AsOf::Latest {
        Ok(segment)
    } else {
        Err(ActivateError::FixedSegment { segment: segment.key.clone() })
    }
}

/// Who is to hold the tags, each with the first row that says so.
type Wanted = BTreeMap<Holder, (Named, u64)>;

/// Rows by what became of them.
struct Sorted {
    counts: ImportCounts,
    left_out: Vec<LeftOut>,
    wanted: Wanted,
}

fn sorted(rows: &[UploadRow], verdicts: Vec<Result<Listed, WhyNot>>) -> Sorted {
    let mut sorted = Sorted { counts: ImportCounts::default(), left_out: Vec::new(), wanted: Wanted::new() };
    for (row, verdict) in rows.iter().zip(verdicts) {
        match verdict {
            Ok(listed) => {
                sorted.counts.add(RowOutcome::Matched);
                for (holder, staff_id) in listed.holders {
                    let named = Named { customer: listed.customer.clone(), staff_id };
                    sorted.wanted.entry(holder).or_insert((named, row.row));
                }
            }
            Err(why) => {
                sorted.counts.add(why.outcome());
                sorted.left_out.push(LeftOut { row: row.clone(), why });
            }
        }
    }
    sorted
}

/// One step for each holder who lacks a tag, by customer and follow, numbered from 1.
fn steps(view: &View, import: &Import, wanted: &Wanted, held: &[(TagId, Holders)]) -> Vec<PlanStep> {
    let as_of = view.as_of().with_timezone(&view.zone().0).format("%Y-%m-%d %H:%M");
    let inside = import.segment.as_ref().map(|segment| format!(", in `{}` as of {as_of}", segment.key));
    let inside = inside.unwrap_or_default();
    let mut steps: Vec<PlanStep> = Vec::new();
    for (holder, (named, row)) in wanted {
        let lacked = held.iter().filter(|(_, holders)| !holders.contains_key(holder));
        let add: Vec<TagId> = lacked.map(|(tag, _)| tag.clone()).collect();
        if !add.is_empty() {
            let evidence = format!("row {row} of `{}`{inside}", import.name);
            let step = step(*holder, named, (add, Vec::new()), evidence);
            steps.push(PlanStep { step_no: steps.len() as i64 + 1, ..step });
        }
    }
    steps
}

fn header(
    view: &View,
    import: &Import,
    tags: &[TagId],
    rows: &[UploadRow],
    author: &str,
    steps: &[PlanStep],
) -> PlanHeader {
    let segment = import.segment.as_ref().map(|segment| segment.hash.as_str());
    let definition_hash = import_hash(&ImportSettings { tags, on: import.on, segment }, rows);
    let names: Vec<&str> = import.tags.iter().map(written).collect();
    let source = import.source();
    let identity = PlanIdentity {
        kind: PlanKind::Import,
        source: &source,
        author,
        snapshot_id: view.ledger_row().snapshot_id,
        definition_hash: &definition_hash,
    };
    let title = format!("{} → {}", import.name, names.join(", "));
    header_of(&identity, title, steps, view.engine().warehouse().clock().now())
}

fn written(tag: &TagRef) -> &str {
    match tag {
        TagRef::Name(name) => name,
        TagRef::Id(id) => id.as_str(),
    }
}

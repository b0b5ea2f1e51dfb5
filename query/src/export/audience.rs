//! Audiences: a segment's frozen answer handed out, and the manifest that says what was.
//!
//! The members are settled once, by [`View::freeze`]; the rows, the counts and the member hash of the manifest are all
//! read from that one answer. Writing the file is the caller's business.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use tagmill_schemas::documents::audience::{RowPer, parse_audience};
use tagmill_schemas::ids::TagId;
use tagmill_schemas::segment::TagRef;
use tagmill_schemas::tables::contract;
use tagmill_schemas::yaml::{self, Yaml};

use super::manifest::{AUDIENCE_FORMAT, AudienceManifest, ExportedFile};
use super::members::{KnownColumns, MemberRows, membership};
use crate::catalog::text;
use crate::definitions::{Definitions, LoadedSegment, read};
use crate::engine::Rows;
use crate::error::QueryError;
use crate::segment::Evaluation;
use crate::view::View;

/// What is handed out of a segment for which no audience says it: the outside key.
const SEGMENT_COLUMNS: [&str; 2] = ["id_space", "customer_id"];

/// A segment together with how it is handed out.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedAudience {
    /// The audience's name, its file's stem; `None` for a segment that is handed out as it is.
    pub key: Option<String>,
    /// The segment.
    pub segment: LoadedSegment,
    /// What one row is.
    pub one_row_per: RowPer,
    /// The columns in order.
    pub columns: Vec<String>,
    /// Columns that are masked besides the private ones.
    pub mask: Vec<String>,
}

impl LoadedAudience {
    /// Loads an audience, or a segment to be handed out as it is: one row per customer with the outside key.
    ///
    /// The segment that an audience names is looked for beside the audience's file, then in the folders; it is a name and
    /// never a path.
    ///
    /// # Errors
    /// `QueryError::NoDefinition`, `QueryError::DefinitionFile` where a file cannot be read, `QueryError::Document` with
    /// every problem of the audience or of the segment.
    pub fn load(definitions: &Definitions, name_or_file: &str) -> Result<Self, QueryError> {
        let file = definitions.find(name_or_file)?;
        let shown = file.display().to_string();
        let document = read(&file)?;
        if !is_audience(&document) {
            return Ok(Self::of_segment(definitions.load(name_or_file)?));
        }
        let audience =
            parse_audience(&document).map_err(|problems| QueryError::Document { document: shown, problems })?;
        let segment = definitions.beside(&file).load_name(&audience.segment)?;
        Ok(Self {
            key: file.file_stem().map(|stem| stem.to_string_lossy().into_owned()),
            segment,
            one_row_per: audience.one_row_per,
            columns: audience.columns,
            mask: audience.mask,
        })
    }

    /// A segment to be handed out as it is: one row per customer with the outside key.
    pub fn of_segment(segment: LoadedSegment) -> Self {
        Self {
            key: None,
            segment,
            one_row_per: RowPer::Customer,
            columns: SEGMENT_COLUMNS.map(str::to_owned).to_vec(),
            mask: Vec::new(),
        }
    }
}

/// Whether a document is an audience, as far as its keys tell: it names a segment and has no condition of its own.
fn is_audience(document: &str) -> bool {
    let Ok(root) = yaml::read(document) else { return false };
    let Yaml::Mapping(entries) = &root.value else { return false };
    let has = |wanted: &str| {
        entries.iter().any(|(key, _)| matches!(&key.value, Yaml::Scalar { text, .. } if text.as_str() == wanted))
    };
    has("segment") && !has("where")
}

/// An audience whose members are settled.
#[derive(Debug, Clone)]
pub struct FrozenAudience {
    view: View,
    audience: LoadedAudience,
    evaluation: Evaluation,
    masks: Masks,
    tags: BTreeMap<String, TagId>,
    member_hash: String,
}

impl View {
    /// Settles who is in an audience, and which of its columns are masked: the private ones and those that the audience
    /// masks, without those in `unmask`.
    ///
    /// # Errors
    /// `QueryError::Column` where `unmask` names a column that is not handed out, or the audience masks one that neither
    /// `customer` nor `follow` has; and as [`View::evaluate`].
    pub async fn freeze(&self, audience: &LoadedAudience, unmask: &[String]) -> Result<FrozenAudience, QueryError> {
        let known = KnownColumns::of(self);
        audience.mask.iter().try_for_each(|column| require_column(&known, column))?;
        // A name that is private in either table is private.
        let is_private = |column: &str| ["customer", "follow"].iter().any(|table| self.is_private(table, column));
        let masks = Masks::of(audience, unmask, is_private)?;
        // Settling the members and handing them out are one question.
        let view = self.for_one_question();
        let evaluation = view.evaluate(&audience.segment).await?;
        let tags = view.tags_meant(&audience.segment).await?;
        let member_hash = view.member_hash(&evaluation).await?;
        Ok(FrozenAudience { view, audience: audience.clone(), evaluation, masks, tags, member_hash })
    }

    /// The ids of the tags that a segment and those it refers to name, by what stands in the documents.
    async fn tags_meant(&self, loaded: &LoadedSegment) -> Result<BTreeMap<String, TagId>, QueryError> {
        let named: Vec<&TagRef> =
            loaded.each().into_iter().flat_map(|loaded| loaded.segment.condition.tags()).collect();
        let mut tags = BTreeMap::new();
        for tag in named {
            let written = match tag {
                TagRef::Name(name) => name,
                TagRef::Id(id) => &id.0,
            };
            tags.insert(written.clone(), self.resolve_tag(tag).await?);
        }
        Ok(tags)
    }

    /// The identity of a segment's answer: SHA-256, in hexadecimal digits, over the members' outside keys.
    ///
    /// Each key is a line `id_space:customer_id`, the lines are sorted as bytes, and each ends in a line feed. The same
    /// members have the same identity, whatever question they answer. The engine sorts, and spills to disk where the
    /// keys are more than its memory limit.
    ///
    /// # Errors
    /// What the question may fail with.
    pub async fn member_hash(&self, evaluation: &Evaluation) -> Result<String, QueryError> {
        let sql = "SELECT id_space || ':' || customer_id AS member \
                   FROM customer \
                   WHERE in_members(customer_no) \
                   ORDER BY member";
        let mut rows = self.sql_with(membership(evaluation.members.clone()), sql).await?;
        let mut hasher = Sha256::new();
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            for row in 0..batch.num_rows() {
                hasher.update(text(&batch, 0, row));
                hasher.update(b"\n");
            }
        }
        if rows.is_truncated() {
            return Err(QueryError::Internal { reason: "a row limit cut off the members to be identified".to_owned() });
        }
        Ok(format!("{:x}", hasher.finalize()))
    }
}

impl FrozenAudience {
    /// The rows to write, ascending by `customer_no`.
    ///
    /// # Errors
    /// As [`View::members`].
    pub async fn rows(&self) -> Result<Rows, QueryError> {
        let wanted = MemberRows {
            columns: self.audience.columns.clone(),
            masked: self.masks.masked.clone(),
            row_per: self.audience.one_row_per,
            universe: self.audience.segment.segment.universe,
            after: None,
            limit: None,
        };
        self.view.members(&self.evaluation, &wanted).await
    }

    /// What there is to know about the file that the rows were written to.
    pub fn manifest(&self, rows: u64, file: ExportedFile) -> AudienceManifest {
        let count = self.evaluation.count();
        AudienceManifest {
            format: AUDIENCE_FORMAT,
            audience: self.audience.key.clone(),
            segment: self.audience.segment.key.clone(),
            definition_hash: count.definition_hash.clone(),
            tags: self.tags.clone(),
            snapshot_id: count.snapshot_id,
            as_of: count.as_of,
            events_until: count.events_until,
            one_row_per: self.audience.one_row_per,
            rows,
            customers: count.count,
            member_hash: self.member_hash.clone(),
            columns: self.audience.columns.clone(),
            masked_columns: self.masks.masked.clone(),
            unmasked_columns: self.masks.unmasked.clone(),
            file,
            created_at: self.view.engine().warehouse().clock().now(),
        }
    }
}

/// Which columns of an audience are masked, and which would be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Masks {
    masked: Vec<String>,
    unmasked: Vec<String>,
}

impl Masks {
    fn of(audience: &LoadedAudience, unmask: &[String], is_private: impl Fn(&str) -> bool) -> Result<Self, QueryError> {
        if let Some(column) = unmask.iter().find(|column| !audience.columns.contains(column)) {
            let advice = format!("only a column that is written can be unmasked: {}", audience.columns.join(", "));
            return Err(QueryError::Column { column: column.clone(), advice });
        }
        let is_hidden = |column: &&String| is_private(column) || audience.mask.contains(column);
        let hidden = audience.columns.iter().filter(is_hidden).cloned();
        let (unmasked, masked) = hidden.partition(|column| unmask.contains(column));
        Ok(Self { masked, unmasked })
    }
}

/// Refuses a column to mask that no table has: behind a slip of the pen, the column that was meant would be written as it
/// is. One that a table has by its contract may be missing from an old snapshot, and there is nothing of it to mask.
fn require_column(known: &KnownColumns, column: &str) -> Result<(), QueryError> {
    let mut contracts = ["customer", "follow"].into_iter().filter_map(contract);
    if contracts.any(|table| table.column(column).is_some()) {
        return Ok(());
    }
    known.table_of(column).map(|_| ()).map_err(|cause| match cause {
        QueryError::Column { column, advice } => {
            QueryError::Column { column, advice: format!("it stands in `mask:`; {advice}") }
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SEGMENT: &str = "universe: all\nas_of: latest\nwhere: {sql: SELECT customer_no FROM customer}\n";

    fn audience(columns: &[&str], mask: &[&str]) -> LoadedAudience {
        let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let segment = Definitions::default().from_text(SEGMENT).expect("a segment");
        LoadedAudience { columns: texts(columns), mask: texts(mask), ..LoadedAudience::of_segment(segment) }
    }

    fn is_private(column: &str) -> bool {
        ["name", "remark"].contains(&column)
    }

    #[test]
    fn private_columns_are_masked_unless_asked_for() {
        let audience = audience(&["customer_id", "name", "province", "remark"], &["province"]);
        let masks = Masks::of(&audience, &["remark".to_owned()], is_private).expect("masks");
        assert_eq!(masks.masked, ["name", "province"]);
        assert_eq!(masks.unmasked, ["remark"]);
    }

    #[test]
    fn only_what_is_written_can_be_unmasked() {
        let refused = Masks::of(&audience(&["customer_id"], &[]), &["mobile".to_owned()], is_private);
        assert!(matches!(refused, Err(QueryError::Column { column, .. }) if column == "mobile"));
    }

    #[test]
    fn a_document_that_names_a_segment_and_has_no_condition_is_an_audience() {
        assert!(is_audience("segment: a\none_row_per: customer\ncolumns: [customer_id]\n"));
        assert!(!is_audience(SEGMENT));
        assert!(!is_audience("segment: a\nwhere: {segment: a}\n"));
        assert!(!is_audience("- segment: a\n"));
    }

    #[test]
    fn an_audience_finds_its_segment_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("all_customers.yaml"), SEGMENT).expect("a file");
        let document = "segment: all_customers\none_row_per: follow\ncolumns: [customer_id, staff_id]\n";
        let file = folder.path().join("everybody.yaml");
        fs::write(&file, document).expect("a file");
        let loaded = LoadedAudience::load(&Definitions::default(), &file.display().to_string()).expect("an audience");
        assert_eq!(loaded.key.as_deref(), Some("everybody"));
        assert_eq!(loaded.segment.key, "all_customers");
        assert_eq!(loaded.one_row_per, RowPer::Follow);
    }

    #[test]
    fn an_audience_names_its_segment_and_never_a_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let segment = folder.path().join("all_customers.yaml");
        fs::write(&segment, SEGMENT).expect("a file");
        for name in [segment.display().to_string(), "./all_customers.yaml".to_owned()] {
            let file = folder.path().join("everybody.yaml");
            fs::write(&file, format!("segment: {name}\none_row_per: customer\ncolumns: [customer_id]\n"))
                .expect("a file");
            let refused = LoadedAudience::load(&Definitions::default(), &file.display().to_string());
            assert!(matches!(refused, Err(QueryError::NoDefinition { .. })), "{name}: {refused:?}");
        }
    }

    #[test]
    fn a_file_that_is_too_large_for_a_definition_is_not_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("large.yaml");
        fs::write(&file, "#".repeat(2 << 20)).expect("a file");
        let refused = LoadedAudience::load(&Definitions::default(), &file.display().to_string());
        assert!(matches!(refused, Err(QueryError::DefinitionFile { .. })), "{refused:?}");
    }

    #[test]
    fn a_column_to_mask_has_to_be_one() {
        let known = KnownColumns { customer: vec!["score".to_owned()], follow: Vec::new() };
        for column in ["mobile", "remark", "score"] {
            assert!(require_column(&known, column).is_ok(), "{column}");
        }
        let refused = require_column(&known, "scores");
        assert!(
            matches!(&refused, Err(QueryError::Column { advice, .. }) if advice.contains("did you mean `score`?")),
            "{refused:?}"
        );
    }
}

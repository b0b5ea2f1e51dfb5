//! Audiences: a segment's frozen answer handed out, and the manifest that says what was.
//!
//! The members are settled once, by [`View::freeze`]; the rows, the counts and the member hash of the manifest are all
//! read from that one answer. Writing the file is the caller's business.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tagmill_schemas::documents::audience::{RowPer, parse_audience};
use tagmill_schemas::tables::contract;
use tagmill_schemas::yaml::{self, Yaml};

use super::members::{MemberRows, membership};
use crate::catalog::text;
use crate::definitions::{Definitions, LoadedSegment};
use crate::engine::Rows;
use crate::error::QueryError;
use crate::segment::Evaluation;
use crate::view::View;

/// The format of a manifest.
pub const AUDIENCE_FORMAT: &str = "tagmill-audience/1";

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
    /// The segment that an audience names is looked for beside the audience's file, then in the folder.
    ///
    /// # Errors
    /// `QueryError::NoDefinition`, `QueryError::Document` with every problem of the audience or of the segment.
    pub fn load(definitions: &Definitions, name_or_file: &str) -> Result<Self, QueryError> {
        let file = definitions.find(name_or_file)?;
        let shown = file.display().to_string();
        let failed = |source| QueryError::DefinitionFile { path: shown.clone(), source };
        let document = fs::read_to_string(&file).map_err(failed)?;
        if !is_audience(&document) {
            return Ok(Self::of_segment(definitions.load(name_or_file)?));
        }
        let audience =
            parse_audience(&document).map_err(|problems| QueryError::Document { document: shown.clone(), problems })?;
        let beside = Definitions::new(file.parent().map(Path::to_path_buf));
        let segment = match beside.load(&audience.segment) {
            Err(QueryError::NoDefinition { .. }) if definitions.folder().is_some() => {
                definitions.load(&audience.segment)?
            }
            found => found?,
        };
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
    member_hash: String,
}

impl View {
    /// Settles who is in an audience, and which of its columns are masked: the private ones and those that the audience
    /// masks, without those in `unmask`.
    ///
    /// # Errors
    /// `QueryError::Column` where `unmask` names a column that is not handed out, and as [`View::evaluate`].
    pub async fn freeze(&self, audience: &LoadedAudience, unmask: &[String]) -> Result<FrozenAudience, QueryError> {
        let masks = Masks::of(audience, unmask)?;
        let evaluation = self.evaluate(&audience.segment).await?;
        let member_hash = self.member_hash(&evaluation).await?;
        Ok(FrozenAudience { view: self.clone(), audience: audience.clone(), evaluation, masks, member_hash })
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

/// What there is to know about an audience's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AudienceManifest {
    /// [`AUDIENCE_FORMAT`].
    pub format: &'static str,
    /// The audience; `None` where a segment was handed out as it is.
    pub audience: Option<String>,
    /// The segment.
    pub segment: String,
    /// SHA-256 of the segment's canonical document.
    pub definition_hash: String,
    /// The snapshot it was computed on.
    pub snapshot_id: i64,
    /// The instant before which events count.
    pub as_of: DateTime<Utc>,
    /// Up to which instant events were read; `None` where no source brought any.
    pub events_until: Option<DateTime<Utc>>,
    /// What one row is.
    pub one_row_per: RowPer,
    /// Rows in the file, the header not counted.
    pub rows: u64,
    /// Customers in the segment. With a row per follow, one without a follow that counts has no row.
    pub customers: u64,
    /// The identity of those customers: [`View::member_hash`].
    pub member_hash: String,
    /// The columns in order.
    pub columns: Vec<String>,
    /// Columns that hold `***` for every value.
    pub masked_columns: Vec<String>,
    /// Columns that would be masked and were asked for as they are.
    pub unmasked_columns: Vec<String>,
    /// The file.
    pub file: ExportedFile,
    /// When the manifest was made, by the warehouse's clock.
    pub created_at: DateTime<Utc>,
}

/// A file that rows were written to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportedFile {
    /// Its name, without its folder.
    pub name: String,
    /// Its form: `csv`, `ndjson` or `parquet`.
    pub format: String,
    /// Its size, bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
}

impl ExportedFile {
    /// Looks at a file as it is on disk.
    ///
    /// # Errors
    /// What reading it failed with.
    pub fn of(path: &Path, format: &str) -> io::Result<Self> {
        let mut hasher = Sha256::new();
        let bytes = io::copy(&mut File::open(path)?, &mut hasher)?;
        Ok(Self {
            name: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            format: format.to_owned(),
            bytes,
            sha256: format!("{:x}", hasher.finalize()),
        })
    }
}

/// Which columns of an audience are masked, and which would be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Masks {
    masked: Vec<String>,
    unmasked: Vec<String>,
}

impl Masks {
    fn of(audience: &LoadedAudience, unmask: &[String]) -> Result<Self, QueryError> {
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

/// Whether a column of `customer` or `follow` is private by its contract. A name that is private in either is private.
fn is_private(column: &str) -> bool {
    let contracts = ["customer", "follow"].into_iter().filter_map(contract);
    contracts.filter_map(|table| table.column(column)).any(|column| column.is_private)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: &str = "universe: all\nas_of: latest\nwhere: {sql: SELECT customer_no FROM customer}\n";

    fn audience(columns: &[&str], mask: &[&str]) -> LoadedAudience {
        let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let segment = Definitions::default().from_text(SEGMENT).expect("a segment");
        LoadedAudience { columns: texts(columns), mask: texts(mask), ..LoadedAudience::of_segment(segment) }
    }

    #[test]
    fn private_columns_are_masked_unless_asked_for() {
        let audience = audience(&["customer_id", "name", "province", "remark"], &["province"]);
        let masks = Masks::of(&audience, &["remark".to_owned()]).expect("masks");
        assert_eq!(masks.masked, ["name", "province"]);
        assert_eq!(masks.unmasked, ["remark"]);
    }

    #[test]
    fn only_what_is_written_can_be_unmasked() {
        let refused = Masks::of(&audience(&["customer_id"], &[]), &["mobile".to_owned()]);
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
    fn a_file_is_known_by_its_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.csv");
        fs::write(&path, "abc").expect("a file");
        let file = ExportedFile::of(&path, "csv").expect("a file");
        assert_eq!((file.name.as_str(), file.bytes), ("a.csv", 3));
        assert_eq!(file.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}

//! The manifest of an audience: what the file beside it holds, and on what that was computed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tagmill_schemas::documents::audience::RowPer;
use tagmill_schemas::ids::TagId;

/// The format of a manifest.
pub const AUDIENCE_FORMAT: &str = "tagmill-audience/1";

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
    /// The ids of the tags that the segment and those it refers to mean, by the name or id that the documents give. The
    /// hash holds the names, and a name may come to mean another tag.
    pub tags: BTreeMap<String, TagId>,
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
    /// The identity of those customers: [`crate::View::member_hash`].
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "abc").expect("a file");
        let file = ExportedFile::of(&path, "csv").expect("a file");
        assert_eq!((file.name.as_str(), file.bytes), ("a.csv", 3));
        assert_eq!(file.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}

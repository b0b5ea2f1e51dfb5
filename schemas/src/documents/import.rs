//! An import: rows that somebody uploads, one customer each, and the tags that these customers get.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::ids::TagId;
use crate::segment::canonical::canonical_bytes;
use crate::words::words;

words! {
    /// Which follows of a customer an import tags, where the customer's row names no staff member.
    ImportOn {
        /// The follow that owns the customer.
        Owner = "owner",
        /// Every active follow.
        AllActive = "all_active",
        /// No follow: the assignment is the customer's.
        Customer = "customer",
    }
}

/// One row of an upload, as it was written, without the blanks around its cells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UploadRow {
    /// Where it stands: the line of a CSV file, the row of a sheet; from 1, the header counted.
    pub row: u64,
    /// The name space of the id, where the upload has a column for it.
    pub id_space: Option<String>,
    /// The customer, as an id or as `SPACE:ID`; empty where the cell is.
    pub customer_id: String,
    /// The staff member whose follow is meant; `None` where the row names nobody.
    pub staff_id: Option<String>,
}

/// What an import does with its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ImportSettings<'a> {
    /// The tags that are given.
    pub tags: &'a [TagId],
    /// On which follows they are given.
    pub on: ImportOn,
    /// The hash of the segment that the customers have to be in; `None` where they need not be in any.
    pub segment: Option<&'a str>,
}

/// Returns the identity of an import: SHA-256, in hexadecimal digits, over lines of RFC 8785 JSON, each ended by a line
/// feed: its settings, then its rows in order.
///
/// The form of the file does not count: the same rows as CSV and as a workbook are the same import.
pub fn import_hash<'a>(settings: &ImportSettings<'_>, rows: impl IntoIterator<Item = &'a UploadRow>) -> String {
    let mut hasher = Sha256::new();
    hasher.update(canonical_bytes(settings));
    hasher.update(b"\n");
    for row in rows {
        hasher.update(canonical_bytes(row));
        hasher.update(b"\n");
    }
    format!("{:x}", hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(row: u64, customer_id: &str) -> UploadRow {
        UploadRow { row, id_space: None, customer_id: customer_id.to_owned(), staff_id: None }
    }

    #[test]
    fn an_import_is_identified_by_its_rows_and_by_what_is_done_with_them() {
        let tags = [TagId::new("t1")];
        let settings = ImportSettings { tags: &tags, on: ImportOn::Owner, segment: None };
        let rows = [row(2, "c1"), row(3, "c2")];
        let hash = import_hash(&settings, &rows);
        assert_eq!(hash, import_hash(&settings, &rows));
        assert_ne!(hash, import_hash(&settings, &rows[..1]));
        assert_ne!(hash, import_hash(&ImportSettings { on: ImportOn::Customer, ..settings }, &rows));
        assert_ne!(hash, import_hash(&ImportSettings { segment: Some("s"), ..settings }, &rows));
        let named = UploadRow { staff_id: Some("li".to_owned()), ..row(2, "c1") };
        assert_ne!(hash, import_hash(&settings, &[named, row(3, "c2")]));
    }
}

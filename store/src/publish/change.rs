//! What a run changes in one table.

use std::collections::BTreeSet;

use datafusion::arrow::datatypes::SchemaRef;

use super::files::bucket_of;
use crate::delta::{TableCommit, TableVersion};
use crate::parquet_file::StagedFile;

/// What a run changes in one table.
#[derive(Debug, Clone, Default)]
pub(super) struct Change {
    pub(super) add: Vec<StagedFile>,
    pub(super) replaced: Replaced,
    pub(super) schema: Option<SchemaRef>,
}

/// Which files of the base a change takes the place of.
#[derive(Debug, Clone, Default)]
pub(super) enum Replaced {
    #[default]
    Nothing,
    Everything,
    Buckets(BTreeSet<u32>),
}

impl Change {
    pub(super) fn replace_bucket(&mut self, bucket: u32) {
        match &mut self.replaced {
            Replaced::Buckets(buckets) => {
                buckets.insert(bucket);
            }
            Replaced::Nothing => self.replaced = Replaced::Buckets(BTreeSet::from([bucket])),
            Replaced::Everything => {}
        }
    }

    /// The commit that makes this change on top of a head; `None` where nothing would change.
    pub(super) fn commit_on(&self, head: &TableVersion) -> Option<TableCommit> {
        let remove: Vec<_> = head.files.iter().filter(|file| self.replaced.covers(&file.path)).cloned().collect();
        let is_empty = self.add.is_empty() && remove.is_empty() && self.schema.is_none();
        (!is_empty).then(|| TableCommit { add: self.add.clone(), remove, schema: self.schema.clone() })
    }
}

impl Replaced {
    /// Whether a file, by its path below its table's folder, is one of those.
    fn covers(&self, path: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Buckets(buckets) => bucket_of(path).is_some_and(|bucket| buckets.contains(&bucket)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_bucket_covers_its_own_files_only() {
        let mut change = Change::default();
        change.replace_bucket(3);
        change.replace_bucket(12);
        for (path, is_covered) in [
            ("b0003/s000001-x.parquet", true),
            ("b0012/s000001-x.parquet", true),
            ("b0001/s000001-x.parquet", false),
            ("b00030/s000001-x.parquet", false),
            ("s000001-x.parquet", false),
        ] {
            assert_eq!(change.replaced.covers(path), is_covered, "{path}");
        }
    }
}

//! What a run changes in one table.

use std::collections::BTreeSet;

use datafusion::arrow::datatypes::SchemaRef;

use super::Run;
use super::files::bucket_of;
use crate::delta::{TableCommit, TableVersion};
use crate::error::StoreError;
use crate::parquet_file::StagedFile;

/// What a run changes in one table.
#[derive(Debug, Clone, Default)]
pub(super) struct Change {
    pub(super) add: Vec<StagedFile>,
    pub(super) replaced: Replaced,
    pub(super) schema: Option<SchemaRef>,
}

/// Which files of the base a change takes the place of.
#[derive(Debug, Clone)]
pub(super) enum Replaced {
    Everything,
    /// Those of some buckets, and some by their paths below the table's folder.
    Parts {
        buckets: BTreeSet<u32>,
        files: BTreeSet<String>,
    },
}

impl Default for Replaced {
    fn default() -> Self {
        Self::Parts { buckets: BTreeSet::new(), files: BTreeSet::new() }
    }
}

impl Run {
    /// Says that the run's files take the place of these files of a table, by their paths below its folder. The run's have
    /// to hold what those hold: nothing else of the table is replaced.
    ///
    /// # Errors
    /// `StoreError::Contract` for a name that is no table a run may fill.
    pub(crate) fn replace_files(
        &mut self,
        table: &str,
        paths: impl IntoIterator<Item = String>,
    ) -> Result<(), StoreError> {
        self.change(table)?.replace_files(paths);
        Ok(())
    }
}

impl Change {
    pub(super) fn replace_bucket(&mut self, bucket: u32) {
        if let Replaced::Parts { buckets, .. } = &mut self.replaced {
            buckets.insert(bucket);
        }
    }

    fn replace_files(&mut self, paths: impl IntoIterator<Item = String>) {
        if let Replaced::Parts { files, .. } = &mut self.replaced {
            files.extend(paths);
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
            Self::Everything => true,
            Self::Parts { buckets, files } => {
                files.contains(path) || bucket_of(path).is_some_and(|bucket| buckets.contains(&bucket))
            }
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

    #[test]
    fn replaced_files_are_covered_beside_a_replaced_bucket_and_nothing_is_where_nothing_was_said() {
        let mut change = Change::default();
        let paths = ["b0001/s000001-x.parquet", "b0003/s000001-x.parquet", "s000001-x.parquet"];
        let covered = |change: &Change| paths.map(|path| change.replaced.covers(path));
        assert_eq!(covered(&change), [false, false, false]);
        change.replace_files(["b0001/s000001-x.parquet".to_owned()]);
        assert_eq!(covered(&change), [true, false, false]);
        change.replace_bucket(3);
        assert_eq!(covered(&change), [true, true, false]);
        change.replaced = Replaced::Everything;
        change.replace_files(["s000001-x.parquet".to_owned()]);
        assert_eq!(covered(&change), [true, true, true]);
    }
}

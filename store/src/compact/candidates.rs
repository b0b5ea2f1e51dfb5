//! Which files are worth merging: many small ones that lie together. Pure.

use std::collections::BTreeMap;

use crate::delta::DataFile;
use crate::publish::bucket_of;

/// From when on files are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// A file of fewer bytes is small.
    pub(super) small_bytes: u64,
    /// A file of fewer rows is small too.
    pub(super) small_rows: u64,
    /// So many small files in one place are worth merging.
    pub(super) small_files: usize,
    /// Up to so many rows, everything in such a place becomes one file; beyond, the small ones do.
    pub(super) whole_rows: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { small_bytes: 16 << 20, small_rows: 250_000, small_files: 4, whole_rows: 8_000_000 }
    }
}

impl Limits {
    fn is_small(&self, file: &DataFile) -> bool {
        file.size < self.small_bytes || file.rows < self.small_rows
    }
}

/// Files that become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// The bucket they lie in; `None` in a table that is not split.
    pub(super) bucket: Option<u32>,
    /// The files, in the order of the table.
    pub(super) files: Vec<DataFile>,
}

impl Group {
    /// Their rows.
    pub(super) fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// Their bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

/// The files of a table that are worth merging, by bucket. What comes of merging them is not worth merging again.
pub(super) fn choose(files: &[DataFile], is_bucketed: bool, limits: Limits) -> Vec<Group> {
    let mut places: BTreeMap<Option<u32>, Vec<&DataFile>> = BTreeMap::new();
    for file in files {
        let bucket = bucket_of(&file.path);
        // What lies where no run puts it is left alone.
        if bucket.is_some() == is_bucketed {
            places.entry(bucket).or_default().push(file);
        }
    }
    let groups = places.into_iter().map(|(bucket, files)| Group { bucket, files: worth_merging(&files, limits) });
    groups.filter(|group| !group.files.is_empty()).collect()
}

/// Of the files in one place, those that are to become one; none where that is not worth it.
fn worth_merging(files: &[&DataFile], limits: Limits) -> Vec<DataFile> {
    let small = || files.iter().copied().filter(|file| limits.is_small(file)).cloned();
    let rows: u64 = files.iter().map(|file| file.rows).sum();
    if small().count() < limits.small_files {
        Vec::new()
    } else if rows <= limits.whole_rows {
        files.iter().copied().cloned().collect()
    } else {
        small().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { small_bytes: 100, small_rows: 10, small_files: 3, whole_rows: 1_000 };
    /// Size and rows of a small file.
    const SMALL: (u64, u64) = (99, 20);
    const LARGE: (u64, u64) = (5_000, 300);

    /// Files of one place, numbered from 0.
    fn files(folder: &str, sizes: &[(u64, u64)]) -> Vec<DataFile> {
        let file = |(number, (size, rows)): (usize, &(u64, u64))| DataFile {
            path: format!("{folder}{number}.parquet"),
            size: *size,
            rows: *rows,
        };
        sizes.iter().enumerate().map(file).collect()
    }

    /// The groups as bucket and paths.
    fn told(files: &[DataFile], is_bucketed: bool) -> Vec<(Option<u32>, String)> {
        let names = |group: &Group| group.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>().join(" ");
        choose(files, is_bucketed, LIMITS).iter().map(|group| (group.bucket, names(group))).collect()
    }

    fn check(sizes: &[(u64, u64)], expected: &str) {
        let found = told(&files("", sizes), false);
        let expected = if expected.is_empty() { Vec::new() } else { vec![(None, expected.to_owned())] };
        assert_eq!(found, expected, "{sizes:?}");
    }

    #[test]
    fn a_few_small_files_are_left_alone_and_many_become_one() {
        check(&[], "");
        check(&[SMALL, SMALL], "");
        check(&[SMALL, LARGE, SMALL], "");
        check(&[SMALL, SMALL, SMALL], "0.parquet 1.parquet 2.parquet");
    }

    #[test]
    fn a_file_is_small_by_its_bytes_or_by_its_rows_below_the_limit() {
        let [few_bytes, few_rows, neither] = [(99, 10), (100, 9), (100, 10)];
        check(&[few_bytes, few_rows, few_bytes], "0.parquet 1.parquet 2.parquet");
        check(&[few_bytes, few_rows, neither], "");
    }

    #[test]
    fn large_files_are_merged_too_while_all_rows_stay_few_enough_for_one_file() {
        check(&[SMALL, LARGE, SMALL, SMALL], "0.parquet 1.parquet 2.parquet 3.parquet");
        let full = (5_000, 940);
        check(&[SMALL, full, SMALL, SMALL], "0.parquet 1.parquet 2.parquet 3.parquet");
        let one_too_many = (5_000, 941);
        check(&[SMALL, one_too_many, SMALL, SMALL], "0.parquet 2.parquet 3.parquet");
    }

    #[test]
    fn each_bucket_is_looked_at_by_itself() {
        let mut all = files("b0002/", &[SMALL; 3]);
        all.extend(files("b0000/", &[SMALL; 3]));
        all.extend(files("b0001/", &[SMALL; 2]));
        let of = |bucket: u32| format!("b{bucket:04}/0.parquet b{bucket:04}/1.parquet b{bucket:04}/2.parquet");
        assert_eq!(told(&all, true), [(Some(0), of(0)), (Some(2), of(2))]);
    }

    #[test]
    fn files_that_lie_where_no_run_puts_them_are_left_alone() {
        assert!(told(&files("", &[SMALL; 3]), true).is_empty());
        assert!(told(&files("b0000/", &[SMALL; 3]), false).is_empty());
    }

    #[test]
    fn what_was_merged_is_not_worth_merging_again() {
        for sizes in [vec![SMALL; 40], vec![LARGE; 9], [vec![SMALL; 7], vec![LARGE; 9]].concat()] {
            let before = files("", &sizes);
            let mut after = before.clone();
            for group in choose(&before, false, LIMITS) {
                after.retain(|file| !group.files.contains(file));
                after.push(DataFile { path: "merged.parquet".to_owned(), size: group.bytes(), rows: group.rows() });
            }
            assert_eq!(choose(&after, false, LIMITS), [], "{sizes:?}");
        }
    }
}

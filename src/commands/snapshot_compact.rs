//! `tagmill snapshot compact`: which tables have many small files, and what they become.

use arrow::array::RecordBatch;
use tagmill_store::{CompactedTable, Compaction};

use super::columns::{batch, count_column, text_column};
use crate::cli::SnapshotCompactArgs;
use crate::globals::Globals;
use crate::output::{say, thousands, write_batch};

/// Merges the small files of the newest snapshot, or says which it would merge.
///
/// # Errors
/// `StoreError::Locked` where a run is writing; what reading or writing failed with.
pub(crate) async fn compact_snapshot(globals: &Globals, args: &SnapshotCompactArgs) -> anyhow::Result<()> {
    let format = args.output.resolved_format()?;
    let warehouse = globals.open_warehouse().await?;
    let compaction = if args.dry_run { warehouse.compact_dry().await? } else { warehouse.compact().await? };
    for note in &compaction.notes {
        say(note);
    }
    write_batch(&tables(&compaction)?, format, &args.output.destination())?;
    say(told(&compaction));
    Ok(())
}

/// A row a table, by name.
fn tables(compaction: &Compaction) -> anyhow::Result<RecordBatch> {
    let counts = |pick: fn(&CompactedTable) -> Option<u64>| count_column(compaction.tables.iter().map(pick));
    batch([
        ("table", text_column(compaction.tables.iter().map(|table| Some(&table.table)))),
        ("files", counts(|table| Some(table.files))),
        ("files_after", counts(|table| Some(table.files_after))),
        ("bytes", counts(|table| Some(table.bytes))),
        ("bytes_after", counts(|table| table.bytes_after)),
        ("merged_files", counts(|table| Some(table.merged_files))),
        ("merged_bytes", counts(|table| Some(table.merged_bytes))),
    ])
}

/// What was done, or would be, in one sentence.
fn told(compaction: &Compaction) -> String {
    if compaction.merged_files() == 0 {
        return "nothing to do: nowhere do so many small files lie together that merging them is worth it".to_owned();
    }
    let merged: Vec<&CompactedTable> = compaction.tables.iter().filter(|table| table.merged_files > 0).collect();
    let files = thousands(compaction.merged_files());
    let become_files = thousands(merged.iter().map(|table| table.files_after + table.merged_files - table.files).sum());
    let of_tables = if merged.len() == 1 { "1 table".to_owned() } else { format!("{} tables", merged.len()) };
    let Some(row) = &compaction.published else {
        let bytes = thousands(merged.iter().map(|table| table.merged_bytes).sum());
        return format!("dry run: {files} files of {of_tables}, {bytes} bytes, would become {become_files}");
    };
    let id = row.snapshot_id;
    format!(
        "published snapshot {id}, which holds the same rows: {files} files of {of_tables} became {become_files}; \
         older snapshots keep theirs until `tagmill snapshot prune` lets them go"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(files: u64, merged_files: u64, files_after: u64) -> CompactedTable {
        CompactedTable {
            table: "event".to_owned(),
            files,
            files_after,
            bytes: 20_000,
            bytes_after: None,
            merged_files,
            merged_bytes: merged_files * 1_000,
        }
    }

    fn check(tables: Vec<CompactedTable>, expected: &str) {
        assert_eq!(told(&Compaction { tables, published: None, notes: Vec::new() }), expected);
    }

    #[test]
    fn files_are_told_by_what_becomes_of_those_that_are_merged() {
        let nothing = "nothing to do: nowhere do so many small files lie together that merging them is worth it";
        check(Vec::new(), nothing);
        check(vec![table(9, 0, 9)], nothing);
        let one = "dry run: 12 files of 1 table, 12,000 bytes, would become 2";
        check(vec![table(9, 0, 9), table(15, 12, 5)], one);
        let two = "dry run: 16 files of 2 tables, 16,000 bytes, would become 3";
        check(vec![table(15, 12, 5), table(4, 4, 1)], two);
    }
}

//! Parquet as a raw file: its own types, only the columns asked for, a large file in two parts.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::arrow::datatypes::{Field, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::LineDelimitedWriter;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};

use super::account::{FileAccount, FlawSink, Progress, Records, TallySheet};
use super::columns::{Output, match_columns, unique_names};
use super::digest::RowIds;
use super::error::RawError;
use super::rows::{BATCH_ROWS, batch_of, file_column, number_column};
use super::table::{Emit, FileScan, RawFile, TableParts};

/// From this size on, a file of several row groups is read in two parts.
const LARGE_FILE_BYTES: u64 = 32 * 1024 * 1024;

/// Opens Parquet files as one table with the columns of the first; all must have the same names and types.
pub(super) fn parquet_files(paths: &[PathBuf], progress: &Arc<dyn Progress>) -> Result<TableParts, RawError> {
    let mut columns: Vec<Field> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut files: Vec<Arc<dyn RawFile>> = Vec::new();
    for path in paths {
        let file = File::open(path).map_err(|source| RawError::opening(path, source))?;
        let size_bytes = file.metadata().map_err(|source| RawError::reading(path, None, source))?.len();
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
            .map_err(|source| RawError::NotParquet { path: path.clone(), source })?;
        let own = columns_of(&metadata);
        let own_names: Vec<String> = own.iter().map(|field| field.name().clone()).collect();
        if files.is_empty() {
            (columns, names) = (own.clone(), own_names.clone());
        }
        let roots = match_columns(&paths[0], &names, path, &own_names)?;
        check_types(&paths[0], &columns, path, &own, &roots)?;
        let records = ParquetRecords { path: path.clone(), rows: group_rows(&metadata).iter().sum() };
        let account = Arc::new(FileAccount::new(records));
        files.push(Arc::new(ParquetFile {
            path: path.clone(),
            size_bytes,
            metadata,
            roots,
            account,
            progress: Arc::clone(progress),
        }));
    }
    Ok(TableParts { columns, files })
}

/// Returns the root columns of a file with names without doubles; any of them may hold NULL.
fn columns_of(metadata: &ArrowReaderMetadata) -> Vec<Field> {
    let fields = metadata.schema().fields();
    let names = unique_names(fields.iter().map(|field| field.name().as_str()));
    fields.iter().zip(names).map(|(field, name)| Field::new(name, field.data_type().clone(), true)).collect()
}

fn check_types(first: &Path, columns: &[Field], path: &Path, own: &[Field], roots: &[usize]) -> Result<(), RawError> {
    let differing = columns.iter().zip(roots).find(|(column, root)| column.data_type() != own[**root].data_type());
    let Some((column, root)) = differing else {
        return Ok(());
    };
    let (name, wanted, found) = (column.name(), column.data_type(), own[*root].data_type());
    let difference = format!("its column `{name}` is {found} instead of {wanted}");
    Err(RawError::ColumnsDiffer { path: path.to_owned(), first: first.to_owned(), difference })
}

/// Returns the number of rows of each row group.
fn group_rows(metadata: &ArrowReaderMetadata) -> Vec<u64> {
    let groups = metadata.metadata().row_groups();
    groups.iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(0)).collect()
}

/// The rows of one Parquet file, as its footer counts them: no row of it is unparsable alone.
#[derive(Debug)]
struct ParquetRecords {
    path: PathBuf,
    rows: u64,
}

impl Records for ParquetRecords {
    fn location(&self) -> &Path {
        &self.path
    }

    fn tally(&self, _flawed: &mut FlawSink<'_>) -> Result<TallySheet, RawError> {
        let mut sheet = TallySheet::default();
        sheet.parsed(self.rows);
        Ok(sheet)
    }
}

/// One Parquet file of a table.
struct ParquetFile {
    path: PathBuf,
    size_bytes: u64,
    metadata: ArrowReaderMetadata,
    /// For each column of the table, its root column in the file.
    roots: Vec<usize>,
    account: Arc<FileAccount>,
    progress: Arc<dyn Progress>,
}

impl RawFile for ParquetFile {
    fn account(&self) -> &Arc<FileAccount> {
        &self.account
    }

    fn scans(self: Arc<Self>, outputs: &[Output], schema: &SchemaRef) -> Vec<Arc<dyn FileScan>> {
        let rows = group_rows(&self.metadata);
        // `_row_id` counts equal rows from the start of the file, so one reader must see them all.
        let is_split = self.size_bytes >= LARGE_FILE_BYTES && !outputs.contains(&Output::RowId);
        let middle = if is_split { middle_of(&rows) } else { rows.len() };
        let groups: Vec<Vec<usize>> = if middle < rows.len() {
            vec![(0..middle).collect(), (middle..rows.len()).collect()]
        } else {
            vec![(0..rows.len()).collect()]
        };
        let done: Arc<Vec<AtomicBool>> = Arc::new(groups.iter().map(|_| AtomicBool::new(false)).collect());
        let mut scans: Vec<Arc<dyn FileScan>> = Vec::new();
        let mut first_row: u64 = 0;
        for (part, groups) in groups.into_iter().enumerate() {
            let part_rows: u64 = groups.iter().map(|group| rows[*group]).sum();
            scans.push(Arc::new(ParquetScan {
                file: Arc::clone(&self),
                groups,
                first_row,
                outputs: outputs.to_vec(),
                schema: Arc::clone(schema),
                part,
                done: Arc::clone(&done),
            }));
            first_row += part_rows;
        }
        scans
    }
}

impl ParquetFile {
    fn rows_error(&self, source: ArrowError) -> RawError {
        RawError::ParquetRows { path: self.path.clone(), source }
    }
}

/// Returns where to cut row groups in two parts of about the same number of rows; the number of groups where they can't
/// be cut.
fn middle_of(rows: &[u64]) -> usize {
    let half = rows.iter().sum::<u64>() / 2;
    let mut before: u64 = 0;
    for (group, rows_here) in rows.iter().enumerate() {
        if group > 0 && before + rows_here / 2 >= half {
            return group;
        }
        before += rows_here;
    }
    rows.len()
}

/// A scan of some consecutive row groups of a file.
struct ParquetScan {
    file: Arc<ParquetFile>,
    groups: Vec<usize>,
    /// The rows of the file before these groups.
    first_row: u64,
    outputs: Vec<Output>,
    schema: SchemaRef,
    /// Which of the parts in `done` this scan is.
    part: usize,
    done: Arc<Vec<AtomicBool>>,
}

impl FileScan for ParquetScan {
    fn run(&self, emit: &mut Emit<'_>) -> Result<ControlFlow<()>, RawError> {
        let file = self.file.as_ref();
        let total_rows: u64 = group_rows(&file.metadata).iter().sum();
        let read_roots = self.read_roots();
        let mut row_ids = RowIds::default();
        let mut row = self.first_row;
        for batch in self.open(&read_roots)? {
            let batch = batch.map_err(|source| file.rows_error(source))?;
            let output = self.output(&batch, &read_roots, row, &mut row_ids)?;
            let next_row = row + batch.num_rows() as u64;
            let share = |rows: u64| share_of(file.size_bytes, rows, total_rows);
            file.progress.bytes_read(share(next_row) - share(row));
            row = next_row;
            if emit(output).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        self.done[self.part].store(true, Ordering::SeqCst);
        if self.done.iter().all(|part| part.load(Ordering::SeqCst)) {
            let mut sheet = TallySheet::default();
            sheet.parsed(total_rows);
            file.account.settle(sheet, None)?;
        }
        Ok(ControlFlow::Continue(()))
    }
}

impl ParquetScan {
    /// Returns the root columns to read, ascending: those asked for, or all where the whole row is to be shown.
    fn read_roots(&self) -> Vec<usize> {
        if self.outputs.iter().any(|output| matches!(output, Output::Raw | Output::RowId)) {
            return (0..self.file.roots.len()).collect();
        }
        let asked = self.outputs.iter().filter_map(|output| match output {
            Output::Column(column) => Some(self.file.roots[*column]),
            _ => None,
        });
        let mut roots: Vec<usize> = asked.collect();
        roots.sort_unstable();
        roots.dedup();
        roots
    }

    fn open(&self, read_roots: &[usize]) -> Result<ParquetRecordBatchReader, RawError> {
        let file = self.file.as_ref();
        let input = File::open(&file.path).map_err(|source| RawError::opening(&file.path, source))?;
        let mask = ProjectionMask::roots(file.metadata.parquet_schema(), read_roots.iter().copied());
        ParquetRecordBatchReaderBuilder::new_with_metadata(input, file.metadata.clone())
            .with_projection(mask)
            .with_row_groups(self.groups.clone())
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|source| RawError::NotParquet { path: file.path.clone(), source })
    }

    /// Returns the columns of the table for a batch that holds the columns `read_roots` of the file's rows from `row`
    /// on.
    fn output(
        &self,
        batch: &RecordBatch,
        read_roots: &[usize],
        row: u64,
        row_ids: &mut RowIds,
    ) -> Result<RecordBatch, RawError> {
        let rows = batch.num_rows();
        let shows_row = self.outputs.iter().any(|output| matches!(output, Output::Raw | Output::RowId));
        let raw =
            if shows_row { json_rows(batch).map_err(|source| self.file.rows_error(source))? } else { String::new() };
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.outputs.len());
        for output in &self.outputs {
            arrays.push(match output {
                Output::Column(column) => {
                    let root = self.file.roots[*column];
                    Arc::clone(batch.column(read_roots.partition_point(|read| *read < root)))
                }
                Output::File => file_column(self.file.account.path(), rows),
                Output::Line => number_column(row + 1, rows),
                Output::Raw => Arc::new(raw.lines().map(Some).collect::<StringArray>()),
                Output::RowId => {
                    let ids = raw.lines().map(|line| row_ids.next_id(line.as_bytes()));
                    Arc::new(ids.map(Some).collect::<StringArray>())
                }
            });
        }
        batch_of(&self.schema, arrays, rows)
    }
}

/// Returns the rows of a batch as JSON, one a line; NULLs are left out.
fn json_rows(batch: &RecordBatch) -> Result<String, ArrowError> {
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write(batch)?;
    writer.finish()?;
    String::from_utf8(writer.into_inner()).map_err(|error| ArrowError::from_external_error(Box::new(error)))
}

/// Returns the part of a file of `size_bytes` that its first `rows` of `total_rows` rows stand for.
fn share_of(size_bytes: u64, rows: u64, total_rows: u64) -> u64 {
    let share = u128::from(size_bytes) * u128::from(rows) / u128::from(total_rows.max(1));
    u64::try_from(share).unwrap_or(size_bytes)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{AsArray, Int64Array};
    use datafusion::arrow::datatypes::{DataType, Int64Type, Schema};
    use datafusion::parquet::arrow::ArrowWriter;

    use super::super::account::NoProgress;
    use super::*;

    #[test]
    fn row_groups_are_cut_near_the_middle_or_not_at_all() {
        assert_eq!(middle_of(&[10, 10, 10, 10]), 2);
        assert_eq!(middle_of(&[100, 1]), 1);
        assert_eq!(middle_of(&[1, 100]), 1);
        assert_eq!(middle_of(&[7]), 1);
        assert_eq!(middle_of(&[]), 0);
    }

    #[test]
    fn a_large_file_is_read_in_two_parts_that_number_its_rows_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.parquet");
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
        let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), Arc::clone(&schema), None).unwrap();
        for group in 0..4_i64 {
            let ids: ArrayRef = Arc::new(Int64Array::from(vec![group * 2 + 1, group * 2 + 2]));
            writer.write(&RecordBatch::try_new(Arc::clone(&schema), vec![ids]).unwrap()).unwrap();
            writer.flush().unwrap();
        }
        writer.close().unwrap();

        let metadata = ArrowReaderMetadata::load(&File::open(&path).unwrap(), ArrowReaderOptions::new()).unwrap();
        let account = Arc::new(FileAccount::new(ParquetRecords { path: path.clone(), rows: 8 }));
        let file = Arc::new(ParquetFile {
            path,
            size_bytes: LARGE_FILE_BYTES,
            metadata,
            roots: vec![0],
            account: Arc::clone(&account),
            progress: Arc::new(NoProgress),
        });
        let fields = vec![Field::new("_line", DataType::Int64, false), Field::new("id", DataType::Int64, true)];
        let scans = file.scans(&[Output::Line, Output::Column(0)], &Arc::new(Schema::new(fields)));
        assert_eq!(scans.len(), 2);
        let mut lines = Vec::new();
        for scan in scans {
            assert_eq!(account.get(), None);
            let outcome = scan.run(&mut |batch: RecordBatch| {
                assert_eq!(batch.column(0), batch.column(1));
                lines.extend_from_slice(batch.column(0).as_primitive::<Int64Type>().values());
                ControlFlow::Continue(())
            });
            assert!(outcome.unwrap().is_continue());
        }
        assert_eq!(lines, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(account.get().unwrap().raw, 8);
    }
}

//! Delimited text as a raw file: its columns, and a scan of it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};

use super::account::{FileAccount, FlawSink, NoProgress, Progress, Records, TallySheet, Unparsable};
use super::columns::{Output, check_column_count, match_columns, unique_names};
use super::error::RawError;
use super::format::CsvDialect;
use super::input::TextReader;
use super::record::{Fields, Piece, Record};
use super::rows::TextRows;
use super::table::{Emit, FileScan, RawFile, TableParts};

/// Opens text files as one table of text columns, named after the first file.
pub(super) fn text_files(
    paths: &[PathBuf],
    dialect: &CsvDialect,
    progress: &Arc<dyn Progress>,
) -> Result<TableParts, RawError> {
    dialect.check()?;
    let mut names: Vec<String> = Vec::new();
    let mut files: Vec<Arc<dyn RawFile>> = Vec::new();
    for path in paths {
        let own = column_names(path, dialect)?;
        if files.is_empty() {
            names = own.clone();
        }
        // Without a header, the first file says how many columns there are; a record of another number is a matter of
        // its row.
        let (field_count, fields) = if dialect.has_header {
            (own.len(), match_columns(&paths[0], &names, path, &own)?)
        } else {
            (names.len(), (0..names.len()).collect())
        };
        check_column_count(path, field_count)?;
        let records = TextRecords { path: path.clone(), dialect: dialect.clone(), field_count };
        let account = Arc::new(FileAccount::new(records.clone()));
        files.push(Arc::new(TextFile { records, fields, account, progress: Arc::clone(progress) }));
    }
    let columns = names.into_iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
    Ok(TableParts { columns, files })
}

/// Returns the names of the file's columns: from the dialect, else from the header, else by number.
fn column_names(path: &Path, dialect: &CsvDialect) -> Result<Vec<String>, RawError> {
    let mut reader = TextReader::open(path, dialect, false, Arc::new(NoProgress))?;
    let stated = dialect.columns.as_ref().map(|columns| unique_names(columns.iter().map(|name| name.trim())));
    if let Some(stated) = &stated
        && !dialect.has_header
    {
        return Ok(stated.clone());
    }
    let header_error = |reason: String| RawError::Header { path: path.to_owned(), reason };
    let fields = match reader.read_record()? {
        None => return Err(RawError::Empty { path: path.to_owned() }),
        Some(Piece::Flawed(row)) => return Err(header_error(row.reason)),
        Some(Piece::Record(record)) => record.fields().map_err(|row| header_error(row.reason))?,
    };
    let found = fields.count();
    if !dialect.has_header {
        return Ok(unique_names(std::iter::repeat_n("", found)));
    }
    match stated {
        Some(stated) if stated.len() == found => Ok(stated),
        Some(stated) => Err(RawError::ColumnCount { path: path.to_owned(), stated: stated.len(), found }),
        None => {
            let header: Vec<&str> = (0..found).map(|index| fields.get(index).trim()).collect();
            if header.iter().all(|name| name.is_empty()) {
                return Err(header_error("it names no column".to_owned()));
            }
            Ok(unique_names(header))
        }
    }
}

/// How the records of one text file are read.
#[derive(Debug, Clone)]
struct TextRecords {
    path: PathBuf,
    dialect: CsvDialect,
    /// How many fields a record has.
    field_count: usize,
}

impl TextRecords {
    /// Opens the file behind its header.
    fn open(&self, is_hashed: bool, progress: Arc<dyn Progress>) -> Result<TextReader<'_>, RawError> {
        let mut reader = TextReader::open(&self.path, &self.dialect, is_hashed, progress)?;
        if self.dialect.has_header {
            reader.read_record()?;
        }
        Ok(reader)
    }

    /// Tells a record that makes a row from one that can't be read.
    fn row<'p>(&self, piece: Piece<'p>) -> Result<(Record<'p>, Fields<'p>), Unparsable> {
        match piece {
            Piece::Flawed(row) => Err(row),
            Piece::Record(record) => Ok((record, record.fields_of(self.field_count)?)),
        }
    }
}

impl Records for TextRecords {
    fn location(&self) -> &Path {
        &self.path
    }

    fn tally(&self, flawed: &mut FlawSink<'_>) -> Result<TallySheet, RawError> {
        let mut reader = self.open(false, Arc::new(NoProgress))?;
        let mut sheet = TallySheet::default();
        while let Some(piece) = reader.read_record()? {
            match self.row(piece) {
                Ok(_) => sheet.parsed(1),
                Err(row) => {
                    sheet.unparsable();
                    if flawed(row).is_break() {
                        break;
                    }
                }
            }
        }
        Ok(sheet)
    }
}

/// One text file of a table.
struct TextFile {
    records: TextRecords,
    /// For each column of the table, its field in a record.
    fields: Vec<usize>,
    account: Arc<FileAccount>,
    progress: Arc<dyn Progress>,
}

impl RawFile for TextFile {
    fn account(&self) -> &Arc<FileAccount> {
        &self.account
    }

    fn scans(self: Arc<Self>, outputs: &[Output], schema: &SchemaRef) -> Vec<Arc<dyn FileScan>> {
        vec![Arc::new(TextScan { file: self, outputs: outputs.to_vec(), schema: Arc::clone(schema) })]
    }
}

/// A scan of a whole text file.
struct TextScan {
    file: Arc<TextFile>,
    outputs: Vec<Output>,
    schema: SchemaRef,
}

impl FileScan for TextScan {
    fn run(&self, emit: &mut Emit<'_>) -> Result<ControlFlow<()>, RawError> {
        let file = self.file.as_ref();
        let mut reader = file.records.open(file.account.wants_digest(), Arc::clone(&file.progress))?;
        let nulls = NullWords::new(&file.records.dialect.null_words);
        let mut rows = TextRows::new(file.account.path(), &file.fields, &self.outputs, &self.schema);
        let mut sheet = TallySheet::default();
        while let Some(piece) = reader.read_record()? {
            match file.records.row(piece) {
                Err(_) => sheet.unparsable(),
                Ok((record, fields)) => {
                    rows.push(record.line, record.raw, |index| nulls.content(&fields, index));
                    sheet.parsed(1);
                }
            }
            if rows.is_full() && emit(rows.take_batch()?).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        if !rows.is_empty() && emit(rows.take_batch()?).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        file.account.settle(sheet, reader.finish()?)?;
        Ok(ControlFlow::Continue(()))
    }
}

/// The words that stand for NULL. Most fields are longer than any of them, and are told apart by that alone.
struct NullWords<'a> {
    words: &'a [String],
    longest: usize,
}

impl<'a> NullWords<'a> {
    fn new(words: &'a [String]) -> Self {
        Self { words, longest: words.iter().map(String::len).max().unwrap_or(0) }
    }

    /// Returns the content of a field; `None` where it is a word for NULL and nobody has put it in quotes.
    fn content<'f>(&self, fields: &Fields<'f>, index: usize) -> Option<&'f str> {
        let text = fields.get(index);
        let is_null = !fields.is_quoted(index) && self.contain(text);
        (!is_null).then_some(text)
    }

    fn contain(&self, text: &str) -> bool {
        text.len() <= self.longest && self.words.iter().any(|word| word == text)
    }
}

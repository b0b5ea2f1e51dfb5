//! JSON as a raw file: its columns, and a scan of it.
//!
//! `reader` cuts a text into records, `object` reads one of them. Here the keys become columns, and records rows.

mod object;
mod reader;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};

use self::object::{Member, read_object};
use self::reader::{JsonReader, Piece};
use super::account::{FileAccount, FlawSink, NoProgress, Progress, Records, TallySheet, Unparsable};
use super::columns::{Output, check_column_count, unique_names};
use super::encoding::Encoding;
use super::error::RawError;
use super::format::JsonDialect;
use super::input::TextInput;
use super::rows::TextRows;
use super::table::{Emit, FileScan, RawFile, TableParts};

/// Opens JSON files as one table of text columns: those that the dialect names, else every key in any of the files.
pub(super) fn json_files(
    paths: &[PathBuf],
    dialect: &JsonDialect,
    progress: &Arc<dyn Progress>,
) -> Result<TableParts, RawError> {
    dialect.check()?;
    let keys = match &dialect.columns {
        Some(columns) => columns.clone(),
        None => keys_of(paths, dialect)?,
    };
    if let (true, Some(path)) = (keys.is_empty(), paths.first()) {
        return Err(RawError::Empty { path: path.clone() });
    }
    let positions = Arc::new(Positions::new(keys));
    let names = unique_names(positions.keys.iter().map(String::as_str));
    let columns = names.into_iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
    let files = paths.iter().map(|path| -> Arc<dyn RawFile> {
        let records = JsonRecords { path: path.clone(), dialect: dialect.clone() };
        let account = Arc::new(FileAccount::new(records.clone()));
        Arc::new(JsonFile { records, positions: Arc::clone(&positions), account, progress: Arc::clone(progress) })
    });
    Ok(TableParts { columns, files: files.collect() })
}

/// Reads the files for their keys, in the order in which they first come.
fn keys_of(paths: &[PathBuf], dialect: &JsonDialect) -> Result<Vec<String>, RawError> {
    let mut positions = Positions::default();
    for path in paths {
        let records = JsonRecords { path: path.clone(), dialect: dialect.clone() };
        let mut reader = records.open(false, Arc::new(NoProgress))?;
        while let Some(record) = reader.read_record()? {
            for (key, _) in record.map(|record| record.members).unwrap_or_default() {
                positions.add(key);
            }
            check_column_count(path, positions.keys.len())?;
        }
    }
    Ok(positions.keys)
}

/// Which column each key is.
#[derive(Debug, Default)]
struct Positions {
    keys: Vec<String>,
    by_key: HashMap<String, usize>,
}

impl Positions {
    fn new(keys: Vec<String>) -> Self {
        let mut positions = Self::default();
        keys.into_iter().for_each(|key| positions.add(key));
        positions
    }

    fn add(&mut self, key: String) {
        if let Entry::Vacant(free) = self.by_key.entry(key) {
            self.keys.push(free.key().clone());
            free.insert(self.keys.len() - 1);
        }
    }

    /// Returns the values of a record by column.
    fn values<'m>(&self, members: &'m [Member<'_>]) -> Vec<Option<&'m str>> {
        let mut values = vec![None; self.keys.len()];
        for (key, value) in members {
            if let Some(position) = self.by_key.get(key) {
                values[*position] = value.as_deref();
            }
        }
        values
    }
}

/// How the records of one JSON file are read.
#[derive(Debug, Clone)]
struct JsonRecords {
    path: PathBuf,
    dialect: JsonDialect,
}

impl JsonRecords {
    fn open(&self, is_hashed: bool, progress: Arc<dyn Progress>) -> Result<JsonText<'_>, RawError> {
        let path = self.path.as_path();
        let input = TextInput::open(path, self.dialect.encoding, is_hashed, progress)?;
        let (archive, encoding) = (input.archive, input.encoding);
        let reader = JsonReader::new(input, self.dialect.max_record_bytes);
        let reader = reader.map_err(|cause| RawError::reading(path, archive, cause))?;
        Ok(JsonText { path, archive, encoding, reader })
    }
}

impl Records for JsonRecords {
    fn location(&self) -> &Path {
        &self.path
    }

    fn tally(&self, flawed: &mut FlawSink<'_>) -> Result<TallySheet, RawError> {
        let mut reader = self.open(false, Arc::new(NoProgress))?;
        let mut sheet = TallySheet::default();
        while let Some(record) = reader.read_record()? {
            match record {
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

/// The records of one open file.
struct JsonText<'a> {
    path: &'a Path,
    archive: Option<&'static str>,
    encoding: Encoding,
    reader: JsonReader<TextInput>,
}

/// An object as it came, and what it holds.
struct JsonRecord<'r> {
    line: u64,
    raw: &'r [u8],
    members: Vec<Member<'r>>,
}

impl JsonText<'_> {
    /// Reads the next record; `None` at the end of the file.
    fn read_record(&mut self) -> Result<Option<Result<JsonRecord<'_>, Unparsable>>, RawError> {
        let (path, archive, encoding) = (self.path, self.archive, self.encoding);
        let piece = self.reader.read_record().map_err(|cause| RawError::reading(path, archive, cause))?;
        Ok(piece.map(|piece| match piece {
            Piece::Flawed(row) => Err(row),
            Piece::Record { line, raw } => {
                read_object(line, raw, encoding).map(|members| JsonRecord { line, raw, members })
            }
        }))
    }

    /// Closes the file and returns the SHA-256 of all its bytes, where it was asked for.
    fn finish(self) -> Result<Option<String>, RawError> {
        let (path, archive) = (self.path, self.archive);
        self.reader.into_input().finish().map_err(|cause| RawError::reading(path, archive, cause))
    }
}

/// One JSON file of a table.
struct JsonFile {
    records: JsonRecords,
    positions: Arc<Positions>,
    account: Arc<FileAccount>,
    progress: Arc<dyn Progress>,
}

impl RawFile for JsonFile {
    fn account(&self) -> &Arc<FileAccount> {
        &self.account
    }

    fn scans(self: Arc<Self>, outputs: &[Output], schema: &SchemaRef) -> Vec<Arc<dyn FileScan>> {
        vec![Arc::new(JsonScan { file: self, outputs: outputs.to_vec(), schema: Arc::clone(schema) })]
    }
}

/// A scan of a whole JSON file.
struct JsonScan {
    file: Arc<JsonFile>,
    outputs: Vec<Output>,
    schema: SchemaRef,
}

impl FileScan for JsonScan {
    fn run(&self, emit: &mut Emit<'_>) -> Result<ControlFlow<()>, RawError> {
        let file = self.file.as_ref();
        let mut reader = file.records.open(file.account.wants_digest(), Arc::clone(&file.progress))?;
        let fields: Vec<usize> = (0..file.positions.keys.len()).collect();
        let mut rows = TextRows::new(file.account.path(), &fields, &self.outputs, &self.schema);
        let mut sheet = TallySheet::default();
        while let Some(record) = reader.read_record()? {
            match record {
                Err(_) => sheet.unparsable(),
                Ok(record) => {
                    let values = file.positions.values(&record.members);
                    rows.push(record.line, record.raw, |index| values[index]);
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

#[cfg(test)]
mod tests;

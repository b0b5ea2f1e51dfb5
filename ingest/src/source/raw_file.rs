//! The raw files of a source document: where they are, and how they are written.

use std::path::{Path, PathBuf};

use tagmill_schemas::yaml::{At, Entry, Fields, Problem, codes};

use super::parse::is_snake;
use crate::raw::{CsvDialect, Encoding, JsonDialect, RawFileSpec, RawFormat};

const KEYS: &[&str] = &["path", "format", "header", "columns", "delimiter", "quote", "encoding", "null_words"];
/// Keys that say how delimited text is written, and nothing of JSON or Parquet.
const CSV_KEYS: &[&str] = &["header", "delimiter", "quote", "null_words"];
/// Keys that say how any text is written, and nothing of Parquet.
const TEXT_KEYS: &[&str] = &["columns", "encoding"];
const ENCODINGS: &[(&str, Encoding)] = &[
    ("utf-8", Encoding::Utf8),
    ("utf-16le", Encoding::Utf16Le),
    ("utf-16be", Encoding::Utf16Be),
    ("gb18030", Encoding::Gb18030),
];

/// The words of `format:`.
#[derive(Clone, Copy)]
enum FormatWord {
    Csv,
    Json,
    Parquet,
}

/// Reads one entry of `files:`; `folder` is what its paths are relative to.
pub(super) fn raw_file(entry: &Entry<'_>, folder: &Path, problems: &mut Vec<Problem>) -> Option<RawFileSpec> {
    if !is_snake(entry.key) {
        let problem = entry.problem(codes::VALUE_INVALID, format!("`{}` cannot be a raw table", entry.key));
        problems.push(problem.with_hint("SQL reads it under this name: write it in lower_snake_case"));
    }
    let fields = entry.value.fields("a raw file: a mapping with `path`", problems)?;
    fields.known(KEYS, problems);
    let paths: Vec<PathBuf> = fields
        .need("path", "`path: lines.csv`, a pattern, a folder, or a list", problems)
        .and_then(|at| at.one_or_more("a path or a list of paths", problems))?
        .iter()
        .map(|item| item.text("a path", problems).map(|path| folder.join(path)))
        .collect::<Option<_>>()?;
    let guessed = paths.first().map(|path| RawFormat::guess(path))?;
    let stated = match fields.get("format") {
        None => None,
        Some(at) => Some(format_word(&at, problems)?),
    };
    let format = match (stated, guessed) {
        (Some(FormatWord::Csv), guessed @ RawFormat::Csv(_)) | (None, guessed) => guessed,
        (Some(FormatWord::Csv), _) => RawFormat::Csv(CsvDialect::default()),
        (Some(FormatWord::Json), _) => RawFormat::Json(JsonDialect::default()),
        (Some(FormatWord::Parquet), _) => RawFormat::Parquet,
    };
    let format = match format {
        RawFormat::Csv(dialect) => RawFormat::Csv(csv_dialect(&fields, dialect, problems)?),
        RawFormat::Json(dialect) => {
            refuse(&fields, CSV_KEYS, "CSV", problems);
            RawFormat::Json(json_dialect(&fields, dialect, problems)?)
        }
        RawFormat::Parquet => {
            refuse(&fields, CSV_KEYS, "CSV", problems);
            refuse(&fields, TEXT_KEYS, "text", problems);
            RawFormat::Parquet
        }
    };
    Some(RawFileSpec { name: entry.key.to_owned(), paths, format, is_format_stated: stated.is_some() })
}

fn format_word(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<FormatWord> {
    let words = [("csv", FormatWord::Csv), ("json", FormatWord::Json), ("parquet", FormatWord::Parquet)];
    at.word("format", &words, problems)
}

/// Refuses keys that mean nothing for the format of the file.
fn refuse(fields: &Fields<'_>, keys: &[&str], meant: &str, problems: &mut Vec<Problem>) {
    for entry in fields.entries.iter().filter(|entry| keys.contains(&entry.key)) {
        let problem = entry.problem(codes::KEY_MISPLACED, format!("`{}` says how {meant} is written", entry.key));
        problems.push(problem.with_hint("leave it out, or say another `format:`"));
    }
}

fn csv_dialect(fields: &Fields<'_>, mut dialect: CsvDialect, problems: &mut Vec<Problem>) -> Option<CsvDialect> {
    if let Some(at) = fields.get("header") {
        dialect.has_header = at.boolean(problems)?;
    }
    dialect.columns = columns(fields, problems)?;
    dialect.encoding = encoding(fields, problems)?;
    if let Some(at) = fields.get("null_words") {
        let words = at.texts("a list of words", problems)?;
        dialect.null_words = words.into_iter().chain([String::new()]).collect();
    }
    if let Some(at) = fields.get("delimiter") {
        dialect.delimiter = character(&at, "delimiter", "write one character, such as `\";\"`", problems)?;
    }
    if let Some(at) = fields.get("quote") {
        dialect.quote = match at.plain() {
            Some("none") => None,
            _ => Some(character(&at, "quote", "write one character, such as `\"'\"`, or `none`", problems)?),
        };
    }
    if dialect.quote.unwrap_or(b'"') == dialect.delimiter {
        let at = fields.get("delimiter").unwrap_or_else(|| fields.at.clone());
        let problem = at.problem(codes::VALUE_INVALID, "the delimiter is the quote");
        problems.push(problem.with_hint("one character cannot part fields and hold them together"));
        return None;
    }
    Some(dialect)
}

fn json_dialect(fields: &Fields<'_>, mut dialect: JsonDialect, problems: &mut Vec<Problem>) -> Option<JsonDialect> {
    dialect.columns = columns(fields, problems)?;
    dialect.encoding = encoding(fields, problems)?;
    Some(dialect)
}

fn columns(fields: &Fields<'_>, problems: &mut Vec<Problem>) -> Option<Option<Vec<String>>> {
    match fields.get("columns") {
        None => Some(None),
        Some(at) => at.texts("a list of column names", problems).map(Some),
    }
}

fn encoding(fields: &Fields<'_>, problems: &mut Vec<Problem>) -> Option<Option<Encoding>> {
    match fields.get("encoding") {
        None => Some(None),
        Some(at) => at.word("encoding", ENCODINGS, problems).map(Some),
    }
}

/// Reads one ASCII character that can stand in a line of text.
fn character(at: &At<'_>, what: &str, hint: &str, problems: &mut Vec<Problem>) -> Option<u8> {
    let text = at.scalar().unwrap_or_default();
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'\r' | b'\n' | 0) => Some(*byte),
        _ if text == "\\t" => Some(b'\t'),
        _ => {
            problems.push(at.problem(codes::VALUE_INVALID, format!("`{text}` is no {what}")).with_hint(hint));
            None
        }
    }
}

//! Source documents: what is read out of them, and what is refused.

use super::*;
use crate::raw::{CsvDialect, Encoding, JsonDialect, RawFormat};

/// A source of one raw table and one target.
fn document(raw_table: &str, tables: &str) -> String {
    format!("name: shop\nkind: files\nfiles:\n  {raw_table}: {{path: people.csv}}\ntables: {tables}\n")
}

/// A source whose customers have further columns.
fn with_attributes(attributes: &str) -> String {
    document("people", &format!("{{customer: {{mode: full, select: SELECT 1, attributes: {attributes}}}}}"))
}

fn read(text: &str) -> Result<Source, IngestError> {
    Source::parse(text, Path::new("."), "shop.yaml")
}

/// Checks that a document is refused with these words.
fn check_refused(text: &str, words: &str) {
    let told = read(text).unwrap_err().to_string();
    assert!(told.contains(words), "`{words}` was not said of\n{text}\n{told}");
}

#[test]
fn a_raw_table_has_a_name_that_sql_reads_as_it_is_written() {
    let customer = "{customer: {mode: full, select: SELECT 1}}";
    assert!(read(&document("order_lines_2", customer)).is_ok());
    for name in ["Orders", "order-lines", "2026_orders", "订单"] {
        check_refused(&document(name, customer), &format!("`{name}` cannot be a raw table"));
    }
}

#[test]
fn a_source_fills_at_least_one_table() {
    check_refused(&document("people", "{}"), "no table is filled");
}

#[test]
fn a_declared_column_is_public_unless_it_is_said_to_be_private() {
    let declared = "{score: int, secret: {type: text, private: true}, plain: {type: text}}";
    let source = read(&with_attributes(declared)).unwrap();
    let SourceKind::Files { tables, .. } = source.kind else { panic!("another kind of source") };
    let column = |name: &str, ty, is_private| DeclaredColumn { name: name.to_owned(), ty, is_private };
    let expected = [
        column("score", ColumnType::Int32, false),
        column("secret", ColumnType::Text, true),
        column("plain", ColumnType::Text, false),
    ];
    assert_eq!(tables[0].declared, expected);
}

#[test]
fn a_declared_column_that_makes_no_sense_is_refused() {
    check_refused(&with_attributes("{secret: {type: texd}}"), "unknown type `texd`");
    check_refused(&with_attributes("{secret: {private: true}}"), "`type` is missing");
    check_refused(&with_attributes("{secret: {type: text, privat: true}}"), "unknown key `privat`");
    check_refused(&with_attributes("{secret: {type: text, private: maybe}}"), "expected `true` or `false`");
    check_refused(&with_attributes("{city: text}"), "`city` cannot be declared");
}

/// How the raw file that these keys describe is to be read.
fn format_of(keys: &str) -> RawFormat {
    let customer = "{customer: {mode: full, select: SELECT 1}}";
    let text = document("people", customer).replace("{path: people.csv}", &format!("{{{keys}}}"));
    let SourceKind::Files { files, .. } = read(&text).unwrap().kind else { panic!("another kind of source") };
    files[0].format.clone()
}

/// Checks that a raw file is refused with these words.
fn check_file_refused(keys: &str, words: &str) {
    let customer = "{customer: {mode: full, select: SELECT 1}}";
    check_refused(&document("people", customer).replace("{path: people.csv}", &format!("{{{keys}}}")), words);
}

#[test]
fn a_raw_file_says_how_it_is_written() {
    let csv = |dialect: CsvDialect| RawFormat::Csv(dialect);
    let base = CsvDialect::default();
    let expected = CsvDialect { delimiter: b';', quote: Some(b'\''), ..base.clone() };
    assert_eq!(format_of("path: a.csv, delimiter: \";\", quote: \"'\""), csv(expected));
    let expected = CsvDialect { delimiter: b'\t', quote: None, encoding: Some(Encoding::Gb18030), ..base };
    assert_eq!(format_of("path: a.tsv, quote: none, encoding: gb18030"), csv(expected));
    let columns = Some(vec!["id".to_owned()]);
    let expected = RawFormat::Json(JsonDialect { columns, ..JsonDialect::default() });
    assert_eq!(format_of("path: days, format: json, columns: [id]"), expected);
    assert_eq!(format_of("path: \"*.jsonl.zst\""), RawFormat::Json(JsonDialect::default()));
    assert_eq!(format_of("path: a, format: parquet"), RawFormat::Parquet);
}

#[test]
fn a_raw_file_that_makes_no_sense_is_refused() {
    check_file_refused("path: a.csv, encoding: latin1", "unknown encoding `latin1`");
    check_file_refused("path: a.csv, format: xml", "unknown format `xml`");
    check_file_refused("path: a.csv, quote: \"''\"", "`''` is no quote");
    check_file_refused("path: a.csv, quote: \",\"", "the delimiter is the quote");
    check_file_refused("path: a.json, delimiter: \";\"", "`delimiter` says how CSV is written");
    check_file_refused("path: a.parquet, encoding: gb18030", "`encoding` says how text is written");
}

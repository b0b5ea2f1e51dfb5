//! Raw files from bytes on disk to rows in SQL.

use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::DataFusionError;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::prelude::{SessionConfig, SessionContext};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use tagmill_schemas::error::Diagnose;
use tempfile::TempDir;

use super::*;

/// Files in a folder of their own, to be read as one table.
struct Files {
    folder: TempDir,
    spec: RawFileSpec,
}

impl Files {
    fn new<B: AsRef<[u8]>>(files: &[(&str, B)], format: RawFormat) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |(name, bytes): &(&str, B)| -> PathBuf {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        };
        let paths = files.iter().map(path).collect();
        Self { folder, spec: RawFileSpec { name: "t".to_owned(), paths, format, is_format_stated: true } }
    }

    fn csv(text: &[u8]) -> Self {
        Self::new(&[("file.csv", text)], RawFormat::Csv(CsvDialect::default()))
    }

    fn table(&self) -> RawTable {
        raw_table(&self.spec, Arc::new(NoProgress)).unwrap()
    }

    /// Reads the first file for what can't be read in it.
    fn unparsable(&self) -> Vec<Unparsable> {
        let mut found = Vec::new();
        let account = Arc::clone(&self.table().accounts[0]);
        let outcome = account.read_unparsable(&mut |row: Unparsable| {
            found.push(row);
            ControlFlow::Continue(())
        });
        outcome.unwrap();
        found
    }

    /// Reads the first file whole: its rows as `first column|line`, and its tally.
    async fn rows_and_tally(&self) -> (Vec<String>, FileTally) {
        let table = self.table();
        let first = table.provider.schema().field(0).name().clone();
        let rows = rows(&table, &format!("SELECT \"{first}\", _line FROM t ORDER BY _line")).await;
        (rows, table.accounts[0].get().unwrap())
    }

    /// Renders the error of opening the files, with code and hint and without the folder's name.
    fn error(&self) -> String {
        let error = raw_table(&self.spec, Arc::new(NoProgress)).unwrap_err();
        let text = format!("{}: {error}; {}", error.code(), error.hint().unwrap_or_default());
        text.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

async fn run(table: &RawTable, sql: &str) -> Result<Vec<RecordBatch>, DataFusionError> {
    let ctx = SessionContext::new();
    ctx.register_table("t", Arc::clone(&table.provider))?;
    ctx.sql(sql).await?.collect().await
}

/// Runs a query and renders each row with `|` between the values.
async fn rows(table: &RawTable, sql: &str) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = Vec::new();
    for batch in run(table, sql).await.unwrap() {
        let columns: Vec<ArrayFormatter<'_>> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let values: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            rows.push(values.join("|"));
        }
    }
    rows
}

async fn check(files: &Files, sql: &str, expected: &[&str]) {
    assert_eq!(rows(&files.table(), sql).await, expected, "{sql}");
}

/// Reads all of a text and returns its rows as `first column|line`, and its unparsable records as `code line`.
async fn read(text: &[u8]) -> (Vec<String>, Vec<String>) {
    let files = Files::csv(text);
    let (rows, tally) = files.rows_and_tally().await;
    let flaws: Vec<String> = files.unparsable().iter().map(|row| format!("{} {}", row.code, row.line)).collect();
    assert_eq!((tally.parsed, tally.unparsable), (rows.len() as u64, flaws.len() as u64));
    assert_eq!(tally.raw, tally.parsed + tally.unparsable);
    (rows, flaws)
}

#[tokio::test]
async fn a_quoted_newline_belongs_to_its_record_and_counts_as_a_line() {
    let files = Files::csv(b"id,note\n1,\"two\nlines\"\n\n2,b\n");
    check(&files, "SELECT id, _line, _raw FROM t ORDER BY _line", &["1|2|1,\"two\nlines\"", "2|5|2,b"]).await;
}

#[tokio::test]
async fn a_byte_order_mark_and_windows_line_ends_leave_no_trace() {
    let files = Files::csv(b"\xef\xbb\xbfid, name \r\n1,a\r\n2,b");
    check(&files, "SELECT id, name, _line, _raw FROM t ORDER BY id", &["1|a|2|1,a", "2|b|3|2,b"]).await;
}

#[tokio::test]
async fn without_a_header_columns_are_stated_or_numbered() {
    let dialect = CsvDialect { has_header: false, ..CsvDialect::default() };
    let files = Files::new(&[("f", b"1,a\n2,b\n")], RawFormat::Csv(dialect.clone()));
    check(&files, "SELECT column_1, column_2, _line FROM t ORDER BY _line", &["1|a|1", "2|b|2"]).await;

    let stated = CsvDialect { columns: Some(vec!["x".to_owned(), "y".to_owned()]), ..dialect };
    let files = Files::new(&[("f", b"1,a\n2,b\n")], RawFormat::Csv(stated));
    check(&files, "SELECT x, y FROM t ORDER BY _line", &["1|a", "2|b"]).await;
}

#[tokio::test]
async fn header_names_are_trimmed_filled_and_made_unique() {
    let table = Files::csv(b" a ,a,,_file\n1,2,3,4\n").table();
    let schema = table.provider.schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["a", "a_2", "column_3", "_file_2", "_file", "_line", "_raw", "_row_id"]);
}

#[tokio::test]
async fn gzip_is_recognised_whatever_the_name() {
    let files = Files::new(&[("plain.csv", &gzip(b"id\n1\n"))], RawFormat::Csv(CsvDialect::default()));
    let (rows, tally) = files.rows_and_tally().await;
    assert_eq!(rows, ["1|2"]);
    assert_eq!(tally.sha256, file_digest(&files.spec.paths[0]).unwrap());
}

#[tokio::test]
async fn a_cut_gzip_file_fails_the_query_and_settles_nothing() {
    let text: String = (0..200_000).map(|number| format!("{number}\n")).collect();
    let whole = gzip(text.as_bytes());
    let files = Files::new(&[("f.gz", &whole[..whole.len() / 2])], RawFormat::Csv(CsvDialect::default()));
    let table = files.table();
    let error = run(&table, "SELECT count(*) FROM t").await.unwrap_err().to_string();
    assert!(error.contains("is damaged or incomplete"), "{error}");
    assert_eq!(table.accounts[0].get(), None);
}

#[tokio::test]
async fn null_words_are_null_unless_quoted_or_part_of_a_longer_text() {
    let files = Files::csv(b"a,b,c\nNULL,NA,\n\"NULL\",NAN,\"\"\n");
    check(&files, "SELECT a, b, c FROM t ORDER BY _line", &["NULL|NULL|NULL", "NULL|NAN|"]).await;
    check(&files, "SELECT a IS NULL, c IS NULL FROM t ORDER BY _line", &["true|true", "false|false"]).await;
}

#[tokio::test]
async fn each_bad_record_costs_one_row() {
    let cases: [(&[u8], &[&str], &[&str]); 6] = [
        (b"a,b\n1,\xff\n2,b\n", &["2|3"], &["RAW_NOT_UTF8 2"]),
        (b"a,b\n1,\xe4\xb8,\xad\n2,b\n", &["2|3"], &["RAW_NOT_UTF8 2"]),
        (b"a,b\n1,\0\n2,b\n", &["2|3"], &["RAW_NUL_BYTE 2"]),
        (b"a,b\n1\n2,b\n3,b,c\n4,b,,\n", &["2|3", "4|5"], &["RAW_FIELD_COUNT 2", "RAW_FIELD_COUNT 4"]),
        (b"a,b\n1,b\n2,\"b", &["1|2"], &["RAW_UNTERMINATED_QUOTE 3"]),
        (b"a,b\n1,\"b\n2,b\n3,b\n", &["2|3", "3|4"], &["RAW_UNTERMINATED_QUOTE 2"]),
    ];
    for (text, expected, flaws) in cases {
        let found = read(text).await;
        assert_eq!(found.0, expected, "{}", text.escape_ascii());
        assert_eq!(found.1, flaws, "{}", text.escape_ascii());
    }
}

#[tokio::test]
async fn a_line_of_ten_megabytes_costs_one_row() {
    let text = format!("a,b\n1,b\n2,{}\n3,b\n", "x".repeat(10 * 1024 * 1024));
    let files = Files::csv(text.as_bytes());
    let (rows, tally) = files.rows_and_tally().await;
    assert_eq!(rows, ["1|2", "3|4"]);
    assert_eq!((tally.raw, tally.unparsable), (3, 1));
    let flawed = files.unparsable();
    assert_eq!((flawed[0].code, flawed[0].raw.len()), ("RAW_TOO_LONG", 64 * 1024));
}

#[tokio::test]
async fn equal_lines_have_ids_of_their_own_that_every_scan_repeats() {
    let files = Files::csv(b"a\nx\ny\nx\n");
    let ids = rows(&files.table(), "SELECT _row_id FROM t ORDER BY _line").await;
    let expected: Vec<String> = ["x#0", "y#0", "x#1"].iter().map(|text| sha256(text)).collect();
    assert_eq!(ids, expected);
    assert_eq!(rows(&files.table(), "SELECT _row_id FROM t ORDER BY _line").await, expected);
}

#[tokio::test]
async fn an_account_is_settled_once_by_the_first_complete_scan() {
    let text = format!("a\n{}", "1\n".repeat(200_000));
    let files = Files::csv(text.as_bytes());
    let table = files.table();
    rows(&table, "SELECT a FROM t LIMIT 1").await;
    assert_eq!(table.accounts[0].get(), None);

    assert_eq!(rows(&table, "SELECT count(*) FROM t").await, ["200000"]);
    assert_eq!(rows(&table, "SELECT count(a) FROM t").await, ["200000"]);
    let tally = table.accounts[0].get().unwrap();
    assert_eq!((tally.raw, tally.parsed, tally.unparsable), (200_000, 200_000, 0));
    assert_eq!(tally.path, files.spec.paths[0].display().to_string());
}

#[tokio::test]
async fn a_file_that_no_scan_reads_to_its_end_is_counted_when_its_tally_is_asked_for() {
    let text = format!("a,b\n{}x\n", "1,2\n".repeat(100_000));
    let files = Files::csv(text.as_bytes());
    let table = files.table();
    rows(&table, "SELECT a FROM t LIMIT 1").await;
    let account = &table.accounts[0];
    assert_eq!(account.get(), None);
    let tally = account.tally().unwrap();
    assert_eq!((tally.raw, tally.parsed, tally.unparsable), (100_001, 100_000, 1));
    assert_eq!(account.get(), Some(tally));
}

#[tokio::test]
async fn a_file_that_changes_after_it_was_hashed_fails_the_scan_and_settles_nothing() {
    let text = Files::csv(b"a\n1\n");
    let parquet = Files::new(&[("f.parquet", &parquet_bytes())], RawFormat::Parquet);
    for files in [text, parquet] {
        let path = &files.spec.paths[0];
        let table = files.table();
        table.accounts[0].know_version(FileVersion::of(path).unwrap());
        let mut bytes = fs::read(path).unwrap();
        bytes.push(b'\n');
        fs::write(path, bytes).unwrap();
        let error = run(&table, "SELECT count(_line) FROM t").await.unwrap_err().to_string();
        assert!(error.contains("changed while it was read"), "{error}");
        assert_eq!(table.accounts[0].get(), None);
    }
}

#[tokio::test]
async fn a_version_that_is_known_is_the_one_in_the_tally() {
    let files = Files::csv(b"a\n1\n");
    let table = files.table();
    let version = FileVersion::of(&files.spec.paths[0]).unwrap();
    table.accounts[0].know_version(version.clone());
    rows(&table, "SELECT a FROM t").await;
    assert_eq!(table.accounts[0].get().unwrap().sha256, version.sha256());
}

#[tokio::test]
async fn one_target_partition_gives_the_rows_in_the_order_of_the_files() {
    // The first file is by far the longest: read side by side, the others would be there before its end.
    let texts: Vec<String> = [100_000, 1, 1, 1]
        .iter()
        .enumerate()
        .map(|(file, count)| format!("a\n{}", format!("{file}\n").repeat(*count)))
        .collect();
    let files: Vec<(&str, &[u8])> =
        ["1.csv", "2.csv", "3.csv", "4.csv"].into_iter().zip(texts.iter().map(String::as_bytes)).collect();
    let files = Files::new(&files, RawFormat::Csv(CsvDialect::default()));
    let ctx = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    ctx.register_table("t", files.table().provider).unwrap();
    let batches = ctx.sql("SELECT a FROM t").await.unwrap().collect().await.unwrap();
    let found: Vec<&str> = batches.iter().flat_map(|batch| batch.column(0).as_string::<i32>()).flatten().collect();
    assert_eq!(found.len(), 100_003);
    assert!(found.is_sorted());
}

#[tokio::test]
async fn files_of_one_table_are_matched_by_column_name_and_told_apart_by_path() {
    let names: Vec<String> = (10..30).map(|number| format!("{number}.csv")).collect();
    let texts: Vec<String> = (10..30)
        .map(|number| if number % 2 == 0 { format!("a,b\n{number},b\n") } else { format!("b,a\nb,{number}\n") })
        .collect();
    let files: Vec<(&str, &[u8])> =
        names.iter().zip(&texts).map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    let files = Files::new(&files, RawFormat::Csv(CsvDialect::default()));
    let expected: Vec<String> = (10..30).map(|number| format!("{number}|b|{number}.csv")).collect();
    let sql = "SELECT a, b, right(_file, 6) FROM t ORDER BY a";
    assert_eq!(rows(&files.table(), sql).await, expected);
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_what_to_do() {
    let csv = |bytes: &[u8]| Files::csv(bytes).error();
    assert!(csv(b"").starts_with("RAW_FILE_EMPTY: the file `file.csv` is empty; "));
    assert!(csv(b",,\n1,2,3\n").starts_with("RAW_HEADER_INVALID: the first record of `file.csv` cannot be used"));
    assert!(csv(b"\xd0\xd5\xc3\xfb\n1\n").contains("the record is not UTF-8"));
    assert!(csv(b"a\0\n\0").contains("the record holds a NUL byte; text is UTF-8 unless its `encoding:` is said"));
    assert!(csv(b"PAR1 and more").contains("but a Parquet file; give its format as parquet"));

    let parquet = Files::new(&[("f.parquet", b"a,b\n1,2\n")], RawFormat::Parquet);
    assert!(parquet.error().starts_with("RAW_NOT_PARQUET: the file `f.parquet` is not a readable Parquet file"));

    let differ: [(&str, &[u8]); 2] = [("1.csv", b"a,b\n"), ("2.csv", b"a,c\n")];
    let differ = Files::new(&differ, RawFormat::Csv(CsvDialect::default()));
    assert!(differ.error().contains("the columns of `2.csv` differ from those of `1.csv`: it lacks `b`, it adds `c`"));

    let stated = CsvDialect { columns: Some(vec!["x".to_owned()]), ..CsvDialect::default() };
    let stated = Files::new(&[("f.csv", b"a,b\n")], RawFormat::Csv(stated));
    assert!(stated.error().starts_with("RAW_COLUMN_COUNT: the source names 1 columns for `f.csv`, its header has 2"));

    let mut missing = Files::csv(b"a\n");
    missing.spec.paths = vec![missing.folder.path().join("fil.csv")];
    assert_eq!(missing.error(), "RAW_FILE_MISSING: the file `fil.csv` does not exist; did you mean `file.csv`?");
}

#[test]
fn formats_are_guessed_from_names() {
    let delimiter = |name: &str| match RawFormat::guess(name.as_ref()) {
        RawFormat::Csv(dialect) => Some(dialect.delimiter),
        RawFormat::Json(_) => Some(b'{'),
        RawFormat::Parquet => None,
    };
    let names = ["a/b.CSV.gz", "b.tsv.zst", "b.parquet", "b", "b.jsonl.gz", "b.json"];
    let expected = [Some(b','), Some(b'\t'), None, Some(b','), Some(b'{'), Some(b'{')];
    assert_eq!(names.map(delimiter), expected);
}

#[tokio::test]
async fn parquet_keeps_its_types_and_shows_its_rows_as_json() {
    let files = Files::new(&[("f.parquet", &parquet_bytes())], RawFormat::Parquet);
    let sql = "SELECT name, id + 1, arrow_typeof(seen_at), _line FROM t ORDER BY _line";
    let timestamp = "Timestamp(µs, \"UTC\")";
    let expected = [format!("a|2|{timestamp}|1"), format!("NULL|3|{timestamp}|2")];
    check(&files, sql, &expected.each_ref().map(String::as_str)).await;
    let raw =
        [r#"{"id":1,"name":"a","seen_at":"1970-01-01T00:00:01Z"}"#, r#"{"id":2,"seen_at":"1970-01-01T00:00:02Z"}"#];
    check(&files, "SELECT _raw FROM t ORDER BY _line", &raw).await;
    let ids: Vec<String> = raw.iter().map(|row| sha256(&format!("{row}#0"))).collect();
    assert_eq!(rows(&files.table(), "SELECT _row_id FROM t ORDER BY _line").await, ids);
}

#[tokio::test]
async fn a_complete_scan_reports_every_byte_and_fills_the_account() {
    #[derive(Default)]
    struct Seen(AtomicU64);
    impl Progress for Seen {
        fn bytes_read(&self, bytes: u64) {
            self.0.fetch_add(bytes, Ordering::SeqCst);
        }
    }
    let text = Files::csv(b"a,b\n1,2\n3,4\n");
    let parquet = Files::new(&[("f.parquet", &parquet_bytes())], RawFormat::Parquet);
    for files in [text, parquet] {
        let seen = Arc::new(Seen::default());
        let table = raw_table(&files.spec, Arc::clone(&seen) as Arc<dyn Progress>).unwrap();
        assert_eq!(rows(&table, "SELECT count(*) FROM t").await, ["2"]);
        assert_eq!(seen.0.load(Ordering::SeqCst), total_bytes(std::slice::from_ref(&files.spec)));
        let tally = table.accounts[0].get().unwrap();
        assert_eq!((tally.raw, tally.parsed), (2, 2));
        assert_eq!(tally.sha256, file_digest(&files.spec.paths[0]).unwrap());
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn sha256(text: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(text.as_bytes());
    digest::hex_digest(hasher)
}

/// Two rows of id, name (the second NULL) and a UTC timestamp.
fn parquet_bytes() -> Vec<u8> {
    let columns: [(&str, ArrayRef); 3] = [
        ("id", Arc::new(Int64Array::from(vec![1, 2]))),
        ("name", Arc::new(StringArray::from(vec![Some("a"), None]))),
        ("seen_at", Arc::new(TimestampMicrosecondArray::from(vec![1_000_000, 2_000_000]).with_timezone("UTC"))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

//! Raw files in every form in which they come: a sample of each is read to its last row, and what is hostile is
//! survived.
//!
//! The samples lie in `tests/data/raw`. All that hold the four orders `r1` to `r4` have to give the same events.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tagmill_ingest::{FileCount, RunReport, TableCount};

use crate::harness::{Answer, Sandbox, files_below};
use crate::ingest::report_of;

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/raw");

/// The most memory that a run may hold, whatever its files do.
const MOST_MIB: u64 = 640;

const INGEST: [&str; 2] = ["ingest", "raw.yaml"];

/// A source that reads orders out of the raw table `lines`, which `file` describes.
fn source(name: &str, file: &str) -> String {
    format!(
        "name: {name}
kind: files
taken_at: 2026-06-15T02:00:00+08:00
files:
  lines: {{{file}}}
tables:
  customer:
    mode: upsert
    select: SELECT DISTINCT customer AS customer_id FROM lines
  event:
    mode: append
    properties: {{city: text, note: text}}
    select: |
      SELECT
        order_id AS event_id,
        customer AS customer_id,
        'order_paid' AS type,
        ordered_at AS occurred_at,
        amount,
        'CNY' AS currency,
        city,
        note
      FROM lines
"
    )
}

/// A folder with the sample and a source of it, nothing ingested.
fn sandbox_with(sample: &str, keys: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    put(&sandbox, sample);
    sandbox.write("raw.yaml", source("raw", &format!("path: {sample}{keys}")));
    sandbox
}

/// Copies a sample into a folder, under its own name.
fn put(sandbox: &Sandbox, sample: &str) {
    sandbox.write(sample, fs::read(Path::new(SAMPLES).join(sample)).unwrap());
}

/// The numbers of the only file of a run.
fn counts(report: &RunReport) -> (u64, u64, u64) {
    let [FileCount { raw, parsed, unparsable, .. }] = report.files.as_slice() else { panic!("{report:?}") };
    (*raw, *parsed, *unparsable)
}

/// What a run says of its events.
fn events(report: &RunReport) -> &TableCount {
    report.tables.iter().find(|table| table.table == "event").unwrap()
}

/// The records of a folder's run that could not be read.
fn unparsable(sandbox: &Sandbox) -> Vec<Value> {
    sandbox.sql("SELECT line, code FROM quarantine WHERE target = 'lines' ORDER BY line")
}

/// Invariant 8.
#[test]
fn every_form_of_the_same_orders_gives_the_same_events() {
    let forms = [
        ("utf8.csv", ""),
        ("utf8_bom.csv", ""),
        ("semicolon.csv", ", delimiter: \";\", quote: \"'\""),
        ("mixed_line_ends.csv", ""),
        ("utf16le_bom.csv", ""),
        ("utf16be_bom.csv", ""),
        ("utf16le.csv", ", encoding: utf-16le"),
        ("utf16be.csv", ", encoding: utf-16be"),
        ("gb18030.csv", ", encoding: gb18030"),
        ("gb18030.csv.gz", ", encoding: gb18030"),
        ("utf8.csv.gz", ""),
        ("utf8.csv.zst", ""),
        ("array.json", ""),
        ("array.json.gz", ""),
        ("pretty.json", ""),
        ("typed.parquet", ""),
        ("days", ", format: csv"),
        ("days/*.csv", ""),
    ];
    let sandbox = Sandbox::new();
    for path in files_below(Path::new(SAMPLES)).into_keys() {
        put(&sandbox, path.strip_prefix(SAMPLES).unwrap().to_str().unwrap());
    }
    for (number, (path, keys)) in forms.into_iter().enumerate() {
        sandbox.write("raw.yaml", source(&format!("form_{number}"), &format!("path: \"{path}\"{keys}")));
        let report = report_of(&sandbox, "raw.yaml");
        let raw: u64 = report.files.iter().map(|file| file.raw).sum();
        let parsed: u64 = report.files.iter().map(|file| file.parsed).sum();
        let event = events(&report);
        assert_eq!((raw, parsed), (4, 4), "{path}: {report:?}");
        assert_eq!((event.parsed, event.mapped, event.accepted), (Some(4), 4, 4), "{path}: {report:?}");
    }
    let sql = "SELECT event_id, amount, coalesce(city, 'none') AS city, note, count(*) AS forms FROM event \
               GROUP BY 1, 2, 3, 4 ORDER BY event_id";
    let count = forms.len();
    let expected = [
        json!({"event_id": "r1", "amount": "199.0000", "city": "上海", "note": "first", "forms": count}),
        json!({"event_id": "r2", "amount": "59.9000", "city": "杭州", "note": "a, b", "forms": count}),
        json!({"event_id": "r3", "amount": "320.0000", "city": "西安", "note": "says \"好\"", "forms": count}),
        json!({"event_id": "r4", "amount": "0.1000", "city": "none", "note": "two\nlines", "forms": count}),
    ];
    assert_eq!(sandbox.sql(sql), expected);
}

#[test]
fn a_refused_row_of_a_parquet_file_is_kept_as_json_without_its_nulls() {
    let sandbox = sandbox_with("typed.parquet", "");
    let amount = "        CASE WHEN order_id = 'r4' THEN 'much' ELSE '1' END AS amount,\n";
    sandbox.write("raw.yaml", sandbox.read("raw.yaml").replace("        amount,\n", amount));
    assert_eq!(counts(&report_of(&sandbox, "raw.yaml")), (4, 4, 0));
    let kept = sandbox.sql("SELECT line, code, raw FROM quarantine");
    let [row] = kept.as_slice() else { panic!("{kept:?}") };
    assert_eq!((&row["line"], &row["code"]), (&json!(4), &json!("BAD_VALUE")));
    let raw: Value = serde_json::from_str(row["raw"].as_str().unwrap()).unwrap();
    assert_eq!((&raw["order_id"], &raw["note"], raw.get("city")), (&json!("r4"), &json!("two\nlines"), None));
}

#[test]
fn without_quoting_a_quote_is_text() {
    let sandbox = sandbox_with("unquoted.tsv", ", quote: none");
    assert_eq!(counts(&report_of(&sandbox, "raw.yaml")), (4, 4, 0));
    let notes = sandbox.sql("SELECT note FROM event WHERE event_id IN ('r3', 'r4') ORDER BY event_id");
    assert_eq!(notes, [json!({"note": "says \"好\""}), json!({"note": "two lines"})]);
}

#[test]
fn gb18030_that_nobody_stated_costs_its_rows_and_says_what_to_state() {
    let sandbox = sandbox_with("gb18030.csv", "");
    assert_eq!(counts(&report_of(&sandbox, "raw.yaml")), (4, 1, 3));
    let reasons = sandbox.sql("SELECT DISTINCT code, reason FROM quarantine");
    let reason = "the record is not UTF-8; it could be GB18030, which `encoding: gb18030` reads";
    assert_eq!(reasons, [json!({"code": "RAW_NOT_UTF8", "reason": reason})]);
}

/// Invariant 8.
#[test]
fn a_json_line_that_is_no_object_costs_its_row_and_nested_values_are_json() {
    let sandbox = sandbox_with("lines.jsonl", "");
    let text = sandbox.read("raw.yaml").replace("note: text}", "note: text, goods: text}");
    sandbox.write("raw.yaml", text.replace("        note\n", "        note,\n        goods\n"));
    assert_eq!(counts(&report_of(&sandbox, "raw.yaml")), (6, 4, 2));
    let expected = [json!({"line": 4, "code": "RAW_NOT_JSON"}), json!({"line": 5, "code": "RAW_NOT_JSON"})];
    assert_eq!(unparsable(&sandbox), expected);
    let goods = sandbox.sql("SELECT event_id, goods FROM event WHERE goods IS NOT NULL");
    assert_eq!(goods, [json!({"event_id": "r2", "goods": "[{\"sku\": \"s1\", \"count\": 2}]"})]);
}

#[test]
fn an_array_that_is_cut_off_keeps_its_whole_records() {
    let sandbox = sandbox_with("cut.json", "");
    assert_eq!(counts(&report_of(&sandbox, "raw.yaml")), (3, 2, 1));
    assert_eq!(unparsable(&sandbox), [json!({"line": 4, "code": "RAW_JSON_OPEN"})]);
}

/// A folder with three days of orders and a source of all days, nothing ingested.
fn days() -> Sandbox {
    let sandbox = Sandbox::new();
    for day in ["days/2026-06-01.csv", "days/2026-06-02.csv", "days/2026-06-03.csv"] {
        put(&sandbox, day);
    }
    sandbox.write("raw.yaml", source("raw", "path: \"days/*.csv\""));
    sandbox
}

const NEXT_DAY: &str = "order_id,customer,ordered_at,city,note,amount\nr5,c2,2026-06-04 08:00:00,杭州,,5.00\n";

#[test]
fn a_file_of_a_pattern_is_read_once_for_events_and_every_time_for_customers() {
    let sandbox = days();
    sandbox.ok(&INGEST);
    sandbox.ok(&INGEST).says("nothing new");
    sandbox.write("days/2026-06-04.csv", NEXT_DAY);
    let report = report_of(&sandbox, "raw.yaml");
    let (files, event) = (report.files.len(), events(&report));
    assert_eq!((files, event.parsed, event.mapped, event.accepted), (4, Some(1), 1, 1), "{report:?}");
    let customer = report.tables.iter().find(|table| table.table == "customer").unwrap();
    assert_eq!(customer.mapped, 3);
    let note = "3 files of `lines` were read by an earlier run, and skipped for `event`";
    assert!(report.notes.iter().any(|told| told == note), "{:?}", report.notes);
    assert_eq!(sandbox.sql("SELECT count(*) AS events FROM event"), [json!({"events": 5})]);
}

#[test]
fn a_file_that_was_read_is_known_by_its_content_and_not_by_its_name() {
    let sandbox = days();
    sandbox.ok(&INGEST);
    fs::rename(sandbox.path("days/2026-06-01.csv"), sandbox.path("days/2026-06-09.csv")).unwrap();
    let told = sandbox.ok(&INGEST);
    told.says("3 files of `lines` were read by an earlier run, and skipped for `event`");
    told.says("0 mapped = 0 accepted");
    // The same name with something more in it.
    let text = sandbox.read("days/2026-06-09.csv");
    sandbox.write("days/2026-06-09.csv", format!("{text}r6,c1,2026-06-01 11:00:00,,,1.00\n"));
    let told = sandbox.ok(&INGEST);
    told.says("2 files of `lines` were read by an earlier run").says("3 mapped = 3 accepted");
    assert_eq!(sandbox.sql("SELECT count(*) AS events FROM event"), [json!({"events": 5})]);
}

#[test]
fn another_select_reads_every_file_again() {
    let sandbox = days();
    sandbox.ok(&INGEST);
    let text = sandbox.read("raw.yaml");
    sandbox.write("raw.yaml", text.replace("      FROM lines\n", "      FROM lines WHERE true\n"));
    let told = sandbox.ok(&INGEST);
    assert!(!told.stderr.contains("skipped"), "{told:?}");
    told.says("4 mapped = 4 accepted");
}

#[test]
fn a_join_reads_every_file_every_time() {
    let sandbox = days();
    let text = sandbox.read("raw.yaml");
    let joined = "      FROM lines JOIN (SELECT DISTINCT customer AS other FROM lines) ON customer = other\n";
    sandbox.write("raw.yaml", text.replace("      FROM lines\n", joined));
    sandbox.ok(&INGEST);
    sandbox.write("days/2026-06-04.csv", NEXT_DAY);
    let told = sandbox.ok(&INGEST);
    assert!(!told.stderr.contains("skipped"), "{told:?}");
    told.says("5 mapped = 5 accepted");
}

#[test]
fn files_that_nobody_has_to_read_are_not_read() {
    let sandbox = days();
    let text = sandbox.read("raw.yaml");
    let (head, tables) = text.split_once("  customer:\n").unwrap();
    let event = &tables[tables.find("  event:\n").unwrap()..];
    sandbox.write("raw.yaml", format!("{head}{event}"));
    report_of(&sandbox, "raw.yaml");
    sandbox.write("days/2026-06-04.csv", NEXT_DAY);
    let report = report_of(&sandbox, "raw.yaml");
    assert_eq!(counts(&report), (1, 1, 0));
    assert_eq!(events(&report).mapped, 1);
    assert!(!report.notes.iter().any(|note| note.contains("no SELECT reads")), "{:?}", report.notes);
}

#[test]
fn a_pattern_without_files_and_a_folder_without_format_are_told() {
    let sandbox = days();
    let fails = |file: &str, code: i32, words: &str| {
        sandbox.write("raw.yaml", source("raw", file));
        sandbox.fails(code, &INGEST).says(words);
    };
    fails("path: \"days/*.tsv\"", 1, "no file is meant by `days/*.tsv`");
    fails("path: days", 2, "`days` is a folder, and its `format` is not said");
    fails("path: \"**/*.csv\"", 2, "the pattern `**/*.csv` cannot be used");
}

#[test]
fn small_hostile_files_are_survived_with_a_clear_answer() {
    let nul = sandbox_with("nul_bytes.csv", "");
    assert_eq!(counts(&report_of(&nul, "raw.yaml")), (4, 3, 1));
    assert_eq!(unparsable(&nul), [json!({"line": 3, "code": "RAW_NUL_BYTE"})]);

    let formulas = sandbox_with("formulas.csv", "");
    let report = report_of(&formulas, "raw.yaml");
    let event = events(&report);
    assert_eq!((counts(&report), event.accepted, event.rejected), ((2, 2, 0), 1, 1));

    sandbox_with("header_only.csv", "").ok(&INGEST).says("0 rows = 0 parsed + 0 unparsable");
    sandbox_with("empty.csv", "").fails(1, &INGEST).says("the file `empty.csv` is empty").says("hint: ");
}

#[test]
fn ten_thousand_columns_are_read_and_twice_as_many_refused() {
    let sandbox = sandbox_with("utf8.csv", "");
    let text = sandbox.read("utf8.csv");
    let widened = |count: usize| {
        let (header, rows) = text.split_once('\n').unwrap();
        let names: String = (0..count).map(|number| format!("x{number},")).collect();
        let row = rows.split_once('\n').unwrap().0;
        format!("{names}{header}\n{}{row}\n", ",".repeat(count))
    };
    sandbox.write("utf8.csv", widened(10_000));
    assert_eq!(counts(&report_of(&sandbox, "raw.yaml")), (1, 1, 0));
    sandbox.write("utf8.csv", widened(20_000));
    sandbox.fails(1, &INGEST).says("the file `utf8.csv` has more than 16384 columns");

    let keys: String = (0..20_000).map(|number| format!("{{\"id{number}\": 1}}\n")).collect();
    sandbox.write("keys.jsonl", keys);
    sandbox.write("raw.yaml", source("raw", "path: keys.jsonl"));
    sandbox.fails(1, &INGEST).says("more than 16384 columns").says("list the `columns:`");
}

/// Runs the source, and tells the most memory that the run held, in MiB; 0 where the system does not say.
fn ingest_measured(sandbox: &Sandbox) -> (Answer, u64) {
    let mut command = sandbox.command(&INGEST);
    command.stdout(Stdio::null()).stderr(File::create(sandbox.path("said.txt")).unwrap());
    let mut child = command.spawn().unwrap();
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut most = 0;
    let code = loop {
        most = most.max(high_water_mib(&status));
        match child.try_wait().unwrap() {
            Some(ended) => break ended.code(),
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    (Answer { code, stdout: String::new(), stderr: sandbox.read("said.txt") }, most)
}

fn high_water_mib(status: &Path) -> u64 {
    let told = fs::read_to_string(status).unwrap_or_default();
    let line = told.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().map_or(0, |kib| kib.parse::<u64>().unwrap() / 1024)
}

#[test]
fn a_line_of_one_gigabyte_costs_its_row_and_little_memory() {
    let sandbox = sandbox_with("utf8.csv", "");
    let first: String = sandbox.read("utf8.csv").lines().take(2).map(|line| format!("{line}\n")).collect();
    // What is behind the end that was written is NUL bytes, which cost no disk.
    let mut file = File::create(sandbox.path("utf8.csv")).unwrap();
    file.write_all(first.as_bytes()).unwrap();
    file.set_len(1 << 30).unwrap();
    drop(file);
    let (answer, most_mib) = ingest_measured(&sandbox);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    answer.says("2 rows = 1 parsed + 1 unparsable");
    assert_eq!(unparsable(&sandbox), [json!({"line": 3, "code": "RAW_TOO_LONG"})]);
    assert!(most_mib < MOST_MIB, "{most_mib} MiB");
}

#[test]
fn an_archive_that_unpacks_without_end_is_refused() {
    let sandbox = sandbox_with("utf8.csv.gz", "");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![b'x'; 16 << 20]).unwrap();
    let part = encoder.finish().unwrap();
    let header = fs::read(Path::new(SAMPLES).join("utf8.csv.gz")).unwrap();
    sandbox.write("utf8.csv.gz", [header, part.repeat(64)].concat());
    let (answer, most_mib) = ingest_measured(&sandbox);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    answer.says("the archive `utf8.csv.gz` unpacks to more than 500 times its size").says("hint: ");
    assert!(most_mib < MOST_MIB, "{most_mib} MiB");
}

#[test]
fn a_cut_zstd_file_stops_the_run() {
    let sandbox = sandbox_with("utf8.csv.zst", "");
    let whole = fs::read(sandbox.path("utf8.csv.zst")).unwrap();
    sandbox.write("utf8.csv.zst", &whole[..whole.len() / 2]);
    sandbox.fails(1, &INGEST).says("the zstd file `utf8.csv.zst` is damaged or incomplete").says("`zstd -t FILE`");
}

//! A run's report in words: every row accounted for.

use tagmill_ingest::{FileCount, RunReport, TableCount};
use tagmill_schemas::clock::BusinessZone;
use tagmill_store::Traffic;

use super::late;
use crate::output::{local_time, thousands};

/// The report, a line for each thing to know.
pub(super) fn lines(report: &RunReport, zone: BusinessZone) -> Vec<String> {
    let mut lines = vec![format!("source `{}`, read {}", report.source, local_time(report.read_until, zone))];
    if !report.files.is_empty() {
        lines.push("files".to_owned());
        lines.extend(aligned(report.files.iter().map(|file| (file.path.clone(), file_sum(file)))));
    }
    lines.push("tables".to_owned());
    let sums = report.tables.iter().map(|table| (format!("{} ({})", table.table, table.mode), table_sum(table)));
    lines.extend(aligned(sums));
    if !report.late_events.is_empty() {
        lines.push(late::sum(&report.late_events));
        lines.extend(aligned(late::rows(&report.late_events).into_iter()));
    }
    if !report.refused.is_empty() {
        lines.push("not taken".to_owned());
        let counts = report.refused.iter();
        lines.extend(aligned(counts.map(|(target, code, count)| (format!("{target} {code}"), thousands(*count)))));
    }
    lines.extend(notes(&report.notes));
    lines
}

/// What a person should know of a run, a line for each note.
pub(super) fn notes(notes: &[String]) -> Vec<String> {
    notes.iter().map(|note| format!("note: {note}")).collect()
}

/// What a bucket was asked for, which is what it costs:
/// `storage: 41 reads (120 kB), 23 writes (80 kB), 12 lists, 0 removes`.
pub(super) fn storage_line(traffic: &Traffic) -> String {
    let [reads, writes, lists, removes] =
        [traffic.reads, traffic.writes, traffic.lists, traffic.removes].map(thousands);
    let [read, written] = [traffic.bytes_read, traffic.bytes_written].map(|bytes| thousands(bytes.div_ceil(1000)));
    format!("storage: {reads} reads ({read} kB), {writes} writes ({written} kB), {lists} lists, {removes} removes")
}

/// `541,909 rows = 541,909 parsed + 0 unparsable`.
fn file_sum(file: &FileCount) -> String {
    let [raw, parsed, unparsable] = [file.raw, file.parsed, file.unparsable].map(thousands);
    format!("{raw} rows = {parsed} parsed + {unparsable} unparsable")
}

/// `12 mapped = 10 accepted + 2 rejected + 0 duplicate + 0 unmatched; 3 filtered out; 10 new`.
fn table_sum(table: &TableCount) -> String {
    let parts = [
        ("accepted", table.accepted),
        ("rejected", table.rejected),
        ("duplicate", table.duplicate),
        ("unmatched", table.unmatched),
    ];
    let sum: Vec<String> = parts.iter().map(|(what, count)| format!("{} {what}", thousands(*count))).collect();
    let mut text = format!("{} mapped = {}", thousands(table.mapped), sum.join(" + "));
    if let Some(filtered) = table.filtered.filter(|filtered| *filtered > 0) {
        text.push_str(&format!("; {} filtered out", thousands(filtered)));
    }
    for (what, count) in &table.changes {
        text.push_str(&format!("; {} {what}", thousands(*count)));
    }
    text
}

/// Names and what there is to say of them, the latter below each other.
fn aligned(rows: impl Iterator<Item = (String, String)>) -> Vec<String> {
    let rows: Vec<(String, String)> = rows.collect();
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    rows.iter().map(|(name, text)| format!("  {name:<width$}  {text}")).collect()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn what_a_bucket_was_asked_for_is_told_in_whole_kilobytes() {
        let traffic =
            Traffic { reads: 1_041, bytes_read: 1_234_001, writes: 23, bytes_written: 1, lists: 12, removes: 0 };
        let told = "storage: 1,041 reads (1,235 kB), 23 writes (1 kB), 12 lists, 0 removes";
        assert_eq!(storage_line(&traffic), told);
    }

    #[test]
    fn a_report_accounts_for_every_row() {
        let at = DateTime::parse_from_rfc3339("2026-11-11T18:00:00Z").expect("an instant").to_utc();
        let event = TableCount {
            table: "event".to_owned(),
            mode: "append".to_owned(),
            mapped: 1_200,
            accepted: 1_190,
            rejected: 7,
            unmatched: 3,
            filtered: Some(34),
            changes: vec![("new".to_owned(), 1_190)],
            ..TableCount::default()
        };
        let file = FileCount { path: "orders.csv".to_owned(), raw: 1_235, parsed: 1_234, unparsable: 1 };
        let report = RunReport {
            source: "shop".to_owned(),
            read_from: at,
            read_until: at,
            files: vec![file],
            tables: vec![event],
            late_events: [(at.date_naive(), 2)].into(),
            refused: vec![("event".to_owned(), "BAD_VALUE".to_owned(), 7)],
            notes: vec!["something was mended".to_owned()],
        };
        assert_eq!(
            lines(&report, BusinessZone::default()),
            [
                "source `shop`, read 2026-11-12 02:00 Asia/Shanghai",
                "files",
                "  orders.csv  1,235 rows = 1,234 parsed + 1 unparsable",
                "tables",
                "  event (append)  1,200 mapped = 1,190 accepted + 7 rejected + 0 duplicate + 3 unmatched; \
                 34 filtered out; 1,190 new",
                "late events: 2 on 1 business day",
                "  2026-11-11  2",
                "not taken",
                "  event BAD_VALUE  7",
                "note: something was mended",
            ]
        );
    }
}

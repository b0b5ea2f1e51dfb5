//! The doctor's questions to the rows: whether the tables of each kept snapshot fit together.
//!
//! What files, logs and the ledger tell by themselves is looked at in `tagmill_store::doctor`. Here are read-only
//! questions in SQL, one file for each set of tables. Each answers with rows of `fault` (in words), `found` (how often)
//! and `example`; examples hold no private column. Snapshots that hold the same versions of a question's tables are
//! asked once.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;
use tagmill_schemas::error::{Diagnose, ErrorKind};
use tagmill_schemas::ids::SnapshotId;
use tagmill_schemas::segment::AsOf;
use tagmill_store::LedgerRow;
use tagmill_store::doctor::{Checkup, Finding, Severity, in_words};

use crate::catalog::text;
use crate::engine::Engine;
use crate::error::QueryError;
use crate::view::{Access, View};

/// A question, and the tables that it reads; a fault is one of the first.
struct Question {
    tables: &'static [&'static str],
    sql: &'static str,
}

static QUESTIONS: [Question; 7] = [
    Question { tables: &["customer"], sql: include_str!("customer.sql") },
    Question { tables: &["follow"], sql: include_str!("follow.sql") },
    Question { tables: &["follow", "customer"], sql: include_str!("follow_customer.sql") },
    Question { tables: &["assignment_log"], sql: include_str!("assignment_log.sql") },
    Question {
        tables: &["assignment_log", "tag", "customer", "follow"],
        sql: include_str!("assignment_log_known.sql"),
    },
    Question { tables: &["event"], sql: include_str!("event.sql") },
    Question { tables: &["event", "customer"], sql: include_str!("event_customer.sql") },
];

/// A question by its place, and the versions of its tables.
type Asked = (usize, Vec<u64>);

/// What a question came to, and the snapshots that hold what was asked.
#[derive(Default)]
struct Answer {
    snapshots: BTreeSet<SnapshotId>,
    /// `None` until it has been answered.
    faults: Option<Vec<Finding>>,
}

/// Asks the tables of every kept snapshot whether they fit together. A question that cannot be answered is a finding
/// too; tables whose files are not all there are not asked, because that has been told.
pub async fn check_tables(engine: &Engine, checkup: &Checkup) -> Vec<Finding> {
    let mut answers: BTreeMap<Asked, Answer> = BTreeMap::new();
    let mut findings = Vec::new();
    for row in &checkup.snapshots {
        let id = row.snapshot_id;
        let mut open = Vec::new();
        for asked in questions_to(row, checkup) {
            let answer = answers.entry(asked.clone()).or_default();
            answer.snapshots.insert(id);
            if answer.faults.is_none() {
                open.push(asked);
            }
        }
        if open.is_empty() {
            continue;
        }
        let view = match engine.view(AsOf::Snapshot(id), Access::Full).await {
            Ok(view) => view,
            Err(cause) => {
                findings.push(unopened(&cause).of_snapshot(id));
                continue;
            }
        };
        for asked in open {
            let faults = ask(&view, &QUESTIONS[asked.0]).await;
            answers.entry(asked).or_default().faults = Some(faults);
        }
    }
    findings.extend(answers.into_values().flat_map(|Answer { snapshots, faults }| {
        let faults = faults.unwrap_or_default().into_iter();
        faults.map(move |fault| Finding { snapshots: snapshots.clone(), ..fault })
    }));
    findings
}

/// The questions that the tables of a snapshot can be asked.
fn questions_to(row: &LedgerRow, checkup: &Checkup) -> Vec<Asked> {
    let version = |table: &&str| {
        let version = row.tables.get(*table).copied();
        version.filter(|_| checkup.is_readable(row.snapshot_id, table))
    };
    let versions = |question: &Question| question.tables.iter().map(version).collect::<Option<Vec<u64>>>();
    QUESTIONS.iter().enumerate().filter_map(|(place, question)| Some((place, versions(question)?))).collect()
}

/// Asks one question; what is wrong comes back without its snapshots.
async fn ask(view: &View, question: &Question) -> Vec<Finding> {
    let table = question.tables.first().copied().unwrap_or_default();
    let batches = match view.rows(question.sql).await {
        Ok(batches) => batches,
        Err(cause) => return vec![unanswered(&cause, question)],
    };
    let mut found: Vec<Finding> = batches.iter().flat_map(|batch| faults(batch, table)).collect();
    // Kinds of faults come in no order of their own.
    found.sort_by(|a, b| a.what.cmp(&b.what));
    found
}

/// The faults that an answer tells, each with how often it was found.
fn faults(batch: &RecordBatch, table: &str) -> Vec<Finding> {
    let Some(counts) = batch.column(1).as_primitive_opt::<Int64Type>() else { return Vec::new() };
    let told = (0..batch.num_rows()).filter(|row| !counts.is_null(*row) && counts.value(*row) > 0);
    told.map(|row| {
        let (fault, example) = (text(batch, 0, row), text(batch, 2, row));
        let what = format!("{fault}: {}, such as `{example}`", counts.value(row));
        Finding::new(Severity::Error, what).of_table(table).with_hint(
            "no run writes this: go back to the last snapshot without it, or put the table back from a backup",
        )
    })
    .collect()
}

fn unanswered(cause: &QueryError, question: &Question) -> Finding {
    let tables = question.tables.join(", ");
    let words = in_words(cause);
    let finding = match cause.kind() {
        ErrorKind::Limit => Finding::new(Severity::Warning, format!("the rows of {tables} were not checked: {words}"))
            .with_hint("check it where there is more memory and time"),
        _ => Finding::new(Severity::Error, format!("the rows of {tables} cannot be read: {words}"))
            .with_hint("put the table back from a backup"),
    };
    finding.of_table(question.tables.first().copied().unwrap_or_default())
}

fn unopened(cause: &QueryError) -> Finding {
    Finding::new(Severity::Warning, format!("the rows of the snapshot were not checked: {}", in_words(cause)))
        .with_hint("they are, once what else was found in it is mended")
}

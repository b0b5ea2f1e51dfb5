//! `tagmill doctor`: whether what is kept is as it was written.

use std::time::Duration;

use tagmill_query::doctor::check_tables;
use tagmill_query::{Engine, Limits};
use tagmill_schemas::error::{Diagnose, ErrorKind};
use tagmill_store::Warehouse;
use tagmill_store::doctor::{Checkup, Finding, Severity, check_up, repair};

use super::columns::{batch, text_column};
use crate::cli::DoctorArgs;
use crate::errors::{self, SurfaceError};
use crate::globals::Globals;
use crate::output::{Format, busy, say, thousands, write_batch};

/// How long a question to the rows of a table may take; it reads all of them.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Checks every kept snapshot, what lies beside the tables and the control state; repairs first what can be derived,
/// where that is asked for.
///
/// # Errors
/// `SurfaceError::Unsound` where an error was found; `StoreError::Locked` where a repair is asked for while a run is
/// writing.
pub(crate) async fn examine_warehouse(globals: &Globals, args: &DoctorArgs) -> anyhow::Result<()> {
    let format = args.output.resolved_format()?;
    let warehouse = globals.open_warehouse().await?;
    if args.repair {
        mend(&warehouse).await?;
    }
    let (checkup, findings) = examined(warehouse).await?;
    let rows = batch([
        ("severity", text_column(findings.iter().map(|finding| Some(finding.severity.as_str())))),
        ("snapshot", text_column(findings.iter().map(snapshots))),
        ("table", text_column(findings.iter().map(|finding| finding.table.as_deref()))),
        ("what", text_column(findings.iter().map(|finding| Some(&finding.what)))),
        ("hint", text_column(findings.iter().map(|finding| finding.hint.as_deref()))),
    ])?;
    // To people the summary says it all where nothing was found; a program gets its empty list.
    if !findings.is_empty() || format != Format::Table {
        write_batch(&rows, format, &args.output.destination())?;
    }
    say(summary(&checkup, &findings));
    match count(&findings, Severity::Error) {
        0 => Ok(()),
        found => Err(SurfaceError::Unsound { found }.into()),
    }
}

/// Repairs what can be derived, and says what was done. A warehouse that is too damaged for a repair is looked at all
/// the same.
async fn mend(warehouse: &Warehouse) -> anyhow::Result<()> {
    match repair(warehouse).await {
        Ok(repaired) => {
            for line in repaired.done.iter().chain(&repaired.left) {
                say(line);
            }
            if repaired.done.is_empty() {
                say("there was nothing that could be repaired");
            }
            Ok(())
        }
        Err(cause) if cause.kind() == ErrorKind::Conflict => Err(cause.into()),
        Err(cause) => {
            say("the repair could not be finished");
            errors::tell(&cause.into());
            Ok(())
        }
    }
}

/// Everything that was found, the worst first.
async fn examined(warehouse: Warehouse) -> anyhow::Result<(Checkup, Vec<Finding>)> {
    let _shown = busy("looking at every kept snapshot");
    let checkup = check_up(&warehouse).await;
    let engine = Engine::new(warehouse, Limits { timeout: PATIENCE, ..Limits::default() })?;
    let mut findings = checkup.findings.clone();
    findings.extend(check_tables(&engine, &checkup).await);
    findings.sort_by_key(|finding| finding.severity);
    Ok((checkup, findings))
}

/// The snapshots that a finding touches; missing where it touches none.
fn snapshots(finding: &Finding) -> Option<String> {
    Some(finding.snapshot_words()).filter(|words| !words.is_empty())
}

fn count(findings: &[Finding], severity: Severity) -> usize {
    findings.iter().filter(|finding| finding.severity == severity).count()
}

/// What was looked at and what came of it, in one line.
fn summary(checkup: &Checkup, findings: &[Finding]) -> String {
    let told = |count: usize, what: &str| {
        let plural = if count == 1 { "" } else { "s" };
        format!("{} {what}{plural}", thousands(count as u64))
    };
    let files = usize::try_from(checkup.file_count).unwrap_or(usize::MAX);
    let looked_at = format!("{} with {}", told(checkup.snapshots.len(), "snapshot"), told(files, "file"));
    if findings.is_empty() {
        return format!("{looked_at}: all is as it was written");
    }
    let found = [Severity::Error, Severity::Warning, Severity::Note];
    let found = found.map(|severity| told(count(findings, severity), severity.as_str()));
    format!("{looked_at}: {}", found.join(", "))
}

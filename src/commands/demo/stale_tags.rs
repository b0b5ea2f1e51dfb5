//! The stale tags of the corp: the oldest here, all of them on a page.

use std::cmp::Reverse;
use std::fs;
use std::time::Instant;

use tagmill_activate::stale::{DEFAULT_MAX_AGE_DAYS, to_html};
use tagmill_activate::stale_report;
use tagmill_schemas::segment::AsOf;

use super::corp::Corp;
use super::page::Page;
use crate::commands::stale::{findings_table, listed, summary};
use crate::errors::SurfaceError;
use crate::output::{Destination, busy, write_text};

/// How many findings are shown here.
const SHOWN: usize = 6;

/// Reports the stale tags, and writes the report as a page.
///
/// # Errors
/// What the question, or the writing, failed with.
pub(super) async fn stale_tags(page: &mut Page, corp: &Corp) -> anyhow::Result<()> {
    let started = Instant::now();
    let shown = busy("looking for stale tags");
    let report = stale_report(&corp.engine, &corp.definitions, DEFAULT_MAX_AGE_DAYS, AsOf::Latest).await?;
    let folder = corp.folder.join("reports");
    let failed = |source| SurfaceError::Write { target: format!("`{}`", folder.display()), source };
    fs::create_dir_all(&folder).map_err(failed)?;
    let file = folder.join("stale_tags.html");
    write_text(&to_html(&report), &Destination::File(file.clone()))?;
    drop(shown);
    page.section("Stale tags: what has outlived its purpose", started.elapsed())?;
    let mut findings = listed(&report);
    // The oldest of those that may go say best what the report is for.
    findings.sort_by_key(|finding| Reverse((finding.may_enter_plan, finding.ages.greatest_days())));
    let oldest = findings.get(..SHOWN).unwrap_or(&findings);
    page.fitting_table(findings_table(oldest))?;
    page.note(&format!("The oldest {} of {}; nothing is changed by a report.", oldest.len(), findings.len()))?;
    page.paragraph(&format!("→ {}", summary(&report)))?;
    page.line(&format!("→ the page to read: {}", file.display()))
}

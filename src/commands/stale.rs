//! `tagmill stale`: the tags that have outlived their purpose.

use std::path::{Path, PathBuf};

use tagmill_activate::stale::{
    Certainty, ClassFound, DEFAULT_MAX_AGE_DAYS, Finding, StaleClass, StaleReport, TagAges, to_html, to_json,
};
use tagmill_activate::stale_report;
use tagmill_query::Limits;

use crate::cli::StaleReportArgs;
use crate::errors::SurfaceError;
use crate::globals::Globals;
use crate::output::{Destination, ObjectFormat, TextTable, local_time, say, thousands, write_json, write_text};

/// The place of the column that says why a tag is listed.
const WHY: usize = 4;

/// Reports old, unused and unread tags: how old, who holds them, who reads them; nothing is changed by it.
///
/// # Errors
/// Usage for a file that is neither HTML nor JSON; what the question, or the writing, failed with.
pub(crate) async fn report_stale(globals: &Globals, args: &StaleReportArgs) -> anyhow::Result<()> {
    let target = args.output.as_deref().map(Target::of).transpose()?;
    let engine = globals.open_engine(Limits::default()).await?;
    let as_of = globals.as_of(engine.warehouse().zone());
    let report = stale_report(&engine, &globals.definitions(), DEFAULT_MAX_AGE_DAYS, as_of).await?;
    match target {
        Some(target) => {
            target.write(&report)?;
            say(format!("the report is in `{}`", target.path.display()));
        }
        None if args.format == ObjectFormat::Json => write_json(&to_json(&report), &Destination::Stdout)?,
        None => findings_table(&listed(&report)).write(&Destination::Stdout)?,
    }
    say(summary(&report));
    for doubt in &report.doubts {
        say(format!("note: {}", doubt.sentence().english));
    }
    let options = &report.options;
    say(format!("snapshot {} · as of {}", options.snapshot_id, local_time(options.as_of, options.zone)));
    Ok(())
}

/// The findings that say more of a tag than that nobody reads it.
pub(crate) fn listed(report: &StaleReport) -> Vec<&Finding> {
    report.findings.iter().filter(|finding| !finding.is_only_unread()).collect()
}

/// Findings as a table: tag, holders, age, for how many of the holders it may enter a plan, and why it is listed.
pub(crate) fn findings_table(findings: &[&Finding]) -> TextTable {
    let headings = [("tag", false), ("holders", true), ("age", true), ("plan", false), ("why", false)];
    let mut table = TextTable::new(headings.map(|(heading, is_right)| (heading.to_owned(), is_right)));
    for finding in findings {
        table.add_row(&[
            finding.tag.full_name(),
            thousands(finding.tag.holders),
            age(&finding.ages),
            may_enter(finding),
            why(finding),
        ]);
    }
    table.wrapping_only(WHY)
}

/// The whole report in two sentences.
pub(crate) fn summary(report: &StaleReport) -> String {
    let totals = &report.totals;
    let [tags, ready, holdings, look, unread] =
        [totals.tags, totals.may_enter_plan, totals.holdings_may_enter_plan, totals.to_look_at(), totals.only_unread]
            .map(thousands);
    format!(
        "of {tags} tags {ready} may enter a cleanup plan ({holdings} holdings), and {look} are to be looked at; \
         {unread} more have nothing against them but that no segment and no rule reads them"
    )
}

/// For how many of its holders a tag may enter a plan: a number where it is not for all of them.
fn may_enter(finding: &Finding) -> String {
    match finding.holders_may_enter {
        0 => "stays out".to_owned(),
        holders if holders == finding.tag.holders => "may enter".to_owned(),
        holders => format!("{} may enter", thousands(holders)),
    }
}

/// `2 mo`, or `2 mo to 3 y 0 mo`: certainly, and at most.
fn age(ages: &TagAges) -> String {
    match (ages.certain, ages.possible) {
        (Some(certain), Some(possible)) if possible.days > certain.days => {
            format!("{} to {}", certain.english(), possible.english())
        }
        (Some(certain), _) => certain.english(),
        (None, Some(possible)) => format!("up to {}", possible.english()),
        (None, None) => "not known".to_owned(),
    }
}

/// `campaign passed, not renewed (possibly); read by vip_birthday`. Where no reader is named there is none, so that
/// being unread is named only where nothing else is.
fn why(finding: &Finding) -> String {
    let is_told = |found: &&ClassFound| found.class != StaleClass::Unread || finding.is_only_unread();
    let class = |found: &ClassFound| match found.certainty {
        Certainty::Certain => found.class.name().0.to_lowercase(),
        Certainty::Possible => format!("{} (possibly)", found.class.name().0.to_lowercase()),
    };
    let mut text = finding.classes.iter().filter(is_told).map(class).collect::<Vec<_>>().join(", ");
    if !finding.tag.readers.is_empty() {
        text = format!("{text}; read by {}", finding.tag.readers.join(", "));
    }
    text
}

/// A file for the report, and in which form.
struct Target {
    path: PathBuf,
    is_html: bool,
}

impl Target {
    fn of(path: &Path) -> Result<Self, SurfaceError> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        let is_html = match ending.as_deref() {
            Some("html" | "htm") => true,
            Some("json") => false,
            _ => {
                return Err(SurfaceError::usage(
                    format!("the ending of `{}` names no form of the report", path.display()),
                    "`.html` is a page for people, `.json` is for programs",
                ));
            }
        };
        Ok(Self { path: path.to_path_buf(), is_html })
    }

    fn write(&self, report: &StaleReport) -> anyhow::Result<()> {
        let destination = Destination::File(self.path.clone());
        if self.is_html {
            write_text(&to_html(report), &destination)
        } else {
            write_json(&to_json(report), &destination)
        }
    }
}

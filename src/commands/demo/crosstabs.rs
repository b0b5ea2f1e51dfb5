//! Two cross-tabs of the corp: which channels bring lively customers, and when its VIPs have their birthdays.

use std::time::Instant;

use tagmill_query::{Crosstab, CrosstabRequest, Dimension};

use super::corp::Corp;
use super::page::Page;
use crate::output::{TextTable, busy, thousands};

/// The first column of the activity bands that speaks of three days or more.
const LIVELY_FROM: usize = 2;
/// Shares of fewer customers than this say little.
const ENOUGH_CUSTOMERS: u64 = 200;

/// Shows how active the customers of each channel are.
///
/// # Errors
/// What the question, or the writing, failed with.
pub(super) async fn channel_by_activity(page: &mut Page, corp: &Corp) -> anyhow::Result<()> {
    let started = Instant::now();
    let crosstab = cross(corp, "group:来源渠道", "activity_band").await?;
    page.section("Channel × activity: active days in the 30 days before as_of", started.elapsed())?;
    page.table(share_table(&crosstab, "channel"), 3)?;
    match (liveliest(&crosstab), quietest(&crosstab)) {
        (Some((best, high)), Some((worst, low))) => {
            page.line(&format!("→ Active on 3 days or more: {high:.0} % by {best}, {low:.0} % by {worst}."))
        }
        _ => Ok(()),
    }
}

/// Shows in which months the customers of each member level were born.
///
/// # Errors
/// What the question, or the writing, failed with.
pub(super) async fn level_by_birth_month(page: &mut Page, corp: &Corp) -> anyhow::Result<()> {
    let started = Instant::now();
    let crosstab = cross(corp, "group:会员等级", "birth_month").await?;
    page.section("VIP × birthday month: distinct customers", started.elapsed())?;
    page.table(count_table(&crosstab, "level"), 1)?;
    page.note(&format!(
        "Each of the {} followed customers is in exactly one row and one column.",
        thousands(crosstab.universe_count)
    ))
}

async fn cross(corp: &Corp, rows: &str, cols: &str) -> anyhow::Result<Crosstab> {
    let _shown = busy("crossing");
    let request =
        CrosstabRequest { rows: Dimension::parse(rows)?, cols: Dimension::parse(cols)?, segment: None, universe: None };
    Ok(corp.view().await?.crosstab(&request).await?)
}

/// A row a value: its customers, and the share of them in each column.
fn share_table(crosstab: &Crosstab, corner: &str) -> TextTable {
    let mut table = headed(crosstab, corner, "customers");
    for (row, label) in crosstab.row_labels.iter().enumerate() {
        let total = total(crosstab, row);
        let shares = cells(crosstab, row).iter().map(|count| format!("{:.1} %", percent(*count, total)));
        let texts: Vec<String> = [label.clone(), thousands(total)].into_iter().chain(shares).collect();
        table.add_row(&texts);
    }
    table
}

/// A row a value: the customers in each column, and all of them.
fn count_table(crosstab: &Crosstab, corner: &str) -> TextTable {
    let mut table = headed(crosstab, corner, "all");
    for (row, label) in crosstab.row_labels.iter().enumerate() {
        let counts = cells(crosstab, row).iter().map(u64::to_string);
        let first = [label.clone(), total(crosstab, row).to_string()];
        let texts: Vec<String> = first.into_iter().chain(counts).collect();
        table.add_row(&texts);
    }
    table
}

fn headed(crosstab: &Crosstab, corner: &str, totals: &str) -> TextTable {
    let first = [(corner.to_owned(), false), (totals.to_owned(), true)];
    TextTable::new(first.into_iter().chain(crosstab.column_labels.iter().map(|label| (label.clone(), true))))
}

/// The value with the greatest share of lively customers, in percent.
fn liveliest(crosstab: &Crosstab) -> Option<(&str, f64)> {
    lively(crosstab).max_by(|one, other| one.1.total_cmp(&other.1))
}

/// The value with the least share of lively customers, in percent.
fn quietest(crosstab: &Crosstab) -> Option<(&str, f64)> {
    lively(crosstab).min_by(|one, other| one.1.total_cmp(&other.1))
}

/// Every single tag that enough customers have, with its share of lively ones; not "none", nor "more than one".
fn lively(crosstab: &Crosstab) -> impl Iterator<Item = (&str, f64)> {
    let labels = crosstab.row_labels.iter().enumerate();
    let single = labels.filter(|(_, label)| !matches!(label.as_str(), "none" | "more than one"));
    single.filter_map(move |(row, label)| {
        let total = total(crosstab, row);
        let count = cells(crosstab, row).iter().skip(LIVELY_FROM).sum();
        (total >= ENOUGH_CUSTOMERS).then(|| (label.as_str(), percent(count, total)))
    })
}

fn cells(crosstab: &Crosstab, row: usize) -> &[u64] {
    crosstab.cells.get(row).map(Vec::as_slice).unwrap_or_default()
}

fn total(crosstab: &Crosstab, row: usize) -> u64 {
    crosstab.row_totals.get(row).copied().unwrap_or_default()
}

/// A share in percent; of nothing it is 0.
fn percent(count: u64, whole: u64) -> f64 {
    // Counts are far below 2⁵², so that the quotient is as exact as a floating point number can be.
    if whole == 0 { 0.0 } else { count as f64 * 100.0 / whole as f64 }
}

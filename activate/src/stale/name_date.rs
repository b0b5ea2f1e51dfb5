//! Reads the date out of a tag's name: `双11意向客户2023`, `618 2025`, `2024国庆`, `2023-11`.
//!
//! What is read may send a tag into a cleanup plan, so that the reader is shy. It wants a year: `双11` alone comes
//! back every autumn. Where a name can be read in two ways it takes the later end, and a year alone ends on 31
//! December. Numbers that only look like years (`满2020减200`, `2023号店`), open ends (`2023年起`) and cohorts (`2023级`,
//! `2010后`) are no dates.

use chrono::{Datelike, NaiveDate};

use super::campaign::{self, Campaign};
use super::digits::part_numbers;
use super::twins::fold;
use super::written_date::{Precision, WrittenDate, written_dates};

/// A date read from a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameDate {
    /// What was understood: `双11 2023`, `2023-11-20`, `2023-11` or `2023`.
    pub read_as: String,
    /// The last day of it, inclusive, in the business calendar.
    pub ends_on: NaiveDate,
    /// What fixed the last day.
    pub basis: NameDateBasis,
}

/// What the last day of a [`NameDate`] follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameDateBasis {
    /// A well-known campaign on fixed days, in a year that the name tells.
    Campaign,
    /// A written day.
    Day,
    /// A written month.
    Month,
    /// A written year, or a campaign whose day moves (春节, 中秋).
    Year,
}

/// Reads the latest date that a tag name bears; `None` where it bears none.
pub fn read_name_date(name: &str) -> Option<NameDate> {
    let text = part_numbers(&fold(name));
    let campaigns = campaign::named_in(&text);
    written_dates(&text, !campaigns.is_empty())
        .iter()
        .map(|written| with_campaigns(written, &campaigns))
        .max_by_key(|date| date.ends_on)
}

/// A campaign narrows a bare year; beside a written day or month, the later of the two ends counts.
fn with_campaigns(written: &WrittenDate, campaigns: &[&Campaign]) -> NameDate {
    let plain = plain_date(written);
    let Some(last) = last_campaign(written.year, campaigns) else { return labelled(plain, campaigns) };
    if written.precision == Precision::Year {
        // Among several campaigns, one that moves may be the last of them.
        let all_fixed = campaigns.iter().all(|campaign| campaign.last_day(written.year).is_some());
        return if all_fixed { last } else { labelled(plain, campaigns) };
    }
    if last.ends_on > plain.ends_on { last } else { plain }
}

/// The fixed campaign that ends last in `year`.
fn last_campaign(year: i32, campaigns: &[&Campaign]) -> Option<NameDate> {
    campaigns
        .iter()
        .filter_map(|campaign| {
            let ends_on = campaign.last_day(year)?;
            Some(NameDate { read_as: format!("{} {year}", campaign.label), ends_on, basis: NameDateBasis::Campaign })
        })
        .max_by_key(|date| date.ends_on)
}

fn plain_date(written: &WrittenDate) -> NameDate {
    let ends_on = written.ends_on;
    let (read_as, basis) = match written.precision {
        Precision::Day => (ends_on.to_string(), NameDateBasis::Day),
        Precision::Month => (format!("{}-{:02}", ends_on.year(), ends_on.month()), NameDateBasis::Month),
        Precision::Year => (ends_on.year().to_string(), NameDateBasis::Year),
    };
    NameDate { read_as, ends_on, basis }
}

/// Puts the names of moving campaigns before a bare year, so that a reader sees what the name was understood as.
fn labelled(date: NameDate, campaigns: &[&Campaign]) -> NameDate {
    if date.basis != NameDateBasis::Year || campaigns.is_empty() {
        return date;
    }
    let labels: Vec<&str> = campaigns.iter().map(|campaign| campaign.label).collect();
    NameDate { read_as: format!("{} {}", labels.join("、"), date.read_as), ..date }
}

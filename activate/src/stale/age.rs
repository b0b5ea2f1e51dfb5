//! How long ago a tag was last given, told twice: for certain and at most.

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};

use super::{StaleOptions, TagFacts};

/// The time since a business day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// The business day it counts from.
    pub since: NaiveDate,
    /// Whole business days.
    pub days: u64,
    /// Whole calendar months, with month-end clamp (31 January to 28 February is one).
    pub months: u32,
}

impl Age {
    /// The age at `options.as_of` of what happened at `instant`; what happened later has age zero.
    pub fn of(instant: DateTime<Utc>, options: &StaleOptions) -> Self {
        let today = options.zone.day_of(options.as_of);
        Self::between(options.zone.day_of(instant.min(options.as_of)), today)
    }

    /// The time from one day to another; zero where `today` is before `since`.
    pub fn between(since: NaiveDate, today: NaiveDate) -> Self {
        let days = u64::try_from(today.signed_duration_since(since).num_days()).unwrap_or(0);
        Self { since, days, months: whole_months(since, today) }
    }

    /// The age for an English reader: `3 y 0 mo`, below a year `5 mo`, below a month `12 d`.
    pub fn english(&self) -> String {
        match (self.months / 12, self.months % 12) {
            (0, 0) => format!("{} d", self.days),
            (0, months) => format!("{months} mo"),
            (years, months) => format!("{years} y {months} mo"),
        }
    }

    /// The age for a Chinese reader: `3 年 0 个月`, below a year `5 个月`, below a month `12 天`.
    pub fn chinese(&self) -> String {
        match (self.months / 12, self.months % 12) {
            (0, 0) => format!("{} 天", self.days),
            (0, months) => format!("{months} 个月"),
            (years, months) => format!("{years} 年 {months} 个月"),
        }
    }
}

/// The two ages of a tag's newest assignment; both `None` where nobody holds it or no time is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TagAges {
    /// It is at least this old.
    pub certain: Option<Age>,
    /// It may be up to this old; never less than the certain age.
    pub possible: Option<Age>,
}

impl TagAges {
    /// The ages of a tag by its facts.
    pub fn of(fact: &TagFacts, options: &StaleOptions) -> Self {
        let certain = fact.last_given_certain;
        let possible = match (fact.last_given_possible, certain) {
            (Some(possible), Some(certain)) => Some(possible.min(certain)),
            (possible, _) => possible,
        };
        Self {
            certain: certain.map(|instant| Age::of(instant, options)),
            possible: possible.map(|instant| Age::of(instant, options)),
        }
    }

    /// The greatest age known, in days.
    pub fn greatest_days(&self) -> u64 {
        self.possible.or(self.certain).map_or(0, |age| age.days)
    }
}

fn whole_months(since: NaiveDate, today: NaiveDate) -> u32 {
    let months_of = |day: NaiveDate| i64::from(day.year()) * 12 + i64::from(day.month());
    let months = u32::try_from(months_of(today) - months_of(since)).unwrap_or(0);
    let is_reached = since.checked_add_months(Months::new(months)).is_some_and(|day| day <= today);
    if is_reached { months } else { months.saturating_sub(1) }
}

//! Time that is passed in: a clock for instants, and the warehouse's business time zone for calendar questions.

use chrono::{DateTime, Datelike, Days, LocalResult, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

/// Where the current instant comes from. Library code never reads the wall clock itself.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The current instant, in UTC.
    fn now(&self) -> DateTime<Utc>;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// A clock that stands still, for tests and for the demo's fixed dates.
#[derive(Debug, Clone, Copy)]
pub struct FixedClock(pub DateTime<Utc>);

impl Clock for FixedClock {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }
}

/// The time zone in which a warehouse's business days, months and birthdays are meant; set when it is made, never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusinessZone(pub Tz);

impl Default for BusinessZone {
    fn default() -> Self {
        Self(chrono_tz::Asia::Shanghai)
    }
}

impl BusinessZone {
    /// Reads an IANA name such as `Asia/Shanghai`; `None` where there is no such zone.
    pub fn parse(name: &str) -> Option<Self> {
        name.parse().ok().map(Self)
    }

    /// The IANA name of the zone.
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// The business day on which an instant falls.
    pub fn day_of(&self, instant: DateTime<Utc>) -> NaiveDate {
        instant.with_timezone(&self.0).date_naive()
    }

    /// The instant at which a local time happens.
    ///
    /// A time that happens twice (clocks go back) means its first occurrence; one that never happens (clocks go forward)
    /// means the first instant after the gap.
    pub fn instant_of(&self, local: NaiveDateTime) -> DateTime<Utc> {
        let mut probe = local;
        // No zone has a gap of more than a day, so that this ends after at most 96 quarter hours.
        for _ in 0..=96 {
            match self.0.from_local_datetime(&probe) {
                LocalResult::Single(found) | LocalResult::Ambiguous(found, _) => return found.with_timezone(&Utc),
                LocalResult::None => probe += chrono::TimeDelta::minutes(15),
            }
        }
        local.and_utc()
    }

    /// The instant at which a business day begins.
    pub fn start_of_day(&self, day: NaiveDate) -> DateTime<Utc> {
        self.instant_of(day.and_time(NaiveTime::MIN))
    }

    /// An instant moved back by whole days of the business calendar, at the same local time.
    pub fn minus_days(&self, instant: DateTime<Utc>, days: u32) -> DateTime<Utc> {
        let local = instant.with_timezone(&self.0).naive_local();
        let moved = local.checked_sub_days(Days::new(u64::from(days))).unwrap_or(NaiveDateTime::MIN);
        self.instant_of(moved)
    }

    /// An instant moved back by calendar months with month-end clamp (31 May − 3 months is the last of February).
    pub fn minus_months(&self, instant: DateTime<Utc>, months: u32) -> DateTime<Utc> {
        let local = instant.with_timezone(&self.0).naive_local();
        let moved = local.checked_sub_months(Months::new(months)).unwrap_or(NaiveDateTime::MIN);
        self.instant_of(moved)
    }

    /// The first day of the calendar month in which an instant falls, moved back by `months`.
    pub fn first_of_month(&self, instant: DateTime<Utc>, months: u32) -> NaiveDate {
        let day = self.day_of(instant);
        let first = day.with_day(1).unwrap_or(day);
        first.checked_sub_months(Months::new(months)).unwrap_or(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shanghai(text: &str) -> DateTime<Utc> {
        let local = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").expect("a local time");
        BusinessZone::default().instant_of(local)
    }

    #[test]
    fn three_months_before_the_end_of_may_is_the_end_of_february() {
        let zone = BusinessZone::default();
        assert_eq!(zone.minus_months(shanghai("2026-05-31 12:00"), 3), shanghai("2026-02-28 12:00"));
    }

    #[test]
    fn a_business_day_begins_at_local_midnight() {
        let zone = BusinessZone::default();
        let day = zone.day_of(shanghai("2026-11-12 02:00"));
        assert_eq!(day, NaiveDate::from_ymd_opt(2026, 11, 12).expect("a day"));
        assert_eq!(zone.start_of_day(day), shanghai("2026-11-12 00:00"));
    }

    #[test]
    fn a_local_time_in_a_gap_means_the_first_instant_after_it() {
        let london = BusinessZone::parse("Europe/London").expect("a zone");
        let gap = NaiveDateTime::parse_from_str("2011-03-27 01:30", "%Y-%m-%d %H:%M").expect("a local time");
        assert_eq!(london.instant_of(gap).to_rfc3339(), "2011-03-27T01:00:00+00:00");
    }
}

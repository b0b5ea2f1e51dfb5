//! Time that is passed in: a clock for instants, and the warehouse's business time zone for calendar questions.

use chrono::{
    DateTime, Datelike, Days, FixedOffset, Months, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone,
    Timelike, Utc,
};
use chrono_tz::Tz;

/// No zone has ever left out more than a day.
const LONGEST_GAP_MINUTES: i64 = 24 * 60;

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
        self.local_of(instant).date()
    }

    /// The instant at which a local time happens.
    ///
    /// A time that happens twice (clocks go back) means its first occurrence; one that never happens (clocks go forward)
    /// means the first instant after the gap. Where the instant lies beyond the ends of the calendar, it is the nearest one
    /// that can be told.
    pub fn instant_of(&self, local: NaiveDateTime) -> DateTime<Utc> {
        let found = times_from(local).find_map(|time| Some((time, self.offset_of(time)?)));
        let utc = found.and_then(|(time, offset)| time.checked_sub_offset(offset));
        let nearest = if local.year() < 0 { NaiveDateTime::MIN } else { NaiveDateTime::MAX };
        utc.unwrap_or(nearest).and_utc()
    }

    /// How far a local time is ahead of UTC at its first occurrence; `None` in a gap.
    fn offset_of(&self, local: NaiveDateTime) -> Option<FixedOffset> {
        self.0.offset_from_local_datetime(&local).earliest().map(|offset| offset.fix())
    }

    /// The local time of an instant; the instant's own in UTC where that is beyond the ends of the calendar.
    fn local_of(&self, instant: DateTime<Utc>) -> NaiveDateTime {
        let utc = instant.naive_utc();
        let offset = self.0.offset_from_utc_datetime(&utc).fix();
        utc.checked_add_offset(offset).unwrap_or(utc)
    }

    /// The instant at which a business day begins.
    pub fn start_of_day(&self, day: NaiveDate) -> DateTime<Utc> {
        self.instant_of(day.and_time(NaiveTime::MIN))
    }

    /// An instant moved back by whole days of the business calendar, at the same local time.
    pub fn minus_days(&self, instant: DateTime<Utc>, days: u32) -> DateTime<Utc> {
        let local = self.local_of(instant);
        let moved = local.checked_sub_days(Days::new(u64::from(days))).unwrap_or(NaiveDateTime::MIN);
        self.instant_of(moved)
    }

    /// An instant moved back by calendar months with month-end clamp (31 May − 3 months is the last of February).
    pub fn minus_months(&self, instant: DateTime<Utc>, months: u32) -> DateTime<Utc> {
        let local = self.local_of(instant);
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

/// A local time and the whole minutes of the day after it: clocks jump on whole minutes.
fn times_from(local: NaiveDateTime) -> impl Iterator<Item = NaiveDateTime> {
    let minute = local.with_second(0).and_then(|minute| minute.with_nanosecond(0)).unwrap_or(local);
    let later = move |steps| minute.checked_add_signed(TimeDelta::minutes(steps));
    std::iter::once(local).chain((1..=LONGEST_GAP_MINUTES).map_while(later))
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

    /// What a local time in London is in UTC.
    fn check_london(local: &str, expected: &str) {
        let london = BusinessZone::parse("Europe/London").expect("a zone");
        let local = NaiveDateTime::parse_from_str(local, "%Y-%m-%d %H:%M:%S").expect("a local time");
        assert_eq!(london.instant_of(local).to_rfc3339(), expected, "{local}");
    }

    #[test]
    fn a_local_time_in_a_gap_means_the_first_instant_after_it() {
        for local in ["01:00:00", "01:01:00", "01:30:00", "01:31:00", "01:50:00", "01:59:59"] {
            check_london(&format!("2011-03-27 {local}"), "2011-03-27T01:00:00+00:00");
        }
        check_london("2011-03-27 00:59:59", "2011-03-27T00:59:59+00:00");
        check_london("2011-03-27 02:00:01", "2011-03-27T01:00:01+00:00");
    }

    #[test]
    fn a_day_that_was_left_out_means_the_beginning_of_the_next() {
        let apia = BusinessZone::parse("Pacific/Apia").expect("a zone");
        let day = |day| NaiveDate::from_ymd_opt(2011, 12, day).expect("a day");
        assert_eq!(apia.start_of_day(day(30)), apia.start_of_day(day(31)));
    }

    #[test]
    fn a_local_time_that_happens_twice_means_its_first_occurrence() {
        check_london("2011-10-30 01:30:00", "2011-10-30T00:30:00+00:00");
    }

    #[test]
    fn the_ends_of_the_calendar_are_the_nearest_instants_that_can_be_told() {
        let zone = |name| BusinessZone::parse(name).expect("a zone");
        let (west, east) = (zone("America/New_York"), zone("Asia/Shanghai"));
        assert_eq!(west.instant_of(NaiveDateTime::MAX), DateTime::<Utc>::MAX_UTC);
        let last_second = NaiveDateTime::MAX.with_nanosecond(0).expect("a second");
        assert_eq!(west.instant_of(last_second), DateTime::<Utc>::MAX_UTC);
        assert_eq!(east.instant_of(NaiveDateTime::MIN), DateTime::<Utc>::MIN_UTC);
        assert_eq!(east.day_of(DateTime::<Utc>::MAX_UTC), NaiveDate::MAX);
        assert_eq!(west.day_of(DateTime::<Utc>::MIN_UTC), NaiveDate::MIN);
    }
}

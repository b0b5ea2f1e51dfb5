//! The sample corp's calendar: the fixed instants of the three pulls, and when in a year and a day people are busy.
//!
//! Instants are microseconds since 1970 UTC. Days are those of Asia/Shanghai, which has been eight hours ahead of UTC
//! without a change of clocks since 1991, so that plain arithmetic is exact here.

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc, Weekday};

use super::random::Random;

/// How many pulls there are.
pub(super) const PULLS: usize = 3;

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const HOUR: i64 = 3600 * SECOND;
pub(super) const DAY: i64 = 24 * HOUR;

const SHANGHAI_OFFSET: i64 = 8 * HOUR;

/// The instant of a full hour in Asia/Shanghai.
pub(super) fn shanghai(year: i32, month: u32, day: u32, hour: u32) -> i64 {
    let date = NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default();
    let local = date.and_hms_opt(hour, 0, 0).unwrap_or_default();
    local.and_utc().timestamp_micros() - SHANGHAI_OFFSET
}

/// When a pull was taken; the last pull's instant for any greater number.
pub(super) fn taken_at(pull: usize) -> i64 {
    match pull {
        0 => shanghai(2026, 9, 12, 2),
        1 => shanghai(2026, 11, 11, 2),
        _ => shanghai(2026, 11, 12, 2),
    }
}

/// When the first event may happen: a year before the first pull.
pub(super) fn first_event_at() -> i64 {
    shanghai(2025, 9, 12, 2)
}

/// The end of everything: the instant of the last pull.
pub(super) fn end() -> i64 {
    taken_at(PULLS - 1)
}

/// An instant as the type that travels.
pub(super) fn as_utc(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}

/// An instant without what is less than a second, as WeCom gives it.
pub(super) fn whole_seconds(instant: i64) -> i64 {
    instant.div_euclid(SECOND) * SECOND
}

/// How busy each hour of a day is.
const HOURS: [u32; 24] = [12, 5, 2, 1, 1, 2, 6, 14, 24, 32, 36, 34, 30, 28, 30, 32, 33, 34, 36, 42, 52, 56, 44, 26];

/// How busy each day between the first event and the last is.
pub(super) struct Calendar {
    /// The first day, counted from 1970-01-01.
    first_day: i64,
    /// At `i` the weight of all days before the `i`-th; one longer than there are days.
    weight_before: Vec<u64>,
}

impl Calendar {
    /// The calendar of the sample corp's events.
    pub fn new() -> Self {
        let first_day = local_day(first_event_at());
        let last_day = local_day(end());
        let mut weight_before = vec![0];
        let mut total = 0;
        for day in first_day..=last_day {
            total += day_weight(day);
            weight_before.push(total);
        }
        Self { first_day, weight_before }
    }

    /// An instant from `from` to `to`, `to` excluded, more likely on busy days and in busy hours; `from` where there is
    /// none between.
    pub fn instant(&self, random: &mut Random, from: i64, to: i64) -> i64 {
        if to <= from {
            return from;
        }
        let low = self.weight_before[self.slot(local_day(from))];
        let high = self.weight_before[self.slot(local_day(to - 1) + 1)];
        let target = low + random.below(high - low);
        let day = self.first_day + self.weight_before.partition_point(|weight| *weight <= target) as i64 - 1;
        let hour = random.weighted(&HOURS) as i64;
        let instant = start_of(day) + hour * HOUR + random.between(0, 3600) * SECOND;
        if (from..to).contains(&instant) { instant } else { whole_seconds(random.between(from, to)).max(from) }
    }

    /// The place of a day in `weight_before`; days outside count as the nearest inside.
    fn slot(&self, day: i64) -> usize {
        let last = self.weight_before.len() as i64 - 1;
        (day - self.first_day).clamp(0, last) as usize
    }
}

/// The day in Asia/Shanghai on which an instant falls, counted from 1970-01-01.
fn local_day(instant: i64) -> i64 {
    (instant + SHANGHAI_OFFSET).div_euclid(DAY)
}

/// The instant at which a day begins in Asia/Shanghai.
fn start_of(day: i64) -> i64 {
    day * DAY - SHANGHAI_OFFSET
}

/// How busy a day is: the great sales days stand out, weekends and the monthly member day a little, and the Spring
/// Festival week is quiet.
fn day_weight(day: i64) -> u64 {
    let date = NaiveDate::default().checked_add_days(Days::new(day.unsigned_abs())).unwrap_or_default();
    match (date.month(), date.day()) {
        (11, 11) => 90,
        (11, 1..=10) => 22,
        (6, 18) => 60,
        (6, 1..=17) => 16,
        (12, 12) => 35,
        (2, 14..=21) if date.year() == 2026 => 5,
        (_, 8) => 20,
        _ if matches!(date.weekday(), Weekday::Sat | Weekday::Sun) => 14,
        _ => 10,
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::Purpose;
    use super::*;

    #[test]
    fn the_last_pull_is_two_in_the_morning_after_singles_day() {
        assert_eq!(as_utc(end()).to_rfc3339(), "2026-11-11T18:00:00+00:00");
    }

    #[test]
    fn instants_stay_in_their_range_however_narrow() {
        let calendar = Calendar::new();
        let mut random = Random::stream(1, Purpose::Journey, 0);
        for width in [1, SECOND, HOUR, DAY, 300 * DAY] {
            for _ in 0..200 {
                let instant = calendar.instant(&mut random, end() - width, end());
                assert!((end() - width..end()).contains(&instant));
            }
        }
        assert_eq!(calendar.instant(&mut random, end(), end()), end());
    }

    #[test]
    fn singles_day_is_the_busiest_day() {
        let calendar = Calendar::new();
        let busiest = calendar.weight_before.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert_eq!(busiest, Some(day_weight(local_day(shanghai(2026, 11, 11, 12)))));
    }
}

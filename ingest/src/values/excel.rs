//! Excel's day serials: days since the end of 1899, the time of day as their fraction.

use chrono::{Days, NaiveDate, NaiveDateTime, NaiveTime};

use super::number::{SCALE, Written};
use super::plain::plain;

const ONE: i128 = 10_i128.pow(SCALE as u32);
const SECONDS_PER_DAY: i128 = 86_400;
/// 9999-12-31, the last day that Excel knows.
const LAST_DAY: u64 = 2_958_465;
/// 29 February 1900, which Excel has and the calendar has not.
const NO_DAY: u64 = 60;

/// Reads a serial from a text; the answer is it times 10^[`SCALE`]. Nothing but digits is one: a percentage or money is
/// no day.
pub(super) fn parse_serial(text: &str) -> Option<i128> {
    Written::read(&plain(text))?.cut()
}

/// The local time of a serial that was multiplied by 10^[`SCALE`], in the 1900 system.
///
/// It is the nearest second: a cell that shows five places of its serial is up to 0.432 seconds beside its time. `None`
/// outside 1900 to 9999, and on the 60th day, 29 February 1900.
pub(super) fn excel_time(serial: i128) -> Option<NaiveDateTime> {
    let seconds = serial.checked_mul(SECONDS_PER_DAY)?.checked_add(ONE / 2)?.div_euclid(ONE);
    let day = u64::try_from(seconds.div_euclid(SECONDS_PER_DAY)).ok()?;
    let second = u32::try_from(seconds.rem_euclid(SECONDS_PER_DAY)).ok()?;
    let time = NaiveTime::from_num_seconds_from_midnight_opt(second, 0)?;
    Some(day_of(day)?.and_time(time))
}

/// The day of a serial; as [`excel_time`], so that both agree just before midnight.
pub(super) fn excel_date(serial: i128) -> Option<NaiveDate> {
    excel_time(serial).map(|time| time.date())
}

fn day_of(day: u64) -> Option<NaiveDate> {
    if day == 0 || day == NO_DAY || day > LAST_DAY {
        return None;
    }
    // The day that never was moves everything after it by one.
    let before_first = NaiveDate::from_ymd_opt(1899, 12, if day < NO_DAY { 31 } else { 30 })?;
    before_first.checked_add_days(Days::new(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_date(text: &str, expected: Option<&str>) {
        let date = parse_serial(text).and_then(excel_date);
        assert_eq!(date.map(|date| date.to_string()).as_deref(), expected, "{text:?}");
    }

    #[track_caller]
    fn check_time(text: &str, expected: Option<&str>) {
        let time = parse_serial(text).and_then(excel_time);
        assert_eq!(time.map(|time| time.to_string()).as_deref(), expected, "{text:?}");
    }

    #[test]
    fn serials_count_days_and_the_29_february_of_1900_is_none() {
        check_date("1", Some("1900-01-01"));
        check_date("59", Some("1900-02-28"));
        check_date("60", None);
        check_date("61", Some("1900-03-01"));
        check_date("25569", Some("1970-01-01"));
        check_date("36526", Some("2000-01-01"));
        check_date("46174", Some("2026-06-01"));
        check_date("46174.99", Some("2026-06-01"));
        check_date("2958465", Some("9999-12-31"));
    }

    #[test]
    fn the_fraction_is_the_time_of_day_to_the_nearest_second() {
        check_time("46174", Some("2026-06-01 00:00:00"));
        check_time("46174.5", Some("2026-06-01 12:00:00"));
        // 08:05:00, in Excel's full length and in the five places that a cell shows.
        check_time("46174.336805555555", Some("2026-06-01 08:05:00"));
        check_time("46174.3368055556", Some("2026-06-01 08:05:00"));
        check_time("46174.33681", Some("2026-06-01 08:05:00"));
        check_time("46174.999988426", Some("2026-06-01 23:59:59"));
        check_time("４６１７４．５", Some("2026-06-01 12:00:00"));
        check_time("1.5", Some("1900-01-01 12:00:00"));
    }

    #[test]
    fn half_a_second_before_midnight_is_the_next_day_for_both() {
        check_time("46174.999999", Some("2026-06-02 00:00:00"));
        check_date("46174.999999", Some("2026-06-02"));
        check_time("59.999999", None);
        check_time("2958465.999999", None);
    }

    #[test]
    fn what_is_no_serial_is_not_read() {
        for text in
            ["0", "0.5", "-1", "2958466", "20260601", "", "2026/6/1", "¥46174", "46174%", "4.6万", "(1)", "4.6E4"]
        {
            check_date(text, None);
            check_time(text, None);
        }
        assert_eq!(excel_time(i128::MAX), None);
        assert_eq!(excel_time(i128::MIN), None);
        assert_eq!(excel_time(-ONE), None);
    }
}

//! Local times: a day and a time of day, without a zone.

use std::iter;

use chrono::{NaiveDateTime, NaiveTime};

use super::date::{compact_date, scan_date};
use super::plain::plain;
use super::scan::Scan;

const MORNING: [&str; 3] = ["上午", "AM", "am"];
const AFTERNOON: [&str; 3] = ["下午", "PM", "pm"];

/// Reads a local time; a day alone is its midnight. `None` where the text has an offset or a zone.
pub(crate) fn parse_time(text: &str) -> Option<NaiveDateTime> {
    let text = plain(text);
    let mut scan = Scan::new(&text);
    let time = match scan.digits(14, 14) {
        Some(digits) => compact_time(digits)?,
        None => spaced_time(&mut scan)?,
    };
    scan.is_done().then_some(time)
}

/// Reads `20260601080509`.
fn compact_time(digits: &str) -> Option<NaiveDateTime> {
    let date = compact_date(digits.get(..8)?)?;
    let part = |from: usize| -> Option<u32> { digits.get(from..from + 2)?.parse().ok() };
    Some(date.and_time(Clock { hour: part(8)?, minute: part(10)?, second: part(12)?, nanos: 0 }.time()?))
}

fn spaced_time(scan: &mut Scan<'_>) -> Option<NaiveDateTime> {
    let date = scan_date(scan)?;
    if scan.is_done() {
        return Some(date.and_time(NaiveTime::MIN));
    }
    if !scan.eat("T") {
        scan.spaces();
    }
    Some(date.and_time(scan_clock(scan)?.time()?))
}

/// Which half of the day a clock of twelve hours means.
#[derive(Debug, Clone, Copy)]
enum Half {
    Morning,
    Afternoon,
}

fn scan_half(scan: &mut Scan<'_>) -> Option<Half> {
    if scan.eat_any(&MORNING) {
        return Some(Half::Morning);
    }
    scan.eat_any(&AFTERNOON).then_some(Half::Afternoon)
}

/// What a clock shows.
struct Clock {
    hour: u32,
    minute: u32,
    second: u32,
    nanos: u32,
}

impl Clock {
    fn at(hour: u32, minute: u32) -> Self {
        Self { hour, minute, second: 0, nanos: 0 }
    }

    /// A leap second, which has the number 60, counts as the first second of the next minute once it is an instant.
    fn time(&self) -> Option<NaiveTime> {
        let (second, nanos) = match self.second {
            60 => (59, self.nanos + 1_000_000_000),
            second => (second, self.nanos),
        };
        NaiveTime::from_hms_nano_opt(self.hour, self.minute, second, nanos)
    }

    /// The same on a clock of 24 hours. The hour after midnight and after noon is called 12, and by some programs 0.
    fn in_half(self, half: Half) -> Option<Self> {
        if self.hour > 12 {
            return None;
        }
        let hour = match half {
            Half::Morning => self.hour % 12,
            Half::Afternoon => self.hour % 12 + 12,
        };
        Some(Self { hour, ..self })
    }
}

/// Takes a time of day, with its half before or after it.
fn scan_clock(scan: &mut Scan<'_>) -> Option<Clock> {
    let before = scan_half(scan);
    scan.spaces();
    let hour = scan.number(1, 2)?;
    let clock = if scan.eat(":") { after_colon(scan, hour)? } else { with_units(scan, hour)? };
    scan.spaces();
    match before.or_else(|| scan_half(scan)) {
        Some(half) => clock.in_half(half),
        None => Some(clock),
    }
}

/// Takes what follows the first colon of `8:05:09.5`. One digit is enough: scripts write `8:5:9`.
fn after_colon(scan: &mut Scan<'_>, hour: u32) -> Option<Clock> {
    let minute = scan.number(1, 2)?;
    if !scan.eat(":") {
        return Some(Clock::at(hour, minute));
    }
    let second = scan.number(1, 2)?;
    let nanos = if scan.eat(".") { nanos_of(scan.digits(1, usize::MAX)?) } else { 0 };
    Some(Clock { second, nanos, ..Clock::at(hour, minute) })
}

/// The digits of a fraction of a second in billionths; what is smaller is left out.
fn nanos_of(fraction: &str) -> u32 {
    let digits = fraction.bytes().chain(iter::repeat(b'0')).take(9);
    digits.fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0'))
}

/// Takes what follows the hour of `8时5分9秒`.
fn with_units(scan: &mut Scan<'_>, hour: u32) -> Option<Clock> {
    scan.spaces();
    if !scan.eat_any(&["时", "時", "点", "點"]) {
        return None;
    }
    let Some(minute) = part_before(scan, "分")? else { return Some(Clock::at(hour, 0)) };
    let second = part_before(scan, "秒")?.unwrap_or(0);
    Some(Clock { second, ..Clock::at(hour, minute) })
}

/// Takes a number with its word: `Some(None)` where there is no number, `None` where its word is not there.
fn part_before(scan: &mut Scan<'_>, word: &str) -> Option<Option<u32>> {
    scan.spaces();
    let Some(part) = scan.number(1, 2) else { return Some(None) };
    scan.spaces();
    scan.eat(word).then_some(Some(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(parse_time(text).map(|time| time.to_string()).as_deref(), Some(expected), "{text:?}");
    }

    #[track_caller]
    fn check_none(texts: &[&str]) {
        for text in texts {
            assert_eq!(parse_time(text), None, "{text:?}");
        }
    }

    #[test]
    fn every_form_of_a_day_with_a_clock() {
        for day in
            ["2026/6/1", "2026-6-1", "2026.06.01", "20260601", "2026年6月1日", "2026年06月01号", "２０２６／６／１"]
        {
            check(&format!("{day} 8:05"), "2026-06-01 08:05:00");
            check(&format!("{day}  08:05:09"), "2026-06-01 08:05:09");
            check(&format!("{day}T08:05:09.250"), "2026-06-01 08:05:09.250");
            check(&format!("{day} 下午 8:05"), "2026-06-01 20:05:00");
            check(&format!("{day} 8时5分"), "2026-06-01 08:05:00");
            check(day, "2026-06-01 00:00:00");
        }
        check("2026年6月1日08:05:09", "2026-06-01 08:05:09");
        check("20260601080509", "2026-06-01 08:05:09");
        check("2026-6-1 8:5:9", "2026-06-01 08:05:09");
        check("２０２６／６／１　８：０５：０９", "2026-06-01 08:05:09");
        check("`2026-06-01 08:05:09", "2026-06-01 08:05:09");
    }

    #[test]
    fn clocks_of_twelve_hours() {
        for (hour, morning, afternoon) in [(12, "00", "12"), (0, "00", "12"), (1, "01", "13"), (11, "11", "23")] {
            for (text, expected) in [("上午", morning), ("AM", morning), ("下午", afternoon), ("PM", afternoon)] {
                check(&format!("2026/6/1 {text} {hour}:05"), &format!("2026-06-01 {expected}:05:00"));
                check(&format!("2026/6/1 {text}{hour}:05"), &format!("2026-06-01 {expected}:05:00"));
            }
        }
        check("2026/6/1 8:05 PM", "2026-06-01 20:05:00");
        check("2026/6/1 8:05:09am", "2026-06-01 08:05:09");
        check("2026年6月1日下午8时5分9秒", "2026-06-01 20:05:09");
        check("2026/6/1上午8:05", "2026-06-01 08:05:00");
        check_none(&["2026/6/1 下午 13:05", "2026/6/1 14:05 PM", "2026/6/1 13:05 AM", "2026/6/1 上午 8:05 AM"]);
        // An evening's 12 o'clock may be the day's beginning or its end.
        check_none(&[
            "2026/6/1 晚上 12:05",
            "2026/6/1 凌晨 1:05",
            "2026/6/1 中午 12:05",
            "2026/6/1 下午",
            "2026/6/1 PM",
        ]);
    }

    #[test]
    fn clocks_with_chinese_units() {
        check("2026年6月1日 8时", "2026-06-01 08:00:00");
        check("2026年6月1日 8点30分", "2026-06-01 08:30:00");
        check("2026年6月1日 8 时 5 分 9 秒", "2026-06-01 08:05:09");
        check("2026年6月1日 8點5分", "2026-06-01 08:05:00");
        check_none(&[
            "2026年6月1日 8",
            "2026年6月1日 8点30",
            "2026年6月1日 8点半",
            "2026年6月1日 8时5秒",
            "2026年6月1日 8:05分",
        ]);
    }

    #[test]
    fn fractions_of_a_second_down_to_billionths() {
        check("2026-06-01 08:05:09.5", "2026-06-01 08:05:09.500");
        check("2026-06-01 08:05:09.000001", "2026-06-01 08:05:09.000001");
        check("2026-06-01 08:05:09.123456789123", "2026-06-01 08:05:09.123456789");
        check("2026-06-01 08:05:09.000", "2026-06-01 08:05:09");
        check_none(&["2026-06-01 08:05:09.", "2026-06-01 08:05.5", "2026-06-01 08:05:09,5", "2026-06-01 08:05:09:500"]);
    }

    #[test]
    fn times_that_a_day_has() {
        check("2026-06-01 23:59:59", "2026-06-01 23:59:59");
        check("2026-06-01 0:00", "2026-06-01 00:00:00");
        check_none(&["2026-06-01 24:00", "2026-06-01 8:60", "2026-06-01 8:05:61", "20260601240000", "20260601086000"]);
        // A leap second is the first second of the next minute.
        let leap = parse_time("2016-12-31 23:59:60").map(|time| time.and_utc().timestamp_micros());
        let next = parse_time("2017-01-01 00:00:00").map(|time| time.and_utc().timestamp_micros());
        assert!(leap.is_some() && leap == next, "{leap:?} {next:?}");
    }

    #[test]
    fn a_time_with_an_offset_is_no_local_time() {
        check_none(&[
            "2026-06-01T08:05:00Z",
            "2026-06-01T08:05:00+08:00",
            "2026-06-01 08:05:00 +0800",
            "2026-06-01 08:05 CST",
        ]);
        check_none(&["2026-06-01T08:05:00.000-04:00", "2026-06-01T08:05:00[Asia/Shanghai]", "2026-06-01 08:05 UTC"]);
    }

    #[test]
    fn what_is_no_time_is_not_read() {
        check_none(&[
            "",
            "8:05",
            "2026-06-01T",
            "2026-06-01 T08:05",
            "2026-06-01,08:05",
            "2026-06-01 08",
            "2026-06-01 0805",
        ]);
        check_none(&["last week", "46174.33", "1780272300", "1780272300000", "2026060108050", "2026-06-01 008:05"]);
        check_none(&[
            "2026-06-01 8:005",
            "2026-06-01 -8:05",
            "2026-02-30 08:05",
            "2026-06-01 08:05 08:05",
            "2026060108:05",
        ]);
    }
}

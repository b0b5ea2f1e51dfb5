//! Days of the calendar.

use chrono::NaiveDate;

use super::scan::Scan;
use super::time::parse_time;

/// Reads a day, in any form in which [`parse_time`] reads a time; a time of day behind it is left out.
pub(crate) fn parse_date(text: &str) -> Option<NaiveDate> {
    parse_time(text).map(|time| time.date())
}

/// Takes a day: the year with four digits, then the month, then the day. Where the year comes last, nobody can say which
/// of the others is the month, and one of two digits might be a day itself.
pub(super) fn scan_date(scan: &mut Scan<'_>) -> Option<NaiveDate> {
    if let Some(digits) = scan.digits(8, 8) {
        return compact_date(digits);
    }
    let year = scan.number(4, 4)?;
    let mark = ["/", "-", "."].into_iter().find(|mark| scan.eat(mark));
    let (month, day) = match mark {
        Some(mark) => marked(scan, mark)?,
        None => chinese(scan)?,
    };
    date_of(year, month, day)
}

/// Reads `20260601`.
pub(super) fn compact_date(digits: &str) -> Option<NaiveDate> {
    let part = |from: usize, to: usize| -> Option<u32> { digits.get(from..to)?.parse().ok() };
    date_of(part(0, 4)?, part(4, 6)?, part(6, 8)?)
}

/// Takes what follows the first mark of `2026/6/1`; the second one is the same.
fn marked(scan: &mut Scan<'_>, mark: &str) -> Option<(u32, u32)> {
    let month = scan.number(1, 2)?;
    if !scan.eat(mark) {
        return None;
    }
    Some((month, scan.number(1, 2)?))
}

/// Takes what follows the year of `2026年6月1日`, with or without spaces.
fn chinese(scan: &mut Scan<'_>) -> Option<(u32, u32)> {
    let month = part_after(scan, "年")?;
    let day = part_after(scan, "月")?;
    scan.spaces();
    scan.eat_any(&["日", "号", "號"]).then_some((month, day))
}

fn part_after(scan: &mut Scan<'_>, word: &str) -> Option<u32> {
    scan.spaces();
    if !scan.eat(word) {
        return None;
    }
    scan.spaces();
    scan.number(1, 2)
}

fn date_of(year: u32, month: u32, day: u32) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(parse_date(text).map(|date| date.to_string()).as_deref(), Some(expected), "{text:?}");
    }

    #[track_caller]
    fn check_none(texts: &[&str]) {
        for text in texts {
            assert_eq!(parse_date(text), None, "{text:?}");
        }
    }

    #[test]
    fn every_form_of_a_day() {
        let forms = ["2026/6/1", "2026-6-1", "2026.6.1", "2026/06/01", "2026-06-01", "2026.06.01", "20260601"];
        let chinese = ["2026年6月1日", "2026年06月01日", "2026年6月1号", "2026 年 6 月 1 日", "2026年 6月 1日"];
        let wide =
            ["２０２６／６／１", "２０２６年６月１日", "２０２６－０６－０１", " 2026/6/1\t", "\u{3000}2026/6/1"];
        let marked = ["'2026/6/1", "`2026-06-01", "=\"20260601\""];
        for text in forms.iter().chain(&chinese).chain(&wide).chain(&marked) {
            check(text, "2026-06-01");
        }
    }

    #[test]
    fn a_time_of_day_is_left_out() {
        check("2026/6/1 0:00", "2026-06-01");
        check("2026-06-01 23:59:59.999", "2026-06-01");
        check("2026年6月1日 下午 8:05", "2026-06-01");
        check_none(&["2026/6/1 25:00", "2026-06-01T23:00:00Z", "2026-06-01 23:00:00+08:00"]);
    }

    #[test]
    fn days_that_the_calendar_has() {
        check("2024/2/29", "2024-02-29");
        check("2026/12/31", "2026-12-31");
        check("0001-01-01", "0001-01-01");
        check("99991231", "9999-12-31");
        check_none(&[
            "2026/2/29",
            "2026-02-30",
            "2026/13/1",
            "2026/0/1",
            "2026/1/0",
            "0000-00-00",
            "20261301",
            "2026年2月30日",
        ]);
    }

    #[test]
    fn what_could_be_another_day_is_not_read() {
        check_none(&["6/1/2026", "1.6.2026", "26/6/1", "06-01", "26年6月1日", "2026/6", "2026年6月", "202606", "2026"]);
        check_none(&["2026/6-1", "2026.6/1", "2026年6/1", "2026年6月1", "2026/6/1日", "2026/6/001", "2026/006/1"]);
        check_none(&[
            "",
            " ",
            "-",
            "46174",
            "today",
            "2026/六/1",
            "2026//1",
            "2026 6 1",
            "2026/6/1 x",
            "2026060",
            "202606011",
        ]);
    }
}

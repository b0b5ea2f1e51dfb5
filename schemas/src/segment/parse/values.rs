//! Values: what a scalar stands for. A quoted scalar is a text whatever it looks like; a plain one is what it looks
//! like.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveTime, TimeZone, Timelike, Utc};
use rust_decimal::Decimal;

use super::{NUMBER_INVALID, TIME_INVALID};
use crate::segment::tree::{CalendarUnit, TimeValue, Value};
use crate::yaml::{At, Problem};

/// The furthest that a document reaches back in days, about a hundred years.
pub(super) const MAX_DAYS: u32 = 36_500;
/// The furthest that a document reaches back in months.
pub(super) const MAX_MONTHS: u32 = 1_200;

/// What is wrong with a value's text.
#[derive(Debug)]
pub(super) struct Fault {
    code: &'static str,
    message: String,
    hint: String,
}

impl Fault {
    fn new(code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: hint.into() }
    }

    /// Makes the problem that this is at a place of the document.
    pub(super) fn at(self, at: &At<'_>) -> Problem {
        at.problem(self.code, self.message).with_hint(self.hint)
    }
}

/// Reads one value.
pub(super) fn value(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<Value> {
    let Some(text) = at.scalar() else {
        problems.push(at.expected("a text, a number, a time, `true` or `false`"));
        return None;
    };
    if at.plain().is_none() {
        return Some(Value::Text(text.to_owned()));
    }
    plain(text).map_err(|fault| problems.push(fault.at(at))).ok()
}

/// Reads one value where a time is meant, so that a quoted one is a time too: JSON has no other way to write it.
pub(super) fn moment(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<Value> {
    match at.scalar().and_then(any_time) {
        Some(found) => found.map(Value::Time).map_err(|fault| problems.push(fault.at(at))).ok(),
        None => value(at, problems),
    }
}

/// Reads a time and nothing else.
pub(super) fn time(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<TimeValue> {
    match at.scalar().and_then(any_time) {
        Some(found) => found.map_err(|fault| problems.push(fault.at(at))).ok(),
        None => {
            let hint = "write a date, a date and time, `as_of`, or `as_of - N days` or `months`";
            problems.push(at.expected("a time such as `2026-06-01`").with_hint(hint));
            None
        }
    }
}

fn plain(text: &str) -> Result<Value, Fault> {
    match text {
        "true" => return Ok(Value::Bool(true)),
        "false" => return Ok(Value::Bool(false)),
        "as_of.month" => return Ok(Value::AsOfMonth),
        _ => {}
    }
    if let Some(found) = any_time(text) {
        return found.map(Value::Time);
    }
    match number(text) {
        Some(found) => found.map(Value::Number),
        None => Ok(Value::Text(text.to_owned())),
    }
}

/// Reads a time in any form; `None` where the text does not look like one.
fn any_time(text: &str) -> Option<Result<TimeValue, Fault>> {
    relative_time(text).or_else(|| written_time(text))
}

/// Reads `as_of` and `as_of - N days` or `months`; `None` where the text does not begin with the word.
fn relative_time(text: &str) -> Option<Result<TimeValue, Fault>> {
    let rest = text.strip_prefix("as_of")?;
    if rest.is_empty() {
        return Some(Ok(TimeValue::AsOfMinus(0, CalendarUnit::Days)));
    }
    if rest.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let moved = rest.trim_start().strip_prefix('-').and_then(moved_back);
    Some(moved.ok_or_else(|| {
        let hint = format!(
            "write `as_of`, `as_of - N days` (N at most {MAX_DAYS}) or `as_of - N months` (N at most {MAX_MONTHS}); \
             for a month of birth `as_of.month`"
        );
        Fault::new(TIME_INVALID, format!("`{text}` is no time relative to `as_of`"), hint)
    }))
}

fn moved_back(text: &str) -> Option<TimeValue> {
    let mut words = text.split_whitespace();
    let (count, unit) = (words.next()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    let (unit, most) = match unit {
        "day" | "days" => (CalendarUnit::Days, MAX_DAYS),
        "month" | "months" => (CalendarUnit::Months, MAX_MONTHS),
        _ => return None,
    };
    match whole_number(count)? {
        // Nothing moved back is `as_of`, whatever the unit.
        0 => Some(TimeValue::AsOfMinus(0, CalendarUnit::Days)),
        count if count <= most => Some(TimeValue::AsOfMinus(count, unit)),
        _ => None,
    }
}

/// Reads digits and nothing else.
pub(super) fn whole_number(text: &str) -> Option<u32> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Reads a date or a date and time as people write it; `None` where the text does not look like one.
///
/// Without an offset it is a local time of the business time zone, and a date alone is its midnight.
pub(super) fn written_time(text: &str) -> Option<Result<TimeValue, Fault>> {
    let (date, clock) = match text.split_once([' ', 'T']) {
        Some((date, clock)) => (date, Some(clock.trim())),
        None => (text, None),
    };
    let is_clock = clock.is_none_or(|clock| clock.starts_with(|c: char| c.is_ascii_digit()));
    let [year, month, day] = <[&str; 3]>::try_from(date.split('-').collect::<Vec<_>>()).ok()?;
    let is_date = year.len() == 4 && (1..=2).contains(&month.len()) && (1..=2).contains(&day.len());
    let [year, month, day] = [whole_number(year)?, whole_number(month)?, whole_number(day)?];
    (is_date && is_clock).then(|| date_and_clock(text, (year, month, day), clock))
}

fn date_and_clock(text: &str, (year, month, day): (u32, u32, u32), clock: Option<&str>) -> Result<TimeValue, Fault> {
    let year = i32::try_from(year).unwrap_or(i32::MAX);
    let Some(date) = NaiveDate::from_ymd_opt(year, month, day) else {
        let message = format!("there is no day `{year:04}-{month:02}-{day:02}`");
        return Err(Fault::new(TIME_INVALID, message, "write a day of the calendar, or quote it if a text is meant"));
    };
    let found = match clock {
        None => Some(TimeValue::Local(date.and_time(NaiveTime::MIN))),
        Some(clock) => clock_and_offset(date, clock),
    };
    found.ok_or_else(|| {
        let hint = "write `2026-06-01`, `2026-06-01 08:00`, `2026-06-01T08:00:00` or, for an instant, \
                    `2026-06-01T08:00:00+08:00`; quote it if a text is meant";
        Fault::new(TIME_INVALID, format!("`{text}` is no time"), hint)
    })
}

fn clock_and_offset(date: NaiveDate, text: &str) -> Option<TimeValue> {
    let (clock, zone) = match text.find(['Z', '+', '-']) {
        Some(at) => (text[..at].trim_end(), Some(&text[at..])),
        None => (text, None),
    };
    let time = ["%H:%M", "%H:%M:%S%.f"].iter().find_map(|format| NaiveTime::parse_from_str(clock, format).ok())?;
    // Tables keep microseconds, and a leap second has no place on their axis.
    if time.nanosecond() >= 1_000_000_000 || time.nanosecond() % 1_000 != 0 {
        return None;
    }
    let local = date.and_time(time);
    let Some(zone) = zone else {
        return Some(TimeValue::Local(local));
    };
    let instant: DateTime<FixedOffset> = offset(zone)?.from_local_datetime(&local).single()?;
    Some(TimeValue::Instant(instant.with_timezone(&Utc)))
}

/// Reads `Z`, `+08:00` or `+0800`.
fn offset(text: &str) -> Option<FixedOffset> {
    if text == "Z" {
        return FixedOffset::east_opt(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = text.get(1..)?.replacen(':', "", 1);
    let number = i32::try_from(whole_number(&digits).filter(|_| digits.len() == 4)?).ok()?;
    let (hours, minutes) = (number / 100, number % 100);
    (minutes < 60).then(|| FixedOffset::east_opt(sign * (hours * 3600 + minutes * 60))).flatten()
}

/// Reads an exact number; `None` where the text does not look like one.
fn number(text: &str) -> Option<Result<Decimal, Fault>> {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    // A double is asked for the shape alone: it knows exponents and bare points, which are refused below.
    let looks_like_one = body.starts_with(|c: char| c.is_ascii_digit() || c == '.') && body.parse::<f64>().is_ok();
    looks_like_one.then(|| exact_number(text, body))
}

fn exact_number(text: &str, body: &str) -> Result<Decimal, Fault> {
    let fault = |message: String, hint: &str| Err(Fault::new(NUMBER_INVALID, message, hint));
    let (whole, fraction) = body.split_once('.').unwrap_or((body, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        let hint = "write its digits, or quote it if a text is meant";
        return fault(format!("the number `{text}` is not written out"), hint);
    }
    if whole.len() > 1 && whole.starts_with('0') {
        let message = format!("`{text}` begins with a zero: is it a number or a text?");
        return fault(message, "quote it if a text is meant, else drop the zero");
    }
    let decimals = if body.contains('.') { fraction.len() } else { 0 };
    if decimals > 4 || whole.len() + decimals > 18 {
        let hint = "numbers are exact, with at most 18 digits, 4 of them after the point; quote it if a text is meant";
        return fault(format!("the number `{text}` has too many digits"), hint);
    }
    match Decimal::from_str_exact(body) {
        Ok(number) if text.starts_with('-') => Ok((-number).normalize()),
        Ok(number) => Ok(number.normalize()),
        Err(error) => fault(format!("the number `{text}` cannot be read: {error}"), "write its digits"),
    }
}

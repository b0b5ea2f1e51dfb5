//! Finds the dates written in digits in a folded name: `2023`, `2023-11`, `2023年11月11日`, `20231111`, `2023.11.1-11.11`.
//!
//! ```text
//! date  = year [ mark month [月] [ mark day [日] ] ] [ range end ]      mark: 年 - / . _
//!       | year - yy                                                    a season, `2023-24`
//!       | yyyymmdd | yyyymm
//! year  = yyyy | yy年
//! ```

use chrono::{Datelike, Months, NaiveDate};

use super::digits::{YEARS, digits_end, value};

/// What after a number makes it a count, a cohort or a model instead of a date.
const UNITS: &str = "届级款版元块分积人次件万店号折组群班批期区楼校%";

/// Words that begin like a unit or an open end and are neither.
const WHOLE_WORDS: [&str; 11] =
    ["元旦", "元宵", "万圣", "店庆", "分享", "区域", "校招", "校庆", "校园", "至尊", "以旧换新"];

/// What after a date leaves its end open, or makes it a bound (`2023年后`, `2023年11月起`, `2023以来`, `2023至今`).
const OPEN_ENDS: &str = "后前起以至+";

/// What before a number makes it an amount, an ordinal or an open beginning.
const NO_DATE_AFTER: &str = "满第自从于¥$";

/// What may stand between the two ends of a range.
const RANGE_MARKS: &str = "-~至到—–";

/// How far a written date goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precision {
    /// To the year.
    Year,
    /// To the month.
    Month,
    /// To the day.
    Day,
}

/// A date as written, with its last day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WrittenDate {
    /// The year it is in; of a range, the year it begins in.
    pub(super) year: i32,
    /// The last day of what is written; of a range, of its end.
    pub(super) ends_on: NaiveDate,
    /// How far the writing goes.
    pub(super) precision: Precision,
}

/// Every date written in `text` (folded, its numbers parted), in order.
///
/// A year of two digits (`23年`) counts only with a month or, where `has_campaign`, beside a campaign: `10年老客户` is a
/// count.
pub(super) fn written_dates(text: &str, has_campaign: bool) -> Vec<WrittenDate> {
    let text: Vec<char> = text.chars().collect();
    let mut dates = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let end = digits_end(&text, at);
        if end > at {
            dates.extend(date_at(&text, at, end, has_campaign));
        }
        at = end.max(at + 1);
    }
    dates
}

/// The date that begins with the run of digits `text[start..end]`.
fn date_at(text: &[char], start: usize, end: usize, has_campaign: bool) -> Option<WrittenDate> {
    if start > 0 && NO_DATE_AFTER.contains(text[start - 1]) {
        return None;
    }
    let run = &text[start..end];
    let mut cursor = Cursor { text, at: end };
    let date = match run.len() {
        8 => WrittenDate::day(value(&run[..4])?, value(&run[4..6])?, value(&run[6..])?)?,
        6 => WrittenDate::month(value(&run[..4])?, value(&run[4..])?)?,
        4 => after_year(value(run)?, &mut cursor)?,
        2 if cursor.peek() == Some('年') => {
            let year: i32 = value(run)?;
            after_year(2000 + year, &mut cursor).filter(|date| has_campaign || date.precision != Precision::Year)?
        }
        _ => return None,
    };
    (!cursor.is_at_unit() && !cursor.is_at_open_end()).then_some(date)
}

fn after_year(year: i32, cursor: &mut Cursor<'_>) -> Option<WrittenDate> {
    let bare = WrittenDate::year(year)?;
    if let Some(date) = cursor.attempt(|ahead| season(year, ahead)) {
        return Some(date);
    }
    if let Some(date) = cursor.attempt(|ahead| month_onwards(year, ahead)) {
        return Some(date);
    }
    cursor.eat("年");
    cursor.eat("度");
    Some(bare)
}

/// `-24` after 2023. What could be a month as well is left to be one.
fn season(year: i32, cursor: &mut Cursor<'_>) -> Option<WrittenDate> {
    cursor.eat("-/~")?;
    let next = cursor.small_number()?;
    let is_next_year = next > 12 && u32::try_from((year + 1) % 100) == Ok(next);
    if is_next_year { WrittenDate::year(year + 1) } else { None }
}

fn month_onwards(year: i32, cursor: &mut Cursor<'_>) -> Option<WrittenDate> {
    let mark = cursor.eat("年-/._ ")?;
    let first = WrittenDate::month(year, cursor.small_number()?)?;
    let is_marked = cursor.eat("月").is_some();
    // `2023-3群` counts groups, and `2025 11` may count anything.
    if !is_marked && (cursor.is_at_unit() || mark == ' ') {
        return None;
    }
    if let Some(date) = cursor.attempt(|ahead| day_onwards(first, mark, is_marked, ahead)) {
        return Some(date);
    }
    cursor.attempt(|ahead| range_of_months(first, ahead)).or(Some(first))
}

fn day_onwards(month: WrittenDate, mark: char, is_marked: bool, cursor: &mut Cursor<'_>) -> Option<WrittenDate> {
    if !is_marked {
        let second = cursor.eat("-/._")?;
        if second != mark && mark != '年' {
            return None;
        }
    }
    let first = WrittenDate::day(month.year, month.ends_on.month(), cursor.small_number()?)?;
    let is_day_marked = cursor.eat("日号").is_some();
    let is_other = cursor.is_at_unit() || cursor.peek() == Some('月');
    if !is_day_marked && is_other {
        return None;
    }
    cursor.attempt(|ahead| range_of_days(first, ahead)).or(Some(first))
}

/// `-12月` after a month; without `月` it has to be a later month.
fn range_of_months(first: WrittenDate, cursor: &mut Cursor<'_>) -> Option<WrittenDate> {
    cursor.eat(RANGE_MARKS)?;
    let number = cursor.small_number()?;
    let is_marked = cursor.eat("月").is_some();
    let is_later = number > first.ends_on.month();
    if !is_marked && (cursor.is_at_unit() || !is_later) {
        return None;
    }
    let year = if is_later { first.year } else { first.year + 1 };
    Some(WrittenDate { year: first.year, ..WrittenDate::month(year, number)? })
}

/// `-11.11`, `至11月11日` or `-11日` after a day; a day before the first is in the year after.
fn range_of_days(first: WrittenDate, cursor: &mut Cursor<'_>) -> Option<WrittenDate> {
    cursor.eat(RANGE_MARKS)?;
    let number = cursor.small_number()?;
    let second = cursor.attempt(|ahead| {
        ahead.eat("月-/.")?;
        ahead.small_number()
    });
    cursor.eat("日号");
    if cursor.is_at_unit() {
        return None;
    }
    let (month, day) = second.map_or((first.ends_on.month(), number), |day| (number, day));
    let same_year = WrittenDate::day(first.year, month, day)?;
    if same_year.ends_on >= first.ends_on {
        return Some(same_year);
    }
    Some(WrittenDate { year: first.year, ..WrittenDate::day(first.year + 1, month, day)? })
}

impl WrittenDate {
    fn year(year: i32) -> Option<Self> {
        Self::ending(year, NaiveDate::from_ymd_opt(year, 12, 31)?, Precision::Year)
    }

    fn month(year: i32, month: u32) -> Option<Self> {
        let next = NaiveDate::from_ymd_opt(year, month, 1)?.checked_add_months(Months::new(1))?;
        Self::ending(year, next.pred_opt()?, Precision::Month)
    }

    fn day(year: i32, month: u32, day: u32) -> Option<Self> {
        Self::ending(year, NaiveDate::from_ymd_opt(year, month, day)?, Precision::Day)
    }

    fn ending(year: i32, ends_on: NaiveDate, precision: Precision) -> Option<Self> {
        YEARS.contains(&year).then_some(Self { year, ends_on, precision })
    }
}

/// A place in the text from which reading goes on.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    text: &'a [char],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    /// Reads one of `marks`, or nothing.
    fn eat(&mut self, marks: &str) -> Option<char> {
        let mark = self.peek().filter(|c| marks.contains(*c))?;
        self.at += 1;
        Some(mark)
    }

    /// Reads a number of one or two digits, or nothing.
    fn small_number(&mut self) -> Option<u32> {
        let end = digits_end(self.text, self.at);
        if !(1..=2).contains(&(end - self.at)) {
            return None;
        }
        let number = value(&self.text[self.at..end])?;
        self.at = end;
        Some(number)
    }

    /// Reads with `read`, or stays where it is.
    fn attempt<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let mut ahead = *self;
        let found = read(&mut ahead)?;
        *self = ahead;
        Some(found)
    }

    fn is_at_unit(&self) -> bool {
        let is_unit = self.peek().is_some_and(|c| UNITS.contains(c)) || self.is_at("出生") || self.is_at("生人");
        is_unit && !self.is_at_whole_word()
    }

    /// Tells whether what was read goes on without end: `起`, `以来`, or a range mark with nothing behind it.
    fn is_at_open_end(&self) -> bool {
        let Some(next) = self.peek() else { return false };
        let is_last = self.at + 1 == self.text.len();
        (OPEN_ENDS.contains(next) && !self.is_at_whole_word()) || (is_last && RANGE_MARKS.contains(next))
    }

    fn is_at_whole_word(&self) -> bool {
        WHOLE_WORDS.iter().any(|word| self.is_at(word))
    }

    fn is_at(&self, word: &str) -> bool {
        let rest = self.text.get(self.at..).unwrap_or_default();
        word.chars().enumerate().all(|(offset, c)| rest.get(offset) == Some(&c))
    }
}

//! Words for people: messages on stderr, numbers and instants as a person reads them.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::Write;

use chrono::{DateTime, Timelike, Utc};
use tagmill_schemas::clock::BusinessZone;

/// Says something on stderr, ended by a line feed.
///
/// Control characters are made visible: what is said may quote data from outside, which must not steer a terminal.
pub(crate) fn say(words: impl Display) {
    let words = words.to_string();
    let visible: Vec<_> = words.lines().map(visible).collect();
    // A closed stderr is no reason to fail: there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{}", visible.join("\n"));
}

/// Renders a number with separators: `1,633`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Renders an instant in the business time zone, to the minute where it is a whole one:
/// `2026-11-12 02:00 Asia/Shanghai`.
pub(crate) fn local_time(instant: DateTime<Utc>, zone: BusinessZone) -> String {
    let local = instant.with_timezone(&zone.0);
    let form = if local.second() == 0 { "%Y-%m-%d %H:%M" } else { "%Y-%m-%d %H:%M:%S" };
    format!("{} {}", local.format(form), zone.name())
}

/// Makes the control characters of one line visible.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_steering) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| match c {
        '\n' => '⏎',
        '\t' => ' ',
        c if is_steering(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    Cow::Owned(text.chars().map(shown).collect())
}

/// Whether a character moves the cursor, colours, or turns the direction of writing.
fn is_steering(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        let check = |number, expected: &str| assert_eq!(thousands(number), expected);
        check(0, "0");
        check(999, "999");
        check(1_633, "1,633");
        check(406_829, "406,829");
        check(1_234_567, "1,234,567");
    }

    #[test]
    fn an_instant_is_told_in_the_business_time_zone() {
        let instant = DateTime::parse_from_rfc3339("2026-11-11T18:00:00Z").expect("an instant").to_utc();
        assert_eq!(local_time(instant, BusinessZone::default()), "2026-11-12 02:00 Asia/Shanghai");
    }

    #[test]
    fn a_name_from_outside_does_not_steer_the_terminal() {
        assert_eq!(visible("\u{1b}[2J王\n小"), "\u{fffd}[2J王⏎小");
        assert_eq!(visible("plain"), "plain");
    }
}

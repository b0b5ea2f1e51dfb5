//! Decimal numbers, exactly.

use super::plain::plain;

/// Digits of a number that is read.
pub(super) const PRECISION: u8 = 38;
/// Places after the point among them.
pub(super) const SCALE: i8 = 10;

/// One more than the greatest number of [`PRECISION`] digits.
const LIMIT: i128 = 10_i128.pow(PRECISION as u32);
const PLACES: u32 = SCALE as u32;

/// The yuan before a number, the longer words first.
const YUAN_BEFORE: [&str; 5] = ["CN¥", "¥", "CNY", "RMB", "人民币"];
/// The yuan after a number.
const YUAN_AFTER: [&str; 4] = ["元", "圆", "CNY", "RMB"];
/// Words that multiply by a power of ten, the longer ones first.
const UNITS: [(&str, i64); 3] = [("万亿", 12), ("亿", 8), ("万", 4)];

/// Reads a number; the answer is it times 10^[`SCALE`].
///
/// Commas part groups of three digits, the point is a point. The yuan may stand before or after; other currencies are not
/// read, since an amount of theirs would be taken for yuan. Brackets around a number mean below zero, as in accounting.
/// `None` also where the number has more than ten places after the point or 28 digits before it: it is exact or nothing.
pub(super) fn parse_number(text: &str) -> Option<i128> {
    let text = plain(text);
    let (is_negative, rest) = bracketed(&text).map_or_else(|| signed(&text), |inner| (true, inner));
    let value = magnitude(rest)?;
    Some(if is_negative { -value } else { value })
}

/// What is in the brackets: `(5)`, `(¥5)` or `¥(5)`.
fn bracketed(text: &str) -> Option<&str> {
    let open = text.strip_suffix(')')?;
    open.strip_prefix('(').or_else(|| without_yuan(open)?.strip_prefix('(')).map(str::trim)
}

/// Whether the sign, before or after the yuan, is that of a number below zero; and the rest.
fn signed(text: &str) -> (bool, &str) {
    sign_of(text).or_else(|| sign_of(without_yuan(text)?)).unwrap_or((false, text))
}

fn sign_of(text: &str) -> Option<(bool, &str)> {
    let rest = text.strip_prefix(['-', '+'])?;
    Some((text.starts_with('-'), rest.trim_start()))
}

fn without_yuan(text: &str) -> Option<&str> {
    YUAN_BEFORE.iter().find_map(|yuan| text.strip_prefix(yuan)).map(str::trim_start)
}

/// Reads a number without sign: the yuan, digits, and a percent sign or a unit.
fn magnitude(text: &str) -> Option<i128> {
    let text = without_yuan(text).unwrap_or(text);
    if let Some(percent) = text.strip_suffix('%') {
        return Written::read(percent.trim_end())?.exact(-2);
    }
    let text = YUAN_AFTER.iter().find_map(|yuan| text.strip_suffix(yuan)).unwrap_or(text).trim_end();
    let unit = UNITS.iter().find_map(|(unit, power)| Some((text.strip_suffix(unit)?.trim_end(), *power)));
    let (digits, power) = unit.unwrap_or((text, 0));
    Written::read(digits)?.exact(power)
}

/// A number as its digits say it: `coefficient` with so many of its digits after the point.
pub(super) struct Written {
    coefficient: i128,
    places: u32,
}

impl Written {
    /// Reads digits with a point and with commas between groups of three; nothing else.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let is_empty = whole.is_empty() && fraction.is_empty();
        if is_empty || !is_whole(whole) || !is_digits(fraction) {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        let mut coefficient = 0_i128;
        for digit in whole.bytes().chain(fraction.bytes()).filter(|byte| *byte != b',') {
            coefficient = coefficient.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
        }
        Some(Self { coefficient, places: u32::try_from(fraction.len()).ok()? })
    }

    /// The number times 10^`power` times 10^[`SCALE`], where that is a whole number that can be held.
    fn exact(&self, power: i64) -> Option<i128> {
        let shift = i64::from(PLACES) + power - i64::from(self.places);
        let factor = 10_i128.checked_pow(u32::try_from(shift.unsigned_abs()).ok()?)?;
        let value = if shift >= 0 {
            self.coefficient.checked_mul(factor)?
        } else if self.coefficient % factor == 0 {
            self.coefficient / factor
        } else {
            return None;
        };
        (value < LIMIT).then_some(value)
    }

    /// The number times 10^[`SCALE`], without what lies beyond.
    pub(super) fn cut(&self) -> Option<i128> {
        match self.places.checked_sub(PLACES) {
            Some(beyond) => Some(10_i128.checked_pow(beyond).map_or(0, |factor| self.coefficient / factor)),
            None => self.exact(0),
        }
    }
}

/// Whether these are digits, or groups of them. A first group that begins with zero is none: `0,123` is rather a number
/// below one that was written with a comma for its point.
fn is_whole(whole: &str) -> bool {
    let Some((first, rest)) = whole.split_once(',') else { return is_digits(whole) };
    let is_first = (1..=3).contains(&first.len()) && !first.starts_with('0') && is_digits(first);
    is_first && rest.split(',').all(|group| group.len() == 3 && is_digits(group))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows a number with the places that it needs.
    fn shown(value: i128) -> String {
        let one = 10_i128.pow(PLACES);
        let sign = if value < 0 { "-" } else { "" };
        let digits = format!("{}.{:010}", value.abs() / one, value.abs() % one);
        format!("{sign}{}", digits.trim_end_matches('0').trim_end_matches('.'))
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(parse_number(text).map(shown).as_deref(), Some(expected), "{text:?}");
    }

    #[track_caller]
    fn check_none(texts: &[&str]) {
        for text in texts {
            assert_eq!(parse_number(text).map(shown), None, "{text:?}");
        }
    }

    #[test]
    fn digits_points_and_groups() {
        check("0", "0");
        check("-0.00", "0");
        check("007", "7");
        check("1234.50", "1234.5");
        check("1,234.50", "1234.5");
        check("1,234", "1234");
        check("12,345,678.9", "12345678.9");
        check(".5", "0.5");
        check("5.", "5");
        check(" 5\t", "5");
        check("１，２３４．５", "1234.5");
        check("'5", "5");
        check("=\"5\"", "5");
    }

    #[test]
    fn signs_and_brackets() {
        check("-5", "-5");
        check("+5", "5");
        check("- 5", "-5");
        check("－５", "-5");
        check("\u{2212}5", "-5");
        check("(123)", "-123");
        check("(1,234.50)", "-1234.5");
        check("（123）", "-123");
        check("(¥123)", "-123");
        check("¥(123)", "-123");
        check(" ¥ (123.00) ", "-123");
        check("(5%)", "-0.05");
        check_none(&["5-", "--5", "+-5", "-(5)", "(-5)", "(5", "5)", "()", "((5))"]);
    }

    #[test]
    fn the_yuan_before_and_after() {
        for text in ["¥1,234", "￥1234", "¥ 1,234.00", "CN¥1,234", "CNY 1234", "RMB1234", "人民币1,234元"] {
            check(text, "1234");
        }
        for text in ["1234元", "1,234 元", "1234圆", "1234 CNY", "1234RMB"] {
            check(text, "1234");
        }
        check("-¥5", "-5");
        check("¥-5", "-5");
        check("¥ - 5", "-5");
        check("-￥５元", "-5");
        check_none(&["$5", "€5", "US$5", "5美元", "HK$5", "5 USD", "¥", "元", "¥¥5", "5元元"]);
    }

    #[test]
    fn percent_and_units() {
        check("12.5%", "0.125");
        check("100 %", "1");
        check("-3％", "-0.03");
        check("1.2万", "12000");
        check("1.2 万元", "12000");
        check("¥3.45亿", "345000000");
        check("1,234万", "12340000");
        check("-0.5万", "-5000");
        check("2万亿", "2000000000000");
        check("0.00000000000001万", "0.0000000001");
        check_none(&["万", "%", "1万2", "1万万", "1亿万", "5%%", "5%元", "5元%", "5万%", "1.2w", "3千", "5‰"]);
    }

    #[test]
    fn what_could_mean_two_numbers_is_not_read() {
        check_none(&["1.234,50", "1,23", "1,2345", "1234,567", "0,123", ",123", "1,,234", "1,234,", "1 234", "1.2.3"]);
        check_none(&["12，5", "1'234"]);
    }

    #[test]
    fn what_is_no_number_is_not_read() {
        check_none(&["", " ", ".", ",", "-", "--", "¥-", "—", "N/A", "#DIV/0!", "abc", "5x", "1e5", "1.2E+05", "0x10"]);
        check_none(&["inf", "NaN", "一百", "五", "½", "²", "٣", "1/2", "5 6", "5;", "\0", "5\0"]);
    }

    #[test]
    fn a_number_is_exact_or_nothing() {
        check("0.0000000001", "0.0000000001");
        check("0.123456789000000", "0.123456789");
        check("0.0000000100%", "0.0000000001");
        check_none(&["0.00000000001", "0.000000001%", "0.30000000000000004"]);
        let most = "9".repeat(28);
        check(&most, &most);
        check(&format!("-{most}.{}", "9".repeat(10)), &format!("-{most}.{}", "9".repeat(10)));
        check_none(&[&format!("1{}", "0".repeat(28)), &"9".repeat(39), &format!("{most}万")]);
        check(&format!("{}5", "0".repeat(1000)), "5");
        check(&format!("5.{}", "0".repeat(1000)), "5");
        check_none(&[&format!("0.{}1", "0".repeat(1000))]);
    }

    #[test]
    fn cutting_keeps_ten_places() {
        let cut = |text: &str| Written::read(text).and_then(|written| written.cut());
        assert_eq!(cut("1.123456789019"), Some(11_234_567_890));
        assert_eq!(cut("1.5"), Some(15_000_000_000));
        assert_eq!(cut(&format!("0.{}1", "0".repeat(1000))), Some(0));
        assert_eq!(cut("1%"), None);
    }
}

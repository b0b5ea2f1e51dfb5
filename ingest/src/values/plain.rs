//! Text as a keyboard of narrow letters would have written it, without what exports wrap around it.

use std::borrow::Cow;

/// Returns the text with narrow letters, digits and signs instead of full-width ones, without spaces at its ends, without
/// letters that cannot be seen, and without the marks by which exports keep a value text: `'1`, `` `1 `` and `="1"`.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(unmarked(text));
    }
    let narrowed: String = text.chars().filter(|c| !is_invisible(*c)).map(narrow).collect();
    Cow::Owned(unmarked(&narrowed).to_owned())
}

fn unmarked(text: &str) -> &str {
    let text = text.trim();
    let quoted = text.strip_prefix("=\"").and_then(|text| text.strip_suffix('"'));
    quoted.or_else(|| text.strip_prefix(['\'', '`'])).unwrap_or(text).trim()
}

fn narrow(c: char) -> char {
    match c {
        // The full-width block repeats ASCII from `!` to `~` in its order.
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        '￥' => '¥',
        // The minus sign of typesetting.
        '\u{2212}' => '-',
        _ if c.is_whitespace() => ' ',
        _ => c,
    }
}

/// Marks of direction and width, which come along when a value is copied from a contact card or a page.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(plain(text), expected, "{text:?}");
    }

    #[test]
    fn full_width_letters_become_narrow_and_others_stay() {
        check("１２３．５", "123.5");
        check("－１，２３４％", "-1,234%");
        check("（５）", "(5)");
        check("￥５", "¥5");
        check("\u{2212}5", "-5");
        check("２０２６／６／１　８：０５", "2026/6/1 8:05");
        check("2026年6月1日", "2026年6月1日");
        check("ＡＭ ｚ～！", "AM z~!");
    }

    #[test]
    fn spaces_at_the_ends_and_what_cannot_be_seen_are_left_out() {
        check(" \t5\r\n", "5");
        check("\u{3000}5\u{A0}", "5");
        check("\u{202D}13900000001\u{202C}", "13900000001");
        check("\u{FEFF}5\u{200B}", "5");
        check("", "");
        check(" ", "");
    }

    #[test]
    fn marks_that_keep_a_value_text_are_left_out_once() {
        check("'5", "5");
        check("`5", "5");
        check(" ' 5 ", "5");
        check("=\"5\"", "5");
        check("=\"５\"", "5");
        check("''5", "'5");
        check("=5", "=5");
        check("=\"", "=\"");
        check("5'", "5'");
    }
}

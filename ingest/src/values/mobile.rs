//! Mobile numbers of mainland China.

use super::plain::plain;

/// The ways to write the country's code.
const COUNTRY: [&str; 3] = ["+86", "0086", "86"];

/// Reads a mobile number as its eleven digits, without the country's code, spaces, dashes and brackets.
///
/// `None` for whatever has not eleven digits after that or does not begin with 1: landlines, numbers of other countries,
/// numbers with stars in them.
pub(crate) fn parse_mobile(text: &str) -> Option<String> {
    let text = plain(text);
    // So a number is written that was one to the program which exported it.
    let text = text.strip_suffix(".0").unwrap_or(&text);
    let written: String = text.chars().filter(|c| !is_spacing(*c)).collect();
    let local = COUNTRY.iter().find_map(|code| written.strip_prefix(code)).unwrap_or(&written);
    let is_mobile = local.len() == 11 && local.starts_with('1') && local.bytes().all(|byte| byte.is_ascii_digit());
    is_mobile.then(|| local.to_owned())
}

/// What parts digits for the eye. The range holds the hyphens and dashes of typesetting.
fn is_spacing(c: char) -> bool {
    matches!(c, ' ' | '-' | '(' | ')' | '\u{2010}'..='\u{2015}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_number_gives_its_eleven_digits() {
        let plain = [
            "13900000001",
            "139 0000 0001",
            "139-0000-0001",
            " 13900000001\t",
            "'13900000001",
            "=\"13900000001\"",
            "13900000001.0",
        ];
        let abroad = ["+8613900000001", "+86 139-0000-0001", "(+86)139 0000 0001", "0086-13900000001", "8613900000001"];
        let wide = [
            "１３９０００００００１",
            "＋８６　１３９－００００－０００１",
            "139–0000—0001",
            "\u{202D}13900000001\u{202C}",
        ];
        for text in plain.iter().chain(&abroad).chain(&wide) {
            assert_eq!(parse_mobile(text).as_deref(), Some("13900000001"), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_mobile_number_of_china_is_nothing() {
        let wrong = [
            "",
            " ",
            "-",
            "1390000000",
            "139000000011",
            "23900000001",
            "013900000001",
            "139****0001",
            "139.0000.0001",
            "+85291234567",
            "+1 415 555 0100",
            "010-12345678",
            "0086",
            "+86+8613900000001",
            "86008613900000001",
            "13900000001.5",
            "1.39E+10",
            "13900000001 13900000002",
            "13900000001转5",
            "1390000000a",
            "一三九",
        ];
        for text in wrong {
            assert_eq!(parse_mobile(text), None, "{text:?}");
        }
    }
}

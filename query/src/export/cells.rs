//! Cells that a spreadsheet must not run.

use std::borrow::Cow;

/// Returns a cell that no spreadsheet takes for a formula.
///
/// A text that begins with `=`, `+`, `-`, `@`, a tab, a carriage return, a line feed or a NUL gets an apostrophe in front,
/// unless it is a plain number such as `-12.50`. Source: OWASP, CSV Injection; some readers drop a leading NUL and take
/// what follows.
pub fn neutralised(cell: &str) -> Cow<'_, str> {
    let is_risky = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\0']);
    if is_risky && !is_plain_number(cell) { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

fn is_plain_number(cell: &str) -> bool {
    let digits = cell.strip_prefix(['-', '+']).unwrap_or(cell);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits(whole) && all_digits(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cell: &str, expected: &str) {
        assert_eq!(neutralised(cell), expected);
    }

    #[test]
    fn formulas_get_an_apostrophe_and_numbers_do_not() {
        check("=1+1", "'=1+1");
        check("@SUM(A1)", "'@SUM(A1)");
        check("-12.50", "-12.50");
        check("+86 139", "'+86 139");
        check("-1+cmd|' /C calc'!A0", "'-1+cmd|' /C calc'!A0");
        check("客户", "客户");
    }

    #[test]
    fn what_a_spreadsheet_skips_before_a_formula_gets_an_apostrophe_too() {
        check("\t=1+1", "'\t=1+1");
        check("\r=1+1", "'\r=1+1");
        check("\n=1+1", "'\n=1+1");
        check("\0=1+1", "'\0=1+1");
        check("a\n=1+1", "a\n=1+1");
    }
}

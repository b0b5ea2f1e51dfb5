//! The campaigns that tag names speak of, and the day each is over in a given year.

use chrono::NaiveDate;

/// A yearly campaign.
#[derive(Debug)]
pub(super) struct Campaign {
    /// How the report names it.
    pub(super) label: &'static str,
    /// How names write it, in folded text; a Chinese or a digit word.
    words: &'static [&'static str],
    ends: Ends,
}

#[derive(Debug, Clone, Copy)]
enum Ends {
    /// On this month and day of its year.
    On(u32, u32),
    /// On this month and day of the year after.
    NextYear(u32, u32),
    /// By the lunar calendar or another rule: told to the year only.
    WithTheYear,
}

/// Holidays end with the longest leave of recent years, so that a campaign is never called passed on its last day.
const CAMPAIGNS: &[Campaign] = &[
    on("双11", &["双11", "双十一", "11.11", "1111", "double11", "singlesday", "光棍节"], 11, 11),
    on("双12", &["双12", "双十二", "12.12", "1212", "double12"], 12, 12),
    on("618", &["618", "6.18", "六一八"], 6, 18),
    on("818", &["818", "8.18"], 8, 18),
    on("520", &["520", "5.20"], 5, 20),
    on("国庆", &["国庆"], 10, 8),
    on("元旦", &["元旦"], 1, 3),
    on("五一", &["五一", "劳动节"], 5, 5),
    on("六一", &["六一", "儿童节"], 6, 1),
    on("三八", &["三八", "妇女节", "女神节", "女王节", "38节", "38大促"], 3, 8),
    on("情人节", &["情人节"], 2, 14),
    on("教师节", &["教师节"], 9, 10),
    on("圣诞", &["圣诞", "christmas"], 12, 25),
    Campaign { label: "跨年", words: &["跨年", "双旦"], ends: Ends::NextYear(1, 3) },
    with_the_year("春节", &["春节", "新春", "除夕", "年货节"]),
    with_the_year("元宵", &["元宵"]),
    with_the_year("端午", &["端午"]),
    with_the_year("七夕", &["七夕"]),
    with_the_year("中秋", &["中秋"]),
    with_the_year("会员日", &["会员日", "memberday"]),
    with_the_year("黑五", &["黑五", "黑色星期五", "blackfriday"]),
];

/// The campaigns named in a folded text, in the order of the table.
pub(super) fn named_in(folded: &str) -> Vec<&'static Campaign> {
    let text = without_idle_spaces(folded);
    CAMPAIGNS.iter().filter(|campaign| campaign.words.iter().any(|word| stands_in(&text, word))).collect()
}

impl Campaign {
    /// The last day of the campaign of `year`; `None` where its day moves from year to year.
    pub(super) fn last_day(&self, year: i32) -> Option<NaiveDate> {
        match self.ends {
            Ends::On(month, day) => NaiveDate::from_ymd_opt(year, month, day),
            Ends::NextYear(month, day) => NaiveDate::from_ymd_opt(year + 1, month, day),
            Ends::WithTheYear => None,
        }
    }
}

const fn on(label: &'static str, words: &'static [&'static str], month: u32, day: u32) -> Campaign {
    Campaign { label, words, ends: Ends::On(month, day) }
}

const fn with_the_year(label: &'static str, words: &'static [&'static str]) -> Campaign {
    Campaign { label, words, ends: Ends::WithTheYear }
}

/// Takes out spaces, except between two digits, where they part two numbers (`618 2025`).
fn without_idle_spaces(text: &str) -> String {
    let mut compact = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let is_digit = |c: char| c.is_ascii_digit();
        if compact.ends_with(is_digit) && word.starts_with(is_digit) {
            compact.push(' ');
        }
        compact.push_str(word);
    }
    compact
}

/// Tells whether `word` occurs in `text` as itself and not inside a longer number (`一六一八`, `6180`) or a count (`五一对一`).
fn stands_in(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + word.len()..].chars().next();
        let first = word.chars().next();
        let last = word.chars().next_back();
        let begins_as_number = first.is_some_and(|c| is_chinese_digit(c) || c.is_ascii_digit());
        let is_count = begins_as_number
            && (before.is_some_and(|c| "第满¥$".contains(c))
                || after.is_some_and(|c| "对个折号月元分块件人".contains(c)));
        !is_count && !runs_on(before, first) && !runs_on(last, after)
    })
}

/// Tells whether a number goes on from one character to the next, both written in the same digits.
fn runs_on(left: Option<char>, right: Option<char>) -> bool {
    let (Some(left), Some(right)) = (left, right) else { return false };
    (is_chinese_digit(left) && is_chinese_digit(right)) || (left.is_ascii_digit() && right.is_ascii_digit())
}

fn is_chinese_digit(c: char) -> bool {
    "〇零一二三四五六七八九十百千万".contains(c)
}

//! Makes the numbers of a folded name readable: Chinese digit years as digits, and numbers that are glued together
//! apart.

/// WeCom tags are younger than 2010; earlier numbers are amounts (`2000`) or birth years.
pub(super) const YEARS: std::ops::RangeInclusive<i32> = 2010..=2099;

/// Writes Chinese digit years as digits and parts a campaign from the year it is glued to:
/// `二〇二三年` → `2023年`, `双112023` → `双11 2023`, `2025618` → `2025 618`.
pub(super) fn part_numbers(folded: &str) -> String {
    let text = with_ascii_years(folded);
    let mut parted = String::with_capacity(folded.len() + 1);
    let mut at = 0;
    while at < text.len() {
        let end = digits_end(&text, at).max(at + 1);
        let run: String = text[at..end].iter().collect();
        let follows_double = at > 0 && text[at - 1] == '双';
        match glue(&run, follows_double) {
            Some(middle) => {
                parted.push_str(&run[..middle]);
                parted.push(' ');
                parted.push_str(&run[middle..]);
            }
            None => parted.push_str(&run),
        }
        at = end;
    }
    parted
}

/// Where the run of ASCII digits that begins at `start` ends; `start` itself where there is none.
pub(super) fn digits_end(text: &[char], start: usize) -> usize {
    let length = text.iter().skip(start).take_while(|c| c.is_ascii_digit()).count();
    start + length
}

/// The value of a run of digits; `None` where it does not fit.
pub(super) fn value<N: std::str::FromStr>(digits: &[char]) -> Option<N> {
    digits.iter().collect::<String>().parse().ok()
}

/// Where a run of digits falls apart into a campaign and a year.
fn glue(run: &str, follows_double: bool) -> Option<usize> {
    // A run that is not ASCII is a single other character, which must not be cut by bytes.
    if !run.is_ascii() {
        return None;
    }
    let is_year = |part: &str| part.parse::<i32>().is_ok_and(|year| YEARS.contains(&year));
    let is_campaign = |part: &str| matches!(part, "618" | "818" | "520" | "1111" | "1212");
    match run.len() {
        6 if follows_double && is_year(&run[2..]) => Some(2),
        7 if is_year(&run[..4]) && is_campaign(&run[4..]) => Some(4),
        7 if is_campaign(&run[..3]) && is_year(&run[3..]) => Some(3),
        8 if is_campaign(&run[..4]) && is_year(&run[4..]) => Some(4),
        _ => None,
    }
}

/// Replaces four Chinese digits that spell a year of this century (`二〇二三`, `二零二三`).
fn with_ascii_years(folded: &str) -> Vec<char> {
    let mut text: Vec<char> = folded.chars().collect();
    for at in 0..text.len().saturating_sub(3) {
        let digits: Vec<char> = text[at..at + 4].iter().filter_map(|c| ascii_digit(*c)).collect();
        if digits.len() == 4 && digits.starts_with(&['2', '0']) {
            text[at..at + 4].copy_from_slice(&digits);
        }
    }
    text
}

fn ascii_digit(chinese: char) -> Option<char> {
    const DIGITS: [(char, char); 11] = [
        ('〇', '0'),
        ('零', '0'),
        ('一', '1'),
        ('二', '2'),
        ('三', '3'),
        ('四', '4'),
        ('五', '5'),
        ('六', '6'),
        ('七', '7'),
        ('八', '8'),
        ('九', '9'),
    ];
    DIGITS.iter().find(|(digit, _)| *digit == chinese).map(|(_, ascii)| *ascii)
}

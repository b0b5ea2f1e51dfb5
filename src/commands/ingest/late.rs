//! Late events in words: which business days they change, in few lines.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::output::thousands;

/// Days and stretches of days that are told; what is left of them is one more line.
const MOST_TOLD: usize = 10;
/// The fewest days in a row that are told as a stretch, with one count.
const FEWEST_IN_STRETCH: usize = 3;

/// `late events: 3 on 2 business days`.
pub(super) fn sum(late_events: &BTreeMap<NaiveDate, u64>) -> String {
    let count = thousands(late_events.values().sum());
    format!("late events: {count} on {} business {}", thousands(late_events.len() as u64), days_word(late_events.len()))
}

/// Days or stretches of days and how many late events are on them, the earliest first.
pub(super) fn rows(late_events: &BTreeMap<NaiveDate, u64>) -> Vec<(String, String)> {
    let days: Vec<(NaiveDate, u64)> = late_events.iter().map(|(day, count)| (*day, *count)).collect();
    let in_a_row = days.chunk_by(|(day, _), (next, _)| day.succ_opt() == Some(*next));
    let told: Vec<&[(NaiveDate, u64)]> =
        in_a_row.flat_map(|days| days.chunks(if days.len() < FEWEST_IN_STRETCH { 1 } else { days.len() })).collect();
    let (told, rest) = told.split_at(told.len().min(MOST_TOLD));
    let mut rows: Vec<(String, String)> = told.iter().map(|days| (name(days), count(days))).collect();
    let rest: Vec<(NaiveDate, u64)> = rest.concat();
    if !rest.is_empty() {
        let left = format!("and {} more {}", thousands(rest.len() as u64), days_word(rest.len()));
        rows.push((left, count(&rest)));
    }
    rows
}

/// `2026-06-01`, or `2026-06-01 to 2026-06-03`.
fn name(days: &[(NaiveDate, u64)]) -> String {
    match days {
        [] => String::new(),
        [(day, _)] => day.to_string(),
        [(first, _), .., (last, _)] => format!("{first} to {last}"),
    }
}

fn count(days: &[(NaiveDate, u64)]) -> String {
    thousands(days.iter().map(|(_, count)| count).sum())
}

fn days_word(count: usize) -> &'static str {
    if count == 1 { "day" } else { "days" }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines for late events on some days of June, each with its count.
    fn check(days: &[(u32, u64)], expected_sum: &str, expected_rows: &[(&str, &str)]) {
        let june = |day| NaiveDate::from_ymd_opt(2026, 6, day).expect("a day");
        let late_events: BTreeMap<NaiveDate, u64> = days.iter().map(|(day, count)| (june(*day), *count)).collect();
        let rows = rows(&late_events);
        let rows: Vec<(&str, &str)> = rows.iter().map(|(name, count)| (name.as_str(), count.as_str())).collect();
        assert_eq!((sum(&late_events).as_str(), rows.as_slice()), (expected_sum, expected_rows), "{days:?}");
    }

    #[test]
    fn a_day_and_two_in_a_row_are_told_each_with_its_count() {
        check(&[(5, 1)], "late events: 1 on 1 business day", &[("2026-06-05", "1")]);
        let two = [("2026-06-05", "1,200"), ("2026-06-06", "7")];
        check(&[(5, 1_200), (6, 7)], "late events: 1,207 on 2 business days", &two);
    }

    #[test]
    fn three_days_in_a_row_are_one_stretch_with_one_count() {
        let stretches =
            [("2026-06-01 to 2026-06-03", "12"), ("2026-06-05", "4"), ("2026-06-07 to 2026-06-10", "1,003")];
        let days = [(1, 3), (2, 4), (3, 5), (5, 4), (7, 1), (8, 1), (9, 1), (10, 1_000)];
        check(&days, "late events: 1,019 on 8 business days", &stretches);
    }

    #[test]
    fn days_beyond_the_tenth_line_are_counted_and_not_named() {
        let odd: Vec<(u32, u64)> = (0..10).map(|number| (2 * number + 1, 1)).collect();
        let names: Vec<String> = odd.iter().map(|(day, _)| format!("2026-06-{day:02}")).collect();
        let mut expected: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
        check(&odd, "late events: 10 on 10 business days", &expected);

        expected.push(("and 1 more day", "4"));
        check(&[odd.as_slice(), &[(21, 4)]].concat(), "late events: 14 on 11 business days", &expected);

        expected.pop();
        expected.push(("and 4 more days", "10"));
        let more = [(21, 1), (22, 2), (23, 3), (30, 4)];
        check(&[odd.as_slice(), &more].concat(), "late events: 20 on 14 business days", &expected);
    }
}

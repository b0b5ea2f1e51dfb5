//! Windows: when the events of a condition count.

use super::{WINDOW_REVERSED, not_yet, values};
use crate::segment::tree::{TimeValue, Window};
use crate::yaml::{At, Problem, Yaml, codes, near_hint};

/// What may be written as a window, for hints.
pub(super) const EXAMPLES: &str = "say when the events count: `window: lifetime`, `this_month`, `last_month`, \
                                   `last_30_days`, `last_3_months` or `{from: 2026-06-01, to: 2026-07-01}`";

const WORDS: [&str; 5] = ["lifetime", "this_month", "last_month", "last_30_days", "last_3_months"];

/// Reads a window.
pub(super) fn window(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<Window> {
    match &at.node.value {
        Yaml::Mapping(_) => between(at, problems),
        Yaml::Scalar { text, .. } => {
            let found = word(text);
            if found.is_none() {
                problems.push(unknown(at, text));
            }
            found
        }
        Yaml::Null | Yaml::Sequence(_) => {
            problems.push(at.expected("a window").with_hint(EXAMPLES));
            None
        }
    }
}

/// Whether a window or band from the one time to the other is certainly empty.
///
/// A local time and an instant, or days and months back, cannot be compared without the warehouse: they pass.
pub(super) fn is_reversed(from: TimeValue, to: TimeValue) -> bool {
    match (from, to) {
        (TimeValue::Local(from), TimeValue::Local(to)) => from >= to,
        (TimeValue::Instant(from), TimeValue::Instant(to)) => from >= to,
        (TimeValue::AsOfMinus(from, from_unit), TimeValue::AsOfMinus(to, to_unit)) => {
            from == 0 || (from_unit == to_unit && from <= to)
        }
        _ => false,
    }
}

fn between(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<Window> {
    let fields = at.fields("a window", problems)?;
    fields.known(&["from", "to"], problems);
    let from = fields
        .need("from", "a window has two ends; without a start it is `window: lifetime`", problems)
        .and_then(|at| values::time(&at, problems));
    let to = fields
        .need("to", "a window has two ends; `to: as_of` runs up to the last event that counts", problems)
        .and_then(|at| values::time(&at, problems));
    let (from, to) = (from?, to?);
    if is_reversed(from, to) {
        let hint = "a window holds `from` ≤ time < `to`: the day 2026-06-01 is `{from: 2026-06-01, to: 2026-06-02}`";
        problems.push(at.problem(WINDOW_REVERSED, "the window is empty: `from` is not before `to`").with_hint(hint));
        return None;
    }
    Some(Window::Between { from, to })
}

fn word(text: &str) -> Option<Window> {
    match text {
        "lifetime" => Some(Window::Lifetime),
        "this_month" => Some(Window::ThisMonth),
        "last_month" => Some(Window::LastMonth),
        _ => match last(text)? {
            (count, "days") if (1..=values::MAX_DAYS).contains(&count) => Some(Window::LastDays(count)),
            (count, "months") if (1..=values::MAX_MONTHS).contains(&count) => Some(Window::LastMonths(count)),
            _ => None,
        },
    }
}

/// Takes `last_30_days` apart.
fn last(text: &str) -> Option<(u32, &str)> {
    let (count, unit) = text.strip_prefix("last_")?.split_once('_')?;
    Some((values::whole_number(count)?, unit))
}

fn unknown(at: &At<'_>, text: &str) -> Problem {
    const LATER: [&str; 8] =
        ["today", "yesterday", "this_week", "last_week", "this_quarter", "last_quarter", "this_year", "last_year"];
    const LATER_UNITS: [&str; 3] = ["weeks", "quarters", "years"];
    if LATER.contains(&text) || last(text).is_some_and(|(_, unit)| LATER_UNITS.contains(&unit)) {
        return not_yet(at.problem(codes::NOT_SUPPORTED_YET, format!("the window `{text}` is not supported yet")));
    }
    if let Some((count, unit @ ("days" | "months"))) = last(text) {
        let (days, months) = (values::MAX_DAYS, values::MAX_MONTHS);
        let hint = format!("write from 1 to {days} days, or from 1 to {months} months");
        return at.problem(codes::VALUE_INVALID, format!("`{count}` {unit} are no window")).with_hint(hint);
    }
    let message = format!("unknown window `{text}`");
    let hint = format!("{}; or `{{from: 2026-06-01, to: 2026-07-01}}`", near_hint(text, &WORDS));
    at.problem(codes::WORD_UNKNOWN, message).with_hint(hint)
}

//! Conditions on events: a measure over the events of some types in a window, compared with a value.

use super::comparison::{ReadValue, comparison};
use super::{check_keys, not_yet, values, windows};
use crate::segment::tree::{EventLeaf, Measure, MeasureWord, Never, Value, Window};
use crate::yaml::{At, Entry, Fields, Problem, codes, read_each};

const EVENT_KEYS: [&str; 10] =
    ["event", "filter", "window", "include_today", "measure", "of", "op", "value", "currency", "never"];
const LATER_IN_EVENT: [&str; 3] = ["per", "but_not", "within"];

/// Reads an event condition, whose keys stand side by side. Keys in `kinds` have been judged already.
pub(super) fn event(fields: &Fields<'_>, kinds: &[&str], problems: &mut Vec<Problem>) -> Option<EventLeaf> {
    let own = Fields { at: fields.at.clone(), entries: without(fields, kinds) };
    check_keys(&own, &EVENT_KEYS, &LATER_IN_EVENT, problems);
    let events = own
        .need("event", "name the events that count, as in `event: pay` or `event: [pay, refund]`", problems)
        .and_then(|at| at.one_or_more("an event type or a list of them", problems))
        .and_then(|items| read_each(&items, |item| item.text("an event type", problems)));
    let filter = match own.get("filter") {
        Some(at) => filter(&at, problems),
        None => Some(Vec::new()),
    };
    let window = own.need("window", windows::EXAMPLES, problems).and_then(|at| windows::window(&at, problems));
    let include_today = include_today(&own, window, problems);
    let word = measure_word(&own, problems);
    let measure = word.and_then(|word| measure(word, &own, problems));
    let never = never(&own, word, problems);
    let currency = currency(&own, word, problems);
    let read: ReadValue = if word == Some(MeasureWord::Last) { values::moment } else { values::value };
    let test = comparison(&own, read, problems);
    Some(EventLeaf {
        events: events?,
        filter: filter?,
        window: window?,
        include_today: include_today?,
        measure: measure?,
        test: test?,
        currency,
        never,
    })
}

fn without<'a>(fields: &Fields<'a>, kinds: &[&str]) -> Vec<Entry<'a>> {
    fields.entries.iter().filter(|entry| entry.key == "event" || !kinds.contains(&entry.key)).cloned().collect()
}

fn filter(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<Vec<(String, Vec<Value>)>> {
    let fields = at.fields("columns of event and their values, such as `{channel: live}`", problems)?;
    if fields.entries.is_empty() {
        let problem = at.problem(codes::VALUE_EMPTY, "an empty `filter` filters nothing");
        problems.push(problem.with_hint("leave `filter` out"));
        return None;
    }
    let read: Vec<Option<(String, Vec<Value>)>> = fields
        .entries
        .iter()
        .map(|entry| {
            let items = entry.value.one_or_more("a value or a list of values", problems)?;
            let values = read_each(&items, |item| values::value(item, problems))?;
            Some((entry.key.to_owned(), values))
        })
        .collect();
    read.into_iter().collect()
}

/// Reads whether as_of's own day counts, which only a window that ends with that day leaves open.
fn include_today(fields: &Fields<'_>, window: Option<Window>, problems: &mut Vec<Problem>) -> Option<bool> {
    let Some(at) = fields.get("include_today") else {
        return Some(false);
    };
    if window.is_some_and(|window| !window.ends_with_as_of_day())
        && let Some(entry) = fields.entry("include_today")
    {
        let message = "`include_today` belongs to `this_month` and to windows of the last days or months alone";
        problems.push(entry.problem(codes::KEY_MISPLACED, message).with_hint("leave `include_today` out"));
    }
    at.boolean(problems)
}

const LATER_MEASURES: [&str; 5] = ["avg", "min", "max", "first", "streak_days"];

fn measure_word(fields: &Fields<'_>, problems: &mut Vec<Problem>) -> Option<MeasureWord> {
    const HINT: &str = "say what is measured: `measure: count`, `sum`, `last`, `distinct` or `distinct_days`";
    let at = fields.need("measure", HINT, problems)?;
    if let Some(later) = at.scalar().filter(|text| LATER_MEASURES.contains(text)) {
        let message = format!("the measure `{later}` is not supported yet");
        problems.push(not_yet(at.problem(codes::NOT_SUPPORTED_YET, message)));
        return None;
    }
    at.word("measure", MeasureWord::WORDS, problems)
}

fn measure(word: MeasureWord, fields: &Fields<'_>, problems: &mut Vec<Problem>) -> Option<Measure> {
    if word != MeasureWord::Distinct {
        misplaced(fields, "of", "distinct", problems);
    }
    match word {
        MeasureWord::Count => Some(Measure::Count),
        MeasureWord::Sum => Some(Measure::Sum),
        MeasureWord::Last => Some(Measure::Last),
        MeasureWord::DistinctDays => Some(Measure::DistinctDays),
        MeasureWord::Distinct => {
            let column = fields.need("of", "name the column whose values are counted, as in `of: ref`", problems)?;
            column.text("a column of event", problems).map(Measure::Distinct)
        }
    }
}

fn never(fields: &Fields<'_>, word: Option<MeasureWord>, problems: &mut Vec<Problem>) -> Option<Never> {
    const HINT: &str = "say what a customer without such an event is: `never: include`, `exclude` or `since_created`";
    let written = match word {
        Some(MeasureWord::Last) => fields.need("never", HINT, problems),
        _ => fields.get("never"),
    };
    if word.is_some_and(|word| word != MeasureWord::Last) {
        misplaced(fields, "never", "last", problems);
    }
    written.and_then(|at| at.word("`never`", Never::WORDS, problems))
}

fn currency(fields: &Fields<'_>, word: Option<MeasureWord>, problems: &mut Vec<Problem>) -> Option<String> {
    if word.is_some_and(|word| word != MeasureWord::Sum) {
        misplaced(fields, "currency", "sum", problems);
    }
    fields.get("currency").and_then(|at| at.text("a currency", problems))
}

fn misplaced(fields: &Fields<'_>, key: &str, measure: &str, problems: &mut Vec<Problem>) {
    if let Some(entry) = fields.entry(key) {
        let message = format!("`{key}` belongs to `measure: {measure}` alone");
        problems.push(entry.problem(codes::KEY_MISPLACED, message).with_hint(format!("leave `{key}` out")));
    }
}

//! Whether a comparison fits the type of what it is held against.

use chrono::NaiveTime;

use super::problem;
use crate::segment::canonical::time_text;
use crate::segment::tree::{Comparison, Operator, TimeValue, Value};
use crate::tables::ColumnType;
use crate::yaml::Problem;

/// What a comparison is held against.
pub(super) struct Subject {
    /// What it is called in a message, such as ``the attribute `city` ``.
    pub(super) what: String,
    /// The type of its values.
    pub(super) ty: ColumnType,
    /// Whether its values are calendar months, so that `as_of.month` fits.
    pub(super) is_month: bool,
}

/// Reports every value and operator of a comparison that the subject's type does not take. `path` is that of the leaf.
pub(super) fn check_comparison(subject: &Subject, test: &Comparison, path: &str, problems: &mut Vec<Problem>) {
    let value_path = format!("{path}/value");
    match test {
        Comparison::Single(operator, value) => {
            check_value(subject, value, &value_path, problems);
            let is_equality = matches!(operator, Operator::Eq | Operator::Ne);
            if !is_equality {
                check_order(subject, operator.symbol(), path, problems);
            }
        }
        Comparison::In(values) => check_values(subject, values, &value_path, problems),
        Comparison::Band { from, to } => {
            for (key, end) in [("from", from), ("to", to)] {
                if let Some(value) = end {
                    check_value(subject, value, &format!("{value_path}/{key}"), problems);
                }
            }
            check_order(subject, "between", path, problems);
        }
    }
}

/// Reports every value of a list that the subject's type does not take. `path` is that of the list.
pub(super) fn check_values(subject: &Subject, values: &[Value], path: &str, problems: &mut Vec<Problem>) {
    for (position, value) in values.iter().enumerate() {
        check_value(subject, value, &format!("{path}/{position}"), problems);
    }
}

fn check_value(subject: &Subject, value: &Value, path: &str, problems: &mut Vec<Problem>) {
    if fits(subject, value) {
        return;
    }
    let what = &subject.what;
    if *value == Value::AsOfMonth {
        let message = format!("`as_of.month` compares with the attribute `birth_month` only, not with {what}");
        let hint = "to compare with a time, write `as_of` or `as_of - 3 months`".to_owned();
        problems.push(problem(path, "TYPE_MISMATCH", message, Some(hint)));
        return;
    }
    let message = format!("{what} is {}, which does not compare with {}", type_words(subject.ty), value_words(value));
    problems.push(problem(path, "TYPE_MISMATCH", message, Some(value_hint(subject.ty).to_owned())));
}

fn check_order(subject: &Subject, operator: &str, path: &str, problems: &mut Vec<Problem>) {
    if subject.ty == ColumnType::Bool {
        let message = format!("{} is true or false, which `{operator}` cannot order", subject.what);
        let hint = "write `=` or `!=`".to_owned();
        problems.push(problem(&format!("{path}/op"), "OPERATOR_MISMATCH", message, Some(hint)));
    }
}

fn fits(subject: &Subject, value: &Value) -> bool {
    match value {
        Value::Text(_) => subject.ty == ColumnType::Text,
        Value::Number(_) => matches!(subject.ty, ColumnType::Int64 | ColumnType::Int32 | ColumnType::Money),
        Value::Bool(_) => subject.ty == ColumnType::Bool,
        Value::Time(time) => match subject.ty {
            ColumnType::Timestamp => true,
            ColumnType::Date => is_day(*time),
            _ => false,
        },
        Value::AsOfMonth => subject.is_month,
    }
}

/// Whether a time says a day and nothing finer: a day of the calendar has no clock time and no offset to compare with.
fn is_day(time: TimeValue) -> bool {
    match time {
        TimeValue::Local(local) => local.time() == NaiveTime::MIN,
        TimeValue::AsOfMinus(..) => true,
        TimeValue::Instant(_) => false,
    }
}

fn type_words(ty: ColumnType) -> &'static str {
    match ty {
        ColumnType::Int64 | ColumnType::Int32 | ColumnType::Money => "a number",
        ColumnType::Text => "a text",
        ColumnType::Bool => "true or false",
        ColumnType::Timestamp => "a time",
        ColumnType::Date => "a day",
    }
}

fn value_words(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("the text `{text}`"),
        Value::Number(number) => format!("the number `{}`", number.normalize()),
        Value::Bool(truth) => format!("`{truth}`"),
        Value::Time(time) => format!("the time `{}`", time_text(*time)),
        Value::AsOfMonth => "`as_of.month`".to_owned(),
    }
}

fn value_hint(ty: ColumnType) -> &'static str {
    match ty {
        ColumnType::Int64 | ColumnType::Int32 | ColumnType::Money => "write a plain number, without quotes",
        ColumnType::Text => "write a text, in quotes",
        ColumnType::Bool => "write `true` or `false`, without quotes",
        ColumnType::Date => "write a plain day such as 2026-06-01, or `as_of - 3 months`, without quotes",
        ColumnType::Timestamp => {
            "write a date, a time or `as_of - 3 months`, without quotes: `2026-06-01`, `2026-06-01T09:30:00`"
        }
    }
}

//! Values and comparisons as SQL text. Every text of a document passes through [`text`] or [`name`]; nothing else may.

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, Utc};
use tagmill_schemas::clock::BusinessZone;
use tagmill_schemas::segment::{CalendarUnit, Comparison, Operator, TimeValue, Value, Window};
use tagmill_schemas::tables::ColumnType;

/// The instant and the calendar that relative values are meant in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calendar {
    /// The instant of the question.
    pub(crate) as_of: DateTime<Utc>,
    /// The business time zone.
    pub(crate) zone: BusinessZone,
}

/// A text literal.
pub(crate) fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// An identifier, quoted.
pub(crate) fn name(value: &str) -> String {
    format!("\"{}\"", value.replace('"', "\"\""))
}

/// An instant literal.
pub(crate) fn instant(value: DateTime<Utc>) -> String {
    let text = value.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    // The type is the column's own, so that the engine compares without a cast and can skip row groups.
    format!("arrow_cast('{text}', 'Timestamp(Microsecond, Some(\"UTC\"))')")
}

impl Calendar {
    /// The instant that a time value means.
    pub(crate) fn instant_of(&self, value: TimeValue) -> DateTime<Utc> {
        match value {
            TimeValue::Instant(instant) => instant,
            TimeValue::Local(local) => self.zone.instant_of(local),
            TimeValue::AsOfMinus(count, CalendarUnit::Days) => self.zone.minus_days(self.as_of, count),
            TimeValue::AsOfMinus(count, CalendarUnit::Months) => self.zone.minus_months(self.as_of, count),
        }
    }

    /// The business day that a time value falls on.
    fn day_meant(&self, value: TimeValue) -> NaiveDate {
        match value {
            TimeValue::Local(local) => local.date(),
            other => self.zone.day_of(self.instant_of(other)),
        }
    }

    /// A value as a literal, to be compared with a column of that type.
    fn literal(&self, value: &Value, ty: Option<ColumnType>) -> String {
        match value {
            Value::Text(value) => text(value),
            Value::Number(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            // A calendar day has no zone. As an instant it would begin at midnight UTC and miss the local midnight.
            Value::Time(time) if ty == Some(ColumnType::Date) => format!("DATE '{}'", self.day_meant(*time)),
            Value::Time(time) => instant(self.instant_of(*time)),
            Value::AsOfMonth => self.zone.day_of(self.as_of).month().to_string(),
        }
    }

    /// `subject` compared, as a SQL condition. NULL compares to nothing, as everywhere in SQL.
    ///
    /// `ty` is the type of the column that the subject is; `None` where it is no column or one of instants.
    pub(crate) fn condition(&self, subject: &str, ty: Option<ColumnType>, test: &Comparison) -> String {
        let literal = |value: &Value| self.literal(value, ty);
        match test {
            Comparison::Single(operator, value) => format!("{subject} {} {}", sql_operator(*operator), literal(value)),
            Comparison::In(values) => {
                let list: Vec<String> = values.iter().map(literal).collect();
                format!("{subject} IN ({})", list.join(", "))
            }
            Comparison::Band { from, to } => {
                let ends = [(from, ">="), (to, "<")];
                let parts: Vec<String> = ends
                    .iter()
                    .filter_map(|(end, operator)| {
                        end.as_ref().map(|end| format!("{subject} {operator} {}", literal(end)))
                    })
                    .collect();
                if parts.is_empty() { format!("{subject} IS NOT NULL") } else { parts.join(" AND ") }
            }
        }
    }

    /// A window as a condition on `occurred_at`; every event after as_of is out, whatever the window says.
    pub(crate) fn window(&self, window: Window, include_today: bool) -> String {
        let today = self.zone.day_of(self.as_of);
        let midnight = self.zone.start_of_day(today);
        let relative_end = if include_today { self.as_of } else { midnight };
        let (from, to) = match window {
            Window::Lifetime => (None, self.as_of),
            Window::Between { from, to } => (Some(self.instant_of(from)), self.instant_of(to)),
            Window::LastDays(days) => {
                // With today, the days are counted from today back; without, from yesterday.
                let back = if include_today { days.saturating_sub(1) } else { days };
                (Some(self.zone.minus_days(midnight, back)), relative_end)
            }
            Window::LastMonths(months) => (Some(self.zone.minus_months(midnight, months)), relative_end),
            Window::ThisMonth => (Some(self.zone.start_of_day(self.zone.first_of_month(self.as_of, 0))), relative_end),
            Window::LastMonth => {
                let [first, next] = [1, 0].map(|back| self.zone.first_of_month(self.as_of, back));
                (Some(self.zone.start_of_day(first)), self.zone.start_of_day(next))
            }
        };
        let end = format!("occurred_at < {}", instant(to.min(self.as_of)));
        match from {
            Some(from) => format!("occurred_at >= {} AND {end}", instant(from)),
            None => end,
        }
    }

    /// The business day of `occurred_at`.
    pub(crate) fn business_day(&self) -> String {
        format!(
            "CAST(to_local_time(arrow_cast(occurred_at, 'Timestamp(Microsecond, Some(\"{}\"))')) AS DATE)",
            self.zone.name()
        )
    }
}

/// Whether a number compares; for measures that are 0 over no events.
pub(crate) fn holds_for_zero(test: &Comparison) -> bool {
    use rust_decimal::Decimal;
    let number = |value: &Value| match value {
        Value::Number(number) => Some(*number),
        _ => None,
    };
    match test {
        Comparison::Single(operator, value) => number(value).is_some_and(|value| match operator {
            Operator::Eq => value.is_zero(),
            Operator::Ne => !value.is_zero(),
            Operator::Lt => Decimal::ZERO < value,
            Operator::Le => Decimal::ZERO <= value,
            Operator::Gt => Decimal::ZERO > value,
            Operator::Ge => Decimal::ZERO >= value,
        }),
        Comparison::In(values) => values.iter().filter_map(number).any(|value| value.is_zero()),
        Comparison::Band { from, to } => {
            let above = from.as_ref().and_then(number).is_none_or(|from| from <= Decimal::ZERO);
            let below = to.as_ref().and_then(number).is_none_or(|to| Decimal::ZERO < to);
            above && below
        }
    }
}

fn sql_operator(operator: Operator) -> &'static str {
    match operator {
        Operator::Ne => "<>",
        other => other.symbol(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar() -> Calendar {
        Calendar { as_of: "2026-11-11T18:00:00Z".parse().expect("an instant"), zone: BusinessZone::default() }
    }

    #[test]
    fn a_quote_in_a_text_stays_in_the_text() {
        assert_eq!(text("it's"), "'it''s'");
        assert_eq!(name("a\"b"), "\"a\"\"b\"");
    }

    #[test]
    fn last_days_leave_out_the_business_day_of_as_of() {
        let check = |include_today, from: &str, to: &str| {
            let expected = format!(
                "occurred_at >= {} AND occurred_at < {}",
                instant(from.parse().expect("an instant")),
                instant(to.parse().expect("an instant"))
            );
            assert_eq!(calendar().window(Window::LastDays(2), include_today), expected);
        };
        check(false, "2026-11-09T16:00:00Z", "2026-11-11T16:00:00Z");
        check(true, "2026-11-10T16:00:00Z", "2026-11-11T18:00:00Z");
    }

    #[test]
    fn an_absolute_window_ends_at_as_of_at_the_latest() {
        let day = |text: &str| TimeValue::Local(format!("{text}T00:00:00").parse().expect("a day"));
        let window = Window::Between { from: day("2026-11-01"), to: day("2026-12-01") };
        let end = format!("occurred_at < {}", instant(calendar().as_of));
        assert!(calendar().window(window, false).ends_with(&end));
    }
    #[test]
    fn a_day_is_compared_with_a_column_of_days_as_the_business_calendar_has_it() {
        let check = |value: TimeValue, expected: &str| {
            let test = Comparison::Single(Operator::Le, Value::Time(value));
            let condition = calendar().condition("born_on", Some(ColumnType::Date), &test);
            assert_eq!(condition, format!("born_on <= {expected}"));
        };
        // It is two o'clock in the morning of the 12th in Shanghai, and the 11th in UTC.
        check(TimeValue::AsOfMinus(0, CalendarUnit::Days), "DATE '2026-11-12'");
        check(TimeValue::AsOfMinus(1, CalendarUnit::Months), "DATE '2026-10-12'");
        check(TimeValue::Local("2026-06-01T00:00:00".parse().expect("a day")), "DATE '2026-06-01'");
        let instants = Comparison::In(vec![Value::Time(TimeValue::Instant(calendar().as_of))]);
        let among = calendar().condition("born_on", Some(ColumnType::Date), &instants);
        assert_eq!(among, "born_on IN (DATE '2026-11-12')");
    }

    #[test]
    fn a_day_is_compared_with_a_column_of_instants_as_its_first_instant() {
        let day = TimeValue::Local("2026-06-01T00:00:00".parse().expect("a day"));
        let test = Comparison::Single(Operator::Ge, Value::Time(day));
        let midnight = instant("2026-05-31T16:00:00Z".parse().expect("an instant"));
        let condition = calendar().condition("created_at", Some(ColumnType::Timestamp), &test);
        assert_eq!(condition, format!("created_at >= {midnight}"));
    }
}

//! Comparisons: an operator, always written, and the value that goes with it.

use super::{WINDOW_REVERSED, windows};
use crate::segment::tree::{Comparison, Operator, Value};
use crate::yaml::{At, Fields, Problem, Yaml, codes, near_hint, read_each};

/// How the value of a comparison is read: what a quoted text means depends on what is compared.
pub(super) type ReadValue = fn(&At<'_>, &mut Vec<Problem>) -> Option<Value>;

/// Reads `op` and `value` out of the keys of a condition.
pub(super) fn comparison(fields: &Fields<'_>, read: ReadValue, problems: &mut Vec<Problem>) -> Option<Comparison> {
    let op = fields
        .need("op", "say how it is compared, as in `op: \">=\"`: there is no default", problems)
        .and_then(|at| operator(&at, problems));
    let at = fields.need("value", "say what it is compared with, as in `value: 3`", problems)?;
    match op {
        Some(Op::Single(operator)) => single(&at, read, problems).map(|value| Comparison::Single(operator, value)),
        Some(Op::In) => {
            let items = at.items("a list of values", problems)?;
            read_each(&items, |item| read(item, problems)).map(Comparison::In)
        }
        Some(Op::Between) => band(&at, read, problems),
        None => {
            // Without an operator the value's shape is unknown, but a bad number or date is bad in every shape.
            if at.scalar().is_some() {
                read(&at, problems);
            }
            None
        }
    }
}

#[derive(Clone, Copy)]
enum Op {
    Single(Operator),
    In,
    Between,
}

const IN: &str = "in";
const BETWEEN: &str = "between";

/// Every word that `op` takes.
pub(crate) const OPERATORS: [&str; 8] = {
    let [eq, ne, lt, le, gt, ge] = Operator::ALL;
    [eq.symbol(), ne.symbol(), lt.symbol(), le.symbol(), gt.symbol(), ge.symbol(), IN, BETWEEN]
};

/// What people write who think of another language.
const ALIASES: [(&str, &str); 10] = [
    ("==", "="),
    ("eq", "="),
    ("<>", "!="),
    ("≠", "!="),
    ("≥", ">="),
    ("=>", ">="),
    ("gte", ">="),
    ("≤", "<="),
    ("=<", "<="),
    ("lte", "<="),
];

fn operator(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<Op> {
    let Some(text) = at.scalar() else {
        problems.push(at.expected("an operator").with_hint(near_hint("", &OPERATORS)));
        return None;
    };
    let found = match text {
        IN => Some(Op::In),
        BETWEEN => Some(Op::Between),
        _ => Operator::parse(text).map(Op::Single),
    };
    if found.is_none() {
        problems.push(unknown_operator(at, text));
    }
    found
}

fn unknown_operator(at: &At<'_>, text: &str) -> Problem {
    if text.trim().is_empty() {
        // A bare `>` begins a folded text in YAML, and so leaves nothing.
        let hint = "put the operator into quotes, as in `op: \">\"`";
        return at.problem(codes::VALUE_EMPTY, "the operator is empty").with_hint(hint);
    }
    let problem = at.unknown_word("operator", &OPERATORS);
    if matches!(text, "not in" | "not_in") {
        return problem.with_hint("put the condition with `op: in` inside `not:`");
    }
    match ALIASES.iter().find(|(alias, _)| *alias == text) {
        Some((_, meant)) => problem.with_hint(format!("write `{meant}`")),
        None => problem,
    }
}

fn single(at: &At<'_>, read: ReadValue, problems: &mut Vec<Problem>) -> Option<Value> {
    let hint = match &at.node.value {
        Yaml::Sequence(_) => "several values go with `op: in`",
        Yaml::Mapping(_) => "a band `{from: …, to: …}` goes with `op: between`",
        Yaml::Null | Yaml::Scalar { .. } => return read(at, problems),
    };
    problems.push(at.expected("one value").with_hint(hint));
    None
}

fn band(at: &At<'_>, read: ReadValue, problems: &mut Vec<Problem>) -> Option<Comparison> {
    let fields = at.fields("a band `{from: …, to: …}`", problems)?;
    fields.known(&["from", "to"], problems);
    let ends = [fields.get("from"), fields.get("to")];
    if ends.iter().all(Option::is_none) {
        let hint = "write `from` (included), `to` (excluded), or both";
        problems.push(at.problem(codes::VALUE_EMPTY, "a band without an end holds everything").with_hint(hint));
        return None;
    }
    let [from, to] = ends.map(|end| match end {
        Some(at) => read(&at, problems).map(Some),
        None => Some(None),
    });
    let (from, to) = (from?, to?);
    if is_reversed(from.as_ref(), to.as_ref()) {
        let hint = "a band holds `from` ≤ value < `to`, so `from` has to be below `to`";
        problems.push(at.problem(WINDOW_REVERSED, "the band is empty: `from` is not below `to`").with_hint(hint));
        return None;
    }
    Some(Comparison::Band { from, to })
}

fn is_reversed(from: Option<&Value>, to: Option<&Value>) -> bool {
    match (from, to) {
        (Some(Value::Number(from)), Some(Value::Number(to))) => from >= to,
        (Some(Value::Time(from)), Some(Value::Time(to))) => windows::is_reversed(*from, *to),
        _ => false,
    }
}

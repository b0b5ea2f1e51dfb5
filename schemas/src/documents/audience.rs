//! The audience document: which segment is handed out, one row per what, with which columns.

use std::collections::BTreeSet;

use super::not_supported;
use crate::words::words;
use crate::yaml::{self, At, Problem, Problems, codes};

const KEYS: [&str; 6] = ["segment", "one_row_per", "columns", "mask", "split", "quiet"];

/// How a segment's frozen answer is handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience {
    /// The segment, named by its file stem.
    pub segment: String,
    /// What one row is.
    pub one_row_per: RowPer,
    /// The columns, in this order; at least one, each once.
    pub columns: Vec<String>,
    /// Columns that are masked besides the private ones.
    pub mask: Vec<String>,
}

words! {
    /// What one row of an audience is.
    RowPer {
        /// One row per customer, with the follow that owns the customer.
        Customer = "customer",
        /// One row per follow of the universe.
        Follow = "follow",
    }
}

/// Reads an audience document.
///
/// # Errors
/// All problems of the document at once.
pub fn parse_audience(text: &str) -> Result<Audience, Problems> {
    let node = yaml::read(text)?;
    let mut problems = Vec::new();
    let audience = read_audience(&At::root(&node), &mut problems);
    Problems::resolve(audience, problems)
}

fn read_audience(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<Audience> {
    let fields = at.fields("an audience with `segment`, `one_row_per` and `columns`", problems)?;
    fields.known(&KEYS, problems);
    let segment = fields
        .need("segment", "write the file stem of a segment: `segment: june_cart_no_pay`", problems)
        .and_then(|at| at.text("a segment's name", problems));
    let one_row_per = fields
        .need("one_row_per", "write `one_row_per: customer` or `one_row_per: follow`", problems)
        .and_then(|at| at.word("kind of row", RowPer::WORDS, problems));
    let columns = fields
        .need("columns", "write a list: `columns: [customer_id, staff_id, channel]`", problems)
        .and_then(|at| read_columns(&at, problems));
    let mask = match fields.get("mask") {
        Some(at) => read_columns(&at, problems),
        None => Some(Vec::new()),
    };
    for key in ["split", "quiet"] {
        if let Some(at) = fields.get(key) {
            not_supported(&at, &format!("`{key}`"), problems);
        }
    }
    Some(Audience { segment: segment?, one_row_per: one_row_per?, columns: columns?, mask: mask? })
}

fn read_columns(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<Vec<String>> {
    let columns = at.texts("a list of columns", problems)?;
    let mut seen = BTreeSet::new();
    for column in &columns {
        if !seen.insert(column) {
            problems.push(at.problem(codes::VALUE_INVALID, format!("the column `{column}` is listed twice")));
        }
    }
    Some(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audience_says_segment_rows_columns_and_masks_s82() {
        let text = "segment: june_cart\none_row_per: customer\ncolumns: [customer_id, staff_id]\nmask: [mobile]\n";
        let audience = parse_audience(text).expect("an audience");
        assert_eq!(audience.segment, "june_cart");
        assert_eq!(audience.one_row_per, RowPer::Customer);
        assert_eq!(audience.columns, ["customer_id", "staff_id"]);
        assert_eq!(audience.mask, ["mobile"]);
    }

    #[test]
    fn what_has_no_effect_yet_is_refused_rather_than_ignored() {
        let text = "segment: a\none_row_per: customers\ncolumns: [channel, channel]\nquiet: [{tag: 职业/上班族}]\n";
        let problems = parse_audience(text).expect_err("problems").0;
        let places: Vec<String> = problems.iter().map(|problem| format!("{} {}", problem.path, problem.code)).collect();
        assert_eq!(places, ["/one_row_per WORD_UNKNOWN", "/columns VALUE_INVALID", "/quiet NOT_SUPPORTED_YET"]);
    }
}

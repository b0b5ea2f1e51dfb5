//! Random segments: DuckDB, asked by Python that shares no code with the program, finds the same customers; and
//! rewriting a condition by the laws of logic changes nothing.
//!
//! Invariant 6 in waiting: what answers leaves by SQL today is what an index will be held against.

use std::collections::BTreeSet;

use serde_json::json;
use tagmill_query::{Definitions, View};
use tagmill_schemas::segment::{AsOf, Node, Segment, canonical};

use crate::harness::Sandbox;
use crate::harness::corp::corp;
use crate::harness::python::script_ok;
use crate::harness::random_segment::{Random, Vocabulary, segment};
use crate::harness::rewrite::{de_morgan, doubly_negated, swapped};
use crate::harness::view::{newest, wait_for};

/// How many segments DuckDB is asked.
const CASES: usize = 200;
/// At least so many of them have to tell something: neither nobody nor everybody.
const TELLING: usize = 60;
/// How many segments are rewritten.
const LAWS: usize = 30;

#[test]
fn duckdb_agrees_on_200_random_segments() {
    let sandbox = Sandbox::new();
    let (lines, telling, versions, as_of, zone) = wait_for(|| async {
        let view = newest(&corp().warehouse()).await;
        let vocabulary = Vocabulary::of(&view).await;
        let mut random = Random::new(2026);
        let (mut lines, mut telling) = (String::new(), 0);
        for case in 0..CASES {
            let segment = segment(&mut random, &vocabulary);
            let (line, tells) = answer_line(&view, &segment, case).await;
            lines.push_str(&line);
            telling += usize::from(tells);
        }
        let versions = serde_json::to_string(&view.ledger_row().tables).unwrap();
        (lines, telling, versions, view.as_of().to_rfc3339(), view.zone().name())
    });
    assert!(telling >= TELLING, "only {telling} of {CASES} segments have an answer that tells something");
    sandbox.write("answers.ndjson", lines);
    let answers = sandbox.path("answers.ndjson").display().to_string();
    let warehouse = corp().warehouse().display().to_string();
    let mut asked = vec!["--warehouse", warehouse.as_str(), "--versions", versions.as_str()];
    asked.extend(["--as-of", as_of.as_str(), "--zone", zone, answers.as_str()]);
    let compared = script_ok("oracle.py", &asked);
    assert_eq!(compared.stdout.trim(), format!("{CASES} of {CASES} answers agree"));
}

/// One answer as the oracle reads it; and whether it is neither nobody nor everybody.
async fn answer_line(view: &View, segment: &Segment, case: usize) -> (String, bool) {
    let document = canonical::to_yaml(segment);
    let loaded = Definitions::default().from_text(&document).unwrap_or_else(|error| panic!("{error}\n{document}"));
    assert_eq!(loaded.segment, *segment, "another segment was read back from\n{document}");
    let evaluation = view.evaluate(&loaded).await.unwrap_or_else(|error| panic!("{error}\n{document}"));
    let count = evaluation.count();
    let customer_nos: Vec<u32> = evaluation.customer_nos().map(|customer| customer.0).collect();
    assert_eq!(customer_nos.len() as u64, count.count, "{document}");
    let line = json!({
        "id": format!("segment {case}"),
        "definition": canonical::to_json(segment),
        "customer_nos": customer_nos,
    });
    (format!("{line}\n"), count.count > 0 && count.count < count.universe_count)
}

#[test]
fn swapping_siblings_double_negation_and_de_morgan_change_nothing() {
    wait_for(|| async {
        let view = newest(&corp().warehouse()).await;
        let vocabulary = Vocabulary::of(&view).await;
        let mut random = Random::new(1_847);
        for _ in 0..LAWS {
            let segment = segment(&mut random, &vocabulary);
            let members = members_of(&view, &segment, segment.condition.clone()).await;
            let condition = &segment.condition;
            let laws = [
                ("swapping siblings", swapped(condition)),
                ("double negation", doubly_negated(condition)),
                ("De Morgan", de_morgan(condition)),
            ];
            for (law, rewritten) in laws {
                let rewritten = members_of(&view, &segment, rewritten).await;
                assert_eq!(rewritten, members, "{law} changes the answer of\n{}", canonical::to_yaml(&segment));
            }
        }
    });
}

/// The customers of a segment with another condition.
async fn members_of(view: &View, segment: &Segment, condition: Node) -> BTreeSet<u32> {
    let segment = Segment { condition, as_of: AsOf::Latest, name: None, universe: segment.universe };
    let loaded = Definitions::default().from_segment("rewritten", segment).unwrap();
    let evaluation = view.evaluate(&loaded).await.unwrap();
    evaluation.customer_nos().map(|customer| customer.0).collect()
}

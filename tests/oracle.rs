//! Random segments, and those of the demo: DuckDB, asked by Python that shares no code with the program, finds the same
//! customers; and neither rewriting a condition by the laws of logic nor referring to it by name changes anything.
//!
//! Invariant 6 in waiting: what answers leaves by SQL today is what an index will be held against.

use std::collections::BTreeSet;

use serde_json::json;
use tagmill_query::{Definitions, LoadedSegment, View};
use tagmill_schemas::segment::{AsOf, Node, Segment, canonical};

use crate::harness::Sandbox;
use crate::harness::corp::{DEFINITIONS, corp};
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
/// The segments that the demo asks.
const OF_THE_DEMO: [&str; 5] =
    ["s71_high_value", "s72_sleeping", "s81_channel_active", "s85_june_cart_no_pay", "s88_vip_birthday"];

#[test]
fn duckdb_agrees_on_200_random_segments() {
    let answers = wait_for(|| async {
        let view = newest(&corp().warehouse()).await;
        let vocabulary = Vocabulary::of(&view).await;
        let mut random = Random::new(2026);
        let mut answers = Answers::on(&view);
        for case in 0..CASES {
            let segment = segment(&mut random, &vocabulary);
            let document = canonical::to_yaml(&segment);
            let loaded =
                Definitions::default().from_text(&document).unwrap_or_else(|error| panic!("{error}\n{document}"));
            assert_eq!(loaded.segment, segment, "another segment was read back from\n{document}");
            answers.add(&view, &format!("segment {case}"), &loaded).await;
        }
        answers
    });
    let telling = answers.telling;
    assert!(telling >= TELLING, "only {telling} of {CASES} segments have an answer that tells something");
    answers.check_with_duckdb(CASES);
}

#[test]
fn duckdb_agrees_on_the_five_segments_of_the_demo() {
    let answers = wait_for(|| async {
        let view = newest(&corp().warehouse()).await;
        let definitions = Definitions::new(Some(DEFINITIONS.into()));
        let mut answers = Answers::on(&view);
        for name in OF_THE_DEMO {
            answers.add(&view, name, &definitions.load_name(name).unwrap()).await;
        }
        answers
    });
    assert_eq!(answers.telling, OF_THE_DEMO.len(), "each is about some customers and not about all");
    answers.check_with_duckdb(OF_THE_DEMO.len());
}

/// Answers on the newest state of the sample corp, for DuckDB to give a second time.
struct Answers {
    /// One object a line, as the oracle reads them.
    lines: String,
    /// How many are neither nobody nor everybody.
    telling: usize,
    versions: String,
    as_of: String,
    zone: &'static str,
}

impl Answers {
    /// No answers yet on a view of the corp.
    fn on(view: &View) -> Self {
        let versions = serde_json::to_string(&view.ledger_row().tables).unwrap();
        let (as_of, zone) = (view.as_of().to_rfc3339(), view.zone().name());
        Self { lines: String::new(), telling: 0, versions, as_of, zone }
    }

    /// Answers a segment that refers to no other.
    async fn add(&mut self, view: &View, id: &str, loaded: &LoadedSegment) {
        let document = canonical::to_yaml(&loaded.segment);
        let evaluation = view.evaluate(loaded).await.unwrap_or_else(|error| panic!("{error}\n{document}"));
        let count = evaluation.count();
        let customer_nos: Vec<u32> = evaluation.customer_nos().map(|customer| customer.0).collect();
        assert_eq!(customer_nos.len() as u64, count.count, "{document}");
        let definition = canonical::to_json(&loaded.segment);
        let line = json!({"id": id, "definition": definition, "customer_nos": customer_nos});
        self.lines.push_str(&format!("{line}\n"));
        self.telling += usize::from(count.count > 0 && count.count < count.universe_count);
    }

    /// Has DuckDB answer, and checks that it agrees on all of so many answers.
    fn check_with_duckdb(&self, cases: usize) {
        let sandbox = Sandbox::new();
        sandbox.write("answers.ndjson", &self.lines);
        let answers = sandbox.path("answers.ndjson").display().to_string();
        let warehouse = corp().warehouse().display().to_string();
        let mut asked = vec!["--warehouse", warehouse.as_str(), "--versions", self.versions.as_str()];
        asked.extend(["--as-of", self.as_of.as_str(), "--zone", self.zone, answers.as_str()]);
        let compared = script_ok("oracle.py", &asked);
        assert_eq!(compared.stdout.trim(), format!("{cases} of {cases} answers agree"));
    }
}

#[test]
fn swapping_siblings_double_negation_and_de_morgan_change_nothing() {
    let definitions = Definitions::default();
    wait_for(|| async {
        let view = newest(&corp().warehouse()).await;
        let vocabulary = Vocabulary::of(&view).await;
        let mut random = Random::new(1_847);
        for _ in 0..LAWS {
            let segment = segment(&mut random, &vocabulary);
            let condition = &segment.condition;
            let members = members_of(&view, &definitions, &segment, condition.clone()).await;
            let laws = [
                ("swapping siblings", swapped(condition)),
                ("double negation", doubly_negated(condition)),
                ("De Morgan", de_morgan(condition)),
            ];
            for (law, rewritten) in laws {
                let rewritten = members_of(&view, &definitions, &segment, rewritten).await;
                assert_eq!(rewritten, members, "{law} changes the answer of\n{}", canonical::to_yaml(&segment));
            }
        }
    });
}

#[test]
fn a_reference_to_a_segment_answers_as_the_segment_wherever_it_stands() {
    let sandbox = Sandbox::new();
    let definitions = Definitions::new(Some(sandbox.root().to_path_buf()));
    wait_for(|| async {
        let view = newest(&corp().warehouse()).await;
        let vocabulary = Vocabulary::of(&view).await;
        let mut random = Random::new(71);
        for _ in 0..LAWS {
            let segment = segment(&mut random, &vocabulary);
            sandbox.write("referred.yaml", canonical::to_yaml(&segment));
            let reference = || Node::Segment("referred".to_owned());
            let condition = &segment.condition;
            let members = members_of(&view, &definitions, &segment, condition.clone()).await;
            let wrapped = [
                ("by itself", reference()),
                ("under `not` twice", Node::Not(Box::new(Node::Not(Box::new(reference()))))),
                ("beside what it says", Node::All(vec![reference(), condition.clone()])),
                ("or else what it says", Node::Any(vec![condition.clone(), reference()])),
            ];
            for (place, wrapped) in wrapped {
                let wrapped = members_of(&view, &definitions, &segment, wrapped).await;
                assert_eq!(wrapped, members, "a reference {place}, to\n{}", canonical::to_yaml(&segment));
            }
            let opposite = |condition: Node| members_of(&view, &definitions, &segment, Node::Not(Box::new(condition)));
            let (of_reference, of_condition) = (opposite(reference()).await, opposite(condition.clone()).await);
            assert_eq!(of_reference, of_condition, "under `not`, to\n{}", canonical::to_yaml(&segment));
        }
    });
}

/// The customers of a segment with another condition, which may refer to definitions.
async fn members_of(view: &View, definitions: &Definitions, segment: &Segment, condition: Node) -> BTreeSet<u32> {
    let segment = Segment { condition, as_of: AsOf::Latest, name: None, universe: segment.universe };
    let loaded = definitions.from_segment("rewritten", segment).unwrap();
    let evaluation = view.evaluate(&loaded).await.unwrap();
    evaluation.customer_nos().map(|customer| customer.0).collect()
}

//! Random segments, and those of the demo: DuckDB, asked by Python that shares no code with the program, finds the same
//! customers; and neither rewriting a condition by the laws of logic nor referring to it by name changes anything.
//!
//! Invariant 6 in waiting: what answers leaves by SQL today is what an index will be held against.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::OnceLock;

use serde_json::json;
use tagmill_query::{Definitions, Evaluation, LoadedSegment, View};
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
/// Those of them that are rewritten, and others that are referred to.
const REWRITTEN: Range<usize> = 0..30;
const REFERRED_TO: Range<usize> = 30..60;
/// The segments that the demo asks.
const OF_THE_DEMO: [&str; 5] =
    ["s71_high_value", "s72_sleeping", "s81_channel_active", "s85_june_cart_no_pay", "s88_vip_birthday"];

#[test]
fn duckdb_agrees_on_200_random_segments() {
    let answers = random_answers();
    assert_eq!(answers.cases.len(), CASES);
    let telling = answers.telling();
    assert!(telling >= TELLING, "only {telling} of {CASES} segments have an answer that tells something");
    answers.check_with_duckdb();
}

#[test]
fn duckdb_agrees_on_the_five_segments_of_the_demo() {
    let answers = wait_for(|| async {
        let view = newest(&corp().warehouse()).await;
        let definitions = Definitions::new(Some(DEFINITIONS.into()));
        let mut cases = Vec::new();
        for name in OF_THE_DEMO {
            cases.push(Case::of(&view, name, definitions.load_name(name).unwrap()).await);
        }
        Answers::on(&view, cases)
    });
    assert_eq!(answers.telling(), OF_THE_DEMO.len(), "each is about some customers and not about all");
    answers.check_with_duckdb();
}

/// Random segments with their answers, worked out once for all who ask.
fn random_answers() -> &'static Answers {
    static ANSWERED: OnceLock<Answers> = OnceLock::new();
    ANSWERED.get_or_init(|| {
        wait_for(|| async {
            let view = newest(&corp().warehouse()).await;
            let vocabulary = Vocabulary::of(&view).await;
            let mut random = Random::new(2026);
            let segments: Vec<Segment> = (0..CASES).map(|_| segment(&mut random, &vocabulary)).collect();
            // Two at a time, because whoever waits for the answers leaves a core to them.
            let (some, others) = segments.split_at(CASES / 2);
            let (mut cases, others) = tokio::join!(answer_all(&view, some), answer_all(&view, others));
            cases.extend(others);
            Answers::on(&view, cases)
        })
    })
}

/// Answers segments one after the other, each as it is read back from its own text.
async fn answer_all(view: &View, segments: &[Segment]) -> Vec<Case> {
    let mut cases = Vec::new();
    for segment in segments {
        let document = canonical::to_yaml(segment);
        let loaded = Definitions::default().from_text(&document).unwrap_or_else(|error| panic!("{error}\n{document}"));
        assert_eq!(loaded.segment, *segment, "another segment was read back from\n{document}");
        cases.push(Case::of(view, "random", loaded).await);
    }
    cases
}

/// A segment that refers to no other, with its answer.
struct Case {
    name: &'static str,
    segment: Segment,
    evaluation: Evaluation,
}

impl Case {
    async fn of(view: &View, name: &'static str, loaded: LoadedSegment) -> Self {
        let evaluation = view
            .evaluate(&loaded)
            .await
            .unwrap_or_else(|error| panic!("{error}\n{}", canonical::to_yaml(&loaded.segment)));
        let case = Self { name, segment: loaded.segment, evaluation };
        assert_eq!(case.customer_nos().len() as u64, case.evaluation.count().count, "{}", case.document());
        case
    }

    fn document(&self) -> String {
        canonical::to_yaml(&self.segment)
    }

    fn customer_nos(&self) -> Vec<u32> {
        self.evaluation.customer_nos().map(|customer| customer.0).collect()
    }

    fn universe_count(&self) -> u64 {
        self.evaluation.count().universe_count
    }

    /// Whether its answer is neither nobody nor everybody.
    fn is_telling(&self) -> bool {
        let count = self.evaluation.count().count;
        count > 0 && count < self.universe_count()
    }
}

/// Answers on the newest state of the sample corp, for DuckDB to give a second time.
struct Answers {
    cases: Vec<Case>,
    versions: String,
    as_of: String,
    zone: &'static str,
}

impl Answers {
    /// Answers that a view of the corp has given.
    fn on(view: &View, cases: Vec<Case>) -> Self {
        let versions = serde_json::to_string(&view.ledger_row().tables).unwrap();
        Self { cases, versions, as_of: view.as_of().to_rfc3339(), zone: view.zone().name() }
    }

    /// How many are neither nobody nor everybody.
    fn telling(&self) -> usize {
        self.cases.iter().filter(|case| case.is_telling()).count()
    }

    /// One object a line, as the oracle reads them.
    fn lines(&self) -> String {
        let line = |(number, case): (usize, &Case)| {
            let id = format!("{} {number}", case.name);
            let definition = canonical::to_json(&case.segment);
            format!("{}\n", json!({"id": id, "definition": definition, "customer_nos": case.customer_nos()}))
        };
        self.cases.iter().enumerate().map(line).collect()
    }

    /// Has DuckDB answer, and checks that it agrees on all of them.
    fn check_with_duckdb(&self) {
        let sandbox = Sandbox::new();
        sandbox.write("answers.ndjson", self.lines());
        let answers = sandbox.path("answers.ndjson").display().to_string();
        let warehouse = corp().warehouse().display().to_string();
        let mut asked = vec!["--warehouse", warehouse.as_str(), "--versions", self.versions.as_str()];
        asked.extend(["--as-of", self.as_of.as_str(), "--zone", self.zone, answers.as_str()]);
        let compared = script_ok("oracle.py", &asked);
        let cases = self.cases.len();
        assert_eq!(compared.stdout.trim(), format!("{cases} of {cases} answers agree"));
    }
}

#[test]
fn swapping_siblings_double_negation_and_de_morgan_change_nothing() {
    let definitions = Definitions::default();
    let cases = &random_answers().cases[REWRITTEN];
    wait_for(|| async {
        let view = newest(&corp().warehouse()).await;
        for case in cases {
            let condition = &case.segment.condition;
            let laws = [
                ("swapping siblings", swapped(condition)),
                ("double negation", doubly_negated(condition)),
                ("De Morgan", de_morgan(condition)),
            ];
            for (law, rewritten) in laws {
                let rewritten = members_of(&view, &definitions, &case.segment, rewritten).await;
                assert_eq!(rewritten, case.customer_nos(), "{law} changes the answer of\n{}", case.document());
            }
        }
    });
}

#[test]
fn a_reference_to_a_segment_answers_as_the_segment_wherever_it_stands() {
    let sandbox = Sandbox::new();
    let definitions = Definitions::new(Some(sandbox.root().to_path_buf()));
    let cases = &random_answers().cases[REFERRED_TO];
    wait_for(|| async {
        let view = newest(&corp().warehouse()).await;
        for case in cases {
            sandbox.write("referred.yaml", case.document());
            let reference = || Node::Segment("referred".to_owned());
            let condition = &case.segment.condition;
            let wrapped = [
                ("by itself", reference()),
                ("under `not` twice", Node::Not(Box::new(Node::Not(Box::new(reference()))))),
                ("beside what it says", Node::All(vec![reference(), condition.clone()])),
                ("or else what it says", Node::Any(vec![condition.clone(), reference()])),
            ];
            for (place, wrapped) in wrapped {
                let wrapped = members_of(&view, &definitions, &case.segment, wrapped).await;
                assert_eq!(wrapped, case.customer_nos(), "a reference {place}, to\n{}", case.document());
            }
            // Under `not` it is everybody else of the universe.
            let others = members_of(&view, &definitions, &case.segment, Node::Not(Box::new(reference()))).await;
            let everybody: BTreeSet<u32> = others.iter().copied().chain(case.customer_nos()).collect();
            let counts = [others.len() + case.customer_nos().len(), everybody.len()];
            assert_eq!(counts.map(|count| count as u64), [case.universe_count(); 2], "{}", case.document());
        }
    });
}

/// The customers of a segment with another condition, which may refer to definitions, by their ascending numbers.
async fn members_of(view: &View, definitions: &Definitions, segment: &Segment, condition: Node) -> Vec<u32> {
    let segment = Segment { condition, as_of: AsOf::Latest, name: None, universe: segment.universe };
    let loaded = definitions.from_segment("rewritten", segment).unwrap();
    let evaluation = view.evaluate(&loaded).await.unwrap();
    evaluation.customer_nos().map(|customer| customer.0).collect()
}

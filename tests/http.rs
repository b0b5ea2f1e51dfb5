//! `tagmill serve`: a real process, asked over a real socket; and the notebook, run against it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::corp::{DEFINITIONS, corp};
use crate::harness::http::{Response, Server};
use crate::harness::python::script_ok;
use crate::harness::shop::ingested_shop;
use crate::harness::{Sandbox, files_below};

/// The sample corp, served with the demo's definitions.
fn serve() -> Server {
    Server::start(corp(), &["--definitions", DEFINITIONS])
}

/// The sample corp, served with the definitions in `definitions` of a folder.
fn serve_definitions(folder: &Sandbox) -> Server {
    Server::start(corp(), &["--definitions", folder.path("definitions").to_str().unwrap()])
}

/// The text of a definition of the demo.
fn demo_definition(name: &str) -> String {
    fs::read_to_string(Path::new(DEFINITIONS).join(format!("{name}.yaml"))).unwrap()
}

/// Checks that a problem names its code and no folder; returns it.
fn check_problem(answer: &Response, status: u16, code: &str, folders: &[&Sandbox]) -> Value {
    let problem = answer.json(status);
    assert_eq!(problem["code"], code, "{problem}");
    for folder in folders {
        assert!(!answer.body.contains(folder.root().to_str().unwrap()), "{problem} tells where things lie");
    }
    problem
}

/// What the command line says of a segment of the demo.
fn counted_by_command_line(segment: &str) -> Value {
    corp().json(&["--definitions", DEFINITIONS, "segment", "count", segment, "--format", "json"])
}

/// Invariant 7: every answer names its snapshot and up to when events were read.
#[test]
fn a_count_is_the_one_of_the_command_line_and_names_what_it_was_computed_on() {
    let server = serve();
    for segment in ["s71_high_value", "s81_channel_active", "s88_vip_birthday"] {
        let answer = server.get(&format!("/api/v1/segments/{segment}/count")).json(200);
        assert_eq!(answer, counted_by_command_line(segment), "{segment}");
        assert_eq!(answer["snapshot_id"], 3);
        assert!(answer["events_until"].is_string(), "{answer}");
    }
    let referring = json!({"segment": "s71_high_value"});
    let document = json!({"definition": {"universe": "all", "as_of": "latest", "where": referring}});
    let given = server.post("/api/v1/segments/count", &document, &[]).json(200);
    assert_eq!(given["count"], counted_by_command_line("s71_high_value")["count"]);
    let earlier = server.get("/api/v1/segments/s71_high_value/count?as_of=1").json(200);
    assert_eq!(earlier["snapshot_id"], 1);
}

#[test]
fn members_come_in_pages_without_gap_or_repeat() {
    let server = serve();
    let listed = corp().json(&["--definitions", DEFINITIONS, "segment", "members", "s72_sleeping", "--format", "json"]);
    let expected: Vec<u64> =
        listed.as_array().unwrap().iter().map(|member| member["customer_no"].as_u64().unwrap()).collect();
    assert!(expected.len() > 2, "too few members to make pages of");

    let first_size = expected.len() / 2 + 1;
    let path = format!("/api/v1/segments/s72_sleeping/members?limit={first_size}");
    let first = server.get(&path).json(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = server.get(&format!("{path}&cursor={cursor}")).json(200);
    assert_eq!(second["next_cursor"], Value::Null);
    assert_eq!(first["items"].as_array().unwrap().len(), first_size);
    let numbers: Vec<u64> = [&first, &second]
        .iter()
        .flat_map(|page| page["items"].as_array().unwrap())
        .map(|member| member["customer_no"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, expected);
    assert_eq!(second["snapshot_id"], first["snapshot_id"]);
}

#[test]
fn a_page_is_refused_once_its_definition_was_edited() {
    let folder = Sandbox::new();
    let text = demo_definition("s72_sleeping");
    folder.write("definitions/quiet.yaml", &text);
    let server = serve_definitions(&folder);
    let path = "/api/v1/segments/quiet/members?limit=1";
    let first = server.get(path).json(200);
    let next = format!("{path}&cursor={}", first["next_cursor"].as_str().unwrap());

    folder.write("definitions/quiet.yaml", format!("# A comment changes nobody.\n{text}"));
    assert_eq!(server.get(&next).status, 200);
    folder.write("definitions/quiet.yaml", text.replace("as_of - 3 months", "as_of - 2 months"));
    let moved = check_problem(&server.get(&next), 409, "CURSOR_MOVED", &[]);
    assert!(moved["detail"].as_str().unwrap().contains("another definition"), "{moved}");
    assert_eq!(moved["retryable"], false, "{moved}");
    assert_eq!(server.get(path).status, 200, "it can be begun again");
}

#[test]
fn a_broken_definition_is_told_where_it_is_asked_for_and_harms_no_other() {
    let folder = Sandbox::new();
    for (name, text) in [
        ("quiet", demo_definition("s72_sleeping")),
        ("broken", "universe: all\nwhere: [".to_owned()),
        ("refers", "universe: all\nas_of: latest\nwhere: {segment: nowhere}\n".to_owned()),
        ("rule", demo_definition("rule_sleeping")),
    ] {
        folder.write(&format!("definitions/{name}.yaml"), text);
    }
    let server = serve_definitions(&folder);
    assert_eq!(server.get("/api/v1/segments").json(200)["items"], json!([{"name": "quiet"}, {"name": "refers"}]));
    let count = |name: &str| server.get(&format!("/api/v1/segments/{name}/count"));
    assert_eq!(count("quiet").status, 200);

    let places = [&folder, corp()];
    let broken = check_problem(&count("broken"), 422, "DOCUMENT_INVALID", &places);
    assert!(broken["detail"].as_str().unwrap().starts_with("`broken` is not a valid document\n"), "{broken}");
    let dangling = check_problem(&count("refers"), 404, "SEGMENT_UNKNOWN", &places);
    assert_eq!(dangling["detail"], "there is no segment `nowhere`");
    check_problem(&count("rule"), 404, "SEGMENT_UNKNOWN", &places);
}

#[test]
fn a_file_that_is_gone_is_no_fault_of_the_request() {
    let sandbox = ingested_shop();
    let server = Server::start(&sandbox, &[]);
    let events = sandbox.warehouse().join("tables/event");
    let mut removed = 0;
    for file in files_below(&events).into_keys() {
        if !file.starts_with(events.join("_delta_log")) {
            fs::remove_file(file).unwrap();
            removed += 1;
        }
    }
    assert!(removed > 0, "no event has a file");
    let question = json!({"sql": "SELECT DISTINCT type FROM event"});
    let failed = server.post("/api/v1/sql", &question, &[]);
    let problem = check_problem(&failed, 503, "STORAGE", &[&sandbox]);
    assert_eq!(problem["retryable"], true, "{problem}");
    assert!(!failed.body.contains(".parquet"), "{problem}");
    let fine = json!({"sql": "SELECT DISTINCT city FROM customer"});
    assert_eq!(server.post("/api/v1/sql", &fine, &[]).status, 200);
}

#[test]
fn sql_tells_nothing_of_the_machine() {
    let server = serve();
    for asked in [
        "EXPLAIN SELECT name FROM customer",
        "EXPLAIN ANALYZE SELECT name FROM customer",
        "SHOW ALL",
        "SELECT (SELECT max(value) FROM information_schema.df_settings) AS value",
    ] {
        let refused = server.post("/api/v1/sql", &json!({"sql": asked}), &[]).json(403);
        assert_eq!(refused["code"], "SQL_OF_THE_MACHINE", "{asked}");
    }
    assert_eq!(server.post("/api/v1/sql", &json!({"sql": "SHOW TABLES"}), &[]).status, 200);
    let shown = corp().ok(&["sql", "EXPLAIN SELECT name FROM customer", "--format", "csv"]);
    assert!(shown.stdout.contains("customer"), "the command line shows it: {shown:?}");
}

/// Invariant 12, as far as there is anybody to grant something to.
#[test]
fn private_columns_are_masked_and_no_condition_may_look_at_them() {
    let server = serve();
    let page = server.get("/api/v1/segments/s71_high_value/members?columns=customer_id,name,mobile").json(200);
    for member in page["items"].as_array().unwrap() {
        assert_eq!(member["name"], "***", "{member}");
        assert!(member["mobile"] == "***" || member["mobile"].is_null(), "{member}");
        assert_ne!(member["customer_id"], "***");
    }
    let question = json!({"sql": "SELECT DISTINCT name, unionid FROM customer"});
    let rows = server.post("/api/v1/sql", &question, &[]).json(200);
    for row in rows["rows"].as_array().unwrap() {
        assert!(row.as_array().unwrap().iter().all(|cell| *cell == "***" || cell.is_null()), "{row}");
    }
    let leaf = json!({"attribute": {"name": "mobile", "op": "=", "value": "13800000000", "missing": "exclude"}});
    let document = json!({"definition": {"universe": "all", "as_of": "latest", "where": leaf}});
    let refused = server.post("/api/v1/segments/count", &document, &[]).json(422);
    assert_eq!(refused["code"], "DOCUMENT_INVALID", "{refused}");
    let shown = corp().sql("SELECT count(DISTINCT name) AS names FROM customer");
    assert!(shown[0]["names"].as_u64().unwrap() > 1, "the command line shows them");
}

#[test]
fn a_crosstab_holds_every_customer_once() {
    let server = serve();
    let table = server.get("/api/v1/crosstab?rows=group:来源渠道&cols=activity_band").json(200);
    let cells = table["cells"].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
    let sum: u64 = cells.map(|cell| cell.as_u64().unwrap()).sum();
    assert_eq!(table["universe_count"], sum);
    let labels = table["row_labels"].as_array().unwrap();
    for label in ["视频号", "none", "more than one"] {
        assert!(labels.iter().any(|found| found == label), "{label} is not in {labels:?}");
    }
    let asked = ["crosstab", "--rows", "group:来源渠道", "--cols", "activity_band", "--format", "json"];
    assert_eq!(table["cells"], corp().json(&asked)["cells"]);
}

#[test]
fn sql_is_answered_as_json_or_as_csv_and_never_changes_anything() {
    let server = serve();
    let question = json!({"sql": "SELECT type, count(*) AS events FROM event GROUP BY type ORDER BY type", "limit": 2});
    let answer = server.post("/api/v1/sql", &question, &[]).json(200);
    assert_eq!(answer["columns"], json!([{"name": "type", "type": "text"}, {"name": "events", "type": "bigint"}]));
    assert_eq!((&answer["truncated"], &answer["snapshot_id"]), (&json!(true), &json!(3)));
    let rows = answer["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);

    let csv = server.post("/api/v1/sql", &question, &[("accept", "text/csv")]);
    assert_eq!((csv.status, csv.header("x-tagmill-snapshot")), (200, Some("3")), "{csv:?}");
    assert!(csv.header("content-type").unwrap().starts_with("text/csv"));
    let expected: String = rows.iter().map(|row| format!("{},{}\n", row[0].as_str().unwrap(), row[1])).collect();
    assert_eq!(csv.body.replace("\r\n", "\n"), format!("type,events\n{expected}"));

    let refused = server.post("/api/v1/sql", &json!({"sql": "DROP TABLE customer"}), &[]).json(403);
    assert_eq!(refused["code"], "SQL_NOT_READ_ONLY");
}

#[test]
fn an_answer_that_the_client_has_is_not_sent_again() {
    let server = serve();
    let path = "/api/v1/segments/s88_vip_birthday/count";
    let first = server.get(path);
    let tag = first.header("etag").expect("an entity tag").to_owned();
    let again = server.get_with(path, &[("if-none-match", &tag)]);
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    let earlier = server.get_with(&format!("{path}?as_of=1"), &[("if-none-match", &tag)]);
    assert_eq!(earlier.status, 200, "another snapshot is another answer");
}

#[test]
fn strangers_are_refused() {
    let server = serve();
    let host = server.get_with("/api/v1/health", &[("host", "tagmill.example.com")]);
    assert_eq!(host.json(403)["code"], "FOREIGN_HOST");
    let origin = server.get_with("/api/v1/health", &[("origin", "https://example.com")]);
    assert_eq!(origin.json(403)["code"], "FOREIGN_ORIGIN");
    // An image or a link of a page elsewhere names no origin.
    let begun_by = |site| server.get_with("/api/v1/health", &[("sec-fetch-site", site)]);
    assert_eq!(begun_by("cross-site").json(403)["code"], "FOREIGN_SITE");
    assert_eq!(begun_by("same-site").json(403)["code"], "FOREIGN_SITE");
    assert_eq!(begun_by("none").status, 200);
    let ours = server.get_with("/api/v1/health", &[("origin", "http://localhost:3000")]);
    assert_eq!(ours.json(200)["status"], "ok");
}

#[test]
fn a_failure_is_a_problem_with_code_hint_and_path() {
    let server = serve();
    let path = "/api/v1/segments/s71_high_valu/count";
    let unknown = server.get(path);
    assert_eq!(unknown.header("content-type"), Some("application/problem+json"));
    let problem = unknown.json(404);
    assert_eq!((&problem["code"], &problem["path"]), (&json!("SEGMENT_UNKNOWN"), &json!(path)));
    assert!(problem["hint"].as_str().unwrap().contains("`s71_high_value`"), "{problem}");
    // A name is no path: nobody reaches into the file system.
    assert_eq!(server.get("/api/v1/segments/..%2F..%2FCargo.toml/count").json(404)["code"], "SEGMENT_UNKNOWN");
    assert_eq!(server.get("/api/v1/snapshots/99").json(404)["code"], "SNAPSHOT_UNKNOWN");
    assert_eq!(server.get("/api/v1/nothing").json(404)["code"], "ROUTE_UNKNOWN");
}

/// A request for every operation under `/api/v1`: how the document writes it, a path that fits, and a body.
fn every_operation() -> [(&'static str, &'static str, Value); 10] {
    [
        ("get /crosstab", "/crosstab?rows=group:来源渠道&cols=activity_band", Value::Null),
        ("get /health", "/health", Value::Null),
        ("get /segments", "/segments", Value::Null),
        ("post /segments/count", "/segments/count", json!({"segment": "s71_high_value"})),
        ("get /segments/{name}/count", "/segments/s71_high_value/count", Value::Null),
        ("get /segments/{name}/explain", "/segments/s71_high_value/explain", Value::Null),
        ("get /segments/{name}/members", "/segments/s71_high_value/members?limit=1", Value::Null),
        ("get /snapshots", "/snapshots", Value::Null),
        ("get /snapshots/{id}", "/snapshots/2", Value::Null),
        ("post /sql", "/sql", json!({"sql": "SELECT 1 AS one"})),
    ]
}

#[test]
fn every_operation_that_is_described_is_tried_and_answered() {
    let server = serve();
    let document = server.get("/api/openapi.json").json(200);
    assert!(document["openapi"].as_str().unwrap().starts_with("3."), "{}", document["openapi"]);
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, methods)| {
        let path = path.strip_prefix("/api/v1").unwrap_or_else(|| panic!("{path} is of no version"));
        methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
    });
    let described: BTreeSet<String> = operations.collect();
    let tried: BTreeSet<String> = every_operation().map(|(operation, ..)| operation.to_owned()).into();
    assert_eq!(described, tried, "this test has to try what is described");

    for (operation, path, body) in every_operation() {
        let path = format!("/api/v1{path}");
        let answer = if body.is_null() { server.get(&path) } else { server.post(&path, &body, &[]) };
        assert_eq!(answer.status, 200, "{operation}: {answer:?}");
    }
    assert_eq!(server.get("/health").status, 200, "where monitors look first");
}

#[test]
fn snapshots_are_listed_from_the_newest() {
    let server = serve();
    let snapshots = server.get("/api/v1/snapshots").json(200);
    let ids: Vec<&Value> = snapshots["items"].as_array().unwrap().iter().map(|row| &row["snapshot_id"]).collect();
    assert_eq!(ids, [&json!(3), &json!(2), &json!(1)], "the newest first");
}

#[test]
fn the_notebook_runs_against_a_served_corp() {
    let server = serve();
    let ran = script_ok("run_notebook.py", &[&server.url()]);
    let asked = ["crosstab", "--rows", "group:来源渠道", "--cols", "activity_band", "--format", "json"];
    let everybody = corp().json(&asked)["universe_count"].as_u64().unwrap();
    let digits = ran.stdout.replace(',', "");
    assert!(digits.contains(&format!("{everybody} customers each counted once")), "{}", ran.stdout);
}

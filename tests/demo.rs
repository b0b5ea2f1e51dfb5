//! `tagmill demo`: the newcomer's tour tells the same story on every machine and on every day, and a second one changes
//! nothing.

use std::fs::File;

use serde_json::Value;

use crate::harness::demo::{ORDERS, WAREHOUSE, toured};
use crate::harness::http::{Response, Server};
use crate::harness::shop::ingested_shop;
use crate::harness::{Sandbox, check_snapshot_without};

/// How long things took is the one thing that differs.
const VARYING: [(&str, &str); 2] = [(r"(?m) +\d+\.\d s$", " [TIME]"), (r"\(\d+\.\d s in all\)", "([TIME] in all)")];

/// The part of the tour with that heading.
fn section<'t>(tour: &'t str, heading: &str) -> Vec<&'t str> {
    let lines = tour.lines().skip_while(|line| !line.contains(heading)).skip(1);
    let section: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
    assert!(!section.is_empty(), "`{heading}` is not in the tour:\n{tour}");
    section
}

/// What is published in the demo's two warehouses.
fn ledgers(sandbox: &Sandbox) -> [Value; 2] {
    [WAREHOUSE, ORDERS].map(|folder| sandbox.json(&["--warehouse", folder, "snapshot", "list", "--format", "json"]))
}

/// Sends a request as a line of curl says it: a GET, or what stands behind `-d` as JSON.
fn curl(server: &Server, line: &str) -> Response {
    let (_, after) = line.split_once(&server.url()).unwrap_or_else(|| panic!("{line} asks somebody else"));
    let path = after.split(['\'', ' ']).next().unwrap();
    let Some((_, body)) = after.split_once("-d '") else { return server.get(path) };
    let body: Value = serde_json::from_str(body.trim_end_matches('\'')).unwrap();
    server.post(path, &body, &[])
}

/// Sends the requests that a served demo shows.
fn check_requests(server: &Server) {
    let shown = [server.next_line(), server.next_line(), server.next_line()];
    let [crosstab, count, rows] = shown.map(|line| {
        assert!(line.trim_start().starts_with("curl "), "{line}");
        curl(server, &line).json(200)
    });
    assert!(crosstab["universe_count"].as_u64().unwrap() > 0, "{crosstab}");
    assert!(count["count"].as_u64().unwrap() > 0, "{count}");
    assert!(!rows["rows"].as_array().unwrap().is_empty(), "{rows}");
}

/// One test, because both tours take long and the second waits for the first.
#[test]
fn the_tour_tells_the_same_numbers_on_every_day_and_a_second_one_changes_nothing_and_serves_what_it_shows() {
    let (sandbox, first) = toured();
    check_snapshot_without("demo", &sandbox.redacted(&first.stdout), &VARYING);
    for file in ["demo/reports/stale_tags.html", "demo/audiences/june_cart_audience.csv.manifest.json"] {
        assert!(sandbox.path(file).is_file(), "{file} was promised");
    }
    let before = ledgers(sandbox);
    assert_eq!(before[0].as_array().unwrap().len(), 4, "three readings, and the computed tag");
    assert_eq!(before[1].as_array().unwrap().len(), 1);

    let again = Sandbox::copy_of(sandbox);
    let page = File::create(again.path("page.txt")).unwrap();
    let second = again.command(&["--warehouse", WAREHOUSE, "demo", "--listen", "127.0.0.1:0"]);
    let server = Server::run(second, page.into());
    check_requests(&server);
    drop(server);
    let second = again.read("page.txt");
    assert_eq!(ledgers(&again), before, "the second tour published something");
    for heading in ["Channel × activity", "VIP × birthday month", "Five segments"] {
        assert_eq!(section(&second, heading), section(&first.stdout, heading), "{heading}");
    }
    assert!(second.contains("Nothing is new since the last demo"), "{second}");
}

#[test]
fn the_demo_keeps_out_of_a_warehouse_that_is_not_its_own() {
    let sandbox = ingested_shop();
    let refused = sandbox.fails(2, &["demo", "--no-serve"]);
    refused.says("is not the demo's").says("hint: give the demo a folder of its own");
    assert_eq!(sandbox.snapshot_ids(), [1]);
}

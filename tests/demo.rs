//! `tagmill demo`: the newcomer's tour tells the same story on every machine and on every day, and a second one changes
//! nothing.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::Value;

use crate::harness::http::{Response, Server};
use crate::harness::{Answer, Sandbox, check_snapshot_without};

/// How long things took is the one thing that differs.
const VARYING: [(&str, &str); 2] = [(r"(?m) +\d+\.\d s$", " [TIME]"), (r"\(\d+\.\d s in all\)", "([TIME] in all)")];

fn tour(sandbox: &Sandbox) -> Answer {
    sandbox.ok(&["--warehouse", "demo", "demo", "--no-serve"])
}

/// A folder with the demo's warehouses, and its first tour, made once. One demo at a time writes there.
fn toured() -> MutexGuard<'static, (Sandbox, Answer)> {
    static TOURED: OnceLock<Mutex<(Sandbox, Answer)>> = OnceLock::new();
    let made = TOURED.get_or_init(|| {
        let sandbox = Sandbox::lasting("demo");
        let first = tour(&sandbox);
        Mutex::new((sandbox, first))
    });
    made.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The part of the tour with that heading.
fn section<'t>(tour: &'t str, heading: &str) -> Vec<&'t str> {
    let lines = tour.lines().skip_while(|line| !line.contains(heading)).skip(1);
    let section: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
    assert!(!section.is_empty(), "`{heading}` is not in the tour:\n{tour}");
    section
}

#[test]
fn the_tour_tells_the_same_numbers_on_every_day_and_a_second_one_changes_nothing() {
    let toured = toured();
    let (sandbox, first) = &*toured;
    check_snapshot_without("demo", &sandbox.redacted(&first.stdout), &VARYING);
    for file in ["demo/reports/stale_tags.html", "demo/audiences/june_cart_audience.csv.manifest.json"] {
        assert!(sandbox.path(file).is_file(), "{file} was promised");
    }
    let ledgers = || {
        ["demo", "demo-orders"]
            .map(|warehouse| sandbox.json(&["--warehouse", warehouse, "snapshot", "list", "--format", "json"]))
    };
    let before = ledgers();
    assert_eq!(before[0].as_array().unwrap().len(), 4, "three readings, and the computed tag");
    assert_eq!(before[1].as_array().unwrap().len(), 1);

    let second = tour(sandbox);
    assert_eq!(ledgers(), before, "the second tour published something");
    for heading in ["Channel × activity", "VIP × birthday month", "Five segments"] {
        assert_eq!(section(&second.stdout, heading), section(&first.stdout, heading), "{heading}");
    }
    assert!(second.stdout.contains("Nothing is new since the last demo"), "{}", second.stdout);
}

/// Sends a request as a line of curl says it: a GET, or what stands behind `-d` as JSON.
fn curl(server: &Server, line: &str) -> Response {
    let (_, after) = line.split_once(&server.url()).unwrap_or_else(|| panic!("{line} asks somebody else"));
    let path = after.split(['\'', ' ']).next().unwrap();
    let Some((_, body)) = after.split_once("-d '") else { return server.get(path) };
    let body: Value = serde_json::from_str(body.trim_end_matches('\'')).unwrap();
    server.post(path, &body, &[])
}

#[test]
fn the_requests_that_the_demo_shows_are_answered_by_what_it_serves() {
    let toured = toured();
    let (sandbox, _) = &*toured;
    let server = Server::run(sandbox.command(&["--warehouse", "demo", "demo", "--listen", "127.0.0.1:0"]));
    let shown = [server.next_line(), server.next_line(), server.next_line()];
    let [crosstab, count, rows] = shown.map(|line| {
        assert!(line.trim_start().starts_with("curl "), "{line}");
        curl(&server, &line).json(200)
    });
    assert!(crosstab["universe_count"].as_u64().unwrap() > 0, "{crosstab}");
    assert!(count["count"].as_u64().unwrap() > 0, "{count}");
    assert!(!rows["rows"].as_array().unwrap().is_empty(), "{rows}");
}

#[test]
fn the_demo_keeps_out_of_a_warehouse_that_is_not_its_own() {
    let sandbox = crate::harness::shop::ingested_shop();
    let refused = sandbox.fails(2, &["demo", "--no-serve"]);
    refused.says("is not the demo's").says("hint: give the demo a folder of its own");
    assert_eq!(sandbox.snapshot_ids(), [1]);
}

//! README.md as a newcomer reads it: the commands of its tour run as they are written there, one after the other, and
//! keep what is said of them.

use std::collections::BTreeMap;

use crate::harness::demo::{self, toured};
use crate::harness::http::Server;
use crate::harness::s3::S3;
use crate::harness::{Answer, Sandbox, copy_tree};

const README: &str = include_str!("../README.md");

/// What begins a server, which does not end by itself.
const SERVE: &str = "tagmill serve";
/// The bucket, in whose place comes one that is there.
const BUCKET: &str = "my-bucket";
/// Lines of the tour that are not run, by how they begin, and why.
const LEFT_OUT: [(&str, &str); 4] = [
    ("make ", "it builds the program and runs these tests"),
    ("export PATH", "the program under test is on the path already"),
    ("export AWS_", "the S3 of the tests has a key of its own"),
    (SERVE, "it does not end: a server on a free port takes its place"),
];

/// What stands before each block. It keeps the id of the plan that a rule makes, and takes a refusal over HTTP for one.
const PROLOGUE: &str = "\
set -euo pipefail
tagmill() {
    command tagmill \"$@\" >.said || return
    cat .said
    case $1 in rule) plan=$(sed -n 's/^\\(plan-[0-9a-f]*\\) .*/\\1/p' .said) ;; esac
}
curl() { command curl --fail --noproxy '*' \"$@\"; }
";

/// What README says that a reader will see, by the heading that it stands under.
const SEEN: [(&str, &str); 14] = [
    ("Your own CSV", "nothing was published"),
    ("Your own CSV", "published snapshot 1"),
    ("Your own CSV", "`last week` is no time"),
    ("Your own CSV", "nothing new: `shop` holds what it held"),
    ("SQL", "519.0000"),
    ("Segments", "1 customer\n"),
    ("Segments", "SELECT"),
    ("A rule: plan, approval, execution, undo", "birthday_care → 服务/生日关怀"),
    ("A rule: plan, approval, execution, undo", "approved by wang (unverified)"),
    ("A rule: plan, approval, execution, undo", "published snapshot 5"),
    ("A list of customers", "1 rejected"),
    ("A server for dashboards", "\"snapshot_id\":5"),
    ("A server for dashboards", "type,events\n"),
    ("On S3", "storage: "),
];

/// The files that the tour leaves in its folder.
const LEFT: [&str; 7] = [
    "spend.csv",
    "course.csv.errors.csv",
    "stale.html",
    "cart.csv",
    "cart.csv.manifest.json",
    "cart.ndjson",
    "segments/spent_500.yaml",
];

/// The blocks of commands, each with the heading that it stands under.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let mut parts = README.split("```");
    let (mut blocks, mut heading) = (Vec::new(), "");
    while let (Some(text), Some(code)) = (parts.next(), parts.next()) {
        let last = text.lines().rev().find(|line| line.starts_with('#'));
        heading = last.map_or(heading, |line| line.trim_start_matches('#').trim());
        if let Some(commands) = code.strip_prefix("sh\n") {
            blocks.push((heading, commands));
        }
    }
    blocks
}

/// Runs a block of commands to its end.
fn follow(sandbox: &Sandbox, commands: &str) -> Answer {
    let is_left_out = |line: &&str| LEFT_OUT.iter().any(|(start, _)| line.starts_with(start));
    let (left_out, lines): (Vec<&str>, Vec<&str>) = commands.lines().partition(is_left_out);
    let server = left_out.iter().any(|line| line.starts_with(SERVE)).then(|| Server::start(sandbox, &[]));
    let mut script = format!("{PROLOGUE}{}\n", lines.join("\n")).replace("plan-…", "\"$plan\"");
    if let Some(server) = &server {
        script = script.replace("localhost:8080", server.url().trim_start_matches("http://"));
    }
    if script.contains(BUCKET) {
        script = script.replace(BUCKET, &S3::get().new_bucket());
    }
    sandbox.shell(&script)
}

#[test]
fn every_command_of_the_tour_runs_as_it_is_written() {
    let sandbox = Sandbox::new().with_environment(S3::get().environment());
    // What `make demo ARGS=--no-serve` leaves, in the folders where it leaves it.
    for (made, wanted) in [(demo::WAREHOUSE, "warehouse"), (demo::ORDERS, "warehouse-orders")] {
        copy_tree(&toured().0.path(made), &sandbox.path(wanted));
    }
    let mut said: BTreeMap<&str, String> = BTreeMap::new();
    for (heading, commands) in blocks() {
        let answer = follow(&sandbox, commands);
        assert_eq!(answer.code, Some(0), "{heading}\n{commands}\n{}\n{}", answer.stdout, answer.stderr);
        said.entry(heading).or_default().push_str(&format!("{}{}", answer.stdout, answer.stderr));
    }
    for (heading, words) in SEEN {
        let said = said.get(heading).unwrap_or_else(|| panic!("README has no commands under `{heading}`"));
        assert!(said.contains(words), "`{words}` is not seen under `{heading}`:\n{said}");
    }
    for file in LEFT {
        assert!(sandbox.path(file).is_file(), "the tour leaves no {file}");
    }
    let snapshots = sandbox.json(&["--warehouse", "shop", "snapshot", "list", "--format", "json"]);
    assert_eq!(snapshots.as_array().unwrap().len(), 1, "a dry run and the same input again publish nothing");
}

#[test]
fn what_is_left_out_of_the_tour_is_still_in_it() {
    let blocks = blocks();
    for (start, why) in LEFT_OUT {
        let is_there = blocks.iter().any(|(_, commands)| commands.lines().any(|line| line.starts_with(start)));
        assert!(is_there, "no line begins with `{start}`, which was left out because {why}");
    }
}

#[test]
fn every_command_of_the_table_explains_itself_with_an_example() {
    let sandbox = Sandbox::new();
    let rows = README.lines().filter_map(|line| line.strip_prefix("| `tagmill "));
    // `snapshot list`, `show ID`: the first names the group, and what is no name in lower case is an argument.
    let is_name = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase());
    let mut commands: Vec<Vec<&str>> = Vec::new();
    for row in rows {
        let cell = row.split(" | ").next().unwrap();
        let spans = cell.split('`').step_by(2).map(|span| span.split_whitespace().take_while(is_name));
        let mut names = spans.map(Iterator::collect::<Vec<&str>>).filter(|names| !names.is_empty());
        let first = names.next().unwrap();
        commands.extend(names.map(|others| [&first[..1], others.as_slice()].concat()));
        commands.push(first);
    }
    assert!(commands.iter().any(|command| *command == ["plan", "undo"]), "{commands:?}");
    for command in commands {
        let help = sandbox.ok(&[command.as_slice(), &["--help"]].concat()).stdout;
        assert!(help.contains("Example"), "{command:?} has no example:\n{help}");
    }
}

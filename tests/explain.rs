//! `tagmill segment explain`: what each condition came to, in numbers and in words.

use crate::harness::Sandbox;
use crate::segments::corp;

#[test]
fn explain_counts_every_condition_and_says_it_in_two_languages() {
    let condition = "where:
  all:
    - same_follower:
        - tag: {any_of: [标签/VIP]}
        - staff: [wang]
    - not: {segment: paying}
    - attribute: {name: province, op: \"=\", value: 陕西, missing: include}
";
    let sandbox = Sandbox::copy_of(corp());
    sandbox.write("segments/asked.yaml", format!("universe: followed\nas_of: latest\n{condition}"));
    let explained = sandbox.json(&["segment", "explain", "segments/asked.yaml", "--format", "json"]);
    let nodes: Vec<String> = explained["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| format!("{} {} {}", node["path"].as_str().unwrap(), node["count"], node["kind"].as_str().unwrap()))
        .collect();
    let expected = [
        "/where 0 customers",
        "/where/all/0 4 customers",
        "/where/all/0/same_follower/0 5 follows",
        "/where/all/0/same_follower/1 4 follows",
        "/where/all/1 1 customers",
        "/where/all/1/not 4 customers",
        "/where/all/1/not/segment/where 4 customers",
        "/where/all/2 3 customers",
    ];
    assert_eq!(nodes, expected);
    assert!(!explained["english"].as_str().unwrap().is_empty() && !explained["chinese"].as_str().unwrap().is_empty());
    assert_eq!(explained["count"], 0);
    sandbox.check("segment_explain", &["segment", "explain", "segments/asked.yaml", "--sql"]);
}

#[test]
fn explain_says_the_state_that_it_was_asked_of_and_every_statement_that_was_run() {
    let sandbox = Sandbox::copy_of(corp());
    let leaf = "{tag: {any_of: [标签/VIP], follower: [li]}}";
    sandbox.write("segments/asked.yaml", format!("universe: followed\nas_of: latest\nwhere: {leaf}\n"));
    let explain = ["segment", "explain", "segments/asked.yaml", "--format", "json"];
    let newest = sandbox.json(&explain);
    assert!(newest["english"].as_str().unwrap().contains("as of the latest snapshot"), "{newest}");
    let first = sandbox.json(&[["--as-of", "1"].as_slice(), &explain].concat());
    assert!(first["english"].as_str().unwrap().contains("as of snapshot 1"), "{first}");
    assert!(first["chinese"].as_str().unwrap().contains("截至快照 1"), "{first}");
    let sql = first["nodes"][0]["sql"].as_str().unwrap();
    let statements: Vec<&str> = sql.split(";\n").collect();
    assert_eq!(statements[0], "SELECT follow_no FROM follow WHERE staff_id IN ('li')");
    assert!(statements[1].contains("FROM held_assignment"), "{sql}");
}

#[test]
fn a_segment_that_is_referred_to_twice_is_answered_once_and_told_below_its_first_mention() {
    let sandbox = Sandbox::copy_of(corp());
    let write = |name: &str, condition: &str| {
        let document = format!("universe: all\nas_of: latest\nwhere: {condition}\n");
        sandbox.write(&format!("segments/{name}.yaml"), document);
    };
    write("left", "{not: {segment: paying}}");
    write("right", "{any: [{segment: paying}, {segment: gone}]}");
    write("both", "{any: [{segment: left}, {segment: right}]}");
    let explained = sandbox.json(&["segment", "explain", "segments/both.yaml", "--format", "json"]);
    let nodes = explained["nodes"].as_array().unwrap();
    let told: Vec<String> =
        nodes.iter().map(|node| format!("{} {}", node["path"].as_str().unwrap(), node["count"])).collect();
    let expected = [
        "/where 7",
        "/where/any/0 3",
        "/where/any/0/segment/where 3",
        "/where/any/0/segment/where/not 4",
        "/where/any/0/segment/where/not/segment/where 4",
        "/where/any/1 5",
        "/where/any/1/segment/where 5",
        "/where/any/1/segment/where/any/0 4",
        "/where/any/1/segment/where/any/1 1",
        "/where/any/1/segment/where/any/1/segment/where 1",
        // Of those who pay, none is in the universe of the lost.
        "/where/any/1/segment/where/any/1/segment/where/not 0",
    ];
    assert_eq!(told, expected);
    assert_eq!(nodes[10]["description"], "the customer is in the segment `paying`", "{explained}");
}

//! What only a warehouse in a bucket can meet with: keys, buckets and servers that are not there, and no place for its
//! control state.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::harness::place::{Place, Site};
use crate::harness::shop::write_shop;
use crate::harness::{Answer, Sandbox};

const INGEST: [&str; 2] = ["ingest", "shop.yaml"];

/// A shop that has not been read yet.
fn shop() -> Site {
    let site = Place::Bucket.site("corp");
    write_shop(&site.sandbox);
    site
}

/// A call that has to fail within a time, however often it tries.
fn fails_soon(sandbox: &Sandbox, args: &[&str]) -> Answer {
    let began = Instant::now();
    let answer = sandbox.fails(1, args);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}: {answer:?}", began.elapsed());
    answer
}

#[test]
fn a_key_that_is_not_known_is_refused_with_what_to_set() {
    let site = shop();
    let sandbox = site.sandbox.with_environment([("AWS_ACCESS_KEY_ID", "nobody".to_owned())]);
    fails_soon(&sandbox, &["snapshot", "list"])
        .says("could not read `warehouse.json`")
        .says("InvalidAccessKeyId")
        .says("hint: a bucket is opened with AWS_ACCESS_KEY_ID");
}

#[test]
fn a_bucket_that_is_not_there_is_told_from_one_that_somebody_writes_to() {
    let site = shop();
    let sandbox = site.sandbox.with_environment([("TAGMILL_WAREHOUSE", "s3://no-such-bucket/corp".to_owned())]);
    fails_soon(&sandbox, &["snapshot", "list"]).says("there is no warehouse at `s3://no-such-bucket/corp`");
    fails_soon(&sandbox, &INGEST).says("NoSuchBucket").says("hint: there is no such bucket");
}

#[test]
fn a_store_that_does_not_answer_is_told_with_where_it_was_looked_for() {
    let site = shop();
    // A port that was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sandbox = site.sandbox.with_environment([("AWS_ENDPOINT", format!("http://{address}"))]);
    fails_soon(&sandbox, &["snapshot", "list"])
        .says("could not read `warehouse.json`")
        .says(&format!("http://{address}/"))
        .says("hint: ")
        .says("AWS_ENDPOINT");
}

#[test]
fn without_a_place_for_its_control_state_a_bucket_is_read_and_filled_and_has_no_plans() {
    let site = shop();
    let run = |args: &[&str]| {
        let mut command = site.sandbox.command(args);
        command.env_remove("TAGMILL_STATE");
        Answer::of(command)
    };
    assert_eq!(run(&INGEST).code, Some(0));
    assert_eq!(run(&["sql", "SELECT count(*) FROM customer"]).code, Some(0));
    // Pruning has to know what plans still need.
    for args in [&["plan", "list"][..], &["snapshot", "prune"]] {
        let refused = run(args);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        refused.says("nothing says where the control state of `s3://").says("hint: `--state PATH` or TAGMILL_STATE");
    }
    let placed = run(&["plan", "list", "--state", "elsewhere.sqlite"]);
    assert_eq!(placed.code, Some(0), "{placed:?}");
    assert!(site.sandbox.path("elsewhere.sqlite").is_file());
}

//! A warehouse is the same in a folder and in a bucket: each scenario runs in both.

use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::Sandbox;
use crate::harness::place::{Place, Site};
use crate::harness::shop::{CUSTOMERS, CsvSource, ORDERS, Table, write_shop};

/// Makes two tests of each scenario.
macro_rules! in_both_places {
    ($($scenario:ident)*) => {
        mod in_a_folder {
            $(#[test]
            fn $scenario() {
                super::$scenario(super::Place::Folder);
            })*
        }
        mod in_a_bucket {
            $(#[test]
            fn $scenario() {
                super::$scenario(super::Place::Bucket);
            })*
        }
    };
}

in_both_places! {
    snapshots_are_published_listed_compared_and_asked
    two_processes_that_make_a_warehouse_at_once_make_one
    a_refused_shrink_is_kept_until_it_is_accepted
    a_rule_is_planned_approved_and_executed
    an_uploaded_list_becomes_tags
    a_prune_lets_go_what_the_ladder_does_not_keep
    the_doctor_finds_nothing_but_what_a_killed_run_had_staged_and_removes_it
    a_warehouse_may_lie_under_any_name
    two_warehouses_beside_each_other_do_not_see_each_other
    a_run_tells_what_it_asked_a_bucket_for
}

const INGEST: [&str; 2] = ["ingest", "shop.yaml"];

/// A shop that has not been read yet.
fn shop(place: Place) -> Site {
    let site = place.site("corp");
    write_shop(&site.sandbox);
    site
}

/// One more customer, and one more order.
fn grow(sandbox: &Sandbox) {
    sandbox.write("customers.csv", format!("{CUSTOMERS}c6,Zhou,北京,6\n"));
    sandbox.write("orders.csv", format!("{ORDERS}o7,c5,2026-06-12 08:00:00,1.00\n"));
}

/// Names in a state of the warehouse, counted by reading them.
fn names(sandbox: &Sandbox, as_of: &str) -> Value {
    let sql = "SELECT count(DISTINCT name) AS names FROM customer";
    sandbox.json(&["--as-of", as_of, "sql", sql, "--format", "json"])[0]["names"].clone()
}

fn check_sound(sandbox: &Sandbox) {
    sandbox.ok(&["doctor"]).says("all is as it was written");
}

fn snapshots_are_published_listed_compared_and_asked(place: Place) {
    let site = shop(place);
    let sandbox = &site.sandbox;
    sandbox.fails(1, &["snapshot", "list"]).says("there is no warehouse at `").says("hint: `tagmill ingest");
    sandbox.ok(&INGEST).says("published snapshot 1");
    sandbox.ok(&INGEST).says("nothing new");
    grow(sandbox);
    sandbox.ok(&INGEST).says("published snapshot 2");
    assert_eq!(sandbox.snapshot_ids(), [1, 2]);
    assert_eq!([1, 2].map(|id| sandbox.row_counts(id)["customer"]), [5, 6]);
    assert_eq!(["1", "2"].map(|id| names(sandbox, id)), [json!(5), json!(6)]);

    let changes = sandbox.json(&["snapshot", "diff", "1", "2", "--format", "json"]);
    let counts = |table: &str| {
        let change = changes.as_array().unwrap().iter().find(|change| change["id"] == table);
        change.map(|change| (change["before"].clone(), change["after"].clone()))
    };
    assert_eq!(counts("customer"), Some((json!("5"), json!("6"))), "{changes}");
    assert_eq!(counts("event"), Some((json!("6"), json!("7"))), "{changes}");

    let paid =
        "universe: all\nas_of: latest\nwhere: {event: pay, window: lifetime, measure: count, op: \">=\", value: 1}\n";
    sandbox.write("paid.yaml", paid);
    let payers = |as_of| {
        let answer = sandbox.json(&["--as-of", as_of, "segment", "count", "paid.yaml", "--format", "json"]);
        answer["count"].clone()
    };
    assert_eq!(["1", "2"].map(payers), [json!(4), json!(5)]);
}

fn two_processes_that_make_a_warehouse_at_once_make_one(place: Place) {
    let site = shop(place);
    let start = || site.sandbox.command(&INGEST).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let runs = [start(), start()];
    let mut published = 0;
    for run in runs {
        let ended = run.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        match ended.status.code() {
            Some(0) if said.contains("published snapshot 1") => published += 1,
            Some(0) => assert!(said.contains("nothing new"), "{said}"),
            Some(3) => assert!(said.contains("another run is writing to"), "{said}"),
            other => panic!("{other:?}: {said}"),
        }
    }
    assert_eq!(published, 1);
    assert_eq!(site.sandbox.snapshot_ids(), [1]);
    site.sandbox.ok(&INGEST).says("nothing new");
    check_sound(&site.sandbox);
}

fn a_refused_shrink_is_kept_until_it_is_accepted(place: Place) {
    let site = shop(place);
    let sandbox = &site.sandbox;
    sandbox.ok(&INGEST);
    sandbox.write("customers.csv", "id,name,city,birth_month\n");
    sandbox.fails(3, &INGEST).says("rows for `customer`: 0 after 5 (-100.0 %), too far").says("/staged`");
    assert_eq!(sandbox.snapshot_ids(), [1]);
    let list = "staged/refused-shop-8d9001d3.json";
    let kept: Value = serde_json::from_slice(&site.read(list)).unwrap();
    assert_eq!(kept["source"], "shop");
    sandbox.ok(&["ingest", "shop.yaml", "--accept-shrink"]).says("the shrink was accepted");
    assert_eq!(sandbox.snapshot_ids(), [1, 2]);
    assert_eq!(names(sandbox, "2"), 5, "who is no longer listed stays a customer");
    assert!(!site.objects().contains(&list.to_owned()), "what was accepted waits no longer");
}

/// What a corp of three customers is listed with. Of them `c1` sleeps.
const CORP: CsvSource<'static> = CsvSource {
    name: "wecom",
    id_space: "wecom",
    taken_at: "2026-06-15T02:00:00+08:00",
    files: &[
        ("tags", "id,group_name,name\nt1,活跃度,沉睡用户\nt2,等级,VIP\n"),
        (
            "follows",
            "customer,staff,added\nc1,wang,2026-01-01 08:00:00\nc2,wang,2026-01-01 08:00:00\nc3,li,2026-01-01 08:00:00\n",
        ),
        ("logins", "id,customer,happened\nl1,c1,2026-01-05 08:00:00\nl2,c2,2026-06-01 08:00:00\n"),
    ],
    tables: &CORP_TABLES,
};

const CORP_TABLES: [Table<'static>; 4] = [
    ("tag", "mode: full", "SELECT id AS tag_id, group_name, name AS tag_name FROM tags"),
    ("customer", "mode: full", "SELECT customer AS customer_id FROM follows"),
    ("follow", "mode: full", "SELECT customer AS customer_id, staff AS staff_id, added AS added_at FROM follows"),
    (
        "event",
        "mode: append",
        "SELECT id AS event_id, customer AS customer_id, 'login' AS type, happened AS occurred_at FROM logins",
    ),
];

const SLEEPING: &str = "\
tag: 活跃度/沉睡用户
on: all_active
when:
  universe: followed
  where: {event: login, window: lifetime, measure: last, op: \"<\", value: as_of - 3 months, never: exclude}
on_exit: retract
";

fn corp(place: Place) -> Site {
    let site = place.site("corp");
    CORP.ingest(&site.sandbox).says("published snapshot 1");
    site
}

/// Approves and executes the plan of an answer.
fn carry_out(sandbox: &Sandbox, made: &Value) -> Value {
    let id = made["plan"]["plan_id"].as_str().unwrap();
    sandbox.ok(&["--as", "wang", "plan", "approve", id]);
    sandbox.json(&["--as", "zhao", "plan", "execute", id, "--format", "json"])
}

/// The customers that hold tags of that origin.
fn holders(sandbox: &Sandbox, source: &str) -> Vec<Value> {
    let rows = sandbox.sql(&format!(
        "SELECT customer.customer_id AS holder FROM held_assignment AS held \
         JOIN customer ON customer.customer_no = held.customer_no WHERE held.source = '{source}' ORDER BY holder"
    ));
    rows.iter().map(|row| row["holder"].clone()).collect()
}

fn a_rule_is_planned_approved_and_executed(place: Place) {
    let site = corp(place);
    let sandbox = &site.sandbox;
    sandbox.write("sleeping.yaml", SLEEPING);
    let run = sandbox.json(&["--as", "li", "rule", "run", "sleeping.yaml", "--format", "json"]);
    assert_eq!(run["entering"], 1, "{run}");
    assert_eq!(sandbox.snapshot_ids(), [1], "a plan changes nothing");
    let executed = carry_out(sandbox, &run);
    assert_eq!((&executed["snapshot_id"], &executed["receipts"]["done"]), (&json!(2), &json!(1)), "{executed}");
    assert_eq!(holders(sandbox, "rule:sleeping"), ["c1"]);
    let plans = sandbox.json(&["plan", "list", "--format", "json"]);
    assert_eq!(plans[0]["state"], "executed", "{plans}");
    let is_beside = site.objects().contains(&"control.sqlite".to_owned());
    assert_eq!(is_beside, place == Place::Folder, "the control state is no object of a bucket");
    check_sound(sandbox);
}

fn an_uploaded_list_becomes_tags(place: Place) {
    let site = corp(place);
    let sandbox = &site.sandbox;
    sandbox.write("vips.csv", "customer_id\nc1\nc3\nc9\n");
    let import = ["--as", "li", "import", "vips.csv", "--tag", "等级/VIP", "--format", "json"];
    let made = sandbox.json(&import);
    assert_eq!((&made["rows"]["matched"], &made["rows"]["unmatched"]), (&json!(2), &json!(1)), "{made}");
    carry_out(sandbox, &made);
    assert_eq!(holders(sandbox, "import:vips"), ["c1", "c3"]);
}

/// Reads a shop whose n-th reading lists n customers.
fn publish(sandbox: &Sandbox, number: usize, taken_at: &str) {
    let customers: String = (1..=number).map(|customer| format!("c{customer},name {customer}\n")).collect();
    let customers = format!("id,name\n{customers}");
    let source = CsvSource {
        name: "shop",
        id_space: "shop",
        taken_at,
        files: &[("customers", customers.as_str())],
        tables: &[("customer", "mode: full", "SELECT id AS customer_id, name FROM customers")],
    };
    source.ingest(sandbox).says(&format!("published snapshot {number},"));
}

fn a_prune_lets_go_what_the_ladder_does_not_keep(place: Place) {
    let site = place.site("corp");
    let sandbox = &site.sandbox;
    let taken = ["2026-01-10T02:00:00+08:00", "2026-01-31T10:00:00+08:00", "2026-06-30T18:00:00+08:00"];
    for (number, taken_at) in (1..).zip(taken) {
        publish(sandbox, number, taken_at);
    }
    let before = site.objects();
    let told = sandbox.json(&["snapshot", "prune", "--dry-run", "--format", "json"]);
    let verdicts: Vec<&Value> = told.as_array().unwrap().iter().map(|row| &row["verdict"]).collect();
    assert_eq!(verdicts, ["goes", "stays", "stays"], "{told}");
    assert_eq!(site.objects(), before, "a dry run changes nothing");

    sandbox.ok(&["snapshot", "prune"]).says("pruned 1 of 3 snapshots; ");
    assert_eq!(sandbox.snapshot_ids(), [2, 3]);
    sandbox.fails(1, &["--as-of", "1", "sql", "SELECT 1"]).says("was pruned");
    assert_eq!(["2", "3"].map(|id| names(sandbox, id)), [json!(2), json!(3)]);
    let after = site.objects();
    let customers_of = |objects: &[String], id: u32| {
        let start = format!("tables/customer/b0000/s{id:06}-");
        objects.iter().filter(|path| path.starts_with(&start)).count()
    };
    assert_eq!([1, 2, 3].map(|id| customers_of(&before, id)), [1, 1, 1]);
    assert_eq!([1, 2, 3].map(|id| customers_of(&after, id)), [0, 1, 1]);
    check_sound(sandbox);
}

/// A name as runs give them.
const ORPHAN: &str = "tables/customer/b0000/s000009-0123456789abcdef0123456789abcdef.parquet";

fn the_doctor_finds_nothing_but_what_a_killed_run_had_staged_and_removes_it(place: Place) {
    let site = shop(place);
    let sandbox = &site.sandbox;
    sandbox.ok(&INGEST);
    check_sound(sandbox);
    site.put(ORPHAN, "staged and left");
    // A bucket tells the age of its objects in whole seconds, and what is as old as the newest commit may be a run's.
    sleep(Duration::from_millis(1100));
    grow(sandbox);
    sandbox.ok(&INGEST).says("published snapshot 2");
    let objects = site.objects();
    sandbox.ok(&["doctor"]).says("0 errors, 1 warning, 0 notes");
    assert_eq!(site.objects(), objects, "looking changes nothing");
    sandbox.ok(&["doctor", "--repair"]).says("removed 1 file of `customer` that no commit names, 15 bytes");
    let mut left = site.objects();
    assert!(!left.contains(&ORPHAN.to_owned()), "{left:?}");
    left.push(ORPHAN.to_owned());
    left.sort();
    assert_eq!(left, objects, "nothing else is removed");
    check_sound(sandbox);
}

fn a_warehouse_may_lie_under_any_name(place: Place) {
    let site = place.site("商城 数据/corp 1");
    write_shop(&site.sandbox);
    site.sandbox.ok(&INGEST).says("published snapshot 1");
    grow(&site.sandbox);
    site.sandbox.ok(&INGEST).says("published snapshot 2");
    assert_eq!(["1", "2"].map(|id| names(&site.sandbox, id)), [json!(5), json!(6)]);
    assert!(site.objects().contains(&"warehouse.json".to_owned()), "it lies where its name says");
}

fn two_warehouses_beside_each_other_do_not_see_each_other(place: Place) {
    let one = shop(place);
    one.sandbox.ok(&INGEST).says("published snapshot 1");
    let objects = one.objects();
    // The name of the one begins as that of the other.
    let other = one.beside("corp2");
    other.sandbox.fails(1, &["snapshot", "list"]).says(&format!("there is no warehouse at `{}`", shown(&other)));
    write_shop(&other.sandbox);
    grow(&other.sandbox);
    other.sandbox.ok(&INGEST).says("published snapshot 1");
    assert_eq!([&one, &other].map(|site| names(&site.sandbox, "latest")), [json!(5), json!(6)]);
    assert_eq!(one.objects(), objects);
    check_sound(&one.sandbox);
    check_sound(&other.sandbox);
}

/// A place as the program names it.
fn shown(site: &Site) -> &str {
    site.url.trim_start_matches("file://")
}

fn a_run_tells_what_it_asked_a_bucket_for(place: Place) {
    let site = shop(place);
    let said = site.sandbox.ok(&INGEST).stderr;
    let told: Vec<&str> = said.lines().filter(|line| line.starts_with("storage: ")).collect();
    if place == Place::Folder {
        assert!(told.is_empty(), "{said}");
        return;
    }
    let [line] = told[..] else { panic!("{said}") };
    let shape: Vec<String> = line.split(' ').map(without_number).collect();
    assert_eq!(shape.join(" "), "storage:  reads ( kB),  writes ( kB),  lists,  removes", "{line}");
    assert!(!line.contains(" 0 reads") && !line.contains(" 0 writes") && !line.contains(" 0 lists"), "{line}");
}

fn without_number(word: &str) -> String {
    let has_number = word.contains(|c: char| c.is_ascii_digit());
    word.replace(|c: char| has_number && (c.is_ascii_digit() || c == ','), "")
}

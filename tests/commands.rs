//! Commands and global options that no other module is about, each tried once on the small shop.

use serde_json::{Value, json};

use crate::harness::shop::{SOURCE, ingested_shop, shop};
use crate::harness::{Sandbox, copy_tree};

/// Who holds which tag. The name with a space is nothing that the practice guide would let anybody make.
const HELD: &str = "\
customer,group_name,tag_name
c1,等级,VIP
c2,等级,VIP
c3,等级,普通
c4,来源,line 1
";

const TAG_TABLES: &str = "  tag:
    mode: full
    select: SELECT DISTINCT group_name, tag_name FROM held
  assignment:
    mode: full
    select: SELECT customer AS customer_id, group_name, tag_name FROM held
";

/// Who holds the tag `VIP`.
const VIP: &str = "universe: all\nas_of: latest\nwhere: {tag: {any_of: [等级/VIP], follower: any}}\n";

/// The shop and its first snapshot, with tags that hang on its customers.
fn tagged_shop() -> Sandbox {
    Sandbox::made_once("tagged_shop", |sandbox| {
        copy_tree(shop().root(), sandbox.root());
        let files = "files:\n  held: {path: held.csv}\n";
        sandbox.write("shop.yaml", format!("{}{TAG_TABLES}", SOURCE.replace("files:\n", files)));
        sandbox.write("held.csv", HELD);
        sandbox.ok(&["ingest", "shop.yaml"]);
    })
}

/// The values of one column of a listing.
fn column<'v>(rows: &'v Value, name: &str) -> Vec<&'v str> {
    rows.as_array().unwrap().iter().map(|row| row[name].as_str().unwrap()).collect()
}

#[test]
fn a_valid_segment_is_told_with_the_hash_that_its_count_names() {
    let sandbox = tagged_shop();
    sandbox.write("vip.yaml", VIP);
    let count = sandbox.json(&["segment", "count", "vip.yaml", "--format", "json"]);
    let hash = count["definition_hash"].as_str().unwrap();
    assert_eq!(count["count"], 2);
    assert_eq!(sandbox.ok(&["segment", "validate", "vip.yaml"]).stdout, format!("vip.yaml: valid, {hash}\n"));
}

#[test]
fn every_problem_of_every_segment_is_told_and_the_good_ones_are_still_valid() {
    let sandbox = tagged_shop();
    sandbox.write("vip.yaml", VIP);
    sandbox.write("vipp.yaml", VIP.replace("等级/VIP", "等级/VIPP"));
    sandbox.write("odd.yaml", "universe: everybody\nwhere: {tag: {any_of: [等级/VIP], follower: any}}\n");
    let checked = sandbox.fails(1, &["segment", "validate", "odd.yaml", "vipp.yaml", "vip.yaml"]);
    checked.says("unknown universe `everybody`").says("`as_of` is missing");
    checked.says("there is no tag `等级/VIPP`").says("did you mean `等级/VIP`?");
    checked.says("2 of 3 definitions have problems");
    assert!(checked.stdout.starts_with("vip.yaml: valid, "), "{checked:?}");
    assert_eq!(checked.stdout.lines().count(), 1, "{checked:?}");
}

#[test]
fn without_a_warehouse_a_segment_is_checked_by_itself() {
    let sandbox = Sandbox::new();
    sandbox.write("vip.yaml", VIP);
    let checked = sandbox.ok(&["segment", "validate", "vip.yaml"]);
    checked.says("there is no warehouse").says("names of tags and columns are not checked");
    assert!(!sandbox.warehouse().exists(), "a check makes no warehouse");
}

#[test]
fn tags_are_listed_with_their_holders_and_found_whatever_the_case() {
    let sandbox = tagged_shop();
    let listed = sandbox.json(&["tag", "list", "--format", "json"]);
    let mut names = column(&listed, "tag_name");
    names.sort_unstable();
    assert_eq!(names, ["VIP", "line 1", "普通"]);

    let found = sandbox.json(&["tag", "list", "--find", "级/vi", "--format", "json"]);
    assert_eq!(column(&found, "tag_id"), ["shop:等级/VIP"]);
    assert_eq!((&found[0]["customers"], &found[0]["valid_to"]), (&json!(2), &Value::Null));
    assert_eq!(sandbox.json(&["tag", "list", "--find", "svip", "--format", "json"]), json!([]));
}

#[test]
fn names_are_linted_by_the_profile_that_is_asked_for() {
    let sandbox = tagged_shop();
    let lint = |profile: &[&str]| {
        let answer = sandbox.ok(&[profile, &["tag", "lint", "--format", "json"]].concat());
        let findings: Value = serde_json::from_str(&answer.stdout).unwrap();
        (findings, answer)
    };
    for profile in [&[] as &[&str], &["--profile", "guide"]] {
        let (findings, answer) = lint(profile);
        assert_eq!(column(&findings, "code"), ["NAME_BAD_CHAR"], "{findings}");
        assert_eq!(findings[0]["name"], "来源/line 1");
        answer.says("profile `guide`");
    }
    let (findings, answer) = lint(&["--profile", "wecom-official"]);
    assert_eq!(findings, json!([]));
    answer.says("profile `wecom-official`");
}

#[test]
fn plans_are_kept_where_the_state_is_said_to_be() {
    let sandbox = tagged_shop();
    sandbox.write(
        "vip.yaml",
        "tag: 等级/普通\non: customer\nwhen: {universe: all, where: {tag: {any_of: [等级/VIP], follower: any}}}\n\
         on_exit: retract\n",
    );
    let elsewhere = ["--state", "state/control.sqlite"];
    let with_state = |args: &[&str]| sandbox.json(&[elsewhere.as_slice(), args, &["--format", "json"]].concat());
    let run = with_state(&["rule", "run", "vip.yaml"]);
    assert_eq!(run["plan"]["step_count"], 2, "{run}");
    assert!(sandbox.path("state/control.sqlite").is_file());
    assert!(!sandbox.path("warehouse/control.sqlite").exists(), "nothing is kept beside the warehouse");
    let plans = with_state(&["plan", "list"]);
    assert_eq!(column(&plans, "plan_id"), [run["plan"]["plan_id"].as_str().unwrap()]);
    assert_eq!(sandbox.json(&["plan", "list", "--format", "json"]), json!([]), "the usual state has no such plan");
}

#[test]
fn a_warehouse_counts_its_days_in_the_time_zone_that_it_was_made_with() {
    let sandbox = shop();
    let london = ["--time-zone", "Europe/London"];
    sandbox.ok(&[london.as_slice(), &["ingest", "shop.yaml"]].concat()).says("Europe/London");
    // Ten o'clock in London's summer.
    let first = sandbox.sql("SELECT occurred_at FROM event WHERE event_id = 'o1'");
    assert_eq!(first, [json!({"occurred_at": "2026-05-01T09:00:00Z"})]);
    // The midnight at which June began there, and the second before it.
    sandbox.write(
        "june.yaml",
        "universe: all\nas_of: latest\nwhere: {event: pay, window: this_month, measure: count, op: \">=\", value: 1}\n",
    );
    let asked = [london.as_slice(), &["segment", "members", "june.yaml", "--format", "json"]].concat();
    assert_eq!(column(&sandbox.json(&asked), "customer_id"), ["c2", "c3", "c4"], "the option may be given again");
}

#[test]
fn sql_tells_which_tables_there_are_and_what_their_columns_are() {
    let sandbox = ingested_shop();
    let listed = Value::from(sandbox.sql("SHOW TABLES"));
    let names = column(&listed, "table_name");
    for table in ["customer", "event", "tag", "assignment_log", "assignment", "held_assignment", "snapshot"] {
        assert!(names.contains(&table), "{names:?}");
    }
    let amount = json!({"column_name": "amount", "data_type": "Decimal128(18, 4)", "is_nullable": "YES"});
    assert!(sandbox.sql("DESCRIBE event").contains(&amount));
    let described = Value::from(sandbox.sql("DESCRIBE held_assignment"));
    let columns = ["customer_no", "follow_no", "tag_id", "source", "assigned_at", "given_after", "given_by"];
    assert_eq!(column(&described, "column_name"), columns);
}

#[test]
fn held_assignment_is_who_holds_a_tag_now_and_assignment_remembers_who_held_it() {
    let sandbox = tagged_shop();
    // A week later `c2` has lost the tag, and `c5` has got it.
    let source = sandbox.read("shop.yaml").replace("2026-06-15T02:00:00+08:00", "2026-06-22T02:00:00+08:00");
    sandbox.write("shop.yaml", source);
    sandbox.write("held.csv", HELD.replace("c2,", "c5,"));
    sandbox.ok(&["ingest", "shop.yaml"]).says("published snapshot 2");
    let holders = |table: &str| {
        let sql = format!(
            "SELECT customer_id FROM {table} JOIN customer USING (customer_no) \
             WHERE tag_id = 'shop:等级/VIP' ORDER BY customer_id"
        );
        sandbox.sql(&sql)
    };
    let customers = |ids: &[&str]| ids.iter().map(|id| json!({"customer_id": id})).collect::<Vec<Value>>();
    assert_eq!(holders("held_assignment"), customers(&["c1", "c5"]));
    assert_eq!(holders("assignment"), customers(&["c1", "c2", "c5"]));
    let given = sandbox.sql(
        "SELECT given_after, given_by FROM held_assignment JOIN customer USING (customer_no) WHERE customer_id = 'c5'",
    );
    let between = json!({"given_after": "2026-06-14T18:00:00Z", "given_by": "2026-06-21T18:00:00Z"});
    assert_eq!(given, [between], "it was given between the two readings");
}

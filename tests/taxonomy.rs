//! Tags over time: what successive listings say of groups, tags and who holds them (S1, S2, and the assignment log).

use serde_json::{Value, json};

use crate::harness::Sandbox;
use crate::harness::shop::{CsvSource, Table};

/// Three readings, a week apart.
const READINGS: [&str; 3] = ["2026-06-01T00:00:00Z", "2026-06-08T00:00:00Z", "2026-06-15T00:00:00Z"];
/// When the staff member added the five customers, and when every tag was made: a local time and its instant.
const ADDED: &str = "2026-03-01 08:00:00";
const MADE: &str = "2026-04-01 08:00:00";
const MADE_AT: &str = "2026-04-01T00:00:00Z";

const TABLES: [Table<'static>; 5] = [
    ("tag_group", "mode: full", "SELECT name AS group_name FROM tag_groups"),
    ("tag", "mode: full", "SELECT id AS tag_id, group_name, name AS tag_name, made AS created_at FROM tags"),
    ("customer", "mode: full", "SELECT id AS customer_id FROM follows"),
    ("follow", "mode: full", "SELECT id AS customer_id, staff AS staff_id, added AS added_at FROM follows"),
    ("assignment", "mode: full", "SELECT customer AS customer_id, staff AS staff_id, tag AS tag_id FROM held"),
];

/// What one reading lists. Everybody is followed by `wang`.
struct Listing<'l> {
    groups: &'l [&'l str],
    /// Tags: id, group, name.
    tags: &'l [(&'l str, &'l str, &'l str)],
    /// Who is followed, and since when.
    follows: Vec<(&'l str, &'l str)>,
    /// Who holds which tag.
    held: Vec<(&'l str, &'l str)>,
}

impl Listing<'_> {
    /// Five customers who all hold the tag `t1`.
    fn usual() -> Self {
        let everybody = ["c1", "c2", "c3", "c4", "c5"];
        Self {
            groups: &["会员等级"],
            tags: &[("t1", "会员等级", "VIP"), ("t2", "会员等级", "普通")],
            follows: everybody.map(|customer| (customer, ADDED)).to_vec(),
            held: everybody.map(|customer| (customer, "t1")).to_vec(),
        }
    }

    /// Reads the listing as the reading of that number, from 0.
    fn read(&self, sandbox: &Sandbox, reading: usize) {
        let groups = lines("name", self.groups.iter().map(|group| (*group).to_owned()));
        let tags = self.tags.iter().map(|(id, group, name)| format!("{id},{group},{name},{MADE}"));
        let tags = lines("id,group_name,name,made", tags);
        let follows = self.follows.iter().map(|(customer, added)| format!("{customer},wang,{added}"));
        let follows = lines("id,staff,added", follows);
        let held = self.held.iter().map(|(customer, tag)| format!("{customer},wang,{tag}"));
        let held = lines("customer,staff,tag", held);
        let files = [("tag_groups", &groups), ("tags", &tags), ("follows", &follows), ("held", &held)];
        let files = files.map(|(name, content)| (name, content.as_str()));
        let taken_at = READINGS[reading];
        let source = CsvSource { name: "wecom", id_space: "wecom", taken_at, files: &files, tables: &TABLES };
        source.ingest(sandbox).says(&format!("published snapshot {}", reading + 1));
    }
}

/// The five customers after the first reading.
fn first_read() -> Sandbox {
    Sandbox::made_once("taxonomy", |sandbox| Listing::usual().read(sandbox, 0))
}

fn lines(header: &str, rows: impl Iterator<Item = String>) -> String {
    std::iter::once(header.to_owned()).chain(rows).map(|line| line + "\n").collect()
}

/// The differences between the first two snapshots that are about that.
fn changes(sandbox: &Sandbox, what: &str) -> Vec<Value> {
    let all = sandbox.json(&["snapshot", "diff", "1", "2", "--format", "json"]);
    all.as_array().unwrap().iter().filter(|change| change["what"] == what).cloned().collect()
}

#[test]
fn s1_a_group_that_was_added_is_listed_once_with_the_instants_between_which_it_appeared() {
    let sandbox = first_read();
    Listing { groups: &["会员等级", "来源渠道"], ..Listing::usual() }.read(&sandbox, 1);
    let expected = json!({
        "what": "tag_group",
        "change": "added",
        "id": "wecom:来源渠道",
        "before": null,
        "after": "来源渠道",
        "seen_after": READINGS[0],
        "seen_by": READINGS[1],
    });
    assert_eq!(changes(&sandbox, "tag_group"), [expected]);
    assert_eq!(changes(&sandbox, "tag"), Vec::<Value>::new());
}

#[test]
fn s2_a_renamed_tag_is_one_tag_and_keeps_its_holders() {
    let sandbox = first_read();
    Listing { tags: &[("t1", "会员等级", "SVIP"), ("t2", "会员等级", "普通")], ..Listing::usual() }.read(&sandbox, 1);
    let expected = json!({
        "what": "tag",
        "change": "renamed",
        "id": "t1",
        "before": "会员等级/VIP",
        "after": "会员等级/SVIP",
        "seen_after": READINGS[0],
        "seen_by": READINGS[1],
    });
    assert_eq!(changes(&sandbox, "tag"), [expected]);
    let log = sandbox.sql("SELECT count(*) AS steps FROM assignment_log");
    assert_eq!(log, [json!({"steps": 5})], "nobody was given the tag anew, and nobody lost it");
    let segment = "universe: followed\nas_of: latest\nwhere: {tag: {any_of: [会员等级/SVIP], follower: any}}\n";
    sandbox.write("segment.yaml", segment);
    let counted = sandbox.json(&["segment", "count", "segment.yaml", "--format", "json"]);
    assert_eq!(counted["count"], 5);
    assert!(counted.get("notes").is_none(), "{counted}");
}

#[test]
fn s2_a_segment_that_names_a_tag_by_its_former_name_is_answered_with_a_note() {
    let sandbox = first_read();
    Listing { tags: &[("t1", "会员等级", "SVIP"), ("t2", "会员等级", "普通")], ..Listing::usual() }.read(&sandbox, 1);
    let former = "universe: followed\nas_of: latest\nwhere: {tag: {any_of: [会员等级/VIP], follower: any}}\n";
    sandbox.write("former.yaml", former);
    sandbox.write("referring.yaml", "universe: followed\nas_of: latest\nwhere: {segment: former}\n");

    let note =
        "the tag `会员等级/VIP` is called `会员等级/SVIP` now (its id is `t1`); write the name of today, or the id";
    let counted = sandbox.ok(&["segment", "count", "former.yaml", "--format", "json"]);
    counted.says(&format!("note: {note}"));
    let answer: Value = serde_json::from_str(&counted.stdout).unwrap();
    assert_eq!((&answer["count"], &answer["notes"]), (&json!(5), &json!([note])));

    sandbox.ok(&["segment", "explain", "referring.yaml"]).says(&format!("note: in segment `former`: {note}"));
    sandbox.ok(&["segment", "validate", "former.yaml"]).says(&format!("note: former.yaml: {note}"));
}

#[test]
fn s2_a_tag_that_was_made_again_under_its_old_name_is_another_tag() {
    let sandbox = first_read();
    let again = [("t1", "会员等级", "VIP"), ("t3", "会员等级", "普通")];
    Listing { tags: &again, ..Listing::usual() }.read(&sandbox, 1);
    let told: Vec<String> = changes(&sandbox, "tag")
        .iter()
        .map(|change| {
            let word = |key: &str| change[key].as_str().unwrap_or_default().to_owned();
            format!("{} {} ({}, {}]", word("change"), word("id"), word("seen_after"), word("seen_by"))
        })
        .collect();
    let interval = format!("({}, {}]", READINGS[0], READINGS[1]);
    assert_eq!(told, [format!("ended t2 {interval}"), format!("added t3 {interval}")]);
}

/// The log of a customer: what happened between which instants.
fn log(sandbox: &Sandbox, customer: &str) -> Vec<String> {
    let sql = format!(
        "SELECT op, cause, seen_after, seen_by, assigned_at FROM assignment_log JOIN customer USING (customer_no) \
         WHERE customer_id = '{customer}' ORDER BY snapshot_id"
    );
    let told = |row: Value| {
        assert_eq!(row["assigned_at"], Value::Null, "no source told: {row}");
        let word = |key: &str| row[key].as_str().unwrap_or("-").to_owned();
        format!("{} {} ({}, {}]", word("op"), word("cause"), word("seen_after"), word("seen_by"))
    };
    sandbox.sql(&sql).into_iter().map(told).collect()
}

#[test]
fn the_assignment_log_keeps_the_instants_between_which_a_tag_came_went_and_came_back() {
    let sandbox = first_read();
    let without_c1 = || Listing { held: Listing::usual().held.split_off(1), ..Listing::usual() };
    without_c1().read(&sandbox, 1);
    Listing::usual().read(&sandbox, 2);

    let [first, second, third] = READINGS;
    let expected = [
        // No reading before the first: not before the tag was made, which was after the customer was added.
        format!("open listed ({MADE_AT}, {first}]"),
        format!("close unlisted ({first}, {second}]"),
        format!("open listed ({second}, {third}]"),
    ];
    assert_eq!(log(&sandbox, "c1"), expected);
    assert_eq!(log(&sandbox, "c2"), expected[..1], "what stays is written once");

    let intervals = sandbox.sql(
        "SELECT opened_after, opened_by, closed_after, closed_by, is_held FROM assignment JOIN customer \
         USING (customer_no) WHERE customer_id = 'c1' ORDER BY opened_by",
    );
    let over = json!({
        "opened_after": MADE_AT, "opened_by": first, "closed_after": first, "closed_by": second, "is_held": false,
    });
    let held = json!({
        "opened_after": second, "opened_by": third, "closed_after": null, "closed_by": null, "is_held": true,
    });
    assert_eq!(intervals, [over, held]);
    let past = ["--as-of", "2", "sql", "SELECT count(*) AS holders FROM assignment WHERE is_held", "--format", "json"];
    assert_eq!(sandbox.json(&past), json!([{"holders": 4}]), "the second snapshot still says what it said");
}

#[test]
fn a_tag_on_a_follow_that_no_reading_covered_is_not_dated_by_that_reading() {
    let sandbox = first_read();
    let mut grown = Listing::usual();
    grown.follows.push(("c6", "2026-06-05 08:00:00"));
    grown.held.push(("c6", "t1"));
    grown.held.push(("c5", "t2"));
    grown.read(&sandbox, 1);
    let [first, second, _] = READINGS;
    // Added after the first reading, so that the tag cannot be older than the follow.
    assert_eq!(log(&sandbox, "c6"), [format!("open listed (2026-06-05T00:00:00Z, {second}]")]);
    // There at the first reading, without the tag.
    assert_eq!(log(&sandbox, "c5")[1], format!("open listed ({first}, {second}]"));
}

//! An uploaded list's way into the warehouse: every row accounted for, then a plan like any other.

use serde_json::{Value, json};

use crate::harness::shop::{CsvSource, Table};
use crate::harness::{Answer, Sandbox};

const LIST: &str = include_str!("data/import/vips.csv");
const WORKBOOK: &[u8] = include_bytes!("data/import/vips.xlsx");

/// `wang` was first with everybody he follows; `c5` has deleted him.
const FOLLOWS: &str = "\
customer,staff,added,status
c1,wang,2026-01-01 08:00:00,active
c1,li,2026-02-01 08:00:00,active
c2,wang,2026-01-01 08:00:00,half
c3,wang,2026-01-01 08:00:00,active
c5,wang,2026-01-01 08:00:00,left
c6,wang,2026-01-01 08:00:00,active
10001,wang,2026-01-01 08:00:00,active
";

/// Three calendar months before the reading are the early morning of the last of February.
const LOGINS: &str = "\
id,customer,happened
l1,c1,2026-02-28 02:00:00
l2,c2,2026-05-01 08:00:00
l3,c6,2026-02-28 01:59:59
";

const TABLES: [Table<'static>; 5] = [
    ("tag", "mode: full", "SELECT group_name, name AS tag_name FROM tags"),
    ("customer", "mode: full", "SELECT DISTINCT customer AS customer_id FROM follows"),
    (
        "follow",
        "mode: full",
        "SELECT customer AS customer_id, staff AS staff_id, added AS added_at, status FROM follows",
    ),
    (
        "assignment",
        "mode: full",
        "SELECT customer AS customer_id, staff AS staff_id, '等级' AS group_name, tag AS tag_name FROM held",
    ),
    (
        "event",
        "mode: append",
        "SELECT id AS event_id, customer AS customer_id, 'login' AS type, happened AS occurred_at FROM logins",
    ),
];

const FIRST: &str = "2026-05-31T02:00:00+08:00";
const SECOND: &str = "2026-06-07T02:00:00+08:00";

/// Reads the corp with who holds which tag.
fn read_corp(sandbox: &Sandbox, taken_at: &str, held: &str) {
    let tags = "group_name,name\n等级,VIP\n等级,金卡\n课程,理财\n";
    let files = [("tags", tags), ("follows", FOLLOWS), ("held", held), ("logins", LOGINS)];
    let source = CsvSource { name: "corp", id_space: "corp", taken_at, files: &files, tables: &TABLES };
    source.ingest(sandbox).says("published snapshot");
}

/// A shop that has a customer of the same id as the corp has.
const SHOP: CsvSource<'static> = CsvSource {
    name: "shop",
    id_space: "shop",
    taken_at: FIRST,
    files: &[("buyers", "id,city\nc6,上海\n")],
    tables: &[("customer", "mode: full", "SELECT id AS customer_id, city FROM buyers")],
};

const ACTIVE: &str = "\
universe: followed
as_of: latest
where: {event: login, window: {from: as_of - 3 months, to: as_of}, measure: count, op: \">=\", value: 1}
";

/// The two sources after their readings, with the list in both its forms.
fn corp() -> Sandbox {
    Sandbox::made_once("import", |sandbox| {
        read_corp(sandbox, FIRST, "customer,staff,tag\nc1,wang,金卡\n");
        SHOP.ingest(sandbox);
        sandbox.write("segments/active.yaml", ACTIVE);
        sandbox.write("vips.csv", LIST);
        sandbox.write("vips.xlsx", WORKBOOK);
    })
}

/// An import of that file by `li`, with further words.
fn words<'w>(file: &'w str, more: &[&'w str]) -> Vec<&'w str> {
    [&["--as", "li", "import", file, "--tag", "等级/VIP"][..], more].concat()
}

fn import(sandbox: &Sandbox, file: &str, more: &[&str]) -> Value {
    let more = [more, &["--format", "json"]].concat();
    sandbox.json(&words(file, &more))
}

/// How many rows came to what: matched, inactive, unmatched, duplicate, rejected. They have to add up.
fn sums(plan: &Value) -> [u64; 5] {
    let rows = &plan["rows"];
    let sums = ["matched", "inactive", "unmatched", "duplicate", "rejected"].map(|what| rows[what].as_u64().unwrap());
    assert_eq!(rows["uploaded"].as_u64(), Some(sums.iter().sum()), "{plan}");
    sums
}

fn plan_id(plan: &Value) -> &str {
    plan["plan"]["plan_id"].as_str().unwrap()
}

/// Approves and executes a plan.
fn carry_out(sandbox: &Sandbox, id: &str) -> Value {
    sandbox.ok(&["--as", "wang", "plan", "approve", id]);
    sandbox.json(&["--as", "zhao", "plan", "execute", id, "--format", "json"])
}

/// Customer and staff member of each follow that imports of the list hold tags on.
fn holders(sandbox: &Sandbox) -> Vec<String> {
    let rows = sandbox.sql(
        "SELECT customer.customer_id || ' ' || coalesce(follow.staff_id, '-') AS holder FROM held_assignment AS held \
         JOIN customer ON customer.customer_no = held.customer_no \
         LEFT JOIN follow ON follow.follow_no = held.follow_no \
         WHERE held.source = 'import:vips' ORDER BY holder",
    );
    rows.iter().map(|row| row["holder"].as_str().unwrap().to_owned()).collect()
}

const LISTED: [&str; 5] = ["10001 wang", "c1 li", "c1 wang", "c2 wang", "c6 wang"];

#[test]
fn s44_every_row_is_matched_unmatched_duplicate_or_rejected_and_the_errors_come_out_with_row_and_code() {
    let sandbox = corp();
    let plan = import(&sandbox, "vips.csv", &[]);
    assert_eq!(sums(&plan), [5, 0, 4, 2, 3]);
    assert_eq!(plan["rows"]["uploaded"], LIST.lines().count() - 1);
    assert_eq!((&plan["entering"], &plan["unchanged"]), (&json!(5), &json!(0)));
    assert_eq!(plan["errors"], "vips.csv.errors.csv");
    let errors = sandbox.read("vips.csv.errors.csv");
    let found: Vec<[&str; 4]> = errors
        .lines()
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            [cells[0], cells[1], cells[2], cells[cells.len() - 2]]
        })
        .collect();
    let expected = [
        ["row", "outcome", "code", "customer_id"],
        ["5", "duplicate", "DUPLICATE", "c2"],
        ["6", "unmatched", "CUSTOMER_UNKNOWN", "c9"],
        ["7", "unmatched", "NOT_FOLLOWED_BY_STAFF", "c3"],
        ["8", "rejected", "ID_EMPTY", ""],
        ["9", "rejected", "CUSTOMER_AMBIGUOUS", "c6"],
        ["11", "unmatched", "NOT_FOLLOWED", "c5"],
        ["13", "rejected", "ID_ROUNDED", "1.23457E+17"],
        ["14", "unmatched", "CUSTOMER_UNKNOWN", "'=1+1"],
        ["15", "duplicate", "DUPLICATE", "c9"],
    ];
    assert_eq!(found, expected, "{errors}");
}

#[test]
fn a_workbook_and_the_csv_with_its_rows_are_the_same_plan() {
    let sandbox = corp();
    let csv = import(&sandbox, "vips.csv", &[]);
    let workbook = import(&sandbox, "vips.xlsx", &[]);
    assert_eq!(sums(&workbook), sums(&csv));
    assert_eq!(plan_id(&workbook), plan_id(&csv));
    assert_eq!(sandbox.read("vips.xlsx.errors.csv"), sandbox.read("vips.csv.errors.csv"));
    let plans = sandbox.json(&["plan", "list", "--format", "json"]);
    assert_eq!(plans.as_array().unwrap().len(), 1, "{plans}");
}

#[test]
fn s45_who_was_not_active_in_the_last_three_calendar_months_is_told_apart() {
    let sandbox = corp();
    let active = ["--definitions", "segments", "--segment", "active"];
    let plan = import(&sandbox, "vips.csv", &active);
    assert_eq!(sums(&plan), [3, 2, 4, 2, 3]);
    let evidence = plan["sample"][0]["evidence"].as_str().unwrap();
    assert!(evidence.ends_with("of `vips`, in `active` as of 2026-05-31 02:00"), "{evidence}");
    let errors = sandbox.read("vips.csv.errors.csv");
    let inactive: Vec<&str> = errors.lines().filter(|line| line.contains(",NOT_IN_SEGMENT,")).collect();
    assert_eq!(inactive.len(), 2, "{errors}");
    assert!(inactive[0].starts_with("10,inactive,") && inactive[1].starts_with("12,inactive,"), "{errors}");
    carry_out(&sandbox, plan_id(&plan));
    assert_eq!(holders(&sandbox), LISTED[1..4]);

    // Who is let in by no segment is added, and nobody is tagged twice.
    let all = import(&sandbox, "vips.csv", &[]);
    assert_eq!((&all["entering"], &all["unchanged"]), (&json!(2), &json!(3)), "{all}");
    sandbox.write("segments/active.yaml", ACTIVE.replace("latest", "1"));
    let refused = sandbox.fails(1, &words("vips.csv", &active));
    refused.says("segment `active` fixes its own `as_of`").says("hint: write `as_of: latest`");
}

#[test]
fn an_import_is_approved_executed_once_and_taken_back() {
    let sandbox = corp();
    let plan = import(&sandbox, "vips.csv", &[]);
    assert_eq!((&plan["plan"]["kind"], &plan["plan"]["source"]), (&json!("import"), &json!("import:vips")));
    let id = plan_id(&plan);
    sandbox.fails(3, &["--as", "li", "plan", "approve", id]).says("`li` made plan");
    sandbox.fails(3, &["plan", "execute", id]).says("only an approved plan is executed");
    assert_eq!(holders(&sandbox), Vec::<String>::new(), "a plan changes nothing");

    assert_eq!(carry_out(&sandbox, id)["receipts"]["done"], 5);
    assert_eq!(holders(&sandbox), LISTED);
    let again = import(&sandbox, "vips.csv", &[]);
    assert_eq!((&again["entering"], &again["unchanged"], &again["is_kept"]), (&json!(0), &json!(5), &json!(false)));
    sandbox.ok(&words("vips.csv", &[])).says("there is nothing to change, so no plan was made");
    let twice = sandbox.json(&["plan", "execute", id, "--format", "json"]);
    assert_eq!(twice["snapshot_id"], Value::Null, "{twice}");

    // The next reading of the corp lists other assignments, and ends none of these.
    read_corp(&sandbox, SECOND, "customer,staff,tag\nc2,wang,VIP\n");
    assert_eq!(holders(&sandbox), LISTED);

    let undo = sandbox.json(&["--as", "li", "plan", "undo", id, "--format", "json"]);
    carry_out(&sandbox, undo["plan_id"].as_str().unwrap());
    assert_eq!(holders(&sandbox), Vec::<String>::new());
    assert_eq!(sandbox.json(&["plan", "show", id, "--format", "json"])["state"], "undone");
}

#[test]
fn a_list_tags_the_owner_s_follow_every_follow_or_the_customer() {
    let check = |on: &str, expected_sums: [u64; 5], expected: &[&str]| {
        let sandbox = corp();
        let plan = import(&sandbox, "vips.csv", &["--on", on]);
        assert_eq!(sums(&plan), expected_sums, "{on}");
        carry_out(&sandbox, plan_id(&plan));
        assert_eq!(holders(&sandbox), expected, "{on}");
    };
    check("owner", [5, 0, 4, 2, 3], &LISTED);
    check("all_active", [4, 0, 4, 3, 3], &LISTED);
    check("customer", [5, 0, 3, 3, 3], &["10001 -", "c1 -", "c2 -", "c5 -", "c6 -"]);
}

#[test]
fn several_tags_are_one_plan_and_only_those_that_are_lacking_are_given() {
    let sandbox = corp();
    carry_out(&sandbox, plan_id(&import(&sandbox, "vips.csv", &[])));
    let both = import(&sandbox, "vips.csv", &["--tag", "{id: corp:课程/理财}"]);
    assert_eq!((&both["entering"], &both["plan"]["add_count"]), (&json!(5), &json!(5)), "{both}");
    assert_eq!(both["plan"]["title"], "vips → 等级/VIP, corp:课程/理财");
    assert_eq!(both["sample"][0]["add"], json!(["corp:课程/理财"]));
}

#[test]
fn people_are_told_the_sums_the_steps_and_what_comes_next() {
    let sandbox = corp();
    let told = sandbox.ok(&words("vips.xlsx", &[]));
    let lines: Vec<&str> = told.stdout.lines().collect();
    assert!(lines[0].starts_with("plan-") && lines[0].ends_with(" · vips → 等级/VIP"), "{told:?}");
    assert_eq!(lines[1], "14 rows: 5 matched, 4 unmatched, 2 duplicate, 3 rejected");
    assert_eq!(lines[2], "5 follows get the tag, 0 hold it by this import already");
    assert!(told.stdout.contains("row 2 of `vips`"), "{told:?}");
    told.says("9 rows were not matched: `vips.xlsx.errors.csv` has them, with row and code");
    told.says("nothing is changed yet; next: `tagmill plan approve plan-");
}

#[test]
fn errors_go_where_they_are_wanted_and_none_are_left_over_from_before() {
    let sandbox = corp();
    sandbox.write("one.csv", "customer_id\nc9\n");
    sandbox.ok(&words("one.csv", &["--errors", "out.csv"])).says("1 row was not matched: `out.csv` has it");
    assert!(sandbox.read("out.csv").contains("\n2,unmatched,CUSTOMER_UNKNOWN,"));
    assert!(!sandbox.path("one.csv.errors.csv").exists());
    sandbox.ok(&words("one.csv", &[]));
    assert!(sandbox.read("one.csv.errors.csv").contains("c9"));

    sandbox.write("one.csv", "customer_id\nc1\n");
    sandbox.ok(&words("one.csv", &[])).says("every row was matched, so `one.csv.errors.csv` holds none");
    assert_eq!(sandbox.read("one.csv.errors.csv").lines().count(), 1);
    sandbox.fails(2, &words("one.csv", &["--errors", "./one.csv"])).says("`--errors` names the list itself");
    assert_eq!(sandbox.read("one.csv"), "customer_id\nc1\n");
}

#[test]
fn an_audience_that_was_handed_out_can_be_imported() {
    let sandbox = corp();
    sandbox.ok(&["audience", "export", "segments/active.yaml", "-o", "audience.csv"]);
    assert_eq!(sums(&import(&sandbox, "audience.csv", &[])), [2, 0, 0, 0, 0]);
}

/// Says why a file is no list.
fn refused(sandbox: &Sandbox, file: &str, content: impl AsRef<[u8]>, more: &[&str]) -> Answer {
    sandbox.write(file, content);
    let answer = sandbox.fails(1, &words(file, more));
    assert!(!answer.stderr.contains("internal error"), "{answer:?}");
    assert!(!sandbox.path(&format!("{file}.errors.csv")).exists(), "{file}");
    answer
}

#[test]
fn what_is_no_list_is_refused_with_advice() {
    let sandbox = corp();
    let no_column = refused(&sandbox, "names.csv", "姓名,手机\n李雷,139\n", &[]);
    no_column.says("`names.csv` has no column that is known to hold customers");
    no_column.says("hint: `--column NAME` says which it is; its columns are `姓名`, `手机`");
    refused(&sandbox, "names.csv", "姓名\nc1\n", &["--column", "名"]).says("`names.csv` has no column `名`");
    refused(&sandbox, "empty.csv", "", &[]).says("`empty.csv` holds nothing");
    refused(&sandbox, "open.csv", "customer_id,note\nc1,\"open\n", &[]).says("has a quote that is not closed");
    refused(&sandbox, "nul.csv", "customer_id\nc1\0\n", &[]).says("is neither text nor a workbook");
    refused(&sandbox, "old.xls", b"\xd0\xcf\x11\xe0\xa1", &[]).says("is a workbook of the old form");
    refused(&sandbox, "half.xlsx", &WORKBOOK[..1000], &[]).says("cannot be read as a workbook");
    sandbox.fails(1, &words("none.csv", &[])).says("could not read the upload `none.csv`");
    let unknown = ["--as", "li", "import", "vips.csv", "--tag", "等级/VIPP"];
    sandbox.fails(1, &unknown).says("there is no tag `等级/VIPP`").says("did you mean `等级/VIP`?");
    assert_eq!(sandbox.json(&["plan", "list", "--format", "json"]), json!([]));
}

#[test]
fn a_list_of_another_tongue_or_with_a_thousand_columns_is_read() {
    let sandbox = corp();
    sandbox.write("gbk.csv", b"\xbf\xcd\xbb\xa7ID;x\r\nc1;1\r\n\r\nc9;2\r\n");
    assert_eq!(sums(&import(&sandbox, "gbk.csv", &[])), [1, 0, 1, 0, 0]);
    assert!(sandbox.read("gbk.csv.errors.csv").contains("\n4,unmatched,"), "the blank line is counted");
    let wide: String = (0..10_000).map(|number| format!("column_{number},")).collect();
    sandbox.write("wide.csv", format!("{wide}学员\n{}c1\n", ",".repeat(10_000)));
    assert_eq!(sums(&import(&sandbox, "wide.csv", &["--column", "学员"])), [1, 0, 0, 0, 0]);
}

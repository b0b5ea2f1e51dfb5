//! `tagmill erase`: a customer's private values are gone from every byte that is kept, as readers see it that share no
//! code with the program, and nothing else is.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tagmill_store::{AuditEntry, Warehouse};

use crate::harness::outside::{check_counts, seen_from_outside};
use crate::harness::python::script_ok;
use crate::harness::shop::{CsvSource, Table};
use crate::harness::view::wait_for;
use crate::harness::{Sandbox, files_below};

/// When the sources were read.
const READINGS: [&str; 3] = ["2026-06-01T00:00:00Z", "2026-06-08T00:00:00Z", "2026-06-15T00:00:00Z"];

const CORP: [Table<'static>; 5] = [
    ("tag", "mode: full", "SELECT '等级' AS group_name, name AS tag_name FROM tags"),
    (
        "customer",
        "mode: full\nattributes: {email: {type: text, private: true}, score: int}",
        "SELECT id AS customer_id, name, unionid, mobile, email, score, city FROM people",
    ),
    (
        "follow",
        "mode: full",
        "SELECT customer AS customer_id, 'wang' AS staff_id, added AS added_at, remark FROM follows",
    ),
    (
        "assignment",
        "mode: full",
        "SELECT customer AS customer_id, 'wang' AS staff_id, '等级' AS group_name, '银卡' AS tag_name FROM follows",
    ),
    (
        "id_map",
        "mode: upsert",
        "SELECT 'douyin' AS platform, open_id AS platform_id, id AS customer_id FROM people WHERE length(open_id) > 0",
    ),
];

const SHOP: Table<'static> = (
    "event",
    "mode: append\nproperties: {note: {type: text, private: true}}",
    "\
SELECT
  id AS event_id,
  customer AS customer_id,
  mobile,
  md5 AS mobile_md5,
  'pay' AS type,
  paid_at AS occurred_at,
  amount,
  'CNY' AS currency,
  note
FROM orders",
);

/// Four customers. The first, who is to go, has neither this name nor a mobile number at the second reading.
const PEOPLE: &str = "\
id,name,unionid,mobile,email,score,city,open_id
wm-victim-0001,王小明,un-victim-0001,,victim@example.com,7,上海,dy-victim-0001
wm-other-0002,李雷,un-other-0002,13900139000,other@example.com,8,杭州,dy-other-0002
wm-other-0003,韩梅梅,,13900139003,,9,,
wm-other-0004,Polly,,,,1,,
";

const FOLLOWS: &str = "\
customer,added,remark
wm-victim-0001,2026-01-01 08:00:00,喜欢红茶的老客户
wm-other-0002,2026-01-02 08:00:00,朋友介绍来的
";

/// One by id, one that waits for a number that nobody has yet, another's, and one without a proper time.
const ORDERS: &str = "\
id,customer,mobile,md5,paid_at,amount,note
o1,wm-victim-0001,,,2026-05-01 10:00:00,100.00,寄到浦东大道七十七号
o2,,,392ce09321418d1b02f105334120923d,2026-05-02 10:00:00,200.00,门卫代收的包裹
o3,wm-other-0002,,,2026-05-03 10:00:00,300.00,送到西湖边上
o4,,138 0013 8002,,last week,400.00,
";

/// One that can be taken whoever was erased.
const OTHERS_ORDER: &str = "o5,wm-other-0002,,,2026-06-10 10:00:00,1.00,";

const VICTIM: &str = "corp:wm-victim-0001";
/// What nobody may find afterwards: everything private that was ever said of the customer.
const VALUES: [&str; 12] = [
    "wm-victim-0001",
    "王小明",
    "王大明",
    "un-victim-0001",
    "+86 138-0013-8002",
    "138 0013 8002",
    "392ce09321418d1b02f105334120923d",
    "victim@example.com",
    "喜欢红茶的老客户",
    "寄到浦东大道七十七号",
    "门卫代收的包裹",
    "dy-victim-0001",
];
/// What is another's.
const OTHERS: [&str; 8] = [
    "wm-other-0002",
    "李雷",
    "un-other-0002",
    "13900139000",
    "other@example.com",
    "朋友介绍来的",
    "送到西湖边上",
    "dy-other-0002",
];

fn read_corp(sandbox: &Sandbox, reading: usize, people: &str) {
    write_corp(sandbox, reading, people);
    sandbox.ok(&["ingest", "corp.yaml"]).says("published snapshot");
}

fn write_corp(sandbox: &Sandbox, reading: usize, people: &str) {
    let tags = "name\n银卡\n金卡\nVIP\n";
    let files = [("people", people), ("follows", FOLLOWS), ("tags", tags)];
    let source =
        CsvSource { name: "corp", id_space: "corp", taken_at: READINGS[reading], files: &files, tables: &CORP };
    source.write(sandbox);
}

fn read_shop(sandbox: &Sandbox, reading: usize, orders: &str) {
    let (files, tables) = ([("orders", orders)], [SHOP]);
    let source =
        CsvSource { name: "shop", id_space: "corp", taken_at: READINGS[reading], files: &files, tables: &tables };
    source.ingest(sandbox).says("published snapshot");
}

/// Makes a plan of a list that names the customer; returns its id.
fn import(sandbox: &Sandbox, tag: &str) -> String {
    let plan = sandbox.json(&["--as", "li", "import", "list.csv", "--tag", tag, "--format", "json"]);
    plan["plan"]["plan_id"].as_str().unwrap().to_owned()
}

/// A corp and its shop: four snapshots, an executed plan, one that waits, and a run that was refused.
fn corp() -> Sandbox {
    Sandbox::made_once("erase", |sandbox| {
        read_corp(sandbox, 0, PEOPLE);
        read_shop(sandbox, 0, ORDERS);
        let later = PEOPLE.replace("王小明,un-victim-0001,,", "王大明,un-victim-0001,+86 138-0013-8002,");
        read_corp(sandbox, 1, &later);
        sandbox.write("list.csv", "customer_id\nwm-victim-0001\nwm-other-0002\n");
        let executed = import(sandbox, "等级/VIP");
        sandbox.ok(&["--as", "wang", "plan", "approve", &executed]);
        sandbox.ok(&["--as", "wang", "plan", "execute", &executed]);
        import(sandbox, "等级/金卡");
        let alone: Vec<&str> = later.lines().take(2).collect();
        sandbox.write("people.csv", format!("{}\n", alone.join("\n")).replace(",7,", ",70,"));
        sandbox.fails(3, &["ingest", "corp.yaml"]);
    })
}

/// Where values are, by their paths below the warehouse, as Python finds them.
fn found(sandbox: &Sandbox, values: &[&str]) -> BTreeMap<String, Vec<String>> {
    let folder = sandbox.warehouse().display().to_string();
    let args = [&["--folder", folder.as_str()][..], values].concat();
    serde_json::from_str(&script_ok("find_values.py", &args).stdout).unwrap()
}

/// Everything that is kept.
fn contents(sandbox: &Sandbox) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = files_below(&sandbox.warehouse()).into_keys();
    files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn audit(sandbox: &Sandbox) -> Vec<AuditEntry> {
    let warehouse = sandbox.warehouse();
    wait_for(|| async move {
        let warehouse = Warehouse::open(warehouse.to_str().unwrap()).await.unwrap();
        warehouse.control().unwrap().audit().unwrap()
    })
}

/// What every snapshot counts.
fn counted(sandbox: &Sandbox) -> Vec<Value> {
    let sql = "SELECT (SELECT count(*) FROM customer) AS customers, (SELECT count(city) FROM customer) AS cities, \
               (SELECT sum(score) FROM customer) AS score, (SELECT count(*) FROM follow) AS follows, \
               (SELECT count(*) FROM held_assignment) AS held, (SELECT count(DISTINCT event_id) FROM event) AS events, \
               (SELECT sum(amount) FROM event) AS amount, (SELECT count(*) FROM unmatched_event) AS waiting, \
               (SELECT count(code) FROM quarantine) AS refused, \
               (SELECT count(DISTINCT platform_id) FROM id_map) AS links";
    let ids = sandbox.snapshot_ids();
    ids.iter().map(|id| sandbox.json(&["--as-of", &id.to_string(), "sql", sql, "--format", "json"])).collect()
}

#[test]
fn no_byte_of_the_warehouse_tells_of_the_customer_and_every_count_is_what_it_was() {
    let sandbox = corp();
    let (values, others) = (found(&sandbox, &VALUES), found(&sandbox, &OTHERS));
    let unseen = values.iter().filter(|(_, paths)| paths.is_empty()).map(|(value, _)| value);
    let unseen: Vec<&String> = unseen.collect();
    assert!(unseen.is_empty(), "the test has to look for what is there: {unseen:?}");
    let (counts, ledger) = (counted(&sandbox), sandbox.ok(&["snapshot", "list", "--format", "json"]).stdout);

    let answer = sandbox.ok(&["--as", "li", "erase", VICTIM]);
    answer.says("erased customer 0, from now on `erased:0`: ").says("nothing of it is left");
    for (value, paths) in found(&sandbox, &VALUES) {
        assert!(paths.is_empty(), "`{value}` is left in {paths:?}");
    }
    assert_eq!(found(&sandbox, &OTHERS), others, "what is others' stays where it was");
    assert_eq!(counted(&sandbox), counts);
    assert_eq!(sandbox.ok(&["snapshot", "list", "--format", "json"]).stdout, ledger);
    for id in sandbox.snapshot_ids() {
        check_counts(&sandbox, id, &seen_from_outside(&sandbox, Some(id)));
        let sql = "SELECT customer_id, name, unionid, mobile, email, city FROM customer WHERE customer_no = 0";
        let row = sandbox.json(&["--as-of", &id.to_string(), "sql", sql, "--format", "json"]);
        let erased = json!({
            "customer_id": "erased:0", "name": null, "unionid": null, "mobile": null, "email": null, "city": "上海",
        });
        assert_eq!(row, json!([erased]), "snapshot {id}");
    }
    let findings = sandbox.json(&["doctor", "--format", "json"]);
    let severities: Vec<&str> = findings.as_array().unwrap().iter().filter_map(|it| it["severity"].as_str()).collect();
    assert_eq!(severities, ["note"], "the refused run is told, and nothing else: {findings}");
}

#[test]
fn the_act_is_audited_the_plans_say_so_and_readings_go_on() {
    let sandbox = corp();
    sandbox.ok(&["--as", "li", "erase", VICTIM]);
    let acts = audit(&sandbox);
    let told: Vec<[&str; 3]> = acts.iter().map(|it| [&*it.actor, &*it.act, &*it.subject]).collect();
    assert_eq!(told, [["li", "erase", "customer 0"]]);
    assert!(acts[0].detail.contains("customer: ") && acts[0].detail.ends_with("plans: 2"), "{acts:?}");

    let plans = sandbox.json(&["plan", "list", "--format", "json"]);
    let mut states: Vec<&str> = plans.as_array().unwrap().iter().map(|plan| plan["state"].as_str().unwrap()).collect();
    states.sort_unstable();
    assert_eq!(states, ["executed", "rejected"]);

    let header = ORDERS.lines().next().unwrap();
    read_shop(&sandbox, 2, &format!("{header}\n{OTHERS_ORDER}\n"));
    let whose = "SELECT customer_id FROM event JOIN customer USING (customer_no) WHERE event_id = 'o5'";
    assert_eq!(sandbox.told(whose), ["wm-other-0002"]);
    for (value, paths) in found(&sandbox, &VALUES) {
        assert!(paths.is_empty(), "`{value}` is back in {paths:?}");
    }
}

#[test]
fn what_a_source_still_says_of_an_erased_customer_is_neither_taken_nor_kept() {
    let sandbox = corp();
    sandbox.ok(&["erase", VICTIM]);
    write_corp(&sandbox, 2, PEOPLE);
    // One follow of two is that customer's.
    sandbox.ok(&["ingest", "corp.yaml", "--accept-shrink"]);
    let header = ORDERS.lines().next().unwrap();
    read_shop(&sandbox, 2, &format!("{header}\n{OTHERS_ORDER}\no6,wm-victim-0001,,,2026-06-10 10:00:00,1.00,王小明\n"));
    for (value, paths) in found(&sandbox, &VALUES) {
        assert!(paths.is_empty(), "`{value}` is back in {paths:?}");
    }
    let refused = "SELECT target || ' ' || raw FROM quarantine WHERE code = 'ERASED' ORDER BY target";
    let rows = ["assignment erased", "customer erased", "event erased", "follow erased", "id_map erased"];
    assert_eq!(sandbox.told(refused), rows);
    assert_eq!(sandbox.told("SELECT count(*) FROM customer"), ["4"], "nobody new was made of them");
}

#[test]
fn a_dry_run_says_what_would_be_replaced_and_changes_nothing() {
    let sandbox = corp();
    let before = contents(&sandbox);
    let dry = sandbox.json(&["erase", VICTIM, "--dry-run", "--format", "json"]);
    assert_eq!(contents(&sandbox), before);
    let rows = dry.as_array().unwrap();
    let what: Vec<&str> = rows.iter().map(|row| row["what"].as_str().unwrap()).collect();
    assert_eq!(what, ["customer", "follow", "event", "unmatched_event", "id_map", "quarantine", "plan"]);
    assert_eq!(rows[6], json!({"what": "plan", "files": 2, "rows": null}));
    sandbox.ok(&["erase", VICTIM, "--dry-run"]).says("dry run: customer 0 would become `erased:0`: ");
    assert_eq!(sandbox.json(&["erase", VICTIM, "--format", "json"]), dry);
}

#[test]
fn who_was_erased_is_told_when_and_nothing_changes_again() {
    let sandbox = corp();
    sandbox.ok(&["--as", "li", "erase", "wm-victim-0001"]);
    let before = contents(&sandbox);
    for name in [VICTIM, "wm-victim-0001", "erased:0"] {
        let again = sandbox.ok(&["--as", "wang", "erase", name]);
        again.says("customer 0 was erased on ").says(" by li; nothing was changed");
    }
    assert_eq!(contents(&sandbox), before);
    assert_eq!(audit(&sandbox).len(), 1);
}

#[test]
fn who_is_not_there_and_who_could_be_two_are_refused() {
    let sandbox = corp();
    let files = [("buyers", "id,city\nwm-victim-0001,上海\n")];
    let tables = [("customer", "mode: full", "SELECT id AS customer_id, city FROM buyers")];
    let twin = CsvSource { name: "twin", id_space: "twin", taken_at: READINGS[2], files: &files, tables: &tables };
    twin.ingest(&sandbox);
    let before = contents(&sandbox);
    for unknown in ["wm-nobody", "shop:wm-victim-0001", ""] {
        sandbox.fails(1, &["erase", unknown]).says("there is no customer `").says("hint: a customer is named as");
    }
    let two = sandbox.fails(2, &["erase", "wm-victim-0001"]);
    two.says("`wm-victim-0001` fits `").says("`corp:wm-victim-0001`").says("`twin:wm-victim-0001`");
    sandbox.fails(2, &["--as", " ", "erase", VICTIM]).says("hint: `--as NAME` says who");
    assert_eq!(contents(&sandbox), before);
}

#[test]
fn what_was_exported_into_the_warehouse_is_told_and_left() {
    let sandbox = corp();
    sandbox.write("warehouse/audiences/vip.csv", "customer_id,name\nwm-victim-0001,王大明\n");
    let answer = sandbox.fails(1, &["erase", VICTIM]);
    answer.says("left in `audiences/vip.csv` (yours, and not changed): outside id");
    answer.says("something of the customer is left; places: 2").says("hint: what is yours is not changed");
    let left = found(&sandbox, &VALUES);
    for (value, paths) in left {
        assert!(paths.iter().all(|path| path == "audiences/vip.csv"), "`{value}` is left in {paths:?}");
    }
}

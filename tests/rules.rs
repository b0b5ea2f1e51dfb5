//! A rule's way into the warehouse: run → plan → approval by somebody else → execution → undo.

use serde_json::Value;

use crate::harness::Sandbox;
use crate::harness::corp::corp;
use crate::harness::shop::CsvSource;

/// Who has not logged in for so many months gets a tag, and loses it with the next login.
fn sleeping(months: u32) -> String {
    format!(
        "tag: 活跃度/沉睡用户
on: all_active
when:
  universe: followed
  where:
    event: login
    window: lifetime
    measure: last
    op: \"<\"
    value: as_of - {months} months
    never: since_created
on_exit: retract
review: {{required: true, sample: 3, max_size_change: 0.1}}
"
    )
}

const HOLDERS: &str = "universe: followed\nas_of: latest\nwhere: {tag: {any_of: [活跃度/沉睡用户], follower: any}}\n";

/// The sample corp with the rule, to be changed.
fn corp_with_rule() -> Sandbox {
    let sandbox = Sandbox::copy_of(corp());
    sandbox.write("rules/sleeping.yaml", sleeping(3));
    sandbox.write("holders.yaml", HOLDERS);
    sandbox
}

/// Runs the rule as `li`.
fn run_rule(sandbox: &Sandbox) -> Value {
    sandbox.json(&["--as", "li", "rule", "run", "rules/sleeping.yaml", "--format", "json"])
}

fn plan_id(plan: &Value) -> &str {
    plan["plan_id"].as_str().unwrap()
}

fn execute(sandbox: &Sandbox, plan_id: &str) -> Value {
    sandbox.json(&["--as", "zhao", "plan", "execute", plan_id, "--format", "json"])
}

fn approve(sandbox: &Sandbox, actor: &str, plan_id: &str) {
    sandbox.ok(&["--as", actor, "plan", "approve", plan_id]).says("(unverified)");
}

/// Makes the rule's plan, approves and executes it; returns the plan's id.
fn carry_out(sandbox: &Sandbox) -> String {
    let run = run_rule(sandbox);
    let id = plan_id(&run["plan"]).to_owned();
    approve(sandbox, "wang", &id);
    execute(sandbox, &id);
    id
}

/// How many followed customers hold the rule's tag, in the newest snapshot or in an earlier one.
fn holders(sandbox: &Sandbox, snapshot_id: Option<i64>) -> u64 {
    let id = snapshot_id.map_or("latest".to_owned(), |id| id.to_string());
    let answer = sandbox.json(&["--as-of", &id, "segment", "count", "holders.yaml", "--format", "json"]);
    answer["count"].as_u64().unwrap()
}

/// Invariant 4: nothing is changed but by executing a plan that somebody else than its author has approved.
#[test]
fn a_plan_is_executed_after_somebody_else_has_approved_it_and_not_before() {
    let sandbox = corp_with_rule();
    let run = run_rule(&sandbox);
    let (members, entering) = (run["members"].as_u64().unwrap(), run["entering"].as_u64().unwrap());
    assert!(members > 0 && entering >= members, "every active follow of a member is tagged: {run}");
    assert_eq!((run["leaving"].as_u64(), run["unchanged"].as_u64()), (Some(0), Some(0)));
    assert_eq!(run["plan"]["step_count"], entering);
    let id = plan_id(&run["plan"]);

    sandbox.fails(3, &["plan", "execute", id]).says("is pending, and only an approved plan is executed");
    sandbox.fails(3, &["--as", "li", "plan", "approve", id]).says("`li` made plan").says("hint: somebody else");
    assert_eq!(sandbox.snapshot_ids(), [1, 2, 3], "a plan changes nothing");
    assert_eq!(holders(&sandbox, None), 0);

    approve(&sandbox, "wang", id);
    let executed = execute(&sandbox, id);
    assert_eq!(executed["receipts"]["done"], entering, "{executed}");
    assert_eq!(executed["snapshot_id"], 4);
    assert_eq!(executed["state"], "executed");
    assert_eq!(executed["approvals"][0]["approved_by"], "wang");
    assert_eq!(executed["approvals"][0]["is_verified"], false);
    assert_eq!(holders(&sandbox, None), members);
    assert_eq!(holders(&sandbox, Some(3)), 0, "the snapshot before says what it said");
    let sources = sandbox.sql("SELECT DISTINCT source FROM assignment_log WHERE snapshot_id = 4");
    assert_eq!(sources, [serde_json::json!({"source": "rule:sleeping"})]);
}

/// Invariant 5.
#[test]
fn executing_a_plan_twice_changes_nothing_more_and_the_rule_has_nothing_left_to_do() {
    let sandbox = corp_with_rule();
    let id = carry_out(&sandbox);
    let log = sandbox.row_counts(4)["assignment_log"];

    let again = execute(&sandbox, &id);
    assert_eq!(again["snapshot_id"], Value::Null, "{again}");
    assert_eq!(sandbox.snapshot_ids(), [1, 2, 3, 4]);
    assert_eq!(sandbox.row_counts(4)["assignment_log"], log);

    let run = run_rule(&sandbox);
    assert_eq!((run["entering"].as_u64(), run["leaving"].as_u64()), (Some(0), Some(0)), "{run}");
    assert_eq!(run["is_kept"], false);
    let plans = sandbox.json(&["plan", "list", "--format", "json"]);
    assert_eq!(plans.as_array().unwrap().len(), 1, "a plan without steps is none: {plans}");
}

#[test]
fn an_executed_plan_is_taken_back_by_a_plan_of_its_own() {
    let sandbox = corp_with_rule();
    let id = carry_out(&sandbox);
    let tagged = holders(&sandbox, None);
    assert!(tagged > 0);

    let undo = sandbox.json(&["--as", "li", "plan", "undo", &id, "--format", "json"]);
    let undo_id = plan_id(&undo);
    assert_eq!(undo["kind"], "undo");
    sandbox.fails(3, &["plan", "execute", undo_id]);
    approve(&sandbox, "wang", undo_id);
    assert_eq!(execute(&sandbox, undo_id)["snapshot_id"], 5);
    assert_eq!(holders(&sandbox, None), 0);
    assert_eq!(holders(&sandbox, Some(4)), tagged);
    let undone = sandbox.json(&["plan", "show", &id, "--format", "json"]);
    assert_eq!(undone["state"], "undone");
    sandbox.fails(3, &["plan", "undo", &id]);
}

#[test]
fn a_run_that_changes_too_many_holders_is_refused() {
    let sandbox = corp_with_rule();
    carry_out(&sandbox);
    let tagged = holders(&sandbox, None);
    // One month instead of three makes far more than a tenth of them change.
    sandbox.write("rules/sleeping.yaml", sleeping(1));
    let refused = sandbox.fails(3, &["--as", "li", "rule", "run", "rules/sleeping.yaml"]);
    refused.says("more than the rule's `max_size_change: 0.1` allows").says("hint: look at the segment");
    assert_eq!(holders(&sandbox, None), tagged);
    let plans = sandbox.json(&["plan", "list", "--format", "json"]);
    assert_eq!(plans.as_array().unwrap().len(), 1, "a refused plan is not kept: {plans}");
}

#[test]
fn a_rejected_plan_is_never_executed() {
    let sandbox = corp_with_rule();
    let run = run_rule(&sandbox);
    let id = plan_id(&run["plan"]);
    sandbox.ok(&["--as", "wang", "plan", "reject", id, "--reason", "too many customers"]);
    sandbox.fails(3, &["--as", "wang", "plan", "approve", id]);
    sandbox.fails(3, &["plan", "execute", id]);
    let shown = sandbox.json(&["plan", "show", id, "--format", "json"]);
    assert_eq!(shown["state"], "rejected");
    assert!(shown["history"].to_string().contains("wang (too many customers)"), "{shown}");
}

#[test]
fn a_rule_on_customers_tags_them_and_none_of_their_follows() {
    let sandbox = Sandbox::copy_of(corp());
    sandbox.write("rules/sleeping.yaml", sleeping(3).replace("on: all_active", "on: customer"));
    let run = run_rule(&sandbox);
    assert_eq!(run["entering"], run["members"], "{run}");
    carry_out(&sandbox);
    let rows = sandbox.sql(
        "SELECT count(*) AS given, count(follow_no) AS on_follows, count(DISTINCT customer_no) AS customers \
         FROM assignment_log WHERE source = 'rule:sleeping'",
    );
    let members = &run["members"];
    let expected = serde_json::json!({"given": members, "on_follows": 0, "customers": members});
    assert_eq!(rows, [expected]);
}

#[test]
fn a_tag_that_may_not_be_marked_is_given_by_no_rule() {
    let sandbox = Sandbox::copy_of(corp());
    sandbox.write("rules/sleeping.yaml", sleeping(3).replace("活跃度/沉睡用户", "客户类型/内部员工"));
    let refused = sandbox.fails(3, &["--as", "li", "rule", "run", "rules/sleeping.yaml"]);
    refused.says("the plan is refused").says("may not be marked by us");
}

/// Two customers whom `wang` and `li` follow: one follow of `c1` holds both tags, and `c2` has them on two follows.
const TWO_TAGS: CsvSource<'static> = CsvSource {
    name: "corp",
    id_space: "corp",
    taken_at: "2026-06-15 02:00:00",
    files: &[
        ("customers", "id,city\nc1,上海\nc2,上海\n"),
        ("follows", "customer,staff,status\nc1,wang,active\nc1,li,active\nc2,wang,active\nc2,li,active\n"),
        ("tags", "group_name,tag\n标签,VIP\n标签,宠物主人\n标签,目标\n"),
        ("held", "customer,staff,tag\nc1,wang,VIP\nc1,wang,宠物主人\nc1,li,VIP\nc2,wang,VIP\nc2,li,宠物主人\n"),
    ],
    tables: &[
        ("customer", "mode: full", "SELECT id AS customer_id, city FROM customers"),
        ("follow", "mode: full", "SELECT customer AS customer_id, staff AS staff_id, status FROM follows"),
        ("tag", "mode: full", "SELECT group_name, tag AS tag_name FROM tags"),
        (
            "assignment",
            "mode: full",
            "SELECT customer AS customer_id, staff AS staff_id, '标签' AS group_name, tag AS tag_name FROM held",
        ),
    ],
};

/// A rule on what its condition matched.
fn matched(condition: &str) -> String {
    format!("tag: 标签/目标\non: matched\nwhen:\n  universe: followed\n  where: {condition}\non_exit: retract\n")
}

/// The hand-made corp with a rule on what its condition matched.
fn two_tags(condition: &str) -> Sandbox {
    let sandbox = Sandbox::made_once("two_tags", |sandbox| {
        TWO_TAGS.ingest(sandbox);
    });
    sandbox.write("rules/both.yaml", matched(condition));
    sandbox
}

#[test]
fn a_rule_on_matched_tags_the_follow_that_satisfied_it_and_no_other() {
    let sandbox = two_tags("{same_follower: [{tag: {any_of: [标签/VIP]}}, {tag: {any_of: [标签/宠物主人]}}]}");
    let run = sandbox.json(&["--as", "li", "rule", "run", "rules/both.yaml", "--format", "json"]);
    assert_eq!((run["members"].as_u64(), run["entering"].as_u64()), (Some(1), Some(1)), "{run}");
    let id = plan_id(&run["plan"]);
    approve(&sandbox, "wang", id);
    execute(&sandbox, id);
    let given = sandbox.sql(
        "SELECT customer.customer_id, follow.staff_id FROM held_assignment AS held \
         JOIN customer ON customer.customer_no = held.customer_no JOIN follow ON follow.follow_no = held.follow_no \
         WHERE held.source = 'rule:both'",
    );
    assert_eq!(given, [serde_json::json!({"customer_id": "c1", "staff_id": "wang"})]);
    let again = sandbox.json(&["--as", "li", "rule", "run", "rules/both.yaml", "--format", "json"]);
    assert_eq!((again["entering"].as_u64(), again["unchanged"].as_u64()), (Some(0), Some(1)), "{again}");
}

#[test]
fn a_rule_on_matched_needs_a_condition_that_holds_on_a_follow() {
    let sandbox = Sandbox::new();
    let no_vip = "{tag: {none_of: [标签/VIP], follower: any}}";
    for condition in [no_vip, "{sql: SELECT customer_no FROM customer}", "{not: {same_follower: [{staff: [wang]}]}}"] {
        sandbox.write("rules/both.yaml", matched(condition));
        let refused = sandbox.fails(1, &["rule", "run", "rules/both.yaml"]);
        refused.says("`rules/both.yaml` is not a valid rule").says("/on: no condition of this rule holds on a follow");
        refused.says("hint: `matched` needs a `tag:` or `same_follower:` outside `not`");
    }
}

#[test]
fn a_rule_finds_its_segments_beside_it_and_in_the_folder_of_definitions() {
    let sandbox = two_tags("{segment: both}");
    let segment = |condition: &str| format!("universe: followed\nas_of: latest\nwhere: {condition}\n");
    // The rule, and the segment in the folder of definitions, bear the same name.
    sandbox.write("segments/both.yaml", segment("{all: [{segment: vip}, {segment: pets}]}"));
    sandbox.write("segments/vip.yaml", segment("{tag: {any_of: [标签/VIP], follower: any}}"));
    sandbox.write("rules/pets.yaml", segment("{tag: {any_of: [标签/宠物主人], follower: any}}"));
    let run = ["--definitions", "segments", "--as", "li", "rule", "run", "rules/both.yaml", "--format", "json"];
    let found = sandbox.json(&run);
    // Each of the two customers has each tag on some follow, and each of the four follows holds one of them.
    assert_eq!((found["members"].as_u64(), found["entering"].as_u64()), (Some(2), Some(4)), "{found}");

    sandbox.write("rules/pets.yaml", segment("{segment: vip}"));
    sandbox.write("segments/vip.yaml", segment("{any: [{segment: pets}, {segment: both}]}"));
    sandbox.fails(1, &run).says("segments refer to each other in a circle: both → both → vip → pets → vip");
}

//! Plans and the world that moves on: who leaves a rule's segment, what no plan may do, and who may say so.

use std::fs;

use serde_json::{Value, json};
use tagmill_activate::{ComputedTagSink, TagSink};
use tagmill_schemas::ids::PlanId;
use tagmill_store::Warehouse;

use crate::harness::Sandbox;
use crate::harness::shop::{CsvSource, Table};
use crate::harness::view::wait_for;

/// Two readings, a week apart.
const FIRST: &str = "2026-06-15T02:00:00+08:00";
const SECOND: &str = "2026-06-22T02:00:00+08:00";

const TABLES: [Table<'static>; 5] = [
    (
        "tag",
        "mode: full",
        "SELECT id AS tag_id, '活跃度' AS group_name, name AS tag_name, kept = 'yes' AS is_protected FROM tags",
    ),
    ("customer", "mode: full", "SELECT DISTINCT customer AS customer_id FROM follows"),
    ("follow", "mode: full", "SELECT customer AS customer_id, staff AS staff_id, added AS added_at FROM follows"),
    ("assignment", "mode: full", "SELECT customer AS customer_id, staff AS staff_id, tag AS tag_id FROM held"),
    (
        "event",
        "mode: append",
        "SELECT id AS event_id, customer AS customer_id, 'login' AS type, happened AS occurred_at FROM logins",
    ),
];

/// Who has not logged in for three months.
const SLEEPS: &str =
    "{event: login, window: lifetime, measure: last, op: \"<\", value: as_of - 3 months, never: exclude}";

/// What a reading lists, in lines of CSV.
struct Listing {
    tags: Vec<&'static str>,
    follows: Vec<&'static str>,
    held: Vec<&'static str>,
    logins: Vec<&'static str>,
}

impl Listing {
    /// Five customers of `wang`, the first of whom `li` follows too. All but `c5` sleep, and nobody holds the rule's
    /// tag.
    fn usual() -> Self {
        Self {
            tags: vec!["t1,沉睡用户,no", "t2,普通,no", "t3,VIP,no", "t4,新客,no"],
            follows: vec![
                "c1,wang,2026-01-01 08:00:00",
                "c1,li,2026-02-01 08:00:00",
                "c2,wang,2026-01-01 08:00:00",
                "c3,wang,2026-01-01 08:00:00",
                "c4,wang,2026-01-01 08:00:00",
                "c5,wang,2026-01-01 08:00:00",
            ],
            held: vec!["c1,wang,t2", "c2,wang,t2", "c3,wang,t2", "c4,wang,t2", "c5,wang,t2", "c1,wang,t3"],
            logins: vec![
                "l1,c1,2026-01-05 08:00:00",
                "l2,c2,2026-01-05 08:00:00",
                "l3,c3,2026-01-05 08:00:00",
                "l4,c4,2026-01-05 08:00:00",
                "l5,c5,2026-06-01 08:00:00",
            ],
        }
    }

    /// The usual one after `c1` has logged in.
    fn after_a_login() -> Self {
        let mut listing = Self::usual();
        listing.logins.push("l6,c1,2026-06-20 08:00:00");
        listing
    }

    fn read(&self, sandbox: &Sandbox, taken_at: &str) {
        let files = [
            ("tags", "id,name,kept", &self.tags),
            ("follows", "customer,staff,added", &self.follows),
            ("held", "customer,staff,tag", &self.held),
            ("logins", "id,customer,happened", &self.logins),
        ];
        let files = files.map(|(name, header, lines)| (name, format!("{header}\n{}\n", lines.join("\n"))));
        let files = files.each_ref().map(|(name, content)| (*name, content.as_str()));
        let source = CsvSource { name: "corp", id_space: "corp", taken_at, files: &files, tables: &TABLES };
        source.ingest(sandbox).says("published snapshot");
    }
}

/// A rule that tags who sleeps, with the follows it tags and its way out.
fn rule(on: &str, on_exit: &str) -> String {
    format!("tag: 活跃度/沉睡用户\non: {on}\nwhen:\n  universe: followed\n  where: {SLEEPS}\non_exit: {on_exit}\n")
}

/// The corp after its first reading, with the rule `sleeping`.
pub fn corp(on: &str, on_exit: &str) -> Sandbox {
    let sandbox = Sandbox::made_once("plans", |sandbox| Listing::usual().read(sandbox, FIRST));
    sandbox.write("rules/sleeping.yaml", rule(on, on_exit));
    sandbox
}

const RUN: [&str; 4] = ["rule", "run", "rules/sleeping.yaml", "--format=json"];

/// A call under a name.
fn by<'w>(actor: &'w str, words: &[&'w str]) -> Vec<&'w str> {
    [&["--as", actor][..], words].concat()
}

/// Runs the rule as `li`.
fn run(sandbox: &Sandbox) -> Value {
    sandbox.json(&by("li", &RUN))
}

fn id_of(plan: &Value) -> String {
    plan["plan_id"].as_str().unwrap().to_owned()
}

/// Makes the rule's plan, and approves it.
fn approved(sandbox: &Sandbox) -> String {
    let id = id_of(&run(sandbox)["plan"]);
    sandbox.ok(&by("wang", &["plan", "approve", &id]));
    id
}

fn execute(sandbox: &Sandbox, id: &str) -> Value {
    sandbox.json(&by("wang", &["plan", "execute", id, "--format=json"]))
}

/// Makes the rule's plan, approves and executes it.
fn carry_out(sandbox: &Sandbox) -> String {
    let id = approved(sandbox);
    execute(sandbox, &id);
    id
}

/// Customer and staff member of each follow that the rule holds its tag on.
fn holders(sandbox: &Sandbox) -> Vec<String> {
    let rows = sandbox.sql(
        "SELECT customer.customer_id || ' ' || follow.staff_id AS holder FROM held_assignment AS held \
         JOIN customer ON customer.customer_no = held.customer_no JOIN follow ON follow.follow_no = held.follow_no \
         WHERE held.source = 'rule:sleeping' ORDER BY holder",
    );
    rows.iter().map(|row| row["holder"].as_str().unwrap().to_owned()).collect()
}

const ALL_SLEEPERS: [&str; 5] = ["c1 li", "c1 wang", "c2 wang", "c3 wang", "c4 wang"];

#[test]
fn s72_the_tag_is_lost_with_the_next_login() {
    let sandbox = corp("all_active", "retract");
    carry_out(&sandbox);
    assert_eq!(holders(&sandbox), ALL_SLEEPERS);
    Listing::after_a_login().read(&sandbox, SECOND);
    let again = run(&sandbox);
    let counts = ["entering", "leaving", "unchanged"].map(|what| again[what].as_u64().unwrap());
    assert_eq!(counts, [0, 2, 3], "{again}");
    carry_out(&sandbox);
    assert_eq!(holders(&sandbox), ALL_SLEEPERS[2..]);
}

#[test]
fn s73_a_sticky_rule_leaves_the_tag_to_whoever_has_left() {
    let sandbox = corp("all_active", "sticky");
    carry_out(&sandbox);
    Listing::after_a_login().read(&sandbox, SECOND);
    let again = run(&sandbox);
    let counts = ["members", "entering", "leaving", "unchanged"].map(|what| again[what].as_u64().unwrap());
    assert_eq!(counts, [3, 0, 0, 3], "{again}");
    assert_eq!(again["is_kept"], false);
    assert_eq!(holders(&sandbox), ALL_SLEEPERS);
}

#[test]
fn a_rule_on_the_owner_tags_the_follow_that_was_first() {
    let sandbox = corp("owner", "retract");
    carry_out(&sandbox);
    assert_eq!(holders(&sandbox), ALL_SLEEPERS[1..]);
}

#[test]
fn a_rule_on_matched_says_how_many_members_it_passes_over() {
    let sandbox = corp("matched", "retract");
    let matched = rule("matched", "retract")
        .replace(SLEEPS, &format!("{{any: [{{tag: {{any_of: [活跃度/VIP], follower: any}}}}, {SLEEPS}]}}"));
    sandbox.write("rules/sleeping.yaml", matched);
    let plan = run(&sandbox);
    let counts = ["members", "entering", "unmatched_members"].map(|what| plan[what].as_u64().unwrap());
    assert_eq!(counts, [4, 1, 3], "{plan}");
    let told = sandbox.ok(&by("li", &["rule", "run", "rules/sleeping.yaml"]));
    told.says("3 of the customers get no tag: the condition holds on none of their active follows");
}

#[test]
fn no_reading_of_a_source_ever_closes_what_a_rule_holds() {
    let sandbox = corp("all_active", "retract");
    carry_out(&sandbox);
    let mut listing = Listing::after_a_login();
    listing.held.pop();
    listing.read(&sandbox, SECOND);
    assert_eq!(holders(&sandbox), ALL_SLEEPERS);
    let closed =
        sandbox.sql("SELECT source, count(*) AS closed FROM assignment_log WHERE op = 'close' GROUP BY source");
    assert_eq!(closed, [json!({"source": "corp", "closed": 1})]);
}

#[test]
fn a_follow_that_ended_after_the_plan_was_made_is_skipped() {
    let sandbox = corp("all_active", "retract");
    let id = approved(&sandbox);
    let mut listing = Listing::usual();
    listing.follows.retain(|line| !line.starts_with("c4"));
    listing.held.retain(|line| !line.starts_with("c4"));
    listing.read(&sandbox, SECOND);
    let executed = execute(&sandbox, &id);
    assert_eq!(executed["receipts"], json!({"done": 4, "already": 0, "skipped": 1, "failed": 0}));
    assert_eq!(holders(&sandbox), ALL_SLEEPERS[..4]);
}

/// Invariant 5: the plan is published and killed before its receipts, and the world moves on before it is taken up
/// again.
#[test]
fn a_plan_that_is_taken_up_again_gives_nothing_back_that_another_plan_has_taken_since() {
    let sandbox = corp("all_active", "retract");
    let id = approved(&sandbox);
    wait_for(|| async {
        let warehouse = Warehouse::open(sandbox.warehouse().to_str().unwrap()).await.unwrap();
        let (control, plan_id) = (warehouse.control().unwrap(), PlanId::new(&id));
        let header = control.plan(&plan_id).unwrap().header;
        let steps = control.steps(&plan_id).unwrap();
        ComputedTagSink::new(warehouse).apply(&header, &steps).await.unwrap();
    });
    assert_eq!(holders(&sandbox), ALL_SLEEPERS);
    Listing::after_a_login().read(&sandbox, SECOND);
    carry_out(&sandbox);
    assert_eq!(holders(&sandbox), ALL_SLEEPERS[2..]);

    let taken_up = execute(&sandbox, &id);
    assert_eq!(taken_up["receipts"]["done"], 5, "{taken_up}");
    assert_eq!((&taken_up["state"], &taken_up["snapshot_id"]), (&json!("executed"), &Value::Null));
    assert_eq!(holders(&sandbox), ALL_SLEEPERS[2..]);
}

#[test]
fn steps_that_are_not_those_that_were_approved_are_refused() {
    let sandbox = corp("all_active", "retract");
    let id = approved(&sandbox);
    let file = sandbox.path(&format!("warehouse/plans/{id}.parquet"));
    let kept = fs::read(&file).unwrap();
    let refused = |content: &[u8]| {
        fs::write(&file, content).unwrap();
        let refused = sandbox.fails(3, &by("wang", &["plan", "execute", &id]));
        refused.says("are not those that were approved").says("hint: nothing was changed");
    };
    // The steps of another plan, which are well formed.
    sandbox.write("rules/sleeping.yaml", rule("owner", "retract"));
    let other = id_of(&run(&sandbox)["plan"]);
    refused(&fs::read(sandbox.path(&format!("warehouse/plans/{other}.parquet"))).unwrap());
    // One byte of the file is another, so that it is none.
    let mut broken = kept.clone();
    *broken.last_mut().unwrap() ^= 1;
    refused(&broken);
    assert_eq!(holders(&sandbox), Vec::<String>::new());

    fs::write(&file, &kept).unwrap();
    execute(&sandbox, &id);
    assert_eq!(holders(&sandbox), ALL_SLEEPERS);
}

#[test]
fn no_plan_takes_a_protected_tag_away_and_no_undo_does() {
    let sandbox = corp("all_active", "retract");
    let id = carry_out(&sandbox);
    let mut listing = Listing::after_a_login();
    listing.tags[0] = "t1,沉睡用户,yes";
    listing.read(&sandbox, SECOND);
    let refused = sandbox.fails(3, &by("li", &RUN));
    refused.says("`活跃度/沉睡用户` is protected, and 2 steps would remove it").says("on_exit: sticky");
    sandbox.fails(3, &by("li", &["plan", "undo", &id])).says("is protected, and 5 steps would remove it");
    let plans = sandbox.json(&["plan", "list", "--format", "json"]);
    assert_eq!(plans.as_array().unwrap().len(), 1, "a refused plan is not kept: {plans}");
}

#[test]
fn a_deleted_tag_is_given_to_nobody_and_can_be_taken_back() {
    let by_id = rule("all_active", "retract").replace("活跃度/沉睡用户", "{id: t1}");
    let sandbox = corp("all_active", "retract");
    sandbox.write("rules/sleeping.yaml", &by_id);
    let id = carry_out(&sandbox);
    let mut listing = Listing::after_a_login();
    listing.tags.remove(0);
    listing.read(&sandbox, SECOND);

    sandbox.write("rules/later.yaml", &by_id);
    let refused = sandbox.fails(3, &by("li", &["rule", "run", "rules/later.yaml"]));
    refused.says("`活跃度/沉睡用户` was gone from its source by 2026-06-22, and 3 steps would give it");

    let undo = id_of(&sandbox.json(&by("li", &["plan", "undo", &id, "--format=json"])));
    sandbox.ok(&by("wang", &["plan", "approve", &undo]));
    execute(&sandbox, &undo);
    assert_eq!(holders(&sandbox), Vec::<String>::new());
    assert_eq!(sandbox.json(&["plan", "show", &id, "--format=json"])["state"], "undone");
}

#[test]
fn a_rule_asks_of_the_newest_snapshot_and_of_no_other() {
    let sandbox = corp("all_active", "retract");
    let fixed = rule("all_active", "retract").replace("  where:", "  as_of: 1\n  where:");
    sandbox.write("rules/sleeping.yaml", fixed);
    let refused = sandbox.fails(1, &by("li", &RUN));
    refused.says("/when/as_of: a rule asks of the newest snapshot").says("hint: write `as_of: latest`");
}

#[test]
fn a_plan_is_approved_once_and_by_nobody_who_is_its_author_under_another_spelling() {
    let sandbox = corp("all_active", "retract");
    let id = id_of(&run(&sandbox)["plan"]);
    sandbox.fails(3, &by(" li ", &["plan", "approve", &id])).says("`li` made plan");
    for nobody in ["", " "] {
        let refused = sandbox.fails(2, &by(nobody, &["plan", "approve", &id]));
        refused.says("the name of who is acting is empty").says("hint: `--as NAME`");
    }
    sandbox.fails(2, &by("", &RUN));
    sandbox.ok(&by("wang", &["plan", "approve", &id]));
    for actor in ["wang", "zhao"] {
        sandbox.fails(3, &by(actor, &["plan", "approve", &id])).says("is approved, so it cannot become approved");
    }
    let shown = sandbox.json(&["plan", "show", &id, "--format=json"]);
    assert_eq!(shown["approvals"].as_array().unwrap().len(), 1, "{shown}");
}

#[test]
fn whoever_gives_no_name_acts_as_the_user_of_the_system() {
    let sandbox = corp("all_active", "retract");
    let plan = sandbox.json(&RUN);
    assert_eq!(plan["plan"]["author"], "tester");
    sandbox.fails(3, &["plan", "approve", &id_of(&plan["plan"])]).says("`tester` made plan");
}

#[test]
fn what_was_rejected_is_not_made_again_under_another_name() {
    let sandbox = corp("all_active", "retract");
    let id = id_of(&run(&sandbox)["plan"]);
    sandbox.ok(&by("wang", &["plan", "reject", &id]));
    for author in ["li", "zhao"] {
        sandbox.fails(3, &by(author, &RUN)).says(&format!("the same plan, `{id}`, was rejected before"));
    }
    let plans = sandbox.json(&["plan", "list", "--format", "json"]);
    assert_eq!(plans.as_array().unwrap().len(), 1, "{plans}");
}

#[test]
fn a_rule_that_is_run_by_many_at_once_makes_one_plan() {
    let sandbox = corp("all_active", "retract");
    let ids: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| id_of(&run(&sandbox)["plan"]))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let shown = sandbox.json(&["plan", "show", &ids[0], "--format=json"]);
    assert_eq!(shown["history"].as_array().unwrap().len(), 1, "{shown}");
    carry_out(&sandbox);
    assert_eq!(holders(&sandbox), ALL_SLEEPERS);
}

#[test]
fn a_size_limit_too_large_to_be_multiplied_out_limits_nothing() {
    let sandbox = corp("all_active", "retract");
    let review = "review: {required: true, max_size_change: 79228162514264337593543950335}\n";
    sandbox.write("rules/sleeping.yaml", rule("all_active", "retract") + review);
    carry_out(&sandbox);
    Listing::after_a_login().read(&sandbox, SECOND);
    assert_eq!(run(&sandbox)["leaving"], 2);
}

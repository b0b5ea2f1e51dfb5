//! What is left of a customer in the plans, and what the plans are afterwards.

use tagmill_schemas::documents::plan::{PlanKind, StepOutcome};
use tagmill_schemas::ids::SnapshotId;

use super::super::AuditEntry;
use super::*;

const SECRET: &str = "wm-secret-7";

fn open(folder: &tempfile::TempDir) -> ControlStore {
    ControlStore::open(&folder.path().join("control.sqlite"), &folder.path().join("plans")).unwrap()
}

fn at() -> DateTime<Utc> {
    "2026-11-11T18:00:00Z".parse().unwrap()
}

fn step(step_no: i64, customer_no: u32, customer_id: &str) -> PlanStep {
    PlanStep {
        step_no,
        customer_no: CustomerNo(customer_no),
        customer: CustomerKey { id_space: "corp".to_owned(), customer_id: customer_id.to_owned() },
        follow_no: None,
        staff_id: None,
        add: Vec::new(),
        remove: Vec::new(),
        evidence: format!("row of {customer_id}"),
    }
}

/// Keeps a plan with two customers, the second of whom is to go, and brings it into a state.
fn keep(control: &ControlStore, source: &str, state: PlanState) -> PlanHeader {
    let steps = [step(1, 6, "wm-6"), step(2, 7, SECRET)];
    let mut header = PlanHeader {
        plan_id: PlanId::new(format!("plan-{source}")),
        kind: PlanKind::Import,
        title: format!("the list of {SECRET}"),
        source: source.to_owned(),
        author: "li".to_owned(),
        created_at: at(),
        snapshot_id: SnapshotId(3),
        definition_hash: "d".to_owned(),
        step_count: 2,
        add_count: 0,
        remove_count: 0,
        content_hash: String::new(),
    };
    header.content_hash = content_hash(&header.identity(), steps.iter());
    control.save_plan(&header, &steps).unwrap();
    if state == PlanState::Executed {
        control.approve(&header.plan_id, "wang", at()).unwrap();
        control.move_plan(&header.plan_id, PlanState::Executing, "wang", at()).unwrap();
        control.move_plan(&header.plan_id, state, "wang", at()).unwrap();
        let detail = Some(format!("nobody follows {SECRET}"));
        let receipt =
            Receipt { plan_id: header.plan_id.clone(), step_no: 2, outcome: StepOutcome::Skipped, detail, at: at() };
        control.add_receipts(&[receipt]).unwrap();
    }
    header
}

fn erase(control: &ControlStore) -> bool {
    let key = CustomerKey { id_space: "corp".to_owned(), customer_id: SECRET.to_owned() };
    let clean = |text: &str| text.contains(SECRET).then(|| text.replace(SECRET, "erased"));
    let whom = Whom { customer_no: CustomerNo(7), key: &key, tombstone: "erased:7", at: at(), clean: &clean };
    let is_clean = control.erase(&whom).unwrap();
    assert_eq!(control.plans_to_erase(&whom).unwrap(), 0);
    is_clean
}

#[test]
fn a_customer_goes_from_every_plan_and_nothing_of_it_is_left_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let control = open(&folder);
    let [waiting, executed] =
        [("a", PlanState::Pending), ("b", PlanState::Executed)].map(|(source, state)| keep(&control, source, state));
    let rejected = keep(&control, "c", PlanState::Pending).plan_id;
    control.move_plan(&rejected, PlanState::Rejected, &format!("wang (for {SECRET})"), at()).unwrap();
    std::fs::write(folder.path().join("plans/plan-d.17.tmp"), SECRET).unwrap();
    for _twice in 0..2 {
        assert!(erase(&control));
    }
    for header in [&waiting, &executed] {
        let steps = control.steps(&header.plan_id).unwrap();
        assert_eq!(steps[0], step(1, 6, "wm-6"));
        assert_eq!((steps[1].customer.customer_id.as_str(), steps[1].evidence.as_str()), ("erased:7", ""));
        let now = content_hash(&header.identity(), steps.iter());
        assert_eq!(control.expected_hash(header).unwrap(), now);
        assert_eq!(control.plan(&header.plan_id).unwrap().header.title, "the list of erased");
    }
    let states = [&waiting, &executed].map(|header| control.plan(&header.plan_id).unwrap().state);
    assert_eq!(states, [PlanState::Rejected, PlanState::Executed]);
    let turned_down = control.plan(&waiting.plan_id).unwrap().history.pop().unwrap();
    assert_eq!((turned_down.1.as_str(), turned_down.2.as_str()), ("erase", "rejected"));
    let details = control.receipts(&executed.plan_id).unwrap();
    assert_eq!(details[0].detail.as_deref(), Some("nobody follows erased"));
    let reason = control.plan(&rejected).unwrap().history.pop().unwrap().1;
    assert_eq!(reason, "wang (for erased)");
    let folders = [folder.path().to_path_buf(), folder.path().join("plans")];
    for entry in folders.iter().flat_map(|folder| folder.read_dir().unwrap()) {
        let path = entry.unwrap().path();
        let content = if path.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
        let is_left = content.windows(SECRET.len()).any(|bytes| bytes == SECRET.as_bytes());
        assert!(!is_left, "{}", path.display());
    }
}

#[test]
fn steps_that_were_not_those_of_their_plan_do_not_become_so() {
    let folder = tempfile::tempdir().unwrap();
    let control = open(&folder);
    let header = keep(&control, "a", PlanState::Executed);
    steps::write(&control.steps_path(&header.plan_id), &[step(1, 7, SECRET)]).unwrap();
    erase(&control);
    let left = control.steps(&header.plan_id).unwrap();
    assert_eq!(left[0].customer.customer_id, "erased:7");
    assert_ne!(content_hash(&header.identity(), left.iter()), control.expected_hash(&header).unwrap());
}

#[test]
fn an_erasure_killed_between_the_hash_and_the_steps_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let control = open(&folder);
    let header = keep(&control, "a", PlanState::Executed);
    let path = control.steps_path(&header.plan_id);
    let before = std::fs::read(&path).unwrap();
    erase(&control);
    std::fs::write(&path, before).unwrap();
    erase(&control);
    let steps = control.steps(&header.plan_id).unwrap();
    assert_eq!(content_hash(&header.identity(), steps.iter()), control.expected_hash(&header).unwrap());
}

#[test]
fn the_audit_keeps_an_act_once_and_is_never_changed() {
    let folder = tempfile::tempdir().unwrap();
    let control = open(&folder);
    let texts = ["li", "erase", "customer 7", "1 row in 1 file"].map(str::to_owned);
    let [actor, act, subject, detail] = texts;
    let entry = AuditEntry { at: at(), actor, act, subject, detail };
    for _twice in 0..2 {
        control.write_down(&entry).unwrap();
    }
    assert_eq!(control.audit().unwrap(), [entry]);
    for change in ["DELETE FROM audit", "UPDATE audit SET actor = 'wang'"] {
        assert!(control.lock().execute(change, []).is_err(), "{change}");
    }
}

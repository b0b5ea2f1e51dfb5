//! What one process keeps and what two of them at once make of a plan.

use std::sync::Barrier;

use tagmill_schemas::documents::plan::{PlanKind, StepOutcome};
use tagmill_schemas::ids::{CustomerKey, CustomerNo, FollowNo, SnapshotId, StaffId, TagId};

use super::*;

/// The control state of a folder, opened as another process would.
fn open(folder: &tempfile::TempDir) -> ControlStore {
    ControlStore::open(&folder.path().join("control.sqlite"), &folder.path().join("plans")).unwrap()
}

fn at() -> DateTime<Utc> {
    "2026-11-11T18:00:00Z".parse().unwrap()
}

fn header(plan_id: &str) -> PlanHeader {
    PlanHeader {
        plan_id: PlanId::new(plan_id),
        kind: PlanKind::Rule,
        title: "sleeping → 活跃度/沉睡用户".to_owned(),
        source: "rule:sleeping".to_owned(),
        author: "li".to_owned(),
        created_at: at(),
        snapshot_id: SnapshotId(3),
        definition_hash: "d".to_owned(),
        step_count: 2,
        add_count: 3,
        remove_count: 1,
        content_hash: format!("content of {plan_id}"),
    }
}

fn steps() -> [PlanStep; 2] {
    let on_a_follow = PlanStep {
        step_no: 1,
        customer_no: CustomerNo(7),
        customer: CustomerKey { id_space: "corp".to_owned(), customer_id: "wm7".to_owned() },
        follow_no: Some(FollowNo(9)),
        staff_id: Some(StaffId::new("zhang")),
        add: vec![TagId::new("corp:活跃度/沉睡用户"), TagId::new("a \"b\", c")],
        remove: Vec::new(),
        evidence: "last login 2026-01-02".to_owned(),
    };
    let on_a_customer = PlanStep {
        step_no: 2,
        follow_no: None,
        staff_id: None,
        add: vec![TagId::new("t1")],
        remove: vec![TagId::new("t2")],
        ..on_a_follow.clone()
    };
    [on_a_follow, on_a_customer]
}

fn receipt(plan_id: &str, step_no: i64, outcome: StepOutcome) -> Receipt {
    Receipt { plan_id: PlanId::new(plan_id), step_no, outcome, detail: None, at: at() }
}

/// Does something at the same time in two processes, and returns what came of each.
fn at_once<T: Send>(
    folder: &tempfile::TempDir,
    first: impl FnOnce(&ControlStore) -> T + Send,
    second: impl FnOnce(&ControlStore) -> T + Send,
) -> (T, T) {
    let (one, other, start) = (open(folder), open(folder), Barrier::new(2));
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            start.wait();
            first(&one)
        });
        start.wait();
        let of_second = second(&other);
        (thread.join().unwrap(), of_second)
    })
}

#[test]
fn a_plan_comes_back_as_it_was_kept_with_its_steps_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let control = open(&folder);
    let [first, second] = steps();
    control.save_plan(&header("plan-1"), &[second.clone(), first.clone()]).unwrap();
    let plan = open(&folder).plan(&PlanId::new("plan-1")).unwrap();
    assert_eq!((plan.header, plan.state), (header("plan-1"), PlanState::Pending));
    assert_eq!(plan.history, [(at(), "li".to_owned(), "made".to_owned())]);
    assert_eq!(control.steps(&PlanId::new("plan-1")).unwrap(), [first, second]);
}

#[test]
fn a_plan_that_is_there_keeps_its_steps_whatever_is_saved_under_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let control = open(&folder);
    control.save_plan(&header("plan-1"), &steps()).unwrap();
    control.approve(&PlanId::new("plan-1"), "wang", at()).unwrap();
    control.save_plan(&header("plan-1"), &[]).unwrap();
    assert_eq!(control.steps(&PlanId::new("plan-1")).unwrap(), steps());
    assert_eq!(control.plan(&PlanId::new("plan-1")).unwrap().state, PlanState::Approved);
}

#[test]
fn the_same_plan_saved_by_many_at_once_is_one_plan() {
    let folder = tempfile::tempdir().unwrap();
    let start = Barrier::new(4);
    // Each opens the file for itself, and the first of them makes it.
    let save = || {
        start.wait();
        let control = open(&folder);
        (0..8).try_for_each(|number| control.save_plan(&header(&format!("plan-{number}")), &steps()))
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(save)).collect();
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
    });
    let control = open(&folder);
    let plans = control.plans().unwrap();
    assert_eq!(plans.len(), 8);
    for plan in plans {
        assert_eq!(plan.history.len(), 1, "{plan:?}");
        assert_eq!(control.steps(&plan.header.plan_id).unwrap(), steps());
    }
    assert_eq!(std::fs::read_dir(folder.path().join("plans")).unwrap().count(), 8, "drafts were left behind");
}

#[test]
fn a_plan_that_is_approved_and_rejected_at_once_ends_rejected() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..20 {
        let name = format!("plan-{number}");
        let plan_id = PlanId::new(&name);
        open(&folder).save_plan(&header(&name), &steps()).unwrap();
        let (approved, rejected) = at_once(
            &folder,
            |control| control.approve(&plan_id, "wang", at()),
            |control| control.move_plan(&plan_id, PlanState::Rejected, "zhao", at()),
        );
        rejected.unwrap();
        let plan = open(&folder).plan(&plan_id).unwrap();
        let told: Vec<&str> = plan.history.iter().map(|(_, _, what)| what.as_str()).collect();
        match approved {
            Ok(()) => assert_eq!(told, ["made", "approved", "rejected"]),
            Err(error) => {
                assert!(matches!(error, StoreError::PlanState { .. }), "{error}");
                assert_eq!(told, ["made", "rejected"]);
            }
        }
        assert_eq!(plan.state, PlanState::Rejected);
        assert_eq!(plan.approvals.len(), told.len() - 2, "an approval is kept with its state and not without");
    }
}

#[test]
fn of_two_who_approve_at_once_one_does() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..20 {
        let name = format!("plan-{number}");
        let plan_id = PlanId::new(&name);
        open(&folder).save_plan(&header(&name), &steps()).unwrap();
        let (wang, zhao) = at_once(
            &folder,
            |control| control.approve(&plan_id, "wang", at()),
            |control| control.approve(&plan_id, "zhao", at()),
        );
        assert_ne!(wang.is_ok(), zhao.is_ok(), "{wang:?} {zhao:?}");
        let plan = open(&folder).plan(&plan_id).unwrap();
        let expected = if wang.is_ok() { "wang" } else { "zhao" };
        let approvers: Vec<&str> = plan.approvals.iter().map(|approval| approval.approved_by.as_str()).collect();
        assert_eq!(approvers, [expected]);
        assert_eq!(plan.approvals[0].content_hash, plan.header.content_hash);
    }
}

#[test]
fn nobody_approves_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (control, plan_id) = (open(&folder), PlanId::new("plan-1"));
    control.save_plan(&header("plan-1"), &steps()).unwrap();
    control.approve(&plan_id, "wang", at()).unwrap();
    for actor in ["wang", "zhao"] {
        let refused = control.approve(&plan_id, actor, at()).unwrap_err();
        assert!(matches!(refused, StoreError::PlanState { .. }), "{refused}");
    }
    assert_eq!(control.plan(&plan_id).unwrap().approvals.len(), 1);
    // The table keeps to it by itself.
    let again = "INSERT INTO approval (plan_id, approval) SELECT plan_id, approval FROM approval";
    assert!(control.lock().execute(again, []).is_err());
}

#[test]
fn what_execution_says_twice_is_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let (control, plan_id) = (open(&folder), PlanId::new("plan-1"));
    control.save_plan(&header("plan-1"), &steps()).unwrap();
    let move_to = |state| control.move_plan(&plan_id, state, "zhao", at());
    assert!(matches!(move_to(PlanState::Executing), Err(StoreError::PlanState { .. })), "nobody has approved it");
    control.approve(&plan_id, "wang", at()).unwrap();
    for state in [PlanState::Executing, PlanState::Executed, PlanState::Undone] {
        move_to(state).unwrap();
        move_to(state).unwrap();
    }
    let plan = control.plan(&plan_id).unwrap();
    let told: Vec<&str> = plan.history.iter().map(|(_, _, what)| what.as_str()).collect();
    assert_eq!(told, ["made", "approved", "executing", "executed", "undone"]);
    assert!(matches!(move_to(PlanState::Executed), Err(StoreError::PlanState { .. })));
}

#[test]
fn receipts_are_kept_all_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let control = open(&folder);
    control.save_plan(&header("plan-1"), &steps()).unwrap();
    let of_no_plan = receipt("plan-2", 1, StepOutcome::Done);
    let refused = control.add_receipts(&[receipt("plan-1", 1, StepOutcome::Done), of_no_plan]);
    assert!(matches!(refused, Err(StoreError::Control { .. })), "{refused:?}");
    assert!(control.receipts(&PlanId::new("plan-1")).unwrap().is_empty());
}

#[test]
fn a_receipt_that_a_step_has_already_stays() {
    let folder = tempfile::tempdir().unwrap();
    let control = open(&folder);
    control.save_plan(&header("plan-1"), &steps()).unwrap();
    let done = receipt("plan-1", 2, StepOutcome::Done);
    control.add_receipts(std::slice::from_ref(&done)).unwrap();
    let first = receipt("plan-1", 1, StepOutcome::Already);
    control.add_receipts(&[receipt("plan-1", 2, StepOutcome::Already), first.clone()]).unwrap();
    assert_eq!(control.receipts(&PlanId::new("plan-1")).unwrap(), [first, done]);
}

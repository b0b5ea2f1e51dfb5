//! Faults at places that matter by themselves.

use anyhow::{Context, ensure};
use arrow::array::RecordBatch;
use tagmill_store::doctor::repair;
use tagmill_store::{Warehouse, leases_given_back};

use super::disturbed::{Ended, disturbed};
use super::operations::{self, Operation};
use super::prepared::{Start, prepared};
use super::scenario::mend;
use super::scene::{Content, Kind, Scene};
use super::state::State;
use crate::harness::faulty::{Fault, FaultPlan, Verb, When};
use crate::harness::random_segment::Random;
use crate::harness::view::wait_for;

/// The places that these are tried in: a bucket's rules need no server.
const KINDS: [Kind; 2] = [Kind::Folder, Kind::Memory];

async fn scene(kind: Kind, operation: Operation) -> Scene {
    Scene::with(kind, prepared().start(operation.start())).await.unwrap()
}

/// Does an operation while one of the store's is struck, which has to happen.
async fn struck(scene: &Scene, operation: Operation, when: When, fault: Fault) -> Ended {
    let plan = FaultPlan::new(when, fault);
    let ended = disturbed(&plan, async { operation.run(&scene.under(&plan).await?).await }).await;
    assert!(plan.met().is_some(), "{operation:?} never comes to {when:?}");
    ended
}

async fn state(scene: &Scene) -> State {
    State::of(&scene.warehouse().await.unwrap()).await.unwrap()
}

/// What it says where it fails.
fn words(ended: &Ended) -> String {
    match ended {
        Ended::Failed(error) => format!("{error:#}"),
        other => panic!("it was to fail: {other:?}"),
    }
}

#[test]
fn a_lost_reply_of_the_commit_that_publishes_is_recognised() {
    wait_for(|| async {
        for operation in [Operation::Publish, Operation::Prune, Operation::RollForward] {
            for kind in KINDS {
                let scene = scene(kind, operation).await;
                let when = When::Nth(1, Verb::Put, "tables/snapshot/_delta_log/");
                let ended = struck(&scene, operation, when, Fault::LostReply).await;
                assert!(matches!(ended, Ended::Done), "{operation:?}, {kind:?}: {ended:?}");
                assert!(state(&scene).await == operation.undisturbed().after, "{operation:?}, {kind:?}");
            }
        }
    });
}

#[test]
fn a_lost_reply_of_a_commit_that_takes_something_back_is_recognised() {
    wait_for(|| async {
        let scene = scene(Kind::Memory, Operation::TakeBack).await;
        let when = When::Nth(1, Verb::Put, "_delta_log/");
        let ended = struck(&scene, Operation::TakeBack, when, Fault::LostReply).await;
        assert!(matches!(ended, Ended::Done), "{ended:?}");
    });
}

#[test]
fn a_lost_reply_of_the_lease_is_recognised() {
    wait_for(|| async {
        for fault in [Fault::LostReply, Fault::Twice] {
            let scene = scene(Kind::Memory, Operation::Publish).await;
            let ended = struck(&scene, Operation::Publish, When::Nth(1, Verb::Put, "writer.lease"), fault).await;
            assert!(matches!(ended, Ended::Done), "{fault:?}: {ended:?}");
            assert!(state(&scene).await == Operation::Publish.undisturbed().after, "{fault:?}");
        }
    });
}

#[test]
fn a_disk_that_is_full_while_files_are_staged_is_told_and_nothing_is_left_once_there_is_space() {
    wait_for(|| async {
        for kind in KINDS {
            let scene = scene(kind, Operation::Ingest).await;
            let when = When::Nth(1, Verb::Put, "tables/customer/");
            let said = words(&struck(&scene, Operation::Ingest, when, Fault::Full).await);
            assert!(said.contains("no storage space") && said.contains("tables/customer/"), "{kind:?}: {said}");
            let expected = Operation::Ingest.undisturbed();
            assert!(state(&scene).await == expected.before, "{kind:?}");
            // The lease could not be given back either.
            scene.end_lease().await.unwrap();
            let warehouse = scene.warehouse().await.unwrap();
            Operation::Ingest.run(&warehouse).await.unwrap();
            repair(&warehouse).await.unwrap();
            assert!(state(&scene).await == expected.after, "{kind:?}");
            assert_eq!(scene.data_files().await.unwrap(), expected.files, "{kind:?}");
        }
    });
}

#[test]
fn files_that_cannot_be_deleted_while_pruning_are_deleted_by_the_next_prune() {
    wait_for(|| async {
        for (kind, fault) in KINDS.into_iter().zip([Fault::Torn, Fault::Refused]) {
            let (operation, expected) = (Operation::Prune, Operation::Prune.undisturbed());
            let scene = scene(kind, operation).await;
            let ended = struck(&scene, operation, When::Nth(1, Verb::Delete, "tables/"), fault).await;
            assert!(words(&ended).contains("could not remove"), "{kind:?}: {ended:?}");
            assert!(state(&scene).await == expected.after, "{kind:?}: the ledger lets go before the files do");
            assert_ne!(scene.data_files().await.unwrap(), expected.files, "{kind:?}");
            operation.run(&scene.warehouse().await.unwrap()).await.unwrap();
            assert_eq!(scene.data_files().await.unwrap(), expected.files, "{kind:?}");
        }
    });
}

#[test]
fn what_a_killed_writer_never_finished_in_a_folder_is_removed_by_a_repair() {
    wait_for(|| async {
        for (operation, path) in [
            (Operation::Prune, "warehouse/pruned.json"),
            (Operation::Publish, "staged/pending.json"),
            (Operation::Publish, "tables/staff/s0"),
            (Operation::Publish, "tables/staff/_delta_log/"),
        ] {
            let scene = scene(Kind::Folder, operation).await;
            let ended = struck(&scene, operation, When::Nth(1, Verb::Put, path), Fault::Torn).await;
            assert!(matches!(ended, Ended::Failed(_)), "{path}: {ended:?}");
            assert_eq!(scene.drafts(), 1, "{path}");
            let warehouse = scene.warehouse().await.unwrap();
            mend(&scene, &warehouse).await.context(path).unwrap();
        }
    });
}

#[test]
fn an_object_that_cannot_be_read_while_a_run_begins_fails_it_and_changes_nothing() {
    wait_for(|| async {
        for kind in KINDS {
            for path in ["staged/pending.json", "tables/staff/_delta_log/0", "tables/snapshot/s"] {
                for fault in [Fault::Refused, Fault::Torn] {
                    let scene = scene(kind, Operation::TakeBack).await;
                    let before = scene.content().await.unwrap();
                    let ended = struck(&scene, Operation::TakeBack, When::Nth(1, Verb::Get, path), fault).await;
                    assert!(matches!(ended, Ended::Failed(_)), "{kind:?}, {path}, {fault:?}: {ended:?}");
                    assert!(scene.content().await.unwrap() == before, "{kind:?}, {path}, {fault:?}");
                    Operation::TakeBack.run(&scene.warehouse().await.unwrap()).await.unwrap();
                }
            }
        }
    });
}

#[test]
fn a_file_whose_upload_in_parts_breaks_leaves_nothing_to_be_seen() {
    let ids = random_ids(400_000);
    wait_for(|| async {
        for kind in KINDS {
            let scene = scene(kind, Operation::Publish).await;
            for verb in [Verb::PutPart, Verb::CompleteUpload] {
                let plan = FaultPlan::new(When::Nth(1, verb, "tables/staff/"), Fault::Refused);
                let stage = async { stage_much(&scene.under(&plan).await?, &ids).await };
                let said = words(&disturbed(&plan, stage).await);
                assert!(plan.met().is_some() && said.contains("tables/staff/"), "{kind:?}, {verb:?}: {said}");
            }
            let warehouse = scene.warehouse().await.unwrap();
            mend(&scene, &warehouse).await.with_context(|| format!("{kind:?}")).unwrap();
            assert_eq!(scene.data_files().await.unwrap().get("staff"), None, "{kind:?}");
        }
    });
}

/// Stages a file of staff that is too large for one request.
async fn stage_much(warehouse: &Warehouse, ids: &[String]) -> anyhow::Result<()> {
    let run = warehouse.begin().await?;
    let schema = run.schema("staff")?;
    let batches = ids.chunks(50_000).map(|ids| {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        operations::rows(&schema, "staff_id", &ids)
    });
    let batches = batches.collect::<anyhow::Result<Vec<RecordBatch>>>()?;
    run.stager("staff")?.stage(None, batches).await?;
    Ok(())
}

/// Ids that no compression makes much shorter.
fn random_ids(count: usize) -> Vec<String> {
    let mut random = Random::new(1);
    let mut word = || format!("{:08x}", random.below(1 << 32));
    (0..count).map(|_| [word(), word(), word(), word(), word(), word()].concat()).collect()
}

#[test]
fn a_warehouse_whose_making_breaks_anywhere_can_be_made_again() {
    wait_for(|| async {
        let empty = Scene::with(Kind::Memory, &Content::new()).await.unwrap();
        let whole = FaultPlan::none();
        drop(empty.made_under(&whole).await.unwrap());
        leases_given_back().await;
        let faults =
            [Fault::Refused, Fault::LostReply, Fault::DeadAfter, Fault::Twice, Fault::Outage, Fault::KilledAfter];
        for (number, fault) in (1..=whole.begun()).step_by(7).zip(faults.iter().cycle()) {
            made_again(number, *fault).await.with_context(|| format!("{fault:?} at {number}")).unwrap();
        }
    });
}

/// Makes a warehouse while an operation of its store is struck, makes it again and publishes to it.
async fn made_again(number: u64, fault: Fault) -> anyhow::Result<()> {
    let scene = Scene::with(Kind::Memory, &Content::new()).await?;
    let plan = FaultPlan::new(When::Number(number), fault);
    disturbed(&plan, async { scene.made_under(&plan).await.map(drop) }).await;
    scene.end_lease().await?;
    let warehouse = scene.made_under(&FaultPlan::none()).await?;
    Operation::Publish.run(&warehouse).await?;
    mend(&scene, &warehouse).await?;
    let snapshots = warehouse.ledger().await?.len();
    ensure!(snapshots == 1, "there are {snapshots} snapshots");
    Ok(())
}

#[test]
fn the_prepared_warehouses_are_what_they_are_meant_to_be() {
    let changes_nothing = [Operation::Refuse, Operation::TakeBack, Operation::Repair];
    for operation in Operation::ALL {
        let undisturbed = operation.undisturbed();
        let changes = undisturbed.before != undisturbed.after;
        assert_eq!(changes, !changes_nothing.contains(&operation), "{operation:?}");
        assert!(undisturbed.operations > 20, "{operation:?} asks for {} operations", undisturbed.operations);
    }
    assert!(prepared().start(Start::Committing) != prepared().start(Start::Committed));
}

//! Two writers on one warehouse.

use std::pin::pin;

use anyhow::{bail, ensure};
use tagmill_ingest::IngestError;
use tagmill_schemas::error::{Diagnose, ErrorKind};
use tagmill_store::{StoreError, leases_given_back};

use super::disturbed::{Ended, disturbed};
use super::operations::Operation;
use super::scenario::{Told, mend, settle};
use super::scene::Scene;
use super::state::State;
use crate::harness::faulty::{Fault, FaultPlan, When};

/// Two writers do the same at once over slow stores: one does it, and the other does it too, finds it done or is refused.
pub async fn at_once(scene: &Scene, operation: Operation, seed: u64) -> anyhow::Result<Told> {
    let plans = [FaultPlan::slow(seed), FaultPlan::slow(seed + 1)];
    let (one, other) = tokio::join!(
        disturbed(&plans[0], async { operation.run(&scene.under(&plans[0]).await?).await }),
        disturbed(&plans[1], async { operation.run(&scene.under(&plans[1]).await?).await }),
    );
    for ended in [&one, &other] {
        if let Ended::Failed(error) = ended
            && !is_conflict(error)
        {
            bail!("it fails beside another: {error:#}");
        }
    }
    let done = if matches!(one, Ended::Done) { &one } else { &other };
    ensure!(matches!(done, Ended::Done), "of two writers none does it: {one:?}, {other:?}");
    settle(scene, operation, done, false).await?;
    let both = matches!((&one, &other), (Ended::Done, Ended::Done));
    Ok(Told { met: "a rival".to_owned(), outcome: if both { "done twice" } else { "done, and one refused" } })
}

/// A writer sleeps somewhere in its run until its lease has ended by every clock but its own, and another writes
/// something else meanwhile. What the other has published stays; what the sleeper says of itself is true.
pub async fn asleep(scene: &Scene, operation: Operation, share: f64) -> anyhow::Result<Told> {
    let other = if operation == Operation::Publish { Operation::Ingest } else { Operation::Publish };
    let all = operation.undisturbed().operations;
    let number = 1 + (all as f64 * share) as u64;
    let plan = FaultPlan::new(When::Number(number), Fault::Paused);
    let mut work = pin!(async { operation.run(&scene.under(&plan).await?).await });
    let early = tokio::select! {
        biased;
        () = plan.struck() => None,
        done = &mut work => Some(done),
    };
    let met = format!("asleep at {number} of {all}, {}", plan.met().unwrap_or_else(|| "nothing".to_owned()));
    scene.end_lease().await?;
    other.run(&scene.warehouse().await?).await?;
    leases_given_back().await;
    plan.release();
    let done = match early {
        Some(done) => done,
        None => work.await,
    };
    leases_given_back().await;
    plan.end().await;
    if let Err(error) = &done {
        ensure!(is_conflict(error), "{met}: it fails otherwise than because of the other: {error:#}");
    }
    ensure!(holds(scene, other).await?, "{met}: what the other has published is gone");
    ensure!(done.is_err() || holds(scene, operation).await?, "{met}: it said that it was done, and it is not");
    let warehouse = scene.warehouse().await?;
    mend(scene, &warehouse).await?;
    operation.run(&warehouse).await?;
    leases_given_back().await;
    for operation in [operation, other] {
        ensure!(holds(scene, operation).await?, "{met}: {operation:?} is gone after all was done again");
    }
    Ok(Told { met, outcome: if done.is_ok() { "done" } else { "undone" } })
}

/// Whether the newest snapshot holds what an operation changes. The two that are tried here change different tables.
async fn holds(scene: &Scene, operation: Operation) -> anyhow::Result<bool> {
    let (before, after) = (&operation.undisturbed().before, &operation.undisturbed().after);
    let (before, after) = (before.newest_tables(), after.newest_tables());
    let now = State::of(&scene.warehouse().await?).await?.newest_tables();
    let mut changed = after.iter().filter(|(table, hash)| before.get(*table) != Some(*hash));
    Ok(changed.all(|(table, hash)| now.get(table) == Some(hash)))
}

/// Whether an error says that somebody else is at it.
fn is_conflict(error: &anyhow::Error) -> bool {
    let of_store = error.downcast_ref::<StoreError>().map(Diagnose::kind);
    let kind = of_store.or_else(|| error.downcast_ref::<IngestError>().map(Diagnose::kind));
    kind == Some(ErrorKind::Conflict)
}

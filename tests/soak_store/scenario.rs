//! One scenario: an operation, what disturbs it and where, and what has to be found afterwards.

use anyhow::{Context, bail, ensure};
use tagmill_query::doctor::check_tables;
use tagmill_query::{Engine, Limits};
use tagmill_store::doctor::{Finding, Severity, check_up, repair};
use tagmill_store::{StoreError, Warehouse, leases_given_back};

use super::disturbed::{Ended, disturbed};
use super::operations::{Operation, Undisturbed};
use super::prepared::prepared;
use super::scene::{Kind, PENDING, Scene};
use super::state::State;
use super::{processes, rivals};
use crate::harness::faulty::{Fault, FaultPlan, When};
use crate::harness::random_segment::Random;

/// How often each thing disturbs.
const DISTURBANCES: [(usize, Disturbance); 14] = [
    (2, Disturbance::Fault(Fault::Refused)),
    (3, Disturbance::Fault(Fault::LostReply)),
    (2, Disturbance::Fault(Fault::Twice)),
    (2, Disturbance::Fault(Fault::Torn)),
    (2, Disturbance::Fault(Fault::Outage)),
    (1, Disturbance::Fault(Fault::Full)),
    (2, Disturbance::Fault(Fault::DeadBefore)),
    (2, Disturbance::Fault(Fault::DeadAfter)),
    (3, Disturbance::Fault(Fault::KilledBefore)),
    (3, Disturbance::Fault(Fault::KilledAfter)),
    (1, Disturbance::Rival),
    (1, Disturbance::Sleep),
    (1, Disturbance::KilledAtAnyTime),
    (2, Disturbance::KilledCommitting),
];
/// How often each place is taken.
const KINDS: [(usize, Kind); 3] = [(4, Kind::Folder), (3, Kind::Memory), (3, Kind::Bucket)];
/// How often each operation is taken.
const OPERATIONS: [(usize, Operation); 9] = [
    (5, Operation::Ingest),
    (1, Operation::Refuse),
    (5, Operation::Publish),
    (4, Operation::Prune),
    (3, Operation::Compact),
    (3, Operation::Erase),
    (2, Operation::TakeBack),
    (2, Operation::RollForward),
    (1, Operation::Repair),
];

/// What disturbs an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disturbance {
    /// The store.
    Fault(Fault),
    /// Another writer that does the same at once, over a slow store.
    Rival,
    /// The writer sleeps through its lease, and another writes meanwhile.
    Sleep,
    /// `kill -9` of the program, at any time.
    KilledAtAnyTime,
    /// `kill -9` of the program while it commits.
    KilledCommitting,
}

/// One scenario.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    pub seed: u64,
    pub operation: Operation,
    pub kind: Kind,
    pub disturbance: Disturbance,
    /// Where in the operation: 0 is its beginning, 1 its end.
    share: f64,
}

/// What came of a scenario.
pub struct Told {
    /// What was struck, in words.
    pub met: String,
    /// What became of the operation, in words.
    pub outcome: &'static str,
}

impl Scenario {
    /// The scenario of a seed, the same for ever.
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut operation = drawn(&mut random, &OPERATIONS);
        let kind = drawn(&mut random, &KINDS);
        let disturbance = drawn(&mut random, &DISTURBANCES);
        let (share, either) = (random.share(), random.below(2) == 0);
        match disturbance {
            Disturbance::KilledAtAnyTime if operation.call().is_none() => {
                operation = if either { Operation::Ingest } else { Operation::Prune };
            }
            Disturbance::KilledCommitting => operation = if either { Operation::Ingest } else { Operation::Compact },
            // Only a run that commits tables may be overslept, and a folder's lock never ends.
            Disturbance::Sleep => operation = if either { Operation::Ingest } else { Operation::Publish },
            _ => {}
        }
        let kind = match (disturbance, kind) {
            (Disturbance::KilledAtAnyTime | Disturbance::KilledCommitting, Kind::Memory) => Kind::Folder,
            (Disturbance::Sleep, Kind::Folder) => Kind::Memory,
            (_, kind) => kind,
        };
        Self { seed, operation, kind, disturbance, share }
    }

    /// Plays it. What is not as it should be is an error.
    pub async fn play(self) -> anyhow::Result<Told> {
        let scene = Scene::with(self.kind, prepared().start(self.operation.start())).await?;
        match self.disturbance {
            Disturbance::Fault(fault) => self.strike(&scene, fault).await,
            Disturbance::Rival => rivals::at_once(&scene, self.operation, self.seed).await,
            Disturbance::Sleep => rivals::asleep(&scene, self.operation, self.share).await,
            Disturbance::KilledAtAnyTime | Disturbance::KilledCommitting => {
                let is_committing = self.disturbance == Disturbance::KilledCommitting;
                let ended = processes::killed(&scene, self.operation, is_committing, self.share).await?;
                let met = format!("after {:.0} % of it", self.share * 100.0);
                Ok(Told { met, outcome: settle(&scene, self.operation, &ended, true).await? })
            }
        }
    }

    /// Lets the store fail in one of the operations that the undisturbed run asks for.
    async fn strike(self, scene: &Scene, fault: Fault) -> anyhow::Result<Told> {
        let all = self.operation.undisturbed().operations;
        let number = 1 + (all as f64 * self.share) as u64;
        let plan = FaultPlan::new(When::Number(number), fault);
        let ended = disturbed(&plan, async { self.operation.run(&scene.under(&plan).await?).await }).await;
        let nobody_could_ask = matches!(
            fault,
            Fault::Outage | Fault::DeadBefore | Fault::DeadAfter | Fault::KilledBefore | Fault::KilledAfter
        );
        let struck = plan.met().unwrap_or_else(|| "nothing".to_owned());
        let met = format!("{number} of {all}, {struck}");
        let outcome = settle(scene, self.operation, &ended, nobody_could_ask).await.with_context(|| met.clone())?;
        Ok(Told { met, outcome })
    }
}

fn drawn<T: Copy>(random: &mut Random, weighted: &[(usize, T)]) -> T {
    let mut left = random.below(weighted.iter().map(|(weight, _)| weight).sum());
    for (weight, item) in weighted {
        match left.checked_sub(*weight) {
            Some(less) => left = less,
            None => return *item,
        }
    }
    unreachable!("a draw lies within the weights")
}

/// Looks at a warehouse in which an operation has ended somehow, mends it, does the operation again and looks again.
/// Says what became of the operation.
///
/// `nobody_could_ask`: the store was away when the operation had to know whether its commit was made.
pub async fn settle(
    scene: &Scene,
    operation: Operation,
    ended: &Ended,
    nobody_could_ask: bool,
) -> anyhow::Result<&'static str> {
    let expected = operation.undisturbed();
    let seen = State::of(&scene.warehouse().await?).await.context("a reader finds no whole snapshot")?;
    let (is_before, is_after) = (seen == expected.before, seen == expected.after);
    if !is_before && !is_after && !operation.is_gradual() {
        bail!("between: {}", between(&seen, expected));
    }
    match ended {
        Ended::Done => ensure!(is_after, "it said that it was done, and it is not"),
        Ended::Failed(error) if operation.is_all_or_nothing() && !nobody_could_ask => {
            ensure!(is_before, "it said that nothing was done, and it is: {error:#}");
        }
        Ended::Failed(_) | Ended::Killed => {}
    }
    let warehouse = scene.warehouse().await?;
    mend(scene, &warehouse).await?;
    let (stays, is_finished) = mended(&warehouse, operation).await?;
    ensure!(stays || is_finished, "after it was mended it is neither the one before nor the one after");
    ensure!(is_before || is_finished, "mending has taken back what was visible");
    again(scene, &warehouse, operation).await?;
    Ok(match (ended, is_after && !is_before, is_finished && !stays) {
        (Ended::Done, ..) => "done",
        (_, true, _) => "done, and not said",
        (_, false, true) => "finished by the next",
        (_, false, false) => "undone",
    })
}

/// Begins a run, which mends, and repairs; the doctor finds nothing lost before, and nothing to do after.
pub async fn mend(scene: &Scene, warehouse: &Warehouse) -> anyhow::Result<()> {
    match warehouse.begin().await {
        Ok(run) => drop(run),
        // Whoever was killed could not give it back.
        Err(StoreError::Locked { until: Some(_), .. }) => {
            scene.end_lease().await?;
            drop(warehouse.begin().await?);
        }
        Err(error) => return Err(error).context("no run can begin"),
    }
    leases_given_back().await;
    sound(check_up(warehouse).await.findings, Severity::Error).context("after a run has begun")?;
    repair(warehouse).await.context("it cannot be repaired")?;
    let checkup = check_up(warehouse).await;
    let mut findings = checkup.findings.clone();
    findings.extend(check_tables(&Engine::new(warehouse.clone(), Limits::default())?, &checkup).await);
    sound(findings, Severity::Warning).context("after a repair")?;
    ensure!(!scene.has(PENDING).await?, "a run is still pending after a repair");
    ensure!(scene.drafts() == 0, "drafts are left after a repair");
    Ok(())
}

/// Whether a mended warehouse is the one before, and whether it is the one after. What is published by the ledger is told
/// by the ledger.
async fn mended(warehouse: &Warehouse, operation: Operation) -> anyhow::Result<(bool, bool)> {
    let expected = operation.undisturbed();
    if operation.is_gradual() {
        let seen = State::of(warehouse).await?;
        return Ok((seen == expected.before, seen == expected.after));
    }
    let ledger = warehouse.ledger().await?;
    Ok((expected.before.has_rows(&ledger), expected.after.has_rows(&ledger)))
}

/// Does the operation again, which has to come to the same as if it had never been disturbed.
async fn again(scene: &Scene, warehouse: &Warehouse, operation: Operation) -> anyhow::Result<()> {
    let expected = operation.undisturbed();
    operation.run(warehouse).await.context("it cannot be done again")?;
    leases_given_back().await;
    let seen = State::of(warehouse).await.context("after it was done again a reader finds no whole snapshot")?;
    ensure!(seen == expected.after, "done again, it comes to something else: {}", seen.difference(&expected.after));
    if operation.sweeps() {
        let files = scene.data_files().await?;
        ensure!(files == expected.files, "files are left: {files:?} instead of {:?}", expected.files);
    }
    sound(check_up(warehouse).await.findings, Severity::Error).context("after it was done again")
}

/// Refuses findings that are as bad as that, or worse.
fn sound(findings: Vec<Finding>, bad: Severity) -> anyhow::Result<()> {
    // The worst comes first.
    let told = findings.iter().filter(|finding| finding.severity <= bad);
    let told: Vec<String> =
        told.map(|finding| format!("{} {:?}: {}", finding.severity.as_str(), finding.table, finding.what)).collect();
    ensure!(told.is_empty(), "the doctor finds {}", told.join("; "));
    Ok(())
}

fn between(seen: &State, expected: &Undisturbed) -> String {
    let (before, after) = (seen.difference(&expected.before), seen.difference(&expected.after));
    format!("beside what was before: {before}; beside what is to come: {after}")
}

//! One writer at work over a store that may fail, from its first request to its end.

use tagmill_store::leases_given_back;

use crate::harness::faulty::FaultPlan;

/// How a writer's work ended.
#[derive(Debug)]
pub enum Ended {
    /// It said that it is done.
    Done,
    /// It said that it is not.
    Failed(anyhow::Error),
    /// It said nothing more.
    Killed,
}

/// Does some work over a store that does what a plan says, and ends it as the process would end: what is still under way
/// comes to nothing.
pub async fn disturbed(plan: &FaultPlan, work: impl Future<Output = anyhow::Result<()>>) -> Ended {
    let ended = tokio::select! {
        biased;
        () = plan.struck() => Ended::Killed,
        done = work => match done {
            Ok(()) => Ended::Done,
            Err(error) => Ended::Failed(error),
        },
    };
    if !matches!(ended, Ended::Killed) {
        leases_given_back().await;
    }
    plan.end().await;
    ended
}

//! The program itself, killed while it works.

use std::collections::BTreeMap;
use std::process::Child;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};

use super::disturbed::Ended;
use super::operations::Operation;
use super::prepared::prepared;
use super::scene::{Kind, PENDING, Scene};
use crate::harness::view::wait_for;

/// How often a run is looked at.
const GLANCE: Duration = Duration::from_millis(1);
/// The share of a whole call that its commits take at most, roughly.
const OF_COMMITS: f64 = 0.3;
/// No call takes longer, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(120);

/// Calls the program and kills it at a point: of the whole call, or of the time after it has begun to commit.
pub async fn killed(scene: &Scene, operation: Operation, is_committing: bool, share: f64) -> anyhow::Result<Ended> {
    let whole = whole(operation, scene.kind);
    let mut call = start(scene, operation)?;
    let wait = if is_committing {
        let started = Instant::now();
        while !scene.has(PENDING).await? && call.try_wait()?.is_none() {
            ensure!(started.elapsed() < PATIENCE, "the call neither commits nor ends");
            tokio::time::sleep(GLANCE).await;
        }
        whole.mul_f64(OF_COMMITS * share)
    } else {
        whole.mul_f64(share)
    };
    tokio::time::sleep(wait).await;
    call.kill()?;
    let status = call.wait()?;
    Ok(match status.code() {
        Some(0) => Ended::Done,
        Some(code) => Ended::Failed(anyhow!("exit code {code}")),
        None => Ended::Killed,
    })
}

fn start(scene: &Scene, operation: Operation) -> anyhow::Result<Child> {
    let words = operation.call().ok_or_else(|| anyhow!("there is no call for {operation:?}"))?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Ok(scene.command(&words).spawn()?)
}

/// How long each call takes, once it was tried.
type Tried = BTreeMap<(Operation, Kind), Arc<OnceLock<Duration>>>;

/// How long the whole call takes, tried once for each.
fn whole(operation: Operation, kind: Kind) -> Duration {
    static TRIED: Mutex<Tried> = Mutex::new(BTreeMap::new());
    // Held for a moment only, so that nobody waits for another call.
    let tried = TRIED.lock().unwrap_or_else(PoisonError::into_inner).entry((operation, kind)).or_default().clone();
    *tried.get_or_init(|| {
        wait_for(|| async {
            let scene = Scene::with(kind, prepared().start(operation.start())).await.unwrap();
            let mut call = start(&scene, operation).unwrap();
            let started = Instant::now();
            while call.try_wait().unwrap().is_none() {
                assert!(started.elapsed() < PATIENCE, "the call does not end");
                tokio::time::sleep(GLANCE).await;
            }
            started.elapsed()
        })
    })
}

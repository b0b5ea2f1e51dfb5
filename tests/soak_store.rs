//! Whatever fails and whoever is killed, at any operation of a store: the next run finds the snapshot before or the one
//! after, and the doctor finds nothing wrong.
//!
//! Invariant 9 under seeded faults. Each seed is one scenario: an operation that writes, a folder or a bucket, something
//! that disturbs it and a point at which it does. `make test` plays what fits into [`SHORT`]; `make soak-store` plays all of
//! TAGMILL_SOAK, and TAGMILL_SOAK_SEED is the first seed, by itself the only one. Operations of a store that run at once
//! are counted as they come, so that a seed may meet another of them the next time.

mod directed;
mod disturbed;
mod operations;
mod prepared;
mod processes;
mod rivals;
mod scenario;
mod scene;
mod state;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::harness::view::wait_for;
use scenario::Scenario;

/// How many scenarios there are where nobody says how many.
const COUNT: u64 = 60;
/// These at least are played, however slow the machine is.
const LEAST: u64 = 12;
/// After so long no further one is begun, where nobody says how many.
const SHORT: Duration = Duration::from_secs(120);
/// How many are played at once.
const AT_ONCE: usize = 2;
/// No scenario takes longer.
const PATIENCE: Duration = Duration::from_secs(180);

/// What is played, and what came of it so far.
struct Soak {
    first: u64,
    count: u64,
    until: Option<Instant>,
    begun: AtomicU64,
    outcomes: Mutex<Outcomes>,
}

#[derive(Default)]
struct Outcomes {
    /// Operation, what disturbed it and what came of it, to how often.
    counts: BTreeMap<(String, String, &'static str), u64>,
    failures: Vec<String>,
}

impl Soak {
    fn of_environment() -> Self {
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
        let (count, seed) = (number("TAGMILL_SOAK"), number("TAGMILL_SOAK_SEED"));
        let until = (count.is_none() && seed.is_none()).then(|| Instant::now() + SHORT);
        let count = count.unwrap_or(if seed.is_some() { 1 } else { COUNT });
        Self { first: seed.unwrap_or(1), count, until, begun: AtomicU64::new(0), outcomes: Mutex::default() }
    }

    /// The next scenario; `None` where there is none or no time for it.
    fn next(&self) -> Option<Scenario> {
        let number = self.begun.fetch_add(1, Ordering::SeqCst);
        let is_late = number >= LEAST && self.until.is_some_and(|until| Instant::now() > until);
        (number < self.count && !is_late).then(|| Scenario::of(self.first + number))
    }

    /// Plays one scenario after the other.
    async fn play(&self) {
        while let Some(scenario) = self.next() {
            let started = Instant::now();
            let played = tokio::time::timeout(PATIENCE, scenario.play()).await.context("it does not end").flatten();
            let Scenario { seed, operation, kind, disturbance, .. } = scenario;
            let what = format!("seed {seed}: {operation:?} in a {kind:?}, {disturbance:?}");
            let taken = started.elapsed().as_secs_f64();
            let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
            let outcome = match played {
                Ok(told) => {
                    tell(&format!("{what}, {}: {} ({taken:.1} s)", told.met, told.outcome));
                    told.outcome
                }
                Err(error) => {
                    tell(&format!("{what}: FAILED ({taken:.1} s): {error:#}"));
                    outcomes.failures.push(format!("{what}: {error:#}"));
                    "failed"
                }
            };
            let place = (format!("{operation:?}"), format!("{disturbance:?}"), outcome);
            *outcomes.counts.entry(place).or_default() += 1;
        }
    }
}

impl Outcomes {
    /// A line for each operation and what disturbed it, with what came of it how often.
    fn tell(&self) {
        let mut lines: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
        for ((operation, disturbance, outcome), count) in &self.counts {
            lines.entry((operation.as_str(), disturbance.as_str())).or_default().push(format!("{count} {outcome}"));
        }
        for ((operation, disturbance), outcomes) in lines {
            tell(&format!("{operation:<12} {disturbance:<24} {}", outcomes.join(", ")));
        }
        tell(&format!("{} scenarios, {} failed", self.counts.values().sum::<u64>(), self.failures.len()));
    }
}

#[allow(clippy::print_stdout, reason = "whoever waits for the soak reads its log")]
fn tell(line: &str) {
    println!("{line}");
}

#[test]
fn whatever_fails_or_is_killed_the_next_run_finds_the_snapshot_before_or_the_one_after() {
    let soak = Soak::of_environment();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| wait_for(|| soak.play()));
        }
    });
    let outcomes = soak.outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.tell();
    assert!(outcomes.failures.is_empty(), "{}", outcomes.failures.join("\n"));
    assert!(outcomes.counts.values().sum::<u64>() >= soak.count.min(LEAST), "too few scenarios were played");
}

//! The doctor of what is kept: looks at every snapshot of the ledger, at what lies beside the tables and at the control
//! state, and says what is not as it was written.
//!
//! [`check_up`] changes nothing and takes no lock; what a run is doing at the moment may look like something left
//! behind, and its hint says so. [`repair()`] does what can be derived from what is there. Here is what files, logs and
//! the ledger tell by themselves; whether the rows of the tables fit together is asked in SQL, by the crate `query`.

mod control;
mod files;
mod findings;
mod heads;
mod ledger;
mod leftovers;
mod orphans;
mod repair;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::error::Error;

use tagmill_schemas::ids::SnapshotId;
use tagmill_schemas::tables::TABLES;

pub use findings::{Finding, Severity};
pub use repair::{Repaired, repair};

use findings::Findings;

use crate::delta::open_table;
use crate::ledger::LedgerRow;
use crate::publish::LEDGER;
use crate::warehouse::Warehouse;

/// How many objects are looked at at once.
const AT_ONCE: usize = 8;

/// What a look at everything that is kept came to.
#[derive(Debug)]
pub struct Checkup {
    /// What was found, in the order in which it was looked for.
    pub findings: Vec<Finding>,
    /// The kept snapshots, ascending; none where the ledger cannot be read.
    pub snapshots: Vec<LedgerRow>,
    /// How many data files were looked at, each once however many snapshots hold it.
    pub file_count: u64,
    /// The tables that cannot be read as a snapshot has them.
    unreadable: BTreeSet<(SnapshotId, String)>,
}

impl Checkup {
    /// Whether a table's files are all there, as a snapshot has the table.
    pub fn is_readable(&self, snapshot: SnapshotId, table: &str) -> bool {
        !self.unreadable.contains(&(snapshot, table.to_owned()))
    }
}

/// Looks at every kept snapshot, at what lies beside the tables, and at the control state. What cannot even be looked
/// at is a finding too.
pub async fn check_up(warehouse: &Warehouse) -> Checkup {
    let location = warehouse.location();
    let mut findings = Findings::default();
    let known = read_ledger(warehouse, &mut findings).await;
    let snapshots = known.clone().unwrap_or_default();
    ledger::check(location, &snapshots, &mut findings).await;
    let tables = tables::check(location, &snapshots, &mut findings).await;
    for table in TABLES {
        files::check_log(location, table.name, &mut findings).await;
    }
    if let Some(rows) = &known {
        heads::check(location, rows.last(), &mut findings).await;
        leftovers::check(location, rows.last().map(|row| row.snapshot_id), &mut findings).await;
        orphans::check(location, &tables, &mut findings).await;
    }
    control::check(warehouse, known.as_deref(), &mut findings);
    let file_count = tables.file_count();
    Checkup { findings: findings.into_list(), snapshots, file_count, unreadable: tables.unreadable }
}

/// An error with its causes, in one line.
pub fn in_words(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let message = next.to_string();
        // Some libraries repeat their cause in their own message.
        if !said.contains(&message) {
            said = format!("{said}: {message}");
        }
        cause = next.source();
    }
    said
}

/// The ledger, and whether its own file is as it was written; `None` where it cannot be read.
async fn read_ledger(warehouse: &Warehouse, findings: &mut Findings) -> Option<Vec<LedgerRow>> {
    let location = warehouse.location();
    let of_ledger = |what: String| {
        Finding::new(Severity::Error, what).of_table(LEDGER).with_hint(
            "no snapshot can be opened without the ledger: put `tables/snapshot` back from a backup of the same day",
        )
    };
    if let Ok(head) = open_table(location, LEDGER, None).await {
        for file in &head.files {
            if let Some(fault) = files::fault(location, LEDGER, file).await {
                findings.add(of_ledger(fault));
            }
        }
    }
    match warehouse.ledger().await {
        Ok(rows) => Some(rows),
        Err(cause) => {
            findings.add(of_ledger(format!("the ledger cannot be read: {}", in_words(&cause))));
            None
        }
    }
}

/// So many of something, in words: `1 file`, `2 files`.
fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

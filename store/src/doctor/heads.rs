//! The heads of the tables beside the newest snapshot: what is ahead of the ledger belongs to no snapshot yet.

use tagmill_schemas::tables::TABLES;

use super::findings::{Finding, Findings, Severity};
use super::in_words;
use crate::delta::open_table;
use crate::ledger::LedgerRow;
use crate::location::Location;
use crate::publish::LEDGER;

/// Says which tables hold something else at their head than the newest snapshot does.
pub(super) async fn check(location: &Location, newest: Option<&LedgerRow>, findings: &mut Findings) {
    for table in TABLES.iter().filter(|table| table.name != LEDGER) {
        // Before the first snapshot, a table is as it was made.
        let version = newest.and_then(|row| row.tables.get(table.name).copied()).unwrap_or(0);
        let head = match open_table(location, table.name, None).await {
            Ok(head) => head,
            Err(cause) => {
                let what = format!("its newest version cannot be opened: {}", in_words(&cause));
                let hint = "no run can begin until it can; older snapshots may still open";
                findings.add(Finding::new(Severity::Error, what).of_table(table.name).with_hint(hint));
                continue;
            }
        };
        if head.version == version {
            continue;
        }
        // A version that the ledger names and that cannot be opened is told with its snapshot.
        let Ok(kept) = open_table(location, table.name, Some(version)).await else { continue };
        if head.files != kept.files || head.schema != kept.schema {
            let what = format!("version {} is ahead of the ledger, which names version {version}", head.version);
            findings.add(Finding::new(Severity::Warning, what).of_table(table.name).with_hint(
                "if no run is writing now, one was killed, or another program has written to the table: the next run, \
                 or `tagmill doctor --repair`, finishes it or takes it back; readers of snapshots notice nothing",
            ));
        }
    }
}

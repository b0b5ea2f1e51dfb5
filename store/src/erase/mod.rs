//! Erasing a customer: its private values go from everything that is kept, and nothing else does.
//!
//! A data file is known to the log of its table by name, length and row count, for ever. It is written anew under its
//! own name, with NULL or a tombstone in the place of each value (`rows`) and with the same length (`same_length`), so
//! that every snapshot, log and count stays as it was. The number of the customer stays too; its id becomes
//! `erased:NUMBER`.
//!
//! The order: the values are collected from every file that holds any, and it is tried whether each file will fit; they
//! are written down (`journal`); files, plans and drafts are changed; the customer is remembered ([`Erased`]) and the
//! act audited; what was written down is removed; and everything is looked through once more (`scan`). Every step may
//! be done twice. An erasure that was killed is finished by whoever writes next, before anything else.

mod cells;
mod collect;
mod erased;
mod files;
mod in_memory;
mod journal;
mod rows;
mod same_length;
mod scan;
mod subject;
#[cfg(test)]
mod tests;
mod values;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tagmill_schemas::ids::{CustomerKey, CustomerNo};

pub(crate) use erased::ERASED;
pub use erased::{Erased, ErasedCustomer};
pub(crate) use journal::JOURNAL;
pub use scan::{Found, Left};

use files::{HeldFile, Holdings};
use journal::Journal;
use rows::Scrub;
use same_length::Rewritten;
use subject::Subject;
use values::{Search, Values};

use crate::control::{AuditEntry, ControlStore, Whom};
use crate::error::StoreError;
use crate::lock::WriterLock;
use crate::objects::Objects;
use crate::recover;
use crate::retention::remove_drafts;
use crate::warehouse::Warehouse;

/// What the audit calls it.
const ACT: &str = "erase";

/// How an erasure ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Erasing {
    /// The customer is erased now, or would be.
    Done(Erasure),
    /// It was erased before, and nothing was changed.
    Before(ErasedCustomer),
}

/// What an erasure replaced, or would replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// The customer.
    pub customer_no: CustomerNo,
    /// Its outside id from now on.
    pub tombstone: String,
    /// What was replaced.
    pub counts: Counts,
    /// What a look at everything found afterwards; `None` for a dry run.
    pub found: Option<Found>,
    /// What had to be mended before, and what went another way than usual, in words.
    pub notes: Vec<String>,
}

/// How much was replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Every table that held anything, in the order of the contracts.
    pub tables: Vec<ErasedRows>,
    /// The plans that had a step of the customer's, or named it.
    pub plans: u64,
}

/// How much was replaced in one table, over all its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErasedRows {
    /// The table.
    pub table: String,
    /// The files that were written anew.
    pub files: u64,
    /// Their rows that say less; the same row counts in each file that holds it.
    pub rows: u64,
}

impl Warehouse {
    /// Erases the customer that `customer` names, `SPACE:ID` or a bare id, on behalf of `by`, and looks through all that
    /// is kept afterwards. What belongs to the owner of the warehouse, such as exports beside the tables, is told and
    /// left.
    ///
    /// A question that is being answered meanwhile may fail, and is answered when it is asked again.
    ///
    /// # Errors
    /// Before anything is changed: `StoreError::NoState` where nothing says where the plans are, `StoreError::Locked`
    /// where a run is writing, `StoreError::NoCustomer` and `StoreError::ManyCustomers`, `StoreError::NoRoom` where a
    /// file does not fit into its place. Later ones leave it to the next writer to finish.
    pub async fn erase(&self, customer: &str, by: &str) -> Result<Erasing, StoreError> {
        self.state_path()?;
        let lock = WriterLock::take(self.location()).await?;
        let erased = erase_locked(self, &lock, customer, by).await;
        lock.release().await;
        erased
    }

    /// What [`Self::erase`] would replace. Takes no lock, mends nothing and changes nothing.
    ///
    /// # Errors
    /// As [`Self::erase`], without `StoreError::Locked`.
    pub async fn erase_dry(&self, customer: &str) -> Result<Erasing, StoreError> {
        self.state_path()?;
        match subject::find(self, customer).await? {
            Subject::Erased(before) => Ok(Erasing::Before(before)),
            Subject::There(number, key) => {
                let survey = Survey::of(self, number, key).await?;
                Ok(Erasing::Done(survey.erasure(None, Vec::new())))
            }
        }
    }
}

async fn erase_locked(
    warehouse: &Warehouse,
    lock: &WriterLock,
    customer: &str,
    by: &str,
) -> Result<Erasing, StoreError> {
    let mut notes = recover::recover(warehouse).await?.notes;
    let (number, key) = match subject::find(warehouse, customer).await? {
        Subject::Erased(before) => return Ok(Erasing::Before(before)),
        Subject::There(number, key) => (number, key),
    };
    let survey = Survey::of(warehouse, number, key).await?;
    let (values, counts) = (survey.search.values.clone(), survey.counts.clone());
    let journal = Journal { values, by: by.to_owned(), begun_at: warehouse.clock().now(), counts };
    lock.check()?;
    journal.write(warehouse.location()).await?;
    carry_out(warehouse, &journal, (&survey.search, &survey.holdings), Some(lock), &mut notes).await?;
    let found = scan::scan(warehouse, &survey.search, &survey.holdings).await?;
    Ok(Erasing::Done(survey.erasure(Some(found), notes)))
}

/// Finishes an erasure that was killed. To be called under the writer's lock, before anything else is written.
///
/// # Errors
/// As [`Warehouse::erase`]; the next writer tries again. Without a control state, nothing is done but a note.
pub(crate) async fn finish_if_begun(warehouse: &Warehouse, notes: &mut Vec<String>) -> Result<(), StoreError> {
    let Some(journal) = Journal::left(warehouse.location(), notes).await? else { return Ok(()) };
    let number = journal.values.customer_no.0;
    if warehouse.state_path().is_err() {
        notes.push(format!(
            "the erasure of customer {number} was broken off: whoever writes next with `--state` finishes it"
        ));
        return Ok(());
    }
    let search = Search::new(journal.values.clone());
    let holdings = Holdings::of(warehouse, &journal.values).await?;
    carry_out(warehouse, &journal, (&search, &holdings), None, notes).await?;
    notes.push(format!("finished the erasure of customer {number}, which had been broken off"));
    Ok(())
}

/// Who and what is to be erased, found and counted; nothing is changed.
struct Survey {
    search: Search,
    holdings: Holdings,
    counts: Counts,
}

impl Survey {
    async fn of(warehouse: &Warehouse, number: CustomerNo, key: CustomerKey) -> Result<Self, StoreError> {
        let objects = warehouse.location().objects();
        let mut values = Values::new(number, key);
        let holdings = Holdings::of(warehouse, &values).await?;
        collect::collect(objects, &holdings, &mut values).await?;
        let search = Search::new(values);
        let mut tables: Vec<ErasedRows> = Vec::new();
        for file in &holdings.files {
            let Some(rewritten) = rewritten(objects, file, &holdings, &search).await? else { continue };
            let table = file.table.name;
            if tables.last().is_none_or(|last| last.table != table) {
                tables.push(ErasedRows { table: table.to_owned(), files: 0, rows: 0 });
            }
            if let Some(last) = tables.last_mut() {
                last.files += 1;
                last.rows += rewritten.rows;
            }
        }
        // Looking makes no control state.
        let plans = if warehouse.state_path()?.is_file() {
            in_control(warehouse, &search, warehouse.clock().now(), ControlStore::plans_to_erase)?
        } else {
            0
        };
        Ok(Self { search, holdings, counts: Counts { tables, plans } })
    }

    fn erasure(self, found: Option<Found>, notes: Vec<String>) -> Erasure {
        let values = &self.search.values;
        let (customer_no, tombstone) = (values.customer_no, values.tombstone());
        Erasure { customer_no, tombstone, counts: self.counts, found, notes }
    }
}

/// Changes everything, in an order that can be taken up again.
async fn carry_out(
    warehouse: &Warehouse,
    journal: &Journal,
    (search, holdings): (&Search, &Holdings),
    lock: Option<&WriterLock>,
    notes: &mut Vec<String>,
) -> Result<(), StoreError> {
    let (location, values) = (warehouse.location(), &journal.values);
    let check = || lock.map_or(Ok(()), WriterLock::check);
    for file in &holdings.files {
        if let Some(rewritten) = rewritten(location.objects(), file, holdings, search).await? {
            check()?;
            location.objects().write(&file.path, rewritten.content.into()).await?;
        }
    }
    check()?;
    if !in_control(warehouse, search, journal.begun_at, ControlStore::erase)? {
        notes.push("somebody is reading the control state; its journal is emptied when they have ended".to_owned());
    }
    remove_drafts(location).await?;
    erased::remember(location, values, &journal.by, journal.begun_at).await?;
    warehouse.control()?.write_down(&audited(journal))?;
    check()?;
    journal::remove(location).await
}

/// A data file without the customer's values; `None` where it holds none.
async fn rewritten(
    objects: &Objects,
    held: &HeldFile,
    holdings: &Holdings,
    search: &Search,
) -> Result<Option<Rewritten>, StoreError> {
    let Some(file) = held.open(objects).await? else { return Ok(None) };
    let scrub = Scrub::new(held, holdings, search);
    // Of most files, one column tells that they hold no row of the customer.
    let looked_at: Option<&[&str]> = if scrub.is_by_number { Some(&["customer_no"]) } else { None };
    let mut is_concerned = false;
    file.each_batch(looked_at, |batch| {
        is_concerned = is_concerned || scrub.concerns(batch)?;
        Ok(())
    })?;
    if is_concerned { same_length::rewrite(&file, |batch| scrub.apply(batch)) } else { Ok(None) }
}

/// Does something to the control state, on behalf of the customer.
fn in_control<T>(
    warehouse: &Warehouse,
    search: &Search,
    at: DateTime<Utc>,
    act: impl FnOnce(&ControlStore, &Whom<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let values = &search.values;
    let (tombstone, clean) = (values.tombstone(), |text: &str| search.without_values(text));
    let whom = Whom { customer_no: values.customer_no, key: &values.key, tombstone: &tombstone, at, clean: &clean };
    act(&warehouse.control()?, &whom)
}

/// What the audit says of an erasure: how much of what, and nothing of what it was.
fn audited(journal: &Journal) -> AuditEntry {
    let in_table = |told: &ErasedRows| format!("{}: {} rows in {} files", told.table, told.rows, told.files);
    let mut detail: Vec<String> = journal.counts.tables.iter().map(in_table).collect();
    detail.push(format!("plans: {}", journal.counts.plans));
    AuditEntry {
        at: journal.begun_at,
        actor: journal.by.clone(),
        act: ACT.to_owned(),
        subject: format!("customer {}", journal.values.customer_no.0),
        detail: detail.join(", "),
    }
}

//! Taking a customer out of the plans.
//!
//! A plan is known by the hash of its steps. Where a customer is taken out of them, the hash that they have from then
//! on is kept beside the plan, so that they can still be told from steps that somebody has changed. What the plan was
//! approved as stays written down as it was.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use tagmill_schemas::documents::plan::{PlanHeader, PlanState, PlanStep, Receipt, content_hash};
use tagmill_schemas::ids::{CustomerKey, CustomerNo, PlanId};

use super::{ControlStore, change_state, from_text, header_and_state, query_all, steps, to_text};
use crate::durable::file_error;
use crate::error::StoreError;

/// Who turns down a plan that has lost a customer before it was begun.
const ERASER: &str = "erase";

/// Whom to take out of the control state.
pub(crate) struct Whom<'w> {
    /// The customer.
    pub(crate) customer_no: CustomerNo,
    /// Its outside key, as it was.
    pub(crate) key: &'w CustomerKey,
    /// What stands in the place of its id.
    pub(crate) tombstone: &'w str,
    /// When.
    pub(crate) at: DateTime<Utc>,
    /// A text without what tells who the customer is; `None` where it tells nothing.
    pub(crate) clean: &'w dyn Fn(&str) -> Option<String>,
}

impl Whom<'_> {
    /// A step without the customer; it still says by number whose it is.
    fn taken_out_of(&self, step: &PlanStep) -> PlanStep {
        let mut step = step.clone();
        if step.customer_no == self.customer_no || step.customer == *self.key {
            self.tombstone.clone_into(&mut step.customer.customer_id);
            step.evidence.clear();
        } else if let Some(evidence) = (self.clean)(&step.evidence) {
            step.evidence = evidence;
        }
        step
    }

    fn taken_out_of_all(&self, steps: &[PlanStep]) -> Vec<PlanStep> {
        steps.iter().map(|step| self.taken_out_of(step)).collect()
    }
}

impl ControlStore {
    /// The hash that the steps of a plan have: that of the plan, or the one that an erasure has left them with.
    ///
    /// # Errors
    /// `StoreError::Control`.
    pub fn expected_hash(&self, header: &PlanHeader) -> Result<String, StoreError> {
        expected_hash(&self.lock(), header)
    }

    /// How many plans have a step of the customer's.
    pub(crate) fn plans_to_erase(&self, whom: &Whom<'_>) -> Result<u64, StoreError> {
        let mut count = 0;
        for path in self.steps_files()?.iter().filter(|path| !is_draft(path)) {
            let is_theirs = |kept: Vec<PlanStep>| whom.taken_out_of_all(&kept) != kept;
            count += u64::from(read(path)?.is_some_and(is_theirs));
        }
        Ok(count)
    }

    /// Takes the customer out of steps, titles, receipts and histories. A plan that waits, or was approved and not
    /// begun, is turned down: it would no longer be what was seen. Doing it twice changes nothing more.
    ///
    /// Returns whether nothing of it is left in the file's journal either; where it is not, somebody else is reading.
    ///
    /// # Errors
    /// `StoreError::Control` or `StoreError::File`.
    pub(crate) fn erase(&self, whom: &Whom<'_>) -> Result<bool, StoreError> {
        // What is deleted or replaced is overwritten, in the pages of the file and in its free ones.
        self.lock().execute_batch("PRAGMA secure_delete = ON").map_err(failed)?;
        for path in self.steps_files()? {
            self.erase_steps(&path, whom)?;
        }
        self.erase_texts(whom)?;
        let connection = self.lock();
        connection.execute_batch("VACUUM").map_err(failed)?;
        let is_busy: i64 =
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).map_err(failed)?;
        Ok(is_busy == 0)
    }

    /// The files of steps, and the drafts of such, sorted.
    fn steps_files(&self) -> Result<Vec<PathBuf>, StoreError> {
        let failed = |source| file_error("list", &self.plans, source);
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.plans).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if is_draft(&path) || path.extension().is_some_and(|ending| ending == "parquet") {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    fn erase_steps(&self, path: &Path, whom: &Whom<'_>) -> Result<(), StoreError> {
        let kept = read(path)?;
        if is_draft(path) {
            // Who is writing it right now has to write it again; mostly nobody is.
            let stays = kept.is_some_and(|kept| whom.taken_out_of_all(&kept) == kept);
            return if stays { Ok(()) } else { remove(path) };
        }
        let Some(kept) = kept else { return Ok(()) };
        let left = whom.taken_out_of_all(&kept);
        if left == kept {
            return Ok(());
        }
        if let Some(name) = path.file_stem().and_then(|name| name.to_str()) {
            self.note_erasure(&PlanId::new(name), &kept, &left, whom)?;
        }
        steps::write(path, &left)
    }

    /// Writes down what the steps of a plan are from now on, before they are that: killed in between, they are not
    /// those of the plan until the erasure is taken up again.
    fn note_erasure(
        &self,
        plan_id: &PlanId,
        kept: &[PlanStep],
        left: &[PlanStep],
        whom: &Whom<'_>,
    ) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let (header, state) = match header_and_state(&transaction, plan_id) {
            // Whoever made the plan was killed before it was one.
            Err(StoreError::NoPlan { .. }) => return Ok(()),
            found => found?,
        };
        let hash_of = |steps: &[PlanStep]| content_hash(&header.identity(), steps.iter());
        // Steps that were not those of the plan do not become so.
        if hash_of(kept) == expected_hash(&transaction, &header)? {
            let keep = "INSERT INTO plan_erasure (plan_id, content_hash, at) VALUES (?1, ?2, ?3) \
                        ON CONFLICT (plan_id) DO UPDATE SET content_hash = excluded.content_hash, at = excluded.at";
            let at = whom.at.to_rfc3339();
            transaction.execute(keep, params![plan_id.as_str(), hash_of(left), at]).map_err(failed)?;
        }
        if matches!(state, PlanState::Pending | PlanState::Approved) {
            change_state(&transaction, plan_id, PlanState::Rejected, ERASER, whom.at)?;
        }
        transaction.commit().map_err(failed)
    }

    /// Takes what tells who the customer is out of everything that people wrote.
    fn erase_texts(&self, whom: &Whom<'_>) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let headers = ("SELECT rowid, header FROM plan", "UPDATE plan SET header = ?2 WHERE rowid = ?1");
        replace_texts(&transaction, headers, |text| {
            let header: PlanHeader = from_text(text)?;
            (whom.clean)(&header.title).map(|title| to_text(&PlanHeader { title, ..header })).transpose()
        })?;
        let receipts = ("SELECT rowid, receipt FROM receipt", "UPDATE receipt SET receipt = ?2 WHERE rowid = ?1");
        replace_texts(&transaction, receipts, |text| {
            let receipt: Receipt = from_text(text)?;
            let detail = receipt.detail.as_deref().and_then(whom.clean);
            detail.map(|detail| to_text(&Receipt { detail: Some(detail), ..receipt })).transpose()
        })?;
        let acts = ("SELECT rowid, what FROM plan_event", "UPDATE plan_event SET what = ?2 WHERE rowid = ?1");
        replace_texts(&transaction, acts, |what| Ok((whom.clean)(what)))?;
        let actors = ("SELECT rowid, actor FROM plan_event", "UPDATE plan_event SET actor = ?2 WHERE rowid = ?1");
        replace_texts(&transaction, actors, |actor| Ok(without_reason(actor, whom)))?;
        transaction.commit().map_err(failed)
    }
}

/// Replaces texts by what `change` makes of them; `None` leaves one as it is.
fn replace_texts(
    transaction: &Transaction<'_>,
    (select, update): (&str, &str),
    change: impl Fn(&str) -> Result<Option<String>, StoreError>,
) -> Result<(), StoreError> {
    let kept = query_all(transaction, select, None, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    for (row, text) in kept {
        if let Some(changed) = change(&text)? {
            transaction.execute(update, params![row, changed]).map_err(failed)?;
        }
    }
    Ok(())
}

/// Who acted, with the reason given cleaned: `wang (…)`. The name is that of whoever acted, and stays.
fn without_reason(actor: &str, whom: &Whom<'_>) -> Option<String> {
    let (name, reason) = actor.split_once(" (")?;
    Some(format!("{name} ({}", (whom.clean)(reason)?))
}

fn expected_hash(connection: &Connection, header: &PlanHeader) -> Result<String, StoreError> {
    let left: Option<String> = connection
        .query_row("SELECT content_hash FROM plan_erasure WHERE plan_id = ?1", [header.plan_id.as_str()], |row| {
            row.get(0)
        })
        .optional()
        .map_err(failed)?;
    Ok(left.unwrap_or_else(|| header.content_hash.clone()))
}

/// The steps in a file; `None` where there are none to be read. Nobody can execute such.
fn read(path: &Path) -> Result<Option<Vec<PlanStep>>, StoreError> {
    match steps::read(path) {
        Err(StoreError::Parquet { .. } | StoreError::Damaged { .. }) => Ok(None),
        kept => kept.map(Some),
    }
}

/// Whether a file is one of steps that is being written, or never was.
fn is_draft(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "tmp")
}

fn remove(path: &Path) -> Result<(), StoreError> {
    std::fs::remove_file(path).map_err(|source| file_error("remove", path, source))
}

fn failed(source: rusqlite::Error) -> StoreError {
    StoreError::Control { step: "take a customer out of it", source }
}

//! The control state: plans with their approvals and receipts, in one SQLite file in WAL mode.
//!
//! A plan's header lives here and its steps in a Parquet file of their own, written before the header, so that a header
//! always has its steps. Nothing about a plan is ever changed but its state, and a change of it is one transaction with
//! what is written down of it: several processes may work on one plan, and one of them gets its way. An erasure alone
//! takes a customer out of what is there (`erase`).

mod audit;
mod check;
mod copy;
mod erase;
mod steps;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tagmill_schemas::documents::plan::{Approval, PlanHeader, PlanState, PlanStep, Receipt};
use tagmill_schemas::ids::PlanId;

pub use audit::AuditEntry;
pub(crate) use copy::{ControlCopy, copy_control};
pub(crate) use erase::Whom;

use crate::durable::file_error;
use crate::error::StoreError;

/// How long one process waits for another's write.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it looks, where SQLite itself does not wait.
const GLANCE: Duration = Duration::from_millis(10);

/// The control state of a warehouse. Cheap to clone; one connection serves all clones.
#[derive(Debug, Clone)]
pub struct ControlStore {
    connection: Arc<Mutex<Connection>>,
    plans: PathBuf,
}

/// A plan as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPlan {
    /// What it is.
    pub header: PlanHeader,
    /// How far it has come.
    pub state: PlanState,
    /// Who agreed.
    pub approvals: Vec<Approval>,
    /// What was done to it, oldest first: when, by whom, what.
    pub history: Vec<(DateTime<Utc>, String, String)>,
}

impl ControlStore {
    /// Opens the file, making it where there is none. `plans` is the folder of the plans' steps.
    ///
    /// # Errors
    /// `StoreError::Control` where SQLite cannot open it, `StoreError::File` where its folder cannot be made.
    pub fn open(file: &Path, plans: &Path) -> Result<Self, StoreError> {
        for folder in file.parent().into_iter().chain([plans]) {
            std::fs::create_dir_all(folder).map_err(|source| file_error("make the folder", folder, source))?;
        }
        let failed = |source| StoreError::Control { step: "open it", source };
        let connection = Connection::open(file).map_err(failed)?;
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        set_up(&connection).map_err(failed)?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), plans: plans.to_path_buf() })
    }

    /// Keeps a new plan. The same plan again is left as it is, whatever its state.
    ///
    /// # Errors
    /// `StoreError::Control` or `StoreError::File`.
    pub fn save_plan(&self, header: &PlanHeader, steps: &[PlanStep]) -> Result<(), StoreError> {
        if self.has_plan(&header.plan_id)? {
            return Ok(());
        }
        steps::write(&self.steps_path(&header.plan_id), steps)?;
        let failed = |source| StoreError::Control { step: "keep a plan", source };
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let added = transaction
            .execute(
                "INSERT OR IGNORE INTO plan (plan_id, header, state, created_at) VALUES (?1, ?2, ?3, ?4)",
                params![
                    header.plan_id.as_str(),
                    to_text(header)?,
                    to_text(&PlanState::Pending)?,
                    header.created_at.to_rfc3339()
                ],
            )
            .map_err(failed)?;
        if added == 1 {
            record(&transaction, &header.plan_id, header.created_at, &header.author, "made")?;
        }
        transaction.commit().map_err(failed)
    }

    fn has_plan(&self, plan_id: &PlanId) -> Result<bool, StoreError> {
        self.lock()
            .query_row("SELECT count(*) FROM plan WHERE plan_id = ?1", [plan_id.as_str()], |row| row.get::<_, i64>(0))
            .map(|count| count > 0)
            .map_err(|source| StoreError::Control { step: "look for a plan", source })
    }

    /// Every plan, newest first.
    ///
    /// # Errors
    /// `StoreError::Control`.
    pub fn plans(&self) -> Result<Vec<StoredPlan>, StoreError> {
        let ids = query_all(&self.lock(), "SELECT plan_id FROM plan ORDER BY created_at DESC, plan_id", None, |row| {
            row.get::<_, String>(0)
        })?;
        ids.into_iter().map(|id| self.plan(&PlanId(id))).collect()
    }

    /// One plan.
    ///
    /// # Errors
    /// `StoreError::NoPlan`.
    pub fn plan(&self, plan_id: &PlanId) -> Result<StoredPlan, StoreError> {
        let mut connection = self.lock();
        // One transaction, so that the approvals and the history are those of the state.
        let transaction =
            connection.transaction().map_err(|source| StoreError::Control { step: "read a plan", source })?;
        let (header, state) = header_and_state(&transaction, plan_id)?;
        let approvals = query_all(
            &transaction,
            "SELECT approval FROM approval WHERE plan_id = ?1 ORDER BY rowid",
            Some(plan_id),
            |row| row.get::<_, String>(0),
        )?;
        let history = query_all(
            &transaction,
            "SELECT at, actor, what FROM plan_event WHERE plan_id = ?1 ORDER BY rowid",
            Some(plan_id),
            |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?)),
        )?;
        Ok(StoredPlan {
            header,
            state,
            approvals: approvals.iter().map(|text| from_text(text)).collect::<Result<_, _>>()?,
            history: history
                .into_iter()
                .map(|(at, actor, what)| Ok((parse_instant(&at)?, actor, what)))
                .collect::<Result<_, StoreError>>()?,
        })
    }

    /// The steps of a plan, in order.
    ///
    /// # Errors
    /// `StoreError::File` or `StoreError::Damaged` where they cannot be read.
    pub fn steps(&self, plan_id: &PlanId) -> Result<Vec<PlanStep>, StoreError> {
        steps::read(&self.steps_path(plan_id))
    }

    /// Moves a plan to another state. What execution does is taken up where it stopped: a plan that is executing,
    /// executed or undone already is left as it is.
    ///
    /// # Errors
    /// `StoreError::NoPlan`; `StoreError::PlanState` where the plan cannot go there from where it is.
    pub fn move_plan(&self, plan_id: &PlanId, to: PlanState, actor: &str, at: DateTime<Utc>) -> Result<(), StoreError> {
        let failed = |source| StoreError::Control { step: "move a plan on", source };
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        change_state(&transaction, plan_id, to, actor, at)?;
        transaction.commit().map_err(failed)
    }

    /// Approves a pending plan: its state, its history and the approval together, or none of them. The approval is of
    /// the content that the plan's header names.
    ///
    /// # Errors
    /// `StoreError::NoPlan`; `StoreError::PlanState` where it is not pending.
    pub fn approve(&self, plan_id: &PlanId, actor: &str, at: DateTime<Utc>) -> Result<(), StoreError> {
        let failed = |source| StoreError::Control { step: "keep an approval", source };
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let (header, _) = header_and_state(&transaction, plan_id)?;
        change_state(&transaction, plan_id, PlanState::Approved, actor, at)?;
        let approval = Approval {
            plan_id: plan_id.clone(),
            content_hash: header.content_hash,
            approved_by: actor.to_owned(),
            is_verified: false,
            at,
        };
        transaction
            .execute(
                "INSERT INTO approval (plan_id, approval) VALUES (?1, ?2)",
                params![plan_id.as_str(), to_text(&approval)?],
            )
            .map_err(failed)?;
        transaction.commit().map_err(failed)
    }

    /// Keeps receipts, all or none. A receipt that a step has already stays.
    ///
    /// # Errors
    /// `StoreError::Control`.
    pub fn add_receipts(&self, receipts: &[Receipt]) -> Result<(), StoreError> {
        let failed = |source| StoreError::Control { step: "keep receipts", source };
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        {
            let mut insert = transaction
                .prepare("INSERT OR IGNORE INTO receipt (plan_id, step_no, receipt) VALUES (?1, ?2, ?3)")
                .map_err(failed)?;
            for receipt in receipts {
                insert
                    .execute(params![receipt.plan_id.as_str(), receipt.step_no, to_text(receipt)?])
                    .map_err(failed)?;
            }
        }
        transaction.commit().map_err(failed)
    }

    /// The receipts of a plan, by step.
    ///
    /// # Errors
    /// `StoreError::Control`.
    pub fn receipts(&self, plan_id: &PlanId) -> Result<Vec<Receipt>, StoreError> {
        let texts = query_all(
            &self.lock(),
            "SELECT receipt FROM receipt WHERE plan_id = ?1 ORDER BY step_no",
            Some(plan_id),
            |row| row.get::<_, String>(0),
        )?;
        texts.iter().map(|text| from_text(text)).collect()
    }

    fn steps_path(&self, plan_id: &PlanId) -> PathBuf {
        self.plans.join(steps_file(plan_id.as_str()))
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // SQLite itself guards the data; a panic elsewhere leaves the connection usable.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of the file of a plan's steps.
fn steps_file(plan_id: &str) -> String {
    format!("{plan_id}.parquet")
}

/// Makes the tables where they are missing. SQLite waits for another process everywhere but where the journal changes
/// its mode, which happens once in the life of the file: whoever comes second there looks again.
fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    let began = Instant::now();
    loop {
        let done = connection
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")
            .and_then(|()| connection.execute_batch(include_str!("schema.sql")));
        match done {
            Err(cause) if cause.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && began.elapsed() < PATIENCE => {
                std::thread::sleep(GLANCE);
            }
            done => return done,
        }
    }
}

fn header_and_state(connection: &Connection, plan_id: &PlanId) -> Result<(PlanHeader, PlanState), StoreError> {
    let found: Option<(String, String)> = connection
        .query_row("SELECT header, state FROM plan WHERE plan_id = ?1", [plan_id.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()
        .map_err(|source| StoreError::Control { step: "read a plan", source })?;
    let (header, state) = found.ok_or_else(|| StoreError::NoPlan { plan_id: plan_id.to_string() })?;
    Ok((from_text(&header)?, from_text(&state)?))
}

/// Changes a plan's state and writes it down, within the transaction in which the state was read.
fn change_state(
    transaction: &Transaction<'_>,
    plan_id: &PlanId,
    to: PlanState,
    actor: &str,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let (_, from) = header_and_state(transaction, plan_id)?;
    if from == to && matches!(to, PlanState::Executing | PlanState::Executed | PlanState::Undone) {
        return Ok(());
    }
    let changed = if from.can_become(to) {
        transaction
            .execute(
                "UPDATE plan SET state = ?3 WHERE plan_id = ?1 AND state = ?2",
                params![plan_id.as_str(), to_text(&from)?, to_text(&to)?],
            )
            .map_err(|source| StoreError::Control { step: "move a plan on", source })?
    } else {
        0
    };
    if changed == 0 {
        let [state, wanted] = [from, to].map(|state| state.to_string());
        return Err(StoreError::PlanState { plan_id: plan_id.to_string(), state, wanted });
    }
    record(transaction, plan_id, at, actor, to.as_str())
}

fn record(
    connection: &Connection,
    plan_id: &PlanId,
    at: DateTime<Utc>,
    actor: &str,
    what: &str,
) -> Result<(), StoreError> {
    connection
        .execute(
            "INSERT INTO plan_event (plan_id, at, actor, what) VALUES (?1, ?2, ?3, ?4)",
            params![plan_id.as_str(), at.to_rfc3339(), actor, what],
        )
        .map_err(|source| StoreError::Control { step: "write the history of a plan", source })?;
    Ok(())
}

fn query_all<T>(
    connection: &Connection,
    sql: &str,
    plan_id: Option<&PlanId>,
    read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let failed = |source| StoreError::Control { step: "read it", source };
    let mut statement = connection.prepare(sql).map_err(failed)?;
    let rows = match plan_id {
        Some(plan_id) => statement.query_map([plan_id.as_str()], read),
        None => statement.query_map([], read),
    };
    rows.map_err(failed)?.collect::<rusqlite::Result<Vec<T>>>().map_err(failed)
}

fn to_text<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|cause| damaged(&cause))
}

fn from_text<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|cause| damaged(&cause))
}

fn parse_instant(text: &str) -> Result<DateTime<Utc>, StoreError> {
    DateTime::parse_from_rfc3339(text)
        .map(|instant| instant.with_timezone(&Utc))
        .map_err(|cause| StoreError::Damaged { what: "the control state".to_owned(), reason: cause.to_string() })
}

fn damaged(cause: &serde_json::Error) -> StoreError {
    StoreError::Damaged { what: "the control state".to_owned(), reason: cause.to_string() }
}

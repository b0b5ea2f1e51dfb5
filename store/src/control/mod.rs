//! The control state: plans with their approvals and receipts, in one SQLite file in WAL mode.
//!
//! A plan's header lives here and its steps in a Parquet file of their own, written before the header, so that a header
//! always has its steps. Nothing about a plan is ever changed but its state.

mod steps;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tagmill_schemas::documents::plan::{Approval, PlanHeader, PlanState, PlanStep, Receipt};
use tagmill_schemas::ids::PlanId;

use crate::error::StoreError;

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
            std::fs::create_dir_all(folder).map_err(|source| StoreError::File {
                step: "make the folder",
                path: folder.display().to_string(),
                source,
            })?;
        }
        let failed = |source| StoreError::Control { step: "open it", source };
        let connection = Connection::open(file).map_err(failed)?;
        connection
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000;")
            .map_err(failed)?;
        connection.execute_batch(include_str!("schema.sql")).map_err(failed)?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), plans: plans.to_path_buf() })
    }

    /// Keeps a new plan. The same plan again is left as it is, whatever its state.
    ///
    /// # Errors
    /// `StoreError::Control` or `StoreError::File`.
    pub fn save_plan(&self, header: &PlanHeader, steps: &[PlanStep]) -> Result<(), StoreError> {
        steps::write(&self.steps_path(&header.plan_id), steps)?;
        let connection = self.lock();
        let added = connection
            .execute(
                "INSERT OR IGNORE INTO plan (plan_id, header, state, created_at) VALUES (?1, ?2, ?3, ?4)",
                params![
                    header.plan_id.as_str(),
                    to_text(header)?,
                    to_text(&PlanState::Pending)?,
                    header.created_at.to_rfc3339()
                ],
            )
            .map_err(|source| StoreError::Control { step: "keep a plan", source })?;
        if added == 1 {
            record(&connection, &header.plan_id, header.created_at, &header.author, "made")?;
        }
        Ok(())
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
        let connection = self.lock();
        let failed = |source| StoreError::Control { step: "read a plan", source };
        let found: Option<(String, String)> = connection
            .query_row("SELECT header, state FROM plan WHERE plan_id = ?1", [plan_id.as_str()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()
            .map_err(failed)?;
        let (header, state) = found.ok_or_else(|| StoreError::NoPlan { plan_id: plan_id.to_string() })?;
        let approvals = query_all(
            &connection,
            "SELECT approval FROM approval WHERE plan_id = ?1 ORDER BY rowid",
            Some(plan_id),
            |row| row.get::<_, String>(0),
        )?;
        let history = query_all(
            &connection,
            "SELECT at, actor, what FROM plan_event WHERE plan_id = ?1 ORDER BY rowid",
            Some(plan_id),
            |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?)),
        )?;
        Ok(StoredPlan {
            header: from_text(&header)?,
            state: from_text(&state)?,
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

    /// Moves a plan to another state; the same state again changes nothing.
    ///
    /// # Errors
    /// `StoreError::PlanState` where the plan cannot go there from where it is.
    pub fn move_plan(&self, plan_id: &PlanId, to: PlanState, actor: &str, at: DateTime<Utc>) -> Result<(), StoreError> {
        let from = self.plan(plan_id)?.state;
        if from == to {
            return Ok(());
        }
        if !from.can_become(to) {
            return Err(StoreError::PlanState {
                plan_id: plan_id.to_string(),
                state: plain(&from)?,
                wanted: plain(&to)?,
            });
        }
        let connection = self.lock();
        connection
            .execute("UPDATE plan SET state = ?2 WHERE plan_id = ?1", params![plan_id.as_str(), to_text(&to)?])
            .map_err(|source| StoreError::Control { step: "move a plan on", source })?;
        record(&connection, plan_id, at, actor, &plain(&to)?)
    }

    /// Keeps an approval.
    ///
    /// # Errors
    /// `StoreError::Control`.
    pub fn add_approval(&self, approval: &Approval) -> Result<(), StoreError> {
        self.lock()
            .execute(
                "INSERT INTO approval (plan_id, approval) VALUES (?1, ?2)",
                params![approval.plan_id.as_str(), to_text(approval)?],
            )
            .map_err(|source| StoreError::Control { step: "keep an approval", source })?;
        Ok(())
    }

    /// Keeps receipts, all or none. A receipt that a step has already stays.
    ///
    /// # Errors
    /// `StoreError::Control`.
    pub fn add_receipts(&self, receipts: &[Receipt]) -> Result<(), StoreError> {
        let failed = |source| StoreError::Control { step: "keep receipts", source };
        let mut connection = self.lock();
        let transaction = connection.transaction().map_err(failed)?;
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
        self.plans.join(format!("{plan_id}.parquet"))
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // SQLite itself guards the data; a panic elsewhere leaves the connection usable.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

/// A state's word without the quotes of its JSON form.
fn plain<T: Serialize>(value: &T) -> Result<String, StoreError> {
    Ok(to_text(value)?.trim_matches('"').to_owned())
}

fn parse_instant(text: &str) -> Result<DateTime<Utc>, StoreError> {
    DateTime::parse_from_rfc3339(text)
        .map(|instant| instant.with_timezone(&Utc))
        .map_err(|cause| StoreError::Damaged { what: "the control state".to_owned(), reason: cause.to_string() })
}

fn damaged(cause: &serde_json::Error) -> StoreError {
    StoreError::Damaged { what: "the control state".to_owned(), reason: cause.to_string() }
}

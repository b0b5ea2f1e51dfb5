//! The audit: acts that nobody may do unnoticed. It is only ever added to, which the table itself sees to.

use chrono::{DateTime, Utc};
use rusqlite::params;

use super::{ControlStore, parse_instant, query_all};
use crate::error::StoreError;

/// An act that was written down. It names no private value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When it was done, or begun.
    pub at: DateTime<Utc>,
    /// Who did it; nobody has verified the name.
    pub actor: String,
    /// What was done, in a word.
    pub act: String,
    /// To what or whom.
    pub subject: String,
    /// What came of it, in words.
    pub detail: String,
}

impl ControlStore {
    /// Writes an act down. The same act on the same subject at the same instant is written down once.
    ///
    /// # Errors
    /// `StoreError::Control`.
    pub(crate) fn write_down(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let at = entry.at.to_rfc3339();
        let add = "INSERT INTO audit (at, actor, act, subject, detail) SELECT ?1, ?2, ?3, ?4, ?5 \
                   WHERE NOT EXISTS (SELECT 1 FROM audit WHERE at = ?1 AND act = ?3 AND subject = ?4)";
        let values = params![at, entry.actor, entry.act, entry.subject, entry.detail];
        let added = self.lock().execute(add, values);
        added.map(drop).map_err(|source| StoreError::Control { step: "add to the audit", source })
    }

    /// Everything that was written down, oldest first.
    ///
    /// # Errors
    /// `StoreError::Control`.
    pub fn audit(&self) -> Result<Vec<AuditEntry>, StoreError> {
        let sql = "SELECT at, actor, act, subject, detail FROM audit ORDER BY rowid";
        let rows = query_all(&self.lock(), sql, None, |row| {
            Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })?;
        let entry = |(at, actor, act, subject, detail): (String, _, _, _, _)| -> Result<AuditEntry, StoreError> {
            Ok(AuditEntry { at: parse_instant(&at)?, actor, act, subject, detail })
        };
        rows.into_iter().map(entry).collect()
    }
}

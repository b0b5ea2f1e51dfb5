//! A copy of the control state as it is at one instant, whoever writes to it meanwhile.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use super::{PATIENCE, query_all, steps_file};
use crate::durable::file_error;
use crate::error::StoreError;

/// What the copy is called in its folder.
const COPY: &str = "control.sqlite";

/// A copy of the control state, in a folder of its own that goes with it.
#[derive(Debug)]
pub(crate) struct ControlCopy {
    folder: TempDir,
    /// The folder in which the original lies.
    pub(crate) beside: PathBuf,
    /// The files of the steps of its plans, by their names in the folder `plans` beside the original. Every plan that was
    /// copied had its steps before it was there.
    pub(crate) step_files: Vec<String>,
}

impl ControlCopy {
    /// The folder that holds it, as `control.sqlite`.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Copies the control state; `None` where there is none, and none is made.
///
/// # Errors
/// `StoreError::Control` where SQLite cannot read it, `StoreError::File` where there is no room for the copy.
pub(crate) fn copy_control(file: &Path) -> Result<Option<ControlCopy>, StoreError> {
    if !file.is_file() {
        return Ok(None);
    }
    let failed = |source| StoreError::Control { step: "copy it", source };
    let folder = tempfile::tempdir()
        .map_err(|source| file_error("make a temporary folder in", &std::env::temp_dir(), source))?;
    let copy = folder.path().join(COPY);
    let original = open(file, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    if !has_plans(&original).map_err(failed)? {
        // Somebody is making it at the moment, or was killed while making it.
        return Ok(None);
    }
    original.execute("VACUUM INTO ?1", [copy.display().to_string()]).map_err(failed)?;
    let copied = open(&copy, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    let ids = query_all(&copied, "SELECT plan_id FROM plan ORDER BY plan_id", None, |row| row.get::<_, String>(0))?;
    let step_files = ids.iter().map(|plan_id| steps_file(plan_id)).collect();
    let beside = file.parent().unwrap_or(Path::new("")).to_path_buf();
    Ok(Some(ControlCopy { folder, beside, step_files }))
}

fn open(file: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(PATIENCE)?;
    Ok(connection)
}

fn has_plans(connection: &Connection) -> rusqlite::Result<bool> {
    let tables = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'plan'";
    connection.query_row(tables, [], |row| row.get::<_, i64>(0)).map(|count| count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::ControlStore;

    fn insert(connection: &Connection, plan_id: &str) {
        let sql = "INSERT INTO plan (plan_id, header, state, created_at) VALUES (?1, '', '', '')";
        connection.execute(sql, [plan_id]).unwrap();
    }

    #[test]
    fn a_copy_is_of_one_instant_while_somebody_writes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("control.sqlite");
        let control = ControlStore::open(&file, &folder.path().join("plans")).unwrap();
        let writer = control.lock();
        insert(&writer, "plan-a");
        writer.execute_batch("BEGIN IMMEDIATE").unwrap();
        insert(&writer, "plan-b");
        let copy = copy_control(&file).unwrap().unwrap();
        writer.execute_batch("COMMIT").unwrap();
        assert_eq!(copy.step_files, ["plan-a.parquet"]);
        assert_eq!(copy.beside, folder.path());
        let copied = ControlStore::open(&copy.folder().join(COPY), &folder.path().join("plans")).unwrap();
        assert_eq!(copied.faults().unwrap(), Vec::<String>::new());
        assert_eq!(copy_control(&file).unwrap().unwrap().step_files, ["plan-a.parquet", "plan-b.parquet"]);
        let gone = copy.folder().to_path_buf();
        drop((copied, copy));
        assert!(!gone.exists());
    }

    #[test]
    fn a_control_state_that_is_not_there_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("control.sqlite");
        assert!(copy_control(&file).unwrap().is_none());
        assert!(!file.exists());
        std::fs::write(&file, "").unwrap();
        assert!(copy_control(&file).unwrap().is_none(), "it has no tables yet");
    }
}

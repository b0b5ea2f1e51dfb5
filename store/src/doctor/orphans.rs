//! Files beside the tables that no commit has ever named: what killed runs had staged.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use tagmill_schemas::tables::TABLES;

use super::files::commits;
use super::findings::{Finding, Findings, Severity};
use super::tables::Tables;
use super::{counted, in_words};
use crate::delta::{LOG, never_committed};
use crate::error::StoreError;
use crate::location::Location;
use crate::objects::Listed;
use crate::publish::{LEDGER, refused_files, staged_for};

/// A file that no commit names, no kept snapshot holds and no refused run lists.
#[derive(Debug)]
pub(super) struct Orphan {
    /// Its path below the warehouse.
    pub(super) path: String,
    /// Its path below its table's folder.
    pub(super) name: String,
    /// Its size in bytes.
    pub(super) size: u64,
    /// Whose it is.
    pub(super) whose: Whose,
}

/// Whose a file is that no commit names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Nobody's: a run had staged it that had ended before the newest commit.
    Nobodys,
    /// Perhaps of a run that is writing now: it is no older than the newest commit.
    PerhapsARuns,
    /// Another program's, by its name.
    AnotherPrograms,
}

/// What tells whose a file is, beside its table's own log.
#[derive(Debug)]
pub(super) struct Known<'t> {
    /// What the kept snapshots hold.
    tables: &'t Tables,
    /// When the newest snapshot was committed, by the clock of the store.
    newest_commit: Option<DateTime<Utc>>,
    /// The files of refused runs: table, and path below the table's folder.
    refused: BTreeSet<(String, String)>,
}

impl<'t> Known<'t> {
    /// Reads what there is to know. Whoever removes files then holds the writer's lock all the while.
    pub(super) async fn read(location: &Location, tables: &'t Tables) -> Result<Self, StoreError> {
        let newest_commit = commits(location, LEDGER).await?.iter().map(|commit| commit.written_at).max();
        let refused = refused_files(location).await?.into_iter().collect();
        Ok(Self { tables, newest_commit, refused })
    }

    /// Whether somebody needs a file that no commit may name.
    fn is_held(&self, table: &str, name: &str) -> bool {
        self.tables.holds(table, name) || self.refused.contains(&(table.to_owned(), name.to_owned()))
    }
}

/// Says which files no commit names.
pub(super) async fn check(location: &Location, tables: &Tables, findings: &mut Findings) {
    let known = match Known::read(location, tables).await {
        Ok(known) => known,
        Err(cause) => {
            let what = format!("files that no commit names cannot be looked for: {}", in_words(&cause));
            findings.add(Finding::new(Severity::Error, what));
            return;
        }
    };
    for table in TABLES {
        match find(location, table.name, &known).await {
            Ok(orphans) => {
                for whose in [Whose::Nobodys, Whose::PerhapsARuns, Whose::AnotherPrograms] {
                    let of_them: Vec<&Orphan> = orphans.iter().filter(|orphan| orphan.whose == whose).collect();
                    if !of_them.is_empty() {
                        findings.add(about(whose, &of_them).of_table(table.name));
                    }
                }
            }
            Err(cause) => {
                let what = format!("its folder cannot be looked through: {}", in_words(&cause));
                findings.add(Finding::new(Severity::Error, what).of_table(table.name));
            }
        }
    }
}

/// The files of a table that no commit names, by name. Refused runs' files are none of them.
pub(super) async fn find(location: &Location, table: &str, known: &Known<'_>) -> Result<Vec<Orphan>, StoreError> {
    let folder = location.table_folder(table);
    let mut there = location.objects().list(&folder).await?;
    there.retain(|object| is_data_file(&object.path) && !known.is_held(table, &object.path));
    let names = there.iter().map(|object| object.path.clone()).collect();
    let never: BTreeSet<String> = never_committed(location.objects(), table, names).await?.into_iter().collect();
    there.retain(|object| never.contains(&object.path));
    let orphan = |object: Listed| {
        let is_old = known.newest_commit.is_some_and(|newest| object.written_at < newest);
        let whose = match (staged_for(&object.path).is_some(), is_old) {
            (false, _) => Whose::AnotherPrograms,
            (true, true) => Whose::Nobodys,
            (true, false) => Whose::PerhapsARuns,
        };
        Orphan { path: format!("{folder}/{}", object.path), name: object.path, size: object.size, whose }
    };
    Ok(there.into_iter().map(orphan).collect())
}

/// Whether it is a Parquet file, and not one of a table's log.
fn is_data_file(path: &str) -> bool {
    path.ends_with(".parquet") && !path.split('/').any(|part| part == LOG)
}

fn about(whose: Whose, orphans: &[&Orphan]) -> Finding {
    let (count, bytes) = (orphans.len(), orphans.iter().map(|orphan| orphan.size).sum::<u64>());
    let first = orphans.first().map_or("", |orphan| orphan.name.as_str());
    let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
    let (severity, kind, hint) = match whose {
        Whose::Nobodys => (
            Severity::Warning,
            "staged file",
            "a run was killed before it published; `tagmill doctor --repair` removes them",
        ),
        Whose::PerhapsARuns => (
            Severity::Note,
            "young staged file",
            "of a run that is writing now, or that was killed since the newest commit: after the next one, \
             `tagmill doctor --repair` removes what is left",
        ),
        Whose::AnotherPrograms => (
            Severity::Note,
            "foreign file",
            "nothing reads them, and only whoever put them there knows what they are for",
        ),
    };
    let what = format!("{} of {bytes} bytes that no commit names: `{first}`{more}", counted(count, kind));
    Finding::new(severity, what).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_run_is_known_by_its_name() {
        let ours = "b0001/s000002-0123456789abcdef0123456789abcdef.parquet";
        assert!(staged_for(ours).is_some());
        for foreign in [
            "compacted.parquet",
            "s000002-.parquet",
            "s2-0123456789abcdef0123456789abcdef.parquet",
            "part-00000-0123456789abcdef0123456789abcdef.parquet",
            "s000002-0123456789abcdef0123456789abcdeg.parquet",
        ] {
            assert!(staged_for(foreign).is_none(), "{foreign}");
        }
    }

    #[test]
    fn a_checkpoint_is_no_data_file() {
        assert!(is_data_file("b0001/old/compacted.parquet"));
        for other in ["_delta_log/00000000000000000010.checkpoint.parquet", "b0001/notes.txt"] {
            assert!(!is_data_file(other), "{other}");
        }
    }
}

//! Files beside the tables that no commit has ever named: what killed runs had staged.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tagmill_schemas::tables::TABLES;

use super::files::{LOG, commits};
use super::findings::{Finding, Findings, Severity};
use super::tables::Tables;
use super::{counted, in_words};
use crate::delta::never_committed;
use crate::durable::file_error;
use crate::error::StoreError;
use crate::location::Location;
use crate::publish::{LEDGER, refused_files, staged_for};

/// A file that no commit names, no kept snapshot holds and no refused run lists.
#[derive(Debug)]
pub(super) struct Orphan {
    /// The file.
    pub(super) path: PathBuf,
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

/// Says which files no commit names.
pub(super) fn check(location: &Location, tables: &Tables, findings: &mut Findings) {
    for table in TABLES {
        match find(location, table.name, tables) {
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
pub(super) fn find(location: &Location, table: &str, tables: &Tables) -> Result<Vec<Orphan>, StoreError> {
    let folder = location.table_folder(table);
    let newest_commit = newest_commit(location)?;
    let refused = refused_files(location)?;
    let mut there = data_files(&folder)?;
    there.retain(|(name, _)| {
        !tables.holds(table, name) && !refused.iter().any(|(of, path)| of == table && path == name)
    });
    let names = there.iter().map(|(name, _)| name.clone()).collect();
    let never = never_committed(&folder, names)?;
    there.retain(|(name, _)| never.contains(name));
    there.sort_by(|(a, _), (b, _)| a.cmp(b));
    let orphan = |(name, found): (String, Metadata)| {
        let is_old = found.modified().ok().zip(newest_commit).is_some_and(|(written, newest)| written < newest);
        let whose = match (staged_for(&name).is_some(), is_old) {
            (false, _) => Whose::AnotherPrograms,
            (true, true) => Whose::Nobodys,
            (true, false) => Whose::PerhapsARuns,
        };
        Orphan { path: folder.join(&name), name, size: found.len(), whose }
    };
    Ok(there.into_iter().map(orphan).collect())
}

/// When the newest snapshot was committed, by the clock of the disk.
fn newest_commit(location: &Location) -> Result<Option<SystemTime>, StoreError> {
    let commits = commits(&location.table_folder(LEDGER))?;
    let written =
        commits.iter().filter_map(|(_, path)| std::fs::metadata(path).and_then(|found| found.modified()).ok());
    Ok(written.max())
}

/// The Parquet files below a table's folder, by their path below it.
fn data_files(folder: &Path) -> Result<Vec<(String, Metadata)>, StoreError> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(inner) = folders.pop() {
        let failed = |source: std::io::Error| file_error("list", &inner, source);
        for entry in std::fs::read_dir(&inner).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (path, found) = (entry.path(), entry.metadata().map_err(failed)?);
            if found.is_dir() {
                if entry.file_name() != LOG {
                    folders.push(path);
                }
                continue;
            }
            let name = path.strip_prefix(folder).ok().and_then(Path::to_str).filter(|name| name.ends_with(".parquet"));
            files.extend(name.map(|name| (name.to_owned(), found)));
        }
    }
    Ok(files)
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
}

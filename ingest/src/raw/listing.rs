//! Which files a source means: a path as it is, a pattern, or a folder.
//!
//! A path that exists is meant as it is, whatever characters its name has. In another one, `*`, `?` and `[…]` stand for
//! parts of one name: of a file or of a folder, never across a `/`. What a pattern or a folder means comes in the order
//! of the names, byte by byte, and is found anew whenever it is asked for.

use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};

use super::error::{RawError, missing_hint};
use super::format::RawFileSpec;

/// Names are matched as they are written, and `*` means no hidden one.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// Raw files that make one table, found.
#[derive(Debug, Clone)]
pub struct RawListing {
    /// The files, each by its own path.
    pub spec: RawFileSpec,
    /// Whether the source left open which files they are, by a pattern or a folder.
    pub is_open: bool,
}

/// Finds the files that `specs` mean; reads folders, and blocks for that long.
///
/// Of a folder, every file is meant whose name does not begin with `.` or `_`, and none of its folders. A file that two
/// paths of one table mean is there once, unless both name it.
///
/// # Errors
///
/// [`RawError`] where a pattern can't be used or means no file, a folder has no file or no stated format, or can't be
/// read.
pub fn list_files(specs: &[RawFileSpec]) -> Result<Vec<RawListing>, RawError> {
    specs.iter().map(list_table).collect()
}

fn list_table(spec: &RawFileSpec) -> Result<RawListing, RawError> {
    let mut listed: Vec<PathBuf> = Vec::new();
    let mut is_open = false;
    for path in &spec.paths {
        match files_of(path, spec.is_format_stated)? {
            None => listed.push(path.clone()),
            Some(found) => {
                is_open = true;
                let new: Vec<PathBuf> = found.into_iter().filter(|file| !listed.contains(file)).collect();
                listed.extend(new);
            }
        }
    }
    let spec = RawFileSpec { paths: listed, ..spec.clone() };
    Ok(RawListing { spec, is_open })
}

/// Returns the files that a path leaves open; `None` where it names one file itself.
fn files_of(path: &Path, is_format_stated: bool) -> Result<Option<Vec<PathBuf>>, RawError> {
    let (base, rest) = split(path);
    let found: Vec<PathBuf> = if rest.is_empty() {
        if !path.is_dir() {
            return Ok(None);
        }
        if !is_format_stated {
            return Err(RawError::FolderFormat { path: path.to_owned() });
        }
        let is_meant = |name: &str| !name.starts_with(['.', '_']);
        names_in(path, &is_meant)?.into_iter().map(|name| path.join(name)).filter(|file| file.is_file()).collect()
    } else if rest.iter().any(|name| is_pattern(name)) {
        let mut found = Vec::new();
        find(path, &base, &rest, &mut found)?;
        found
    } else {
        return Ok(None);
    };
    if found.is_empty() {
        let hint = if rest.is_empty() { "the folder has no file".to_owned() } else { missing_hint(path) };
        return Err(RawError::NoMatch { path: path.to_owned(), hint });
    }
    Ok(Some(found))
}

/// Splits a path into the part that is there and the names after it.
fn split(path: &Path) -> (PathBuf, Vec<String>) {
    let mut base = PathBuf::new();
    let mut components = path.components().peekable();
    while let Some(component) = components.peek() {
        let next = base.join(component);
        if matches!(component, Component::Normal(_)) && !next.exists() {
            break;
        }
        base = next;
        components.next();
    }
    (base, components.map(|component| component.as_os_str().to_string_lossy().into_owned()).collect())
}

fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

/// Adds the files below `folder` whose path fits `names`, in the order of their paths.
fn find(whole: &Path, folder: &Path, names: &[String], found: &mut Vec<PathBuf>) -> Result<(), RawError> {
    let Some((name, after)) = names.split_first() else {
        if folder.is_file() {
            found.push(folder.to_owned());
        }
        return Ok(());
    };
    if !is_pattern(name) {
        let next = folder.join(name);
        return if next.exists() { find(whole, &next, after, found) } else { Ok(()) };
    }
    let unusable = |reason: String| RawError::Pattern { path: whole.to_owned(), reason };
    if name.contains("**") {
        return Err(unusable("`**` has no meaning here".to_owned()));
    }
    let pattern = Pattern::new(name).map_err(|cause| unusable(cause.msg.to_owned()))?;
    for name in names_in(folder, &|name| pattern.matches_with(name, OPTIONS))? {
        let next = folder.join(name);
        if after.is_empty() || next.is_dir() {
            find(whole, &next, after, found)?;
        }
    }
    Ok(())
}

/// Returns the names in a folder that are meant, in their order.
fn names_in(folder: &Path, is_meant: &dyn Fn(&str) -> bool) -> Result<Vec<OsString>, RawError> {
    let shown = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let failed = |cause| RawError::opening(shown, cause);
    let mut names = Vec::new();
    for entry in fs::read_dir(shown).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if is_meant(&name.to_string_lossy()) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use tagmill_schemas::error::Diagnose;

    use super::super::format::RawFormat;
    use super::*;

    /// A folder of exports, and the paths in it that `written` means.
    fn listed(written: &[&str], is_format_stated: bool) -> Result<Vec<String>, RawError> {
        let folder = tempfile::tempdir().unwrap();
        for file in ["day/b.csv", "day/a.csv", "day/.a.csv.part", "day/_SUCCESS", "day/deep/c.csv", "[x].csv", "y.csv"]
        {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "a\n").unwrap();
        }
        fs::create_dir_all(folder.path().join("empty")).unwrap();
        let paths: Vec<PathBuf> = written.iter().map(|path| folder.path().join(path)).collect();
        let format = RawFormat::guess(&paths[0]);
        let spec = RawFileSpec { name: "t".to_owned(), paths, format, is_format_stated };
        let listing = list_files(std::slice::from_ref(&spec))?.remove(0);
        let shown = |path: &PathBuf| path.strip_prefix(folder.path()).unwrap().display().to_string();
        Ok(listing.spec.paths.iter().map(shown).collect())
    }

    fn check(written: &[&str], expected: &[&str]) {
        assert_eq!(listed(written, true).unwrap(), expected, "{written:?}");
    }

    #[test]
    fn a_pattern_or_a_folder_means_its_files_in_the_order_of_their_names() {
        check(&["day/*.csv"], &["day/a.csv", "day/b.csv"]);
        check(&["d?y/[ab].csv"], &["day/a.csv", "day/b.csv"]);
        check(&["*/deep/*"], &["day/deep/c.csv"]);
        check(&["day"], &["day/a.csv", "day/b.csv"]);
        check(&["day/b.csv", "day/*.csv"], &["day/b.csv", "day/a.csv"]);
    }

    #[test]
    fn a_path_that_is_there_is_no_pattern_and_one_that_is_not_is_told_later() {
        check(&["[x].csv"], &["[x].csv"]);
        check(&["z.csv"], &["z.csv"]);
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let refused = |written: &str, is_stated| listed(&[written], is_stated).unwrap_err().code();
        assert_eq!(refused("day/*.json", true), "RAW_NO_MATCH");
        assert_eq!(refused("empty", true), "RAW_NO_MATCH");
        assert_eq!(refused("day", false), "RAW_FOLDER_FORMAT");
        assert_eq!(refused("**/a.csv", true), "RAW_PATTERN_INVALID");
        assert_eq!(refused("day/[a.csv", true), "RAW_PATTERN_INVALID");
    }
}

//! Where a warehouse is kept: a folder, named by a path or a `file://` URL.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use url::Url;

use crate::error::StoreError;

/// The place of a warehouse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    folder: PathBuf,
}

impl Location {
    /// Reads a path or a `file://` URL. The folder need not exist yet.
    ///
    /// The path is made absolute, without `..`, and without links as far as it exists.
    ///
    /// # Errors
    /// `StoreError::Location` for another scheme, or a path that cannot be made absolute; `StoreError::FolderName` for a
    /// path under which no table could be read.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let refuse = |reason: &str| StoreError::Location { location: text.to_owned(), reason: reason.to_owned() };
        if text.is_empty() {
            return Err(refuse("it is empty"));
        }
        let path = match text.split_once("://") {
            None => PathBuf::from(text),
            Some(("file", _)) => Url::parse(text)
                .ok()
                .and_then(|url| url.to_file_path().ok())
                .ok_or_else(|| refuse("it is not a `file://` URL with an absolute path"))?,
            Some(_) => return Err(refuse("only paths and `file://` URLs are supported yet")),
        };
        let folder = resolved(&std::path::absolute(&path).map_err(|cause| refuse(&cause.to_string()))?);
        if let Some((name, reason)) = unfit_folder(&folder) {
            return Err(StoreError::FolderName { location: text.to_owned(), name, reason });
        }
        Ok(Self { folder })
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of one Delta table.
    pub(crate) fn table_folder(&self, table: &str) -> PathBuf {
        self.folder.join("tables").join(table)
    }

    /// The URL of one Delta table.
    ///
    /// # Errors
    /// `StoreError::Location` where the path has no URL form.
    pub(crate) fn table_url(&self, table: &str) -> Result<Url, StoreError> {
        let folder = self.table_folder(table);
        Url::from_directory_path(&folder).map_err(|()| StoreError::Location {
            location: folder.display().to_string(),
            reason: "it has no URL form".to_owned(),
        })
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.folder.display())
    }
}

/// An absolute path without `..`, because a file is found again by one path only. Links are followed first: what lies
/// above a link's target is not what lies above the link.
fn resolved(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        let (Ok(mut folder), Ok(rest)) = (ancestor.canonicalize(), path.strip_prefix(ancestor)) else { continue };
        for part in rest.components() {
            match part {
                Component::Normal(name) => folder.push(name),
                Component::ParentDir => {
                    folder.pop();
                }
                Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            }
        }
        return folder;
    }
    path.to_path_buf()
}

/// The first folder of a path that tables cannot be kept under, and why.
fn unfit_folder(path: &Path) -> Option<(String, &'static str)> {
    path.components().find_map(|part| match part {
        Component::Normal(name) => Some((name.to_string_lossy().into_owned(), unfit_name(name)?)),
        _ => None,
    })
}

/// The Delta library passes paths on as URLs: it decodes them once more than it encodes them, reads a backslash as a
/// slash, and knows no control characters.
fn unfit_name(name: &OsStr) -> Option<&'static str> {
    let Some(name) = name.to_str() else { return Some("is not UTF-8") };
    let is_escape = |three: &[u8]| three[0] == b'%' && three[1..].iter().all(u8::is_ascii_hexdigit);
    if name.contains('\\') {
        Some("holds a backslash")
    } else if name.chars().any(|c| c.is_ascii_control()) {
        Some("holds a control character")
    } else if name.as_bytes().windows(3).any(is_escape) {
        Some("holds a `%` before two hexadecimal digits")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_its_url_are_the_same_place() {
        let path = Location::parse("/data/corp").unwrap();
        assert_eq!(path, Location::parse("file:///data/corp").unwrap());
    }

    #[test]
    fn another_scheme_is_refused_in_words() {
        let refused = Location::parse("ftp://x/y").unwrap_err().to_string();
        assert_eq!(refused, "`ftp://x/y` is no place for a warehouse: only paths and `file://` URLs are supported yet");
    }

    #[test]
    fn a_way_up_is_walked_whether_the_folders_exist_or_not() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("there")).unwrap();
        let place = |end: &str| Location::parse(&format!("{}/{end}", folder.path().display())).unwrap();
        for end in ["there/../corp", "not/there/../../corp", "./corp", "corp/."] {
            assert_eq!(place(end), place("corp"), "{end}");
        }
        let above = folder.path().canonicalize().unwrap().parent().unwrap().to_path_buf();
        assert_eq!(place("there/../..").folder(), above);
    }

    #[cfg(unix)]
    #[test]
    fn the_folder_above_a_link_is_the_one_above_its_target() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("deep").join("target");
        std::fs::create_dir_all(&target).unwrap();
        std::os::unix::fs::symlink(&target, folder.path().join("link")).unwrap();
        let place = |end: &str| Location::parse(&format!("{}/{end}", folder.path().display())).unwrap();
        assert_eq!(place("link/../corp"), place("deep/corp"));
    }

    #[test]
    fn names_that_tables_cannot_be_read_under_are_refused() {
        for (text, said) in [
            ("/data/a%20b/corp", "folder `a%20b` holds a `%` before two hexadecimal digits"),
            ("file:///data/a%2520b", "folder `a%20b` holds a `%` before two hexadecimal digits"),
            ("/data/a\tb", "holds a control character"),
        ] {
            let refused = Location::parse(text).unwrap_err();
            assert!(matches!(refused, StoreError::FolderName { .. }), "{refused}");
            assert!(refused.to_string().ends_with(said), "{refused}");
        }
        for fine in ["/data/100%", "/data/50% off", "/data/a b", "/data/数据#1", "file:///data/a%20b"] {
            assert!(Location::parse(fine).is_ok(), "{fine}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_backslash_is_refused() {
        assert!(matches!(Location::parse("/data/a\\b"), Err(StoreError::FolderName { .. })));
    }
}

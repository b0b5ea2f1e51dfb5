//! Where a warehouse is kept: a folder, named by a path or a `file://` URL.

use std::path::{Path, PathBuf};

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
    /// # Errors
    /// `StoreError::Location` for another scheme, or a path that cannot be made absolute.
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
        let folder = std::path::absolute(&path).map_err(|cause| refuse(&cause.to_string()))?;
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
}

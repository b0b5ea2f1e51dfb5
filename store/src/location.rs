//! Where a warehouse is kept: a folder, named by a path or a `file://` URL, or a part of a bucket, named by an `s3://` URL.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, RetryConfig};
use url::Url;

use crate::error::StoreError;
use crate::objects::{Objects, local_files};

/// How often a request to a bucket is tried again, and for how long in all.
const RETRIES: usize = 5;
const RETRY_TIME: Duration = Duration::from_secs(60);

/// The place of a warehouse, with the objects that lie there. Cheap to clone; two are equal where their URLs are.
#[derive(Debug, Clone)]
pub struct Location {
    /// Ends with a slash.
    url: Url,
    /// `None` for a bucket.
    folder: Option<PathBuf>,
    objects: Objects,
}

impl PartialEq for Location {
    fn eq(&self, other: &Self) -> bool {
        self.url == other.url
    }
}

impl Eq for Location {}

impl Location {
    /// Reads a path, a `file://` URL or an `s3://BUCKET/PREFIX` URL. Nothing need be there yet, and nothing is asked for.
    ///
    /// A path is made absolute, without `..`, and without links as far as it exists. The credentials, region and endpoint
    /// of a bucket are those of the usual environment variables (`AWS_ACCESS_KEY_ID` and so on).
    ///
    /// # Errors
    /// `StoreError::Location` for another scheme, a path that cannot be made absolute, or a bucket that the environment
    /// does not suffice for; `StoreError::FolderName` for a path under which no table could be read.
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
            Some(("s3", _)) => return Self::bucket(text),
            Some(_) => return Err(refuse("only paths, `file://` and `s3://` URLs are supported")),
        };
        let folder = resolved(&std::path::absolute(&path).map_err(|cause| refuse(&cause.to_string()))?);
        if let Some((name, reason)) = unfit_folder(&folder) {
            return Err(StoreError::FolderName { location: text.to_owned(), name, reason });
        }
        let url = Url::from_directory_path(&folder).map_err(|()| refuse("it has no URL form"))?;
        let base = ObjectPath::from_absolute_path(&folder).map_err(|cause| refuse(&cause.to_string()))?;
        let objects = Objects::new(Arc::new(local_files()), base, &url)?;
        Ok(Self { url, folder: Some(folder), objects })
    }

    /// A part of a bucket, opened as the environment says.
    fn bucket(text: &str) -> Result<Self, StoreError> {
        let refuse = |reason: String| StoreError::Location { location: text.to_owned(), reason };
        let retry = RetryConfig { max_retries: RETRIES, retry_timeout: RETRY_TIME, ..RetryConfig::default() };
        let bucket = AmazonS3Builder::from_env()
            .with_url(text)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_retry(retry)
            .build()
            .map_err(|cause| refuse(cause.to_string()))?;
        Self::over(Arc::new(bucket), text)
    }

    /// A part of a store that is open already: the one that `url`, `SCHEME://BUCKET/PREFIX`, names.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn over(bucket: Arc<dyn ObjectStore>, text: &str) -> Result<Self, StoreError> {
        let refuse = |reason: String| StoreError::Location { location: text.to_owned(), reason };
        let mut url = Url::parse(text).map_err(|cause| refuse(cause.to_string()))?;
        if url.host_str().is_none_or(str::is_empty) || url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("it is not `s3://BUCKET/PREFIX`".to_owned()));
        }
        let prefix = ObjectPath::from_url_path(url.path()).map_err(|cause| refuse(cause.to_string()))?;
        if let Some((name, reason)) = unfit_folder(Path::new(prefix.as_ref())) {
            return Err(StoreError::FolderName { location: text.to_owned(), name, reason });
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let objects = Objects::new(bucket, prefix, &url)?;
        Ok(Self { url, folder: None, objects })
    }

    /// The same place behind one layer more: `layer` is given the store that holds everything there.
    #[must_use]
    pub fn layered(self, layer: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>) -> Self {
        Self { objects: self.objects.layered(layer), ..self }
    }

    /// The folder; `None` for a bucket.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// How something below it is named for people.
    pub fn shown(&self, below: &str) -> String {
        match &self.folder {
            Some(folder) => folder.join(below).display().to_string(),
            None => format!("{}{below}", self.url),
        }
    }

    /// The objects that lie there.
    pub(crate) fn objects(&self) -> &Objects {
        &self.objects
    }

    /// The folder of one Delta table, below the warehouse.
    pub(crate) fn table_folder(&self, table: &str) -> String {
        format!("tables/{table}")
    }

    /// The URL of one Delta table.
    ///
    /// # Errors
    /// `StoreError::Location` where it has none.
    pub(crate) fn table_url(&self, table: &str) -> Result<Url, StoreError> {
        self.url
            .join(&format!("tables/{table}/"))
            .map_err(|cause| StoreError::Location { location: self.to_string(), reason: cause.to_string() })
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.folder {
            Some(folder) => write!(f, "{}", folder.display()),
            None => write!(f, "{}", self.url.as_str().trim_end_matches('/')),
        }
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
        assert_eq!(
            refused,
            "`ftp://x/y` is no place for a warehouse: only paths, `file://` and `s3://` URLs are supported"
        );
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
        assert_eq!(place("there/../..").folder(), Some(above.as_path()));
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

//! Segment definitions as files: found by name, read with everything they refer to, and hashed.

mod loading;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tagmill_schemas::error::{did_you_mean, near_names};
use tagmill_schemas::segment::parse::parse_segment;
use tagmill_schemas::segment::{Node, Segment};
use tagmill_schemas::yaml::At;

use self::loading::Loading;
use crate::error::QueryError;

/// Files larger than this are no definitions.
const MAX_BYTES: u64 = 1 << 20;
/// What the names of definitions end in; of two files of one stem the earlier ending is looked at first.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// Folders of definitions, looked into in their order. A definition's name is its file's stem.
///
/// What a file refers to lies in that file's own folder, or else in one of these.
#[derive(Debug, Clone, Default)]
pub struct Definitions {
    folders: Vec<PathBuf>,
}

/// A segment with everything it refers to.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedSegment {
    /// The name: its file's stem.
    pub key: String,
    /// The document.
    pub segment: Segment,
    /// The segments it refers to, by name. What is referred to twice is one and the same.
    pub references: BTreeMap<String, Arc<LoadedSegment>>,
    /// SHA-256 of the canonical document, references replaced by their hashes; 64 hexadecimal digits.
    pub hash: String,
}

impl Definitions {
    /// Reads names from a folder; without one, only files can be loaded.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folders: folder.into_iter().collect() }
    }

    /// The same folders after the one that a file lies in.
    #[must_use]
    pub fn beside(&self, file: &Path) -> Self {
        // A bare file name has the parent "", which is a folder to join to and none to list.
        let parent = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let own = parent.unwrap_or(Path::new(".")).to_path_buf();
        let place = resolved(&own);
        let others = self.folders.iter().filter(|folder| resolved(folder) != place).cloned();
        Self { folders: std::iter::once(own).chain(others).collect() }
    }

    /// The folder that is looked into first.
    pub fn folder(&self) -> Option<&Path> {
        self.folders.first().map(PathBuf::as_path)
    }

    /// Loads a segment by name, or by file where the argument is one.
    ///
    /// # Errors
    /// `QueryError::NoDefinition`, `QueryError::Document` with every problem, `QueryError::Cycle` naming the path,
    /// `QueryError::DefinitionFile` where a file cannot be read.
    pub fn load(&self, name_or_file: &str) -> Result<LoadedSegment, QueryError> {
        let direct = Path::new(name_or_file);
        if direct.is_file() { self.load_file(direct) } else { self.load_name(name_or_file) }
    }

    /// Loads a segment by name and never by path: what came with a document or over the network names no files.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_name(&self, name: &str) -> Result<LoadedSegment, QueryError> {
        self.load_file(&self.find_segment(name)?)
    }

    fn load_file(&self, file: &Path) -> Result<LoadedSegment, QueryError> {
        Loading::new(&self.beside(file)).file(file).map(Arc::unwrap_or_clone)
    }

    /// Takes a document as text; references are looked for in the folders.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn from_text(&self, text: &str) -> Result<LoadedSegment, QueryError> {
        let document = "the given document".to_owned();
        let segment = parse_segment(text).map_err(|problems| QueryError::Document { document, problems })?;
        self.from_segment("(given)", segment)
    }

    /// Takes a parsed document; references are looked for in the folders.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn from_segment(&self, key: &str, segment: Segment) -> Result<LoadedSegment, QueryError> {
        Loading::new(self).document(key, segment)
    }

    /// The path of a definition of any kind: the argument itself where it is a file, else that name in the folders.
    ///
    /// # Errors
    /// `QueryError::NoDefinition` with names that look alike.
    pub fn find(&self, name_or_file: &str) -> Result<PathBuf, QueryError> {
        let direct = Path::new(name_or_file);
        if direct.is_file() {
            return Ok(direct.to_path_buf());
        }
        self.candidates(name_or_file).into_iter().next().ok_or_else(|| self.unknown(name_or_file))
    }

    /// The path of the segment of that name. A rule or an audience may bear the name too and is passed over; a file
    /// that cannot be read or understood is not, so that its fault is told.
    fn find_segment(&self, name: &str) -> Result<PathBuf, QueryError> {
        let candidates = self.candidates(name);
        let segment = candidates.iter().find(|file| !is_another(file)).or(candidates.first());
        segment.cloned().ok_or_else(|| self.unknown(name))
    }

    /// The files of that name, the one to take first. A name with a path in it has none.
    fn candidates(&self, name: &str) -> Vec<PathBuf> {
        if name.contains(['/', '\\']) {
            return Vec::new();
        }
        let in_folder = |folder: &PathBuf| EXTENSIONS.map(|extension| folder.join(format!("{name}.{extension}")));
        self.folders.iter().flat_map(in_folder).filter(|file| file.is_file()).collect()
    }

    /// What is said of a name that no file bears.
    fn unknown(&self, name: &str) -> QueryError {
        let folders: Vec<String> = self.folders.iter().map(|folder| format!("`{}`", folder.display())).collect();
        let searched = match folders.as_slice() {
            [] => ", and it is no file either".to_owned(),
            folders => format!(" in {}", folders.join(" or ")),
        };
        let listed = self.folders.iter().flat_map(|folder| names_in(folder).unwrap_or_default());
        let names = in_order(listed.collect());
        let advice = did_you_mean(&near_names(name, names.iter().map(String::as_str))).or_else(|| {
            if folders.is_empty() {
                return Some("`--definitions DIR` says where names are looked for".to_owned());
            }
            (!names.is_empty()).then(|| format!("there are {}", names.join(", ")))
        });
        QueryError::NoDefinition { name: name.to_owned(), searched, advice }
    }

    /// The names in the folders whose documents are segments, ascending; none without a folder. A file that cannot be
    /// read is not listed.
    ///
    /// # Errors
    /// `QueryError::DefinitionFile` where a folder cannot be read.
    pub fn segment_names(&self) -> Result<Vec<String>, QueryError> {
        let is_segment = |name: &String| {
            let text = self.find_segment(name).and_then(|file| read(&file));
            text.is_ok_and(|text| has_condition(&text) == Some(true))
        };
        let mut names = self.names()?;
        names.retain(is_segment);
        Ok(names)
    }

    /// Whether a name can be asked for as a segment: it is listed, or its file cannot be read or understood, and loading
    /// it says why.
    pub fn has_segment(&self, name: &str) -> bool {
        !name.starts_with('.') && self.find_segment(name).is_ok_and(|file| !is_another(&file))
    }

    /// The names of all documents in the folders, ascending; none without a folder.
    ///
    /// # Errors
    /// `QueryError::DefinitionFile` where a folder cannot be read.
    pub fn names(&self) -> Result<Vec<String>, QueryError> {
        let mut names = Vec::new();
        for folder in &self.folders {
            names.extend(names_in(folder)?);
        }
        Ok(in_order(names))
    }
}

impl LoadedSegment {
    /// Whether its condition, or that of a segment it refers to, can hold on single follows.
    pub fn holds_on_follows(&self) -> bool {
        self.each().iter().any(|loaded| loaded.segment.condition.holds_on_follows())
    }

    /// The event types that the answer depends on, ascending; none where it may depend on any.
    pub fn event_types(&self) -> Vec<String> {
        let mut types = Vec::new();
        let mut may_read_any = false;
        for loaded in self.each() {
            visit_node(&loaded.segment.condition, &mut |node| match node {
                Node::Event(leaf) => types.extend(leaf.events.iter().cloned()),
                Node::Sql(_) => may_read_any = true,
                _ => {}
            });
        }
        if may_read_any { Vec::new() } else { in_order(types) }
    }

    /// This segment and those it refers to, near and far, each once however many ways lead to it.
    pub(crate) fn each(&self) -> Vec<&Self> {
        let mut found: BTreeMap<&str, &Self> = BTreeMap::new();
        let mut left = vec![self];
        while let Some(loaded) = left.pop() {
            if found.insert(&loaded.hash, loaded).is_none() {
                for reference in loaded.references.values() {
                    left.push(reference);
                }
            }
        }
        found.into_values().collect()
    }
}

fn visit_node<'s>(node: &'s Node, seen: &mut impl FnMut(&'s Node)) {
    seen(node);
    match node {
        Node::All(parts) | Node::Any(parts) => parts.iter().for_each(|part| visit_node(part, seen)),
        Node::Not(part) => visit_node(part, seen),
        _ => {}
    }
}

/// Whether a document has a condition as segments have; a rule has one below `when`, an audience has none. `None` where
/// the text is no mapping at all.
fn has_condition(text: &str) -> Option<bool> {
    let document = tagmill_schemas::yaml::read(text).ok()?;
    let fields = At::root(&document).fields("a document", &mut Vec::new())?;
    Some(fields.entry("where").is_some())
}

/// Whether a file holds a document that is no segment. One that cannot be read or understood is not known to.
fn is_another(file: &Path) -> bool {
    read(file).is_ok_and(|text| has_condition(&text) == Some(false))
}

/// The names of the documents in a folder. Files whose names begin with a dot are of the system's making.
fn names_in(folder: &Path) -> Result<Vec<String>, QueryError> {
    let failed = |source| QueryError::DefinitionFile { path: folder.display().to_string(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_ending = |ending: &OsStr| EXTENSIONS.iter().any(|extension| ending == *extension);
        let is_document = path.extension().is_some_and(is_ending);
        let name = stem(&path);
        if is_document && !name.starts_with('.') && path.is_file() {
            names.push(name);
        }
    }
    Ok(names)
}

/// Names ascending, each once.
fn in_order(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    names
}

fn stem(file: &Path) -> String {
    file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A path without links and detours; the path itself where there is nothing.
fn resolved(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

/// Reads a definition's file, unless it is too large to be one.
pub(crate) fn read(file: &Path) -> Result<String, QueryError> {
    let failed = |source| QueryError::DefinitionFile { path: file.display().to_string(), source };
    let size = std::fs::metadata(file).map_err(failed)?.len();
    if size > MAX_BYTES {
        let cause =
            std::io::Error::other(format!("it has {size} bytes, more than a definition may have ({MAX_BYTES})"));
        return Err(failed(cause));
    }
    std::fs::read_to_string(file).map_err(failed)
}

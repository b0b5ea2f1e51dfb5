//! Segment definitions as files: found by name, read with everything they refer to, and hashed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tagmill_schemas::error::{did_you_mean, near_names};
use tagmill_schemas::segment::canonical;
use tagmill_schemas::segment::parse::parse_segment;
use tagmill_schemas::segment::{Node, Segment};
use tagmill_schemas::yaml::At;

use crate::error::QueryError;

/// Files larger than this are no definitions.
const MAX_BYTES: u64 = 1 << 20;

/// A folder of definitions. A segment's name is its file's stem.
#[derive(Debug, Clone, Default)]
pub struct Definitions {
    folder: Option<PathBuf>,
}

/// A segment with everything it refers to.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedSegment {
    /// The name: its file's stem.
    pub key: String,
    /// The document.
    pub segment: Segment,
    /// The segments it refers to, by name.
    pub references: BTreeMap<String, LoadedSegment>,
    /// SHA-256 of the canonical document, references replaced by their hashes; 64 hexadecimal digits.
    pub hash: String,
}

impl Definitions {
    /// Reads names from a folder; without one, only files can be loaded.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder }
    }

    /// The folder.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Loads a segment by name, or by file where the argument is one. References are looked for beside the file.
    ///
    /// # Errors
    /// `QueryError::NoDefinition`, `QueryError::Document` with every problem, `QueryError::Cycle` naming the path.
    pub fn load(&self, name_or_file: &str) -> Result<LoadedSegment, QueryError> {
        let file = self.find(name_or_file)?;
        let text = read(&file)?;
        let key = stem(&file);
        let beside = Self::new(file.parent().map(Path::to_path_buf));
        beside.resolve(&key, &file.display().to_string(), &text, &mut Vec::new())
    }

    /// Takes a document as text; references are looked for in the folder.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn from_text(&self, text: &str) -> Result<LoadedSegment, QueryError> {
        self.resolve("(given)", "the given document", text, &mut Vec::new())
    }

    /// Takes a parsed document; references are looked for in the folder.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn from_segment(&self, key: &str, segment: Segment) -> Result<LoadedSegment, QueryError> {
        self.with_references(key, segment, &mut vec![key.to_owned()])
    }

    /// The path of a definition: the argument itself where it is a file, else that name in the folder.
    ///
    /// # Errors
    /// `QueryError::NoDefinition` with names that look alike.
    pub fn find(&self, name_or_file: &str) -> Result<PathBuf, QueryError> {
        let direct = Path::new(name_or_file);
        if direct.is_file() { Ok(direct.to_path_buf()) } else { self.find_name(name_or_file) }
    }

    /// The path of that name in the folder. A document that came over the network may name segments and never files.
    fn find_name(&self, name_or_file: &str) -> Result<PathBuf, QueryError> {
        let is_name = !name_or_file.contains(['/', '\\']) && name_or_file != "..";
        if let Some(folder) = self.folder.as_ref().filter(|_| is_name) {
            for extension in ["yaml", "yml", "json"] {
                let candidate = folder.join(format!("{name_or_file}.{extension}"));
                if candidate.is_file() {
                    return Ok(candidate);
                }
            }
        }
        let searched = match &self.folder {
            Some(folder) => format!(" in `{}`", folder.display()),
            None => ", and it is no file either".to_owned(),
        };
        let names = self.names().unwrap_or_default();
        let advice = match (&self.folder, did_you_mean(&near_names(name_or_file, names.iter().map(String::as_str)))) {
            (_, Some(near)) => Some(near),
            (None, None) => Some("`--definitions DIR` says where names are looked for".to_owned()),
            (Some(_), None) => (!names.is_empty()).then(|| format!("there are {}", names.join(", "))),
        };
        Err(QueryError::NoDefinition { name: name_or_file.to_owned(), searched, advice })
    }

    /// The names in the folder whose documents are segments, ascending; none without a folder.
    ///
    /// # Errors
    /// `QueryError::DefinitionFile` where the folder or a file cannot be read.
    pub fn segment_names(&self) -> Result<Vec<String>, QueryError> {
        let mut names = self.names()?;
        let mut failure = None;
        names.retain(|name| match self.find_name(name).and_then(|file| read(&file)) {
            Ok(text) => is_segment(&text),
            Err(cause) => {
                failure = Some(cause);
                false
            }
        });
        failure.map_or(Ok(names), Err)
    }

    /// The names of all documents in the folder, ascending; none without a folder.
    ///
    /// # Errors
    /// `QueryError::DefinitionFile` where the folder cannot be read.
    pub fn names(&self) -> Result<Vec<String>, QueryError> {
        let Some(folder) = &self.folder else { return Ok(Vec::new()) };
        let failed = |source| QueryError::DefinitionFile { path: folder.display().to_string(), source };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let is_document = path.extension().is_some_and(|ext| ext == "yaml" || ext == "yml" || ext == "json");
            if is_document && path.is_file() {
                names.push(stem(&path));
            }
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn resolve(&self, key: &str, shown: &str, text: &str, path: &mut Vec<String>) -> Result<LoadedSegment, QueryError> {
        let segment =
            parse_segment(text).map_err(|problems| QueryError::Document { document: shown.to_owned(), problems })?;
        path.push(key.to_owned());
        let loaded = self.with_references(key, segment, path)?;
        path.pop();
        Ok(loaded)
    }

    fn with_references(
        &self,
        key: &str,
        segment: Segment,
        path: &mut Vec<String>,
    ) -> Result<LoadedSegment, QueryError> {
        let mut names = Vec::new();
        collect_references(&segment.condition, &mut names);
        let mut references = BTreeMap::new();
        for name in names {
            if references.contains_key(&name) {
                continue;
            }
            if path.contains(&name) {
                path.push(name);
                return Err(QueryError::Cycle { path: path.join(" → ") });
            }
            let file = self.find_name(&name)?;
            let text = read(&file)?;
            let loaded = self.resolve(&name, &file.display().to_string(), &text, path)?;
            references.insert(name, loaded);
        }
        let hashes = references.iter().map(|(name, loaded)| (name.clone(), loaded.hash.clone())).collect();
        let hash = canonical::hash(&segment, &hashes);
        Ok(LoadedSegment { key: key.to_owned(), segment, references, hash })
    }
}

impl LoadedSegment {
    /// Every node of the condition and of the segments it refers to.
    pub(crate) fn visit<'s>(&'s self, seen: &mut impl FnMut(&'s Node)) {
        visit_node(&self.segment.condition, seen);
        for reference in self.references.values() {
            reference.visit(seen);
        }
    }

    /// The event types that the answer depends on, ascending; none where it may depend on any.
    pub fn event_types(&self) -> Vec<String> {
        let mut types = Vec::new();
        let mut may_read_any = false;
        self.visit(&mut |node| match node {
            Node::Event(leaf) => types.extend(leaf.events.iter().cloned()),
            Node::Sql(_) => may_read_any = true,
            _ => {}
        });
        if may_read_any {
            return Vec::new();
        }
        types.sort();
        types.dedup();
        types
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

fn collect_references(node: &Node, names: &mut Vec<String>) {
    visit_node(node, &mut |node| {
        if let Node::Segment(name) = node {
            names.push(name.clone());
        }
    });
}

/// A segment has a condition; a rule has one below `when`, and an audience has none.
fn is_segment(text: &str) -> bool {
    let Ok(document) = tagmill_schemas::yaml::read(text) else { return false };
    let fields = At::root(&document).fields("a document", &mut Vec::new());
    fields.is_some_and(|fields| fields.entry("where").is_some())
}

fn stem(file: &Path) -> String {
    file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn read(file: &Path) -> Result<String, QueryError> {
    let failed = |source| QueryError::DefinitionFile { path: file.display().to_string(), source };
    let size = std::fs::metadata(file).map_err(failed)?.len();
    if size > MAX_BYTES {
        let cause =
            std::io::Error::other(format!("it has {size} bytes, more than a definition may have ({MAX_BYTES})"));
        return Err(failed(cause));
    }
    std::fs::read_to_string(file).map_err(failed)
}

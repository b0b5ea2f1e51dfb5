//! One load of a segment: what it refers to is followed from file to file, each is read once, and circles are found.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tagmill_schemas::segment::parse::parse_segment;
use tagmill_schemas::segment::{Node, Segment, canonical};

use super::{Definitions, LoadedSegment, read, resolved, stem, visit_node};
use crate::error::QueryError;

/// One load.
pub(super) struct Loading<'d> {
    definitions: &'d Definitions,
    /// What was read with all it refers to, by place.
    done: HashMap<PathBuf, Arc<LoadedSegment>>,
    /// Who waits for what it refers to, the outermost first.
    waiting: Vec<Waiting>,
}

/// A document that waits for what it refers to.
struct Waiting {
    key: String,
    /// Where it lies; `None` for a document that came without a file.
    place: Option<PathBuf>,
}

impl<'d> Loading<'d> {
    pub(super) fn new(definitions: &'d Definitions) -> Self {
        Self { definitions, done: HashMap::new(), waiting: Vec::new() }
    }

    /// Loads a document that came without a file.
    pub(super) fn document(&mut self, key: &str, segment: Segment) -> Result<LoadedSegment, QueryError> {
        self.waiting.push(Waiting { key: key.to_owned(), place: None });
        let around = self.definitions;
        self.with_references(around, key, segment)
    }

    /// Loads a file. Its own folder is looked into first for what it refers to.
    pub(super) fn file(&mut self, file: &Path) -> Result<Arc<LoadedSegment>, QueryError> {
        let place = place_of(file);
        if let Some(loaded) = self.done.get(&place) {
            return Ok(loaded.clone());
        }
        let key = stem(file);
        if self.waiting.iter().any(|waiting| waiting.place.as_ref() == Some(&place)) {
            let names: Vec<&str> = self.waiting.iter().map(|waiting| waiting.key.as_str()).collect();
            return Err(QueryError::Cycle { path: format!("{} → {key}", names.join(" → ")) });
        }
        let text = read(file)?;
        let segment = parse_segment(&text)
            .map_err(|problems| QueryError::Document { document: file.display().to_string(), problems })?;
        self.waiting.push(Waiting { key: key.clone(), place: Some(place.clone()) });
        let around = self.definitions.beside(file);
        let loaded = Arc::new(self.with_references(&around, &key, segment)?);
        self.waiting.pop();
        self.done.insert(place, loaded.clone());
        Ok(loaded)
    }

    fn with_references(
        &mut self,
        around: &Definitions,
        key: &str,
        segment: Segment,
    ) -> Result<LoadedSegment, QueryError> {
        let mut names = Vec::new();
        visit_node(&segment.condition, &mut |node| {
            if let Node::Segment(name) = node {
                names.push(name.clone());
            }
        });
        let mut references = BTreeMap::new();
        for name in names {
            let Entry::Vacant(place) = references.entry(name) else { continue };
            let loaded = self.file(&around.find_segment(place.key())?)?;
            place.insert(loaded);
        }
        let hashes = references.iter().map(|(name, loaded)| (name.clone(), loaded.hash.clone())).collect();
        let hash = canonical::hash(&segment, &hashes);
        Ok(LoadedSegment { key: key.to_owned(), segment, references, hash })
    }
}

/// What tells one file from another: its folder without links, and its name there. A link to a file is a file of its
/// own, because what it refers to is looked for beside the link.
fn place_of(file: &Path) -> PathBuf {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else { return file.to_path_buf() };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    resolved(folder).join(name)
}

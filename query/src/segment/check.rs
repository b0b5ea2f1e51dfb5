//! Holding a segment, and all it refers to, against the tables of a snapshot before it is evaluated.

use std::collections::HashSet;

use tagmill_schemas::segment::AsOf;
use tagmill_schemas::segment::check::{Catalog, check};
use tagmill_schemas::yaml::{Problem, Problems};

use crate::definitions::LoadedSegment;
use crate::error::QueryError;
use crate::view::View;

impl View {
    /// Checks a segment and all it refers to against the tables of this snapshot.
    ///
    /// # Errors
    /// `QueryError::Document` with every problem.
    pub async fn check(&self, loaded: &LoadedSegment) -> Result<(), QueryError> {
        check_each(loaded, self.catalog().await?, &mut HashSet::new())
    }

    /// What the author of a segment should know though it is valid: the tags that it, or a segment it refers to, names by
    /// a name that they bear no longer.
    ///
    /// # Errors
    /// What reading the tags may fail with.
    pub async fn notes(&self, loaded: &LoadedSegment) -> Result<Vec<String>, QueryError> {
        let mut notes = Vec::new();
        note_each(loaded, "", self.catalog().await?, &mut HashSet::new(), &mut notes);
        Ok(notes)
    }
}

/// Checks a segment and what it refers to, unless it is among the `checked`, which are known by their hashes.
fn check_each<'s>(
    loaded: &'s LoadedSegment,
    catalog: &Catalog,
    checked: &mut HashSet<&'s str>,
) -> Result<(), QueryError> {
    if !checked.insert(&loaded.hash) {
        return Ok(());
    }
    let problems = check(&loaded.segment, catalog);
    if !problems.is_empty() {
        return Err(QueryError::Document { document: loaded.key.clone(), problems: Problems(problems) });
    }
    for (name, reference) in &loaded.references {
        if reference.segment.as_of != AsOf::Latest {
            let message = format!("segment `{name}` fixes its own `as_of` and so cannot be referred to");
            let problem = Problem::new(None, "/as_of", "REFERENCE_AS_OF", message);
            let problem = problem.with_hint(format!("write `as_of: latest` in `{name}`"));
            return Err(QueryError::Document { document: loaded.key.clone(), problems: problem.into() });
        }
        check_each(reference, catalog, checked)?;
    }
    Ok(())
}

/// Notes the renamed tags of a segment and of what it refers to; `place` says in which of them.
fn note_each<'s>(
    loaded: &'s LoadedSegment,
    place: &str,
    catalog: &Catalog,
    noted: &mut HashSet<&'s str>,
    notes: &mut Vec<String>,
) {
    if !noted.insert(&loaded.hash) {
        return;
    }
    for tag in catalog.renamed_tags(&loaded.segment) {
        notes.push(format!("{place}{tag}; write the name of today, or the id"));
    }
    for (name, reference) in &loaded.references {
        note_each(reference, &format!("in segment `{name}`: "), catalog, noted, notes);
    }
}

//! `tagmill segment`: check, explain, count and list.

use tagmill_query::export::MemberRows;
use tagmill_query::{Engine, Explanation, Limits, LoadedSegment, SegmentCount, View};
use tagmill_store::StoreError;

use crate::cli::{LimitArgs, SegmentCountArgs, SegmentExplainArgs, SegmentMembersArgs, SegmentValidateArgs};
use crate::errors::{self, SurfaceError};
use crate::globals::Globals;
use crate::output::{Destination, ObjectFormat, say, thousands, write_json, write_rows, write_text};

/// Counts the customers of a segment. JSON is one object: `count`, `snapshot_id`, `as_of`, `events_until`,
/// `definition_hash`, `universe_count`, and `notes` where there are any.
///
/// # Errors
/// What is wrong with the definition, or with the answer.
pub(crate) async fn count_segment(globals: &Globals, args: &SegmentCountArgs) -> anyhow::Result<()> {
    let (view, loaded) = open(globals, &args.segment, &args.limits).await?;
    let evaluation = view.evaluate(&loaded).await?;
    let count = evaluation.count();
    match args.format {
        ObjectFormat::Json => write_json(count, &Destination::Stdout)?,
        ObjectFormat::Table => {
            write_text(&customers(count.count), &Destination::Stdout)?;
            say_count(&view, count);
        }
    }
    say_notes(&count.notes);
    Ok(())
}

/// Lists the customers of a segment, ascending by `customer_no`.
///
/// # Errors
/// What is wrong with the definition, the columns, or the answer.
pub(crate) async fn list_members(globals: &Globals, args: &SegmentMembersArgs) -> anyhow::Result<()> {
    let format = args.output.resolved_format()?;
    let (view, loaded) = open(globals, &args.segment, &args.limits).await?;
    let evaluation = view.evaluate(&loaded).await?;
    let wanted = MemberRows { columns: args.columns.clone(), limit: args.limit, ..MemberRows::of(&[]) };
    let rows = view.members(&evaluation, &wanted).await?;
    write_rows(rows, format, &args.output.destination()).await?;
    let count = evaluation.count();
    say(format!("{} in the segment", customers(count.count)));
    say_count(&view, count);
    say_notes(&count.notes);
    Ok(())
}

/// Says a segment in English and Chinese, with the size of each of its conditions.
///
/// # Errors
/// What is wrong with the definition, or with the answer.
pub(crate) async fn explain_segment(globals: &Globals, args: &SegmentExplainArgs) -> anyhow::Result<()> {
    let (view, loaded) = open(globals, &args.segment, &args.limits).await?;
    let explanation = view.explain(&loaded).await?;
    match args.format {
        ObjectFormat::Json => write_json(&explanation, &Destination::Stdout)?,
        ObjectFormat::Table => {
            write_text(&explained(&explanation, args.sql), &Destination::Stdout)?;
            super::say_provenance(&view, view.events_until(&loaded.event_types()));
        }
    }
    say_notes(&explanation.count.notes);
    Ok(())
}

/// Checks definitions: by themselves, and against the warehouse where there is one.
///
/// # Errors
/// `SurfaceError::Definitions` after the problems of each definition were told.
pub(crate) async fn validate_segments(globals: &Globals, args: &SegmentValidateArgs) -> anyhow::Result<()> {
    let engine = match globals.open_engine(Limits::default()).await {
        Ok(engine) => Some(engine),
        Err(error) if matches!(error.downcast_ref(), Some(StoreError::NoWarehouse { .. })) => {
            say(format!("there is no warehouse at `{}`: names of tags and columns are not checked", globals.location));
            None
        }
        Err(error) => return Err(error),
    };
    let mut wrong = 0;
    for segment in &args.segments {
        match validate(globals, engine.as_ref(), segment).await {
            Ok(loaded) => write_text(&format!("{segment}: valid, {}", loaded.hash), &Destination::Stdout)?,
            Err(error) => {
                errors::tell(&error);
                wrong += 1;
            }
        }
    }
    if wrong > 0 {
        return Err(SurfaceError::Definitions { wrong, checked: args.segments.len() }.into());
    }
    Ok(())
}

async fn validate(globals: &Globals, engine: Option<&Engine>, segment: &str) -> anyhow::Result<LoadedSegment> {
    let loaded = globals.definitions().load(segment)?;
    if let Some(engine) = engine {
        let view = globals.view_for(engine, &loaded).await?;
        view.check(&loaded).await?;
        let notes = view.notes(&loaded).await?;
        notes.iter().for_each(|note| say(format!("note: {segment}: {note}")));
    }
    Ok(loaded)
}

async fn open(globals: &Globals, segment: &str, limits: &LimitArgs) -> anyhow::Result<(View, LoadedSegment)> {
    let loaded = globals.definitions().load(segment)?;
    let engine = globals.open_engine(super::limits(limits)).await?;
    let view = globals.view_for(&engine, &loaded).await?;
    Ok((view, loaded))
}

/// Says what the author of a definition should know though it is valid.
fn say_notes(notes: &[String]) {
    notes.iter().for_each(|note| say(format!("note: {note}")));
}

fn say_count(view: &View, count: &SegmentCount) {
    let hash = count.definition_hash.get(..12).unwrap_or(&count.definition_hash);
    say(format!("of {} in the universe · definition {hash}", thousands(count.universe_count)));
    super::say_provenance(view, count.events_until);
}

/// `1,633 customers`.
fn customers(count: u64) -> String {
    format!("{} {}", thousands(count), if count == 1 { "customer" } else { "customers" })
}

/// The two sentences, and the conditions as a tree with their sizes.
fn explained(explanation: &Explanation, with_sql: bool) -> String {
    let sizes: Vec<String> =
        explanation.nodes.iter().map(|node| format!("{} {}", thousands(node.count), node.kind)).collect();
    let width = sizes.iter().map(|size| size.chars().count()).max().unwrap_or_default();
    let mut lines = vec![explanation.english.clone(), explanation.chinese.clone(), String::new()];
    for (node, size) in explanation.nodes.iter().zip(&sizes) {
        let is_above = |path: &str| node.path.strip_prefix(path).is_some_and(|below| below.starts_with('/'));
        let depth = explanation.nodes.iter().filter(|other| is_above(&other.path)).count();
        let indent = "  ".repeat(depth);
        lines.push(format!("{size:>width$}  {indent}{}", node.description));
        if let (true, Some(sql)) = (with_sql, &node.sql) {
            let margin = " ".repeat(width + 4 + indent.len());
            lines.extend(sql.lines().map(|line| format!("{margin}{line}")));
        }
    }
    lines.join("\n")
}

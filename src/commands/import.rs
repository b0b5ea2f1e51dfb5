//! `tagmill import`: an uploaded list of customers turned into a plan of tags.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tagmill_activate::{Import, ImportCounts, ImportPlan, LeftOut, UploadColumns, read_upload, run_import};
use tagmill_query::{Access, Engine, Limits};
use tagmill_schemas::documents::import::ImportOn;
use tagmill_schemas::segment::AsOf;

use super::columns::{batch, count_column, text_column};
use super::plan::{TagNames, steps_table};
use crate::cli::ImportArgs;
use crate::errors::SurfaceError;
use crate::globals::Globals;
use crate::output::{Destination, Format, ObjectFormat, say, thousands, write_batch, write_json, write_text};

/// Works out what an uploaded list would change, as a plan that waits for an approval, and writes down the rows that were
/// not matched; nothing is changed.
///
/// # Errors
/// `ActivateError::Upload` for what is no list, `ActivateError::Lint` where the plan must not be; what the answer, or the
/// writing, failed with.
pub(crate) async fn import_list(globals: &Globals, args: &ImportArgs) -> anyhow::Result<()> {
    let errors = errors_path(args)?;
    let import = described(globals, args)?;
    let columns = UploadColumns { customer: args.column.clone(), staff: args.staff_column.clone() };
    let rows = read_upload(&args.file, &columns)?;
    let engine = globals.open_engine(Limits::default()).await?;
    if globals.as_of(engine.warehouse().zone()) != AsOf::Latest {
        let message = "an import is made on the newest snapshot, because that is the one its plan changes";
        return Err(SurfaceError::usage(message, "leave `--as-of` away").into());
    }
    let plan = run_import(&engine, &import, &rows, &globals.actor).await?;
    // An older file of errors would otherwise tell of rows that are fine by now.
    let is_wanted = !plan.left_out.is_empty() || args.errors.is_some() || errors.exists();
    if is_wanted {
        write_left_out(&plan.left_out, &errors)?;
    }
    let written = is_wanted.then_some(errors.as_path());
    match args.format {
        ObjectFormat::Json => write_json(&as_json(&plan, written), &Destination::Stdout),
        ObjectFormat::Table => print_plan(&engine, &import, &plan, written).await,
    }
}

/// What was typed, with the segment read from its file.
fn described(globals: &Globals, args: &ImportArgs) -> anyhow::Result<Import> {
    let by_file = || args.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name = args.name.clone().unwrap_or_else(by_file).trim().to_owned();
    if name.is_empty() {
        return Err(SurfaceError::usage("the import has no name", "`--name NAME` gives it one").into());
    }
    let segment = match &args.segment {
        Some(segment) => Some(globals.definitions().load(segment)?),
        None => None,
    };
    Ok(Import { name, tags: args.tags.clone(), on: args.on.into(), segment })
}

/// Where the rows that were not matched go: beside the list, unless it is said.
fn errors_path(args: &ImportArgs) -> anyhow::Result<PathBuf> {
    let beside = || {
        let mut path = OsString::from(&args.file);
        path.push(".errors.csv");
        PathBuf::from(path)
    };
    let path = args.errors.clone().unwrap_or_else(beside);
    if is_same_file(&path, &args.file) {
        return Err(SurfaceError::usage("`--errors` names the list itself", "choose another file").into());
    }
    Ok(path)
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// Writes the rows that were not matched: where, what became of them, the code, the reason, and what was written.
fn write_left_out(left_out: &[LeftOut], path: &Path) -> anyhow::Result<()> {
    let rows = || left_out.iter().map(|left| &left.row);
    let whys = || left_out.iter().map(|left| &left.why);
    let columns = batch([
        ("row", count_column(rows().map(|row| Some(row.row)))),
        ("outcome", text_column(whys().map(|why| Some(why.outcome().as_str())))),
        ("code", text_column(whys().map(|why| Some(why.code())))),
        ("reason", text_column(whys().map(|why| Some(why.to_string())))),
        ("id_space", text_column(rows().map(|row| row.id_space.as_deref()))),
        ("customer_id", text_column(rows().map(|row| Some(&row.customer_id)))),
        ("staff_id", text_column(rows().map(|row| row.staff_id.as_deref()))),
    ])?;
    write_batch(&columns, Format::Csv, &Destination::File(path.to_path_buf()))
}

async fn print_plan(engine: &Engine, import: &Import, plan: &ImportPlan, errors: Option<&Path>) -> anyhow::Result<()> {
    let header = &plan.header;
    let is_kept = header.step_count > 0;
    let named = if is_kept { format!("{} · {}", header.plan_id, header.title) } else { header.title.clone() };
    let sums = counted(&plan.counts, import.segment.is_some());
    write_text(&format!("{named}\n{sums}\n{}", changes(import, plan)), &Destination::Stdout)?;
    if let Some(errors) = errors {
        say(left_out_told(plan.left_out.len() as u64, errors));
    }
    if !is_kept {
        say("there is nothing to change, so no plan was made");
        return Ok(());
    }
    let view = engine.view(AsOf::Latest, Access::Full).await?;
    write_text("", &Destination::Stdout)?;
    steps_table(&plan.sample, &TagNames::load(&view).await?).write(&Destination::Stdout)?;
    say(format!("{} of {} steps are shown", plan.sample.len(), thousands(header.step_count)));
    say(format!("nothing is changed yet; next: `tagmill plan approve {} --as SOMEBODY`", header.plan_id));
    say(format!("SOMEBODY is anybody but its author `{}`", header.author));
    Ok(())
}

fn left_out_told(count: u64, errors: &Path) -> String {
    let errors = errors.display();
    match count {
        0 => format!("every row was matched, so `{errors}` holds none"),
        1 => format!("1 row was not matched: `{errors}` has it, with its code"),
        count => format!("{} rows were not matched: `{errors}` has them, with row and code", thousands(count)),
    }
}

/// `14 rows: 5 matched, 4 unmatched, 2 duplicate, 3 rejected`.
fn counted(counts: &ImportCounts, has_segment: bool) -> String {
    let inactive = if has_segment { format!("{} inactive, ", thousands(counts.inactive)) } else { String::new() };
    let [uploaded, matched, unmatched, duplicate, rejected] =
        [counts.uploaded, counts.matched, counts.unmatched, counts.duplicate, counts.rejected].map(thousands);
    format!(
        "{uploaded} rows: {matched} matched, {inactive}{unmatched} unmatched, {duplicate} duplicate, {rejected} rejected"
    )
}

/// `5 follows get the tag, 0 hold it by this import already`.
fn changes(import: &Import, plan: &ImportPlan) -> String {
    let holders = if import.on == ImportOn::Customer { "customers" } else { "follows" };
    let (tag, them) = if import.tags.len() == 1 { ("the tag", "it") } else { ("tags", "them all") };
    let [entering, unchanged] = [plan.entering, plan.unchanged].map(thousands);
    format!("{entering} {holders} get {tag}, {unchanged} hold {them} by this import already")
}

fn as_json(plan: &ImportPlan, errors: Option<&Path>) -> Value {
    let ImportCounts { uploaded, matched, inactive, unmatched, duplicate, rejected } = plan.counts;
    json!({
        "plan": plan.header,
        "is_kept": plan.header.step_count > 0,
        "rows": {
            "uploaded": uploaded,
            "matched": matched,
            "inactive": inactive,
            "unmatched": unmatched,
            "duplicate": duplicate,
            "rejected": rejected,
        },
        "errors": errors.map(|path| path.display().to_string()),
        "entering": plan.entering,
        "unchanged": plan.unchanged,
        "sample": plan.sample,
    })
}

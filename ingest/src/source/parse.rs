//! Reading a source document: every problem at once, each with its place.

use std::path::Path;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use tagmill_schemas::clock::BusinessZone;
use tagmill_schemas::tables::{ColumnType, Filled, TABLES, contract};
use tagmill_schemas::yaml::{self, At, Entry, Fields, Problem, Problems, codes};

use super::raw_file::raw_file;
use super::{DeclaredColumn, Mode, SampleSpec, Source, SourceKind, TableSelect, TakenAt};

/// Why a document is no source.
pub(super) enum Failure {
    Problems(Problems),
    KindNotYet(String),
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Problems(problems)
    }
}

const KEYS: &[&str] =
    &["name", "kind", "id_space", "time_zone", "taken_at", "files", "tables", "seed", "customers", "events"];
const TABLE_KEYS: &[&str] = &["mode", "select", "priority", "properties", "attributes", "event_id"];
const KINDS: &[&str] = &["files", "sample", "wecom"];
/// Tables that no source fills: the log is derived from `assignment`, the rest is the warehouse's own.
const NO_TARGETS: &[&str] = &["assignment_log", "unmatched_event", "quarantine", "snapshot"];

pub(super) fn parse_source(text: &str, folder: &Path) -> Result<Source, Failure> {
    let document = yaml::read(text).map_err(Problems::from)?;
    let mut problems = Vec::new();
    let root = At::root(&document);
    let found = root.fields("a source: a mapping with `name` and `kind`", &mut problems).and_then(|fields| {
        fields.known(KEYS, &mut problems);
        source(&fields, folder, &mut problems)
    });
    if let Some(Err(kind)) = found {
        return Err(Failure::KindNotYet(kind));
    }
    Ok(Problems::resolve(found.and_then(Result::ok), problems)?)
}

fn source(fields: &Fields<'_>, folder: &Path, problems: &mut Vec<Problem>) -> Option<Result<Source, String>> {
    let name = fields
        .need("name", "its identity for ever, such as `name: shop_orders`", problems)
        .and_then(|at| identifier(&at, problems));
    let id_space = fields.get("id_space").and_then(|at| at.text("a name space", problems));
    let zone = fields.get("time_zone").and_then(|at| time_zone(&at, problems));
    let taken_at = fields.get("taken_at").and_then(|at| time(&at, problems));
    let kind = fields.need("kind", "`kind: files` or `kind: sample`", problems)?;
    let word = kind.word("kind of source", &KINDS.iter().map(|kind| (*kind, *kind)).collect::<Vec<_>>(), problems)?;
    let kind = match word {
        "files" => files(fields, folder, problems),
        "sample" => sample(fields, problems),
        other => return Some(Err(other.to_owned())),
    };
    let name = name?;
    Some(Ok(Source { id_space: id_space.unwrap_or_else(|| name.clone()), name, zone, taken_at, kind: kind? }))
}

/// A name that can stand in a path and before a colon.
fn identifier(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<String> {
    let text = at.text("a name", problems)?;
    if text.contains([':', '/', '\n']) || text.trim() != text {
        let problem = at.problem(codes::VALUE_INVALID, format!("`{text}` cannot be a name"));
        problems.push(problem.with_hint("a name holds no `:`, no `/` and no space at its ends"));
        return None;
    }
    Some(text)
}

fn time_zone(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<BusinessZone> {
    let text = at.text("a time zone", problems)?;
    let zone = BusinessZone::parse(&text);
    if zone.is_none() {
        let problem = at.problem(codes::VALUE_INVALID, format!("`{text}` is no time zone"));
        problems.push(problem.with_hint("IANA names are meant, such as `Asia/Shanghai` or `Europe/London`"));
    }
    zone
}

fn time(at: &At<'_>, problems: &mut Vec<Problem>) -> Option<TakenAt> {
    let text = at.text("a time", problems)?;
    if let Ok(instant) = DateTime::parse_from_rfc3339(&text) {
        return Some(TakenAt::Instant(instant.with_timezone(&Utc)));
    }
    for format in ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"] {
        if let Ok(local) = NaiveDateTime::parse_from_str(&text, format) {
            return Some(TakenAt::Local(local));
        }
    }
    if let Ok(day) = NaiveDate::parse_from_str(&text, "%Y-%m-%d") {
        return Some(TakenAt::Local(day.and_time(NaiveTime::MIN)));
    }
    let problem = at.problem(codes::VALUE_INVALID, format!("`{text}` is no time"));
    problems.push(problem.with_hint("write `2026-11-12 02:00:00`, or with an offset `2026-11-12T02:00:00+08:00`"));
    None
}

fn sample(fields: &Fields<'_>, problems: &mut Vec<Problem>) -> Option<SourceKind> {
    let mut number = |key: &str, default: i64, least: i64, most: i64| {
        fields.get(key).map_or(Some(default), |at| at.integer(least..=most, problems))
    };
    let seed = number("seed", 7, 0, i64::MAX)?;
    let customers = number("customers", 20_000, 1, 10_000_000)?;
    let events = number("events", customers.saturating_mul(15), 1, 100_000_000)?;
    Some(SourceKind::Sample(SampleSpec {
        seed: u64::try_from(seed).ok()?,
        customers: usize::try_from(customers).ok()?,
        events: usize::try_from(events).ok()?,
    }))
}

fn files(fields: &Fields<'_>, folder: &Path, problems: &mut Vec<Problem>) -> Option<SourceKind> {
    let raw = fields
        .need("files", "`files: {lines: {path: lines.csv}}`", problems)
        .and_then(|at| at.fields("raw files by name", problems));
    let raw = raw.map(|raw| {
        let each: Vec<_> = raw.entries.iter().map(|entry| raw_file(entry, folder, problems)).collect();
        each
    });
    let tables = fields
        .need("tables", "`tables: {customer: {mode: upsert, select: SELECT …}}`", problems)
        .and_then(|at| at.fields("target tables by name", problems));
    let tables = tables.map(|tables| {
        if tables.entries.is_empty() {
            let problem = tables.at.problem(codes::VALUE_EMPTY, "no table is filled");
            problems.push(problem.with_hint("write at least one: `customer: {mode: upsert, select: SELECT …}`"));
        }
        let each: Vec<_> = tables.entries.iter().map(|entry| table(entry.key, &entry.value, problems)).collect();
        each
    });
    let files = raw?.into_iter().collect::<Option<Vec<_>>>()?;
    let tables = tables?.into_iter().collect::<Option<Vec<_>>>()?;
    Some(SourceKind::Files { files, tables })
}

fn table(name: &str, at: &At<'_>, problems: &mut Vec<Problem>) -> Option<TableSelect> {
    let targets: Vec<&str> =
        TABLES.iter().map(|table| table.name).filter(|name| !NO_TARGETS.contains(name)).chain(["assignment"]).collect();
    if !targets.contains(&name) {
        let hint =
            tagmill_schemas::error::did_you_mean(&tagmill_schemas::error::near_names(name, targets.iter().copied()))
                .unwrap_or_else(|| format!("the tables are {}", targets.join(", ")));
        problems.push(at.problem("TABLE_UNKNOWN", format!("`{name}` is no table that a source fills")).with_hint(hint));
        return None;
    }
    let fields = at.fields("a table: a mapping with `mode` and `select`", problems)?;
    fields.known(TABLE_KEYS, problems);
    let modes = [("full", Mode::Full), ("upsert", Mode::Upsert), ("append", Mode::Append)];
    let mode = fields
        .need("mode", "`mode: full` (all there is), `upsert` (what changed) or `append` (new rows only)", problems)
        .and_then(|at| at.word("mode", &modes, problems));
    let mode = mode.filter(|mode| mode_fits(name, *mode, at, problems));
    let select =
        fields.need("select", "`select: SELECT … FROM …`", problems).and_then(|at| at.text("a SELECT", problems));
    let priority = match fields.get("priority") {
        None => Some(None),
        Some(at) => at.integer(-1000..=1000, problems).map(|rank| i32::try_from(rank).ok()),
    };
    let is_row_event_id = match fields.get("event_id") {
        None => Some(false),
        Some(at) => at.word("event_id", &[("row", true)], problems),
    };
    let declared = declared_columns(name, &fields, problems);
    Some(TableSelect {
        table: name.to_owned(),
        mode: mode?,
        priority: priority?,
        declared: declared?,
        is_row_event_id: is_row_event_id?,
        select: select?,
    })
}

/// Events are only ever added; everything else has a key and is listed or changed.
fn mode_fits(table: &str, mode: Mode, at: &At<'_>, problems: &mut Vec<Problem>) -> bool {
    let fits = (table == "event") == (mode == Mode::Append);
    if !fits {
        let hint = if table == "event" { "write `mode: append`" } else { "write `mode: full` or `mode: upsert`" };
        let message = format!("`{table}` cannot be filled by `{}`", mode.word());
        problems.push(at.problem(codes::VALUE_INVALID, message).with_hint(hint));
    }
    fits
}

/// `properties:` of events and `attributes:` of customers: name to type, or to `{type: …, private: true}`.
fn declared_columns(table: &str, fields: &Fields<'_>, problems: &mut Vec<Problem>) -> Option<Vec<DeclaredColumn>> {
    let mut declared = Vec::new();
    for (key, wanted) in [("properties", "event"), ("attributes", "customer")] {
        let Some(at) = fields.get(key) else { continue };
        if table != wanted {
            problems.push(at.problem(codes::KEY_MISPLACED, format!("`{key}` belongs to `{wanted}`, not to `{table}`")));
            return None;
        }
        for entry in at.fields("names with their types", problems)?.entries {
            declared.push(declared_column(table, &entry, problems)?);
        }
    }
    Some(declared)
}

fn declared_column(table: &str, entry: &Entry<'_>, problems: &mut Vec<Problem>) -> Option<DeclaredColumn> {
    let (at, is_private) = match entry.value.scalar() {
        Some(_) => (entry.value.clone(), false),
        None => {
            let fields = entry.value.fields("a type, or a mapping with `type` and `private`", problems)?;
            fields.known(&["type", "private"], problems);
            let at = fields.need("type", "`type: text`", problems)?;
            let is_private = fields.get("private").map_or(Some(false), |at| at.boolean(problems))?;
            (at, is_private)
        }
    };
    let word = at.text("a type", problems)?;
    let Some(ty) = ColumnType::parse(&word) else {
        let problem = at.problem(codes::WORD_UNKNOWN, format!("unknown type `{word}`"));
        problems.push(problem.with_hint("the types are text, bigint, int, decimal, bool, timestamp, date"));
        return None;
    };
    if !is_free(table, entry.key) {
        let problem = entry.problem(codes::VALUE_INVALID, format!("`{}` cannot be declared", entry.key));
        let hint = "a declared column has a lower_snake_case name that the table does not have already";
        problems.push(problem.with_hint(hint));
        return None;
    }
    Some(DeclaredColumn { name: entry.key.to_owned(), ty, is_private })
}

fn is_free(table: &str, name: &str) -> bool {
    // What says whose an event is stands in the contract of the events that wait for it to be known.
    let names_a_person = table == "event"
        && contract("unmatched_event")
            .and_then(|table| table.column(name))
            .is_some_and(|column| column.filled == Filled::BySource);
    is_snake(name) && !names_a_person && contract(table).is_some_and(|table| table.column(name).is_none())
}

/// Whether a name is `lower_snake_case`, which SQL reads without quotes as it is written.
pub(super) fn is_snake(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

//! `tagmill snapshot`: the published states of the warehouse.

use serde_json::Value;
use tagmill_query::Limits;
use tagmill_schemas::ids::SnapshotId;
use tagmill_schemas::segment::AsOf;
use tagmill_store::LedgerRow;

use super::columns::{batch, count_column, instant_column, text_column};
use super::snapshot_diff;
use crate::cli::{SnapshotDiffArgs, SnapshotListArgs, SnapshotShowArgs};
use crate::globals::Globals;
use crate::output::{Destination, Format, ObjectFormat, local_time, say, write_batch, write_json};

/// The row counts that tell most about a snapshot, with their headings.
const COUNTED_TABLES: [(&str, &str); 5] = [
    ("customers", "customer"),
    ("follows", "follow"),
    ("tags", "tag"),
    ("events", "event"),
    ("quarantined", "quarantine"),
];

/// Lists the snapshots, the oldest first.
///
/// # Errors
/// What reading the ledger, or the writing, failed with.
pub(crate) async fn list_snapshots(globals: &Globals, args: &SnapshotListArgs) -> anyhow::Result<()> {
    let format = args.output.resolved_format()?;
    let warehouse = globals.open_warehouse().await?;
    let rows = warehouse.ledger().await?;
    let mut columns = vec![
        ("snapshot_id", count_column(rows.iter().map(|row| u64::try_from(row.snapshot_id.0).ok()))),
        ("taken_at", instant_column(rows.iter().map(|row| Some(row.taken_at)))),
        ("published_at", instant_column(rows.iter().map(|row| Some(row.published_at)))),
        ("source", text_column(rows.iter().map(|row| Some(&row.source)))),
    ];
    for (heading, table) in COUNTED_TABLES {
        columns.push((heading, count_column(rows.iter().map(|row| row.row_counts.get(table).copied()))));
    }
    write_batch(&batch(columns)?, format, &args.output.destination())?;
    match rows.last() {
        Some(newest) => say(format!("the newest was taken {}", local_time(newest.taken_at, warehouse.zone()))),
        None => say("nothing is published yet; `tagmill ingest SOURCE.yaml` publishes the first snapshot"),
    }
    Ok(())
}

/// Shows everything the ledger says of a snapshot.
///
/// # Errors
/// `StoreError::NoSnapshot` where there is none of that number.
pub(crate) async fn show_snapshot(globals: &Globals, args: &SnapshotShowArgs) -> anyhow::Result<()> {
    let warehouse = globals.open_warehouse().await?;
    let snapshot = warehouse.snapshot(&AsOf::Snapshot(SnapshotId(args.snapshot_id))).await?;
    let row = snapshot.row();
    if args.format == ObjectFormat::Json {
        return write_json(row, &Destination::Stdout);
    }
    let fields = fields(row)?;
    let shown = batch([
        ("field", text_column(fields.iter().map(|(field, _)| Some(field)))),
        ("value", text_column(fields.iter().map(|(_, value)| Some(value)))),
    ])?;
    write_batch(&shown, Format::Table, &Destination::Stdout)?;
    say(format!("taken {}", local_time(row.taken_at, warehouse.zone())));
    Ok(())
}

/// Compares two snapshots: rows per table; tag groups and tags added, renamed and ended.
///
/// # Errors
/// `StoreError::NoSnapshot` where there is none of such a number.
pub(crate) async fn diff_snapshots(globals: &Globals, args: &SnapshotDiffArgs) -> anyhow::Result<()> {
    let format = args.output.resolved_format()?;
    let engine = globals.open_engine(Limits::default()).await?;
    let (before, after) = (SnapshotId(args.before), SnapshotId(args.after));
    let changes = snapshot_diff::changes(&engine, before, after).await?;
    write_batch(&snapshot_diff::to_batch(&changes)?, format, &args.output.destination())?;
    if changes.is_empty() {
        say(format!("nothing changed between snapshots {before} and {after}"));
    }
    Ok(())
}

/// The ledger row as fields: what holds several things becomes a field for each.
fn fields(row: &LedgerRow) -> anyhow::Result<Vec<(String, String)>> {
    let mut fields = Vec::new();
    if let Value::Object(members) = serde_json::to_value(row)? {
        for (name, value) in members {
            match value {
                Value::Object(parts) => {
                    fields.extend(parts.into_iter().map(|(part, value)| (format!("{name}.{part}"), shown(&value))));
                }
                value => fields.push((name, shown(&value))),
            }
        }
    }
    Ok(fields)
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(shown).collect::<Vec<_>>().join("; "),
        other => other.to_string(),
    }
}

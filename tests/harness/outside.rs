//! What readers that are not ours see of a warehouse.

use serde_json::Value;

use super::Sandbox;
use super::python::script_ok;

/// What `deltalake` and DuckDB count: in a snapshot's tables, or in the tables as their heads are.
pub fn seen_from_outside(sandbox: &Sandbox, snapshot_id: Option<i64>) -> Value {
    let warehouse = sandbox.warehouse().display().to_string();
    let versions = snapshot_id.map(|id| {
        let row = sandbox.json(&["snapshot", "show", &id.to_string(), "--format", "json"]);
        row["tables"].to_string()
    });
    let mut args = vec!["--warehouse", warehouse.as_str()];
    if let Some(versions) = &versions {
        args.extend(["--versions", versions.as_str()]);
    }
    serde_json::from_str(&script_ok("outside_readers.py", &args).stdout).unwrap()
}

/// Checks that both readers count the rows that the ledger counts.
pub fn check_counts(sandbox: &Sandbox, snapshot_id: i64, seen: &Value) {
    for (table, rows) in sandbox.row_counts(snapshot_id) {
        for reader in ["deltalake", "duckdb"] {
            assert_eq!(seen[&table][reader], rows, "{reader} on {table} of snapshot {snapshot_id}");
        }
    }
}

//! The sample corp: as a warehouse with its three snapshots, and pull by pull as files.

use std::sync::OnceLock;

use tagmill_ingest::sample::{CorpSize, SampleCorp};
use tagmill_store::write_batches;

use super::Sandbox;

/// The source of the corp, as somebody would write it.
const SOURCE: &str = "\
name: sample_corp
kind: sample
seed: 7
customers: 2000
events: 30000
";

/// The definitions that the demo comes with: five segments, a rule and an audience.
pub const DEFINITIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/demo/definitions");

/// The sample corp of 2,000 customers with its three snapshots, built once. Who writes takes a copy.
pub fn corp() -> &'static Sandbox {
    static CORP: OnceLock<Sandbox> = OnceLock::new();
    CORP.get_or_init(|| {
        let sandbox = Sandbox::lasting("corp");
        sandbox.write("corp.yaml", SOURCE);
        for pull in SampleCorp::pulls() {
            let answer = sandbox.ok(&["ingest", "corp.yaml"]);
            answer.says(&format!("published snapshot {}", pull.pull + 1));
        }
        sandbox
    })
}

/// A corp small enough to be read many times.
pub fn small_corp() -> SampleCorp {
    SampleCorp::new(7, CorpSize { customers: 500, events: 5_000, staff: 8 })
}

/// Writes a pull of a corp as Parquet files, with `corp.yaml` to read them; the next pull takes their place.
///
/// Unlike the sample itself, which moves on to its next pull, these files can be read again.
pub fn write_pull(sandbox: &Sandbox, corp: &SampleCorp, pull: usize) {
    let taken_at = SampleCorp::taken_at(pull).to_rfc3339();
    let (mut files, mut tables) = (String::new(), String::new());
    for (table, batches) in corp.tables(pull).unwrap() {
        let schema = batches[0].schema();
        let columns: Vec<String> = schema.fields().iter().map(|field| format!("\"{}\"", field.name())).collect();
        let mode = if table == "event" { "append" } else { "full" };
        files.push_str(&format!("  listed_{table}: {{path: {table}.parquet}}\n"));
        tables.push_str(&format!(
            "  {table}:\n    mode: {mode}\n    select: SELECT {} FROM listed_{table}\n",
            columns.join(", ")
        ));
        write_batches(&sandbox.path(&format!("{table}.parquet")), &schema, batches).unwrap();
    }
    let document = format!("name: corp\nkind: files\ntaken_at: {taken_at}\nfiles:\n{files}tables:\n{tables}");
    sandbox.write("corp.yaml", document);
}

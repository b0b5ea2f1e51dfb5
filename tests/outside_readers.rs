//! Readers that are not ours see the same tables: `deltalake` through the Delta log, DuckDB through the files it lists.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::harness::corp::corp;
use crate::harness::outside::{check_counts, seen_from_outside};
use crate::real_data::online_retail;
use crate::segments;

/// What they see of the sample corp's tables as their heads are.
fn heads() -> &'static Value {
    static SEEN: OnceLock<Value> = OnceLock::new();
    SEEN.get_or_init(|| seen_from_outside(corp(), None))
}

#[test]
fn duckdb_and_deltalake_count_what_the_ledger_counts_in_every_snapshot() {
    let corp = corp();
    for snapshot_id in corp.snapshot_ids() {
        check_counts(corp, snapshot_id, &seen_from_outside(corp, Some(snapshot_id)));
    }
}

#[test]
fn the_heads_of_the_tables_are_the_newest_snapshot() {
    let corp = corp();
    let ids = corp.snapshot_ids();
    let seen = heads();
    check_counts(corp, *ids.last().unwrap(), seen);
    assert_eq!(seen["snapshot"]["duckdb"], ids.len(), "the ledger is a table like the others");
}

#[test]
fn real_orders_have_the_same_exact_sum_for_every_reader() {
    let seen = seen_from_outside(online_retail(), Some(1));
    check_counts(online_retail(), 1, &seen);
    let expected: BTreeMap<&str, Value> = BTreeMap::from([
        ("deltalake", 406_829.into()),
        ("duckdb", 406_829.into()),
        ("deltalake_amount", "8300065.8140".into()),
        ("duckdb_amount", "8300065.8140".into()),
    ]);
    for (what, value) in expected {
        assert_eq!(seen["event"][what], value, "{what}");
    }
}

/// Whoever reads Delta at all reads these tables: some were written three times, and to one a source has added a column.
#[test]
fn every_table_asks_of_its_readers_no_more_than_the_plainest_profile() {
    let instants = [("delta_types", "timestamp"), ("file_types", "INT64 timestamp[us, tz=UTC]")];
    for seen in [heads(), &seen_from_outside(segments::corp(), None)] {
        for (table, told) in seen.as_object().unwrap() {
            let profile = &told["profile"];
            assert_eq!(profile["min_reader_version"], 1, "{table}: {profile}");
            assert_eq!(profile["features"], json!([]), "{table}: {profile}");
            let configuration = json!({"delta.checkpointInterval": "10", "delta.enableExpiredLogCleanup": "false"});
            assert_eq!(profile["configuration"], configuration, "{table}");
            assert_eq!(profile["deletion_vectors"], 0, "{table}: {profile}");
            for (kept, expected) in instants {
                let kinds = profile[kept].as_array().unwrap();
                assert!(kinds.iter().all(|kind| kind == expected), "{table}: {profile}");
            }
        }
        // The tables with the most instants have some, in the log as in the files.
        for (kept, expected) in instants {
            assert_eq!(seen["event"]["profile"][kept], json!([expected]));
        }
    }
}

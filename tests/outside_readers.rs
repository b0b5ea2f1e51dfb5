//! Readers that are not ours see the same tables: `deltalake` through the Delta log, DuckDB through the files it lists.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::corp::corp;
use crate::harness::outside::{check_counts, seen_from_outside};
use crate::real_data::online_retail;

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
    let seen = seen_from_outside(corp, None);
    check_counts(corp, *ids.last().unwrap(), &seen);
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

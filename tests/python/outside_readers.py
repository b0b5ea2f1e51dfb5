"""Counts the rows of every published table with two readers that are not ours, and prints them as one JSON object.

    outside_readers.py --warehouse DIR [--versions JSON]

`{table: {"version": …, "deltalake": rows, "duckdb": rows, "deltalake_amount": sum, "duckdb_amount": sum}}`; the exact
sums (as text) stand where a table has a column `amount`. `deltalake` reads the table through its log into Arrow; DuckDB
reads the Parquet files that the log lists. Exits with 1 if the two differ anywhere.
"""

import argparse
import json
import sys
from pathlib import Path

import duckdb
import pyarrow.compute as pc

from warehouse import open_table, parse_versions, table_names


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--warehouse", type=Path, required=True)
    parser.add_argument("--versions", help="{table: version} of the ledger row as JSON, or @FILE; default: the heads")
    arguments = parser.parse_args()
    versions = parse_versions(arguments.versions)

    # A pinned snapshot is exactly the tables that its ledger row lists.
    names = sorted(versions) or table_names(arguments.warehouse)
    report = {name: read_twice(arguments.warehouse, name, versions) for name in names}
    print(json.dumps(report, indent=2))
    agree = all(
        counts["deltalake"] == counts["duckdb"] and counts.get("deltalake_amount") == counts.get("duckdb_amount")
        for counts in report.values()
    )
    return 0 if agree and report else 1


def read_twice(warehouse: Path, name: str, versions: dict[str, int]) -> dict:
    """The rows, and the sum of `amount` where there is one, as both readers see them."""
    table = open_table(warehouse, name, versions)
    rows = table.to_pyarrow_table()
    counts = {"version": table.version(), "deltalake": rows.num_rows, "duckdb": 0}
    files = table.file_uris()
    has_amount = "amount" in rows.column_names
    if has_amount:
        counts["deltalake_amount"] = as_text(pc.sum(rows["amount"]).as_py())
        counts["duckdb_amount"] = None
    if files:
        amount = "CAST(sum(amount) AS VARCHAR)" if has_amount else "NULL"
        sql = f"SELECT count(*), {amount} FROM read_parquet(?, union_by_name = true, hive_partitioning = false)"
        counts["duckdb"], total = duckdb.connect().execute(sql, [files]).fetchone()
        if has_amount:
            counts["duckdb_amount"] = total
    return counts


def as_text(number) -> str | None:
    return None if number is None else str(number)


if __name__ == "__main__":
    sys.exit(main())

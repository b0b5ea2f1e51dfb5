"""Counts the rows of every published table with two readers that are not ours, and prints them as one JSON object.

    outside_readers.py --warehouse DIR [--versions JSON]

`{table: {"version": …, "deltalake": rows, "duckdb": rows, "deltalake_amount": sum, "duckdb_amount": sum, "profile": …}}`;
the exact sums (as text) stand where a table has a column `amount`. `deltalake` reads the table through its log into
Arrow; DuckDB reads the Parquet files that the log lists. Exits with 1 if the two differ anywhere.

A profile is what a table asks of its readers: `min_reader_version`, `features`, `configuration`, `deletion_vectors`
(how many the log has ever named), and how instants are kept by the log (`delta_types`) and in files (`file_types`).
"""

import argparse
import json
import sys
from pathlib import Path

import duckdb
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable

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
    files = table.file_uris()
    counts = {
        "version": table.version(),
        "deltalake": rows.num_rows,
        "duckdb": 0,
        "profile": profile(table, files, warehouse / "tables" / name / "_delta_log"),
    }
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


def profile(table: DeltaTable, files: list[str], log: Path) -> dict:
    """What a table asks of its readers, and how it keeps instants."""
    protocol = table.protocol()
    delta_types = {field["type"] for field in json.loads(table.schema().to_json())["fields"]}
    commits = [commit.read_text(encoding="utf-8") for commit in sorted(log.glob("*.json"))]
    actions = [json.loads(line) for commit in commits for line in commit.splitlines()]
    named_files = [action[kind] for action in actions for kind in ("add", "remove") if action.get(kind)]
    return {
        "min_reader_version": protocol.min_reader_version,
        "features": [*(protocol.reader_features or []), *(protocol.writer_features or [])],
        "configuration": table.metadata().configuration,
        "deletion_vectors": sum(1 for file in named_files if file.get("deletionVector")),
        "delta_types": sorted(kind for kind in delta_types if isinstance(kind, str) and "timestamp" in kind),
        "file_types": sorted({kind for file in files for kind in kinds_of_instants(file)}),
    }


def kinds_of_instants(file: str) -> list[str]:
    """How a Parquet file keeps instants: the physical type, and what it means in Arrow."""
    opened = pq.ParquetFile(file)
    physical = [opened.schema.column(place).physical_type for place in range(len(opened.schema))]
    kinds = zip(physical, (str(field.type) for field in opened.schema_arrow), strict=True)
    return [f"{stored} {arrow}" for stored, arrow in kinds if arrow.startswith("timestamp")]


def as_text(number) -> str | None:
    return None if number is None else str(number)


if __name__ == "__main__":
    sys.exit(main())

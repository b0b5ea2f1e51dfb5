"""Finds values in everything that lies below a folder, and prints where they are as one JSON object.

    find_values.py --folder DIR VALUE…

`{value: [path, …]}`, the paths below the folder, sorted. Every file is looked through byte by byte; Parquet is decoded
with pyarrow as well, and SQLite with its own library, cell by cell. Nothing here knows the Rust code.
"""

import argparse
import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("values", nargs="+")
    arguments = parser.parse_args()
    found: dict[str, list[str]] = {value: [] for value in arguments.values}
    for path in sorted(path for path in arguments.folder.rglob("*") if path.is_file()):
        content, cells = path.read_bytes(), said(path)
        for value in arguments.values:
            if value.encode() in content or value in cells:
                found[value].append(str(path.relative_to(arguments.folder)))
    print(json.dumps(found, ensure_ascii=False, indent=2))
    return 0


def said(path: Path) -> str:
    """The cells of a file that has any, one a line."""
    if path.suffix == ".parquet":
        table = pq.ParquetFile(path).read()
        return "\n".join(str(cell) for column in table.columns for cell in column.to_pylist())
    if path.suffix == ".sqlite":
        with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
            rows = [row for (table,) in tables for row in connection.execute(f'SELECT * FROM "{table}"')]
        return "\n".join(str(cell) for row in rows for cell in row)
    return ""


if __name__ == "__main__":
    sys.exit(main())

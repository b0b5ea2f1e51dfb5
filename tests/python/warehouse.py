"""Reads a published warehouse from outside, through the `deltalake` package alone: nothing here knows the Rust code."""

import json
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable


def table_names(warehouse: Path) -> list[str]:
    """The names of the Delta tables of a warehouse folder, sorted."""
    return sorted(log.parent.name for log in warehouse.glob("tables/*/_delta_log"))


def open_table(warehouse: Path, name: str, versions: dict[str, int] | None = None) -> DeltaTable:
    """Opens a table at the version that `versions` pins, or at its head where it pins none."""
    return DeltaTable(str(warehouse / "tables" / name), version=(versions or {}).get(name))


def read_table(warehouse: Path, name: str, versions: dict[str, int] | None = None) -> pa.Table:
    """Reads a whole table as Arrow."""
    return open_table(warehouse, name, versions).to_pyarrow_table()


def parse_versions(text: str | None) -> dict[str, int]:
    """Reads the `{table: version}` object of a ledger row; a text that begins with `@` names a file that holds it."""
    if not text:
        return {}
    source = Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text
    return {name: int(version) for name, version in json.loads(source).items()}

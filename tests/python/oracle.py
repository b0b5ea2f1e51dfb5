"""Answers segments a second time, with DuckDB over the published tables, and compares.

    oracle.py --warehouse DIR --versions JSON --as-of INSTANT --zone ZONE FILE

FILE (or `-`) holds one JSON object a line: `id`, `definition` (the canonical JSON of a segment) and `customer_nos` (the
answer under test). Prints one line for each answer that differs; exits with 1 if any does.

Shares no code with the warehouse. Leaves are SQL, the algebra is Python's sets. `segment:` and `sql:` are not known.
"""

import argparse
import json
import sys
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from calendar_rules import Calendar
from warehouse import parse_versions, read_table

# The follows that count in a universe, and the customers that are in it.
UNIVERSES = {
    "followed": {
        "follows": "SELECT customer_no, follow_no, staff_id FROM follow WHERE status IN ('active', 'half')",
        "customers": "SELECT DISTINCT customer_no FROM considered",
    },
    "all": {
        "follows": "SELECT customer_no, follow_no, staff_id FROM follow",
        "customers": "SELECT customer_no FROM customer",
    },
    "lost": {
        "follows": "SELECT customer_no, follow_no, staff_id FROM follow WHERE status NOT IN ('active', 'half')",
        "customers": """
            SELECT customer_no FROM considered
            EXCEPT SELECT customer_no FROM follow WHERE status IN ('active', 'half')""",
    },
}

# An assignment is open where its log says open once more often than close. A tag counts as held whoever holds it open.
OPEN_ASSIGNMENTS = """
    CREATE TABLE assignment AS
    SELECT customer_no, follow_no, tag_id, source,
           count(*) FILTER (op = 'open') - count(*) FILTER (op = 'close') AS open_count
    FROM assignment_log
    GROUP BY ALL"""


class Refused(Exception):
    """A definition that has no answer."""


class Oracle:
    """The tables of one snapshot in DuckDB, and the instant at which they are asked."""

    def __init__(self, tables: dict, as_of: datetime, zone: ZoneInfo):
        # The tables are small and the questions many: a second thread would mostly wait.
        self.db = duckdb.connect(config={"threads": 1})
        self.calendar = Calendar(as_of, zone)
        for name, table in tables.items():
            self.db.register("arrow", table)
            self.db.execute(f"CREATE TABLE {name} AS SELECT * FROM arrow")
            self.db.unregister("arrow")
        self.db.execute(OPEN_ASSIGNMENTS)
        broken = self.rows("SELECT * FROM assignment WHERE open_count NOT IN (0, 1)")
        if broken:
            raise SystemExit(f"the assignment log opens or closes twice: {broken[:3]}")
        self.db.execute("""
            CREATE TABLE held AS
            SELECT DISTINCT customer_no, follow_no, tag_id FROM assignment WHERE open_count = 1""")
        self._number_the_days()
        self.column_types = {table: dict(self.rows(COLUMN_TYPES, [table])) for table in ("customer", "event")}
        self.living_tags: dict[str, set[str]] = {}
        for name, tag_id in self.rows("SELECT group_name || '/' || tag_name, tag_id FROM tag WHERE valid_to IS NULL"):
            self.living_tags.setdefault(name, set()).add(tag_id)

    def _number_the_days(self):
        """Gives every event its time in microseconds and the number of its business day."""
        self.db.execute("CREATE TABLE business_day (day BIGINT, begin_us BIGINT, end_us BIGINT)")
        first, last = self.rows("SELECT min(epoch_us(occurred_at)), max(epoch_us(occurred_at)) FROM event")[0]
        if first is not None:
            self.db.executemany("INSERT INTO business_day VALUES (?, ?, ?)", self.calendar.days(first, last))
        self.db.execute("""
            CREATE TABLE dated_event AS
            SELECT event.*, epoch_us(occurred_at) AS at_us, day
            FROM event JOIN business_day ON epoch_us(occurred_at) >= begin_us AND epoch_us(occurred_at) < end_us""")

    def rows(self, sql: str, parameters=()) -> list[tuple]:
        return self.db.execute(sql, list(parameters)).fetchall()

    def column(self, sql: str, parameters=()) -> set:
        return {row[0] for row in self.rows(sql, parameters)}

    def answer(self, segment: dict) -> set[int]:
        """The customer numbers that a segment's definition means."""
        universe = UNIVERSES[segment["universe"]]
        self.db.execute(f"CREATE OR REPLACE TEMP TABLE considered AS {universe['follows']}")
        self.db.execute(f"CREATE OR REPLACE TEMP TABLE universe AS {universe['customers']}")
        self.universe = self.column("SELECT customer_no FROM universe")
        self.follows = self.column("SELECT follow_no FROM considered")
        return self.customers(segment["where"])

    def customers(self, node: dict) -> set[int]:
        """The customers of the universe for whom a node holds."""
        match node:
            case {"all": parts}:
                return set.intersection(self.universe, *map(self.customers, parts))
            case {"any": parts}:
                return set().union(*map(self.customers, parts))
            case {"not": part}:
                return self.universe - self.customers(part)
            case {"same_follower": parts}:
                follows = set.intersection(self.follows, *map(self.same_follow, parts))
                return self.column(CUSTOMERS_OF_FOLLOWS, [sorted(follows)]) & self.universe
            case {"tag": leaf}:
                return self.tag(leaf) & self.universe
            case {"attribute": leaf}:
                return self.attribute(leaf) & self.universe
            case {"event": _}:
                return self.event(node)
        raise Refused(f"the oracle does not know the node {node}")

    # ---- tags -------------------------------------------------------------------------------------------------------

    def tag_ids(self, references: list) -> list[str]:
        """The ids of the tags named; a name means the one living tag that bears it."""
        ids = set()
        for reference in references:
            if isinstance(reference, dict):
                ids.add(reference["id"])
                continue
            living = self.living_tags.get(reference, set())
            if len(living) != 1:
                raise Refused(f"{len(living)} living tags are called {reference}")
            ids |= living
        return sorted(ids)

    def tag(self, leaf: dict) -> set[int]:
        follower = leaf["follower"]
        test, references = next((key, leaf[key]) for key in ("any_of", "all_of", "none_of") if key in leaf)
        if follower == "all":
            return self.column(EVERY_FOLLOW_IS_ONE_OF, [sorted(self.same_follow({"tag": {test: references}}))])
        if test == "none_of":
            return self.universe - self.tag({"any_of": references, "follower": follower})
        tags = self.tag_ids(references)
        needed = 1 if test == "any_of" else len(tags)
        if follower == "any":
            return self.column(HELD_ON_ANY, [tags, needed])
        return self.column(HELD_ON_NAMED, [follower, tags, needed])

    def same_follow(self, node: dict) -> set[int]:
        """The follows that satisfy one part of `same_follower`."""
        match node:
            case {"tag": {"none_of": references}}:
                return self.follows - self.same_follow({"tag": {"any_of": references}})
            case {"tag": {"any_of": references}}:
                return self.column(FOLLOWS_THAT_HOLD, [self.tag_ids(references), 1])
            case {"tag": {"all_of": references}}:
                tags = self.tag_ids(references)
                return self.column(FOLLOWS_THAT_HOLD, [tags, len(tags)])
            case {"staff": staff}:
                return self.column("SELECT follow_no FROM considered WHERE list_contains(?, staff_id)", [staff])
            case {"not": part}:
                return self.follows - self.same_follow(part)
            case {"any": parts}:
                return set().union(*map(self.same_follow, parts))
        raise Refused(f"the oracle does not know the part {node} of same_follower")

    # ---- attributes and events --------------------------------------------------------------------------------------

    def attribute(self, leaf: dict) -> set[int]:
        name = leaf["name"]
        column, kind = comparable(name, self.column_types["customer"][name])
        test, parameters = self.comparison("v", kind, leaf["op"], leaf["value"])
        missing = "v IS NULL" if leaf["missing"] == "include" else "false"
        sql = f"""
            SELECT customer_no
            FROM (SELECT customer_no, {column} AS v FROM customer)
            WHERE coalesce({test}, false) OR {missing}"""
        return self.column(sql, parameters)

    def event(self, leaf: dict) -> set[int]:
        self._choose_events(leaf)
        measure = leaf["measure"]
        if measure == "sum" and len(self.column(CURRENCIES)) > 1:
            raise Refused("a sum over several currencies")
        expression = {
            "count": "count(chosen.type)",
            "sum": "coalesce(sum(amount), 0)",
            "last": "max(at_us)",
            "distinct_days": "count(DISTINCT day)",
        }.get(measure) or f'count(DISTINCT chosen."{leaf["of"]}")'
        never = leaf.get("never", "exclude")
        if measure == "last" and never == "since_created":
            expression = f"coalesce({expression}, ({CREATED}))"
        test, parameters = self.comparison("v", "time" if measure == "last" else "number", leaf["op"], leaf["value"])
        without = "v IS NULL" if never == "include" else "false"
        sql = f"""
            SELECT customer_no
            FROM (
                SELECT universe.customer_no, {expression} AS v
                FROM universe LEFT JOIN chosen ON chosen.customer_no = universe.customer_no
                GROUP BY universe.customer_no
            )
            WHERE coalesce({test}, false) OR {without}"""
        return self.column(sql, parameters)

    def _choose_events(self, leaf: dict):
        """Puts the events that an event condition is about into the table `chosen`."""
        begin, end = self.calendar.window(leaf["window"], leaf.get("include_today", False))
        types = leaf["event"] if isinstance(leaf["event"], list) else [leaf["event"]]
        conditions, parameters = ["list_contains(?, type)", "at_us >= ?", "at_us < ?"], [types, begin, end]
        if "currency" in leaf:
            conditions.append("currency = ?")
            parameters.append(leaf["currency"])
        for name, values in leaf.get("filter", {}).items():
            column, kind = comparable(name, self.column_types["event"][name])
            test, values = self.comparison(column, kind, "in", values if isinstance(values, list) else [values])
            conditions.append(test)
            parameters += values
        # Only what a measure looks at: the table is written anew for every condition.
        columns = dict.fromkeys([*MEASURED, *([leaf["of"]] if "of" in leaf else [])])
        listed = ", ".join(f'"{column}"' for column in columns)
        chosen = f"SELECT {listed} FROM dated_event WHERE {' AND '.join(conditions)}"
        self.db.execute(f"CREATE OR REPLACE TEMP TABLE chosen AS {chosen}", parameters)

    def comparison(self, column: str, kind: str, op: str, value) -> tuple[str, list]:
        """A comparison as SQL with its parameters; NULL where the column is."""
        read = {
            "number": lambda v: self.calendar.as_of_local.month if v == "as_of.month" else Decimal(str(v)),
            "time": self.calendar.time_value,
            "date": lambda v: date.fromisoformat(v[:10]),
            "text": str,
            "bool": bool,
        }[kind]
        if op == "in":
            return f"{column} IN ({', '.join('?' * len(value))})", [read(v) for v in value]
        if op == "between":
            ends = [(sign, value[end]) for sign, end in ((">=", "from"), ("<", "to")) if value.get(end) is not None]
            return " AND ".join(f"{column} {sign} ?" for sign, _ in ends), [read(end) for _, end in ends]
        return f"{column} {op} ?", [read(value)]


COLUMN_TYPES = "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ?"
MEASURED = ["customer_no", "type", "amount", "currency", "at_us", "day"]
CURRENCIES = "SELECT DISTINCT currency FROM chosen WHERE amount IS NOT NULL AND currency IS NOT NULL"
CREATED = "SELECT epoch_us(created_at) FROM customer WHERE customer.customer_no = universe.customer_no"
CUSTOMERS_OF_FOLLOWS = "SELECT customer_no FROM considered WHERE list_contains(CAST(? AS BIGINT[]), follow_no)"

# No follow, no row: a customer without follows is never in. What hangs on the customer itself is not asked.
EVERY_FOLLOW_IS_ONE_OF = """
    SELECT customer_no
    FROM considered
    GROUP BY customer_no
    HAVING bool_and(list_contains(CAST(? AS BIGINT[]), follow_no))"""

# Each of the following takes tags, and how many of them have to be held.
FOLLOWS_THAT_HOLD = """
    SELECT considered.follow_no
    FROM considered JOIN held ON held.follow_no = considered.follow_no
    WHERE list_contains(?, tag_id)
    GROUP BY considered.follow_no
    HAVING count(DISTINCT tag_id) >= ?"""

# On any follow that counts, and not necessarily all on one; what hangs on the customer itself counts as well.
HELD_ON_ANY = """
    SELECT customer_no
    FROM held
    WHERE list_contains(?, tag_id) AND (follow_no IS NULL OR follow_no IN (SELECT follow_no FROM considered))
    GROUP BY customer_no
    HAVING count(DISTINCT tag_id) >= ?"""

# Takes the staff first.
HELD_ON_NAMED = """
    SELECT considered.customer_no
    FROM considered JOIN held ON held.follow_no = considered.follow_no
    WHERE list_contains(?, staff_id) AND list_contains(?, tag_id)
    GROUP BY considered.customer_no
    HAVING count(DISTINCT tag_id) >= ?"""


def comparable(name: str, data_type: str) -> tuple[str, str]:
    """A column as SQL that can be compared, and the kind of value to compare it with."""
    column = f'"{name}"'
    if data_type.startswith("TIMESTAMP"):
        return f"epoch_us({column})", "time"
    if data_type.startswith("DECIMAL") or data_type in ("BIGINT", "INTEGER"):
        return column, "number"
    return column, {"VARCHAR": "text", "BOOLEAN": "bool", "DATE": "date"}[data_type]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--warehouse", type=Path, required=True)
    parser.add_argument("--versions", help="{table: version} of the ledger row as JSON, or @FILE; default: the heads")
    parser.add_argument("--as-of", type=datetime.fromisoformat, required=True, help="RFC 3339 instant")
    parser.add_argument("--zone", type=ZoneInfo, default=ZoneInfo("Asia/Shanghai"), help="business time zone")
    parser.add_argument("answers", help="NDJSON file, or - for standard input")
    arguments = parser.parse_args()

    versions = parse_versions(arguments.versions)
    names = ("customer", "follow", "tag", "assignment_log", "event")
    tables = {name: read_table(arguments.warehouse, name, versions) for name in names}
    oracle = Oracle(tables, arguments.as_of, arguments.zone)

    text = sys.stdin.read() if arguments.answers == "-" else Path(arguments.answers).read_text(encoding="utf-8")
    cases = [json.loads(line) for line in text.splitlines() if line.strip()]
    differences = [line for line in (check(oracle, case) for case in cases) if line]
    print("\n".join(differences + [f"{len(cases) - len(differences)} of {len(cases)} answers agree"]))
    return 1 if differences or not cases else 0


def check(oracle: Oracle, case: dict) -> str | None:
    """What is wrong with one answer, if anything is."""
    given = case["customer_nos"]
    try:
        expected = oracle.answer(case["definition"])
    except Refused as refusal:
        return f"{case['id']}: {refusal}: {json.dumps(case['definition'], ensure_ascii=False)}"
    if sorted(given) == sorted(expected):
        return None
    wrong, lacking = set(given) - expected, expected - set(given)
    return (
        f"{case['id']}: {len(given)} given, {len(expected)} expected; not expected {sorted(wrong)[:5]}, "
        f"lacking {sorted(lacking)[:5]}: {json.dumps(case['definition'], ensure_ascii=False)}"
    )


if __name__ == "__main__":
    sys.exit(main())

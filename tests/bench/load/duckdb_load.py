"""Loads the bench's corp into DuckDB at its best: dense integer keys, large tables sorted by customer, two threads.

usage: duckdb_load.py CORP DATABASE
"""

import sys

import duckdb

STATEMENTS = [
    "CREATE TABLE customer AS SELECT CAST(row_number() OVER () AS INTEGER) - 1 AS customer_no, * FROM '{corp}/customers.parquet'",
    "CREATE TABLE tag AS SELECT CAST(row_number() OVER () AS INTEGER) - 1 AS tag_no, * FROM '{corp}/tags.parquet'",
    """CREATE TABLE follow AS
       SELECT customer_no, follows.* EXCLUDE customer_id FROM '{corp}/follows.parquet' AS follows
       JOIN customer USING (customer_id) ORDER BY customer_no""",
    """CREATE TABLE assignment AS
       SELECT customer_no, staff_id, tag_no, assigned_at FROM '{corp}/assignments.parquet' AS assignments
       JOIN customer USING (customer_id) JOIN tag USING (tag_id) ORDER BY customer_no""",
    """CREATE TABLE event AS
       SELECT customer_no, events.* EXCLUDE customer_id FROM '{corp}/events.parquet' AS events
       JOIN customer USING (customer_id) ORDER BY customer_no, occurred_at""",
]


def main(corp: str, database: str) -> None:
    connection = duckdb.connect(database)
    connection.execute("SET TimeZone = 'UTC'; SET threads = 2; SET enable_progress_bar = false")
    for statement in STATEMENTS:
        connection.execute(statement.format(corp=corp))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])

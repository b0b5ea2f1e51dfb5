"""Writes a seeded corp as five Parquet files, the raw input of the load bench.

usage: corp.py FOLDER [CUSTOMERS]

For each customer on average 1.3 follows, 9 assignments of 2,000 tags of unequal popularity and 5 events in a year.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

AS_OF = np.datetime64("2026-11-01T00:00:00", "us")
DAY = np.timedelta64(1, "D")
TAGS, STAFF = 2_000, 500
CHANNELS = ["视频号", "直播", "门店扫码", "公众号", "小程序", "老客推荐", "线下活动", "官网"]
LEVELS = ["普通", "银卡", "金卡", "VIP"]
PROVINCES = ["广东", "江苏", "浙江", "山东", "四川", "湖北", "北京", "上海", "福建", "陕西"]
EVENTS = {"page_view": 0.5, "login": 0.2, "add_to_cart": 0.15, "order_paid": 0.1, "consult": 0.05}

Columns = dict[str, pa.Array]


def texts(prefix: str, numbers: np.ndarray) -> pa.Array:
    """Ids such as `wm0000000042`."""
    return pa.array(np.char.add(prefix, np.char.zfill(numbers.astype(str), 10)))


def words(values: list[str], picks: np.ndarray) -> pa.Array:
    return pa.array(values).take(pa.array(picks))


def instants(values: np.ndarray) -> pa.Array:
    return pa.array(values.astype("datetime64[us]"), pa.timestamp("us", "UTC"))


def before(random: np.random.Generator, days: int, rows: int) -> np.ndarray:
    """Instants in the days before the corp's instant."""
    return AS_OF - random.integers(1, days * 86_400, rows).astype("timedelta64[s]")


def customers(random: np.random.Generator, count: int) -> Columns:
    birthday = np.datetime64("1960-01-01") + random.integers(0, 16_000, count) * DAY
    return {
        "customer_id": texts("wm", np.arange(count)),
        "name": pa.array(["客户"] * count),
        "gender": words(["male", "female"], random.integers(0, 2, count)),
        "birthday": pa.array(birthday, mask=random.random(count) < 0.1),
        "province": words(PROVINCES, random.integers(0, len(PROVINCES), count)),
        "member_level": words(LEVELS, random.choice(len(LEVELS), count, p=[0.7, 0.15, 0.1, 0.05])),
        "channel": words(CHANNELS, random.integers(0, len(CHANNELS), count)),
        "registered_at": instants(before(random, 1_460, count)),
    }


def follows(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The customer and the staff member of each follow: three customers in ten have two."""
    first = random.integers(0, STAFF, count)
    twice = np.flatnonzero(random.random(count) < 0.3)
    second = (first[twice] + random.integers(1, STAFF, twice.size)) % STAFF
    return np.concatenate([np.arange(count), twice]), np.concatenate([first, second])


def assignments(random: np.random.Generator, of_follows: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """The follow and the tag of each assignment, no pair twice; the first tags are the popular ones."""
    tag = (TAGS * random.random(rows) ** 3).astype(np.int64)
    pairs = np.unique(random.integers(0, of_follows, rows) * TAGS + tag)
    return pairs // TAGS, pairs % TAGS


def events(random: np.random.Generator, count: int, rows: int) -> Columns:
    kinds = random.choice(len(EVENTS), rows, p=list(EVENTS.values()))
    cents = random.integers(100, 200_000, rows)
    amounts = pa.array(cents / 100, mask=kinds != list(EVENTS).index("order_paid"))
    return {
        "event_id": texts("e", np.arange(rows)),
        "customer_id": texts("wm", random.integers(0, count, rows)),
        "event_type": words(list(EVENTS), kinds),
        "occurred_at": instants(before(random, 365, rows)),
        "amount": amounts.cast(pa.decimal128(18, 4), safe=False),
        "dwell_seconds": pa.array(random.integers(0, 600, rows)),
    }


def main(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(7)

    def write(name: str, columns: Columns) -> None:
        pq.write_table(pa.table(columns), folder / f"{name}.parquet", compression="zstd")
        print(f"{name}: {len(next(iter(columns.values()))):,} rows", file=sys.stderr)

    write("customers", customers(random, count))
    customer, staff = follows(random, count)
    added = before(random, 1_460, customer.size)
    ids = {"customer_id": texts("wm", customer), "staff_id": texts("staff", staff)}
    write("follows", {**ids, "added_at": instants(added)})
    tag = np.arange(TAGS)
    names = {"tag_id": texts("t", tag), "tag_name": texts("标签", tag), "group_name": texts("组", tag // 20)}
    write("tags", {**names, "created_at": instants(before(random, 1_460, TAGS))})
    follow, tag = assignments(random, customer.size, 9 * count)
    held = {name: column.take(pa.array(follow)) for name, column in ids.items()}
    write("assignments", {**held, "tag_id": texts("t", tag), "assigned_at": instants(before(random, 365, tag.size))})
    write("events", events(random, count, 5 * count))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else 1_000_000)

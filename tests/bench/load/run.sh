#!/usr/bin/env bash
# Loads one corp into a published snapshot and into DuckDB, one after the other, and prints seconds, peak memory and size.
#   run.sh [CORP]    a folder with the files of corp.py; it is made, with 1,000,000 customers, where it does not exist
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
python=${TAGMILL_PYTHON:-$root/.venv/bin/python}
target=$(cargo metadata --no-deps --format-version 1 --manifest-path "$root/Cargo.toml" |
    "$python" -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
tagmill=$target/release/tagmill
corp=${1:-$target/bench-corp}

[ -d "$corp" ] || "$python" "$here/corp.py" "$corp"
corp=$(cd "$corp" && pwd)
cp "$here/source.yaml" "$corp/source.yaml"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The files are read once beforehand, so that neither run pays for the disk.
cat "$corp"/*.parquet >/dev/null
measure() {
    "$python" - "$@" <<'PYTHON'
import resource, subprocess, sys, time
start = time.perf_counter()
done = subprocess.run(sys.argv[2:], stdout=subprocess.DEVNULL)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
print(f"{sys.argv[1]:<10} {seconds:8.1f} s {peak:8.2f} GiB peak")
sys.exit(done.returncode)
PYTHON
}
measure tagmill "$tagmill" --warehouse "$scratch/warehouse" --time-zone UTC ingest "$corp/source.yaml"
measure duckdb "$python" "$here/duckdb_load.py" "$corp" "$scratch/corp.duckdb"
du -shL --apparent-size "$corp" "$scratch/warehouse" "$scratch/corp.duckdb" | sed "s#$scratch/##"

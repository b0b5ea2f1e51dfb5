#!/usr/bin/env bash
# Checks bans, licences and sources of all dependencies with cargo-deny, where it is installed. Installing it takes longer
# than checking is worth on a fresh machine; tests/tidy.rs holds the same rules against `cargo metadata` in any case.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if ! command -v cargo-deny >/dev/null; then
    echo "cargo-deny is not installed: tests/tidy.rs checks the dependencies" >&2
    exit 0
fi
# The check looks at the crates of every platform, of which a build here has fetched only its own.
cargo fetch --locked --quiet
cargo deny --offline check bans licenses sources

#!/usr/bin/env bash
# Installs what this machine lacks, and nothing where it lacks nothing:
#   bootstrap.sh build   a C compiler, for the few dependencies that hold C (SQLite, zstd, the TLS library)
#   bootstrap.sh test    that, curl, and Python with the packages of tests/python/requirements.txt in .venv
# System packages come from apt when this runs as root; otherwise they are named, and this stops with 1.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

goal=${1:-build}
case $goal in
    build | test) ;;
    *)
        echo "usage: bootstrap.sh build|test" >&2
        exit 2
        ;;
esac

stop() {
    printf '%s\n' "$@" >&2
    exit 1
}

install_system_packages() {
    if ! command -v apt-get >/dev/null; then
        stop "needed, and there is no apt-get to install it: $*"
    elif [ "$(id -u)" -ne 0 ]; then
        stop "needed: $*" "hint: sudo apt-get update && sudo apt-get install -y $*"
    fi
    echo "installing $*" >&2
    apt-get update -q >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >&2
}

# Debian and Ubuntu ship Python without ensurepip, which python3-venv brings.
can_make_venv() {
    python3 -c 'import ensurepip, venv' 2>/dev/null
}

missing=()
command -v cc >/dev/null || missing+=(build-essential)
if [ "$goal" = test ]; then
    command -v curl >/dev/null || missing+=(curl)
    command -v python3 >/dev/null || missing+=(python3)
    can_make_venv || missing+=(python3-venv)
fi
[ "${#missing[@]}" -eq 0 ] || install_system_packages "${missing[@]}"

command -v cargo >/dev/null || stop "needed: cargo" "hint: install Rust as https://rustup.rs says"
[ "$goal" = test ] || exit 0

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    stop "needed: Python 3.11 or later; $(python3 --version) is what \`python3\` is here"

# The stamp is written last and names what was installed: an interrupted or outdated folder is made anew.
requirements=tests/python/requirements.txt
stamp=.venv/installed
wanted="$(python3 --version) $(sha256sum <"$requirements" | cut -d ' ' -f 1)"
[ "$(cat "$stamp" 2>/dev/null || true)" != "$wanted" ] || exit 0
echo "installing the packages of $requirements into .venv" >&2
python3 -m venv --clear .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement "$requirements"
echo "$wanted" >"$stamp"

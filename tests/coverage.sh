#!/usr/bin/env bash
# tests/coverage.sh [--json] [--no-run] - how much of the code the tests reach;
# see tests/coverage.py.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
"$here/../tools/packages.sh" build test
exec python3 "$here/coverage.py" "$@"

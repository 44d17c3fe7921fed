#!/usr/bin/env bash
# tests/fuzz/long.sh [--hours H | --seconds S] [--json] [TARGET...] - fuzz for
# long, and say what was reached; see tests/fuzz/long.py.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
"$here/../../tools/packages.sh" build test
exec python3 "$here/long.py" "$@"

#!/usr/bin/env bash
# bench/demo.sh [OPTION...] - on a Debian 12 machine: install what is needed,
# build, and show mtaq at its main job.  --help tells the options.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/packages.sh build bench
echo "building build/release ..."
cmake --preset release >/dev/null
cmake --build build/release --target mtaq -j "$(nproc)" -- --quiet |
	sed "/no work to do/d"
exec python3 bench/demo.py "$@"

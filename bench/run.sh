#!/usr/bin/env bash
# bench/run.sh NAME [OPTION...] - install what is needed, build, measure.
# `bench/run.sh --help` names the measurements, `bench/run.sh NAME --help` the
# options.  With --json the last line of the output is one JSON object.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/packages.sh build bench
cmake --preset release >/dev/null
cmake --build build/release --target mtaq bench_limit -j "$(nproc)" -- --quiet |
	sed "/no work to do/d"
exec python3 bench/run.py "$@"

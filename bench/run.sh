#!/usr/bin/env bash
# bench/run.sh NAME [--json] [--plot] [OPTION...] - install what is needed,
# build, measure.  `bench/run.sh --help` names the measurements, `bench/run.sh
# NAME --help` the options.  With --json the last line of the output is one
# JSON object; --plot draws NAME.svg.  `compare` is bench/compare.sh: mtaq
# beside its peers, as root.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = compare ]; then
	exec bench/compare.sh "${@:2}"
fi
tools/packages.sh build bench
cmake --preset release >/dev/null
cmake --build build/release --target mtaq bench_limit bench_session \
	bench_storm bench_wal -j "$(nproc)" -- --quiet |
	sed "/no work to do/d"
exec python3 bench/run.py "$@"

#!/usr/bin/env bash
# bench/compare.sh [OPTION...] - install what is needed, build, and measure mtaq
# beside Postfix, Exim, OpenSMTPD and Haraka.  As root; --help tells the options.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/packages.sh build bench compare
cmake --preset release >/dev/null
cmake --build build/release --target mtaq bench_inject -j "$(nproc)" -- --quiet |
	sed "/no work to do/d"
exec python3 bench/compare.py "$@"

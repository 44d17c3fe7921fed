#!/usr/bin/env bash
# Run the simulator for long: tests/sim/long.sh [--seconds S] [--seed N] ...
# The options are those of `sim`; without --seed it begins with the time.
set -euo pipefail
cd "$(dirname "$0")/../.."
cmake --preset release >/dev/null
cmake --build build/release --target sim -- --quiet
exec build/release/tests/sim --seconds 3600 --seed "$(date +%s)" \
	--messages 50000 "$@"

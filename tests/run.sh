#!/usr/bin/env bash
# tests/run.sh [PRESET...] - install what is needed, build, run all tests.
# Without arguments: release (gcc), asan, tsan (tests labelled "threads"),
# clang (build alone: warnings are errors there too) and fuzz (5 s a target).
set -euo pipefail
cd "$(dirname "$0")/.."
tools/packages.sh build test deb

presets=("$@")
[ ${#presets[@]} -gt 0 ] || presets=(release asan tsan clang fuzz)
jobs=$(nproc)
summary=()

for preset in "${presets[@]}"; do
	echo "== $preset"
	cmake --preset "$preset" >/dev/null
	cmake --build "build/$preset" -j "$jobs" -- --quiet
	select=()
	case $preset in
	clang) summary+=("$preset: built"); continue ;;
	tsan)
		select=(-L threads)
		export TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp"
		;;
	asan) select=(-LE 'style|package|mutants') ;;
	fuzz) select=(-L fuzz) ;;
	esac
	ctest --test-dir "build/$preset" --output-on-failure --no-tests=error \
		-j "$jobs" --timeout 600 "${select[@]}" |
		tee "build/$preset/ctest.log"
	summary+=("$preset: $(grep -E 'tests passed' "build/$preset/ctest.log")")
	if grep -hE '^skipped: ' "build/$preset/Testing/Temporary/LastTest.log"
	then summary+=("$preset: has skipped parts, see above"); fi
done

echo "== summary"
printf '%s\n' "${summary[@]}"

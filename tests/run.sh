#!/usr/bin/env bash
# tests/run.sh [PRESET...] - install what is needed, build, run all tests.
# Without arguments: release (gcc), asan, tsan (tests labelled "threads") and
# fuzz (clang, where warnings are errors too; 5 s a target).  A preset whose
# tests fail does not keep the others from being run; the summary names it.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/packages.sh build test deb

presets=("$@")
[ ${#presets[@]} -gt 0 ] || presets=(release asan tsan fuzz)
jobs=$(nproc)
# Most tests wait: for disks, for the protocol's times, for one another.  Two
# at once leave two thirds of two cores idle.
at_once=$((3 * jobs))
summary=() failed=()

for preset in "${presets[@]}"; do
	echo "== $preset"
	begun=$SECONDS
	cmake --preset "$preset" >/dev/null
	cmake --build "build/$preset" -j "$jobs" -- --quiet
	select=() together=$at_once
	case $preset in
	clang) summary+=("$preset: built, $((SECONDS - begun)) s"); continue ;;
	tsan)
		select=(-L threads)
		export TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp"
		;;
	asan) select=(-LE 'style|package|mutants') ;;
	fuzz) select=(-L fuzz) together=$jobs ;;
	esac
	ctest --test-dir "build/$preset" --output-on-failure --no-tests=error \
		-j "$together" --timeout 600 "${select[@]}" |
		tee "build/$preset/ctest.log" || failed+=("$preset")
	summary+=("$preset: $(grep -E 'tests passed' "build/$preset/ctest.log"), $((
		SECONDS - begun)) s with building")
	if grep -hE '^skipped: ' "build/$preset/Testing/Temporary/LastTest.log"
	then summary+=("$preset: has skipped parts, see above"); fi
done

echo "== summary"
printf '%s\n' "${summary[@]}" "all: $((SECONDS / 60)) min $((SECONDS % 60)) s"
if [ ${#failed[@]} -gt 0 ]; then
	echo "failed: ${failed[*]}"
	exit 1
fi

#!/usr/bin/env bash
# tests/mutants.sh [--json] [--keep] [--fit] [NN...] - does each rule's test fail
# when the rule is broken?
#
# A mutant is tests/mutants/NN-rule-what.patch: a few lines that break one rule
# of docs/SMTP.md, or one promise of docs/ARCHITECTURE.md or queue/README.md.
# Its head says which, and which test must notice:
#
#	Rule: 17, the dot's answer alone accepts
#	Test: generated
#
# The tree is copied, built once (-O1, only what the tests need), and each test
# must pass.  Then each patch is put on, built, and its test must fail: by an
# assertion (of the test, or BUG_ON), not by a crash, a hang or a compiler.  A
# patch that does not fit any more is a failure too: move it along with the
# code.  Without numbers all mutants are tried.  Ends with 1 if one survives.
# --fit only asks whether every patch fits and names a test that is built.
set -euo pipefail
cd "$(dirname "$0")/.."
json=false keep=false fit=false only=()
for arg; do
	case $arg in
	--json) json=true ;;
	--keep) keep=true ;;
	--fit) fit=true ;;
	[0-9]*) only+=("$arg") ;;
	*) echo "use: tests/mutants.sh [--json] [--keep] [--fit] [NN...]" >&2; exit 64 ;;
	esac
done
work=$(mktemp -d "${TMPDIR:-/tmp}/mutants.XXXXXX")
tree=$work/tree build=$work/build
# What a failed test leaves behind goes with the rest.
mkdir "$work/tmp"
export TMPDIR=$work/tmp
memory=
if ! $fit && [ -w /dev/shm ]; then
	memory=$(mktemp -d /dev/shm/mutants.XXXXXX)
	export MTAQ_TEST_MEMORY=$memory
fi
$keep || trap 'rm -rf "$work" ${memory:+"$memory"}' EXIT
seconds_max=120 # for one test; more is a hang
say() { $json || printf '%s\n' "$*"; }

# --- a copy of the tree as it is, with what is not committed -------------------------
mkdir "$tree"
if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
	git ls-files -z --cached --others --exclude-standard |
		while IFS= read -r -d '' f; do
			if [ -e "$f" ]; then printf '%s\0' "$f"; fi
		done | tar --null -T - -cf - | tar -xf - -C "$tree"
else
	tar --exclude=./build -cf - . | tar -xf - -C "$tree"
fi
# --- which -----------------------------------------------------------------
patches=()
for p in "$tree"/tests/mutants/*.patch; do
	number=$(basename "$p"); number=${number%%-*}
	if [ ${#only[@]} -eq 0 ] || [[ " ${only[*]} " == *" $number "* ]]; then
		patches+=("$p")
	fi
done
[ ${#patches[@]} -gt 0 ] || { echo "no such mutant: ${only[*]}" >&2; exit 64; }

head_of() { sed -n "s/^$2: *//p;/^diff /q" "$1" | head -1; }
target_of() { # what ninja makes for a test, in words
	local own; own=$(head_of "$1" Target)
	echo "${own:-test_$(head_of "$1" Test)}"
}

export GIT_CEILING_DIRECTORIES=$work # no repository above the copy
patch_tree() { git -C "$tree" apply --whitespace=nowarn "$@"; }

if $fit; then
	bad=0
	for p in "${patches[@]}"; do
		name=$(basename "$p" .patch) test=$(head_of "$p" Test)
		if ! patch_tree --check "$p"; then
			echo "$name does not apply: move it along with the code"
			bad=1
		fi
		if [ -z "$(head_of "$p" Target)" ] &&
			[ ! -e "$tree/tests/unit/test_$test.c" ]; then
			echo "$name: there is no test $test"
			bad=1
		fi
		if [ -z "$(head_of "$p" Rule)" ]; then
			echo "$name names no rule"
			bad=1
		fi
	done
	echo "${#patches[@]} mutants"
	exit $bad
fi

cmake -S "$tree" -B "$build" -G Ninja -DCMAKE_C_COMPILER="${CC:-gcc}" \
	-DCMAKE_BUILD_TYPE=None -DCMAKE_C_FLAGS="-O1 -w" >"$work/cmake.log" 2>&1 ||
	{ cat "$work/cmake.log"; exit 1; }

run_test() { # NAME: 0 passed, 1 failed by an assertion, 2 otherwise
	local out=$work/test.log
	if ctest --test-dir "$build" -R "^$1\$" --no-tests=error \
		--timeout $seconds_max --output-on-failure >"$out" 2>&1; then
		return 0
	fi
	if grep -qE 'Timeout|Unable to find|No tests were found' "$out"; then
		return 2
	fi
	# libcheck names the signal of a child that died: 6 is BUG_ON().
	if grep -qE 'SEGFAULT|BUS|signal (11|7|8|4)|AddressSanitizer' "$out"; then
		return 2
	fi
	return 1
}

# --- unbroken, everything passes -------------------------------------------
mapfile -t targets < <(for p in "${patches[@]}"; do target_of "$p"; done |
	tr " " "\n" | sort -u)
mapfile -t tests < <(for p in "${patches[@]}"; do head_of "$p" Test; done | sort -u)
started=$SECONDS
ninja -C "$build" "${targets[@]}" >"$work/build.log" 2>&1 ||
	{ tail -30 "$work/build.log"; echo "the tree does not build" >&2; exit 1; }
bad=0
for t in "${tests[@]}"; do
	if ! run_test "$t"; then
		tail -30 "$work/test.log" >&2
		echo "$t fails on the unbroken tree" >&2
		bad=1
	fi
done
[ $bad -eq 0 ] || exit 1
say "unbroken: ${#tests[@]} tests pass ($((SECONDS - started)) s with building)"

# --- one mutant ------------------------------------------------------------
try() { # PATCH: says what became of it
	patch_tree "$1" 2>"$work/apply.log" || { echo "does not apply"; return; }
	local word="SURVIVES" rc=0
	if ! ninja -C "$build" $(target_of "$1") >"$work/build.log" 2>&1; then
		word="does not build"
	else
		run_test "$(head_of "$1" Test)" || rc=$?
		if [ $rc -eq 1 ]; then word="killed"; fi
		if [ $rc -eq 2 ]; then word="crashes or hangs"; fi
	fi
	patch_tree -R "$1"
	echo "$word"
}

quoted() { printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"; }

killed=0 rows=()
say "$(printf '%-44s %-14s %-16s %5s  %s' mutant test result s rule)"
for p in "${patches[@]}"; do
	name=$(basename "$p" .patch) at=$SECONDS
	result=$(try "$p")
	took=$((SECONDS - at))
	if [ "$result" = killed ]; then killed=$((killed + 1)); fi
	say "$(printf '%-44s %-14s %-16s %5d  %s' "$name" \
		"$(head_of "$p" Test)" "$result" $took "$(head_of "$p" Rule)")"
	rows+=("{\"mutant\":$(quoted "$name"),\"rule\":$(quoted \
		"$(head_of "$p" Rule)"),\"test\":$(quoted "$(head_of "$p" \
		Test)"),\"result\":$(quoted "$result"),\"seconds\":$took}")
done
if $json; then
	(IFS=,; printf '{"mutants":%d,"killed":%d,"seconds":%d,"rows":[%s]}\n' \
		${#patches[@]} $killed $((SECONDS - started)) "${rows[*]}")
else
	echo "$killed of ${#patches[@]} killed, $((SECONDS - started)) s"
fi
[ $killed -eq ${#patches[@]} ]

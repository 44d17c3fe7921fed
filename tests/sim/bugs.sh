#!/usr/bin/env bash
# Plant each of tests/sim/bugs/*.patch, run the simulator, print what finds it.
# tests/sim/bugs.sh [--fit] [--seconds S] [NN ...]; --fit only asks whether all
# patches apply.  S (60) is for each bug.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
seconds=60 fit=no
names=()
while [ $# -gt 0 ]; do
	case $1 in
	--fit) fit=yes ;;
	--seconds) seconds=$2; shift ;;
	*) names+=("$1") ;;
	esac
	shift
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tree"
(cd "$root" && git ls-files -z | tar -c --null -T -) | tar -xC "$work/tree"
cd "$work/tree"

if [ $fit = no ]; then
	cmake --preset release >/dev/null
	cmake --build build/release --target sim -- --quiet
	printf '| bug | found after | messages | what says so |\n|---|---|---|---|\n'
fi
for patch in "$root"/tests/sim/bugs/*.patch; do
	name=$(basename "$patch" .patch)
	if [ ${#names[@]} -gt 0 ] && [[ ! " ${names[*]} " == *" ${name%%-*} "* ]]; then
		continue
	fi
	patch -sp1 --dry-run <"$patch" || { echo "$name does not fit"; exit 1; }
	[ $fit = no ] || continue
	patch -sp1 <"$patch"
	cmake --build build/release --target sim -- --quiet
	build/release/tests/sim --seed 1 --seconds "$seconds" --messages 20000 \
		>"$work/out" 2>"$work/err" || true
	patch -sRp1 <"$patch"
	good=$(sed -n 's/^good: \([a-z]*\),.*/\1/p' "$work/out")
	took=$(sed -n 's/^good:.*seconds: \([0-9.]*\),.*/\1 s/p' "$work/out")
	mails=$(sed -n 's/^good:.*messages: \([0-9]*\).*/\1/p' "$work/out")
	words=$(sed -n 's/^sim: seed [^:]*: \(.*\)/\1/p' "$work/err" | head -1)
	why=$(grep -m1 'BUG at' "$work/err" || true)
	[ "$good" = false ] || { took="not in $took" words=""; }
	echo "| $(sed -n '1s/^Bug: //p' "$patch") (\`$name\`) | $took | $mails | ${why:-$words} |"
done

#!/usr/bin/env bash
# tests/e2e/haraka.sh - install Haraka for tests, print its folder.
#
# From the npm registry by npm, in the versions that haraka/package-lock.json
# names (the last Haraka that runs with Debian 12's nodejs 18), into
# build/private; kept until those files change.  No package's script is run:
# what they would build (iconv, a pid file) Haraka can do without.  npm install,
# not npm ci: the lock leaves optional packages out, which are not installed.
set -euo pipefail
cd "$(dirname "$0")/haraka"
top=$(cd ../../.. && pwd)/build/private
mark=$(cat package.json package-lock.json | sha256sum | cut -c1-16)
root=$top/haraka-$mark
mkdir -p "$top"
exec 9>"$top/lock.haraka"
flock 9
if [ ! -e "$root" ]; then
	rm -rf "$root.new"
	mkdir "$root.new"
	cp package.json package-lock.json "$root.new"
	(cd "$root.new" && npm install --ignore-scripts --omit=optional \
		--no-audit --no-fund --no-save >npm.log 2>&1) ||
		{ tail -5 "$root.new/npm.log" >&2; exit 1; }
	mv "$root.new" "$root"
fi
echo "$root"

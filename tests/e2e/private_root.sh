#!/usr/bin/env bash
# tests/e2e/private_root.sh PACKAGE... - make a folder that a program of Debian
# can be run in by chroot, without installing it: the packages of mail servers
# conflict with each other, and a test changes no system.
#
# Fetches the PACKAGEs and the libraries that they depend on from Debian's
# archive, unpacks them into build/private/FIRST-PACKAGE (kept for the next
# run), runs no maintainer script, and prints the folder's path.  What else a
# program needs (users, configuration) its test writes.  Needs root for the
# device files and for chroot.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || { echo "usage: $0 PACKAGE..." >&2; exit 64; }

top=$PWD/build/private
root=$top/$1
mkdir -p "$top"
exec 9>"$top/lock"
flock 9                         # tests of several builds run at once
if [ "$(cat "$root/packages" 2>/dev/null)" = "$*" ]; then
	echo "$root"
	exit 0
fi

# apt's own solver, asked as if nothing were installed: it knows which
# alternative is meant and which packages are only names.
new=$root.new
rm -rf "$new" "$root"
mkdir -p "$new/debs"
: >"$new/debs/status"
apt=(apt-get -o "Dir::State::status=$new/debs/status"
	-o APT::Sandbox::User=root -o Acquire::Retries=3)

solve() {
	"${apt[@]}" --simulate -qq --no-install-recommends install "$@" |
		awk '$1 == "Inst" { print $2 }'
}
all=$(solve "$@" 2>/dev/null) || {
	apt-get update -qq >&2
	all=$(solve "$@")
}

# Of the dependencies the libraries, and who knows the names of ports; the
# rest (perl, debconf, adduser, ...) is for the scripts that are not run.
fetch=("$@")
for p in $all; do
	case " $* " in *" $p "*) continue ;; esac
	case $p in
	libperl* | lib*-perl) ;;
	lib* | zlib1g | netbase) fetch+=("$p") ;;
	esac
done
(cd "$new/debs" && "${apt[@]}" -qq download "${fetch[@]}" >&2)
for deb in "$new"/debs/*.deb; do
	dpkg-deb -x "$deb" "$new"
done
rm -rf "$new/debs"

mkdir -p "$new/dev" "$new/etc" "$new/tmp" "$new/run"
chmod 755 "$new"
chmod 1777 "$new/tmp"
for node in "null 1 3" "zero 1 5" "random 1 8" "urandom 1 9"; do
	read -r name major minor <<<"$node"
	mknod -m 666 "$new/dev/$name" c "$major" "$minor"
done
echo "$*" >"$new/packages"
mv "$new" "$root"
echo "$root"

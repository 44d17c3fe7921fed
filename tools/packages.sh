#!/usr/bin/env bash
# tools/packages.sh build|test|bench|compare|deb ... - install the Debian 12 packages that
# the named jobs need.  Does nothing, quickly, when all are there.
set -euo pipefail

# One package a line, sorted.
build=(
	check
	cmake
	gcc
	libc-ares-dev
	libc6-dev
	libfyaml-dev
	libidn2-dev
	liblmdb-dev
	libmicrohttpd-dev
	libncurses-dev
	libssl-dev
	liburing-dev
	ninja-build
	pkg-config
	scdoc
)
# python3-pyte is the terminal on which the tests of mtaq top look.
test=(
	clang
	clang-format
	e2fsprogs
	fish
	gcovr
	git
	libclang-rt-14-dev
	libseccomp2
	llvm
	nsd
	python3
	python3-aiosmtpd
	python3-prometheus-client
	python3-pyte
	systemd
	unbound
	universal-ctags
	util-linux
	xfsprogs
	zsh
)
npm=()
# Haraka is installed by npm, whoever it is from: the npm of Debian and the nodejs
# of NodeSource exclude each other.
command -v npm >/dev/null || npm=(npm)
test+=("${npm[@]}")
bench=(
	git
	gnuplot-nox
	python3
)
# The other servers' packages are unpacked, not installed (private_root.sh).
compare=(
	iproute2
	strace
	util-linux
	"${npm[@]}"
)
deb=(
	build-essential
	debhelper
	debootstrap
	dpkg-dev
	fakeroot
	iproute2
)

wanted=()
for job in "$@"; do
	case $job in
	build) wanted+=("${build[@]}") ;;
	test) wanted+=("${test[@]}") ;;
	deb) wanted+=("${build[@]}" "${deb[@]}") ;;
	bench) wanted+=("${bench[@]}") ;;
	compare) wanted+=("${compare[@]}") ;;
	*) echo "usage: $0 build|test|bench|compare|deb ..." >&2; exit 64 ;;
	esac
done

missing=()
for p in "${wanted[@]}"; do
	state=$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null || true)
	[ "$state" = installed ] || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0

sudo=()
[ "$(id -u)" -eq 0 ] || sudo=(sudo)
echo "installing: ${missing[*]}"
"${sudo[@]}" apt-get update -qq
# Servers among the packages (nsd) are started by tests, on ports of their own:
# a machine where no policy says so yet must not start them by itself.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee $policy >/dev/null
	"${sudo[@]}" chmod 755 $policy
	trap '"${sudo[@]}" rm -f $policy' EXIT
fi
DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq \
	--no-install-recommends "${missing[@]}" >/dev/null

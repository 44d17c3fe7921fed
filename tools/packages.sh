#!/usr/bin/env bash
# tools/packages.sh build|test|bench|deb ... - install the Debian 12 packages that
# the named jobs need.  Does nothing, quickly, when all are there.
set -euo pipefail

build=(gcc libc6-dev cmake ninja-build pkg-config liburing-dev libc-ares-dev libssl-dev
	liblmdb-dev libfyaml-dev libidn2-dev libmicrohttpd-dev
	libncurses-dev check scdoc)
test=(python3 clang clang-format universal-ctags libclang-rt-14-dev git nsd unbound gcovr llvm
	python3-prometheus-client python3-aiosmtpd zsh fish
	libseccomp2 systemd util-linux)
# Haraka is installed by npm, whoever it is from: the npm of Debian and the nodejs
# of NodeSource exclude each other.
command -v npm >/dev/null || test+=(npm)
bench=(python3 git)
deb=(build-essential debhelper dpkg-dev fakeroot debootstrap iproute2)

# The terminal on which the tests of mtaq top look.
test+=(python3-pyte)

wanted=()
for job in "$@"; do
	case $job in
	build) wanted+=("${build[@]}") ;;
	test) wanted+=("${test[@]}") ;;
	deb) wanted+=("${build[@]}" "${deb[@]}") ;;
	bench) wanted+=("${bench[@]}") ;;
	*) echo "usage: $0 build|test|bench|deb ..." >&2; exit 64 ;;
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

#!/usr/bin/env bash
# tests/e2e/deb.sh [MTAQ.deb] - the package on a clean Debian 12 root.
#
# Without an argument the package is built first, from the files of this
# folder that git knows.  The root is made by debootstrap once (kept in
# build/private) and copied for each run.  There: install (hostname is not
# set: apt must not fail), edit hostname, deliver a message; upgrade with mail
# in the queue; purge, which keeps the spool.  There is no systemd in the root:
# the daemon is started with the user and the command line of its unit, and
# without capabilities.  Ends with 77 and a word where that cannot be done.
set -euo pipefail
cd "$(dirname "$0")/../.."

skip() { echo "skipped: $*"; exit 77; }
fail() { echo "FAIL: $*" >&2; exit 1; }
[ "$(id -u)" -eq 0 ] || skip "only root can make a root"
for tool in debootstrap setpriv dpkg-deb; do
	command -v $tool >/dev/null || skip "$tool is not installed"
done

work=$(mktemp -d /tmp/mtaq-deb-XXXXXX)
root=$work/root
pids=()
cleanup() {
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
	wait
	rm -rf "$work"
}
trap cleanup EXIT

# --- the package and the root ----------------------------------------------

build_deb() {
	command -v dh >/dev/null || skip "debhelper is not installed"
	mkdir "$work/src"
	git ls-files -z | tar c --null -T - | tar x -C "$work/src"
	(cd "$work/src" && dpkg-buildpackage -us -uc -b -j2) \
		>"$work/build.log" 2>&1 ||
		{ tail -30 "$work/build.log" >&2; fail "the package is not built"; }
	deb=$(echo "$work"/mtaq_*.deb)
}

make_root() {
	local kept=$PWD/build/private/bookworm

	mkdir -p build/private
	exec 9>build/private/lock
	flock 9
	if [ ! -e "$kept/made" ]; then
		rm -rf "$kept"
		debootstrap --variant=minbase bookworm "$kept" >"$work/root.log" 2>&1 ||
			{ tail -3 "$work/root.log"; rm -rf "$kept"
			  skip "debootstrap could not fetch Debian"; }
		touch "$kept/made"
	fi
	cp -a "$kept" "$root"
	flock -u 9
	cp -L /etc/resolv.conf "$root/etc/resolv.conf"
	for conf in /etc/apt/apt.conf.d/*proxy*; do
		[ ! -e "$conf" ] || cp "$conf" "$root/etc/apt/apt.conf.d/"
	done
}

in_root() { LC_ALL=C DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"; }

# --- processes ---------------------------------------------------------------

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
	local end=$((SECONDS + $1)) what=$2
	shift 2
	until "$@"; do
		[ $SECONDS -lt $end ] || { cat "$work/daemon.log" >&2
					   fail "$what did not come"; }
		sleep 0.1
	done
}

start_sink() {
	: >"$work/sink.log"
	chroot "$root" mtaq sink --listen 127.0.0.1 --port 0 --dns 127.0.0.1:0 \
		--ledger /root/ledger.tsv >>"$work/sink.log" &
	pids+=($!)
	wait_for 30 "the sink" grep -q ^ready "$work/sink.log"
	dns=$(grep -o 'dns=[^ ]*' "$work/sink.log" | cut -d= -f2)
	port=$(grep -o 'smtp=[^ ]*' "$work/sink.log" | sed 's/.*://')
}

# As the unit would: its user, its command line, its folders.
start_daemon() {
	local unit=$root/lib/systemd/system/mtaq.service user
	local -a line

	user=$(sed -n 's/^User=//p' "$unit")
	read -ra line < <(sed -n 's/^ExecStart=//p' "$unit")
	in_root install -d -o "$user" -g "$user" /run/mtaq
	: >"$work/daemon.log"
	chroot "$root" setpriv --reuid "$user" --regid "$user" --init-groups \
		--bounding-set=-all --inh-caps=-all --no-new-privs \
		"${line[@]}" 2>"$work/daemon.log" &
	daemon=$!
	pids+=($daemon)
	wait_for 60 "the daemon" grep -q 'mtaq: ready' "$work/daemon.log"
}

stop_daemon() {
	kill -TERM $daemon
	wait $daemon || fail "the daemon ended with $?"
}

submit() {
	printf 'From: me@example.net\nSubject: a package\n\nhello\n' |
		in_root mtaq submit --from me@example.net "$@" >"$work/ids" ||
		fail "mtaq submit exited $?"
}
arrived() { grep -q "$1" "$root/root/ledger.tsv" 2>/dev/null; }

# --- the steps -----------------------------------------------------------------

install_it() {
	cp "$deb" "$root/root/mtaq.deb"
	in_root apt-get -q update --error-on=any >"$work/apt.log" 2>&1 ||
		skip "Debian's archive cannot be reached"
	in_root apt-get -q -y --no-install-recommends install /root/mtaq.deb \
		>"$work/apt.log" 2>&1 ||
		{ tail -20 "$work/apt.log" >&2; fail "apt failed"; }
	grep -q 'mtaq: not started' "$work/apt.log" ||
		fail "the installation does not say that hostname is missing"
	[ "$(in_root stat -c %U:%G:%a /var/spool/mtaq)" = mtaq:mtaq:750 ] ||
		fail "the spool is not that of mtaq"
	[ -L "$root/etc/systemd/system/multi-user.target.wants/mtaq.service" ] ||
		fail "the unit is not enabled"
	# minbase leaves no manuals, but their list is known to dpkg.
	in_root dpkg -L mtaq | grep -q man1/mtaq-run.1 || fail "no man page"
	echo "ok   installed; not started without a hostname"
}

deliver() {
	local conf=$root/etc/mtaq/mtaq.yaml

	sed -i 's/^hostname: .*/hostname: mail.example.net/' "$conf"
	# The test's internet is on other ports than the real one.
	sed -i "s/^  servers: .*/  servers: [\"$dns\"]/; s/^  port: 25\$/  port: $port/" \
		"$conf"
	start_daemon
	submit --to x@d0.test
	wait_for 60 "the message" arrived x@d0.test
	wait_for 60 "its event" grep -q '"type":"delivered"' \
		"$root/var/log/mtaq/events.jsonl"
	echo "ok   delivered after an edit of hostname"
}

upgrade() {
	local before

	in_root mtaq campaign pause later >/dev/null
	submit --to y@d1.test --campaign later
	stop_daemon
	submit --to z@d2.test # by root, to the drop folder
	before=$(cd "$root/var/spool/mtaq" && find . -type f -exec sha256sum {} + |
		sort)
	dpkg-deb -R "$deb" "$work/next"
	sed -i 's/^Version: .*/&+next/' "$work/next/DEBIAN/control"
	dpkg-deb -b "$work/next" "$root/root/next.deb" >/dev/null
	in_root dpkg -i /root/next.deb >"$work/apt.log" 2>&1 </dev/null ||
		{ cat "$work/apt.log" >&2; fail "the upgrade failed"; }
	grep -q '^hostname: mail.example.net' "$root/etc/mtaq/mtaq.yaml" ||
		fail "the upgrade took the configuration"
	[ "$before" = "$(cd "$root/var/spool/mtaq" &&
		find . -type f -exec sha256sum {} + | sort)" ] ||
		fail "the upgrade changed the spool"
	start_daemon
	! arrived y@d1.test || fail "the pause is lost"
	wait_for 60 "the dropped message" arrived z@d2.test
	in_root mtaq campaign resume later >/dev/null
	wait_for 60 "the queued message" arrived y@d1.test
	stop_daemon
	in_root mtaq verify >/dev/null || fail "mtaq verify exited $?"
	echo "ok   upgraded with mail and a pause in the queue"
}

purge() {
	in_root dpkg --purge mtaq >"$work/apt.log" 2>&1 ||
		{ cat "$work/apt.log" >&2; fail "the purge failed"; }
	[ -d "$root/var/spool/mtaq" ] || fail "the purge took the spool"
	[ ! -e "$root/etc/mtaq/mtaq.yaml" ] || fail "the purge left the conffile"
	echo "ok   purged; the spool was kept"
}

deb=${1:-}
[ -n "$deb" ] || build_deb
make_root
install_it
start_sink
deliver
upgrade
purge

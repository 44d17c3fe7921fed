#!/usr/bin/env bash
# tests/e2e/deb.sh [MTAQ.deb] - the package on a clean Debian 12 root.
#
# Without an argument the package is built first, from the files of this
# folder that git knows.  The root is made by debootstrap once (kept in
# build/private) and copied for each run.  There: install (hostname is not
# set: apt must not fail), edit hostname and nothing else, deliver a message;
# upgrade to a package of a higher version with mail in the queue; remove,
# which keeps mail, configuration and log; install again, deliver what waited;
# purge, which keeps the mail alone.
#
# The internet of the test is the sink on the ports of the real one (DNS 53,
# SMTP 25), in a network of their own that has only a loopback.  There is no
# systemd in the root: the daemon is started with the user and the command line
# of its unit, and without capabilities.  Ends with 77 and a word where that
# cannot be done.
set -euo pipefail
cd "$(dirname "$0")/../.."

skip() { echo "skipped: $*"; exit 77; }
fail() { echo "FAIL: $*" >&2; exit 1; }
[ "$(id -u)" -eq 0 ] || skip "only root can make a root"
for tool in debootstrap setpriv dpkg-deb unshare nsenter ip; do
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

# The same with a higher version: made anew where the sources are at hand, else
# renamed.
next_deb() {
	local version
	version=$(dpkg-deb -f "$deb" Version)+next

	if [ -d "$work/src" ]; then
		sed -i "1s/(.*)/($version)/" "$work/src/debian/changelog"
		(cd "$work/src" && dpkg-buildpackage -us -uc -b -nc -j2) \
			>"$work/build.log" 2>&1 ||
			{ tail -30 "$work/build.log" >&2
			  fail "the next package is not built"; }
		next=$(echo "$work"/mtaq_*+next_*.deb)
	else
		dpkg-deb -R "$deb" "$work/next"
		sed -i "s/^Version: .*/Version: $version/" \
			"$work/next/DEBIAN/control"
		next=$work/next.deb
		dpkg-deb -b "$work/next" "$next" >/dev/null
	fi
	[ "$(dpkg-deb -f "$next" Version)" = "$version" ] ||
		fail "the next package is not of version $version"
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

# A network with nothing but a loopback, held by a process that sleeps.
make_net() {
	unshare --net sleep infinity &
	net=$!
	pids+=($net)
	wait_for 30 "a network" holds_net
	on_net ip link set lo up || skip "no network can be made"
}
holds_net() {
	[ "$(readlink /proc/$net/ns/net)" != "$(readlink /proc/self/ns/net)" ]
}
on_net() { nsenter --net=/proc/$net/ns/net -- "$@"; }

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
	# A copy of the program: a removal takes the other one.
	cp "$root/usr/bin/mtaq" "$root/root/sink"
	nsenter --net=/proc/$net/ns/net chroot "$root" /root/sink sink \
		--listen 127.0.0.1 --port 25 --dns 127.0.0.1:53 \
		--ledger /root/ledger.tsv >>"$work/sink.log" &
	pids+=($!)
	wait_for 30 "the sink" grep -q ^ready "$work/sink.log"
}

# As the unit would: its user, its command line, its folders.
start_daemon() {
	local unit=$root/lib/systemd/system/mtaq.service user
	local -a line

	user=$(sed -n 's/^User=//p' "$unit")
	read -ra line < <(sed -n 's/^ExecStart=//p' "$unit")
	in_root install -d -o "$user" -g "$user" /run/mtaq
	: >"$work/daemon.log"
	# Not by on_net: the process to be stopped would be a shell.
	nsenter --net=/proc/$net/ns/net chroot "$root" setpriv \
		--reuid "$user" --regid "$user" --init-groups \
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
	next_deb
	cp "$next" "$root/root/next.deb"
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

remove() {
	start_daemon
	in_root mtaq campaign pause later >/dev/null
	submit --to v@d3.test --campaign later
	stop_daemon
	in_root dpkg --remove mtaq >"$work/apt.log" 2>&1 ||
		{ cat "$work/apt.log" >&2; fail "the removal failed"; }
	[ ! -e "$root/usr/bin/mtaq" ] || fail "the removal left the program"
	for kept in /etc/mtaq/mtaq.yaml /var/log/mtaq/events.jsonl \
		/var/spool/mtaq/index; do
		[ -e "$root$kept" ] || fail "the removal took $kept"
	done
	in_root dpkg -i /root/next.deb >"$work/apt.log" 2>&1 </dev/null ||
		{ cat "$work/apt.log" >&2; fail "it cannot be installed again"; }
	start_daemon
	in_root mtaq campaign resume later >/dev/null
	wait_for 60 "the message from before the removal" arrived v@d3.test
	[ "$(grep -c v@d3.test "$root/root/ledger.tsv")" = 1 ] ||
		fail "it was delivered twice"
	in_root mtaq campaign pause later >/dev/null
	submit --to w@d4.test --campaign later
	stop_daemon
	echo "ok   removed and installed again; mail, log and configuration stayed"
}

purge() {
	in_root dpkg --purge mtaq >"$work/apt.log" 2>&1 ||
		{ cat "$work/apt.log" >&2; fail "the purge failed"; }
	[ -e "$root/var/spool/mtaq/index" ] || fail "the purge took the mail"
	grep -q 'the queue in /var/spool/mtaq was kept' "$work/apt.log" ||
		fail "the purge does not say that mail was kept"
	[ ! -e "$root/var/log/mtaq" ] || fail "the purge left the log"
	[ ! -e "$root/etc/mtaq/mtaq.yaml" ] || fail "the purge left the conffile"
	echo "ok   purged; the spool was kept"
}

deb=${1:-}
[ -n "$deb" ] || build_deb
make_root
install_it
make_net
start_sink
deliver
upgrade
remove
purge

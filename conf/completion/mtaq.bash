# bash completion for mtaq - made by tools/make_completion.py from mtaq's help; do not edit
_mtaq()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	local cmd=${COMP_WORDS[1]-} opts= verbs= files=

	if [ "$COMP_CWORD" -eq 1 ]; then
		COMPREPLY=($(compgen -W 'adopt campaign check explain export load probe queue run site sink status submit top trace verify version --help --version' -- "$cur"))
		return
	fi
	case $cmd in
	adopt) opts='-c --config -n --dry-run --json -h --help' verbs='' files= ;;
	campaign) opts='-c --config --tenant -n --dry-run --json -h --help' verbs='list pause resume' files= ;;
	check) opts='-c --config --print --defaults --manual --man --json -h --help' verbs='' files= ;;
	explain) opts='-c --config --json -h --help' verbs='' files= ;;
	export) opts='-c --config -m --mark-only --undo --nothing-was-adopted -n --dry-run --json -h --help' verbs='' files= ;;
	load) opts='--socket --messages --size --domains --zone --rcpts --spread --dots --clients --batch --rate --start --tag --from --tenant --campaign --class --reconnects --accepted --times -h --help' verbs='' files= ;;
	probe) opts='-c --config -f --from --helo --host --port --dns --ipv4 --ipv6 -a --all --send --timeout --max-time --json -h --help' verbs='' files= ;;
	queue) opts='-c --config --domain --tenant --campaign --site --rcpt --older-than --state --all -n --dry-run --json -h --help' verbs='list show hold release cancel retry' files= ;;
	run) opts='-c --config -h --help' verbs='' files= ;;
	site) opts='-c --config -n --dry-run --json -h --help' verbs='list show pause resume retry' files= ;;
	sink) opts='--listen --port --threads --seed --hostname --size --no-pipelining --no-chunking --no-8bitmime --no-smtputf8 --no-dsn --no-enhanced --delay --delay-at --fail --stubborn --providers --drop --hang --miss --dup --stray --reset --greylist --tarpit --tarpit-ms --split --messages-max --messages-silent --connections-max --rcpt-max --idle-ms --data-always --bdat-spill --dns --zone --domains --mx --sites --ttl --mx-equal --dns-truncate --dead-first --dead-address --nxdomain --null-mx --servfail --timeout --no-mx --ledger --ledger-ok-only --ledger-us --stats --stats-every --json --ready-fd -h --help' verbs='' files= ;;
	status) opts='-c --config --json -h --help' verbs='' files= ;;
	submit) opts='-c --config -f --from -t --to --to-file --each --tenant --campaign --class -N --notify -R --ret -V --envid --orcpt --token-header -n --dry-run -q --quiet --json -h --help' verbs='' files=y ;;
	top) opts='-c --config -i --interval --once --json -h --help' verbs='' files= ;;
	trace) opts='-c --config --site --domain --id --for --max --json -h --help' verbs='' files= ;;
	verify) opts='-c --config --spool --rebuild -n --dry-run --force --json -h --help' verbs='' files= ;;
	version) opts='' verbs='' files= ;;
	esac
	case "$cmd $prev" in
	'adopt -c' | 'adopt --config') COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'campaign -c' | 'campaign --config') COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'campaign --tenant') COMPREPLY=(); return ;;
	'check -c' | 'check --config') COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'explain -c' | 'explain --config') COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'export -c' | 'export --config') COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'load --socket' | 'load --accepted' | 'load --times') COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'load --messages' | 'load --size' | 'load --domains' | 'load --zone' | 'load --rcpts' | 'load --clients' | 'load --batch' | 'load --rate' | 'load --start' | 'load --tag' | 'load --from' | 'load --tenant' | 'load --campaign' | 'load --reconnects') COMPREPLY=(); return ;;
	'load --class') COMPREPLY=($(compgen -W 'transactional bulk' -- "$cur")); return ;;
	'probe -c' | 'probe --config' | 'probe --send') COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'probe -f' | 'probe --from' | 'probe --helo' | 'probe --host' | 'probe --port' | 'probe --dns' | 'probe --timeout' | 'probe --max-time') COMPREPLY=(); return ;;
	'queue -c' | 'queue --config') COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'queue --domain' | 'queue --tenant' | 'queue --campaign' | 'queue --site' | 'queue --rcpt' | 'queue --older-than') COMPREPLY=(); return ;;
	'queue --state') COMPREPLY=($(compgen -W 'queued deferred paused held damaged' -- "$cur")); return ;;
	'run -c' | 'run --config') COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'site -c' | 'site --config') COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'sink --ledger' | 'sink --stats') COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'sink --listen' | 'sink --port' | 'sink --threads' | 'sink --seed' | 'sink --hostname' | 'sink --size' | 'sink --delay' | 'sink --delay-at' | 'sink --fail' | 'sink --drop' | 'sink --hang' | 'sink --miss' | 'sink --dup' | 'sink --stray' | 'sink --greylist' | 'sink --tarpit' | 'sink --tarpit-ms' | 'sink --messages-max' | 'sink --connections-max' | 'sink --rcpt-max' | 'sink --idle-ms' | 'sink --dns' | 'sink --zone' | 'sink --domains' | 'sink --mx' | 'sink --sites' | 'sink --ttl' | 'sink --dead-first' | 'sink --dead-address' | 'sink --nxdomain' | 'sink --null-mx' | 'sink --servfail' | 'sink --timeout' | 'sink --no-mx' | 'sink --stats-every' | 'sink --ready-fd') COMPREPLY=(); return ;;
	'status -c' | 'status --config') COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'submit -c' | 'submit --config' | 'submit --to-file') COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'submit -f' | 'submit --from' | 'submit -t' | 'submit --to' | 'submit --tenant' | 'submit --campaign' | 'submit -N' | 'submit --notify' | 'submit -V' | 'submit --envid' | 'submit --orcpt' | 'submit --token-header') COMPREPLY=(); return ;;
	'submit --class') COMPREPLY=($(compgen -W 'transactional bulk' -- "$cur")); return ;;
	'submit --ret') COMPREPLY=($(compgen -W 'full hdrs' -- "$cur")); return ;;
	'top -c' | 'top --config') COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'top -i' | 'top --interval') COMPREPLY=(); return ;;
	'trace -c' | 'trace --config') COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'trace --site' | 'trace --domain' | 'trace --id' | 'trace --for' | 'trace --max') COMPREPLY=(); return ;;
	'verify -c' | 'verify --config') COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'verify --spool') COMPREPLY=($(compgen -d -- "$cur")); return ;;
	esac
	if [ "${cur#-}" != "$cur" ]; then
		COMPREPLY=($(compgen -W "$opts" -- "$cur"))
	elif [ -n "$verbs" ] && [ "$COMP_CWORD" -eq 2 ]; then
		COMPREPLY=($(compgen -W "$verbs" -- "$cur"))
	elif [ -n "$files" ]; then
		COMPREPLY=($(compgen -f -- "$cur"))
	fi
}
complete -o filenames -F _mtaq mtaq

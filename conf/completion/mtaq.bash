# bash completion for mtaq - made by tools/make_completion.py from mtaq's help; do not edit
_mtaq()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	local cmd=${COMP_WORDS[1]-} opts= verbs= files=

	if [ "$COMP_CWORD" -eq 1 ]; then
		COMPREPLY=($(compgen -W 'campaign check load probe queue run site sink status submit verify version --help --version' -- "$cur"))
		return
	fi
	case $cmd in
	campaign) opts='-c --config -n --dry-run -h --help --json --tenant' verbs='list pause resume' files= ;;
	check) opts='-c --config --defaults -h --help --json --man --manual --print' verbs='' files= ;;
	load) opts='--accepted --batch --campaign --class --clients --domains --dots --from --help --messages --rcpts --reconnects --size --socket --spread --start --tag --tenant --zone' verbs='' files= ;;
	probe) opts='-a --all -c --config --dns -f --from --helo -h --help --host --ipv4 --ipv6 --json --max-time --port --send --timeout' verbs='' files= ;;
	queue) opts='--all --campaign -c --config --domain -n --dry-run -h --help --json --older-than --rcpt --site --state --tenant' verbs='list show hold release cancel retry' files= ;;
	run) opts='-c --config -h --help' verbs='' files= ;;
	site) opts='-c --config -n --dry-run -h --help --json' verbs='list show pause resume' files= ;;
	sink) opts='--bdat-spill --connections-max --data-always --dead-address --dead-first --delay --delay-at --dns --dns-truncate --domains --drop --dup --fail --greylist --hang --help --hostname --idle-ms --json --ledger --ledger-ok-only --listen --messages-max --messages-silent --miss --mx --mx-equal --no-8bitmime --no-chunking --no-dsn --no-enhanced --no-mx --no-pipelining --no-smtputf8 --null-mx --nxdomain --port --providers --rcpt-max --ready-fd --reset --seed --servfail --sites --size --split --stats --stats-every --stray --stubborn --tarpit --tarpit-ms --threads --timeout --ttl --zone' verbs='' files= ;;
	status) opts='-c --config -h --help --json' verbs='' files= ;;
	submit) opts='--campaign --class -c --config -n --dry-run --each -f --from -h --help --json -q --quiet --tenant -t --to --to-file --token-header' verbs='' files=y ;;
	verify) opts='-c --config -h --help --json --spool' verbs='' files= ;;
	version) opts='' verbs='' files= ;;
	esac
	case "$cmd $prev" in
	'campaign -c' | 'campaign --config') COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'campaign --tenant') COMPREPLY=(); return ;;
	'check -c' | 'check --config') COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'load --accepted' | 'load --socket') COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'load --batch' | 'load --campaign' | 'load --clients' | 'load --domains' | 'load --from' | 'load --messages' | 'load --rcpts' | 'load --reconnects' | 'load --size' | 'load --start' | 'load --tag' | 'load --tenant' | 'load --zone') COMPREPLY=(); return ;;
	'load --class') COMPREPLY=($(compgen -W 'transactional bulk' -- "$cur")); return ;;
	'probe -c' | 'probe --config' | 'probe --send') COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'probe --dns' | 'probe -f' | 'probe --from' | 'probe --helo' | 'probe --host' | 'probe --max-time' | 'probe --port' | 'probe --timeout') COMPREPLY=(); return ;;
	'queue -c' | 'queue --config') COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'queue --campaign' | 'queue --domain' | 'queue --older-than' | 'queue --rcpt' | 'queue --site' | 'queue --tenant') COMPREPLY=(); return ;;
	'queue --state') COMPREPLY=($(compgen -W 'queued deferred paused held damaged' -- "$cur")); return ;;
	'run -c' | 'run --config') COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'site -c' | 'site --config') COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'sink --ledger' | 'sink --stats') COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'sink --connections-max' | 'sink --dead-address' | 'sink --dead-first' | 'sink --delay' | 'sink --delay-at' | 'sink --dns' | 'sink --domains' | 'sink --drop' | 'sink --dup' | 'sink --fail' | 'sink --greylist' | 'sink --hang' | 'sink --hostname' | 'sink --idle-ms' | 'sink --listen' | 'sink --messages-max' | 'sink --miss' | 'sink --mx' | 'sink --no-mx' | 'sink --null-mx' | 'sink --nxdomain' | 'sink --port' | 'sink --rcpt-max' | 'sink --ready-fd' | 'sink --seed' | 'sink --servfail' | 'sink --sites' | 'sink --size' | 'sink --stats-every' | 'sink --stray' | 'sink --tarpit' | 'sink --tarpit-ms' | 'sink --threads' | 'sink --timeout' | 'sink --ttl' | 'sink --zone') COMPREPLY=(); return ;;
	'status -c' | 'status --config') COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'submit -c' | 'submit --config' | 'submit --to-file') COMPREPLY=($(compgen -f -- "$cur")); return ;;
	'submit --campaign' | 'submit -f' | 'submit --from' | 'submit --tenant' | 'submit -t' | 'submit --to' | 'submit --token-header') COMPREPLY=(); return ;;
	'submit --class') COMPREPLY=($(compgen -W 'transactional bulk' -- "$cur")); return ;;
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

/*
 * cmd/top.c - mtaq top: the daemon, its sites and campaigns, in motion
 *
 *	look ─► draw ─► wait for a key or the next look ─► ...
 *
 * A signal that ends it sets a flag: the terminal is put in order first, and
 * then the signal is let do what it does.
 */
#include "cmd/top.h"

#include "cmd/commands.h"

#include <signal.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#define INTERVAL_MS 2000u

static volatile sig_atomic_t ended_by;

static const struct args_option options[] = {
	OPTION_CONFIG,
	{ "interval", 'i', "TIME", "look so often: 250ms to 1m [2s]", 'i' },
	{ "once", 0, NULL, "print one look as text, and end", '1' },
	OPTION_JSON("with --once: one JSON object"),
	OPTION_END,
};

static const struct args_command command = {
	.name = "mtaq top",
	.usage = "mtaq top [-c FILE] [-i TIME]\n"
		 "mtaq top --once [--json] [-c FILE]",
	.about = "The daemon in motion: mail in and out, queue, connections, "
		 "disk, memory; its sites and campaigns, and keys to pause, "
		 "resume and retry them. ? explains the keys. When standard "
		 "output is no terminal it is as with --once.",
	.options = options,
	.more = "Exit codes: 0 done, 64 wrong usage, 69 no daemon answers, 77 "
		"no permission, 78 the configuration is wrong.",
};

static int take_option(struct top *t, struct args *a, int id)
{
	switch (id) {
	case 'c':
		t->config = a->value;
		return EX_OK;
	case 'j':
		t->json = true;
		return EX_OK;
	case '1':
		t->once = true;
		return EX_OK;
	}
	if (!command_time(a->value, &t->interval_ms) || t->interval_ms < 250 ||
	    t->interval_ms > 60000)
		return command_wrong(a,
				     "--interval is a time from 250ms to "
				     "1m, not '%s'",
				     a->value);
	return EX_OK;
}

static int read_options(struct top *t, int argc, char **argv)
{
	struct args a;
	int id, code = EX_OK;

	args_begin(&a, &command, argc, argv);
	while (code == EX_OK && (id = command_option(&a, &code)) > 0)
		code = take_option(t, &a, id);
	if (code != EX_OK)
		return code;
	if (a.word_count > 0)
		return command_wrong(&a, "'%s' is one argument too many",
				     a.words[0]);
	if (t->json && !t->once)
		return command_wrong(&a, "--json is for --once");
	t->once = t->once || isatty(STDOUT_FILENO) != 1;
	return EX_OK;
}

static int tell_none(const struct top *t)
{
	bool denied =
		access(t->socket, F_OK) == 0 && access(t->socket, W_OK) != 0;

	if (denied) {
		fprintf(stderr,
			"mtaq top: you may not use %s: its owner and group "
			"may; join that group, or use sudo\n",
			t->socket);
		return EX_NOPERM;
	}
	fprintf(stderr,
		"mtaq top: no daemon answers on %s: %s\nStart it with `mtaq "
		"run`, or name its configuration with -c.\n",
		t->socket, t->trouble);
	return EX_UNAVAILABLE;
}

static int look_once(struct top *t)
{
	top_look(t);
	if (!t->seen)
		return tell_none(t);
	return (t->json ? top_print_json(t) : top_print(t)) == 0 ? EX_OK
								 : EX_OSERR;
}

static void on_signal(int number)
{
	ended_by = number;
}

static void catch_signals(void)
{
	struct sigaction act = { .sa_handler = on_signal };

	sigemptyset(&act.sa_mask);
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGHUP, &act, NULL);
	sigaction(SIGQUIT, &act, NULL);
}

static int watch(struct top *t)
{
	top_look(t);
	if (!t->seen)
		return tell_none(t);
	catch_signals();
	top_screen_open();
	while (!t->quit && ended_by == 0) {
		if (top_now_ms() >= t->looked_ms + t->interval_ms)
			top_look(t);
		top_draw(t);
		top_key(t, t->looked_ms + t->interval_ms);
	}
	top_screen_close();
	if (ended_by != 0) {
		signal(ended_by, SIG_DFL);
		raise(ended_by);
	}
	return EX_OK;
}

int top_main(int argc, char **argv)
{
	static struct top t;
	int code;

	t = (struct top){ .interval_ms = INTERVAL_MS };
	t.sort[TOP_SITES] = 6;     /* QUEUED */
	t.sort[TOP_CAMPAIGNS] = 3; /* WAITING */
	code = read_options(&t, argc, argv);
	if (code != EX_OK)
		return code < 0 ? EX_OK : code;
	code = command_settings(t.config, &t.set);
	if (code != EX_OK)
		return code;
	snprintf(t.socket, sizeof(t.socket), "%s/control.sock", t.set.runtime);
	code = t.once ? look_once(&t) : watch(&t);
	top_close(&t);
	settings_free(&t.set);
	return code;
}

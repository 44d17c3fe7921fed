/*
 * cmd/main.c - mtaq: one program, a subcommand each
 *
 * main() finds the subcommand in a table and hands over argc and argv; every
 * subcommand is a file of this folder and returns a sysexits(3) code.
 */
#include "cmd/commands.h"

#include "base/near.h"
#include "bench/load.h"
#include "bench/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what; /* for mtaq --help */
};

static int version_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	puts("mtaq " MTAQ_VERSION);
	return EX_OK;
}

static const struct command commands[] = {
	{ "adopt", adopt_main, "take over mail that another node exported" },
	{ "campaign", campaign_main, "campaigns: list, pause, resume" },
	{ "check", check_main, "is the configuration right?" },
	{ "explain", explain_main,
	  "why does mail for a domain, or a message, wait?" },
	{ "export", export_main, "move a spool's mail to another node" },
	{ "load", load_main, "made-up mail for tests and measurements" },
	{ "probe", probe_main, "what would a mail server say to an address?" },
	{ "queue", queue_main, "queued mail: list, show, hold, cancel ..." },
	{ "run", run_main, "the daemon" },
	{ "site", site_main, "where mail goes: list, pause, resume, retry" },
	{ "sink", sink_main, "the test internet: SMTP and DNS servers" },
	{ "status", status_main, "the daemon at a glance" },
	{ "submit", submit_main, "hand over mail" },
	{ "top", top_main, "the daemon in motion: sites, campaigns, keys" },
	{ "trace", trace_main, "SMTP conversations as they happen" },
	{ "verify", verify_main, "is every record of the spool whole?" },
	{ "version", version_main, "print the version" },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *find(const char *name)
{
	size_t i;

	for (i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int unknown(const char *name)
{
	const char *names[COMMANDS], *meant;
	char shown[100];
	size_t i;

	for (i = 0; i < COMMANDS; i++)
		names[i] = commands[i].name;
	meant = near_name(span_str(name), names, COMMANDS);
	for (i = 0; name[i] != '\0' && i < sizeof(shown) - 1; i++)
		shown[i] = (unsigned char)name[i] < 32 || name[i] == 127
				   ? '?'
				   : name[i];
	shown[i] = '\0';
	fprintf(stderr,
		"mtaq: there is no command '%s'%s%s%s Nothing was done; see "
		"`mtaq --help`\n",
		shown, meant == NULL ? "." : "; did you mean '",
		meant == NULL ? "" : meant, meant == NULL ? "" : "'?");
	return EX_USAGE;
}

static void help(FILE *to)
{
	size_t i;

	fputs("usage: mtaq COMMAND [OPTION...]\n\ncommands:\n", to);
	for (i = 0; i < COMMANDS; i++)
		fprintf(to, "  %-12s %s\n", commands[i].name, commands[i].what);
	fputs("\n`mtaq COMMAND --help` tells more.\n", to);
}

/*
 * Started with a standard descriptor closed, the next file that is opened gets
 * its number: a socket would be read as the mail, words for people would be
 * written into the queue.  What is open the wrong way round fails, as a closed
 * one would.
 */
static void keep_standard_descriptors(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)open("/dev/null",
				   fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/* A result that nobody could read is none. */
static int finish(int code)
{
	if ((fflush(stdout) == 0 && ferror(stdout) == 0) || code != EX_OK)
		return code;
	fprintf(stderr, "mtaq: the output could not be written: %s\n",
		strerrordesc_np(errno));
	return EX_IOERR;
}

int main(int argc, char **argv)
{
	static char ask[] = "--help";
	const struct command *command;

	keep_standard_descriptors();
	if (argc < 2) {
		help(stderr);
		return EX_USAGE;
	}
	if (strcmp(argv[1], "help") == 0 && argc > 2) {
		command = find(argv[2]);
		if (command == NULL)
			return unknown(argv[2]);
		argv[1] = argv[2];
		argv[2] = ask;
		return finish(command->run(2, argv + 1));
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		help(stdout);
		return finish(EX_OK);
	}
	if (strcmp(argv[1], "--version") == 0)
		return finish(version_main(argc, argv));
	command = find(argv[1]);
	return command == NULL ? unknown(argv[1])
			       : finish(command->run(argc - 1, argv + 1));
}

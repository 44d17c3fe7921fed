/*
 * cmd/adopt.c - mtaq adopt: mail that another node exported
 *
 * It opens the spool itself, like the daemon, which must not run: what it
 * writes (attempts, holds, whose submission) no submitter may say over the
 * socket, and with one writer "taken" and "durable" are the same moment.
 *
 * A file is read twice: whole first, with every checksum, then for good.
 */
#include "cmd/commands.h"

#include "cmd/adopt.h"
#include "cmd/human.h"
#include "engine/tune.h"
#include "engine/user.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

static const struct args_option options[] = {
	OPTION_CONFIG,
	{ "dry-run", 'n', NULL,
	  "read and check all of it, take nothing (the daemon may run)", 'n' },
	OPTION_JSON("one JSON object a line, one for each FILE or FOLDER"),
	OPTION_END,
};

static const struct args_command command = {
	.name = "mtaq adopt",
	.usage = "mtaq adopt [-c FILE] [-n] [--json] FILE|FOLDER...",
	.about = "Takes over mail that `mtaq export` wrote to FILE at another "
		 "node, or marked in that node's spool FOLDER: every recipient "
		 "with its attempts, next try, expiry and hold. The daemon "
		 "must be stopped.\n\n"
		 "A file that was cut off or changed is refused before any of "
		 "it is taken. A crash in the middle doubles nothing: the same "
		 "command goes on where it was, and once all is taken it takes "
		 "nothing more, whenever it is repeated. Adopt an export at "
		 "one node only.\n\n"
		 "Pauses of tenants, campaigns and domains come along; those "
		 "of sites are told.",
	.options = options,
	.more = "Exit codes: 0 all is taken, 64 wrong usage, 65 it is damaged, "
		"cut off or no export, or the folder is not marked (nothing of "
		"it was taken), 66 it cannot be opened, 74 something cannot be "
		"read or written, 75 another process owns the spool, or the "
		"disk is full (the same command goes on), 78 the configuration "
		"is wrong.",
};

struct source {
	const char *name;
	int fd; /* -1: a folder */
};

struct adopting {
	const struct settings *set;
	struct source *from;
	int count;
	struct export_spool here; /* queue NULL: a dry run */
	bool dry, json;
	char words[EXPORT_WORDS];
};

static int exit_of(int err)
{
	switch (err) {
	case 0:
		return EX_OK;
	case -EBADMSG:
	case -EMSGSIZE:
		return EX_DATAERR;
	case -ENOENT:
	case -EACCES:
	case -EPERM:
		return EX_NOINPUT;
	case -EBUSY:
	case -ENOSPC:
	case -EDQUOT:
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
		return EX_TEMPFAIL;
	default:
		return EX_IOERR;
	}
}

/* --- what came of it ----------------------------------------------------------- */

static int failed(const struct adopting *a, const char *from,
		  const struct adopt_totals *t, int err)
{
	fprintf(stderr, "mtaq adopt: %s: %s. ", from,
		a->words[0] != '\0' ? a->words : strerrordesc_np(-err));
	if (t == NULL || t->messages == 0)
		fputs("Nothing was taken.\n", stderr);
	else
		fprintf(stderr,
			"%s messages were taken and stay; the same command "
			"goes on behind them.\n",
			human_count(t->messages).text);
	return exit_of(err);
}

/* --- doing it -------------------------------------------------------------------- */

static void keep_words(struct adopting *a, const struct adopt_take *take)
{
	if (adopt_take_words(take)[0] != '\0')
		snprintf(a->words, sizeof(a->words), "%s",
			 adopt_take_words(take));
}

static int take_file(struct adopting *a, struct adopt_take *take, int fd,
		     const char *what)
{
	struct export_sink sink = { adopt_take_put, take };
	struct progress_bar bar;
	struct export_progress progress = { progress_draw, &bar };
	int err;

	progress_begin(&bar, what);
	err = adopt_read(fd, &sink, &progress, a->words);
	progress_end(&bar);
	keep_words(a, take);
	return err;
}

/* The whole of it, before the first message is taken. */
static int check_file(struct adopting *a, const struct source *from)
{
	const char *path = from->name;
	struct adopt_take *take;
	int err = adopt_take_new(NULL, &a->here.clock, 0, &take);

	if (err < 0)
		return failed(a, path, NULL, err);
	err = take_file(a, take, from->fd, "octets checked");
	if (err < 0)
		err = failed(a, path, NULL, err);
	else if (a->dry)
		adopt_tell(path, take, a->json, true);
	adopt_take_free(&take);
	return err;
}

static int take_spool(struct adopting *a, struct adopt_take *take,
		      const char *dir)
{
	struct progress_bar bar;
	struct export_spool s;
	struct export_stream x = { .spool = &s,
				   .hostname = SPAN("a folder"),
				   .sink = { adopt_take_put, take },
				   .progress = { progress_draw, &bar } };
	struct export_totals totals;
	int err = export_spool_open(&s, dir, a->set, a->words);

	if (err < 0)
		return err;
	if (!s.marked || s.illegible) {
		snprintf(a->words, sizeof(a->words), "%s",
			 s.illegible
				 ? "its mark cannot be made out"
				 : "it is not marked as exported: run `mtaq "
				   "export --mark-only` with that node's "
				   "configuration");
		export_spool_close(&s);
		return -EBADMSG;
	}
	if (!a->dry && s.mark.adopting_s == 0) {
		s.mark.adopting_s = clock_wall_ms() / 1000;
		err = export_spool_note(&s, a->words);
	}
	if (err == 0) {
		progress_begin(&bar, "messages");
		err = export_stream(&x, &totals, a->words);
		progress_end(&bar);
		buf_free(&totals.left_words);
		keep_words(a, take);
	}
	export_spool_close(&s);
	return err;
}

static int adopt(struct adopting *a, const struct source *source)
{
	const char *from = source->name;
	struct adopt_take *take;
	struct adopt_totals *t;
	int err = adopt_take_new(a->here.queue, &a->here.clock,
				 a->set->queue.segment_bytes, &take),
	    end;

	if (err < 0)
		return failed(a, from, NULL, err);
	a->words[0] = '\0';
	err = source->fd < 0 ? take_spool(a, take, from)
			     : take_file(a, take, source->fd, "octets");
	end = adopt_take_end(take);
	t = adopt_take_totals(take);
	if (err == 0)
		err = end;
	if (err < 0)
		err = failed(a, from, t, err);
	else
		adopt_tell(from, take, a->json, a->dry);
	adopt_take_free(&take);
	return err;
}

static int adopt_one(struct adopting *a, const struct source *from)
{
	int code = from->fd < 0 ? EX_OK : check_file(a, from);

	if (code != EX_OK || (a->dry && from->fd >= 0))
		return code;
	return adopt(a, from);
}

/* Before the command becomes the daemon's user, who may not read them. */
static int open_files(struct adopting *a, char *const *names, int count)
{
	struct stat st;
	int i;

	a->from = calloc((size_t)count, sizeof(*a->from));
	if (a->from == NULL)
		return EX_OSERR;
	for (i = 0; i < count; i++, a->count++) {
		struct source *s = &a->from[i];

		*s = (struct source){ names[i], -1 };
		if (stat(s->name, &st) == 0 && S_ISDIR(st.st_mode))
			continue;
		s->fd = open(s->name, O_RDONLY | O_CLOEXEC);
		if (s->fd < 0)
			return failed(a, s->name, NULL, -errno);
	}
	return EX_OK;
}

static void close_files(struct adopting *a)
{
	while (a->count > 0)
		if (a->from[--a->count].fd >= 0)
			close(a->from[a->count].fd);
	free(a->from);
}

static int open_here(struct adopting *a)
{
	struct queue_settings q;
	int err = user_become(a->set, a->words, sizeof(a->words));

	if (err == 0) {
		tune_queue(a->set, &q);
		q.file = NULL;
		clock_start(&a->here.clock, 0, a->set->age_limit_s);
		err = queue_open(&q, clock_mail_s(&a->here.clock),
				 &a->here.queue, &a->here.report);
	}
	if (err == 0) {
		clock_start(&a->here.clock, a->here.report.saved_s,
			    a->set->age_limit_s);
		return EX_OK;
	}
	fprintf(stderr, "mtaq adopt: %s%s%s. Nothing was taken.\n", a->words,
		a->here.report.words,
		err == -EBUSY ? "stop it first: adopting needs the spool for "
				"itself"
			      : strerrordesc_np(-err));
	return err == -EROFS || err == -EINVAL ? EX_CONFIG : exit_of(err);
}

static int adopt_all(struct adopting *a)
{
	int i, code = EX_OK;

	clock_start(&a->here.clock, 0, a->set->age_limit_s);
	if (!a->dry)
		code = open_here(a);
	for (i = 0; code == EX_OK && i < a->count; i++)
		code = adopt_one(a, &a->from[i]);
	if (a->here.queue != NULL) {
		/* The next start is quick; without it it is right as well. */
		if (code == EX_OK)
			(void)queue_store_checkpoint(
				a->here.queue, clock_mail_s(&a->here.clock));
		queue_close(&a->here.queue);
	}
	return code;
}

int adopt_main(int argc, char **argv)
{
	static struct adopting a;
	const char *config = NULL;
	struct settings set;
	struct args args;
	int id, code;

	args_begin(&args, &command, argc, argv);
	while ((id = command_option(&args, &code)) > 0) {
		if (id == 'c')
			config = args.value;
		a.dry = a.dry || id == 'n';
		a.json = a.json || id == 'j';
	}
	if (code != EX_OK)
		return code < 0 ? EX_OK : code;
	if (args.word_count == 0)
		return command_wrong(&args, "what? an export FILE or the "
					    "FOLDER of an exported spool");
	code = command_settings(config, &set);
	if (code != EX_OK)
		return code;
	a.set = &set;
	code = open_files(&a, args.words, args.word_count);
	if (code == EX_OK)
		code = adopt_all(&a);
	close_files(&a);
	settings_free(&set);
	return code;
}

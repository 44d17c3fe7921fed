/*
 * cmd/export.c - mtaq export: a spool's mail, for another node
 *
 * The spool is marked first and then read, so its mail is live at one node at
 * most: here before the mark, where it is adopted afterwards.
 */
#include "cmd/commands.h"

#include "base/json.h"
#include "cmd/export.h"
#include "cmd/human.h"
#include "engine/user.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

static const struct args_option options[] = {
	OPTION_CONFIG,
	{ "mark-only", 'm', NULL,
	  "write nothing: `mtaq adopt FOLDER` will read the spool itself",
	  'm' },
	{ "undo", 0, NULL, "take the mark off: the daemon may start again",
	  'u' },
	{ "nothing-was-adopted", 0, NULL,
	  "with --undo: I know that no node has adopted what was exported",
	  'k' },
	{ "dry-run", 'n', NULL, "say what would be exported, change nothing",
	  'n' },
	OPTION_JSON("one JSON object"),
	OPTION_END,
};

static const struct args_command command = {
	.name = "mtaq export",
	.usage = "mtaq export [-c FILE] [-n] [--json] FILE|-\n"
		 "mtaq export [-c FILE] [-n] [--json] --mark-only\n"
		 "mtaq export [-c FILE] --undo [--nothing-was-adopted]",
	.about = "Moves the mail of a spool to another node: writes every "
		 "open recipient with its message, attempts, next try, expiry "
		 "and hold into FILE, for `mtaq adopt` there. The daemon must "
		 "be stopped.\n\n"
		 "The spool is marked as exported before the first octet is "
		 "written: from then on no daemon starts on it and `mtaq "
		 "submit` takes nothing for it, so that no mail is live at two "
		 "nodes. FILE appears when it is whole and on disk; after a "
		 "crash the same command writes it again. Nothing is removed "
		 "from the spool.\n\n"
		 "--undo gives the spool back. When a whole export was written "
		 "or adoption has begun, mail that was adopted would be sent "
		 "by both nodes, which this command cannot see: then "
		 "--nothing-was-adopted must say so.",
	.options = options,
	.more = "Exit codes: 0 done, 64 wrong usage, 65 done, but damaged "
		"mail was left behind (told), 66 there is no spool, 73 FILE "
		"cannot be made, 74 something cannot be read or written, 75 "
		"another process owns the spool, or mail waits in the drop "
		"folder, 78 the configuration is wrong.",
};

struct asked {
	const char *path; /* NULL: mark only */
	bool dry, json, undo, sure;
};

static int exit_of(int err)
{
	switch (err) {
	case -EBUSY:
	case -ENOSPC:
	case -EDQUOT:
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
		return EX_TEMPFAIL;
	case -EEXIST:
		return EX_CANTCREAT;
	case -EINVAL:
	case -EPROTO:
	case -EACCES:
	case -EPERM:
		return EX_CONFIG;
	default:
		return EX_IOERR;
	}
}

static int failed(const char *words, int err)
{
	fprintf(stderr, "mtaq export: %s%s\n",
		words[0] == '\0' ? strerrordesc_np(-err) : words,
		err == -EBUSY ? ". Nothing was changed." : ".");
	return exit_of(err);
}

/* --- what came of it ----------------------------------------------------------- */

static void add_uuid(const struct queue_mark *mark, char hex[33])
{
	unsigned i;

	for (i = 0; i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", mark->uuid[i]);
}

static void print_json(FILE *to, const struct export_spool *s,
		       const struct asked *a, const struct export_totals *t)
{
	char hex[33];
	struct buf b;

	add_uuid(&s->mark, hex);
	buf_init(&b, 1u << 20);
	buf_add_char(&b, '{');
	json_member(&b, "spool", span_str(s->dir));
	json_key(&b, "marked");
	buf_printf(&b, s->marked ? "true" : "false");
	if (s->marked)
		json_member(&b, "uuid", span_str(hex));
	if (a->path != NULL)
		json_member(&b, "file", span_str(a->path));
	json_member_u64(&b, "messages", t->messages);
	json_member_u64(&b, "recipients", t->recipients);
	json_member_u64(&b, "octets", t->octets);
	json_member_u64(&b, "waiting", t->waiting);
	json_member_u64(&b, "held", t->held);
	json_member_u64(&b, "damaged", t->damaged);
	json_member_u64(&b, "pauses", t->pauses);
	json_member_u64(&b, "left", t->left);
	json_member_u64(&b, "left_recipients", t->left_recipients);
	json_member(&b, "words", buf_span(&t->left_words));
	fprintf(to, "%.*s}\n", (int)b.len, b.p);
	buf_free(&b);
}

static void print_left(FILE *to, const struct export_totals *t)
{
	if (t->left == 0)
		return;
	fprintf(to,
		"%s messages (%s recipients) cannot be read and stay in the "
		"spool:\n%.*s",
		human_count(t->left).text, human_count(t->left_recipients).text,
		(int)t->left_words.len, t->left_words.p);
}

static void print_text(FILE *to, const struct export_spool *s,
		       const struct asked *a, const struct export_totals *t)
{
	const char *into = a->path == NULL             ? "the spool itself"
			   : strcmp(a->path, "-") == 0 ? "standard output"
						       : a->path;
	char hex[33];

	fprintf(to,
		"%s messages, %s open recipients (%s waiting, %s held, %s "
		"damaged), %s\n",
		human_count(t->messages).text, human_count(t->recipients).text,
		human_count(t->waiting).text, human_count(t->held).text,
		human_count(t->damaged).text, human_bytes(t->octets).text);
	if (t->pauses > 0)
		fprintf(to, "%s pauses in force go with them\n",
			human_count(t->pauses).text);
	print_left(to, t);
	if (a->dry) {
		fprintf(to, "nothing was written, %s is %s (-n)\n", s->dir,
			s->marked ? "marked as exported already"
				  : "not marked");
		return;
	}
	add_uuid(&s->mark, hex);
	fprintf(to,
		"exported as %s; %s is marked and no daemon starts on it.\n"
		"Next, at the other node, its daemon stopped: mtaq adopt %s\n",
		hex, s->dir, a->path == NULL ? s->dir : into);
}

/* --- doing it -------------------------------------------------------------------- */

static int write_out(struct export_spool *s, const struct settings *set,
		     const struct asked *a, struct export_totals *t,
		     char words[EXPORT_WORDS])
{
	struct export_file *file = NULL;
	struct progress_bar bar;
	struct export_stream x = { .spool = s,
				   .hostname = span_str(set->hostname),
				   .progress = { progress_draw, &bar },
				   .whole = !a->dry && a->path != NULL };
	int err = 0;

	if (a->path != NULL && !a->dry) {
		err = export_file_open(a->path, &file);
		x.sink = (struct export_sink){ export_file_put, file };
	}
	if (err < 0) {
		buf_init(&t->left_words, 1);
		snprintf(words, EXPORT_WORDS, "%s: %s", a->path,
			 strerrordesc_np(-err));
		return err == -EEXIST ? err : -EEXIST;
	}
	progress_begin(&bar, "messages");
	err = export_stream(&x, t, words);
	if (err == 0 && file != NULL)
		err = export_file_finish(file);
	export_file_close(&file);
	progress_end(&bar);
	if (err < 0 && words[0] == '\0')
		snprintf(words, EXPORT_WORDS,
			 "the export is not whole, and nothing will take it "
			 "for one: %s. The spool is marked; the same command "
			 "writes it again",
			 strerrordesc_np(-err));
	if (err == 0 && !a->dry)
		err = export_events(s, set, words);
	return err;
}

static int export(struct export_spool *s, const struct settings *set,
		  const struct asked *a)
{
	FILE *to = a->path != NULL && strcmp(a->path, "-") == 0 && !a->dry
			   ? stderr
			   : stdout;
	char words[EXPORT_WORDS] = "";
	struct export_totals t;
	int err = 0;

	if (!a->dry)
		err = export_spool_mark(s, set, words);
	if (err < 0)
		return failed(words, err);
	err = write_out(s, set, a, &t, words);
	if (err == 0 && a->json)
		print_json(to, s, a, &t);
	else if (err == 0)
		print_text(to, s, a, &t);
	buf_free(&t.left_words);
	if (err < 0)
		return failed(words, err);
	return t.left > 0 ? EX_DATAERR : EX_OK;
}

static int undo(struct export_spool *s, const struct asked *a)
{
	int err;

	if (!s->marked) {
		fprintf(stderr, "mtaq export: %s is not marked as exported\n",
			s->dir);
		return EX_DATAERR;
	}
	if (!a->sure && (s->mark.whole_s != 0 || s->mark.adopting_s != 0)) {
		fprintf(stderr,
			"mtaq export: %s. What another node has adopted of it "
			"would be sent from here as well. Nothing was changed; "
			"when you know that no node has adopted any of it, and "
			"none will, say --undo --nothing-was-adopted.\n",
			s->mark.adopting_s != 0
				? "`mtaq adopt` has begun to take mail out of "
				  "this spool"
				: "a whole export of this spool was written");
		return EX_DATAERR;
	}
	err = queue_mark_remove(s->dir);
	if (err < 0)
		return failed("the mark cannot be taken off", err);
	printf("%s is not marked any more; the daemon may start on it. Destroy "
	       "what was exported of it: it must not be adopted now.\n",
	       s->dir);
	return EX_OK;
}

static int with_settings(const struct settings *set, const struct asked *a)
{
	char words[EXPORT_WORDS] = "", log[4096];
	struct export_spool s;
	int err;

	snprintf(log, sizeof(log), "%s/log", set->spool);
	if (access(log, F_OK) < 0 && errno == ENOENT) {
		fprintf(stderr, "mtaq export: there is no spool in %s\n",
			set->spool);
		return EX_NOINPUT;
	}
	err = user_become(set, words, sizeof(words));
	if (err == 0)
		err = export_spool_open(&s, set->spool, set, words);
	if (err < 0)
		return failed(words, err);
	err = a->undo ? undo(&s, a) : export(&s, set, a);
	export_spool_close(&s);
	return err;
}

static int wrong_words(const struct args *args, const struct asked *a,
		       bool mark_only)
{
	if (a->sure && !a->undo)
		return command_wrong(args, "--nothing-was-adopted says "
					   "nothing without --undo");
	if (a->undo && (a->dry || mark_only || args->word_count > 0))
		return command_wrong(args, "--undo goes alone");
	if (args->word_count > 1)
		return command_wrong(args, "'%s' is one argument too many",
				     args->words[1]);
	if (mark_only && args->word_count > 0)
		return command_wrong(args, "--mark-only writes no FILE");
	if (!a->undo && !mark_only && !a->dry && args->word_count == 0)
		return command_wrong(args,
				     "where to? a FILE, - or --mark-only");
	if (a->path != NULL && strcmp(a->path, "-") == 0 && !a->dry &&
	    isatty(STDOUT_FILENO) == 1)
		return command_wrong(args, "an export is not for a terminal");
	return EX_OK;
}

int export_main(int argc, char **argv)
{
	const char *config = NULL;
	struct asked a = { .path = NULL };
	bool mark_only = false;
	struct settings set;
	struct args args;
	int id, code;

	args_begin(&args, &command, argc, argv);
	while ((id = command_option(&args, &code)) > 0) {
		if (id == 'c')
			config = args.value;
		a.dry = a.dry || id == 'n';
		a.json = a.json || id == 'j';
		a.undo = a.undo || id == 'u';
		a.sure = a.sure || id == 'k';
		mark_only = mark_only || id == 'm';
	}
	if (code != EX_OK)
		return code < 0 ? EX_OK : code;
	if (args.word_count == 1)
		a.path = args.words[0];
	code = wrong_words(&args, &a, mark_only);
	if (code == EX_OK)
		code = command_settings(config, &set);
	if (code != EX_OK)
		return code;
	code = with_settings(&set, &a);
	settings_free(&set);
	return code;
}

/*
 * cmd/rebuild.c - mtaq verify --rebuild: a new index from the log alone
 */
#include "cmd/rebuild.h"

#include "base/buf.h"
#include "base/json.h"
#include "cmd/human.h"
#include "engine/user.h"
#include "mtaq/queue.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define BAR_WIDTH 24

static const char unknown[] =
	"What only the old index knew and the log no longer says:\n"
	"  - outcomes in segments that were written over or damaged: see the "
	"second copies above\n"
	"  - which mail was held before: now all of it is; attempts counted in "
	"lost outcomes begin anew\n"
	"  - submissions answered before the oldest record left: a submitter "
	"that repeats one now is not recognised\n"
	"  - pauses and unfinished cancels before the oldest record left are "
	"gone; a pause whose end is gone is back\n";

/* --- while it runs ---------------------------------------------------------- */

static void draw(const struct queue_rebuild_report *r, int *drawn)
{
	int filled = r->log_bytes == 0
			     ? BAR_WIDTH
			     : (int)((double)r->log_done /
				     (double)r->log_bytes * BAR_WIDTH);
	char bar[BAR_WIDTH + 1];

	if (filled == *drawn)
		return;
	*drawn = filled;
	memset(bar, '.', BAR_WIDTH);
	memset(bar, '#', (size_t)(filled > BAR_WIDTH ? BAR_WIDTH : filled));
	bar[BAR_WIDTH] = '\0';
	fprintf(stderr, "\r[%s] %s of %s, %s messages\033[K", bar,
		human_bytes(r->log_done).text, human_bytes(r->log_bytes).text,
		human_count(r->messages).text);
}

static int follow(struct queue_rebuild *rebuild, struct queue_rebuild_report *r)
{
	bool bar = isatty(STDERR_FILENO) == 1;
	int rc, drawn = -1;

	do {
		if (bar)
			draw(r, &drawn);
		rc = queue_rebuild_step(rebuild, r);
	} while (rc > 0);
	if (bar)
		fputs("\r\033[K", stderr);
	return rc;
}

/* --- what came of it ---------------------------------------------------------- */

static void print_json(const char *dir, const struct queue_rebuild_report *r,
		       bool changed)
{
	struct buf b;

	buf_init(&b, 64u << 10);
	buf_add_char(&b, '{');
	json_member(&b, "spool", span_str(dir));
	json_key(&b, "rebuilt");
	buf_printf(&b, changed ? "true" : "false");
	json_member_u64(&b, "held", r->held);
	json_member_u64(&b, "second_copies_max", r->second_max);
	json_member_u64(&b, "incomplete", r->incomplete);
	json_member_u64(&b, "pauses", r->pauses);
	json_member_u64(&b, "cancels", r->cancels);
	json_member_u64(&b, "records", r->records);
	json_member_u64(&b, "messages", r->messages);
	json_member_u64(&b, "outcomes", r->outs);
	json_member_u64(&b, "decisions", r->decisions);
	json_member_u64(&b, "log_bytes", r->log_bytes);
	json_member_u64(&b, "gaps", r->gaps);
	json_member_u64(&b, "torn_bytes", r->torn_bytes);
	json_member_u64(&b, "damaged", r->damaged);
	json_member_u64(&b, "content_damaged", r->content_damaged);
	json_member(&b, "old_index", span_str(r->kept));
	json_member(&b, "words", span_str(r->words));
	printf("%.*s}\n", (int)b.len, b.p);
	buf_free(&b);
}

static void print_figures(const struct queue_rebuild_report *r)
{
	printf("%-15s %s records: %s messages, %s outcomes, %s decisions\n"
	       "%-15s %s places, %s messages with wrong octets, %llu octets "
	       "torn at the tail\n"
	       "%-15s %s recipients without a final outcome, all in state "
	       "held\n"
	       "%-15s at most %s of them may have been delivered before; on "
	       "top of that what\n%-15s was under way when the daemon last "
	       "died: no more than its sessions and\n%-15s "
	       "max_unsynced_outcomes for each worker\n",
	       "log", human_count(r->records).text,
	       human_count(r->messages).text, human_count(r->outs).text,
	       human_count(r->decisions).text, "damaged",
	       human_count(r->damaged).text,
	       human_count(r->content_damaged).text,
	       (unsigned long long)r->torn_bytes, "held",
	       human_count(r->held).text, "second copies",
	       human_count(r->second_max).text, "", "");
	if (r->incomplete > 0)
		printf("%-15s %s messages are left out: parts of them are "
		       "missing\n",
		       "incomplete", human_count(r->incomplete).text);
	if (r->pauses + r->cancels > 0)
		printf("%-15s %s pauses and %s cancels are in force\n",
		       "decisions", human_count(r->pauses).text,
		       human_count(r->cancels).text);
	fputs(r->words, stdout);
	fputs(unknown, stdout);
}

static void print_text(const char *dir, const struct queue_rebuild_report *r,
		       bool changed)
{
	print_figures(r);
	if (!changed) {
		printf("nothing was changed in %s (-n)\n", dir);
		return;
	}
	printf("%s/index is made anew", dir);
	if (r->kept[0] != '\0')
		printf("; the old one is kept as %s/%s", dir, r->kept);
	printf(".\nNothing is sent before it is released: start the daemon, "
	       "look with `mtaq queue list`,\nthen `mtaq queue release "
	       "--all`, or a part of it by tenant, campaign or domain.\n");
}

static int failed(const char *dir, const struct queue_rebuild_report *r,
		  int err)
{
	if (err == -EEXIST) {
		fprintf(stderr,
			"mtaq verify: the index %s/index can be opened, so it "
			"was not made anew: all mail would be held, and some "
			"maybe sent twice. Nothing was changed; --force does "
			"it all the same.\n",
			dir);
		return EX_USAGE;
	}
	if (err == -EROFS) {
		fprintf(stderr, "mtaq verify: %s\n", r->words);
		return EX_CONFIG;
	}
	fprintf(stderr, "mtaq verify: %s: %s%s. The index is as it was.\n", dir,
		r->words,
		err == -EBUSY ? "stop it first" : strerrordesc_np(-err));
	if (err == -EBUSY)
		return EX_TEMPFAIL;
	return err == -ENOENT ? EX_NOINPUT : EX_IOERR;
}

int rebuild_spool(const char *dir, const struct rebuild_options *o)
{
	const struct queue_settings set = { .dir = dir };
	struct queue_rebuild *rebuild = NULL;
	struct queue_rebuild_report r;
	char words[300];
	int err = user_become_owner(dir, words, sizeof(words));

	if (err < 0) {
		fprintf(stderr, "mtaq verify: %s. Nothing was done\n", words);
		return EX_NOUSER;
	}
	err = queue_rebuild_begin(&set, (uint32_t)time(NULL), o->force,
				  &rebuild, &r);
	if (err == 0)
		err = follow(rebuild, &r);
	if (err == 0 && !o->dry)
		err = queue_rebuild_finish(&rebuild, &r);
	if (rebuild != NULL)
		queue_rebuild_drop(&rebuild);
	if (err < 0)
		return failed(dir, &r, err);
	if (o->json)
		print_json(dir, &r, !o->dry);
	else
		print_text(dir, &r, !o->dry);
	return EX_OK;
}

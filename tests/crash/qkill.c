/*
 * tests/crash/qkill.c - end the log role, look what is there, go on
 *
 *	qkill CYCLES [SEED [power]]
 *
 * A child puts and commits messages, and tells the parent through a pipe what
 * has been acknowledged.  The parent kills it at some moment, opens the spool
 * itself and finds: every acknowledged message, whole; nothing twice; nothing
 * that was not put.  Old segments are freed on the way, so that records are
 * written over old ones; some messages are moved before, and live on.
 *
 * With "power" there is no child: from some write or sync on, maybe while the
 * spool opens, the disk (qfile.h) takes nothing, and then the power goes.
 * What was not synced is dropped, torn and reordered.
 */
#include "base/bug.h"
#include "base/hash.h"
#include "qfile.h"
#include "qhelp.h"
#include "queue/queue_private.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEG        (1u << 20)
#define KEEP       6u /* segments */
#define GROUP_MAX  40u
#define KNOWN_MAX  200000u
#define FREED_MARK UINT64_MAX

struct told {
	uint64_t id, n; /* n is FREED_MARK: all below id was let go */
	uint64_t place; /* 0: a new message; else it was moved there */
};

static struct told known[KNOWN_MAX], copies[KNOWN_MAX];
static size_t known_count, copy_count;
static uint64_t moved, copies_read;
static uint64_t seed, acked, bytes_seen;
static char *dir;
static struct qfile *disk;  /* whose power goes; NULL: the system's */
static uint64_t torn_opens; /* the power went while the spool opened */

static uint64_t roll(uint64_t below)
{
	seed = hash_u64(seed + 0x9e3779b97f4a7c15ull);
	return seed % below;
}

static struct queue *open_spool(struct queue_report *report)
{
	struct queue_settings set = {
		.dir = dir,
		.segment_bytes = SEG,
		.segments_ahead = 2,
		.free_bytes_min = 1 << 20,
		.file = disk == NULL ? NULL : qfile_ops(disk),
	};
	struct queue *q = NULL;
	int err = queue_open(&set, 1, &q, report);

	if (err < 0 && disk == NULL)
		fprintf(stderr, "open: %s %s\n", strerrordesc_np(-err),
			report->words);
	return q;
}

static void forget_below(uint64_t lsn)
{
	size_t i, k = 0;

	for (i = 0; i < copy_count; i++) {
		if (copies[i].place >= lsn)
			copies[k++] = copies[i];
	}
	copy_count = k;
	k = 0;
	for (i = 0; i < known_count; i++) {
		if (known[i].id >= lsn)
			known[k++] = known[i];
	}
	known_count = k;
	qdouble_checkpoint_lsn = lsn;
}

static void note(struct told t)
{
	BUG_ON(known_count == KNOWN_MAX || copy_count == KNOWN_MAX);
	if (t.n == FREED_MARK) {
		forget_below(t.id);
		return;
	}
	if (t.place != 0) {
		copies[copy_count++] = t;
		moved++;
		return;
	}
	known[known_count++] = t;
	acked++;
}

/* --- who puts and commits --------------------------------------------------- */

static bool tell(int fd, struct told t)
{
	if (disk != NULL) {
		note(t);
		return true;
	}
	return write(fd, &t, sizeof(t)) == (ssize_t)sizeof(t);
}

static bool free_old(struct queue *q, int fd)
{
	struct queue_segment seg;

	if (queue_log_prepare(q) < 0)
		return false;
	while (queue_segment_next(q, 0, &seg) && !seg.active &&
	       seg.sequence + KEEP < queue_durable_lsn(q) / SEG) {
		/* said before done: the parent must not expect them */
		if (!tell(fd, (struct told){ seg.end, FREED_MARK, 0 }) ||
		    queue_segment_free(q, seg.sequence) < 0)
			return false;
	}
	return true;
}

static bool one_group(struct queue *q, int fd, uint64_t *n)
{
	struct qhelp_message *m[GROUP_MAX];
	uint64_t ids[GROUP_MAX], count = 1 + roll(GROUP_MAX), i, put;
	struct queue_committed done;
	bool good;

	for (put = 0; put < count; put++) {
		m[put] = qhelp_message(*n + put, roll(9000));
		if (queue_put_message(q, &m[put]->msg, &ids[put]) < 0) {
			free(m[put]);
			break; /* the group is full */
		}
	}
	good = put > 0 && queue_commit(q, &done) == 0;
	for (i = 0; i < put; i++) {
		good = good &&
		       tell(fd, (struct told){ queue_lsn_final(&done, ids[i]),
					       *n + i, 0 });
		free(m[i]);
	}
	*n += put;
	return good;
}

/* The first record behind an LSN; it is there. */
static uint64_t copy_behind(struct queue *q, uint64_t lsn)
{
	struct queue_record rec;
	struct queue_walk *w;
	int rc = queue_walk_open(q, lsn, &w);

	BUG_ON(rc < 0);
	rc = queue_log_next(w, &rec);
	queue_walk_close(&w);
	if (rc <= 0 || rec.type != QUEUE_REC_MOVE || rec.move.why != 0)
		return 0;
	return rec.lsn;
}

/* One of those that are known goes to the end of the log. */
static bool move_one(struct queue *q, int fd)
{
	uint64_t before = queue_durable_lsn(q), place;
	struct queue_move move = { .type = QUEUE_REC_MSG };
	struct queue_committed done;
	struct told t;

	if (known_count == 0 || roll(2) == 0)
		return true;
	t = known[roll(known_count)];
	move.id = move.from = t.id;
	if (queue_put_move(q, &move) != 0 || queue_commit(q, &done) < 0)
		return false;
	place = copy_behind(q, before);
	return place == 0 || tell(fd, (struct told){ t.id, t.n, place });
}

static _Noreturn void child(int fd, uint64_t n)
{
	struct queue_report report;
	struct queue *q = open_spool(&report);

	while (q != NULL && one_group(q, fd, &n) && move_one(q, fd) &&
	       free_old(q, fd))
		;
	_exit(1); /* it is meant to be killed */
}

/* From here to where the power goes. */
static void live(uint64_t n)
{
	enum qfile_op op = roll(2) == 0 ? QFILE_PWRITEV : QFILE_SYNC;
	struct queue_report report;
	struct queue *q;

	qfile_stop(disk, op, 1 + (int)roll(40));
	q = open_spool(&report);
	torn_opens += q == NULL;
	while (q != NULL && one_group(q, -1, &n) && move_one(q, -1) &&
	       free_old(q, -1))
		;
	if (q != NULL)
		queue_close(&q);
	qfile_crash(disk, roll(4) == 0 ? QFILE_LOSE_ALL : QFILE_LOSE_RANDOM,
		    roll(UINT64_MAX));
}

/* --- the parent ----------------------------------------------------------- */

static bool take_told(int fd)
{
	struct told t;
	ssize_t got = read(fd, &t, sizeof(t));

	if (got == 0)
		return false;
	BUG_ON(got != (ssize_t)sizeof(t));
	note(t);
	return true;
}

/* Listen until the moment has come, kill, and hear the rest. */
static void run_child(uint64_t n)
{
	int fds[2], status, left_ms = 5 + (int)roll(60);
	struct pollfd p;
	pid_t pid;

	BUG_ON(pipe(fds) < 0);
	pid = fork();
	BUG_ON(pid < 0);
	if (pid == 0) {
		close(fds[0]);
		child(fds[1], n);
	}
	close(fds[1]);
	p = (struct pollfd){ .fd = fds[0], .events = POLLIN };
	/* a message more or less moves the moment: count both */
	while (left_ms > 0 && poll(&p, 1, left_ms) > 0) {
		if (!take_told(fds[0]))
			break;
		left_ms -= roll(16) == 0;
	}
	kill(pid, SIGKILL);
	while (take_told(fds[0]))
		;
	close(fds[0]);
	BUG_ON(waitpid(pid, &status, 0) != pid);
	BUG_ON(!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL);
}

/* Returns the number to go on with; what is found now must stay. */
static uint64_t check_spool(uint64_t n)
{
	struct queue_report report;
	struct queue *q = open_spool(&report);
	struct queue_record rec;
	struct queue_walk *w;
	size_t i = 0, total = 0;
	static struct told found[KNOWN_MAX];

	BUG_ON(q == NULL || report.damaged != 0);
	BUG_ON(queue_walk_open(q, qdouble_checkpoint_lsn, &w) < 0);
	while (queue_log_next(w, &rec) == 1) {
		uint64_t number = rec.submission_number;

		if (rec.type == QUEUE_REC_MOVE) {
			BUG_ON(rec.move.why == 0 &&
			       qhelp_check_at(q, rec.move.id, rec.lsn,
					      number) != 0);
			continue;
		}
		BUG_ON(rec.type != QUEUE_REC_MSG || total == KNOWN_MAX);
		BUG_ON(total > 0 && number <= found[total - 1].n);
		if (i < known_count) /* told: exactly these, in order */
			BUG_ON(known[i].n != number || known[i].id != rec.lsn);
		i++;
		BUG_ON(qhelp_check(q, rec.lsn, number) != 0);
		bytes_seen += rec.msg.size;
		found[total++] = (struct told){ rec.lsn, number, 0 };
		if (number >= n)
			n = number + 1;
	}
	BUG_ON(i < known_count); /* acknowledged mail is lost */
	for (i = 0; i < copy_count; i++, copies_read++)
		BUG_ON(qhelp_check_at(q, copies[i].id, copies[i].place,
				      copies[i].n) != 0);
	memcpy(known, found, total * sizeof(found[0]));
	known_count = total;
	queue_walk_close(&w);
	queue_close(&q);
	return n;
}

/* Was there anything of all that this is about? */
static bool saw_all(void)
{
	return acked > 0 && moved > 0 && copies_read > 0;
}

int main(int argc, char **argv)
{
	uint64_t cycles = 20, i, n = 0;
	struct queue_verify_report v;

	if (argc > 1 && !span_u64(span_str(argv[1]), 1000000, &cycles))
		return 64;
	if (argc > 2 && !span_u64(span_str(argv[2]), UINT64_MAX, &seed))
		return 64;
	if (argc > 3) {
		if (strcmp(argv[3], "power") != 0)
			return 64;
		disk = qfile_new();
	}
	dir = qhelp_folder();
	/* A slow machine gets less done before each kill. */
	for (i = 0; i < cycles || (!saw_all() && i < 50 * cycles); i++) {
		if (disk != NULL)
			live(n);
		else
			run_child(n);
		n = check_spool(n);
	}
	BUG_ON(queue_verify(dir, &v) != 0);
	BUG_ON(!saw_all());
	printf("%llu %s, %llu messages acknowledged, none lost; "
	       "%llu octets compared; %llu moved, read %llu times",
	       (unsigned long long)i, disk == NULL ? "kills" : "power cuts",
	       (unsigned long long)acked, (unsigned long long)bytes_seen,
	       (unsigned long long)moved, (unsigned long long)copies_read);
	if (disk != NULL) {
		printf("; %llu cuts while the spool opened",
		       (unsigned long long)torn_opens);
		qfile_free(&disk);
	}
	puts("");
	qhelp_remove(dir);
	free(dir);
	return 0;
}

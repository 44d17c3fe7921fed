/*
 * bench/sink_fault.c - who is refused, and in which words
 *
 * The memory is one open-addressing table from a 64-bit key to a number
 * (attempts, or the time of the first one), behind one mutex: it is touched
 * only where a knob needs it, never in a run for speed.  It forgets all when
 * it holds ENTRIES_MAX keys.
 */
#include "bench/sink_fault.h"

#include "base/bug.h"
#include "base/hash.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_START (1u << 12)
#define ENTRIES_MAX   (1u << 23)

struct entry {
	uint64_t key; /* 0: free */
	uint64_t value;
};

struct sink_memory {
	pthread_mutex_t lock;
	struct entry *entries;
	size_t size, count; /* size is a power of two */
};

struct sink_memory *sink_memory_new(void)
{
	struct sink_memory *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->size = ENTRIES_START;
	m->entries = calloc(m->size, sizeof(*m->entries));
	if (m->entries == NULL) {
		free(m);
		return NULL;
	}
	pthread_mutex_init(&m->lock, NULL);
	return m;
}

void sink_memory_free(struct sink_memory **m)
{
	if (*m == NULL)
		return;
	pthread_mutex_destroy(&(*m)->lock);
	free((*m)->entries);
	free(*m);
	*m = NULL;
}

static struct entry *entry_place(const struct sink_memory *m, uint64_t key)
{
	size_t i = hash_u64(key) & (m->size - 1);

	while (m->entries[i].key != 0 && m->entries[i].key != key)
		i = (i + 1) & (m->size - 1);
	return &m->entries[i];
}

/* Twice the room; or, at the limit or without memory, an empty table. */
static void memory_grow(struct sink_memory *m)
{
	struct entry *old = m->entries, *bigger = NULL;
	size_t i, old_size = m->size;

	if (old_size < ENTRIES_MAX)
		bigger = calloc(old_size * 2, sizeof(*bigger));
	if (bigger == NULL) {
		memset(old, 0, old_size * sizeof(*old));
		m->count = 0;
		return;
	}
	m->entries = bigger;
	m->size = old_size * 2;
	for (i = 0; i < old_size; i++)
		if (old[i].key != 0)
			*entry_place(m, old[i].key) = old[i];
	free(old);
}

/* The value of a key, set to `first` when it is new.  With the lock held. */
static uint64_t *memory_value(struct sink_memory *m, uint64_t key,
			      uint64_t first)
{
	struct entry *e;

	if (key == 0)
		key = 1;
	e = entry_place(m, key);
	if (e->key == 0) {
		if (m->count * 2 >= m->size) {
			memory_grow(m);
			e = entry_place(m, key);
		}
		*e = (struct entry){ key, first };
		m->count++;
	}
	BUG_ON(m->count > m->size);
	return &e->value;
}

double sink_draw(uint64_t seed, uint64_t what, uint64_t key)
{
	uint64_t h = hash_pair(hash_pair(seed, what), key);

	return (double)(h >> 11) * 0x1p-53;
}

/* Is attempt n of this key refused?  Never twice in a row: count the run of
 * unlucky draws that ends at n; its odd members are refused. */
static bool unlucky(const struct sink_config *c, enum sink_stage stage,
		    uint64_t key, uint64_t n)
{
	uint64_t run = 0;

	if (c->fail[stage][0] >= 1)
		return n % 2 == 1;
	while (n > 0 && sink_draw(c->seed, 100 + stage, hash_pair(key, n)) <
				c->fail[stage][0]) {
		run++;
		n--;
	}
	return run % 2 == 1;
}

int sink_verdict(const struct sink_config *c, struct sink_memory *m,
		 enum sink_stage stage, uint64_t key)
{
	uint64_t n;

	if (c->fail[stage][1] > 0 &&
	    sink_draw(c->seed, 200 + stage, key) < c->fail[stage][1])
		return 5;
	if (c->fail[stage][0] <= 0)
		return 0;
	if (c->stubborn)
		return sink_draw(c->seed, 100 + stage, key) < c->fail[stage][0]
			       ? 4
			       : 0;
	pthread_mutex_lock(&m->lock);
	n = ++*memory_value(m, hash_pair(key, stage), 0);
	pthread_mutex_unlock(&m->lock);
	return unlucky(c, stage, key, n) ? 4 : 0;
}

bool sink_greylisted(const struct sink_config *c, struct sink_memory *m,
		     uint64_t key, uint64_t now_us)
{
	uint64_t first;

	pthread_mutex_lock(&m->lock);
	first = *memory_value(m, hash_pair(key, SINK_STAGES), now_us);
	pthread_mutex_unlock(&m->lock);
	return now_us == first ||
	       (double)(now_us - first) < c->greylist_s * 1e6;
}

/* clang-format off */
static const struct sink_words plain[SINK_STAGES][2] = {
	[SINK_CONNECT]  = { { "421", "4.3.2", "go away" },
			    { "554", "5.3.2", "go away" } },
	[SINK_GREETING] = { { "421", "4.3.2", "not now" },
			    { "554", "5.7.1", "no SMTP service here" } },
	[SINK_EHLO]     = { { "421", "4.3.2", "too busy" },
			    { "502", "5.5.1", "EHLO is not implemented" } },
	[SINK_MAIL]     = { { "451", "4.3.0", "try again later" },
			    { "550", "5.7.1", "sender refused" } },
	[SINK_RCPT]     = { { "450", "4.2.1", "mailbox is busy" },
			    { "550", "5.1.1", "no such user" } },
	[SINK_DATA]     = { { "451", "4.3.0", "no room for data now" },
			    { "554", "5.5.0", "no data wanted" } },
	[SINK_CONTENT]  = { { "451", "4.3.0", "stopped in the middle" },
			    { "552", "5.3.4", "stopped in the middle" } },
	[SINK_EOD]      = { { "451", "4.3.0", "not stored, try again" },
			    { "554", "5.6.0", "content refused" } },
};

/* What large receivers say, by class and stage. */
static const struct {
	enum sink_stage stage;
	int class;
	struct sink_words words;
} said[] = {
	{ SINK_GREETING, 4, { "421", "4.7.0", "[TSS04] Messages from 127.0.0.1 temporarily deferred" } },
	{ SINK_GREETING, 4, { "421", "RP-001", "Unfortunately, some messages weren't sent: rate limit" } },
	{ SINK_GREETING, 5, { "553", "5.7.2", "[TSS09] All messages from 127.0.0.1 will be permanently deferred" } },
	{ SINK_GREETING, 5, { "554", "OFR", "service refuse, please try later" } },
	{ SINK_MAIL, 4, { "421", "4.7.0", "Try again later, closing connection" } },
	{ SINK_MAIL, 4, { "451", "4.7.650", "The mail server has been temporarily rate limited" } },
	{ SINK_MAIL, 5, { "550", "5.7.1", "Messages from 127.0.0.1 weren't sent (S3140)" } },
	{ SINK_RCPT, 4, { "450", "4.2.1", "The user you are trying to contact is receiving mail too quickly" } },
	{ SINK_RCPT, 4, { "452", "4.2.2", "The recipient's inbox is out of storage space" } },
	{ SINK_RCPT, 4, { "451", "4.7.500", "Server busy. Please try again later" } },
	{ SINK_RCPT, 5, { "550", "5.1.1", "The email account that you tried to reach does not exist" } },
	{ SINK_RCPT, 5, { "552", "5.2.2", "The recipient's inbox is out of storage space and inactive" } },
	{ SINK_RCPT, 5, { "550", "5.2.1", "The email account that you tried to reach is inactive" } },
	{ SINK_EOD, 4, { "421", "4.7.28", "Gmail has detected an unusual rate of unsolicited mail" } },
	{ SINK_EOD, 4, { "421", "4.7.27", "Your email has been rate limited because SPF did not pass" } },
	{ SINK_EOD, 4, { "451", "4.3.0", "Multiple destination domains per transaction is unsupported" } },
	{ SINK_EOD, 5, { "550", "5.7.26", "Your email has been blocked because the sender is unauthenticated" } },
	{ SINK_EOD, 5, { "550", "5.7.515", "Access denied, sending domain does not meet the required level" } },
	{ SINK_EOD, 5, { "552", "5.7.0", "This message was blocked because of its content" } },
};
/* clang-format on */

struct sink_words sink_refusal(const struct sink_config *c,
			       enum sink_stage stage, int class, uint64_t key)
{
	size_t i, fit = 0, pick;

	BUG_ON(class != 4 && class != 5);
	for (i = 0; c->providers && i < ARRAY_LEN(said); i++)
		fit += said[i].stage == stage && said[i].class == class;
	if (fit == 0)
		return plain[stage][class - 4];
	pick = hash_pair(c->seed, key) % fit;
	for (i = 0;; i++) {
		if (said[i].stage != stage || said[i].class != class)
			continue;
		if (pick-- == 0)
			return said[i].words;
	}
}

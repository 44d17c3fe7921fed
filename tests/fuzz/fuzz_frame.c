/*
 * fuzz_frame - any octets as a submission.  The first octet says how they are
 * cut; CRCs of the payloads are put right, so that the fuzzer gets past them.
 * Every item that comes out must be what the queue may believe.
 */
#include "base/bug.h"
#include "base/crc32c.h"
#include "ingress/frame.h"
#include "ingress/server.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char conf[] = "hostname: a.b\nmessage_bytes_max: 1MiB";
static struct settings set;

static void check_item(const struct ingress_item *it)
{
	const struct queue_message *m = &it->msg;
	uint64_t sum = 0;
	uint32_t i;
	int k;

	BUG_ON(m->rcpt_count == 0 || m->rcpt_count > QUEUE_RCPTS_MAX);
	for (i = 0; i < m->rcpt_count; i++)
		BUG_ON(m->rcpts[i].domain.len == 0 ||
		       memchr(m->rcpts[i].address.p, '\n',
			      m->rcpts[i].address.len) != NULL);
	for (k = 0; k < m->content_count; k++)
		sum += m->content[k].iov_len;
	BUG_ON(sum != m->size || m->size == 0);
}

static void fix(char *p, size_t len)
{
	size_t at = FRAME_HELLO_SIZE;
	struct frame_head h;

	while (len >= at + FRAME_HEAD_SIZE &&
	       frame_head_get(p + at, true, &h) == 0) {
		at += FRAME_HEAD_SIZE;
		if (h.length > len - at)
			return;
		h.crc = crc32c(0, p + at, h.length);
		frame_head_put(&h, p + at - FRAME_HEAD_SIZE);
		at += h.length;
	}
}

static void play(struct ingress_conn *c, const char *p, size_t len, size_t step)
{
	struct ingress_item *it;
	uint64_t id = 0;
	size_t room, n;
	void *at;

	while (len > 0) {
		at = ingress_room(c, &room);
		if (room == 0)
			break;
		n = len < step ? len : step;
		n = n < room ? n : room;
		memcpy(at, p, n);
		ingress_fed(c, n);
		p += n;
		len -= n;
		while (ingress_next(c, 1, 1, &it) == 1) {
			check_item(it);
			if (id++ % 3 == 2)
				ingress_refused(it, -28);
			else
				ingress_accepted(it, id);
		}
	}
	ingress_sent(c, ingress_answer(c).len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ingress_seen *seen = ingress_seen_new(50);
	struct ingress_large large;
	struct ingress_conn *c;
	struct span answers;
	struct frame_answer a;
	char *p;

	ingress_large_init(&large);
	if (set.hostname == NULL &&
	    settings_parse("f", conf, sizeof(conf) - 1, &set, NULL, 0) < 0)
		abort();
	if (size > 1 && seen != NULL &&
	    ingress_conn_new(&set, seen, &large, 1, &c) == 0) {
		p = malloc(size);
		BUG_ON(p == NULL);
		memcpy(p, data, size);
		fix(p + 1, size - 1);
		play(c, p + 1, size - 1, data[0] == 0 ? size : data[0]);
		ingress_conn_free(&c);
		answers = span_of(data, size);
		while (frame_answer_get(&answers, &a) == 1)
			BUG_ON(a.ids.len != 8 * (size_t)a.id_count);
		free(p);
	}
	ingress_seen_free(&seen);
	return 0;
}

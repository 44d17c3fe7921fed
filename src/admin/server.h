#ifndef MTAQ_ADMIN_SERVER_H
#define MTAQ_ADMIN_SERVER_H

/*
 * The daemon's end of the control socket.
 *
 * Each connection asks one thing at a time: a request line, then its answer
 *
 *	answer = *( row LF ) ( "ok" *field / "error" code words ) LF
 *
 * and may ask again.  Requests are given out one by one, connections taking
 * turns.  A peer costs at most a line in and an answer out; who neither reads
 * nor writes for ADMIN_IDLE_MS is closed.
 */
#include "admin/record.h"

#define ADMIN_CONNS_MAX  32u
#define ADMIN_ANSWER_MAX (32u << 20)
#define ADMIN_IDLE_MS    60000u

struct admin_server;

/*
 * Listen on path (mode 0660).  -EADDRINUSE: another process answers there; a
 * file that nobody answers on is replaced.  Negative errno: words say what
 * failed, and why.
 */
int admin_server_open(const char *path, char *words, size_t words_size,
		      struct admin_server **server_r);
/* Closes all connections and removes the file.  NULL allowed. */
void admin_server_close(struct admin_server **server);
/* Readable when admin_server_turn() has something to do. */
int admin_server_fd(const struct admin_server *server);
/* Accept, read, write, close; never blocks. */
void admin_server_turn(struct admin_server *server, uint64_t now_ms);

struct admin_request { /* borrowed until admin_server_answered() */
	struct admin_record rec;
	uint32_t uid; /* of the process that connected (SO_PEERCRED) */
	int32_t pid;
	struct buf *out; /* append the answer here */
};
/*
 * The next whole request, or NULL.  Lines that are none are answered here.
 * It must be answered before the next one is asked for.
 */
struct admin_request *admin_server_next(struct admin_server *server);
/* The answer stands in request->out, from admin_ok() or admin_error(): of the
 * one aside, if there is one. */
void admin_server_answered(struct admin_server *server, uint64_t now_ms);

/*
 * While a request is under way for long, or a stream waits for something: the
 * next one of these words, from somebody else, or NULL.  It must be answered
 * before the next one is asked for; what is in hand stays so.
 */
struct admin_request *admin_server_aside(struct admin_server *server,
					 struct span verb);

/*
 * An answer that goes on: rows leave as they come, and other peers' requests
 * are served meanwhile.  Instead of admin_server_answered(); the stream is the
 * caller's until admin_stream_end().
 */
struct admin_stream;
struct admin_stream *admin_server_stream(struct admin_server *server,
					 uint64_t now_ms);
/* The peer is gone, or has not read for ADMIN_IDLE_MS. */
bool admin_stream_gone(const struct admin_stream *stream);
/* Rows are appended here: what waits in it is what the peer has not read. */
struct buf *admin_stream_out(struct admin_stream *stream);
/* Send what can be sent now; the rest goes when the peer reads. */
void admin_stream_send(struct admin_server *server, struct admin_stream *stream,
		       uint64_t now_ms);
/* The last line has been appended: the rest goes, the peer may ask again.
 * Clears the pointer. */
void admin_stream_end(struct admin_server *server, struct admin_stream **stream,
		      uint64_t now_ms);

/* The last line of an answer without figures. */
void admin_ok(struct buf *out);
/* Instead of all that was appended.  code: sysexits(3). */
void admin_error(struct buf *out, int code, const char *words);

#endif

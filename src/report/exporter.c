/*
 * report/exporter.c - metrics over HTTP
 *
 *	GET /metrics	the page; OpenMetrics when Accept: asks for it
 *	else		404 or 405, with words
 */
#include "report/exporter.h"

#include "io/io.h"
#include "io/unix.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define OPEN_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

struct exporter {
	struct exporter_settings set;
	struct MHD_Daemon *http;
	int fd;
};

/* --- answers --------------------------------------------------------------- */

static enum MHD_Result reply(struct MHD_Connection *c, unsigned status,
			     const char *type, struct span body)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(
		body.len, (void *)(uintptr_t)body.p, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result sent;

	if (r == NULL)
		return MHD_NO; /* the connection ends */
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	sent = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return sent;
}

static enum MHD_Result reply_page(struct exporter *x, struct MHD_Connection *c)
{
	const char *accept = MHD_lookup_connection_value(
		c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
	struct buf page;
	struct metric_out out = {
		.buf = &page,
		.open = accept != NULL &&
			strstr(accept, "application/openmetrics-text") != NULL,
	};
	enum MHD_Result sent;

	buf_init(&page, EXPORTER_PAGE_MAX);
	x->set.page(&out, x->set.arg);
	if (page.failed == 0)
		sent = reply(c, MHD_HTTP_OK, out.open ? OPEN_TYPE : TEXT_TYPE,
			     buf_span(&page));
	else
		sent = reply(c, MHD_HTTP_SERVICE_UNAVAILABLE, "text/plain",
			     SPAN("out of memory\n"));
	buf_free(&page);
	return sent;
}

static enum MHD_Result answer(void *arg, struct MHD_Connection *c,
			      const char *url, const char *method,
			      const char *version, const char *upload,
			      size_t *upload_size, void **state)
{
	static char seen;

	(void)version;
	(void)upload;
	if (*state == NULL) { /* the head alone; a body may follow */
		*state = &seen;
		return MHD_YES;
	}
	if (*upload_size > 0) {
		*upload_size = 0;
		return MHD_YES;
	}
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return reply(c, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain",
			     SPAN("only GET and HEAD\n"));
	if (strcmp(url, "/metrics") != 0)
		return reply(c, MHD_HTTP_NOT_FOUND, "text/plain",
			     SPAN("there is only /metrics here\n"));
	return reply_page(arg, c);
}

/* --- life ------------------------------------------------------------------ */

static bool is_loopback(const char *listen)
{
	return strncmp(listen, "127.", 4) == 0 ||
	       strncmp(listen, "[::1]", 5) == 0;
}

static int listen_tcp(const char *listen_at, int *fd_r)
{
	int fd, on = 1, err = -EINVAL;
	struct io_addr at;

	if (!is_loopback(listen_at) ||
	    io_addr_parse(span_str(listen_at), 0, &at) < 0)
		return err;
	fd = socket(at.u.in.sin_family,
		    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&at.u, at.len) < 0 ||
	    listen(fd, EXPORTER_CLIENTS_MAX) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	*fd_r = fd;
	return 0;
}

int exporter_open(const struct exporter_settings *set,
		  struct exporter **exporter_r)
{
	struct exporter *x = calloc(1, sizeof(*x));
	int err;

	if (x == NULL)
		return -ENOMEM;
	x->set = *set;
	if (set->listen[0] == '/')
		err = io_unix_listen(set->listen, 0660, EXPORTER_CLIENTS_MAX,
				     &x->fd);
	else
		err = listen_tcp(set->listen, &x->fd);
	if (err < 0) {
		free(x);
		return err;
	}
	*exporter_r = x;
	return 0;
}

int exporter_start(struct exporter *x)
{
	x->http = MHD_start_daemon(
		MHD_USE_POLL_INTERNAL_THREAD, 0, NULL, NULL, answer, x,
		MHD_OPTION_LISTEN_SOCKET, (MHD_socket)x->fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)EXPORTER_CLIENTS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)EXPORTER_IDLE_S,
		MHD_OPTION_END);
	return x->http == NULL ? -EAGAIN : 0;
}

void exporter_stop(struct exporter *x)
{
	if (x->http == NULL)
		return;
	MHD_stop_daemon(x->http); /* closes the socket as well */
	x->http = NULL;
	x->fd = -1;
}

void exporter_close(struct exporter **exporter)
{
	struct exporter *x = *exporter;

	*exporter = NULL;
	if (x == NULL)
		return;
	exporter_stop(x);
	if (x->fd >= 0)
		close(x->fd);
	if (x->set.listen[0] == '/')
		unlink(x->set.listen);
	free(x);
}

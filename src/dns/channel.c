/*
 * dns/channel.c - queries on their way: c-ares and its sockets
 *
 * One channel; its sockets lie in one epoll descriptor, which is dns_fd().
 * At most QUERIES_MAX queries are in c-ares, the others wait in line: one
 * question may need 64 of them.  Timeouts are looked at every TICK_MS,
 * because ares_timeout() walks all queries.
 */
#include "dns/dns_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#define QUERIES_MAX   1500
#define TICK_MS       100
#define EVENTS_MAX    16
#define RCVBUF_OCTETS (1 << 20)

static void on_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct dns *dns = arg;
	struct epoll_event ev = { .data.fd = fd };

	if (!readable && !writable) {
		(void)epoll_ctl(dns->ep, EPOLL_CTL_DEL, fd, NULL);
		return;
	}
	ev.events = (readable ? (uint32_t)EPOLLIN : 0) |
		    (writable ? (uint32_t)EPOLLOUT : 0);
	/* Neither can fail but for memory: then the tick and the timeout of
	 * the query still end it. */
	if (epoll_ctl(dns->ep, EPOLL_CTL_MOD, fd, &ev) < 0 && errno == ENOENT)
		(void)epoll_ctl(dns->ep, EPOLL_CTL_ADD, fd, &ev);
}

/* Ids must not be guessed: they are half of what keeps forged answers out. */
static uint16_t random_id(struct dns *dns)
{
	uint16_t id;

	if (dns->random_at == 0) {
		BUG_ON(getrandom(dns->random, sizeof(dns->random), 0) !=
		       sizeof(dns->random));
		dns->random_at = sizeof(dns->random);
	}
	dns->random_at -= sizeof(id);
	memcpy(&id, dns->random + dns->random_at, sizeof(id));
	return id;
}

static const char *failure_words(const struct dns *dns, int status)
{
	switch (status) {
	case ARES_ETIMEOUT:
		return "no name server answered in time";
	case ARES_ECONNREFUSED:
		/* c-ares says the same of those that said SERVFAIL. */
		return dns->servers > 1 ? "none of the name servers gives "
					  "an answer"
					: "no name server can be reached";
	case ARES_ENOMEM:
		return "out of memory";
	default:
		return "the name server's answer makes no sense";
	}
}

static void send_now(struct dns *dns, struct query *query);

/* on_answer() may be called from within ares_send(): the outermost call does
 * the work, however many fail at once. */
static void send_waiting(struct dns *dns)
{
	struct list *link;

	if (dns->sending)
		return;
	dns->sending = true;
	while (dns->in_flight < QUERIES_MAX &&
	       (link = list_pop(&dns->waiting)) != NULL)
		send_now(dns, CONTAINER_OF(link, struct query, link));
	dns->sending = false;
}

static void on_answer(void *arg, int status, int timeouts, unsigned char *p,
		      int len)
{
	struct query *query = arg;
	struct dns *dns = query->dns;

	dns->in_flight--;
	dns->counters.timeouts += (uint64_t)timeouts;
	if (dns->dying) {
		free(query);
		return;
	}
	histo_observe(&dns->query_ms, dns->now_ms - query->sent_ms);
	/* An error's message still has its rcode (see channel_open()). */
	if (p != NULL && len > 0)
		question_answer(query, p, (size_t)len, NULL);
	else
		question_answer(query, NULL, 0, failure_words(dns, status));
	send_waiting(dns);
}

static void send_now(struct dns *dns, struct query *query)
{
	unsigned char out[DNS_QUERY_MAX];
	size_t len = dns_query(question_name(query), query->type,
			       random_id(dns), out);

	if (dns->in_flight++ == 0)
		dns->tick_ms = dns->now_ms + TICK_MS;
	dns->counters.queries++;
	query->sent_ms = dns->now_ms;
	ares_send(dns->channel, out, (int)len, on_answer, query);
}

void channel_send(struct dns *dns, struct query *query)
{
	list_add_tail(&dns->waiting, &query->link);
	send_waiting(dns);
}

static void process_sockets(struct dns *dns)
{
	struct epoll_event ev[EVENTS_MAX];
	int i, n = epoll_wait(dns->ep, ev, EVENTS_MAX, 0);

	for (i = 0; i < n; i++) {
		ares_socket_t fd = ev[i].data.fd;
		bool out = ev[i].events & EPOLLOUT;
		bool in = ev[i].events & ~(uint32_t)EPOLLOUT;

		ares_process_fd(dns->channel, in ? fd : ARES_SOCKET_BAD,
				out ? fd : ARES_SOCKET_BAD);
	}
}

void dns_process(struct dns *dns, uint64_t now_ms)
{
	dns->now_ms = now_ms;
	process_sockets(dns);
	if (dns->in_flight > 0 && now_ms >= dns->tick_ms) {
		ares_process_fd(dns->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
		dns->tick_ms = now_ms + TICK_MS;
	}
}

int dns_fd(const struct dns *dns)
{
	return dns->ep;
}

uint64_t dns_deadline(const struct dns *dns)
{
	return dns->in_flight > 0 ? dns->tick_ms : UINT64_MAX;
}

/* "ip", "ip:port", "[ip6]:port" into node. */
static int parse_server(const char *text, struct ares_addr_port_node *node)
{
	char ip[INET6_ADDRSTRLEN];
	struct span s = span_str(text), port = SPAN("53");
	ptrdiff_t at = span_find(s, ']');
	uint64_t value;

	if (s.len > 0 && s.p[0] == '[' && at > 0) {
		port = at + 1 == (ptrdiff_t)s.len ? port
						  : span_str(s.p + at + 2);
		if (s.p[at + 1] != ':' && s.p[at + 1] != '\0')
			return -EINVAL;
		s = span_of(s.p + 1, (size_t)at - 1);
	} else if ((at = span_find(s, ':')) >= 0 &&
		   strchr(s.p + at + 1, ':') == NULL) {
		port = span_str(s.p + at + 1);
		s.len = (size_t)at;
	}
	if (s.len == 0 || s.len >= sizeof(ip) || !span_u64(port, 65535, &value))
		return -EINVAL;
	memcpy(ip, s.p, s.len);
	ip[s.len] = '\0';
	node->udp_port = node->tcp_port = (int)value;
	node->family = AF_INET;
	if (inet_pton(AF_INET, ip, &node->addr) == 1)
		return 0;
	node->family = AF_INET6;
	return inet_pton(AF_INET6, ip, &node->addr) == 1 ? 0 : -EINVAL;
}

static bool is_loopback(const struct ares_addr_port_node *node)
{
	static const unsigned char one[16] = { [15] = 1 };

	if (node->family == AF_INET)
		return *(const unsigned char *)&node->addr.addr4 == 127;
	return memcmp(&node->addr, one, sizeof(one)) == 0;
}

static int set_servers(struct dns *dns, const struct dns_settings *settings)
{
	struct ares_addr_port_node nodes[DNS_SERVERS_MAX];
	size_t i, n = settings->server_count;
	int err = n == 0 || n > DNS_SERVERS_MAX ? -EINVAL : 0;

	memset(nodes, 0, sizeof(nodes));
	dns->trusted = true;
	for (i = 0; i < n && err == 0; i++) {
		nodes[i].next = i + 1 < n ? &nodes[i + 1] : NULL;
		err = parse_server(settings->servers[i], &nodes[i]);
		dns->trusted = dns->trusted && is_loopback(&nodes[i]);
	}
	if (err < 0)
		return err;
	return ares_set_servers_ports(dns->channel, nodes) == ARES_SUCCESS
		       ? 0
		       : -ENOMEM;
}

int channel_open(struct dns *dns, const struct dns_settings *settings)
{
	char lookups[] = "b";
	struct ares_options o = {
		.flags = ARES_FLAG_STAYOPEN | ARES_FLAG_EDNS |
			 ARES_FLAG_NOSEARCH,
		.timeout = (int)dns->timeout_ms,
		.tries = (int)dns->tries,
		.socket_receive_buffer_size = RCVBUF_OCTETS,
		.ednspsz = DNS_UDP_OCTETS,
		.lookups = lookups,
		.sock_state_cb = on_socket,
		.sock_state_cb_data = dns,
	};
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
		   ARES_OPT_SOCK_RCVBUF | ARES_OPT_EDNSPSZ | ARES_OPT_LOOKUPS |
		   ARES_OPT_DOMAINS | ARES_OPT_SOCK_STATE_CB;

	/* SERVFAIL, REFUSED and NOTIMP are an answer when there is nobody else
	 * to ask; otherwise c-ares goes on to the next server. */
	dns->servers = settings->server_count;
	if (dns->servers == 1)
		o.flags |= ARES_FLAG_NOCHECKRESP;
	dns->ep = epoll_create1(EPOLL_CLOEXEC);
	if (dns->ep < 0)
		return -errno;
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
		return -ENOMEM;
	if (ares_init_options(&dns->channel, &o, mask) != ARES_SUCCESS) {
		ares_library_cleanup();
		return -ENOMEM;
	}
	dns->channel_up = true;
	return set_servers(dns, settings);
}

void channel_close(struct dns *dns)
{
	struct list *link;

	dns->dying = true;
	if (dns->channel_up) {
		ares_destroy(dns->channel);
		ares_library_cleanup();
	}
	BUG_ON(dns->in_flight > 0);
	while ((link = list_pop(&dns->waiting)) != NULL)
		free(CONTAINER_OF(link, struct query, link));
	if (dns->ep >= 0)
		close(dns->ep);
}

/*
 * options/table.c - every option of mtaq, once
 *
 * The parser, conf/mtaq.yaml (`mtaq check --defaults`) and docs/mtaq.yaml.md
 * (`mtaq check --manual`) come from these rows, in this order; rows of one
 * section are adjacent and follow their OPTION_SECTION row.
 */
#include "base/bug.h"
#include "options/option.h"

#define AT(field) offsetof(struct settings, field)
#define KIB       1024ull
#define MIB       (1024ull * KIB)
#define GIB       (1024ull * MIB)
#define TIB       (1024ull * GIB)
#define SECOND    1000ull
#define MINUTE    (60 * SECOND)
#define HOUR      (60 * MINUTE)
#define DAY       (24 * HOUR)
#define DAYS_S    86400u

/* In the order of the enums of settings.h. */
static const char *const io_names[] = { "auto", "io_uring", "epoll", NULL };
static const char *const level_names[] = { "error", "warning", "info", "debug",
					   NULL };
static const char *const newline_names[] = { "fix", "refuse", NULL };
static const char *const auto_names[] = { "auto", "off", "on", NULL };
static const char *const eightbit_names[] = { "send", "bounce", NULL };

/* clang-format off */
const struct option_row option_table[] = {
{ "hostname", OPTION_HOSTNAME, AT(hostname), 0, 253, "", NULL,
  "The name by which this machine greets others (EHLO), as "
  "mail.example.net. Must be set. Its address should lead back to it." },
{ "own_addresses", OPTION_ADDRESSES, AT(own_addresses), 0, 0, "[]", NULL,
  "Addresses that lead back to this machine, as behind NAT. A mail exchanger "
  "with one of them, or named as hostname says, is not tried, nor is any of "
  "an equal or higher preference number (RFC 5321, section 5.1)." },
{ "spool", OPTION_PATH, AT(spool), 1, 4000, "/var/spool/mtaq", NULL,
  "The folder of the queue: log segments, index, drop folder." },
{ "runtime", OPTION_PATH, AT(runtime), 1, 80, "/run/mtaq", NULL,
  "The folder of the sockets." },
{ "user", OPTION_WORD, AT(user), 0, 32, "", NULL,
  "Started as root, the daemon changes to this user; empty: it stays." },
{ "workers", OPTION_AUTO, AT(workers), 1, 64, "auto", NULL,
  "Threads that deliver. auto: 2 on up to 4 cores, else all but 2." },
{ "io_backend", OPTION_CHOICE, AT(io_backend), 0, 0, "auto", io_names,
  "How sockets are driven. auto: io_uring where the kernel allows it." },

{ "dns", OPTION_SECTION, 0, 0, 0, NULL, NULL, "Finding mail exchangers." },
{ "dns.servers", OPTION_SERVERS, AT(dns.servers), 1, 53, "[127.0.0.1:53]", NULL,
  "Resolvers to ask, in this order, at most 8. A validating one on this machine "
  "is best." },
{ "dns.timeout", OPTION_MS, AT(dns.timeout_ms), 100, MINUTE, "5s", NULL,
  "How long one server may take for one answer." },
{ "dns.outstanding_max", OPTION_NUMBER, AT(dns.outstanding_max), 1, 20000, "2000",
  NULL, "Questions on their way at once; more wait." },

{ "smtp", OPTION_SECTION, 0, 0, 0, NULL, NULL, "Talking to other servers." },
{ "smtp.port", OPTION_PORT, AT(smtp.port), 1, 65535, "25", NULL,
  "The port of mail exchangers." },
{ "smtp.sources", OPTION_ADDRESSES, AT(smtp.sources), 0, 0, "[]", NULL,
  "Own addresses to send from; empty: the kernel chooses. Each site sees one "
  "of them, always the same; a host is tried over IPv6 only where one of them "
  "is an IPv6 address, and likewise for IPv4." },
{ "smtp.chunking", OPTION_CHOICE, AT(smtp.chunking), 0, 0, "off", auto_names,
  "Send content by BDAT (RFC 3030) to hosts that offer CHUNKING; messages of "
  "one recipient then leave in one flight with their envelope, where a session "
  "has shown that it takes off what it refuses: on to all, auto after one "
  "session has tried it, off never." },
{ "smtp.chunks_ahead", OPTION_NUMBER, AT(smtp.chunks_ahead), 1, 20, "1", NULL,
  "Messages that may be on their way at once in a session of chunks. More than "
  "1 begin without waiting for the answers to those before them, where as many "
  "came out well: a far host then takes many a round trip. Where such a "
  "connection breaks, each of them may arrive twice." },
{ "smtp.timeout", OPTION_SECTION, 0, 0, 0, NULL, NULL,
  "How long to wait for a server. RFC 5321 section 4.5.3.2 asks for no less "
  "than the defaults; a short dot makes duplicates." },
{ "smtp.timeout.connect", OPTION_MS, AT(smtp.timeout.connect_ms), 10, HOUR, "30s",
  NULL, "For a connection." },
{ "smtp.timeout.greeting", OPTION_MS, AT(smtp.timeout.greeting_ms), 10, HOUR, "5m",
  NULL, "For the greeting." },
{ "smtp.timeout.ehlo", OPTION_MS, AT(smtp.timeout.ehlo_ms), 10, HOUR, "5m", NULL,
  "For the answer to EHLO." },
{ "smtp.timeout.mail", OPTION_MS, AT(smtp.timeout.mail_ms), 10, HOUR, "5m", NULL,
  "For the answer to MAIL." },
{ "smtp.timeout.rcpt", OPTION_MS, AT(smtp.timeout.rcpt_ms), 10, HOUR, "5m", NULL,
  "For the answer to each RCPT." },
{ "smtp.timeout.data", OPTION_MS, AT(smtp.timeout.data_ms), 10, HOUR, "2m", NULL,
  "For the answer to DATA." },
{ "smtp.timeout.block", OPTION_MS, AT(smtp.timeout.block_ms), 10, HOUR, "3m", NULL,
  "For the server to take each block of the content." },
{ "smtp.timeout.dot", OPTION_MS, AT(smtp.timeout.dot_ms), 10, HOUR, "10m", NULL,
  "For the answer to the final dot." },
{ "smtp.timeout.rset", OPTION_MS, AT(smtp.timeout.rset_ms), 10, HOUR, "20s", NULL,
  "For the answer to RSET." },
{ "smtp.timeout.quit", OPTION_MS, AT(smtp.timeout.quit_ms), 10, HOUR, "5s", NULL,
  "For the answer to QUIT; nothing depends on it." },
{ "smtp.timeout.session", OPTION_MS, AT(smtp.timeout.session_ms), 10, DAY, "1h",
  NULL, "For one transaction as a whole, whatever the server does." },

{ "log", OPTION_SECTION, 0, 0, 0, NULL, NULL, "What is written down." },
{ "log.events", OPTION_PATH, AT(log.events), 0, 4000,
  "/var/log/mtaq/events.jsonl", NULL,
  "The event log, one JSON object a line; empty: none." },
{ "log.level", OPTION_CHOICE, AT(log.level), 0, 0, "info", level_names,
  "What is told to people on standard error: warning and error leave out that a "
  "site is parked or answers again, and odd replies; debug is as info." },

{ "metrics", OPTION_SECTION, 0, 0, 0, NULL, NULL,
  "Figures for Prometheus, at /metrics." },
{ "metrics.listen", OPTION_LOCAL, AT(metrics.listen), 0, 100, "", NULL,
  "Where they can be fetched by HTTP: an address of this machine alone, as "
  "127.0.0.1:9525 or [::1]:9525, or the path of a Unix socket; empty: "
  "nowhere. Nobody is asked for a password there." },
{ "metrics.top_sites", OPTION_NUMBER, AT(metrics.top_sites), 0, 1000, "20", NULL,
  "Sites with figures of their own, shared out among the workers; the rest is "
  "one, called other." },

{ "limits", OPTION_SECTION, 0, 0, 0, NULL, NULL, "Everything has a limit." },
{ "limits.connections", OPTION_NUMBER, AT(limits.connections), 1, 1000000,
  "20000", NULL, "Sessions with other servers at once, over all workers." },
{ "limits.submitters", OPTION_NUMBER, AT(limits.submitters), 1, 10000, "200",
  NULL, "Connections to the submission socket at once." },
{ "limits.tasks", OPTION_NUMBER, AT(limits.tasks), 1000, 10000000, "1000000",
  NULL, "Tasks in memory at once, about 160 octets each; the rest waits on "
  "disk." },
{ "limits.queue_tasks", OPTION_NUMBER, AT(limits.queue_tasks), 10, 1000000,
  "10000", NULL, "Tasks of one queue in memory at once." },
{ "limits.queues", OPTION_NUMBER, AT(limits.queues), 100, 10000000, "200000",
  NULL, "Queues in memory at once, about 256 octets each." },
{ "limits.unsynced_bytes", OPTION_BYTES, AT(limits.unsynced_bytes), MIB, GIB,
  "32MiB", NULL, "Accepted octets that are not yet on disk; beyond that "
  "submitters are not read." },

{ "routes", OPTION_ROUTES, AT(routes), 0, 0, "{}", NULL,
  "Where the mail of a domain goes instead of to its mail exchangers: "
  "example.net: \"192.0.2.1:25\". \"*\" (in quotes) is every domain without "
  "an entry of its own." },

{ "retry", OPTION_TIMES, AT(retry), 1, 30 * DAYS_S, "[6m, 15m, 30m, 1h, 2h, 4h]",
  NULL, "Delays between the attempts for a recipient, at most 16; the last "
  "repeats." },
{ "age_limit", OPTION_SECONDS, AT(age_limit_s), 1, 90 * DAYS_S, "5d", NULL,
  "A recipient older than this expires." },
{ "greylist", OPTION_SECONDS, AT(greylist_s), 1, DAYS_S, "5m", NULL,
  "The least delay after an answer that looks like greylisting (450 or 451 "
  "4.7.1)." },
{ "mailbox_full", OPTION_SECONDS, AT(mailbox_full_s), 1, 5 * DAYS_S, "1h", NULL,
  "The least delay after a full mailbox (452 4.2.2)." },

{ "session", OPTION_SECTION, 0, 0, 0, NULL, NULL,
  "When a session with a server ends." },
{ "session.idle", OPTION_MS, AT(session.idle_ms), 0, 5 * MINUTE, "5s", NULL,
  "Kept open this long without mail, for mail that may come." },
{ "session.messages", OPTION_NUMBER, AT(session.messages), 1, 1000000, "100",
  NULL, "Messages over one session; to the large receivers of site: as many as "
  "they are known to take." },
{ "session.age", OPTION_MS, AT(session.age_ms), SECOND, DAY, "10m", NULL,
  "No new message over a session older than this." },
{ "session.grouping", OPTION_CHOICE, AT(session.grouping), 0, 0, "auto",
  auto_names, "Send the next message's envelope behind a message, without "
  "waiting for the answer between them: auto to hosts that have shown that "
  "they take it, on to all that offer PIPELINING until they show otherwise." },

{ "host", OPTION_SECTION, 0, 0, 0, NULL, NULL,
  "A mail exchanger that fails is left alone for a while." },
{ "host.bad_first", OPTION_MS, AT(host.bad_first_ms), 10, DAY, "1m", NULL,
  "After its first failure; then it doubles." },
{ "host.bad_max", OPTION_MS, AT(host.bad_max_ms), 10, 7 * DAY, "1h", NULL,
  "At most." },

{ "site", OPTION_SECTION, 0, 0, 0, NULL, NULL,
  "Limits towards one site: domains with the same mail exchangers. Those of "
  "Google, Yahoo, Outlook, Office 365, iCloud, Comcast, Orange, GMX, Mimecast, "
  "QQ and NetEase are known by name and have limits of their own (2 to 25 "
  "sessions, 5 to 1000 messages over each), which all sites of one of them "
  "share." },
{ "site.connections", OPTION_NUMBER, AT(site.connections), 1, 100000, "10", NULL,
  "Sessions with one site at once, over all its hosts, at most: for bulk "
  "mail they open step by step, and none is added while mtaq has no CPU time "
  "left for it." },
{ "site.connects_per_second", OPTION_NUMBER, AT(site.connects_per_second), 1,
  100000, "10", NULL, "New connections to one site in a second, over all its "
  "hosts, after a first burst of 10." },

{ "unsure", OPTION_SECTION, 0, 0, 0, NULL, NULL,
  "The connection broke before the final dot was answered: the server may "
  "have the mail." },
{ "unsure.first", OPTION_SECONDS, AT(unsure.first_s), 1, 5 * DAYS_S, "15m", NULL,
  "Tried again not before; then it doubles." },
{ "unsure.max", OPTION_NUMBER, AT(unsure.max), 1, 100, "5", NULL,
  "After so many unsure results it is held and reported." },

{ "max_unsynced_outcomes", OPTION_NUMBER, AT(max_unsynced_outcomes), 1, 65536,
  "256", NULL, "Answered dots of one worker that are not yet on disk; at that "
  "many it sends no further dot. A power cut may double at most these." },
{ "stop_grace", OPTION_MS, AT(stop_grace_ms), 0, HOUR, "30s", NULL,
  "After SIGTERM open transactions may take this long to end." },
{ "message_bytes_max", OPTION_BYTES, AT(message_bytes_max), KIB, 50 * MIB,
  "50MiB", NULL, "The largest message taken." },
{ "min_free", OPTION_BYTES, AT(min_free_bytes), MIB, TIB, "512MiB", NULL,
  "With less free space in the spool new mail is put off (452 4.3.1)." },

{ "checkpoint", OPTION_SECTION, 0, 0, 0, NULL, NULL,
  "When the log is folded into the index." },
{ "checkpoint.interval", OPTION_SECONDS, AT(checkpoint.interval_s), 1, 3600,
  "30s", NULL, "At the latest after this time." },
{ "checkpoint.age", OPTION_SECONDS, AT(checkpoint.age_s), 0, 600, "5s", NULL,
  "Younger records wait for the next one: most mail is gone by then." },
{ "checkpoint.log_bytes", OPTION_BYTES, AT(checkpoint.log_bytes), MIB, 4 * GIB,
  "1GiB", NULL, "Earlier when the log has grown by this much." },
{ "checkpoint.deltas", OPTION_NUMBER, AT(checkpoint.deltas), 100, 10000000,
  "200000", NULL, "Earlier with this many changes in memory." },

{ "queue", OPTION_SECTION, 0, 0, 0, NULL, NULL, "Files of the spool." },
{ "queue.segment_bytes", OPTION_BYTES32, AT(queue.segment_bytes), MIB, GIB,
  "64MiB", NULL, "One segment file of the log; fixed when the spool is made." },
{ "queue.segments_ahead", OPTION_NUMBER, AT(queue.segments_ahead), 1, 64, "8",
  NULL, "Segment files written in advance." },
{ "queue.index_bytes_max", OPTION_BYTES, AT(queue.index_bytes_max), 16 * MIB,
  16 * TIB, "64GiB", NULL, "The most the index may grow to." },

{ "received", OPTION_BOOL, AT(received), 0, 0, "yes", NULL,
  "Add a Received line to submitted mail." },
{ "bare_newlines", OPTION_CHOICE, AT(bare_newlines), 0, 0, "fix", newline_names,
  "A CR or LF alone in submitted mail becomes CRLF, or the mail is refused." },
{ "eightbit", OPTION_CHOICE, AT(eightbit), 0, 0, "send", eightbit_names,
  "8-bit content for a server without 8BITMIME is sent as it is, or bounced." },
};
/* clang-format on */

const size_t option_count = ARRAY_LEN(option_table);

#ifndef MTAQ_BENCH_SINK_H
#define MTAQ_BENCH_SINK_H

/*
 * `mtaq sink`: the pretend internet to test and measure against.  SMTP
 * servers on any number of loopback addresses and a DNS server for made-up
 * domains in one process; every misbehaviour has a knob, every recipient a
 * line in the ledger.  bench/README.md tells the knobs and the ledger.
 *
 * Prints one line "ready smtp=ADDRESS:PORT dns=ADDRESS:PORT" when it listens,
 * runs until SIGTERM or SIGINT, and returns a sysexits(3) code.
 */
int sink_main(int argc, char **argv);

#endif

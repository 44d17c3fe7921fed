#ifndef MTAQ_BENCH_LOAD_H
#define MTAQ_BENCH_LOAD_H

/*
 * `mtaq load`: makes messages and submits them as fast as the daemon takes
 * them.  Each has a token of its own (header X-Mtaq-Token), and with
 * --accepted FILE every recipient that was acknowledged gets a line
 *
 *	id TAB token TAB recipient TAB hash
 *
 * with the hash that the sink's ledger must show for it.  Prints one line of
 * JSON with the rate and returns a sysexits(3) code.
 */
int load_main(int argc, char **argv);

#endif

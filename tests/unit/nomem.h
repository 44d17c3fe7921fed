#ifndef MTAQ_TESTS_NOMEM_H
#define MTAQ_TESTS_NOMEM_H

/*
 * Memory that runs out on request.  A test that links mtaq_nomem gets every
 * malloc, calloc, realloc, strdup, aligned_alloc and asprintf of the code
 * under test counted (what libraries allocate for themselves is not), and one
 * of them, or all behind one, can be made to fail.
 *
 *	for (nomem_begin(&n); nomem_again(&n); )
 *		... do the work; an error must be the promised one ...
 *
 * runs the work once without a failure, counts its allocations, and then once
 * for each of them with that one failing, and once more with all behind it
 * failing too.  What leaks is for ASan to see.
 */
#include <stdbool.h>
#include <stdint.h>

struct nomem {
	uint32_t turn, total; /* allocations of the turn without a failure */
	bool rest;            /* this turn all behind fail as well */
};

/* The nth allocation from now on fails (1: the next; 0: none), with rest all
 * behind it too. */
void nomem_fail(uint32_t nth, bool rest);
bool nomem_hit(void); /* has one failed since nomem_fail()? */
/* Nothing fails from here on; for what must succeed in a test. */
void nomem_stop(void);

void nomem_begin(struct nomem *n);
bool nomem_again(struct nomem *n);

#endif

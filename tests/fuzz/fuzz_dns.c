/*
 * tests/fuzz/fuzz_dns.c - hostile answers
 *
 * The octets are an answer to each type of question for "some.test".  Names
 * that come out must be names, counts must keep their limits, and what came
 * of an MX answer must go through the whole plan.
 */
#include "base/bug.h"
#include "dns/plan.h"

#include <stdlib.h>

static const char domain[] = "some.test";

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len);

static void check_head(const struct dns_head *head, size_t count)
{
	BUG_ON(head->outcome != DNS_DATA && count > 0);
	BUG_ON(head->outcome == DNS_DATA && count == 0);
	BUG_ON(head->outcome == DNS_TEMP && head->why[0] == '\0');
}

static void addresses(struct plan *plan, uint16_t i, const uint8_t *p,
		      size_t len)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA };
	struct mx_addr addrs[MX_ADDRS_MAX];
	struct dns_head head;
	size_t k, n;

	for (k = 0; k < ARRAY_LEN(types); k++) {
		n = dns_take_addrs(p, len, plan->targets[i].name, types[k],
				   &head, addrs);
		check_head(&head, n);
		plan_addrs(plan, i, types[k], &head, addrs, n);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	static const struct mx_addr own = { .family = 4,
					    .ip = { 192, 0, 2, 1 } };
	uint64_t seed = 1;
	struct plan_self self = { "our.test", &own, 1, 25, &seed };
	static struct dns_mx mx[DNS_MX_MAX];
	static struct plan plan;
	enum mx_status status = MX_OK;
	struct dns_head head;
	struct mxset *set;
	size_t i, n;

	memset(&plan, 0, sizeof(plan));
	n = dns_take_mx(p, len, domain, &head, mx);
	check_head(&head, n);
	for (i = 0; i < n; i++)
		BUG_ON(mx[i].name[0] != '\0' && mx[i].name[0] != '?' &&
		       !dns_name_ok(span_str(mx[i].name)));
	if (plan_mx(&plan, &self, domain, &head, mx, n, &status) ==
	    PLAN_ADDRESSES) {
		BUG_ON(plan.count == 0);
		for (i = 0; i < plan.count; i++)
			addresses(&plan, (uint16_t)i, p, len);
		status = plan_end(&plan, &self);
	}
	set = plan_set(&plan, &self, status);
	BUG_ON(set == NULL || (set->host_count > 0) != (status == MX_OK));
	mxset_unref(&set);
	return 0;
}

/*
 * ingress/reason.c - why a message was refused, in a word
 */
#include "ingress/reason.h"

#include "base/bug.h"
#include "ingress/frame.h"

const char *ingress_reason_name(enum ingress_reason reason)
{
	static const char *const names[] = {
		[INGRESS_ADDRESS] = "address",
		[INGRESS_CONTENT] = "content",
		[INGRESS_SIZE] = "size",
		[INGRESS_SPOOL] = "spool",
	};

	BUG_ON((unsigned)reason >= INGRESS_REASON_COUNT);
	return names[reason];
}

enum ingress_reason ingress_reason_of(const struct frame_answer *refusal)
{
	if (refusal->enhanced_class == 4)
		return INGRESS_SPOOL;
	if (refusal->enhanced_subject == 1)
		return INGRESS_ADDRESS;
	return refusal->enhanced_subject == 3 ? INGRESS_SIZE : INGRESS_CONTENT;
}

#ifndef MTAQ_ENGINE_ROUTE_H
#define MTAQ_ENGINE_ROUTE_H

/* Where an entry of routes: leads.  Sets are the caller's; NULL: no memory. */
#include "base/mxset.h"
#include "mtaq/settings.h"

bool route_is_address(const char *host);
/* The one host of a route that names an address. */
struct mxset *route_set(const struct settings_endpoint *to);
/* Of a route that names a host: where that host's mail goes, as for Postfix's
 * relayhost without brackets, on the route's port. */
struct mxset *route_with_port(const struct mxset *from, uint16_t port);

#endif

/* nodes.h - this server as one of several on one PostgreSQL (host/store/nodes.h; doc/store.md, "Several servers"): one thread with a
 * connection of its own asks each second what the others did, takes it over, shares slots with them, and does for all what one shall do.
 *
 * Behind: for STORE_NODE_BEHIND_MS nothing was heard, by a clock that also runs while the process is stopped. Then nothing may be
 * offered; the others count on it before they count this server as dead. */
#ifndef MOLT_SERVER_NODES_H
#define MOLT_SERVER_NODES_H

#include "decide/rules.h"
#include "devices.h"
#include "host/store/nodes.h"

struct nodes_parts {
    struct devices *devices;
    struct rules_holder *rules;
    /* Makes the rules in the store the current ones. *generation: which (store_rules.generation). False: they could not be read. */
    bool (*load_rules)(void *ctx, uint64_t *generation);
    void *ctx;
};

struct nodes;

/* Before the devices are loaded, which may take long: how far the others are, so that nothing which comes later is missed, and the clock. From
 * here on a thread says that this server lives. 0, or negative and *out is NULL. */
int nodes_prepare(struct nodes **out, struct store *store);
/* Starts following the others; parts are borrowed. 0, -MOLT_NO_MEMORY. */
int nodes_start(struct nodes *nodes, const struct nodes_parts *parts);
/* Ends the thread. Then, when everything is written (devices_close()), nodes_leave(). NULL: nothing, here and below. */
void nodes_stop(struct nodes *nodes);
void nodes_leave(struct nodes *nodes);

/* True: nothing may be offered. ctx: struct nodes; for struct rules_guard. */
bool nodes_behind(void *ctx);
/* True: this server does what one does for all (rollouts, expiry, webhooks, pruning). A server alone always does. *epoch (may be
 * NULL): of the lease. */
bool nodes_lead(const struct nodes *nodes, int64_t *epoch);
/* Blocks until every server that lives goes by those rules or later ones: at most STORE_NODE_LIVE_MS and a little. False: it took longer, or
 * the database is away. */
bool nodes_wait(struct nodes *nodes, uint64_t generation);

#endif

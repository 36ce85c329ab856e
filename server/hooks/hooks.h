/* hooks.h - webhooks: what happened, told to addresses that operators chose, by HTTP POST.
 *
 * Who reports an event only puts it into a bounded queue in memory; one thread makes rows of it (one for each webhook that wants it),
 * sends them in their order, and keeps what came of each. An answer of 2xx is a delivery; anything else is tried again after 2, 8, 32 ...
 * seconds, at most six hours, HOOKS_TRIES times. A receiver that is slow or silent holds up nobody but itself. What is in a row outlives
 * the process; what happened in the second before a crash may be missing: a receiver that must know everything asks the API.
 *
 * Signed as of Standard Webhooks (standardwebhooks.com): webhook-id, webhook-timestamp, webhook-signature: v1,BASE64 of HMAC-SHA256 over
 * "ID.TIMESTAMP.BODY" with the bytes that "whsec_BASE64" says. A receiver refuses old timestamps and ids that it has seen.
 *
 * Addresses that are not public (this machine, private networks, link-local ...) are refused when they are connected to, whatever
 * name led there, unless --webhook-allow has them. Redirects are not followed, proxies of the environment not used. */
#ifndef MOLT_SERVER_HOOKS_HOOKS_H
#define MOLT_SERVER_HOOKS_HOOKS_H

#include "host/store/operate.h"
#include "server/decide/rules.h"
#include "server/net/net_list.h"

#define HOOKS_TRIES     14
#define HOOKS_ALLOW_MAX 32

enum hook_event {
#define HOOK_EVENT(symbol, name, when) HOOK_##symbol,
#include "event.def"
#undef HOOK_EVENT
    HOOK_EVENTS
};
const char *hook_event_name(enum hook_event event);
const char *hook_event_when(enum hook_event event);
/* HOOK_EVENTS: there is none of that name. */
enum hook_event hook_event_of(const char *name);

struct hooks;

/* Starts the thread. store is borrowed. NULL: memory or threads are short. */
struct hooks *hooks_start(struct store *store);
/* One of several servers: sends only while lead(ctx) says so, and looks each few seconds for what others made rows of. Before the first event. */
void hooks_follow(struct hooks *hooks, bool (*lead)(void *ctx), void *ctx);
/* Makes rows of what is queued, lets a running delivery end (seconds), frees. */
void hooks_stop(struct hooks *hooks);
/* Networks that are not public and may be told all the same. */
void hooks_allow(struct hooks *hooks, const struct net *nets, size_t count);

/* The webhooks in the store changed: look again. hooks NULL: nothing, here and below. */
void hooks_changed(struct hooks *hooks);
/* What is new in these rules is told. Neither is kept. */
void hooks_rules(struct hooks *hooks, const struct store_rules *was, const struct store_rules *is);
/* These devices were written: those that asked for the first time are told. */
void hooks_devices(struct hooks *hooks, const struct model_device *devices, size_t count);
/* Attempts of devices ended. ctx: struct hooks. */
void hooks_ends(void *ctx, const struct model_attempt_end *ends, size_t count);
/* Deliveries that wait in rows; for GET /metrics. */
uint64_t hooks_waiting(const struct hooks *hooks);

#endif

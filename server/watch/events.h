/* events.h - what changed, for those who watch: GET /api/v1/events as server-sent events.
 *
 * The last EVENTS_KEPT events stand in one ring, however many watch and however slow they are: each watcher says what it saw
 * last (Last-Event-ID) and is answered with what came after that, at once or when something comes, at the latest after
 * EVENTS_WAIT_MS. The answer ends there, and the browser asks again by itself. A watcher that was away for too long gets one
 * "resync": load everything anew. Tests: test/unit/events_test.c, test/dash. */
#ifndef MOLT_SERVER_EVENTS_H
#define MOLT_SERVER_EVENTS_H

#include "../net/http_server.h"
#include "host/model.h"

#define EVENTS_KEPT         256
#define EVENTS_WATCHERS_MAX 128   /* more are told to come back in half a minute */
#define EVENTS_WAIT_MS      20000 /* below the patience of proxies */
#define EVENTS_ID_LEN       40
#define EVENTS_TEXT_MAX     16384 /* bytes of one answer */

struct events;

struct events *events_new(void); /* NULL: memory or threads are short */
void events_free(struct events *events);
/* Answers all who wait; from here on nobody waits. Before http_server_stop(). */
void events_stop(struct events *events);

/* Products, releases or rollouts changed. Thread-safe, like all here, and it does not block. */
void events_rules(struct events *events);
/* These devices changed, or were only seen: one event each, or one for all when they are many. One that asked for the first time
 * is said to be new. ctx: struct events. */
void events_devices(void *ctx, const struct model_device *devices, size_t count);

/* Parks the exchange and answers it later, on its loop's thread. after: what the watcher saw last; "": it begins now. coarse: he
 * may not see every device, so he hears that some changed and not which. */
void events_wait(struct events *events, struct http_exchange *x, const char *after, bool coarse);

/* The answer for a watcher that saw `after` last: a text in out (at least EVENTS_TEXT_MAX), its length; 0: nothing new yet. */
size_t events_read(struct events *events, const char *after, bool coarse, char *out);

/* How many wait. */
unsigned events_watchers(struct events *events);

#endif

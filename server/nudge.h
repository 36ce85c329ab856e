/* nudge.h - tells devices over MQTT that it is worth asking: one retained message a product, molt/PRODUCT/generation, which
 * changes when its releases or rollouts do. Never bytes and never truth: a device that hears of it asks as it always does, and
 * one that never hears of it misses nothing. The broker may be away for as long as it likes. Thread-safe. */
#ifndef MOLT_SERVER_NUDGE_H
#define MOLT_SERVER_NUDGE_H

#include "host/store/store.h"

struct nudge;

/* url: mqtt://[USER:PASSWORD@]HOST[:PORT][/PREFIX], mqtts:// for TLS against the system's authorities; PREFIX instead of
 * "molt". Connects in a thread of its own, now and whenever the connection ends. 0, or -1 with a sentence in err: the
 * URL is none, or memory is short. That no broker is there is no error. */
int nudge_open(struct nudge **out, const char *url, char *err, size_t err_cap);
void nudge_close(struct nudge *nudge); /* NULL: nothing */

/* What is published now; sends for each product that changed since. NULL: nothing. */
void nudge_rules(struct nudge *nudge, const struct store_rules *rules);

#endif

/* fetch.h - waits for an artifact that has to come from the bucket first. Private to server/skins. */
#ifndef MOLT_SERVER_SKINS_FETCH_H
#define MOLT_SERVER_SKINS_FETCH_H

#include "skin.h"

/* What goes on, on the loop's thread, once it is known whether the artifact came: it looks for itself. Must respond, or wait again. */
typedef void (*fetch_then)(void *ctx, struct http_exchange *x);

/* NULL when memory is short. */
struct fetch *fetch_new(struct skins *skins);
/* Ends what is under way; all who wait go on without it. */
void fetch_stop(struct fetch *fetch);
void fetch_free(struct fetch *fetch);

/* Parks the exchange until the artifact is in the folder, or cannot be had. False, and nothing happened: there is no bucket (fetch
 * NULL), it did not answer a moment ago, too many wait, or the server stops. */
bool fetch_wait(struct fetch *fetch, struct http_exchange *x, const uint8_t sha256[32], fetch_then then,
                void *ctx);

#endif

/* credential.h - how a device proves itself: "Authorization: Basic" (the password is the token, or the user name when
 * there is no password), "Authorization: Bearer", hawkBit's
 * "TargetToken" and "GatewayToken", or a path that begins with /k/TOKEN/. Verdicts of the store are
 * kept for a short time, so that polls need no database. */
#ifndef MOLT_SERVER_CREDENTIAL_H
#define MOLT_SERVER_CREDENTIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/net/http_server.h"

struct credential_cache;

enum credential_verdict {
    CREDENTIAL_UNKNOWN,
    CREDENTIAL_GOOD, /* this device's own */
    CREDENTIAL_BAD,
    CREDENTIAL_GATEWAY, /* a product's: proves each of its devices */
    CREDENTIAL_ENROL,   /* a product's: lets in, proves nothing */
};

struct credential {
    enum credential_verdict verdict;
    int64_t product_id; /* for the last two */
};

#define CREDENTIAL_KEEP_MS 30000 /* a revoked token is believed this long */

struct credential_cache *credential_cache_new(void); /* NULL when memory is short */
void credential_cache_free(struct credential_cache *cache);

/* What is remembered of token and device. Thread-safe. */
struct credential credential_recall(struct credential_cache *cache, const char *token, const char *id,
                                    int64_t now_ms);
void credential_remember(struct credential_cache *cache, const char *token, const char *id,
                         const struct credential *credential, int64_t now_ms);

/* The token in an Authorization header; false when there is none that fits cap. */
bool credential_token(struct http_slice authorization, char *out, size_t cap);

#endif

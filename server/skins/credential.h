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

enum credential_verdict { CREDENTIAL_UNKNOWN, CREDENTIAL_GOOD, CREDENTIAL_BAD };

#define CREDENTIAL_KEEP_MS 30000 /* a revoked token is believed this long */

struct credential_cache *credential_cache_new(void); /* NULL when memory is short */
void credential_cache_free(struct credential_cache *cache);

/* What is remembered of token and device. Thread-safe. */
enum credential_verdict credential_recall(struct credential_cache *cache, const char *token, const char *id,
                                          int64_t now_ms);
void credential_remember(struct credential_cache *cache, const char *token, const char *id, bool good,
                         int64_t now_ms);

/* The token in an Authorization header; false when there is none that fits cap. */
bool credential_token(struct http_slice authorization, char *out, size_t cap);

#endif

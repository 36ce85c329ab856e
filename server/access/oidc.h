/* oidc.h - logging in by an OpenID provider: authorization code with PKCE (RFC 7636), state and nonce. Asks the provider, so it may
 * block for OIDC_WAIT_S a request; at most OIDC_PENDING logins are under way, each for ten minutes and good once. Thread-safe.
 * Tests: test/unit/oidc_test.c, test/e2e/oidc (a provider of another hand). */
#ifndef MOLT_SERVER_OIDC_H
#define MOLT_SERVER_OIDC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/store/access.h"

#define OIDC_WAIT_S    10
#define OIDC_PENDING   64
#define OIDC_STATE_LEN 65
#define OIDC_URL_LEN   2048
#define OIDC_WHY_LEN   256

struct oidc;

/* issuer: https://..., or http:// on this machine. secret: "": a public client. NULL with why. */
struct oidc *oidc_new(const char *issuer, const char *client_id, const char *secret, char why[OIDC_WHY_LEN]);
void oidc_free(struct oidc *oidc);

/* Begins a login that shall come back to `redirect`, which the provider must know. url: where to send the browser. 0, or a
 * negative reason with why: -MOLT_ARG, -MOLT_CONNECT, -MOLT_NO_MEMORY. */
int oidc_begin(struct oidc *oidc, const char *redirect, int64_t now_ms, char url[OIDC_URL_LEN],
               char state[OIDC_STATE_LEN], char why[OIDC_WHY_LEN]);
/* Ends it with what came back: name is the verified e-mail address, in small letters. 0; -MOLT_UNAUTHORIZED: the provider, or
 * what it says, is no proof; -MOLT_CONNECT. */
int oidc_finish(struct oidc *oidc, const char *state, const char *code, int64_t now_ms,
                char name[STORE_ACCOUNT_LEN], char why[OIDC_WHY_LEN]);

#endif

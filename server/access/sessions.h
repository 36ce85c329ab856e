/* sessions.h - people at the dashboard: a cookie stands for the account or the token that they logged in with, until it is idle
 * for SESSIONS_IDLE_MS or SESSIONS_MAX_MS old, they log out, or the token or account is gone or has another epoch. In the store, as
 * SHA-256 of the cookie: a restart logs nobody out, servers on one store have them in common, and a copy of the store opens nothing.
 * At most SESSIONS_EACH of one account or token; then the one unused for the longest ends. Thread-safe.
 * Tests: test/unit/sessions_test.c. */
#ifndef MOLT_SERVER_SESSIONS_H
#define MOLT_SERVER_SESSIONS_H

#include "host/store/store.h"

#define SESSIONS_EACH    16
#define SESSIONS_IDLE_MS (12 * 3600 * (int64_t)1000)
#define SESSIONS_MAX_MS  (7 * 24 * 3600 * (int64_t)1000)
#define SESSIONS_NOTE_MS (5 * 60 * (int64_t)1000) /* a use is written no more often: so exact is being idle */
#define SESSIONS_KEY_LEN 65                       /* 64 hex digits of 256 random bits, NUL */

struct session {
    uint8_t token[32];         /* SHA-256 of what he logged in with; zeros: an account */
    int64_t account_id, epoch; /* of the account, then */
    /* what a changing request of it must carry in X-CSRF-Token: follows from the cookie */
    char csrf[SESSIONS_KEY_LEN];
    int64_t since_ms;
};

/* Begins a session of a token, or of an account (token zeros); of whose csrf and since_ms are not looked at. cookie: its secret
 * name. 0; -MOLT_ARG: it is of nobody or of both; -MOLT_INTERNAL: there is no randomness; or the store failed. */
int sessions_begin(struct store *store, const struct session *whose, int64_t now_ms,
                   char cookie[SESSIONS_KEY_LEN], struct session *out);
/* The session of that cookie, which was just used. 0; -MOLT_UNAUTHORIZED: there is none (any more); or the store failed. */
int sessions_find(struct store *store, const char *cookie, int64_t now_ms, struct session *out);
/* That there is none is no failure. */
int sessions_end(struct store *store, const char *cookie);
/* Ends all of the account; *ended: how many there were. */
int sessions_end_account(struct store *store, int64_t account_id, uint32_t *ended);
int sessions_count_account(struct store *store, int64_t account_id, int64_t now_ms, uint32_t *count);
/* The session goes on in the account's new epoch, which ends all others. */
int sessions_renew(struct store *store, const char *cookie, int64_t epoch);

/* Are the two keys the same? In the same time wherever they differ. */
bool sessions_key_is(const char *key, const char *is);

#endif

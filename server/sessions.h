/* sessions.h - people at the dashboard: a cookie stands for the account or the token that they logged in with, until it is idle
 * for SESSIONS_IDLE_MS or SESSIONS_MAX_MS old, they log out, the token or account is gone or has another epoch, or the server
 * ends. Kept in memory only, at most SESSIONS_MAX; then the one unused for the longest ends. Thread-safe.
 * Tests: test/unit/sessions_test.c. */
#ifndef MOLT_SERVER_SESSIONS_H
#define MOLT_SERVER_SESSIONS_H

#include "host/store/store.h"

#define SESSIONS_MAX     256
#define SESSIONS_IDLE_MS (12 * 3600 * (int64_t)1000)
#define SESSIONS_MAX_MS  (7 * 24 * 3600 * (int64_t)1000)
#define SESSIONS_KEY_LEN 65 /* 64 hex digits of 256 random bits, NUL */

struct sessions;

struct session {
    char token[STORE_TOKEN_LEN]; /* what he logged in with; "": an account */
    int64_t account_id, epoch;   /* of the account, then */
    char csrf[SESSIONS_KEY_LEN]; /* what a changing request of it must carry in X-CSRF-Token */
    int64_t since_ms;
};

struct sessions *sessions_new(void); /* NULL: memory is short */
void sessions_free(struct sessions *sessions);

/* Begins a session of a token, or of an account (token ""); of whose csrf and since_ms are not looked at. cookie: its secret
 * name. 0, or -MOLT_ARG: it is of nobody, or there is no randomness. */
int sessions_begin(struct sessions *sessions, const struct session *whose, int64_t now_ms,
                   char cookie[SESSIONS_KEY_LEN], struct session *out);
/* The session of that cookie, which was just used. False: there is none (any more). */
bool sessions_find(struct sessions *sessions, const char *cookie, int64_t now_ms, struct session *out);
void sessions_end(struct sessions *sessions, const char *cookie);
/* Ends all of the account; how many there were. */
uint32_t sessions_end_account(struct sessions *sessions, int64_t account_id);
uint32_t sessions_count_account(struct sessions *sessions, int64_t account_id, int64_t now_ms);
/* The session goes on in the account's new epoch, which ends all others. */
void sessions_renew(struct sessions *sessions, const char *cookie, int64_t epoch);

/* Are the two keys the same? In the same time wherever they differ. */
bool sessions_key_is(const char *key, const char *is);

#endif

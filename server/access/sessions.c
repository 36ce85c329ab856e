/* sessions.c - sessions of people (sessions.h). Must never say by its time how much of a guessed key was right, nor keep anything that
 * a reader of the database could log in with. Tests: test/unit/sessions_test.c. */
#include "sessions.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "molt_reason.h"

#define CSRF_SAYS "molt csrf " /* before the cookie: so that the one key is not the other */

static void to_hex(const unsigned char bytes[32], char key[SESSIONS_KEY_LEN])
{
    for (size_t i = 0; i < 32; i++)
        (void)snprintf(key + 2 * i, 3, "%02x", bytes[i]);
}

static bool random_key(char key[SESSIONS_KEY_LEN])
{
    unsigned char bytes[32];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) return false;
    to_hex(bytes, key);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return true;
}

/* Of 256 random bits a plain hash is enough: nobody can guess through it. */
static void hash_cookie(const char *cookie, uint8_t sha256[32])
{
    (void)SHA256((const unsigned char *)cookie, strlen(cookie), sha256);
}

static void csrf_of(const char cookie[SESSIONS_KEY_LEN], char csrf[SESSIONS_KEY_LEN])
{
    char text[sizeof CSRF_SAYS + SESSIONS_KEY_LEN];
    uint8_t sha256[32];
    (void)snprintf(text, sizeof text, CSRF_SAYS "%s", cookie);
    hash_cookie(text, sha256);
    to_hex(sha256, csrf);
    OPENSSL_cleanse(text, sizeof text);
}

bool sessions_key_is(const char *key, const char *is)
{
    if (strlen(key) != SESSIONS_KEY_LEN - 1 || strlen(is) != SESSIONS_KEY_LEN - 1) return false;
    return CRYPTO_memcmp(key, is, SESSIONS_KEY_LEN - 1) == 0;
}

int sessions_begin(struct store *store, const struct session *whose, int64_t now_ms,
                   char cookie[SESSIONS_KEY_LEN], struct session *out)
{
    static const uint8_t none[32];
    struct store_session row = {
        .account_id = whose->account_id, .epoch = whose->epoch, .since_ms = now_ms, .used_ms = now_ms};
    const bool by_token = memcmp(whose->token, none, sizeof none) != 0;
    if (by_token == (whose->account_id != 0)) return -MOLT_ARG;
    if (!random_key(cookie)) return -MOLT_INTERNAL;
    hash_cookie(cookie, row.key);
    memcpy(row.token, whose->token, sizeof row.token);
    *out = *whose;
    out->since_ms = now_ms;
    csrf_of(cookie, out->csrf);
    int rc =
        store_session_begin(store, &row, now_ms - SESSIONS_MAX_MS, now_ms - SESSIONS_IDLE_MS, SESSIONS_EACH);
    if (rc < 0) OPENSSL_cleanse(cookie, SESSIONS_KEY_LEN);
    return rc;
}

int sessions_find(struct store *store, const char *cookie, int64_t now_ms, struct session *out)
{
    struct store_session row;
    uint8_t key[32];
    memset(out, 0, sizeof *out);
    if (strlen(cookie) != SESSIONS_KEY_LEN - 1) return -MOLT_UNAUTHORIZED;
    hash_cookie(cookie, key);
    int rc = store_session_find(store, key, &row);
    if (rc < 0) return rc == -MOLT_NOT_FOUND ? -MOLT_UNAUTHORIZED : rc;
    if (now_ms - row.used_ms > SESSIONS_IDLE_MS || now_ms - row.since_ms > SESSIONS_MAX_MS)
        return -MOLT_UNAUTHORIZED; /* its row goes when the next one begins */
    memcpy(out->token, row.token, sizeof out->token);
    out->account_id = row.account_id;
    out->epoch = row.epoch;
    out->since_ms = row.since_ms;
    csrf_of(cookie, out->csrf);
    /* when that cannot be written, he is in all the same */
    if (now_ms - row.used_ms >= SESSIONS_NOTE_MS) (void)store_session_used(store, key, now_ms);
    return 0;
}

int sessions_end(struct store *store, const char *cookie)
{
    uint8_t key[32];
    hash_cookie(cookie, key);
    return store_session_end(store, key);
}

int sessions_end_account(struct store *store, int64_t account_id, uint32_t *ended)
{
    return store_session_end_account(store, account_id, ended);
}

int sessions_count_account(struct store *store, int64_t account_id, int64_t now_ms, uint32_t *count)
{
    return store_session_count(store, account_id, now_ms - SESSIONS_MAX_MS, now_ms - SESSIONS_IDLE_MS, count);
}

int sessions_renew(struct store *store, const char *cookie, int64_t epoch)
{
    uint8_t key[32];
    hash_cookie(cookie, key);
    return store_session_renew(store, key, epoch);
}

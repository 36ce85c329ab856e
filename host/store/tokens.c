/* tokens.c - credentials of people and devices: made here, shown once, kept as SHA-256 only.
 * Must never store or log a token. Tests: test/unit/store_test.c. */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "clock.h"
#include "parts.h"

#define TOKEN_PREFIX     "molt_"
#define TOKEN_PREFIX_LEN 5u
#define TOKEN_RANDOM_LEN 40u /* characters of 5 bits: 200 bits, so that guessing needs no rate limit */
_Static_assert(TOKEN_PREFIX_LEN + TOKEN_RANDOM_LEN < STORE_TOKEN_LEN, "a token fits");

static int make_token(char token[STORE_TOKEN_LEN])
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567"; /* base32, RFC 4648, lower case */
    uint8_t random[TOKEN_RANDOM_LEN];
    ssize_t got;
    do {
        got = getrandom(random, sizeof random, 0);
    } while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof random) return store_fail(MOLT_INTERNAL, "no randomness: %s", strerror(errno));
    memset(token, 0, STORE_TOKEN_LEN);
    memcpy(token, TOKEN_PREFIX, TOKEN_PREFIX_LEN);
    for (size_t i = 0; i < TOKEN_RANDOM_LEN; i++)
        token[TOKEN_PREFIX_LEN + i] = alphabet[random[i] & 31u];
    OPENSSL_cleanse(random, sizeof random);
    return 0;
}

static int hash_token(const char *token, size_t len, uint8_t sha256[32])
{
    if (EVP_Digest(token, len, sha256, NULL, EVP_sha256(), NULL) == 1) return 0;
    return store_fail(MOLT_INTERNAL, "cannot hash a token");
}

static int insert_token(struct store *store, enum store_token_kind kind, const char *label,
                        const char *device_id, int64_t product_id, const uint8_t sha256[32])
{
    static const char sql[] = "INSERT INTO token (sha256, kind, label, device_id, product_id, created_ms)"
                              " VALUES (?, ?, ?, ?, ?, ?)";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_blob(stmt, 1, sha256, 32);
    db_bind_int(stmt, 2, (int)kind);
    db_bind_text(stmt, 3, label != NULL ? label : "");
    db_bind_text(stmt, 4, device_id); /* NULL binds as NULL */
    if (product_id != 0) db_bind_int(stmt, 5, product_id);
    db_bind_int(stmt, 6, clock_now_ms());
    return db_step(stmt);
}

static int check_order(enum store_token_kind kind, const char *label, const char *device_id,
                       int64_t product_id)
{
    const bool shared = kind == STORE_TOKEN_GATEWAY || kind == STORE_TOKEN_ENROL;
    if (kind != STORE_TOKEN_ADMIN && kind != STORE_TOKEN_DEVICE && !shared)
        return store_fail(MOLT_ARG, "no such kind of token");
    if ((kind == STORE_TOKEN_DEVICE) != (device_id != NULL))
        return store_fail(MOLT_ARG, "a device's token names the device, no other does");
    if ((shared && product_id == 0) || (kind == STORE_TOKEN_DEVICE && product_id != 0))
        return store_fail(MOLT_ARG,
                          "a gateway's and an enrolment's token name a product, a device's does not");
    if (device_id != NULL && strnlen(device_id, MODEL_ID_LEN) == MODEL_ID_LEN)
        return store_fail(MOLT_ARG, "the device's id is too long");
    if (label != NULL && strnlen(label, MODEL_NAME_LEN) == MODEL_NAME_LEN)
        return store_fail(MOLT_ARG, "the label is too long");
    return 0;
}

int store_token_create(struct store *store, enum store_token_kind kind, const char *label,
                       const char *device_id, char token[STORE_TOKEN_LEN])
{
    return store_token_create_for(store, kind, label, device_id, 0, token);
}

int store_token_create_for(struct store *store, enum store_token_kind kind, const char *label,
                           const char *device_id, int64_t product_id, char token[STORE_TOKEN_LEN])
{
    token[0] = '\0';
    char made[STORE_TOKEN_LEN];
    uint8_t sha256[32];
    int rc = check_order(kind, label, device_id, product_id);
    if (rc == 0) rc = make_token(made);
    if (rc == 0) rc = hash_token(made, TOKEN_PREFIX_LEN + TOKEN_RANDOM_LEN, sha256);
    if (rc == 0) rc = store_enter(store);
    if (rc < 0) return rc;
    rc = insert_token(store, kind, label, device_id, product_id, sha256);
    store_leave(store);
    if (rc == 0) memcpy(token, made, sizeof made);
    OPENSSL_cleanse(made, sizeof made);
    return rc;
}

/* Looked up by hash: how long the look-up takes says nothing about the token. */
static int look_up(struct store *store, const uint8_t sha256[32], struct store_token *out)
{
    static const char sql[] = "SELECT sha256, kind, label, coalesce(device_id, ''), product_id,"
                              " created_ms FROM token WHERE sha256 = ?";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_blob(stmt, 1, sha256, 32);
    int rc = db_step(stmt);
    if (rc == 1)
        rc = token_read(stmt, out);
    else if (rc == 0)
        rc = store_fail(MOLT_UNAUTHORIZED, "the token is not valid here");
    db_reset(stmt);
    return rc;
}

int store_token_find(struct store *store, const char *token, struct store_token *out)
{
    uint8_t sha256[32];
    memset(out, 0, sizeof *out);
    if (token == NULL || strnlen(token, STORE_TOKEN_LEN) != TOKEN_PREFIX_LEN + TOKEN_RANDOM_LEN ||
        memcmp(token, TOKEN_PREFIX, TOKEN_PREFIX_LEN) != 0) {
        return store_fail(MOLT_UNAUTHORIZED, "this is not a token of molt");
    }
    int rc = hash_token(token, TOKEN_PREFIX_LEN + TOKEN_RANDOM_LEN, sha256);
    if (rc == 0) rc = store_enter(store);
    if (rc < 0) return rc;
    rc = look_up(store, sha256, out);
    store_leave(store);
    return rc;
}

int store_token_check(struct store *store, enum store_token_kind kind, const char *token,
                      const char *device_id)
{
    struct store_token found;
    int rc = store_token_find(store, token, &found);
    if (rc < 0) return rc;
    const bool theirs =
        kind != STORE_TOKEN_DEVICE || (device_id != NULL && strcmp(found.device_id, device_id) == 0);
    return found.kind == kind && theirs ? 0 : store_fail(MOLT_UNAUTHORIZED, "the token is not valid here");
}

int store_token_count(struct store *store, enum store_token_kind kind, uint32_t *count)
{
    static const char sql[] = "SELECT count(*) FROM token WHERE kind = ?";
    *count = 0;
    int rc = store_enter(store);
    if (rc < 0) return rc;
    struct db_statement *stmt = db_statement(store->db, sql);
    rc = -MOLT_STORE_FAILED;
    if (stmt != NULL) {
        db_bind_int(stmt, 1, (int)kind);
        rc = db_step(stmt);
        if (rc == 1) {
            *count = (uint32_t)db_int(stmt, 0);
            rc = 0;
        }
        db_reset(stmt);
    }
    store_leave(store);
    return rc;
}

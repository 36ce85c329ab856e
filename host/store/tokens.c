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

static int insert_token(struct store *store, const struct store_token *order, const uint8_t sha256[32])
{
    static const char sql[] =
        "INSERT INTO token (sha256, kind, label, device_id, product_id, created_ms, roles,"
        " expires_ms, made_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_blob(stmt, 1, sha256, 32);
    db_bind_int(stmt, 2, (int)order->kind);
    db_bind_text(stmt, 3, order->label);
    db_bind_text(stmt, 4, order->device_id[0] != '\0' ? order->device_id : NULL);
    if (order->product_id != 0) db_bind_int(stmt, 5, order->product_id);
    db_bind_int(stmt, 6, clock_now_ms());
    db_bind_int(stmt, 7, order->roles);
    db_bind_int(stmt, 8, order->expires_ms);
    db_bind_text(stmt, 9, order->made_by);
    return db_step(stmt);
}

static bool ends(const char *text, size_t cap)
{
    return memchr(text, '\0', cap) != NULL;
}

static int check_order(const struct store_token *order)
{
    const bool shared = order->kind == STORE_TOKEN_GATEWAY || order->kind == STORE_TOKEN_ENROL;
    const bool of_device = order->kind == STORE_TOKEN_DEVICE, of_api = order->kind == STORE_TOKEN_ADMIN;
    if (!of_api && !of_device && !shared) return store_fail(MOLT_ARG, "no such kind of token");
    if (!ends(order->label, sizeof order->label) || !ends(order->device_id, sizeof order->device_id) ||
        !ends(order->made_by, sizeof order->made_by))
        return store_fail(MOLT_ARG, "a text of the token is too long");
    if (of_device != (order->device_id[0] != '\0'))
        return store_fail(MOLT_ARG, "a device's token names the device, no other does");
    if ((shared && order->product_id == 0) || (of_device && order->product_id != 0))
        return store_fail(MOLT_ARG,
                          "a gateway's and an enrolment's token name a product, a device's does not");
    if (of_api != (order->roles != 0) || order->roles > STORE_ROLES_ALL)
        return store_fail(MOLT_ARG, "a token of the API has roles, no other does");
    return order->expires_ms >= 0 ? 0 : store_fail(MOLT_ARG, "a token expires after 1970, or never");
}

int store_token_create(struct store *store, enum store_token_kind kind, const char *label,
                       const char *device_id, char token[STORE_TOKEN_LEN])
{
    return store_token_create_for(store, kind, label, device_id, 0, token);
}

int store_token_create_for(struct store *store, enum store_token_kind kind, const char *label,
                           const char *device_id, int64_t product_id, char token[STORE_TOKEN_LEN])
{
    struct store_token order = {
        .kind = kind, .product_id = product_id, .roles = kind == STORE_TOKEN_ADMIN ? STORE_ROLE_ADMIN : 0};
    token[0] = '\0';
    if (label != NULL && strnlen(label, MODEL_NAME_LEN) == MODEL_NAME_LEN)
        return store_fail(MOLT_ARG, "the label is too long");
    if (device_id != NULL && strnlen(device_id, MODEL_ID_LEN) == MODEL_ID_LEN)
        return store_fail(MOLT_ARG, "the device's id is too long");
    snprintf(order.label, sizeof order.label, "%s", label != NULL ? label : "");
    snprintf(order.device_id, sizeof order.device_id, "%s", device_id != NULL ? device_id : "");
    return store_token_make(store, &order, token);
}

int store_token_make(struct store *store, const struct store_token *order, char token[STORE_TOKEN_LEN])
{
    token[0] = '\0';
    char made[STORE_TOKEN_LEN];
    uint8_t sha256[32];
    int rc = check_order(order);
    if (rc == 0) rc = make_token(made);
    if (rc == 0) rc = hash_token(made, TOKEN_PREFIX_LEN + TOKEN_RANDOM_LEN, sha256);
    if (rc == 0) rc = store_enter(store);
    if (rc < 0) return rc;
    rc = insert_token(store, order, sha256);
    store_leave(store);
    if (rc == 0) memcpy(token, made, sizeof made);
    OPENSSL_cleanse(made, sizeof made);
    return rc;
}

/* Looked up by hash: how long the look-up takes says nothing about the token. */
static int look_up(struct store *store, const uint8_t sha256[32], struct store_token *out)
{
    static const char sql[] = "SELECT sha256, kind, label, coalesce(device_id, ''), product_id,"
                              " created_ms, roles, expires_ms, made_by FROM token WHERE sha256 = ?";
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

int store_token_hash(const char *token, uint8_t sha256[32])
{
    if (token == NULL || strnlen(token, STORE_TOKEN_LEN) != TOKEN_PREFIX_LEN + TOKEN_RANDOM_LEN ||
        memcmp(token, TOKEN_PREFIX, TOKEN_PREFIX_LEN) != 0) {
        return store_fail(MOLT_UNAUTHORIZED, "this is not a token of molt");
    }
    return hash_token(token, TOKEN_PREFIX_LEN + TOKEN_RANDOM_LEN, sha256);
}

int store_token_find_hash(struct store *store, const uint8_t sha256[32], struct store_token *out)
{
    memset(out, 0, sizeof *out);
    int rc = store_enter(store);
    if (rc < 0) return rc;
    rc = look_up(store, sha256, out);
    store_leave(store);
    if (rc == 0 && out->expires_ms != 0 && clock_now_ms() >= out->expires_ms) {
        memset(out, 0, sizeof *out);
        rc = store_fail(MOLT_UNAUTHORIZED, "the token has expired");
    }
    return rc;
}

int store_token_find(struct store *store, const char *token, struct store_token *out)
{
    uint8_t sha256[32];
    memset(out, 0, sizeof *out);
    int rc = store_token_hash(token, sha256);
    return rc == 0 ? store_token_find_hash(store, sha256, out) : rc;
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

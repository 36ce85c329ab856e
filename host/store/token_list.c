/* token_list.c - the tokens as people see them: a list by fingerprint, and revoking one.
 * Must never give out what could be used as a token. Tests: test/unit/api_test.c. */
#include <stdio.h>
#include <string.h>

#include "parts.h"

#define FINGERPRINT_LEN 6u /* bytes of the SHA-256 that name a token */

int token_read(struct db_statement *stmt, struct store_token *out)
{
    static const struct column columns[] = {
        {COLUMN_UINT, offsetof(struct store_token, kind), sizeof(((struct store_token *)NULL)->kind)},
        {COLUMN_TEXT, offsetof(struct store_token, label), MODEL_NAME_LEN},
        {COLUMN_TEXT, offsetof(struct store_token, device_id), MODEL_ID_LEN},
        {COLUMN_REF, offsetof(struct store_token, product_id), sizeof(int64_t)},
        {COLUMN_INT, offsetof(struct store_token, created_ms), sizeof(int64_t)},
        {COLUMN_UINT, offsetof(struct store_token, roles), sizeof(uint32_t)},
        {COLUMN_INT, offsetof(struct store_token, expires_ms), sizeof(int64_t)},
        {COLUMN_TEXT, offsetof(struct store_token, made_by), MODEL_NAME_LEN},
    };
    size_t len;
    const uint8_t *sha256 = db_blob(stmt, 0, &len);
    memset(out, 0, sizeof *out);
    if (len != 32) return store_fail(MOLT_STORE_FAILED, "the database is damaged: a token does not fit");
    for (size_t i = 0; i < FINGERPRINT_LEN; i++)
        snprintf(out->id + 2 * i, 3, "%02x", sha256[i]);
    return store_read(stmt, 1, columns, sizeof columns / sizeof columns[0], out);
}

int store_each_token(struct store *store, int (*row)(void *ctx, const struct store_token *token), void *ctx)
{
    static const char sql[] = "SELECT sha256, kind, label, coalesce(device_id, ''), product_id,"
                              " created_ms, roles, expires_ms, made_by"
                              " FROM token ORDER BY created_ms, sha256";
    int rc = store_enter(store);
    if (rc < 0) return rc;
    struct db_statement *stmt = db_statement(store->db, sql);
    rc = stmt != NULL ? 0 : -MOLT_STORE_FAILED;
    while (rc == 0 && (rc = db_step(stmt)) == 1) {
        struct store_token token;
        rc = token_read(stmt, &token);
        if (rc < 0 || row(ctx, &token) != 0) break;
    }
    if (stmt != NULL) db_reset(stmt);
    store_leave(store);
    return rc < 0 ? rc : 0;
}

static bool read_fingerprint(const char *id, uint8_t out[FINGERPRINT_LEN])
{
    static const char digits[] = "0123456789abcdef";
    if (strnlen(id, STORE_TOKEN_ID_LEN) != STORE_TOKEN_ID_LEN - 1) return false;
    memset(out, 0, FINGERPRINT_LEN);
    for (size_t i = 0; i < 2 * FINGERPRINT_LEN; i++) {
        const char *digit = strchr(digits, id[i]);
        if (digit == NULL) return false;
        out[i / 2] = (uint8_t)(out[i / 2] << 4 | (digit - digits));
    }
    return true;
}

struct revoking {
    uint8_t fingerprint[FINGERPRINT_LEN];
    char name[MODEL_NAME_LEN]; /* as its tokens say who made them */
};

static int delete_token(struct store *store, void *ctx)
{
    static const char sql[] = "DELETE FROM token WHERE substr(sha256, 1, 6) = ?";
    static const char made[] = "DELETE FROM token WHERE kind = 1 AND made_by = ?"; /* STORE_TOKEN_ADMIN */
    const struct revoking *revoking = ctx;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_blob(stmt, 1, revoking->fingerprint, FINGERPRINT_LEN);
    int rc = db_step(stmt);
    if (rc == 0 && db_changes(stmt) == 0) return store_fail(MOLT_NOT_FOUND, "there is no such token");
    if (rc < 0) return rc;
    stmt = db_statement(store->db, made);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_text(stmt, 1, revoking->name);
    return db_step(stmt);
}

int store_token_delete(struct store *store, const char *id)
{
    struct revoking revoking;
    if (!read_fingerprint(id, revoking.fingerprint))
        return store_fail(MOLT_NOT_FOUND, "there is no such token");
    (void)snprintf(revoking.name, sizeof revoking.name, "token %s", id);
    return store_transact(store, DB_ROWS, delete_token, &revoking);
}

/* token_list.c - the tokens as people see them: a list by fingerprint, and revoking one.
 * Must never give out what could be used as a token. Tests: test/unit/api_test.c. */
#include <string.h>

#include "sqlite.h"

int token_read(sqlite3_stmt *stmt, struct store_token *out)
{
    static const struct column columns[] = {
        {COLUMN_TEXT, offsetof(struct store_token, id), sizeof(((struct store_token *)NULL)->id)},
        {COLUMN_UINT, offsetof(struct store_token, kind), sizeof(((struct store_token *)NULL)->kind)},
        {COLUMN_TEXT, offsetof(struct store_token, label), MODEL_NAME_LEN},
        {COLUMN_TEXT, offsetof(struct store_token, device_id), MODEL_ID_LEN},
        {COLUMN_REF, offsetof(struct store_token, product_id), sizeof(int64_t)},
        {COLUMN_INT, offsetof(struct store_token, created_ms), sizeof(int64_t)},
    };
    memset(out, 0, sizeof *out);
    return store_read(stmt, 0, columns, sizeof columns / sizeof columns[0], out);
}

int store_each_token(struct store *store, int (*row)(void *ctx, const struct store_token *token), void *ctx)
{
    static const char sql[] =
        "SELECT lower(hex(substr(sha256, 1, 6))), kind, label, coalesce(device_id, ''), product_id,"
        " created_ms"
        " FROM token ORDER BY created_ms, sha256";
    int rc = store_enter(store);
    if (rc < 0) return rc;
    sqlite3_stmt *stmt = store_statement(store, sql);
    rc = stmt != NULL ? 0 : -MOLT_STORE_FAILED;
    while (rc == 0 && (rc = store_step(store, stmt)) == 1) {
        struct store_token token;
        rc = token_read(stmt, &token);
        if (rc < 0 || row(ctx, &token) != 0) break;
    }
    if (stmt != NULL) sqlite3_reset(stmt);
    store_leave(store);
    return rc < 0 ? rc : 0;
}

int store_token_delete(struct store *store, const char *id)
{
    static const char sql[] = "DELETE FROM token WHERE lower(hex(substr(sha256, 1, 6))) = ?";
    if (strnlen(id, STORE_TOKEN_ID_LEN) != STORE_TOKEN_ID_LEN - 1)
        return store_fail(MOLT_NOT_FOUND, "there is no such token");
    int rc = store_enter(store);
    if (rc < 0) return rc;
    sqlite3_stmt *stmt = store_statement(store, sql);
    rc = -MOLT_STORE_FAILED;
    if (stmt != NULL) {
        sqlite3_bind_text(stmt, 1, id, -1, SQLITE_TRANSIENT);
        rc = store_step(store, stmt);
        if (rc == 0 && sqlite3_changes(store->db) == 0)
            rc = store_fail(MOLT_NOT_FOUND, "there is no such token");
    }
    store_leave(store);
    return rc;
}

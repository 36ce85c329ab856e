/* history.c - what became of devices' attempts, and what devices write of themselves: the last of both, never more.
 * Must never grow with what a device sends. Tests: test/unit/store_history_test.c. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "sqlite.h"

#define FIELD(kind, field)                                                                                   \
    {                                                                                                        \
        COLUMN_##kind, offsetof(struct model_attempt_end, field),                                            \
            sizeof(((struct model_attempt_end *)NULL)->field)                                                \
    }
static const struct column columns[] = {
    FIELD(TEXT, device_id), FIELD(INT, ended_ms),   FIELD(INT, release_id), FIELD(UINT, code),
    FIELD(UINT, from_code), FIELD(INT, rollout_id), FIELD(UINT, result),    FIELD(INT, reason),
    FIELD(UINT, bytes),     FIELD(UINT, verified),
};
#define COLUMN_COUNT (sizeof columns / sizeof columns[0])

#define NAMES "device_id, ended_ms, release_id, code, from_code, rollout_id, result, reason, bytes, verified"

static int add_one(struct store *store, const struct model_attempt_end *end)
{
    static const char add[] = "INSERT INTO attempt (" NAMES ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    static const char trim[] =
        "DELETE FROM attempt WHERE device_id = ?1 AND id <="
        " (SELECT id FROM attempt WHERE device_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";
    sqlite3_stmt *stmt = store_statement(store, add);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    int rc = store_bind(stmt, 1, columns, COLUMN_COUNT, end);
    if (rc == 0) rc = store_step(store, stmt);
    if (rc < 0) return rc;
    stmt = store_statement(store, trim);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    sqlite3_bind_text(stmt, 1, end->device_id, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int(stmt, 2, STORE_ATTEMPTS_MAX);
    return store_step(store, stmt);
}

int store_add_attempts(struct store *store, const struct model_attempt_end *ends, size_t count)
{
    if (count == 0) return 0;
    int rc = store_enter(store);
    if (rc < 0) return rc;
    rc = store_begin(store);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = add_one(store, &ends[i]);
    rc = store_end(store, rc);
    store_leave(store);
    return rc;
}

int store_each_attempt(struct store *store, const char *device_id,
                       int (*row)(void *ctx, const struct model_attempt_end *end), void *ctx)
{
    static const char sql[] = "SELECT " NAMES " FROM attempt WHERE device_id = ? ORDER BY id DESC";
    int rc = store_enter(store);
    if (rc < 0) return rc;
    sqlite3_stmt *stmt = store_statement(store, sql);
    rc = stmt != NULL ? sqlite3_bind_text(stmt, 1, device_id, -1, SQLITE_TRANSIENT) : -MOLT_STORE_FAILED;
    while (rc == 0 && (rc = store_step(store, stmt)) == 1) {
        struct model_attempt_end end = {.ended_ms = 0};
        rc = store_read(stmt, 0, columns, COLUMN_COUNT, &end);
        if (rc < 0 || row(ctx, &end) != 0) break;
    }
    if (stmt != NULL) sqlite3_reset(stmt);
    store_leave(store);
    return rc < 0 ? rc : 0;
}

/* ---- what a device writes ---- */

static int read_log(struct store *store, const char *device_id, char text[STORE_LOG_LEN], int64_t *updated_ms)
{
    static const char sql[] = "SELECT text, updated_ms FROM device_log WHERE device_id = ?";
    text[0] = '\0';
    *updated_ms = 0;
    sqlite3_stmt *stmt = store_statement(store, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    sqlite3_bind_text(stmt, 1, device_id, -1, SQLITE_TRANSIENT);
    int rc = store_step(store, stmt);
    if (rc == 1) {
        const char *bytes = (const char *)sqlite3_column_text(stmt, 0);
        size_t len = (size_t)sqlite3_column_bytes(stmt, 0);
        *updated_ms = sqlite3_column_int64(stmt, 1);
        if (bytes != NULL && len < STORE_LOG_LEN) memcpy(text, bytes, len + 1);
        rc = 0;
    }
    sqlite3_reset(stmt);
    return rc;
}

static int write_log(struct store *store, const char *device_id, const char *text, int64_t now_ms)
{
    static const char sql[] =
        "INSERT OR REPLACE INTO device_log (device_id, updated_ms, text) VALUES (?, ?, ?)";
    sqlite3_stmt *stmt = store_statement(store, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    sqlite3_bind_text(stmt, 1, device_id, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(stmt, 2, now_ms);
    sqlite3_bind_text(stmt, 3, text, -1, SQLITE_TRANSIENT);
    return store_step(store, stmt);
}

/* Whole lines are dropped from the front until both fit. */
static void append_lines(char text[STORE_LOG_LEN], const char *more)
{
    size_t len = strlen(text), add = strlen(more);
    if (add >= STORE_LOG_LEN) {
        more += add - (STORE_LOG_LEN - 1);
        add = STORE_LOG_LEN - 1;
    }
    size_t drop = 0;
    while (len - drop + add >= STORE_LOG_LEN) {
        const char *end = memchr(text + drop, '\n', len - drop);
        drop = end != NULL ? (size_t)(end - text) + 1 : len;
    }
    memmove(text, text + drop, len - drop);
    memcpy(text + len - drop, more, add + 1);
}

int store_log_append(struct store *store, const char *device_id, const char *lines, int64_t now_ms)
{
    char text[STORE_LOG_LEN];
    int64_t updated_ms;
    int rc = store_enter(store);
    if (rc < 0) return rc;
    rc = store_begin(store);
    if (rc == 0) {
        rc = read_log(store, device_id, text, &updated_ms);
        if (rc == 0) {
            append_lines(text, lines);
            rc = write_log(store, device_id, text, now_ms);
        }
        rc = store_end(store, rc);
    }
    store_leave(store);
    return rc;
}

int store_log_read(struct store *store, const char *device_id, char text[STORE_LOG_LEN], int64_t *updated_ms)
{
    int rc = store_enter(store);
    if (rc < 0) return rc;
    rc = read_log(store, device_id, text, updated_ms);
    store_leave(store);
    return rc;
}

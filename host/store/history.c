/* history.c - what became of devices' attempts, and what devices write of themselves: the last of both, never more.
 * Must never grow with what a device sends. Tests: test/unit/store_history_test.c. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

#define FIELD(kind, field)                                                                                   \
    {                                                                                                        \
        COLUMN_##kind, offsetof(struct model_attempt_end, field),                                            \
            sizeof(((struct model_attempt_end *)NULL)->field)                                                \
    }
const struct column attempt_columns[ATTEMPT_COLUMNS] = {
    FIELD(TEXT, device_id), FIELD(INT, ended_ms),   FIELD(INT, release_id), FIELD(UINT, code),
    FIELD(UINT, from_code), FIELD(INT, rollout_id), FIELD(UINT, result),    FIELD(INT, reason),
    FIELD(UINT, bytes),     FIELD(UINT, verified),  FIELD(INT, once),
};

/* *began: row was called. */
static int each_attempt(struct store *store, const char *device_id, bool *began,
                        int (*row)(void *ctx, const struct model_attempt_end *end), void *ctx)
{
    static const char sql[] = "SELECT " ATTEMPT_NAMES " FROM attempt WHERE device_id = ? ORDER BY id DESC";
    int rc = store_enter(store);
    if (rc < 0) return rc;
    struct db_statement *stmt = db_statement(store->db, sql);
    rc = stmt != NULL ? 0 : -MOLT_STORE_FAILED;
    if (stmt != NULL) db_bind_text(stmt, 1, device_id);
    while (rc == 0 && (rc = db_step(stmt)) == 1) {
        struct model_attempt_end end = {.ended_ms = 0};
        rc = store_read(stmt, 0, attempt_columns, ATTEMPT_COLUMNS, &end);
        if (rc < 0) break;
        *began = true;
        if (row(ctx, &end) != 0) break;
    }
    if (stmt != NULL) db_reset(stmt);
    store_leave(store);
    return rc < 0 ? rc : 0;
}

int store_each_attempt(struct store *store, const char *device_id,
                       int (*row)(void *ctx, const struct model_attempt_end *end), void *ctx)
{
    bool began = false;
    struct store *reader = store_reader(store);
    int rc = each_attempt(reader, device_id, &began, row, ctx);
    return store_sent_back(store, reader, rc) && !began ? each_attempt(store, device_id, &began, row, ctx)
                                                        : rc;
}

/* ---- what a device writes ---- */

static int read_log(struct store *store, const char *device_id, char text[STORE_LOG_LEN], int64_t *updated_ms)
{
    static const char sql[] = "SELECT text, updated_ms FROM device_log WHERE device_id = ?";
    text[0] = '\0';
    *updated_ms = 0;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_text(stmt, 1, device_id);
    int rc = db_step(stmt);
    if (rc == 1) {
        const char *bytes = db_text(stmt, 0);
        size_t len = bytes != NULL ? strlen(bytes) : 0;
        *updated_ms = db_int(stmt, 1);
        if (bytes != NULL && len < STORE_LOG_LEN) memcpy(text, bytes, len + 1);
        rc = 0;
    }
    db_reset(stmt);
    return rc;
}

static int write_log(struct store *store, const char *device_id, const char *text, int64_t now_ms)
{
    static const char sql[] =
        "INSERT INTO device_log (device_id, updated_ms, text) VALUES (?, ?, ?) ON CONFLICT (device_id)"
        " DO UPDATE SET updated_ms = excluded.updated_ms, text = excluded.text";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_text(stmt, 1, device_id);
    db_bind_int(stmt, 2, now_ms);
    db_bind_text(stmt, 3, text);
    return db_step(stmt);
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

struct all_lines {
    const struct store_lines *entries;
    size_t count;
};

static int add_lines(struct store *store, void *ctx)
{
    const struct all_lines *all = ctx;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < all->count; i++) {
        char text[STORE_LOG_LEN];
        int64_t updated_ms;
        rc = read_log(store, all->entries[i].device_id, text, &updated_ms);
        if (rc < 0) return rc;
        append_lines(text, all->entries[i].lines);
        rc = write_log(store, all->entries[i].device_id, text, all->entries[i].at_ms);
    }
    return rc;
}

int store_log_append(struct store *store, const struct store_lines *entries, size_t count)
{
    struct all_lines all = {entries, count};
    return count == 0 ? 0 : store_transact(store, DB_CHANGE, add_lines, &all);
}

static int read_log_of(struct store *store, const char *device_id, char text[STORE_LOG_LEN],
                       int64_t *updated_ms)
{
    int rc = store_enter(store);
    if (rc < 0) return rc;
    rc = read_log(store, device_id, text, updated_ms);
    store_leave(store);
    return rc;
}

int store_log_read(struct store *store, const char *device_id, char text[STORE_LOG_LEN], int64_t *updated_ms)
{
    struct store *reader = store_reader(store);
    int rc = read_log_of(reader, device_id, text, updated_ms);
    return store_sent_back(store, reader, rc) ? read_log_of(store, device_id, text, updated_ms) : rc;
}

/* devices.c - rows of devices. One list of fields makes the SQL and moves the values, so that none is forgotten.
 * Must never hold a transaction open while others are called. Tests: test/unit/store_test.c. */
#include <string.h>

#include "sqlite.h"

/* clang-format off */
#define DEVICE_FIELDS(F) \
    F(REF, product_id) F(TEXT, channel) F(UINT, held) F(UINT, verified) F(UINT, gz_refused) F(UINT, gz_proven) \
    F(UINT, molt_boot) \
    F(UINT, chip) F(UINT, chip_source) F(UINT, client) F(UINT, flash_size) F(UINT, fs_start) \
    F(UINT, slot_size) F(UINT, sketch_size) F(UINT, free_space) F(TEXT, core) F(UINT, can) F(UINT, gzip_window) \
    F(UINT, running_code) F(TEXT, running_version) F(UINT, has_digest) F(BLOB, digest) F(TEXT, address) \
    F(INT, first_seen_ms) F(INT, last_seen_ms) F(INT, last_reason) F(TEXT, last_detail) F(INT, last_reason_ms) \
    F(UINT, attempt) F(REF, attempt_release_id) F(BLOB, attempt_sha256) F(UINT, attempt_sends) F(UINT, attempt_bytes) \
    F(INT, announced_ms) F(UINT, announced_code) F(INT, attempt_reason) \
    F(UINT, result) F(INT, result_reason) F(INT, result_release_id) \
    F(BLOB, fs_sha256) F(UINT, fs_sends) \
    F(TEXT, group_name) F(TEXT, tags) F(TEXT, attributes) F(UINT, pinned_code) F(INT, rollout_id) \
    F(UINT, rollout_open) F(UINT, rollout_counts) F(INT, rollout_ms) F(UINT, rollout_failures) F(UINT, rollout_outcome)
/* clang-format on */

#define AS_NAME(kind, field) ", " #field
#define AS_MARK(kind, field) ", ?"
#define AS_COLUMN(kind, field)                                                                               \
    {COLUMN_##kind, offsetof(struct model_device, field), sizeof(((struct model_device *)NULL)->field)},

static const struct column columns[] = {{COLUMN_TEXT, offsetof(struct model_device, id), MODEL_ID_LEN},
                                        DEVICE_FIELDS(AS_COLUMN)};
#define COLUMN_COUNT (sizeof columns / sizeof columns[0])

static const char save_sql[] =
    "INSERT OR REPLACE INTO device (id" DEVICE_FIELDS(AS_NAME) ") VALUES (?" DEVICE_FIELDS(AS_MARK) ")";
static const char each_sql[] = "SELECT id" DEVICE_FIELDS(AS_NAME) " FROM device WHERE id > ? ORDER BY id";
static const char get_sql[] = "SELECT id" DEVICE_FIELDS(AS_NAME) " FROM device WHERE id = ?";

static int each_row(struct store *store, const char *after,
                    int (*row)(void *ctx, const struct model_device *device), void *ctx)
{
    sqlite3_stmt *stmt = store_statement(store, each_sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    sqlite3_bind_text(stmt, 1, after, -1, SQLITE_TRANSIENT);
    int rc;
    while ((rc = store_step(store, stmt)) == 1) {
        struct model_device device = {0};
        rc = store_read(stmt, 0, columns, COLUMN_COUNT, &device);
        if (rc < 0 || row(ctx, &device) != 0) break;
    }
    sqlite3_reset(stmt);
    return rc < 0 ? rc : 0;
}

int store_each_device(struct store *store, int (*row)(void *ctx, const struct model_device *device),
                      void *ctx)
{
    return store_each_device_after(store, "", row, ctx); /* no id is empty */
}

int store_each_device_after(struct store *store, const char *after,
                            int (*row)(void *ctx, const struct model_device *device), void *ctx)
{
    int rc = store_enter(store);
    if (rc < 0) return rc;
    rc = each_row(store, after, row, ctx);
    store_leave(store);
    return rc;
}

static int get_row(struct store *store, const char *id, struct model_device *out)
{
    sqlite3_stmt *stmt = store_statement(store, get_sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    sqlite3_bind_text(stmt, 1, id, -1, SQLITE_TRANSIENT);
    int rc = store_step(store, stmt);
    if (rc == 0) return store_fail(MOLT_NOT_FOUND, "there is no device %s", id);
    if (rc == 1) rc = store_read(stmt, 0, columns, COLUMN_COUNT, out);
    sqlite3_reset(stmt);
    return rc;
}

int store_device_get(struct store *store, const char *id, struct model_device *out)
{
    memset(out, 0, sizeof *out);
    if (strnlen(id, MODEL_ID_LEN) == MODEL_ID_LEN)
        return store_fail(MOLT_NOT_FOUND, "there is no such device");
    int rc = store_enter(store);
    if (rc < 0) return rc;
    rc = get_row(store, id, out);
    store_leave(store);
    return rc;
}

static int save_rows(struct store *store, const struct model_device *devices, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sqlite3_stmt *stmt = store_statement(store, save_sql);
        if (stmt == NULL) return -MOLT_STORE_FAILED;
        int rc = store_bind(stmt, 1, columns, COLUMN_COUNT, &devices[i]);
        if (rc == 0) rc = store_step(store, stmt);
        if (rc < 0) return rc;
    }
    return 0;
}

int store_save_devices(struct store *store, const struct model_device *devices, size_t count)
{
    if (count == 0) return 0;
    int rc = store_enter(store);
    if (rc < 0) return rc;
    rc = store_begin(store);
    if (rc == 0) rc = store_end(store, save_rows(store, devices, count));
    store_leave(store);
    return rc;
}

static int run_with_id(struct store *store, const char *sql, const char *id)
{
    sqlite3_stmt *stmt = store_statement(store, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    sqlite3_bind_text(stmt, 1, id, -1, SQLITE_TRANSIENT);
    return store_step(store, stmt);
}

/* Its tokens go with it: a device that later gets the same id must not be let in by them. */
static int delete_rows(struct store *store, const char *id)
{
    static const char tokens[] = "DELETE FROM token WHERE device_id = ?";
    static const char attempts[] = "DELETE FROM attempt WHERE device_id = ?";
    static const char lines[] = "DELETE FROM device_log WHERE device_id = ?";
    static const char device[] = "DELETE FROM device WHERE id = ?";
    int rc = run_with_id(store, device, id);
    if (rc == 0 && sqlite3_changes(store->db) == 0)
        rc = store_fail(MOLT_NOT_FOUND, "there is no device %s", id);
    if (rc == 0) rc = run_with_id(store, tokens, id);
    if (rc == 0) rc = run_with_id(store, attempts, id);
    if (rc == 0) rc = run_with_id(store, lines, id);
    return rc;
}

int store_delete_device(struct store *store, const char *id)
{
    if (strnlen(id, MODEL_ID_LEN) == MODEL_ID_LEN)
        return store_fail(MOLT_NOT_FOUND, "there is no such device");
    int rc = store_enter(store);
    if (rc < 0) return rc;
    rc = store_begin(store);
    if (rc == 0) rc = store_end(store, delete_rows(store, id));
    store_leave(store);
    return rc;
}

int store_delete_devices(struct store *store, const char (*ids)[MODEL_ID_LEN], size_t count)
{
    int rc = store_enter(store);
    if (rc < 0) return rc;
    rc = store_begin(store);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        int deleted = delete_rows(store, ids[i]);
        if (deleted < 0 && deleted != -MOLT_NOT_FOUND) rc = deleted;
    }
    rc = store_end(store, rc);
    store_leave(store);
    return rc;
}

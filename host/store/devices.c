/* devices.c - rows of devices. One list of fields makes the SQL and moves the values, so that none is forgotten.
 * Must never hold a transaction open while others are called. Tests: test/unit/store_test.c. */
#include <stdio.h>
#include <string.h>

#include "parts.h"

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
    F(UINT, rollout_open) F(UINT, rollout_counts) F(INT, rollout_ms) F(UINT, rollout_failures) F(UINT, rollout_outcome) \
    F(UINT, settings_rev) F(UINT, attempt_no) F(INT, attempt_ms) F(UINT, rollout_round) F(UINT, rollout_node)
/* clang-format on */

#define AS_NAME(kind, field) ", " #field
#define AS_SET(kind, field)  ", " #field " = excluded." #field
#define AS_MARK(kind, field) ", ?"
#define AS_COLUMN(kind, field)                                                                               \
    {COLUMN_##kind, offsetof(struct model_device, field), sizeof(((struct model_device *)NULL)->field)},

const struct column device_columns[] = {{COLUMN_TEXT, offsetof(struct model_device, id), MODEL_ID_LEN},
                                        DEVICE_FIELDS(AS_COLUMN)};
#define COLUMN_COUNT (sizeof device_columns / sizeof device_columns[0])
const size_t device_column_count = COLUMN_COUNT;

#define NAMES "id" DEVICE_FIELDS(AS_NAME)
#define OVER  "ON CONFLICT (id) DO UPDATE SET id = excluded.id" DEVICE_FIELDS(AS_SET)
static const struct db_merge save_sql = {
    .one = "INSERT INTO device (" NAMES ") VALUES (?" DEVICE_FIELDS(AS_MARK) ") " OVER,
    .into = "device (" NAMES ")",
    .over = OVER,
    .columns = COLUMN_COUNT,
};
static const char each_sql[] =
    "SELECT id" DEVICE_FIELDS(AS_NAME) " FROM device WHERE id > ? ORDER BY id LIMIT ?";
static const char get_sql[] = "SELECT id" DEVICE_FIELDS(AS_NAME) " FROM device WHERE id = ?";

/* A damaged row must not take the others with it: what can be read of the device is taken, and it is held, because nobody knows
 * any more what an operator said of it. */
void device_read(const struct db_statement *stmt, int first, struct model_device *out)
{
    const char *damaged = store_read_most(stmt, first, device_columns, COLUMN_COUNT, out);
    if (damaged == NULL) return;
    out->held = true;
    out->last_reason = MOLT_STORE_FAILED;
    memset(out->last_detail, 0, sizeof out->last_detail);
    snprintf(out->last_detail, sizeof out->last_detail, "the database is damaged: column %s does not fit",
             damaged);
}

struct walk {
    char last[MODEL_ID_LEN]; /* of the rows so far; from where it goes on */
    uint32_t left;           /* rows that may still come */
    bool enough;             /* row said so */
    int (*row)(void *ctx, const struct model_device *device);
    void *ctx;
};

static void walk_begin(struct walk *walk, const char *after, uint32_t rows)
{
    memset(walk->last, 0, sizeof walk->last);
    memcpy(walk->last, after, strnlen(after, sizeof walk->last - 1));
    walk->left = rows < STORE_DEVICES_MAX ? rows : STORE_DEVICES_MAX;
}

static int walk_on(struct store *store, struct walk *walk)
{
    struct db_statement *stmt = db_statement(store->db, each_sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    char after[MODEL_ID_LEN];
    memcpy(after, walk->last, sizeof after);
    db_bind_text(stmt, 1, after);
    db_bind_int(stmt, 2, walk->left);
    int rc = 0;
    while (!walk->enough && (rc = db_step(stmt)) == 1) {
        struct model_device device = {0};
        device_read(stmt, 0, &device);
        memcpy(walk->last, device.id, sizeof walk->last);
        walk->left--;
        walk->enough = walk->row(walk->ctx, &device) != 0;
    }
    db_reset(stmt);
    return rc < 0 ? rc : 0;
}

/* In the order in which they lie, one by one as they come. */
static int load_rows(struct store *store, int (*row)(void *ctx, const struct model_device *device), void *ctx)
{
    static const char sql[] = "SELECT id" DEVICE_FIELDS(AS_NAME) " FROM device";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_stream(stmt);
    int rc;
    while ((rc = db_step(stmt)) == 1) {
        struct model_device device = {0};
        device_read(stmt, 0, &device);
        if (row(ctx, &device) != 0) break;
    }
    db_reset(stmt);
    return rc < 0 ? rc : 0;
}

int store_load_devices(struct store *store, int (*row)(void *ctx, const struct model_device *device),
                       void *ctx)
{
    int rc = store_enter(store);
    if (rc < 0) return rc;
    rc = load_rows(store, row, ctx);
    store_leave(store);
    return rc;
}

static int walk_alone(struct store *store, struct walk *walk)
{
    int rc = store_enter(store);
    if (rc < 0) return rc;
    rc = walk_on(store, walk);
    store_leave(store);
    return rc;
}

static int walk_all(struct store *store, struct walk *walk)
{
    int rc;
    do {
        walk->left = STORE_DEVICES_MAX;
        rc = walk_on(store, walk);
    } while (rc == 0 && walk->left == 0 && !walk->enough);
    return rc;
}

int store_each_device(struct store *store, int (*row)(void *ctx, const struct model_device *device),
                      void *ctx)
{
    struct walk walk = {.row = row, .ctx = ctx};
    int rc = store_enter(store);
    if (rc < 0) return rc;
    rc = walk_all(store, &walk);
    store_leave(store);
    return rc;
}

int store_each_device_after(struct store *store, const char *after, uint32_t rows,
                            int (*row)(void *ctx, const struct model_device *device), void *ctx)
{
    struct walk walk = {.row = row, .ctx = ctx};
    walk_begin(&walk, after, rows);
    return walk_alone(store, &walk);
}

int store_list_devices_after(struct store *store, const char *after, uint32_t rows,
                             int (*row)(void *ctx, const struct model_device *device), void *ctx)
{
    struct walk walk = {.row = row, .ctx = ctx};
    struct store *reader = store_reader(store);
    walk_begin(&walk, after, rows);
    int rc = walk_alone(reader, &walk);
    return store_sent_back(store, reader, rc) ? walk_alone(store, &walk) : rc; /* from where it failed */
}

int device_load(struct store *store, const char *id, struct model_device *out)
{
    struct db_statement *stmt = db_statement(store->db, get_sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_text(stmt, 1, id);
    int rc = db_step(stmt);
    if (rc == 0) return store_fail(MOLT_NOT_FOUND, "there is no device %s", id);
    if (rc == 1) {
        device_read(stmt, 0, out);
        rc = 0;
    }
    db_reset(stmt);
    return rc;
}

int store_device_get(struct store *store, const char *id, struct model_device *out)
{
    memset(out, 0, sizeof *out);
    if (strnlen(id, MODEL_ID_LEN) == MODEL_ID_LEN)
        return store_fail(MOLT_NOT_FOUND, "there is no such device");
    int rc = store_enter(store);
    if (rc < 0) return rc;
    rc = device_load(store, id, out);
    store_leave(store);
    return rc;
}

struct save {
    const struct model_device *devices;
    size_t count;
};

static int bind_device(struct db_statement *stmt, size_t i, void *ctx)
{
    const struct save *save = ctx;
    return store_bind(stmt, 1, device_columns, COLUMN_COUNT, &save->devices[i]);
}

static int save_rows(struct store *store, void *ctx)
{
    const struct save *save = ctx;
    bool rising = true;
    for (size_t i = 1; i < save->count; i++)
        rising = rising && strcmp(save->devices[i - 1].id, save->devices[i].id) < 0;
    return db_merge(store->db, &save_sql, rising, save->count, bind_device, ctx);
}

int device_save(struct store *store, const struct model_device *device)
{
    struct save save = {device, 1};
    return save_rows(store, &save);
}

int devices_save_all(struct store *store, const struct model_device *devices, size_t count)
{
    struct save save = {devices, count};
    return save_rows(store, &save);
}

struct db_statement *devices_find_many(struct store *store)
{
    static const char sql[] = "SELECT id" DEVICE_FIELDS(AS_NAME) " FROM device WHERE id = ANY"
                                                                 " (string_to_array(?, '\x1f'))";
    return db_statement(store->db, sql);
}

#define AS_JOINED(kind, field) ", device." #field
struct db_statement *devices_changed_since(struct store *store)
{
    static const char sql[] = "SELECT device_change.id, device_change.gone_ms, device.id" DEVICE_FIELDS(
        AS_JOINED) " FROM device_change LEFT JOIN device ON device.id = device_change.id"
                   " WHERE device_change.stamp > ? AND device_change.stamp <= ? AND device_change.node_id <> "
                   "?"
                   " ORDER BY device_change.stamp";
    return db_statement(store->db, sql);
}

struct db_statement *devices_of_results(struct store *store)
{
    static const char sql[] = "SELECT page.seq, page.state, page.device_id, device.id" DEVICE_FIELDS(
        AS_JOINED) " FROM (SELECT seq, device_id, state FROM result_log WHERE seq > ? AND seq <= ?"
                   " ORDER BY seq LIMIT ?) AS page LEFT JOIN device ON device.id = page.device_id"
                   " ORDER BY page.device_id, page.seq";
    return db_statement(store->db, sql);
}

int store_save_devices(struct store *store, const struct model_device *devices, size_t count)
{
    if (store->self != NULL && count > 0) return nodes_save_settings(store, devices, count);
    struct save save = {devices, count};
    return count == 0 ? 0 : store_transact(store, DB_ROWS, save_rows, &save);
}

/* How many rows it touched, or negative. */
static int64_t run_with_id(struct store *store, const char *sql, const char *id)
{
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_text(stmt, 1, id);
    int rc = db_step(stmt);
    return rc < 0 ? rc : db_changes(stmt);
}

/* Its tokens go with it: a device that later gets the same id must not be let in by them. */
static int delete_rows(struct store *store, const char *id)
{
    static const char device[] = "DELETE FROM device WHERE id = ?";
    static const char tokens[] = "DELETE FROM token WHERE device_id = ?";
    static const char attempts[] = "DELETE FROM attempt WHERE device_id = ?";
    static const char lines[] = "DELETE FROM device_log WHERE device_id = ?";
    static const char results[] = "DELETE FROM result_log WHERE device_id = ?";
    static const char *const others[] = {tokens, attempts, lines, results};
    int64_t stamp = 0, rc = store->self != NULL ? nodes_stamp(store, &stamp) : 0;
    if (rc == 0) rc = run_with_id(store, device, id);
    if (rc == 0) return 0; /* it is not there */
    for (size_t i = 0; rc >= 0 && i < sizeof others / sizeof others[0]; i++)
        rc = run_with_id(store, others[i], id);
    if (rc >= 0 && store->self != NULL) rc = nodes_note_gone(store, id, stamp);
    return rc < 0 ? (int)rc : 0;
}

struct doomed {
    const char (*ids)[MODEL_ID_LEN];
    size_t count;
};

static int delete_many(struct store *store, void *ctx)
{
    const struct doomed *doomed = ctx;
    for (size_t i = 0; i < doomed->count; i++) {
        int rc = delete_rows(store, doomed->ids[i]);
        if (rc < 0) return rc;
    }
    return 0;
}

int store_delete_devices(struct store *store, const char (*ids)[MODEL_ID_LEN], size_t count)
{
    struct doomed doomed = {ids, count};
    return store_transact(store, DB_ROWS, delete_many, &doomed);
}

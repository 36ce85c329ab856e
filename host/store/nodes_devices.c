/* nodes_devices.c - rows of devices that several servers write: each write is put together with what the row has, and noted for the others.
 * Must never let an older copy replace a newer one, nor bring a deleted device back. Tests: test/unit/store_nodes_test.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/merge.h"
#include "nodes_parts.h"

#define SEPARATOR "\x1f"

int nodes_stamp(struct store *store, int64_t *stamp)
{
    static const char sql[] = "UPDATE node_state SET stamp = stamp + 1 RETURNING stamp";
    struct db_statement *stmt = db_statement(store->db, sql);
    return stmt != NULL ? store_insert(stmt, stamp) : -MOLT_STORE_FAILED;
}

/* Notes the devices of ids joined by SEPARATOR. node_id 0: every server shall look. */
static int note(struct store *store, const char *ids, int64_t stamp, uint32_t node_id, int64_t gone_ms)
{
    static const char sql[] =
        "INSERT INTO device_change (id, stamp, node_id, gone_ms)"
        " SELECT unnest(string_to_array(?1, '" SEPARATOR "')), ?2, ?3, ?4 ON CONFLICT (id) DO UPDATE"
        " SET stamp = excluded.stamp, node_id = excluded.node_id, gone_ms = excluded.gone_ms";
    if (ids[0] == '\0') return 0;
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_text(stmt, 1, ids);
    db_bind_int(stmt, 2, stamp);
    db_bind_int(stmt, 3, node_id);
    db_bind_int(stmt, 4, gone_ms);
    return db_step(stmt);
}

/* malloc'ed; NULL: memory is short. */
static char *join_ids(const struct model_device *devices, size_t count)
{
    char *ids = malloc(count * MODEL_ID_LEN + 1), *to = ids;
    for (size_t i = 0; ids != NULL && i < count; i++) {
        const size_t len = strnlen(devices[i].id, MODEL_ID_LEN - 1);
        if (i > 0) *to++ = SEPARATOR[0];
        memcpy(to, devices[i].id, len);
        to += len;
    }
    if (ids != NULL)
        *to = '\0';
    else
        store_fail(MOLT_NO_MEMORY, "out of memory");
    return ids;
}

/* ---- saving ---- */

struct merging {
    const struct model_device *given;
    struct model_device *devices;
    bool *gone;
    size_t count;
    bool settings; /* an operator's: his words win over the row's */
};

static int compare_id(const void *key, const void *device)
{
    return strcmp(key, ((const struct model_device *)device)->id);
}

static struct model_device *find(const struct merging *merging, const char *id)
{
    return id != NULL && merging->count > 0
               ? bsearch(id, merging->devices, merging->count, sizeof *merging->devices, compare_id)
               : NULL;
}

static void merge_row(const struct merging *merging, struct model_device *device,
                      const struct model_device *row)
{
    struct model_device merged = *row;
    if (!merging->settings) {
        merge_device(device, row);
        merge_settle(device);
        return;
    }
    model_device_keep_settings(&merged, device);
    merged.settings_rev = row->settings_rev + 1;
    *device = merged;
}

/* Puts the rows that there are into the devices; found[i]: there is one. */
static int merge_rows(struct store *store, const struct merging *merging, const char *ids, bool *found)
{
    struct db_statement *stmt = devices_find_many(store);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_text(stmt, 1, ids);
    int rc;
    while ((rc = db_step(stmt)) == 1) {
        struct model_device row = {0};
        device_read(stmt, 0, &row);
        struct model_device *device = find(merging, row.id);
        if (device == NULL) continue;
        found[device - merging->devices] = true;
        merge_row(merging, device, &row);
    }
    db_reset(stmt);
    return rc;
}

/* A device without a row that was deleted since it was made is one of which this server has not heard so yet. */
static int mark_gone(struct store *store, const struct merging *merging, const char *ids, const bool *found)
{
    static const char sql[] = "SELECT id, gone_ms FROM device_change WHERE gone_ms > 0 AND id = ANY"
                              " (string_to_array(?, '" SEPARATOR "'))";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_text(stmt, 1, ids);
    int rc;
    while ((rc = db_step(stmt)) == 1) {
        const struct model_device *device = find(merging, db_text(stmt, 0));
        if (device == NULL || merging->settings) continue;
        const size_t i = (size_t)(device - merging->devices);
        merging->gone[i] = !found[i] && device->first_seen_ms <= db_int(stmt, 1);
    }
    db_reset(stmt);
    return rc;
}

/* Those that are not gone, closed up; *kept of them. */
static struct model_device *without_gone(const struct merging *merging, size_t *kept)
{
    struct model_device *devices = malloc((merging->count + 1) * sizeof *devices);
    *kept = 0;
    for (size_t i = 0; devices != NULL && i < merging->count; i++)
        if (!merging->gone[i]) devices[(*kept)++] = merging->devices[i];
    if (devices == NULL) store_fail(MOLT_NO_MEMORY, "out of memory");
    return devices;
}

static int save_rest(struct store *store, const struct merging *merging, int64_t stamp)
{
    size_t kept;
    struct model_device *devices = without_gone(merging, &kept);
    char *ids = devices != NULL ? join_ids(devices, kept) : NULL;
    int rc = ids != NULL ? 0 : -MOLT_NO_MEMORY;
    if (rc == 0 && kept > 0) rc = devices_save_all(store, devices, kept);
    /* an operator's change is news for the memory of this server, too */
    if (rc == 0) rc = note(store, ids, stamp, merging->settings ? 0 : store->self->id, 0);
    free(ids);
    free(devices);
    return rc;
}

static int merge_all(struct store *store, void *ctx)
{
    const struct merging *merging = ctx;
    int64_t stamp;
    memcpy(merging->devices, merging->given,
           merging->count * sizeof *merging->devices); /* maybe tried again */
    memset(merging->gone, 0, merging->count * sizeof *merging->gone);
    bool *found = calloc(merging->count, sizeof *found);
    char *ids = join_ids(merging->devices, merging->count);
    int rc = found != NULL && ids != NULL ? 0 : store_fail(MOLT_NO_MEMORY, "out of memory");
    if (rc == 0) rc = nodes_stamp(store, &stamp);
    if (rc == 0) rc = merge_rows(store, merging, ids, found);
    if (rc == 0) rc = mark_gone(store, merging, ids, found);
    if (rc == 0) rc = save_rest(store, merging, stamp);
    free(ids);
    free(found);
    return rc;
}

static int merge_and_save(struct store *store, const struct merging *order)
{
    struct merging merging = *order;
    struct model_device *devices = malloc(merging.count * sizeof *devices);
    if (devices == NULL) return store_fail(MOLT_NO_MEMORY, "out of memory");
    merging.devices = devices;
    int rc = store_transact(store, DB_ROWS, merge_all, &merging);
    if (rc == 0 && !merging.settings) memcpy(order->devices, devices, merging.count * sizeof *devices);
    free(devices);
    return rc;
}

int store_merge_devices(struct store *store, struct model_device *devices, bool *gone, size_t count)
{
    const struct merging merging = {.given = devices, .devices = devices, .gone = gone, .count = count};
    return count == 0 ? 0 : merge_and_save(store, &merging);
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct model_device *)a)->id, ((const struct model_device *)b)->id);
}

int nodes_save_settings(struct store *store, const struct model_device *devices, size_t count)
{
    struct model_device *sorted = malloc(count * sizeof *sorted);
    bool *gone = calloc(count, sizeof *gone);
    int rc = sorted != NULL && gone != NULL ? 0 : store_fail(MOLT_NO_MEMORY, "out of memory");
    if (rc == 0) {
        memcpy(sorted, devices, count * sizeof *sorted);
        qsort(sorted, count, sizeof *sorted, by_id);
        const struct merging merging = {
            .given = sorted, .devices = sorted, .gone = gone, .count = count, .settings = true};
        rc = merge_and_save(store, &merging);
    }
    free(sorted);
    free(gone);
    return rc;
}

int nodes_save_folded(struct store *store, const struct model_device *devices, size_t count, int64_t stamp)
{
    char *ids = join_ids(devices, count);
    int rc = ids != NULL ? devices_save_all(store, devices, count) : -MOLT_NO_MEMORY;
    if (rc == 0) rc = note(store, ids, stamp, 0, 0);
    free(ids);
    return rc;
}

/* ---- deleting ---- */

int nodes_note_gone(struct store *store, const char *id, int64_t stamp)
{
    const int64_t now = nodes_now(store);
    return now < 0 ? (int)now : note(store, id, stamp, 0, now);
}

/* ---- what others changed ---- */

#define STAMPS_AT_ONCE 8 /* each is at most a batch of a writer */

static int read_changes(struct store *store, int64_t from, int64_t to, store_change_row row, void *ctx)
{
    struct db_statement *stmt = devices_changed_since(store);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, from);
    db_bind_int(stmt, 2, to);
    db_bind_int(stmt, 3, store->self->id);
    int rc, taken = 0;
    while (taken >= 0 && (rc = db_step(stmt)) == 1) {
        struct model_device device = {0};
        struct db_value there;
        char id[MODEL_ID_LEN];
        const char *said = db_text(stmt, 0);
        db_value(stmt, 2, &there);
        if (said == NULL || strlen(said) >= sizeof id) continue;
        snprintf(id, sizeof id, "%s", said);
        if (there.kind == DB_TEXT) device_read(stmt, 2, &device);
        taken = row(ctx, id, there.kind == DB_TEXT ? &device : NULL, db_int(stmt, 1));
    }
    db_reset(stmt);
    if (taken < 0) return taken;
    return rc < 0 ? rc : 0;
}

int store_each_change(struct store *store, int64_t *stamp, int64_t upto, store_change_row row, void *ctx)
{
    if (*stamp >= upto) return 0;
    const int64_t to = upto - *stamp > STAMPS_AT_ONCE ? *stamp + STAMPS_AT_ONCE : upto;
    int rc = store_enter(store);
    if (rc < 0) return rc;
    rc = read_changes(store, *stamp, to, row, ctx);
    store_leave(store);
    if (rc < 0) return rc;
    *stamp = to;
    return to < upto;
}

static int prune(struct store *store, void *ctx)
{
    static const char sql[] =
        "DELETE FROM device_change WHERE stamp <= (SELECT coalesce(min(stamp), 0) FROM node WHERE epoch <> 0"
        " OR (instance <> '' AND expires_ms <> 0 AND seen_ms > " DB_NOW " - 3600000))"
        " AND gone_ms < " DB_NOW " - 86400000";
    static const char retired[] = "DELETE FROM node WHERE instance = '' AND epoch = 0 AND NOT EXISTS"
                                  " (SELECT 1 FROM slot WHERE slot.node_id = node.id AND slot.slots > 0)";
    struct db_statement *stmt = db_statement(store->db, sql);
    (void)ctx;
    int rc = stmt != NULL ? db_step(stmt) : -MOLT_STORE_FAILED;
    stmt = rc == 0 ? db_statement(store->db, retired) : NULL;
    return rc == 0 && stmt != NULL ? db_step(stmt) : -MOLT_STORE_FAILED;
}

int store_prune_changes(struct store *store)
{
    return store_transact(store, DB_ROWS, prune, NULL);
}

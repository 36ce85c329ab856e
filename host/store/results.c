/* results.c - the log of results: what a device reported is here, durable, before the device is told so; rows of devices and of
 * ended attempts are folded from it. Must never lose what was acknowledged, nor fold an end twice.
 * Tests: test/unit/store_results_test.c, test/e2e/store_kill_test.c. */
#include <stdio.h>
#include <string.h>

#include "nodes_parts.h"

/* Of several servers each numbers its results from its epoch times this on; one alone from 1. */
#define EPOCH_RESULTS (INT64_C(1) << 40)

static int64_t epoch_of(const struct store *store)
{
    return store->self != NULL ? atomic_load(&store->self->epoch) : store->result_seq / EPOCH_RESULTS;
}

/* ---- appending ---- */

struct append {
    const struct model_device *devices;
    const struct model_attempt_end *ends;
    size_t count, next;
    int64_t first; /* the number of the first one */
    uint8_t state[DEVICE_STATE_MAX];
};

static int bind_result(struct db_statement *stmt, void *ctx)
{
    struct append *append = ctx;
    if (append->next == append->count) return 0;
    size_t i = append->next++;
    int rc = store_bind(stmt, 3, attempt_columns, ATTEMPT_COLUMNS, &append->ends[i]);
    db_bind_int(stmt, 1, append->first + (int64_t)i);
    db_bind_blob(stmt, 2, append->state, device_state_write(&append->devices[i], append->state));
    db_bind_text(stmt, 3, append->devices[i].id);
    return rc < 0 ? rc : 1;
}

/* The connection may have been lost between a commit and its answer. */
static int drop_unsure(struct store *store)
{
    static const char sql[] = "DELETE FROM result_log WHERE seq > ? AND seq < ?";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, store->result_seq);
    db_bind_int(stmt, 2, (epoch_of(store) + 1) * EPOCH_RESULTS);
    return db_step(stmt);
}

static int append_all(struct store *store, void *ctx)
{
    struct append *append = ctx;
    append->next = 0;
    if (store->result_seq / EPOCH_RESULTS != epoch_of(store))
        store->result_seq = epoch_of(store) * EPOCH_RESULTS;
    append->first = store->result_seq + 1;
    int rc = store->results_unsure ? drop_unsure(store) : 0;
    store->results_unsure = true; /* until the caller knows better */
    if (rc == 0)
        rc = db_load(store->db, "result_log (seq, state, " ATTEMPT_NAMES ")", 2 + ATTEMPT_COLUMNS,
                     bind_result, append);
    return rc;
}

int store_append_results(struct store *store, const struct model_device *devices,
                         const struct model_attempt_end *ends, size_t count, int64_t *last)
{
    struct append append = {.devices = devices, .ends = ends, .count = count};
    int rc = count > 0 ? store_transact(store, DB_ROWS, append_all, &append) : 0;
    if (rc < 0) return rc;
    rc = store_enter(store);
    if (rc < 0) return rc;
    if (count > 0) {
        store->result_seq = append.first + (int64_t)count - 1;
        store->results_unsure = false;
    }
    *last = store->result_seq;
    store_leave(store);
    return 0;
}

/* ---- folding ---- */

/* Those numbered above `after`, up to `last`. */
struct span {
    int64_t after, last;
};

static int run_in(struct store *store, const char *sql, const struct span *span)
{
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, span->last);
    db_bind_int(stmt, 2, span->after);
    db_bind_int(stmt, 3, STORE_ATTEMPTS_MAX);
    return db_step(stmt);
}

/* The rows of the devices are as they were after it, or later. In one transaction: so an end becomes one row. */
static int fold_ends(struct store *store, void *ctx)
{
    static const char add[] =
        "INSERT INTO attempt (" ATTEMPT_NAMES ") SELECT " ATTEMPT_NAMES
        " FROM result_log WHERE seq <= ? AND seq > ? AND result <> 0 ORDER BY seq ON CONFLICT DO NOTHING";
    static const char trim[] =
        "DELETE FROM attempt WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER"
        " (PARTITION BY device_id ORDER BY id DESC) AS place FROM attempt WHERE device_id IN"
        " (SELECT device_id FROM result_log WHERE seq <= ?1 AND seq > ?2 AND result <> 0)) AS ranked WHERE "
        "place > ?3)";
    static const char forget[] = "DELETE FROM result_log WHERE seq <= ? AND seq > ?";
    int rc = run_in(store, add, ctx);
    if (rc == 0) rc = run_in(store, trim, ctx);
    return rc == 0 ? run_in(store, forget, ctx) : rc;
}

int store_fold_results(struct store *store, int64_t last)
{
    struct span mine = {last / EPOCH_RESULTS * EPOCH_RESULTS, last}; /* other servers' are theirs to fold */
    return store_transact(store, DB_ROWS, fold_ends, &mine);
}

/* ---- after an end that left some unfolded ---- */

static int fold_device(struct store *store, const char *id, const uint8_t *state, size_t len)
{
    struct model_device device = {0}, row;
    int rc = device_load(store, id, &row);
    if (rc < 0 && rc != -MOLT_NOT_FOUND) return rc;
    const bool there = rc == 0;
    if (there) device = row;
    snprintf(device.id, sizeof device.id, "%s", id);
    if (!device_state_read(state, len, &device))
        return store_fail(MOLT_STORE_FAILED, "the database is damaged: a result of device %s does not fit",
                          id);
    if (there) model_device_keep_settings(&device, &row); /* whose change was acknowledged as well */
    return device_save(store, &device);
}

#define RECOVER_PAGE 1000

/* A page of the span's results: their devices. span->after becomes the last one; 1: there may be more. stamp 0: one server. */
static int fold_page(struct store *store, struct span *span, int64_t stamp)
{
    static const char sql[] =
        "SELECT seq, device_id, state FROM result_log WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?";
    struct db_statement *stmt = db_statement(store->db, sql);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, span->after);
    db_bind_int(stmt, 2, span->last);
    db_bind_int(stmt, 3, RECOVER_PAGE);
    int rc, count = 0;
    while ((rc = db_step(stmt)) == 1) {
        size_t len;
        const uint8_t *state = db_blob(stmt, 2, &len);
        const char *id = db_text(stmt, 1);
        span->after = db_int(stmt, 0);
        count++;
        if (id == NULL || strlen(id) >= MODEL_ID_LEN)
            rc = store_fail(MOLT_STORE_FAILED, "the database is damaged: a result does not fit");
        else
            rc = stamp == 0 ? fold_device(store, id, state, len)
                            : nodes_fold_device(store, id, state, len, stamp);
        if (rc < 0) break;
    }
    db_reset(stmt);
    return rc < 0 ? rc : count == RECOVER_PAGE;
}

static int recover(struct store *store, void *ctx)
{
    struct span left = {0, INT64_MAX}, all = {0, 0};
    int rc;
    (void)ctx;
    do
        rc = fold_page(store, &left, 0);
    while (rc == 1);
    if (rc < 0 || left.after == 0) return rc;
    store->result_seq = all.last = left.after;
    return fold_ends(store, &all);
}

int results_recover(struct store *store)
{
    return store_transact(store, DB_ROWS, recover, NULL);
}

int results_fold_epoch(struct store *store, int64_t epoch, int64_t stamp)
{
    struct span all = {epoch * EPOCH_RESULTS - (epoch == 0), (epoch + 1) * EPOCH_RESULTS - 1}, left = all;
    int rc;
    do
        rc = fold_page(store, &left, stamp);
    while (rc == 1);
    return rc < 0 ? rc : fold_ends(store, &all);
}

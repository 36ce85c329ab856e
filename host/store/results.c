/* results.c - the log of results: what a device reported is here, durable, before the device is told so; rows of devices and of
 * ended attempts are folded from it. Must never lose what was acknowledged, nor fold an end twice.
 * Tests: test/unit/store_results_test.c, test/e2e/store_kill_test.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/merge.h"
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

#define FOLD_PAGE 2048

/* A page of results: the rows of their devices as they are after it, sorted by id, each once. */
struct page {
    int64_t stamp;         /* of several servers; 0: one */
    size_t results, count; /* that were read; of devices */
    int64_t last;          /* the highest number */
    struct model_device devices[FOLD_PAGE];
};

static struct page *new_page(int64_t stamp)
{
    struct page *page = malloc(sizeof *page);
    if (page == NULL)
        store_fail(MOLT_NO_MEMORY, "out of memory");
    else
        page->stamp = stamp;
    return page;
}

/* What the last device of the page is after one more of its results. row: there is one, or an earlier result made it. */
static int take_state(struct page *page, const uint8_t *state, size_t len, bool row)
{
    struct model_device *device = &page->devices[page->count - 1];
    const struct model_device before = *device;
    if (!device_state_read(state, len, device))
        return store_fail(MOLT_STORE_FAILED, "the database is damaged: a result of device %s does not fit",
                          device->id);
    if (row && page->stamp == 0)
        model_device_keep_settings(device, &before); /* whose change was acknowledged as well */
    if (row && page->stamp != 0) {
        merge_device(device, &before);
        merge_settle(device);
    }
    return 0;
}

static int take_result(struct page *page, const struct db_statement *stmt)
{
    struct db_value row;
    size_t len;
    const uint8_t *state = db_blob(stmt, 1, &len);
    const char *id = db_text(stmt, 2);
    if (id == NULL || strlen(id) >= MODEL_ID_LEN)
        return store_fail(MOLT_STORE_FAILED, "the database is damaged: a result does not fit");
    if (db_int(stmt, 0) > page->last) page->last = db_int(stmt, 0);
    page->results++;
    if (page->count > 0 && strcmp(page->devices[page->count - 1].id, id) == 0)
        return take_state(page, state, len, true);
    struct model_device *device = &page->devices[page->count++];
    memset(device, 0, sizeof *device);
    db_value(stmt, 3, &row);
    if (row.kind == DB_TEXT) device_read(stmt, 3, device);
    snprintf(device->id, sizeof device->id, "%s", id);
    return take_state(page, state, len, row.kind == DB_TEXT);
}

static int read_page(struct store *store, struct page *page, const struct span *span)
{
    struct db_statement *stmt = devices_of_results(store);
    if (stmt == NULL) return -MOLT_STORE_FAILED;
    db_bind_int(stmt, 1, span->after);
    db_bind_int(stmt, 2, span->last);
    db_bind_int(stmt, 3, FOLD_PAGE);
    page->results = page->count = 0;
    page->last = span->after;
    int rc;
    while ((rc = db_step(stmt)) == 1) {
        rc = take_result(page, stmt);
        if (rc < 0) break;
    }
    db_reset(stmt);
    return rc;
}

/* The devices of the span's first page of results. span->after becomes the page's last one; 1: there may be more. */
static int fold_page(struct store *store, struct page *page, struct span *span)
{
    int rc = read_page(store, page, span);
    if (rc < 0 || page->count == 0) return rc;
    span->after = page->last;
    rc = page->stamp == 0 ? devices_save_all(store, page->devices, page->count)
                          : nodes_save_folded(store, page->devices, page->count, page->stamp);
    return rc < 0 ? rc : page->results == FOLD_PAGE;
}

struct recovery {
    struct page *page;
    int64_t after; /* so far */
    bool more;
};

/* A transaction of its own: an end in between leaves the later ones. */
static int recover_page(struct store *store, void *ctx)
{
    struct recovery *recovery = ctx;
    struct span left = {recovery->after, INT64_MAX}, folded = left;
    int rc = fold_page(store, recovery->page, &left);
    recovery->more = rc == 1;
    if (rc < 0 || left.after == recovery->after) return rc;
    folded.last = left.after;
    return fold_ends(store, &folded);
}

int results_recover(struct store *store)
{
    struct recovery recovery = {.page = new_page(0), .more = true};
    int rc = recovery.page != NULL ? 0 : -MOLT_NO_MEMORY;
    while (rc == 0 && recovery.more) {
        rc = store_transact(store, DB_ROWS, recover_page, &recovery);
        if (rc == 0) recovery.after = recovery.page->last;
    }
    free(recovery.page);
    return rc;
}

int results_fold_epoch(struct store *store, int64_t epoch, int64_t stamp)
{
    struct span all = {epoch * EPOCH_RESULTS - (epoch == 0), (epoch + 1) * EPOCH_RESULTS - 1}, left = all;
    struct page *page = new_page(stamp);
    int rc = page != NULL ? 1 : -MOLT_NO_MEMORY;
    while (rc == 1)
        rc = fold_page(store, page, &left);
    free(page);
    return rc < 0 ? rc : fold_ends(store, &all);
}

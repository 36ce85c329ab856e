/* devices_writer.c - the table's way to the store: one thread writes what changed, in batches sorted by id, and lets results
 * into the log before all else. Must never tell a waiter that something is durable before the store said so.
 * Tests: test/unit/devices_threads_test.c. */
#include "devices_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PERIOD_MS      1000  /* changes are on their way after this */
#define LAZY_PERIOD_MS 30000 /* ... and mere sightings after this */
#define COMPANY_MS     10    /* somebody waits: others get this long to join the same commit */

static void unlink_dirty(struct shard *shard, struct device_row *row)
{
    if (row->dirty_prev != 0)
        devices_row(shard, row->dirty_prev)->dirty_next = row->dirty_next;
    else
        shard->dirty[row->dirty] = row->dirty_next;
    if (row->dirty_next != 0) devices_row(shard, row->dirty_next)->dirty_prev = row->dirty_prev;
    row->dirty_next = row->dirty_prev = 0;
}

void devices_mark(struct devices *devices, struct shard *shard, uint32_t ref, enum dirty dirty)
{
    struct device_row *row = devices_row(shard, ref);
    if (row->dirty == CLEAN && dirty != CLEAN) atomic_fetch_add(&devices->dirty, 1);
    if (row->dirty != CLEAN && dirty == CLEAN) atomic_fetch_sub(&devices->dirty, 1);
    if (row->dirty != CLEAN) unlink_dirty(shard, row);
    row->dirty = (uint8_t)dirty;
    if (dirty == CLEAN) return;
    uint32_t *head = &shard->dirty[dirty];
    row->dirty_next = *head;
    if (*head != 0) devices_row(shard, *head)->dirty_prev = ref;
    *head = ref;
}

/* ---- one pass of the writer ---- */

static int compare_devices(const void *a, const void *b)
{
    const struct model_device *x = a, *y = b;
    return strcmp(x->id, y->id);
}

/* What is dirty now is this pass's; what changes from here on is the next one's, so that a pass ends. */
static void take(struct devices *devices, bool lazy_too)
{
    for (int i = 0; i < DEVICES_SHARDS; i++) {
        struct shard *shard = &devices->shards[i];
        pthread_mutex_lock(&shard->lock);
        while (shard->dirty[DIRTY_NOW] != 0)
            devices_mark(devices, shard, shard->dirty[DIRTY_NOW], DIRTY_TAKEN);
        while (lazy_too && shard->dirty[DIRTY_LAZY] != 0)
            devices_mark(devices, shard, shard->dirty[DIRTY_LAZY], DIRTY_TAKEN);
        pthread_mutex_unlock(&shard->lock);
    }
}

/* Copies what was taken out of the table, at most a batch. */
static size_t collect(struct devices *devices)
{
    size_t count = 0;
    for (int i = 0; i < DEVICES_SHARDS && count < DEVICES_BATCH_MAX; i++) {
        struct shard *shard = &devices->shards[i];
        pthread_mutex_lock(&shard->lock);
        while (count < DEVICES_BATCH_MAX && shard->dirty[DIRTY_TAKEN] != 0) {
            uint32_t ref = shard->dirty[DIRTY_TAKEN];
            struct device_row *row = devices_row(shard, ref);
            device_row_read(&devices->pools, row, NULL, &devices->batch[count]);
            devices->batch[count++].fresh = !row->has_row;
            row->may_have = true; /* from here on an eviction must delete the row */
            devices_mark(devices, shard, ref, CLEAN);
        }
        pthread_mutex_unlock(&shard->lock);
    }
    qsort(devices->batch, count, sizeof *devices->batch, compare_devices);
    return count;
}

/* The batch is in the store, or it is not and must be written again. */
static void finish_batch(struct devices *devices, size_t count, bool saved)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t hash;
        struct shard *shard = devices_shard(devices, devices->batch[i].id, &hash);
        pthread_mutex_lock(&shard->lock);
        uint32_t ref = devices_find(devices, shard, devices->batch[i].id, hash);
        struct device_row *row = ref != 0 ? devices_row(shard, ref) : NULL;
        if (row && saved) devices_is_stored(devices, row);
        if (row && !saved && row->dirty < DIRTY_NOW) devices_mark(devices, shard, ref, DIRTY_NOW);
        pthread_mutex_unlock(&shard->lock);
    }
}

static bool is_known(struct devices *devices, const char *id)
{
    uint64_t hash;
    struct shard *shard = devices_shard(devices, id, &hash);
    pthread_mutex_lock(&shard->lock);
    bool known = devices_find(devices, shard, id, hash) != 0;
    pthread_mutex_unlock(&shard->lock);
    return known;
}

/* Before anything is saved: a device that came back after its eviction is dirty and will be saved again. */
static void delete_gone(struct devices *devices, struct gone_list *gone)
{
    size_t count = 0;
    for (size_t i = 0; i < gone->count; i++)
        if (!is_known(devices, gone->ids[i])) memmove(gone->ids[count++], gone->ids[i], MODEL_ID_LEN);
    /* should it fail, the rows are only loaded again at the next start, and evicted again */
    if (count > 0) store_delete_devices(devices->store, (const char(*)[MODEL_ID_LEN])gone->ids, count);
    free(gone->ids);
}

static void tell_watcher(struct devices *devices, size_t count)
{
    pthread_mutex_lock(&devices->lock);
    devices_saved saved = devices->saved;
    void *ctx = devices->saved_ctx;
    pthread_mutex_unlock(&devices->lock);
    if (saved != NULL) saved(ctx, devices->batch, count);
}

void devices_watch(struct devices *devices, devices_saved saved, void *ctx)
{
    pthread_mutex_lock(&devices->lock);
    devices->saved = saved;
    devices->saved_ctx = ctx;
    pthread_mutex_unlock(&devices->lock);
}

void devices_watch_ends(struct devices *devices, devices_ended ended, void *ctx)
{
    pthread_mutex_lock(&devices->lock);
    devices->ended = ended;
    devices->ended_ctx = ctx;
    pthread_mutex_unlock(&devices->lock);
}

static bool round_of_results(struct devices *devices);

/* True when everything that was dirty at the beginning is in the store. Results that come meanwhile do not wait for it. */
static bool write_pass(struct devices *devices, bool lazy_too)
{
    const int64_t appended = devices->appended; /* what these changed is taken now or was saved before */
    take(devices, lazy_too);
    for (size_t count = DEVICES_BATCH_MAX; count == DEVICES_BATCH_MAX;) {
        pthread_mutex_lock(&devices->writing);
        count = collect(devices);
        bool saved = devices->node == 0 ? store_save_devices(devices->store, devices->batch, count) == 0
                                        : nodes_save_batch(devices, count);
        finish_batch(devices, count, saved);
        pthread_mutex_unlock(&devices->writing);
        if (!saved) return false;
        if (count == 0) break;
        tell_watcher(devices, count);
        atomic_fetch_add(&devices->written, count);
        if (count == DEVICES_BATCH_MAX && !round_of_results(devices)) return false;
    }
    return results_fold(devices, appended);
}

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- those who wait ---- */

static void call_waiters(struct waiter *waiter, bool kept)
{
    for (struct waiter *next; waiter; waiter = next) {
        next = waiter->next;
        waiter->done(waiter->ctx, kept);
        free(waiter);
    }
}

/* Appends the results that wait, and tells those who wait for them. */
static bool round_of_results(struct devices *devices)
{
    pthread_mutex_lock(&devices->lock);
    struct waiter *waiters = devices->waiters;
    devices->waiters = NULL;
    pthread_mutex_unlock(&devices->lock);
    bool kept =
        results_append(devices); /* after the waiters were taken: what they wait for was queued before */
    call_waiters(waiters, kept);
    return kept;
}

void devices_when_durable(struct devices *devices, const char *id, devices_done done, void *ctx)
{
    const struct model_attempt_end none = {.result = MODEL_ATTEMPT_NONE};
    struct waiter *waiter = calloc(1, sizeof *waiter);
    uint64_t hash;
    struct shard *shard = devices_shard(devices, id, &hash);
    pthread_mutex_lock(&shard->lock);
    uint32_t ref = devices_find(devices, shard, id, hash);
    bool ok = waiter != NULL && !store_is_away(devices->store);
    if (ok && ref != 0 && !devices_row(shard, ref)->queued)
        ok = results_queue(devices, devices_row(shard, ref), &none);
    pthread_mutex_unlock(&shard->lock);
    if (!ok) {
        free(waiter);
        done(ctx, false);
        return;
    }
    waiter->done = done;
    waiter->ctx = ctx;
    pthread_mutex_lock(&devices->lock);
    waiter->next = devices->waiters;
    devices->waiters = waiter;
    pthread_cond_signal(&devices->wake);
    pthread_mutex_unlock(&devices->lock);
}

struct flush {
    struct flush *next;
    bool sightings;
    pthread_mutex_t lock;
    pthread_cond_t over;
    bool is_over;
    int rc;
};

static void end_flushes(struct flush *flush, int rc)
{
    for (struct flush *next; flush; flush = next) {
        next = flush->next; /* it is gone when its caller wakes up */
        pthread_mutex_lock(&flush->lock);
        flush->is_over = true;
        flush->rc = rc;
        pthread_cond_signal(&flush->over);
        pthread_mutex_unlock(&flush->lock);
    }
}

static int flush_rows(struct devices *devices, bool sightings)
{
    struct flush flush = {.is_over = false, .sightings = sightings};
    if (store_is_away(devices->store)) return -MOLT_STORE_FAILED;
    pthread_mutex_init(&flush.lock, NULL);
    pthread_cond_init(&flush.over, NULL);
    pthread_mutex_lock(&devices->lock);
    flush.next = devices->flushes;
    devices->flushes = &flush;
    pthread_cond_signal(&devices->wake);
    pthread_mutex_unlock(&devices->lock);
    pthread_mutex_lock(&flush.lock);
    while (!flush.is_over)
        pthread_cond_wait(&flush.over, &flush.lock);
    pthread_mutex_unlock(&flush.lock);
    pthread_cond_destroy(&flush.over);
    pthread_mutex_destroy(&flush.lock);
    return flush.rc;
}

int devices_flush(struct devices *devices)
{
    return flush_rows(devices, true);
}

int devices_flush_changes(struct devices *devices)
{
    return flush_rows(devices, false);
}

int devices_flush_members(struct devices *devices)
{
    pthread_mutex_lock(&devices->lock);
    const bool gone = devices->gone.count > 0;
    pthread_mutex_unlock(&devices->lock);
    return gone || atomic_load(&devices->unstored) > 0 ? flush_rows(devices, false) : 0;
}

/* ---- the thread ---- */

static void wait_until(struct devices *devices, int64_t when_ms)
{
    struct timespec when = {.tv_sec = (time_t)(when_ms / 1000), .tv_nsec = (long)(when_ms % 1000) * 1000000};
    pthread_cond_timedwait(&devices->wake, &devices->lock, &when);
}

/* Sleeps, with the lock held, until there is a reason to write. After a failure not before `due`. */
static void wait_for_work(struct devices *devices, int64_t due_ms, bool failed)
{
    while (!devices->stop && !devices->flushes && (failed || !devices->waiters) && monotonic_ms() < due_ms)
        wait_until(devices, due_ms);
    if (!devices->waiters || failed) return;
    due_ms = monotonic_ms() + COMPANY_MS;
    while (!devices->stop && !devices->flushes && monotonic_ms() < due_ms)
        wait_until(devices, due_ms);
}

/* Rows, and what else is due once in a while. */
static bool write_rows(struct devices *devices, bool lazy_too)
{
    pthread_mutex_lock(&devices->lock);
    struct flush *flushes = devices->flushes;
    struct gone_list gone = devices->gone;
    devices->flushes = NULL;
    devices->gone = (struct gone_list){0};
    pthread_mutex_unlock(&devices->lock);
    delete_gone(devices, &gone);
    lines_write(devices);
    for (const struct flush *flush = flushes; flush; flush = flush->next)
        lazy_too = lazy_too || flush->sightings;
    bool ok = write_pass(devices, lazy_too);
    end_flushes(flushes, ok ? 0 : -MOLT_STORE_FAILED);
    return ok;
}

void *devices_write(void *arg)
{
    struct devices *devices = arg;
    int64_t rows_ms = monotonic_ms(), lazy_ms = rows_ms;
    bool failed = false, stop = false;
    while (!stop) {
        pthread_mutex_lock(&devices->lock);
        wait_for_work(devices, rows_ms + PERIOD_MS, failed);
        stop = devices->stop;
        bool flush = devices->flushes != NULL;
        pthread_mutex_unlock(&devices->lock);

        (void)store_recover(devices->store);
        failed = !round_of_results(devices);
        int64_t now_ms = monotonic_ms();
        if (!stop && !flush && !failed && now_ms < rows_ms + PERIOD_MS) continue;
        const bool lazy_too = stop || now_ms >= lazy_ms + LAZY_PERIOD_MS;
        rows_ms = now_ms;
        if (!write_rows(devices, lazy_too))
            failed = true;
        else if (lazy_too)
            lazy_ms = now_ms;
    }
    return NULL;
}

/* devices_writer.c - the table's way from and to the store: loads it at the start, then one thread writes what changed,
 * in batches sorted by id. Must never tell a waiter that something is durable before the store said so.
 * Tests: test/unit/devices_test.c. */
#include "devices_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH_MAX      2048
#define PERIOD_MS      1000  /* changes are on their way after this */
#define LAZY_PERIOD_MS 30000 /* ... and mere sightings after this */
#define COMPANY_MS     10    /* somebody waits: others get this long to join the same commit */
#define UNASSIGNED_MAX 10000
#define NEW_PER_MINUTE 20

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
    for (int i = 0; i < DEVICES_SHARDS && count < BATCH_MAX; i++) {
        struct shard *shard = &devices->shards[i];
        pthread_mutex_lock(&shard->lock);
        while (count < BATCH_MAX && shard->dirty[DIRTY_TAKEN] != 0) {
            uint32_t ref = shard->dirty[DIRTY_TAKEN];
            struct device_row *row = devices_row(shard, ref);
            device_row_read(&devices->pools, row, NULL, &devices->batch[count++]);
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
        if (row && saved) row->has_row = true;
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

/* True when everything that was dirty at the beginning is in the store. */
static bool write_pass(struct devices *devices, bool lazy_too)
{
    take(devices, lazy_too);
    for (;;) {
        pthread_mutex_lock(&devices->writing);
        size_t count = collect(devices);
        bool saved = store_save_devices(devices->store, devices->batch, count) == 0;
        finish_batch(devices, count, saved);
        pthread_mutex_unlock(&devices->writing);
        if (!saved) return false;
        if (count == 0) return true;
        tell_watcher(devices, count);
        atomic_fetch_add(&devices->written, count);
        atomic_fetch_add(&devices->batches, 1);
        if (count < BATCH_MAX) return true;
    }
}

/* ---- the thread ---- */

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void wait_until(struct devices *devices, int64_t when_ms)
{
    struct timespec when = {.tv_sec = (time_t)(when_ms / 1000), .tv_nsec = (long)(when_ms % 1000) * 1000000};
    pthread_cond_timedwait(&devices->wake, &devices->lock, &when);
}

/* Sleeps, with the lock held, until there is a reason to write. */
static void wait_for_work(struct devices *devices, int64_t last_ms, bool failed)
{
    int64_t due = last_ms + PERIOD_MS;
    while (!devices->stop && !devices->at_once && (failed || !devices->waiters) && monotonic_ms() < due)
        wait_until(devices, due);
    if (!devices->waiters || failed) return;
    due = monotonic_ms() + COMPANY_MS;
    while (!devices->stop && !devices->at_once && monotonic_ms() < due)
        wait_until(devices, due);
}

struct flush {
    struct waiter waiter;
    pthread_mutex_t lock;
    pthread_cond_t over;
    bool is_over;
    int rc;
};

static void end_flush(struct flush *flush, int rc)
{
    pthread_mutex_lock(&flush->lock);
    flush->is_over = true;
    flush->rc = rc;
    pthread_cond_signal(&flush->over);
    pthread_mutex_unlock(&flush->lock);
}

static void call_waiters(struct waiter *waiter)
{
    for (struct waiter *next; waiter; waiter = next) {
        next = waiter->next;
        if (waiter->flush) {
            end_flush(waiter->flush, 0);
            continue;
        }
        waiter->done(waiter->ctx);
        free(waiter);
    }
}

/* A failed pass leaves its waiters in line for the next, but for those who block on it. */
static void put_back(struct devices *devices, struct waiter *waiter, bool everything)
{
    pthread_mutex_lock(&devices->lock);
    struct waiter *later = devices->waiters;
    struct waiter **end = &devices->waiters;
    for (struct waiter *next; waiter; waiter = next) {
        next = waiter->next;
        if (waiter->flush) {
            end_flush(waiter->flush, -MOLT_STORE_FAILED);
            continue;
        }
        *end = waiter;
        end = &waiter->next;
    }
    *end = later;
    devices->everything = devices->everything || everything;
    pthread_mutex_unlock(&devices->lock);
}

static void *writer(void *arg)
{
    struct devices *devices = arg;
    int64_t last_ms = monotonic_ms(), last_lazy_ms = last_ms;
    bool failed = false, stop = false;
    while (!stop) {
        pthread_mutex_lock(&devices->lock);
        wait_for_work(devices, last_ms, failed);
        stop = devices->stop;
        bool everything = devices->everything || stop;
        struct waiter *waiters = devices->waiters;
        struct gone_list gone = devices->gone;
        devices->waiters = NULL;
        devices->everything = devices->at_once = false;
        devices->gone = (struct gone_list){0};
        pthread_mutex_unlock(&devices->lock);

        last_ms = monotonic_ms();
        bool lazy_too = everything || last_ms - last_lazy_ms >= LAZY_PERIOD_MS;
        delete_gone(devices, &gone);
        failed = !write_pass(devices, lazy_too);
        if (!failed && lazy_too) last_lazy_ms = last_ms;
        if (failed)
            put_back(devices, waiters, everything);
        else
            call_waiters(waiters);
    }
    return NULL;
}

static void wait_in_line(struct devices *devices, struct waiter *waiter)
{
    pthread_mutex_lock(&devices->lock);
    struct waiter **end = &devices->waiters;
    while (*end)
        end = &(*end)->next;
    *end = waiter;
    if (waiter->flush) devices->everything = devices->at_once = true;
    pthread_cond_signal(&devices->wake);
    pthread_mutex_unlock(&devices->lock);
}

void devices_when_durable(struct devices *devices, void (*done)(void *ctx), void *ctx)
{
    struct waiter *waiter = calloc(1, sizeof *waiter);
    if (waiter) {
        waiter->done = done;
        waiter->ctx = ctx;
        wait_in_line(devices, waiter);
    } else if (devices_flush(devices) == 0) { /* memory is short: wait here */
        done(ctx);
    }
}

int devices_flush(struct devices *devices)
{
    struct flush flush = {.is_over = false};
    flush.waiter.flush = &flush;
    pthread_mutex_init(&flush.lock, NULL);
    pthread_cond_init(&flush.over, NULL);
    wait_in_line(devices, &flush.waiter);
    pthread_mutex_lock(&flush.lock);
    while (!flush.is_over)
        pthread_cond_wait(&flush.over, &flush.lock);
    pthread_mutex_unlock(&flush.lock);
    pthread_cond_destroy(&flush.over);
    pthread_mutex_destroy(&flush.lock);
    return flush.rc;
}

/* ---- start and end ---- */

static int load_row(void *ctx, const struct model_device *device)
{
    struct devices *devices = ctx;
    uint64_t hash;
    struct shard *shard = devices_shard(devices, device->id, &hash);
    pthread_mutex_lock(&shard->lock);
    uint32_t ref = devices_insert(devices, shard, device);
    if (ref != 0) devices_row(shard, ref)->has_row = devices_row(shard, ref)->may_have = true;
    pthread_mutex_unlock(&shard->lock);
    return ref != 0 ? 0 : -MOLT_NO_MEMORY;
}

static bool init_shards(struct devices *devices)
{
    bool ok = true;
    for (int i = 0; i < DEVICES_SHARDS; i++) {
        struct shard *shard = &devices->shards[i];
        pthread_mutex_init(&shard->lock, NULL);
        slab_init(&shard->rows, sizeof(struct device_row));
        ok = buckets_init(&shard->buckets) && ok;
    }
    return ok;
}

static void init_writer(struct devices *devices)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&devices->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&devices->lock, NULL);
    pthread_mutex_init(&devices->writing, NULL);
    pthread_mutex_init(&devices->eviction, NULL);
}

static void destroy(struct devices *devices)
{
    for (int i = 0; i < DEVICES_SHARDS; i++) {
        struct shard *shard = &devices->shards[i];
        slab_free(&shard->rows);
        free(shard->buckets.heads);
        pthread_mutex_destroy(&shard->lock);
    }
    pthread_cond_destroy(&devices->wake);
    pthread_mutex_destroy(&devices->lock);
    device_pools_close(&devices->pools);
    pthread_mutex_destroy(&devices->writing);
    pthread_mutex_destroy(&devices->eviction);
    throttle_free(devices->newcomers);
    while (devices->waiters) { /* the store failed to the end: nobody is told that it did not */
        struct waiter *next = devices->waiters->next;
        free(devices->waiters);
        devices->waiters = next;
    }
    free(devices->gone.ids);
    free(devices->batch);
    rollout_table_free(devices->rollouts);
    free(devices);
}

int devices_open(struct devices **out, struct store *store, const struct devices_limits *limits)
{
    struct devices *devices = calloc(1, sizeof *devices);
    *out = NULL;
    if (!devices) return -MOLT_NO_MEMORY;
    devices->store = store;
    devices->unassigned_max = limits && limits->unassigned_max ? limits->unassigned_max : UNASSIGNED_MAX;
    devices->newcomers =
        throttle_new(limits && limits->new_per_minute ? limits->new_per_minute : NEW_PER_MINUTE);
    devices->batch = calloc(BATCH_MAX, sizeof *devices->batch);
    devices->rollouts = rollout_table_new();
    init_writer(devices);
    bool ok = init_shards(devices) && device_pools_open(&devices->pools);
    int rc = ok && devices->batch && devices->rollouts && devices->newcomers ? 0 : -MOLT_NO_MEMORY;
    if (rc == 0) rc = store_each_device(store, load_row, devices);
    if (rc == 0) {
        newcomers_evict(devices);
        if (pthread_create(&devices->thread, NULL, writer, devices) != 0) rc = -MOLT_NO_MEMORY;
    }
    if (rc < 0) {
        destroy(devices);
        return rc;
    }
    *out = devices;
    return 0;
}

void devices_close(struct devices *devices)
{
    if (!devices) return;
    pthread_mutex_lock(&devices->lock);
    devices->stop = true;
    pthread_cond_signal(&devices->wake);
    pthread_mutex_unlock(&devices->lock);
    pthread_join(devices->thread, NULL);
    destroy(devices);
}

/* devices_results.c - results on their way into the store's log: which changes end an attempt, and the queue to the writer.
 * Must never say that something is kept before the store said so. Tests: test/unit/devices_threads_test.c, test/e2e/kill_load_test.c. */
#include "devices_parts.h"
#include "watch/counters.h"

#include <stdlib.h>
#include <string.h>

#define QUEUE_MAX 65536u /* while the store is away: some ten megabytes */

bool results_take_end(struct model_device *device, struct model_attempt_end *end)
{
    if (!device->ended) return false;
    *end = (struct model_attempt_end){
        .ended_ms =
            device->last_reason_ms > device->last_seen_ms ? device->last_reason_ms : device->last_seen_ms,
        .release_id = device->result_release_id,
        .code = device->announced_code != 0 ? device->announced_code : device->running_code,
        .from_code = device->attempt_from,
        .rollout_id = device->rollout_id,
        .result = device->result,
        .reason = device->result_reason,
        .bytes = device->attempt_bytes,
        .verified = device->verified};
    device->ended = false;
    device->attempt_bytes = 0;
    return true;
}

void results_count(const struct model_attempt_end *end)
{
    counters_add(end->result == MODEL_ATTEMPT_UPDATED       ? COUNTER_RESULT_UPDATED
                 : end->result == MODEL_ATTEMPT_PRESUMED    ? COUNTER_RESULT_PRESUMED
                 : end->result == MODEL_ATTEMPT_ROLLED_BACK ? COUNTER_RESULT_ROLLED_BACK
                                                            : COUNTER_RESULT_FAILED);
}

/* ---- the queue ---- */

static bool grow(struct results *results)
{
    size_t capacity = results->capacity != 0 ? 2 * results->capacity : 64;
    struct model_attempt_end *grown = realloc(results->ends, capacity * sizeof *grown);
    if (grown == NULL) return false;
    results->ends = grown;
    results->capacity = capacity;
    return true;
}

bool results_queue(struct devices *devices, struct device_row *row, const struct model_attempt_end *end)
{
    struct results *results = &devices->results;
    pthread_mutex_lock(&results->lock);
    bool ok = results->count < QUEUE_MAX && (results->count < results->capacity || grow(results));
    if (ok) {
        struct model_attempt_end *to = &results->ends[results->count++];
        *to = *end;
        device_row_id(&devices->pools, row, to->device_id);
        row->queued = true;
    }
    pthread_mutex_unlock(&results->lock);
    return ok;
}

/* Copies up to DEVICES_BATCH_MAX out of the queue into devices->ends. */
static size_t take(struct devices *devices)
{
    struct results *results = &devices->results;
    pthread_mutex_lock(&results->lock);
    size_t count = results->count < DEVICES_BATCH_MAX ? results->count : DEVICES_BATCH_MAX;
    if (count > 0) memcpy(devices->ends, results->ends, count * sizeof *devices->ends);
    pthread_mutex_unlock(&results->lock);
    return count;
}

/* What was taken is in the log. */
static void drop(struct devices *devices, size_t count)
{
    struct results *results = &devices->results;
    pthread_mutex_lock(&results->lock);
    results->count -= count;
    memmove(results->ends, results->ends + count, results->count * sizeof *results->ends);
    pthread_mutex_unlock(&results->lock);
}

/* The devices of devices->ends as they are now, into devices->batch; those that are gone need nothing any more. */
static size_t read_devices(struct devices *devices, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t hash;
        const char *id = devices->ends[i].device_id;
        struct shard *shard = devices_shard(devices, id, &hash);
        pthread_mutex_lock(&shard->lock);
        uint32_t ref = devices_find(devices, shard, id, hash);
        struct device_row *row = ref != 0 ? devices_row(shard, ref) : NULL;
        if (row) {
            device_row_read(&devices->pools, row, NULL, &devices->batch[kept]);
            row->queued = false;  /* what changes from here on needs another place in the queue */
            row->may_have = true; /* opening the store makes rows of the log: an eviction must delete it */
            devices->ends[kept++] = devices->ends[i];
        }
        pthread_mutex_unlock(&shard->lock);
    }
    return kept;
}

static void tell_ends(struct devices *devices, size_t count)
{
    pthread_mutex_lock(&devices->lock);
    devices_ended ended = devices->ended;
    void *ctx = devices->ended_ctx;
    pthread_mutex_unlock(&devices->lock);
    if (ended != NULL && count > 0) ended(ctx, devices->ends, count);
}

bool results_append(struct devices *devices)
{
    size_t left;
    pthread_mutex_lock(&devices->results.lock);
    left = devices->results.count; /* what comes meanwhile is for the next time */
    pthread_mutex_unlock(&devices->results.lock);
    while (left > 0) {
        pthread_mutex_lock(&devices->writing); /* nobody deletes a device between its copy and the log */
        size_t count = take(devices);
        size_t kept = read_devices(devices, count);
        int rc =
            store_append_results(devices->store, devices->batch, devices->ends, kept, &devices->appended);
        pthread_mutex_unlock(&devices->writing);
        if (rc < 0) return false;
        tell_ends(devices, kept);
        drop(devices, count);
        left -= count < left ? count : left;
    }
    return true;
}

bool results_fold(struct devices *devices, int64_t last)
{
    if (devices->folded == last) return true;
    if (store_fold_results(devices->store, last) < 0) return false;
    devices->folded = last;
    return true;
}

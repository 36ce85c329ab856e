/* devices_newcomers.c - what keeps strangers from filling the server: a limit on devices that nobody assigned. (How many an
 * address may make: throttle.h.) Must never forget a device that has a product.
 * Tests: test/unit/devices_test.c. */
#include "devices_parts.h"

#include <stdlib.h>
#include <string.h>

struct candidate {
    int64_t last_seen_ms;
    char id[MODEL_ID_LEN];
};

static int compare_seen(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    return (x->last_seen_ms > y->last_seen_ms) - (x->last_seen_ms < y->last_seen_ms);
}

static size_t collect(struct devices *devices, struct candidate *candidates, size_t capacity)
{
    size_t count = 0;
    for (int i = 0; i < DEVICES_SHARDS; i++) {
        struct shard *shard = &devices->shards[i];
        pthread_mutex_lock(&shard->lock);
        for (uint32_t at = 0; at <= shard->index.mask && count < capacity; at++) {
            uint32_t ref = shard->index.entries[at].ref;
            const struct device_row *row = ref != 0 ? devices_row(shard, ref) : NULL;
            if (row == NULL || !row->unassigned) continue;
            candidates[count].last_seen_ms = row->last_seen_ms;
            device_row_id(&devices->pools, row, candidates[count].id);
            count++;
        }
        pthread_mutex_unlock(&shard->lock);
    }
    return count;
}

/* Remembers that the row is to be deleted. When memory is short it stays, and is loaded at the next start. */
static void delete_later(struct devices *devices, const char *id)
{
    struct gone_list *gone = &devices->gone;
    pthread_mutex_lock(&devices->lock);
    if (gone->count == gone->capacity) {
        size_t capacity = gone->capacity ? gone->capacity * 2 : 256;
        void *grown = realloc(gone->ids, capacity * sizeof *gone->ids);
        if (grown) {
            gone->ids = grown;
            gone->capacity = capacity;
        }
    }
    if (gone->count < gone->capacity) memcpy(gone->ids[gone->count++], id, MODEL_ID_LEN);
    pthread_mutex_unlock(&devices->lock);
}

static void forget(struct devices *devices, const char *id)
{
    uint64_t hash;
    struct shard *shard = devices_shard(devices, id, &hash);
    pthread_mutex_lock(&shard->lock);
    uint32_t ref = devices_find(devices, shard, id, hash);
    const struct device_row *row = ref != 0 ? devices_row(shard, ref) : NULL;
    bool had_row = row && row->may_have;
    bool mine = row && row->unassigned; /* assigned meanwhile: keep */
    if (mine) devices_remove(devices, shard, ref);
    pthread_mutex_unlock(&shard->lock);
    if (mine && had_row) delete_later(devices, id);
}

void newcomers_evict(struct devices *devices)
{
    if (atomic_load(&devices->unassigned) <= devices->unassigned_max) return;
    pthread_mutex_lock(&devices->eviction);
    size_t there = (size_t)atomic_load(&devices->unassigned);
    struct candidate *candidates = there > devices->unassigned_max ? calloc(there, sizeof *candidates) : NULL;
    if (candidates) {
        size_t count = collect(devices, candidates, there);
        qsort(candidates, count, sizeof *candidates, compare_seen);
        /* a sixteenth at once, so that the search through all devices is paid for by many newcomers */
        size_t keep = devices->unassigned_max - devices->unassigned_max / 16;
        for (size_t i = 0; i + keep < count; i++)
            forget(devices, candidates[i].id);
    }
    pthread_mutex_unlock(&devices->eviction);
    free(candidates);
}

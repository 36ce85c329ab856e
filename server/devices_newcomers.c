/* devices_newcomers.c - what keeps strangers from filling the server: a token bucket for each address that makes new
 * devices, and a limit on devices that nobody assigned. Must never forget a device that has a product.
 * Tests: test/unit/devices_test.c. */
#include "devices_parts.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE_MS 60000

/* An IPv6 customer has a whole /64, so that is what counts. */
static uint64_t address_key(const char *address)
{
    uint8_t bytes[16] = {0};
    size_t len = 8;
    if (inet_pton(AF_INET6, address, bytes) == 1) {
        static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
        if (memcmp(bytes, mapped, sizeof mapped) == 0) {
            memmove(bytes, bytes + 12, 4);
            len = 4;
        }
    } else if (inet_pton(AF_INET, address, bytes) == 1) {
        len = 4;
    } else {
        len = strnlen(address, sizeof bytes);
        memcpy(bytes, address, len);
    }
    uint64_t hash = 0xCBF29CE484222325u ^ len;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * 0x100000001B3u;
    hash ^= hash >> 32;
    return hash != 0 ? hash : 1;
}

static void refill(struct newcomer *one, uint32_t per_minute, int64_t now_ms)
{
    int64_t full = (int64_t)per_minute * MINUTE_MS;
    int64_t passed = now_ms - one->at_ms;
    if (passed < 0) passed = 0; /* the clock was set back */
    if (passed > MINUTE_MS) passed = MINUTE_MS;
    one->credit += passed * per_minute;
    if (one->credit > full) one->credit = full;
    one->at_ms = now_ms;
}

/* The address's bucket; a new one takes the place of the one unused for the longest. */
static struct newcomer *bucket_of(struct newcomers *newcomers, uint64_t key, int64_t now_ms)
{
    struct newcomer *set = newcomers->table[key % NEWCOMER_SETS];
    struct newcomer *oldest = &set[0];
    for (int i = 0; i < NEWCOMER_WAYS; i++) {
        if (set[i].address == key) return &set[i];
        if (set[i].at_ms < oldest->at_ms) oldest = &set[i];
    }
    *oldest = (struct newcomer){
        .address = key, .at_ms = now_ms, .credit = (int64_t)newcomers->per_minute * MINUTE_MS};
    return oldest;
}

bool newcomers_allow(struct newcomers *newcomers, const char *address, int64_t now_ms)
{
    uint64_t key = address_key(address);
    pthread_mutex_lock(&newcomers->lock);
    struct newcomer *one = bucket_of(newcomers, key, now_ms);
    refill(one, newcomers->per_minute, now_ms);
    bool allowed = one->credit >= MINUTE_MS;
    if (allowed) one->credit -= MINUTE_MS;
    pthread_mutex_unlock(&newcomers->lock);
    return allowed;
}

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
        for (uint32_t ref = 1; ref <= shard->rows.high && count < capacity; ref++) {
            const struct device_row *row = devices_row(shard, ref);
            if (!row->used || !row->unassigned) continue;
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

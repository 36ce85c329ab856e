/* devices_nodes.c - the table of one of several servers: what others wrote comes in, what is written is put together with theirs, and offers
 * stay within slots. Must never let a device here lose what it has and the others do not. Tests: test/unit/nodes_test.c. */
#include <stdlib.h>
#include <string.h>

#include "devices_parts.h"
#include "host/merge.h"
#include "host/store/nodes.h"

/* ---- what others wrote ---- */

/* With the shard locked: puts the row and what is known here together. The reference, 0: memory is short. */
static uint32_t take_row(struct devices *devices, struct shard *shard, const struct model_device *device,
                         uint64_t hash)
{
    struct model_device merged, is;
    uint32_t ref = devices_find(devices, shard, device->id, hash);
    if (ref == 0) {
        ref = devices_insert(devices, shard, device);
        if (ref != 0) devices_is_stored(devices, devices_row(shard, ref));
        return ref;
    }
    struct device_row *row = devices_row(shard, ref);
    device_row_read(&devices->pools, row, NULL, &is);
    memcpy(&merged, &is, sizeof merged);
    merge_device(&merged, device);
    merge_settle(&merged);
    devices_is_stored(devices, row);
    if (memcmp(&merged, &is, sizeof is) == 0) return ref;
    return devices_replace(devices, shard, ref, &merged) ? ref : 0;
}

static void remove_gone(struct devices *devices, struct shard *shard, const char *id, uint64_t hash,
                        int64_t gone_ms)
{
    const uint32_t ref = devices_find(devices, shard, id, hash);
    if (ref != 0 && devices_row(shard, ref)->first_seen_ms <= gone_ms) devices_remove(devices, shard, ref);
}

int devices_take(struct devices *devices, const char *id, const struct model_device *device, int64_t gone_ms)
{
    uint64_t hash;
    struct shard *shard = devices_shard(devices, id, &hash);
    bool taken = true;
    pthread_mutex_lock(&shard->lock);
    if (device != NULL)
        taken = take_row(devices, shard, device, hash) != 0;
    else
        remove_gone(devices, shard, id, hash, gone_ms);
    pthread_mutex_unlock(&shard->lock);
    return taken ? 0 : -MOLT_NO_MEMORY;
}

/* ---- all of them again ---- */

struct taking {
    struct devices *devices;
    /* a bit for each reference that had a device when it began, and whose row did not come yet */
    uint8_t *unseen;
    uint32_t high;
    bool failed;
};

static int take_one(void *ctx, const struct model_device *device)
{
    struct taking *taking = ctx;
    uint64_t hash;
    struct shard *shard = devices_shard(taking->devices, device->id, &hash);
    pthread_mutex_lock(&shard->lock);
    const uint32_t ref = take_row(taking->devices, shard, device, hash);
    if (ref != 0 && ref <= taking->high) taking->unseen[ref / 8] &= (uint8_t) ~(1u << ref % 8);
    taking->failed = taking->failed || ref == 0;
    pthread_mutex_unlock(&shard->lock);
    return 0;
}

/* Had a row before, has none now, and nothing new is known of it: it was deleted. */
static bool is_lost(const struct taking *taking, const struct device_row *row, uint32_t ref)
{
    return ref <= taking->high && (taking->unseen[ref / 8] >> ref % 8 & 1) != 0 && row->has_row &&
           row->dirty == CLEAN;
}

/* Which are there. A shard at a time: what comes later is not lost. */
static void note_all(const struct taking *taking)
{
    for (int i = 0; i < DEVICES_SHARDS; i++) {
        struct shard *shard = &taking->devices->shards[i];
        pthread_mutex_lock(&shard->lock);
        for (uint32_t at = 0; at <= shard->index.mask; at++) {
            const uint32_t ref = shard->index.entries[at].ref;
            if (ref != 0 && ref <= taking->high) taking->unseen[ref / 8] |= (uint8_t)(1u << ref % 8);
        }
        pthread_mutex_unlock(&shard->lock);
    }
}

static void remove_lost(const struct taking *taking, struct shard *shard)
{
    for (uint32_t at = 0; at <= shard->index.mask;) {
        const uint32_t ref = shard->index.entries[at].ref;
        if (ref != 0 && is_lost(taking, devices_row(shard, ref), ref))
            devices_remove(taking->devices, shard, ref); /* another may come into its place */
        else
            at++;
    }
}

int devices_take_all(struct devices *devices, struct store *store)
{
    struct taking taking = {.devices = devices};
    pthread_mutex_lock(&devices->writing); /* no row is between here and there */
    pthread_mutex_lock(&devices->rows_lock);
    taking.high = devices->rows.high;
    pthread_mutex_unlock(&devices->rows_lock);
    taking.unseen = calloc((size_t)taking.high / 8 + 1, 1);
    if (taking.unseen != NULL) note_all(&taking);
    int rc = taking.unseen != NULL ? store_load_devices(store, take_one, &taking) : -MOLT_NO_MEMORY;
    if (rc == 0 && taking.failed) rc = -MOLT_NO_MEMORY;
    for (int i = 0; rc == 0 && i < DEVICES_SHARDS; i++) {
        pthread_mutex_lock(&devices->shards[i].lock);
        remove_lost(&taking, &devices->shards[i]);
        pthread_mutex_unlock(&devices->shards[i].lock);
    }
    pthread_mutex_unlock(&devices->writing);
    free(taking.unseen);
    return rc;
}

/* ---- what is written ---- */

bool nodes_save_batch(struct devices *devices, size_t count)
{
    if (store_merge_devices(devices->store, devices->batch, devices->gone_batch, count) < 0) return false;
    for (size_t i = 0; i < count; i++) {
        const struct model_device *device = &devices->batch[i];
        uint64_t hash;
        struct shard *shard = devices_shard(devices, device->id, &hash);
        pthread_mutex_lock(&shard->lock);
        if (devices->gone_batch[i])
            remove_gone(devices, shard, device->id, hash,
                        INT64_MAX); /* it is made anew when it comes again */
        else if (devices_find(devices, shard, device->id, hash) != 0)
            (void)take_row(devices, shard, device, hash);
        pthread_mutex_unlock(&shard->lock);
    }
    return true;
}

/* ---- slots ---- */

void devices_hold_offers(struct devices *devices, void (*call)(void *ctx), void *ctx)
{
    pthread_mutex_lock(&devices->opening);
    call(ctx);
    pthread_mutex_unlock(&devices->opening);
}

void devices_set_slots(struct devices *devices, int64_t rollout_id, uint32_t slots)
{
    rollout_table_set_slots(devices->rollouts, rollout_id, slots);
}

uint32_t devices_refused_full(struct devices *devices)
{
    return atomic_exchange(&devices->full, 0);
}

/* devices_open.c - start and end of the device table: has it loaded, runs the writer, writes what is pending.
 * Must never start without what the store has. Tests: test/unit/devices_test.c. */
#include "devices_parts.h"
#include "host/store/nodes.h"

#include <stdlib.h>
#include <string.h>

#define UNASSIGNED_MAX 10000
#define NEW_PER_MINUTE 20

static bool init_shards(struct devices *devices)
{
    bool ok = true;
    slab_init(&devices->rows, sizeof(struct device_row));
    pthread_mutex_init(&devices->rows_lock, NULL);
    for (int i = 0; i < DEVICES_SHARDS; i++) {
        struct shard *shard = &devices->shards[i];
        pthread_mutex_init(&shard->lock, NULL);
        shard->rows.slab = &devices->rows;
        ok = index_init(&shard->index) && ok;
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
    pthread_mutex_init(&devices->results.lock, NULL);
    pthread_mutex_init(&devices->opening, NULL);
}

static void destroy(struct devices *devices)
{
    for (int i = 0; i < DEVICES_SHARDS; i++) {
        struct shard *shard = &devices->shards[i];
        index_free(&shard->index);
        slab_part_free(&shard->rows);
        pthread_mutex_destroy(&shard->lock);
    }
    slab_free(&devices->rows);
    pthread_mutex_destroy(&devices->rows_lock);
    pthread_cond_destroy(&devices->wake);
    pthread_mutex_destroy(&devices->lock);
    device_pools_close(&devices->pools);
    pthread_mutex_destroy(&devices->writing);
    pthread_mutex_destroy(&devices->eviction);
    pthread_mutex_destroy(&devices->results.lock);
    pthread_mutex_destroy(&devices->opening);
    free(devices->gone_batch);
    throttle_free(devices->newcomers);
    free(devices->gone.ids);
    free(devices->batch);
    free(devices->ends);
    free(devices->results.ends);
    lines_free(devices);
    rollout_table_free(devices->rollouts);
    free(devices);
}

int devices_open(struct devices **out, struct store *store, const struct devices_limits *limits)
{
    struct devices *devices = aligned_alloc(_Alignof(struct devices), sizeof *devices);
    *out = NULL;
    if (!devices) return -MOLT_NO_MEMORY;
    memset(devices, 0, sizeof *devices);
    devices->store = store;
    devices->unassigned_max = limits && limits->unassigned_max ? limits->unassigned_max : UNASSIGNED_MAX;
    devices->newcomers =
        throttle_new(limits && limits->new_per_minute ? limits->new_per_minute : NEW_PER_MINUTE);
    devices->batch = calloc(DEVICES_BATCH_MAX, sizeof *devices->batch);
    devices->ends = calloc(DEVICES_BATCH_MAX, sizeof *devices->ends);
    devices->rollouts = rollout_table_new();
    devices->node = store_node_id(store);
    if (devices->node != 0) devices->gone_batch = calloc(DEVICES_BATCH_MAX, sizeof *devices->gone_batch);
    if (devices->rollouts) rollout_table_serve(devices->rollouts, devices->node);
    init_writer(devices);
    bool ok = init_shards(devices) && device_pools_open(&devices->pools) &&
              (devices->node == 0 || devices->gone_batch);
    int rc = ok && devices->batch && devices->ends && devices->rollouts && devices->newcomers
                 ? 0
                 : -MOLT_NO_MEMORY;
    if (rc == 0) rc = devices_load(devices);
    if (rc == 0) {
        newcomers_evict(devices);
        if (pthread_create(&devices->thread, NULL, devices_write, devices) != 0) rc = -MOLT_NO_MEMORY;
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

void devices_limit(struct devices *devices, const struct net *exempt, size_t count, uint32_t new_per_minute)
{
    throttle_exempt(devices->newcomers, exempt, count);
    throttle_set(devices->newcomers, new_per_minute != 0 ? new_per_minute : NEW_PER_MINUTE);
}

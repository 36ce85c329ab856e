/* devices_load.c - from the store into the table, when the server starts: this thread reads rows, another makes devices of them,
 * because a million of them are work for both. Must never end well with some of the devices missing.
 * Tests: test/unit/devices_test.c. */
#include "devices_parts.h"

#include <stdlib.h>

#define BATCH   128u /* devices handed over at a time */
#define BATCHES 4u   /* on the way at most */
#define AHEAD   8u   /* devices whose places in the index are brought into the cache before their turn */

struct batch {
    size_t count;
    struct model_device devices[BATCH];
};

struct loader {
    struct devices *devices;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    size_t filled, emptied; /* batches so far; guarded by lock */
    bool over;              /* no more will be filled */
    int rc;                 /* of the other thread */
    struct batch ring[BATCHES];
};

static int insert(struct devices *devices, const struct model_device *device)
{
    uint64_t hash;
    struct shard *shard = devices_shard(devices, device->id, &hash);
    pthread_mutex_lock(&shard->lock);
    uint32_t ref = devices_insert(devices, shard, device);
    if (ref != 0) devices_is_stored(devices, devices_row(shard, ref));
    pthread_mutex_unlock(&shard->lock);
    return ref != 0 ? 0 : -MOLT_NO_MEMORY;
}

static void *make_devices(void *arg)
{
    struct loader *loader = arg;
    pthread_mutex_lock(&loader->lock);
    for (;;) {
        while (loader->emptied == loader->filled && !loader->over)
            pthread_cond_wait(&loader->moved, &loader->lock);
        if (loader->emptied == loader->filled) break;
        const struct batch *batch = &loader->ring[loader->emptied % BATCHES];
        int rc = loader->rc;
        pthread_mutex_unlock(&loader->lock);
        for (size_t i = 0; rc == 0 && i < batch->count; i++) {
            if (i + AHEAD < batch->count) devices_expect(loader->devices, batch->devices[i + AHEAD].id);
            rc = insert(loader->devices, &batch->devices[i]);
        }
        pthread_mutex_lock(&loader->lock);
        loader->rc = rc;
        loader->emptied++;
        pthread_cond_signal(&loader->moved);
    }
    pthread_mutex_unlock(&loader->lock);
    return NULL;
}

/* Gives the batch that is being filled away. Not 0: the rest is not wanted. */
static int hand_over(struct loader *loader)
{
    pthread_mutex_lock(&loader->lock);
    loader->filled++;
    pthread_cond_signal(&loader->moved);
    while (loader->filled - loader->emptied == BATCHES)
        pthread_cond_wait(&loader->moved, &loader->lock);
    const int rc = loader->rc;
    pthread_mutex_unlock(&loader->lock);
    loader->ring[loader->filled % BATCHES].count = 0;
    return rc;
}

static int take_row(void *ctx, const struct model_device *device)
{
    struct loader *loader = ctx;
    struct batch *batch = &loader->ring[loader->filled % BATCHES];
    batch->devices[batch->count++] = *device;
    return batch->count < BATCH ? 0 : hand_over(loader);
}

static void end_thread(struct loader *loader, pthread_t thread)
{
    (void)hand_over(loader);
    pthread_mutex_lock(&loader->lock);
    loader->over = true;
    pthread_cond_signal(&loader->moved);
    pthread_mutex_unlock(&loader->lock);
    pthread_join(thread, NULL);
}

int devices_load(struct devices *devices)
{
    struct loader *loader = calloc(1, sizeof *loader);
    pthread_t thread;
    if (loader == NULL) return -MOLT_NO_MEMORY;
    loader->devices = devices;
    pthread_mutex_init(&loader->lock, NULL);
    pthread_cond_init(&loader->moved, NULL);
    int rc = pthread_create(&thread, NULL, make_devices, loader) == 0 ? 0 : -MOLT_NO_MEMORY;
    if (rc == 0) {
        rc = store_load_devices(devices->store, take_row, loader);
        end_thread(loader, thread);
        if (rc == 0) rc = loader->rc;
    }
    pthread_cond_destroy(&loader->moved);
    pthread_mutex_destroy(&loader->lock);
    free(loader);
    return rc;
}

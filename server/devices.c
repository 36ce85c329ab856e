/* devices.c - every known device in memory: a sharded table that polls visit. The way to the store: devices_writer.c;
 * who may make new devices: devices_newcomers.c. Must never do I/O or wait for the store while a shard is locked.
 * Tests: test/unit/devices_test.c (threads under TSan, 100,000 devices). */
#include "devices_parts.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash_id(const char *id)
{
    uint64_t hash = 0xCBF29CE484222325u; /* FNV-1a; ids are not secret and buckets grow */
    for (const char *p = id; *p != '\0'; p++)
        hash = (hash ^ (uint8_t)*p) * 0x100000001B3u;
    return hash ^ hash >> 29;
}

struct shard *devices_shard(struct devices *devices, const char *id, uint64_t *hash)
{
    *hash = hash_id(id);
    return &devices->shards[*hash % DEVICES_SHARDS];
}

static struct entry **bucket_of(const struct shard *shard, uint64_t hash)
{
    return &shard->buckets[(hash / DEVICES_SHARDS) & (shard->bucket_count - 1)];
}

struct entry *devices_find(const struct shard *shard, const char *id, uint64_t hash)
{
    for (struct entry *entry = *bucket_of(shard, hash); entry; entry = entry->next)
        if (entry->hash == hash && strcmp(entry->device.id, id) == 0) return entry;
    return NULL;
}

/* Twice the buckets when there are more devices than buckets; when memory is short, chains just grow. */
static void grow(struct shard *shard)
{
    size_t count = shard->bucket_count * 2;
    struct entry **buckets = calloc(count, sizeof *buckets);
    if (!buckets) return;
    struct entry **old = shard->buckets;
    size_t old_count = shard->bucket_count;
    shard->buckets = buckets;
    shard->bucket_count = count;
    for (size_t i = 0; i < old_count; i++) {
        for (struct entry *entry = old[i], *next; entry; entry = next) {
            next = entry->next;
            struct entry **bucket = bucket_of(shard, entry->hash);
            entry->next = *bucket;
            *bucket = entry;
        }
    }
    free(old);
}

struct entry *devices_insert(struct devices *devices, struct shard *shard, uint64_t hash,
                             const struct model_device *device)
{
    struct entry *entry = calloc(1, sizeof *entry);
    if (!entry) return NULL;
    if (shard->count >= shard->bucket_count) grow(shard);
    memcpy(&entry->device, device, sizeof entry->device);
    const struct rollout_mark mark = rollout_mark_of(device);
    rollout_table_move(devices->rollouts, NULL, &mark);
    entry->hash = hash;
    struct entry **bucket = bucket_of(shard, hash);
    entry->next = *bucket;
    *bucket = entry;
    shard->count++;
    atomic_fetch_add(&devices->count, 1);
    if (device->product_id == 0) atomic_fetch_add(&devices->unassigned, 1);
    return entry;
}

void devices_remove(struct devices *devices, struct shard *shard, struct entry *entry)
{
    struct entry **at = bucket_of(shard, entry->hash);
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    devices_mark(devices, shard, entry, CLEAN);
    shard->count--;
    atomic_fetch_sub(&devices->count, 1);
    if (entry->device.product_id == 0) atomic_fetch_sub(&devices->unassigned, 1);
    const struct rollout_mark mark = rollout_mark_of(&entry->device);
    rollout_table_move(devices->rollouts, &mark, NULL);
    free(entry);
}

static void set_seen(struct model_device *device, const char *address, int64_t now_ms)
{
    device->last_seen_ms = now_ms;
    if (strcmp(device->address, address) == 0) return;
    size_t len = strnlen(address, sizeof device->address - 1);
    memcpy(device->address, address, len);
    memset(device->address + len, 0, sizeof device->address - len);
}

/* What is counted of a device, as it is before a visit. */
struct counted {
    bool unassigned;
    struct rollout_mark rollout;
};

static struct counted counted_of(const struct model_device *device)
{
    return (struct counted){.unassigned = device->product_id == 0, .rollout = rollout_mark_of(device)};
}

/* Keeps the counts right, whatever the visit did. */
static void recount(struct devices *devices, const struct counted *before, const struct model_device *device)
{
    const struct counted after = counted_of(device);
    rollout_table_move(devices->rollouts, &before->rollout, &after.rollout);
    bool was = before->unassigned, is = after.unassigned;
    if (was == is) return;
    if (is)
        atomic_fetch_add(&devices->unassigned, 1);
    else
        atomic_fetch_sub(&devices->unassigned, 1);
}

static void visit_entry(struct devices *devices, struct shard *shard, struct entry *entry,
                        devices_visitor visit, void *ctx, bool is_new)
{
    const struct counted before = counted_of(&entry->device);
    enum devices_change change = visit(ctx, &entry->device, is_new);
    recount(devices, &before, &entry->device);
    if (change == DEVICES_DROP && is_new) {
        devices_remove(devices, shard, entry);
        return;
    }
    if (is_new || change == DEVICES_CHANGED) {
        if (entry->dirty < DIRTY_NOW) devices_mark(devices, shard, entry, DIRTY_NOW);
    } else if (entry->dirty == CLEAN) {
        devices_mark(devices, shard, entry, DIRTY_LAZY);
    }
}

static void init_device(struct model_device *device, const char *id, int64_t now_ms)
{
    memset(device, 0, sizeof *device);
    memcpy(device->id, id, strlen(id) + 1);
    device->first_seen_ms = now_ms;
}

/* The id is not known: a row of its own, when the address has not made too many. */
static int visit_newcomer(struct devices *devices, const char *id, const char *address, int64_t now_ms,
                          devices_visitor visit, void *ctx)
{
    struct model_device device;
    init_device(&device, id, now_ms);
    set_seen(&device, address, now_ms);
    if (!newcomers_allow(&devices->newcomers, address, now_ms)) {
        visit(ctx, &device, true);
        return -MOLT_RATE_LIMITED;
    }
    uint64_t hash;
    struct shard *shard = devices_shard(devices, id, &hash);
    pthread_mutex_lock(&shard->lock);
    struct entry *entry = devices_find(shard, id, hash); /* another thread may have been faster */
    bool is_new = entry == NULL;
    if (is_new) entry = devices_insert(devices, shard, hash, &device);
    if (entry) {
        set_seen(&entry->device, address, now_ms);
        visit_entry(devices, shard, entry, visit, ctx, is_new);
    }
    pthread_mutex_unlock(&shard->lock);
    if (!entry) {
        visit(ctx, &device, true); /* memory is short: answer, but do not remember */
        return -MOLT_NO_MEMORY;
    }
    if (is_new) newcomers_evict(devices);
    return 0;
}

int devices_visit(struct devices *devices, const char *id, const char *address, int64_t now_ms,
                  devices_visitor visit, void *ctx)
{
    if (id[0] == '\0' || strnlen(id, MODEL_ID_LEN) == MODEL_ID_LEN) return -MOLT_ARG;
    uint64_t hash;
    struct shard *shard = devices_shard(devices, id, &hash);
    pthread_mutex_lock(&shard->lock);
    struct entry *entry = devices_find(shard, id, hash);
    if (entry) {
        set_seen(&entry->device, address, now_ms);
        visit_entry(devices, shard, entry, visit, ctx, false);
    }
    pthread_mutex_unlock(&shard->lock);
    return entry ? 0 : visit_newcomer(devices, id, address, now_ms, visit, ctx);
}

int devices_rehearse(struct devices *devices, const char *id, const char *address, int64_t now_ms,
                     devices_visitor visit, void *ctx)
{
    if (id[0] == '\0' || strnlen(id, MODEL_ID_LEN) == MODEL_ID_LEN) return -MOLT_ARG;
    struct model_device copy;
    uint64_t hash;
    init_device(&copy, id, now_ms);
    struct shard *shard = devices_shard(devices, id, &hash);
    pthread_mutex_lock(&shard->lock);
    const struct entry *entry = devices_find(shard, id, hash);
    if (entry) copy = entry->device;
    pthread_mutex_unlock(&shard->lock);
    set_seen(&copy, address, now_ms);
    visit(ctx, &copy, entry == NULL);
    return 0;
}

int devices_peek(struct devices *devices, const char *id, devices_visitor visit, void *ctx)
{
    uint64_t hash;
    struct shard *shard = devices_shard(devices, id, &hash);
    pthread_mutex_lock(&shard->lock);
    struct entry *entry = devices_find(shard, id, hash);
    if (entry) {
        const struct counted before = counted_of(&entry->device);
        if (visit(ctx, &entry->device, false) == DEVICES_CHANGED && entry->dirty < DIRTY_NOW)
            devices_mark(devices, shard, entry, DIRTY_NOW);
        recount(devices, &before, &entry->device);
    }
    pthread_mutex_unlock(&shard->lock);
    return entry ? 0 : -MOLT_NOT_FOUND;
}

/* Operator's fields from the store, what was observed from memory. */
static void merge(struct model_device *memory, const struct model_device *stored)
{
    memory->product_id = stored->product_id;
    memcpy(memory->channel, stored->channel, sizeof memory->channel);
    memory->held = stored->held;
    memory->pinned_code = stored->pinned_code;
    memcpy(memory->group_name, stored->group_name, sizeof memory->group_name);
    memcpy(memory->tags, stored->tags, sizeof memory->tags);
    memcpy(memory->attributes, stored->attributes, sizeof memory->attributes);
    if (stored->chip_source == MODEL_CHIP_SET) {
        memory->chip = stored->chip;
        memory->chip_source = MODEL_CHIP_SET;
    } else if (memory->chip_source == MODEL_CHIP_SET) { /* the operator took it back */
        memory->chip = stored->chip;
        memory->chip_source = stored->chip_source;
    }
}

void devices_reload(struct devices *devices, const char *id)
{
    struct model_device stored;
    int rc = store_device_get(devices->store, id, &stored);
    if (rc < 0 && rc != -MOLT_NOT_FOUND) return; /* the store is ill; what is in memory stays */
    uint64_t hash;
    struct shard *shard = devices_shard(devices, id, &hash);
    pthread_mutex_lock(&shard->lock);
    struct entry *entry = devices_find(shard, id, hash);
    if (rc == 0 && !entry) {
        entry = devices_insert(devices, shard, hash, &stored);
        if (entry) entry->has_row = entry->may_have = true;
    } else if (rc == 0) {
        const struct counted before = counted_of(&entry->device);
        merge(&entry->device, &stored);
        recount(devices, &before, &entry->device);
        if (entry->dirty < DIRTY_NOW) devices_mark(devices, shard, entry, DIRTY_NOW);
    } else if (entry && entry->has_row) { /* else it was never there: it is new and will be written */
        devices_remove(devices, shard, entry);
    }
    pthread_mutex_unlock(&shard->lock);
}

void devices_sweep(struct devices *devices, devices_visitor visit, void *ctx)
{
    for (int i = 0; i < DEVICES_SHARDS; i++) {
        struct shard *shard = &devices->shards[i];
        pthread_mutex_lock(&shard->lock);
        for (size_t b = 0; b < shard->bucket_count; b++) {
            for (struct entry *entry = shard->buckets[b]; entry; entry = entry->next) {
                const struct counted before = counted_of(&entry->device);
                if (visit(ctx, &entry->device, false) != DEVICES_CHANGED) continue;
                recount(devices, &before, &entry->device);
                if (entry->dirty < DIRTY_NOW) devices_mark(devices, shard, entry, DIRTY_NOW);
            }
        }
        pthread_mutex_unlock(&shard->lock);
    }
}

const struct rollout_table *devices_rollouts(const struct devices *devices)
{
    return devices->rollouts;
}

void devices_stats(struct devices *devices, struct devices_stats *out)
{
    *out = (struct devices_stats){.count = atomic_load(&devices->count),
                                  .unassigned = atomic_load(&devices->unassigned),
                                  .dirty = atomic_load(&devices->dirty),
                                  .written = atomic_load(&devices->written),
                                  .batches = atomic_load(&devices->batches)};
}

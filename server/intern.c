/* intern.c - byte strings kept once (intern.h): shards by hash, each with its lock, index and items.
 * Must never free a string while a reference is out. Tests: test/unit/device_row_test.c (threads under TSan). */
#include "intern.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "slab.h"

#define SHARD_BITS 4u
#define SHARDS     (1u << SHARD_BITS)
#define LEN_MAX    65535u

#define LAST UINT32_MAX /* no reference of an item */

struct item {
    uint32_t next; /* slab.h; in use: of the shard's list of orphans, LAST at its end, 0 in no list */
    uint32_t refs;
    uint32_t hash;
    uint32_t len;
    void *bytes;
    atomic_uint_least64_t notes[2];
};

struct shard {
    pthread_mutex_t lock;
    struct slab items;
    struct index index;
    uint64_t bytes;
    uint32_t pins;
    uint32_t
        orphans; /* the first of those that lost their last reference while pinned, and may have one again; LAST: none */
};

struct intern {
    struct shard shards[SHARDS];
    void (*gone)(void *ctx, const void *bytes, size_t len);
    void *ctx;
};

/* Eight bytes a step; the multiplier is the golden ratio's. Bits are mixed down at the end, as the index uses the low ones. */
static uint64_t hash_bytes(const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    uint64_t hash = len * 0x9E3779B97F4A7C15u;
    for (; len >= 8; len -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 32;
    }
    uint64_t rest = 0;
    memcpy(&rest, p, len);
    hash = (hash ^ rest) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 29;
}

struct intern *intern_new(void (*gone)(void *ctx, const void *bytes, size_t len), void *ctx)
{
    struct intern *pool = calloc(1, sizeof *pool);
    if (pool == NULL) return NULL;
    bool ok = true;
    pool->gone = gone;
    pool->ctx = ctx;
    for (unsigned i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&pool->shards[i].lock, NULL);
        slab_init(&pool->shards[i].items, sizeof(struct item));
        pool->shards[i].orphans = LAST;
        ok = index_init(&pool->shards[i].index) && ok;
    }
    if (ok) return pool;
    intern_free(pool);
    return NULL;
}

void intern_free(struct intern *pool)
{
    if (pool == NULL) return;
    for (unsigned i = 0; i < SHARDS; i++) {
        struct shard *shard = &pool->shards[i];
        for (uint32_t ref = 1; ref <= shard->items.high; ref++) {
            const struct item *item = slab_at(&shard->items, ref);
            if (item->refs != 0) free(item->bytes);
        }
        slab_free(&shard->items);
        index_free(&shard->index);
        pthread_mutex_destroy(&shard->lock);
    }
    free(pool);
}

static uint32_t find(const struct shard *shard, uint32_t hash, const void *bytes, size_t len)
{
    uint32_t ref, at = hash;
    while ((ref = index_next(&shard->index, hash, &at)) != 0) {
        const struct item *item = slab_at(&shard->items, ref);
        if (item->len == len && memcmp(item->bytes, bytes, len) == 0) break;
    }
    return ref;
}

static uint32_t add(struct shard *shard, uint32_t hash, const void *bytes, size_t len)
{
    if (shard->index.count >= UINT32_MAX >> SHARD_BITS) return 0;
    void *copy = malloc(len != 0 ? len : 1);
    uint32_t ref = copy != NULL ? slab_take(&shard->items) : 0;
    if (ref == 0 || !index_add(&shard->index, hash, ref)) {
        if (ref != 0) slab_give(&shard->items, ref);
        free(copy);
        return 0;
    }
    struct item *item = slab_at(&shard->items, ref);
    memcpy(copy, bytes, len);
    *item = (struct item){.hash = hash, .len = (uint32_t)len, .bytes = copy};
    shard->bytes += len;
    return ref;
}

uint32_t intern_put(struct intern *pool, const void *bytes, size_t len, bool *made)
{
    if (made != NULL) *made = false;
    if (len > LEN_MAX) return 0;
    uint64_t hash = hash_bytes(bytes, len);
    uint32_t which = (uint32_t)(hash >> 60), low = (uint32_t)hash;
    struct shard *shard = &pool->shards[which];
    pthread_mutex_lock(&shard->lock);
    uint32_t ref = find(shard, low, bytes, len);
    if (ref == 0) {
        ref = add(shard, low, bytes, len);
        if (made != NULL) *made = ref != 0;
    }
    struct item *item = ref != 0 ? slab_at(&shard->items, ref) : NULL;
    if (item != NULL && item->refs++ == 0) /* one that was only pinned begins anew, too */
        item->notes[0] = item->notes[1] = 0;
    pthread_mutex_unlock(&shard->lock);
    return ref != 0 ? ref << SHARD_BITS | which : 0;
}

/* With the shard locked. The bytes are the caller's then. */
static void *take_out(struct shard *shard, uint32_t ref, size_t *len)
{
    const struct item *item = slab_at(&shard->items, ref);
    void *bytes = item->bytes;
    *len = item->len;
    shard->bytes -= item->len;
    index_remove(&shard->index, item->hash, ref);
    slab_give(&shard->items, ref);
    return bytes;
}

static void forget(struct intern *pool, void *bytes, size_t len)
{
    if (bytes != NULL && pool->gone != NULL) pool->gone(pool->ctx, bytes, len);
    free(bytes);
}

void intern_drop(struct intern *pool, uint32_t ref)
{
    if (ref == 0) return;
    struct shard *shard = &pool->shards[ref & (SHARDS - 1)];
    void *bytes = NULL;
    size_t len = 0;
    ref >>= SHARD_BITS;
    pthread_mutex_lock(&shard->lock);
    struct item *item = slab_at(&shard->items, ref);
    const bool last = --item->refs == 0 && item->next == 0; /* else whoever unpins finds it in the list */
    if (last && shard->pins == 0) {
        bytes = take_out(shard, ref, &len);
    } else if (last) {
        item->next = shard->orphans;
        shard->orphans = ref;
    }
    pthread_mutex_unlock(&shard->lock);
    forget(pool, bytes, len);
}

/* ---- pins ---- */

void intern_pin(struct intern *pool)
{
    for (unsigned i = 0; i < SHARDS; i++) {
        pthread_mutex_lock(&pool->shards[i].lock);
        pool->shards[i].pins++;
        pthread_mutex_unlock(&pool->shards[i].lock);
    }
}

/* One orphan less. False: there is none, or they are pinned. */
static bool let_one_go(struct intern *pool, struct shard *shard)
{
    void *bytes = NULL;
    size_t len = 0;
    pthread_mutex_lock(&shard->lock);
    const uint32_t ref = shard->pins == 0 ? shard->orphans : LAST;
    if (ref != LAST) {
        struct item *item = slab_at(&shard->items, ref);
        shard->orphans = item->next;
        item->next = 0;
        if (item->refs == 0) bytes = take_out(shard, ref, &len);
    }
    pthread_mutex_unlock(&shard->lock);
    forget(pool, bytes, len);
    return ref != LAST;
}

void intern_unpin(struct intern *pool)
{
    for (unsigned i = 0; i < SHARDS; i++) {
        struct shard *shard = &pool->shards[i];
        pthread_mutex_lock(&shard->lock);
        shard->pins--;
        pthread_mutex_unlock(&shard->lock);
        while (let_one_go(pool, shard))
            ;
    }
}

uint32_t intern_limit(struct intern *pool)
{
    uint32_t high = 0;
    for (unsigned i = 0; i < SHARDS; i++) {
        pthread_mutex_lock(&pool->shards[i].lock);
        if (pool->shards[i].items.high > high) high = pool->shards[i].items.high;
        pthread_mutex_unlock(&pool->shards[i].lock);
    }
    return (high + 1) << SHARD_BITS;
}

/* ---- */

const void *intern_get(const struct intern *pool, uint32_t ref, size_t *len)
{
    const struct item *item = slab_at(&pool->shards[ref & (SHARDS - 1)].items, ref >> SHARD_BITS);
    *len = item->len;
    return item->bytes;
}

static struct item *item_at(const struct intern *pool, uint32_t ref)
{
    return slab_at(&pool->shards[ref & (SHARDS - 1)].items, ref >> SHARD_BITS);
}

uint64_t intern_note(const struct intern *pool, uint32_t ref, unsigned which)
{
    return atomic_load_explicit(&item_at(pool, ref)->notes[which], memory_order_relaxed);
}

void intern_set_note(struct intern *pool, uint32_t ref, unsigned which, uint64_t note)
{
    atomic_store_explicit(&item_at(pool, ref)->notes[which], note, memory_order_relaxed);
}

void intern_stats(struct intern *pool, struct intern_stats *out)
{
    *out = (struct intern_stats){0};
    for (unsigned i = 0; i < SHARDS; i++) {
        struct shard *shard = &pool->shards[i];
        pthread_mutex_lock(&shard->lock);
        out->count += shard->index.count;
        /* an allocation takes 8 bytes more than it holds, in steps of 16, 32 at least */
        out->bytes += shard->bytes + 16u * (uint64_t)shard->index.count;
        out->bytes += sizeof(struct item) * (uint64_t)shard->items.high;
        out->bytes += sizeof(struct index_entry) * ((uint64_t)shard->index.mask + 1);
        pthread_mutex_unlock(&shard->lock);
    }
}

/* slab.c - pages of items and linear hashing over them (slab.h). Must never move an item.
 * Tests: test/unit/device_row_test.c, test/unit/devices_test.c. */
#include "slab.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 16u

void slab_init(struct slab *slab, size_t item_size)
{
    slab->item_size = item_size;
    slab->high = slab->free = 0;
    for (unsigned i = 0; i < SLAB_PAGES; i++)
        atomic_store_explicit(&slab->pages[i], NULL, memory_order_relaxed);
}

void slab_free(struct slab *slab)
{
    for (unsigned i = 0; i < SLAB_PAGES; i++)
        free(atomic_load_explicit(&slab->pages[i], memory_order_relaxed));
}

uint32_t slab_take(struct slab *slab)
{
    if (slab->free != 0) {
        uint32_t ref = slab->free;
        void *item = slab_at(slab, ref);
        slab->free = *(uint32_t *)item;
        memset(item, 0, slab->item_size);
        return ref;
    }
    if (slab->high >= UINT32_MAX - SLAB_FIRST) return 0;
    uint32_t i = slab->high + SLAB_FIRST, power = 31u - (uint32_t)__builtin_clz(i);
    if (power - 6 >= SLAB_PAGES) return 0;
    if (i == 1u << power && atomic_load_explicit(&slab->pages[power - 6], memory_order_relaxed) == NULL) {
        void *page = calloc(1u << power, slab->item_size);
        if (page == NULL) return 0;
        atomic_store_explicit(&slab->pages[power - 6], page, memory_order_release);
    }
    return ++slab->high;
}

void slab_give(struct slab *slab, uint32_t ref)
{
    *(uint32_t *)slab_at(slab, ref) = slab->free;
    slab->free = ref;
}

bool buckets_init(struct buckets *buckets)
{
    buckets->heads = calloc(FIRST_BUCKETS, sizeof *buckets->heads);
    buckets->count = buckets->heads != NULL ? FIRST_BUCKETS : 0;
    buckets->capacity = buckets->count;
    return buckets->heads != NULL;
}

/* Moves what belongs into one bucket more out of the one that had it. */
static void split(struct buckets *buckets, struct slab *slab, buckets_hash hash, const void *ctx)
{
    if (buckets->count == buckets->capacity) {
        if (buckets->capacity >= UINT32_MAX / 2) return;
        uint32_t *grown = realloc(buckets->heads, 2 * (size_t)buckets->capacity * sizeof *grown);
        if (grown == NULL) return;
        buckets->heads = grown;
        buckets->capacity *= 2;
    }
    uint32_t fresh = buckets->count, level = 1u << (31u - (uint32_t)__builtin_clz(fresh));
    uint32_t ref = buckets->heads[fresh - level], keep = 0, move = 0;
    while (ref != 0) {
        uint32_t *next = slab_next(slab, ref), after = *next;
        bool moves = (hash(ctx, next) & (2 * level - 1)) == fresh;
        *next = moves ? move : keep;
        *(moves ? &move : &keep) = ref;
        ref = after;
    }
    buckets->heads[fresh - level] = keep;
    buckets->heads[fresh] = move;
    buckets->count++;
}

void buckets_add(struct buckets *buckets, struct slab *slab, uint32_t ref, uint32_t items, buckets_hash hash,
                 const void *ctx)
{
    if (items >= buckets->count) split(buckets, slab, hash, ctx);
    uint32_t *next = slab_next(slab, ref);
    uint32_t *head = buckets_head(buckets, hash(ctx, next));
    *next = *head;
    *head = ref;
}

void buckets_remove(struct buckets *buckets, struct slab *slab, uint32_t ref, uint32_t hash)
{
    uint32_t *at = buckets_head(buckets, hash);
    while (*at != ref)
        at = slab_next(slab, *at);
    *at = *slab_next(slab, ref);
}

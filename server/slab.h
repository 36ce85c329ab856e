/* slab.h - many small items of one size, each named by a 32-bit reference, and hash buckets over them. Pages double and
 * never move, and one bucket is split for each item added, so that no growth stops anybody for long.
 * The caller locks; but slab_at() of an item that the caller knows to be in use needs no lock. */
#ifndef MOLT_SERVER_SLAB_H
#define MOLT_SERVER_SLAB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLAB_FIRST 64u /* items of the first page */
#define SLAB_PAGES 26u

/* Each item begins with a uint32_t that the slab uses while it is free, and buckets while it is not. */
struct slab {
    size_t item_size;
    uint32_t high; /* references 1 to high were given out at least once */
    uint32_t free; /* first of the list of free ones, 0: none */
    void *_Atomic pages[SLAB_PAGES];
};

void slab_init(struct slab *slab, size_t item_size);
void slab_free(struct slab *slab);
uint32_t slab_take(struct slab *slab); /* zeroed; 0: memory is short, or 2^32 are there */
void slab_give(struct slab *slab, uint32_t ref);

static inline void *slab_at(const struct slab *slab, uint32_t ref)
{
    uint32_t i = ref - 1 + SLAB_FIRST;
    uint32_t power = 31u - (uint32_t)__builtin_clz(i);
    char *page =
        atomic_load_explicit(&slab->pages[power - 6], memory_order_acquire); /* SLAB_FIRST is 1 << 6 */
    return page + (size_t)(i - (1u << power)) * slab->item_size;
}

/* Linear hashing: count buckets, each the first reference of a chain. */
struct buckets {
    uint32_t *heads;
    uint32_t count, capacity;
};

typedef uint32_t (*buckets_hash)(const void *ctx, const void *item);

bool buckets_init(struct buckets *buckets); /* false: memory is short */
/* Puts the item in; hash(ctx, item) must be the same each time. When memory is short, chains just grow. */
void buckets_add(struct buckets *buckets, struct slab *slab, uint32_t ref, uint32_t items, buckets_hash hash,
                 const void *ctx);
void buckets_remove(struct buckets *buckets, struct slab *slab, uint32_t ref, uint32_t hash);

static inline uint32_t *buckets_head(const struct buckets *buckets, uint32_t hash)
{
    uint32_t level = 1u << (31u - (uint32_t)__builtin_clz(buckets->count)); /* not above count */
    uint32_t i = hash & (2 * level - 1);
    return &buckets->heads[i < buckets->count ? i : i & (level - 1)];
}

static inline uint32_t *slab_next(const struct slab *slab, uint32_t ref)
{
    return slab_at(slab, ref);
}

#endif

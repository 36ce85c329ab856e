/* slab.h - many small items of one size, each named by a 32-bit reference, and an index that finds them by hash. Pages double
 * and never move; large ones ask for huge pages, because a fleet is visited in no order and each visit would miss the TLB.
 * The caller locks; but slab_at() of an item that the caller knows to be in use needs no lock. */
#ifndef MOLT_SERVER_SLAB_H
#define MOLT_SERVER_SLAB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLAB_FIRST 64u /* items of the first page */
#define SLAB_PAGES 26u

/* Each item begins with a uint32_t that the slab uses while it is free. */
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

/* Pages begin at a cache line. */
static inline void *slab_at(const struct slab *slab, uint32_t ref)
{
    uint32_t i = ref - 1 + SLAB_FIRST;
    uint32_t power = 31u - (uint32_t)__builtin_clz(i);
    char *page =
        atomic_load_explicit(&slab->pages[power - 6], memory_order_acquire); /* SLAB_FIRST is 1 << 6 */
    return page + (size_t)(i - (1u << power)) * slab->item_size;
}

/* A part of a slab: its items lie side by side in runs, so that who looks at all of them reads memory in order. For a table in
 * shards: the part is the shard's, and so is its lock; only slab_part_grow() needs the slab's, too. */
#define SLAB_RUN 32u
struct slab_part {
    struct slab *slab;
    uint32_t free;  /* first of the list of free ones, 0: none */
    uint32_t *runs; /* the first item of each */
    uint32_t count, capacity;
};

/* One more run of free items. False: memory is short, or 2^32 items are there. A slab in parts gives nothing else away. */
bool slab_part_grow(struct slab_part *part);
uint32_t slab_part_take(struct slab_part *part); /* zeroed; 0: none is free */
void slab_part_give(struct slab_part *part,
                    uint32_t ref);           /* which is all zero then but for the first uint32_t */
void slab_part_free(struct slab_part *part); /* not its items */

/* References by hash: an open table, searched in steps of one from where the hash says, eight entries a cache line. The
 * hash stands beside the reference, so an item that is not meant is hardly ever looked at. */
struct index_entry {
    uint32_t hash, ref; /* ref 0: free */
};
struct index {
    struct index_entry *entries;
    uint32_t mask;  /* entries less one */
    uint32_t count; /* used */
};

bool index_init(struct index *index); /* false: memory is short */
void index_free(struct index *index);
/* False: memory is short, and nothing was added. */
bool index_add(struct index *index, uint32_t hash, uint32_t ref);
void index_remove(struct index *index, uint32_t hash, uint32_t ref); /* which must be there */

/* The references with that hash, one after the other; *at is the hash at first. 0: no more. */
static inline uint32_t index_next(const struct index *index, uint32_t hash, uint32_t *at)
{
    for (;;) {
        const struct index_entry *entry = &index->entries[(*at)++ & index->mask];
        if (entry->ref == 0 || entry->hash == hash) return entry->ref;
    }
}

/* Brings what index_next() will look at first into the cache. Needs no lock: should the table be another one by then, a line
 * was read that nobody needs. */
static inline void index_expect(const struct index *index, uint32_t hash)
{
    uintptr_t entries = (uintptr_t)__atomic_load_n(&index->entries, __ATOMIC_RELAXED);
    uint32_t mask = __atomic_load_n(&index->mask, __ATOMIC_RELAXED);
    __builtin_prefetch((const void *)(entries + (hash & mask) * sizeof(struct index_entry)));
}

#endif

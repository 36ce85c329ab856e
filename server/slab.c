/* slab.c - pages of items, and the index of references by hash (slab.h). Must never move an item.
 * Tests: test/unit/device_row_test.c, test/unit/devices_test.c. */
#include "slab.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CACHE_LINE    64u
#define HUGE_PAGE     (2u << 20)
#define FIRST_ENTRIES 16u

void slab_init(struct slab *slab, size_t item_size)
{
    slab->item_size = item_size;
    slab->high = slab->free = 0;
    for (unsigned i = 0; i < SLAB_PAGES; i++)
        atomic_store_explicit(&slab->pages[i], NULL, memory_order_relaxed);
}

static size_t page_size(const struct slab *slab, unsigned page)
{
    size_t size = ((size_t)SLAB_FIRST << page) * slab->item_size;
    size_t unit = size < HUGE_PAGE ? CACHE_LINE : HUGE_PAGE;
    return (size + unit - 1) / unit * unit;
}

/* Zeroed. A large one comes from the kernel, which fills it in when it is touched. */
static void *page_new(size_t size)
{
    void *page;
    if (size < HUGE_PAGE) {
        page = aligned_alloc(CACHE_LINE, size);
        return page != NULL ? memset(page, 0, size) : NULL;
    }
    page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return NULL;
    (void)madvise(page, size, MADV_HUGEPAGE); /* a wish */
    return page;
}

void slab_free(struct slab *slab)
{
    for (unsigned i = 0; i < SLAB_PAGES; i++) {
        void *page = atomic_load_explicit(&slab->pages[i], memory_order_relaxed);
        const size_t size = page_size(slab, i);
        if (page == NULL || size < HUGE_PAGE)
            free(page);
        else
            munmap(page, size);
    }
}

/* The first of that many that were never given out; 0 as slab_take(). */
static uint32_t take_fresh(struct slab *slab, uint32_t count)
{
    if (slab->high >= UINT32_MAX - SLAB_FIRST - count) return 0;
    uint32_t i = slab->high + SLAB_FIRST, power = 31u - (uint32_t)__builtin_clz(i);
    if (power - 6 >= SLAB_PAGES) return 0;
    if (i == 1u << power && atomic_load_explicit(&slab->pages[power - 6], memory_order_relaxed) == NULL) {
        void *page = page_new(page_size(slab, power - 6));
        if (page == NULL) return 0;
        atomic_store_explicit(&slab->pages[power - 6], page, memory_order_release);
    }
    const uint32_t first = slab->high + 1;
    slab->high += count;
    return first;
}

uint32_t slab_take(struct slab *slab)
{
    if (slab->free == 0) return take_fresh(slab, 1);
    uint32_t ref = slab->free;
    void *item = slab_at(slab, ref);
    slab->free = *(uint32_t *)item;
    memset(item, 0, slab->item_size);
    return ref;
}

void slab_give(struct slab *slab, uint32_t ref)
{
    *(uint32_t *)slab_at(slab, ref) = slab->free;
    slab->free = ref;
}

/* ---- parts ---- */

_Static_assert(SLAB_FIRST % SLAB_RUN == 0, "a run lies in one page");

bool slab_part_grow(struct slab_part *part)
{
    if (part->count == part->capacity) {
        const uint32_t capacity = part->capacity == 0 ? 4 : part->capacity * 2;
        uint32_t *runs = realloc(part->runs, capacity * sizeof *runs);
        if (runs == NULL) return false;
        part->runs = runs;
        part->capacity = capacity;
    }
    const uint32_t first = take_fresh(part->slab, SLAB_RUN);
    if (first == 0) return false;
    part->runs[part->count++] = first;
    for (uint32_t i = SLAB_RUN; i > 0; i--) /* so that they are taken in order */
        slab_part_give(part, first + i - 1);
    return true;
}

uint32_t slab_part_take(struct slab_part *part)
{
    const uint32_t ref = part->free;
    if (ref == 0) return 0;
    uint32_t *item = slab_at(part->slab, ref);
    part->free = *item;
    *item = 0;
    return ref;
}

void slab_part_give(struct slab_part *part, uint32_t ref)
{
    uint32_t *item = slab_at(part->slab, ref);
    memset(item, 0, part->slab->item_size);
    *item = part->free;
    part->free = ref;
}

void slab_part_free(struct slab_part *part)
{
    free(part->runs);
    part->runs = NULL;
}

/* ---- the index ---- */

static struct index_entry *entries_new(size_t count)
{
    const size_t size = count * sizeof(struct index_entry);
    struct index_entry *entries = aligned_alloc(CACHE_LINE, size);
    return entries != NULL ? memset(entries, 0, size) : NULL;
}

bool index_init(struct index *index)
{
    *index = (struct index){.entries = entries_new(FIRST_ENTRIES), .mask = FIRST_ENTRIES - 1};
    return index->entries != NULL;
}

void index_free(struct index *index)
{
    free(index->entries);
    index->entries = NULL;
}

static void put(struct index *index, uint32_t hash, uint32_t ref)
{
    uint32_t at = hash & index->mask;
    while (index->entries[at].ref != 0)
        at = (at + 1) & index->mask;
    index->entries[at] = (struct index_entry){hash, ref};
}

static bool grow(struct index *index)
{
    const uint32_t old = index->mask + 1;
    struct index grown = {.mask = 2 * old - 1, .count = index->count};
    if (old > UINT32_MAX / 4) return false;
    grown.entries = entries_new(2 * (size_t)old);
    if (grown.entries == NULL) return false;
    for (uint32_t i = 0; i < old; i++)
        if (index->entries[i].ref != 0) put(&grown, index->entries[i].hash, index->entries[i].ref);
    free(index->entries);
    __atomic_store_n(&index->entries, grown.entries,
                     __ATOMIC_RELAXED); /* index_expect() reads without the lock */
    __atomic_store_n(&index->mask, grown.mask, __ATOMIC_RELAXED);
    return true;
}

bool index_add(struct index *index, uint32_t hash, uint32_t ref)
{
    const uint32_t size = index->mask + 1;
    /* a fuller one than that only when memory is short; one entry stays free, or a search would not end */
    if (index->count >= size / 8 * 7 && !grow(index) && index->count + 1 >= size) return false;
    put(index, hash, ref);
    index->count++;
    return true;
}

void index_remove(struct index *index, uint32_t hash, uint32_t ref)
{
    const uint32_t mask = index->mask;
    uint32_t gap = hash & mask;
    while (index->entries[gap].ref != ref)
        gap = (gap + 1) & mask;
    /* what was put further on because of it moves up, so that no search ends too early */
    for (uint32_t at = (gap + 1) & mask; index->entries[at].ref != 0; at = (at + 1) & mask) {
        if (((at - index->entries[at].hash) & mask) < ((at - gap) & mask)) continue;
        index->entries[gap] = index->entries[at];
        gap = at;
    }
    index->entries[gap] = (struct index_entry){0, 0};
    index->count--;
}

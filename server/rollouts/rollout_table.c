/* rollout_table.c - counts by rollout id in pages that are made on demand and never move.
 * Must never lose a count: every move adds exactly what an earlier one will take away. Tests:
 * test/unit/rollout_test.c (threads under TSan). */
#include "rollout_table.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_ROWS 256
#define PAGES     4096 /* a million rollouts; what is beyond is not counted, and its rules never act */

struct row {
    atomic_uint offered, open, succeeded, presumed, failed;
    atomic_uint mine, slots; /* of one of several servers */
    _Atomic int64_t last_success_ms;
};

struct page {
    struct row rows[PAGE_ROWS];
};

struct rollout_table {
    struct page *_Atomic pages[PAGES];
    uint32_t node; /* 0: the only server */
    atomic_bool has_slots;
};

struct rollout_table *rollout_table_new(void)
{
    return calloc(1, sizeof(struct rollout_table));
}

void rollout_table_free(struct rollout_table *table)
{
    if (!table) return;
    for (int i = 0; i < PAGES; i++)
        free(atomic_load(&table->pages[i]));
    free(table);
}

static struct row *row_of(struct rollout_table *table, int64_t rollout_id)
{
    if (rollout_id <= 0 || rollout_id >= (int64_t)PAGES * PAGE_ROWS) return NULL;
    struct page *_Atomic *at = &table->pages[rollout_id / PAGE_ROWS];
    struct page *page = atomic_load(at);
    if (page == NULL) {
        struct page *fresh = calloc(1, sizeof *fresh);
        if (fresh == NULL) return NULL;
        if (atomic_compare_exchange_strong(at, &page, fresh))
            page = fresh;
        else
            free(fresh); /* another thread was faster: page is now its page */
    }
    return &page->rows[rollout_id % PAGE_ROWS];
}

struct rollout_mark rollout_mark_of(const struct model_device *device)
{
    return (struct rollout_mark){.rollout_id = device->rollout_id,
                                 .ms = device->rollout_ms,
                                 .node = device->rollout_node,
                                 .open = device->rollout_open,
                                 .counts = device->rollout_counts,
                                 .outcome = device->rollout_outcome};
}

static void note_success(struct row *row, int64_t ms)
{
    int64_t last = atomic_load(&row->last_success_ms);
    while (ms > last && !atomic_compare_exchange_weak(&row->last_success_ms, &last, ms)) {
    }
}

/* by: 1 or -1, which wraps to a subtraction. */
static void add(struct rollout_table *table, const struct rollout_mark *mark, int by)
{
    struct row *row = row_of(table, mark->rollout_id);
    if (row == NULL) return;
    unsigned n = (unsigned)by;
    atomic_fetch_add(&row->offered, n);
    if (mark->open) atomic_fetch_add(&row->open, n);
    if (mark->open && table->node != 0 && mark->node == table->node) atomic_fetch_add(&row->mine, n);
    if (!mark->counts) return;
    switch (mark->outcome) {
    case MODEL_OUTCOME_SUCCEEDED:
        atomic_fetch_add(&row->succeeded, n);
        if (by > 0 && !mark->open) note_success(row, mark->ms);
        break;
    case MODEL_OUTCOME_PRESUMED:
        atomic_fetch_add(&row->presumed, n);
        if (by > 0 && !mark->open) note_success(row, mark->ms);
        break;
    case MODEL_OUTCOME_FAILED:
    case MODEL_OUTCOME_TIMED_OUT:
        atomic_fetch_add(&row->failed, n);
        break;
    case MODEL_OUTCOME_NONE:
        break;
    }
}

static bool equal(const struct rollout_mark *a, const struct rollout_mark *b)
{
    return a->rollout_id == b->rollout_id && a->ms == b->ms && a->node == b->node && a->open == b->open &&
           a->counts == b->counts && a->outcome == b->outcome;
}

void rollout_table_move(struct rollout_table *table, const struct rollout_mark *before,
                        const struct rollout_mark *after)
{
    if (before != NULL && after != NULL && equal(before, after)) return;
    if (after != NULL) add(table, after, 1); /* first in, so that no reader sees fewer than there are */
    if (before != NULL) add(table, before, -1);
}

void rollout_table_read(const struct rollout_table *table, int64_t rollout_id, struct rollout_counts *out)
{
    memset(out, 0, sizeof *out);
    out->leased = table != NULL && table->node != 0;
    if (table == NULL || rollout_id <= 0 || rollout_id >= (int64_t)PAGES * PAGE_ROWS) return;
    const struct page *page = atomic_load(&table->pages[rollout_id / PAGE_ROWS]);
    if (page == NULL) return;
    const struct row *row = &page->rows[rollout_id % PAGE_ROWS];
    *out = (struct rollout_counts){.offered = atomic_load(&row->offered),
                                   .open = atomic_load(&row->open),
                                   .succeeded = atomic_load(&row->succeeded),
                                   .presumed = atomic_load(&row->presumed),
                                   .failed = atomic_load(&row->failed),
                                   .last_success_ms = atomic_load(&row->last_success_ms),
                                   .leased = table->node != 0,
                                   .mine = atomic_load(&row->mine),
                                   .slots = atomic_load(&row->slots)};
}

void rollout_table_serve(struct rollout_table *table, uint32_t node)
{
    table->node = node;
}

void rollout_table_set_slots(struct rollout_table *table, int64_t rollout_id, uint32_t slots)
{
    struct row *row = row_of(table, rollout_id);
    atomic_store(&table->has_slots, true);
    if (row != NULL) atomic_store(&row->slots, slots);
}

bool rollout_table_has_slots(const struct rollout_table *table)
{
    return atomic_load_explicit(&table->has_slots, memory_order_relaxed);
}

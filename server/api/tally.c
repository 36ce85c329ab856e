/* tally.c - counts of texts. Must never grow with what devices say. Tests: test/unit/api_counts_test.c. */
#include "tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACES (2 * TALLY_MAX)

static uint32_t hash(const char *text)
{
    uint32_t h = 2166136261u;
    for (; *text != '\0'; text++)
        h = (h ^ (unsigned char)*text) * 16777619u;
    return h;
}

void tally_add(struct tally *tally, const char *text, uint64_t times)
{
    char cut[TALLY_TEXT];
    (void)snprintf(cut, sizeof cut, "%s", text);
    tally->total += times;
    for (uint32_t at = hash(cut) % PLACES;; at = (at + 1) % PLACES) { /* half of the places are always free */
        struct tally_entry *entry = &tally->entries[at];
        if (entry->count == 0 && tally->used == TALLY_MAX) {
            tally->other += times;
            return;
        }
        if (entry->count == 0) {
            memcpy(entry->text, cut, sizeof cut);
            tally->used++;
        }
        if (strcmp(entry->text, cut) == 0) {
            entry->count += times;
            return;
        }
    }
}

static int compare(const void *a, const void *b)
{
    const struct tally_entry *x = a, *y = b;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    return strcmp(x->text, y->text);
}

void tally_sort(struct tally *tally)
{
    qsort(tally->entries, PLACES, sizeof tally->entries[0], compare);
}

/* index.c - where a string occurs in a file: its suffixes, sorted, and where each pair of first bytes begins among them.
 * Tests: test/property/pack_property_test.c. */
#include <divsufsort.h>
#include <stdlib.h>
#include <string.h>

#include "host/pack/pack_parts.h"

#define PAIRS 65536u

/* A suffix of one byte sorts before all that begin with it, so it counts as followed by 0. */
static uint32_t pair_at(const uint8_t *data, uint32_t len, uint32_t at)
{
    return (uint32_t)data[at] << 8 | (at + 1 < len ? data[at + 1] : 0u);
}

bool pack_index_make(struct pack_index *index, const uint8_t *data, uint32_t len)
{
    index->data = data;
    index->len = len;
    index->suffixes = malloc((size_t)len * sizeof *index->suffixes);
    index->first = calloc(PAIRS + 1, sizeof *index->first);
    if (index->suffixes == NULL || index->first == NULL) return false;
    if (divsufsort(data, index->suffixes, (int32_t)len) != 0) return false;
    for (uint32_t at = 0; at < len; at++)
        index->first[pair_at(data, len, at) + 1]++;
    for (uint32_t pair = 0; pair < PAIRS; pair++)
        index->first[pair + 1] += index->first[pair];
    return true;
}

void pack_index_free(struct pack_index *index)
{
    free(index->suffixes);
    free(index->first);
}

uint32_t pack_index_longest(const struct pack_index *index, const uint8_t *text, uint32_t limit,
                            uint32_t *from)
{
    uint32_t best = 0, same_low = 0, same_high = 0;
    *from = 0;
    if (limit < 2) return 0;
    uint32_t pair = pair_at(text, 2, 0), low = index->first[pair], high = index->first[pair + 1];
    while (low < high) { /* what lies outside shares same_low, or same_high, bytes with text at the border */
        uint32_t middle = low + (high - low) / 2, place = (uint32_t)index->suffixes[middle];
        uint32_t same = same_low < same_high ? same_low : same_high, most = index->len - place;
        if (most > limit) most = limit;
        if (same > most) same = most;
        while (same < most && index->data[place + same] == text[same])
            same++;
        if (same > best) {
            best = same;
            *from = place;
        }
        if (same == limit) break;
        if (same == index->len - place || index->data[place + same] < text[same]) {
            low = middle + 1;
            same_low = same;
        } else {
            high = middle;
            same_high = same;
        }
    }
    return best < 2 ? 0 : best;
}

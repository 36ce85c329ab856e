/* matches.c - finds earlier occurrences in the output: a binary tree of suffixes for each hash of three bytes, as
 * LZMA's "bt" finder. Must give every length the nearest distance it saw. Tests: test/property/pack_property_test.c. */
#include <stdlib.h>
#include <string.h>

#include "host/pack/pack_parts.h"

#define HASH_BITS 16u
#define DEPTH     192u
#define NONE      UINT32_MAX

struct pack_matches {
    const uint8_t *data;
    uint32_t len;
    uint32_t two[65536]; /* the latest place of two bytes */
    uint32_t head[1u << HASH_BITS];
    uint32_t *son; /* two a position: smaller, greater */
};

struct pack_matches *pack_matches_new(const uint8_t *data, uint32_t len)
{
    struct pack_matches *m = malloc(sizeof *m);
    if (m == NULL) return NULL;
    m->data = data;
    m->len = len;
    memset(m->two, 0xFF, sizeof m->two);
    memset(m->head, 0xFF, sizeof m->head);
    m->son = malloc((size_t)len * 2 * sizeof m->son[0]);
    if (m->son == NULL) {
        free(m);
        return NULL;
    }
    return m;
}

void pack_matches_free(struct pack_matches *m)
{
    if (m == NULL) return;
    free(m->son);
    free(m);
}

static uint32_t hash3(const uint8_t *p)
{
    return ((uint32_t)(p[0] | p[1] << 8 | (uint32_t)p[2] << 16) * 2654435761u) >> (32 - HASH_BITS);
}

/* Walks the tree of `head`, splits it around pos, and reports ever longer matches. */
static uint32_t walk(struct pack_matches *m, uint32_t pos, uint32_t head, uint32_t limit, uint32_t best,
                     struct pack_match *found, uint32_t count)
{
    const uint8_t *here = m->data + pos;
    uint32_t *smaller = &m->son[2 * (size_t)pos], *greater = smaller + 1;
    uint32_t same_smaller = 0, same_greater = 0;
    for (uint32_t depth = 0; head != NONE && depth < DEPTH; depth++) {
        const uint8_t *there = m->data + head;
        uint32_t *sons = &m->son[2 * (size_t)head];
        uint32_t same = same_smaller < same_greater ? same_smaller : same_greater;
        while (same < limit && there[same] == here[same])
            same++;
        if (same > best && found != NULL && count < PACK_MATCHES_MAX) {
            best = same;
            found[count++] = (struct pack_match){same, pos - head - 1};
        }
        if (same == limit) {
            *smaller = sons[0];
            *greater = sons[1];
            return count;
        }
        if (there[same] < here[same]) {
            *smaller = head;
            smaller = &sons[1];
            head = *smaller;
            same_smaller = same;
        } else {
            *greater = head;
            greater = &sons[0];
            head = *greater;
            same_greater = same;
        }
    }
    *smaller = *greater = NONE;
    return count;
}

uint32_t pack_matches_at(struct pack_matches *m, uint32_t pos, uint32_t limit, struct pack_match *found)
{
    uint32_t count = 0, left = m->len - pos;
    const uint8_t *here = m->data + pos;
    if (left < 3) return 0;
    uint32_t two = here[0] | (uint32_t)here[1] << 8, near = m->two[two];
    m->two[two] = pos;
    if (near != NONE && found != NULL && limit >= 2) found[count++] = (struct pack_match){2, pos - near - 1};
    uint32_t *head = &m->head[hash3(here)], first = *head;
    *head = pos;
    uint32_t most = left < PACK_MATCH_MAX ? left : PACK_MATCH_MAX; /* the tree's order is of whole matches */
    count = walk(m, pos, first, most, 2, found, count);
    while (count > 0 && found != NULL && found[count - 1].len > limit) {
        if (count == 1 || found[count - 2].len >= limit)
            count--;
        else
            found[count - 1].len = limit;
    }
    if (count == 1 && found != NULL && found[0].len < PACK_MATCH_MIN) count = 0;
    return count;
}

/* align.c - which parts of the output come from where in the base, by Colin Percival's method ("Naive differences of
 * executable code", 2003): exact matches from a suffix array, extended both ways while more bytes agree than not.
 * Tests: test/property/pack_property_test.c. */
#include "host/pack/pack_parts.h"

#define MATCH_MAX 65536
#define BETTER_BY 8 /* bytes that a new place must explain beyond the current one */

struct search {
    const uint8_t *base, *out;
    int64_t base_len, out_len;
    const struct pack_index *index;
};

static int64_t longest(const struct search *s, int64_t at, int64_t *from)
{
    uint32_t place = 0, limit = (uint32_t)(s->out_len - at < MATCH_MAX ? s->out_len - at : MATCH_MAX);
    uint32_t len = pack_index_longest(s->index, s->out + at, limit, &place);
    *from = place;
    return len;
}

static bool agrees(const struct search *s, int64_t at, int64_t shift)
{
    int64_t from = at + shift;
    return from >= 0 && from < s->base_len && s->base[from] == s->out[at];
}

/* How far the copy from `from` to `at` is worth going on, to at most `end`. */
static int64_t grow(const struct search *s, int64_t from, int64_t at, int64_t end)
{
    int64_t score = 0, best = 0, len = 0;
    for (int64_t i = 0; at + i < end && from + i < s->base_len;) {
        score += s->base[from + i] == s->out[at + i];
        i++;
        if (score * 2 - i > best * 2 - len) {
            best = score;
            len = i;
        }
    }
    return len;
}

static int64_t grow_back(const struct search *s, int64_t from, int64_t at, int64_t begin)
{
    int64_t score = 0, best = 0, len = 0;
    for (int64_t i = 1; at - i >= begin && from - i >= 0; i++) {
        score += s->base[from - i] == s->out[at - i];
        if (score * 2 - i > best * 2 - len) {
            best = score;
            len = i;
        }
    }
    return len;
}

/* Two copies that both want `overlap` bytes: how many of them the first gets. */
static int64_t divide(const struct search *s, int64_t from_a, int64_t from_b, int64_t at, int64_t overlap)
{
    int64_t score = 0, best = 0, len = 0;
    for (int64_t i = 0; i < overlap; i++) {
        score += s->base[from_a + i] == s->out[at + i];
        score -= s->base[from_b + i] == s->out[at + i];
        if (score > best) {
            best = score;
            len = i + 1;
        }
    }
    return len;
}

static bool scan(const struct search *s, struct pack_list *copies)
{
    int64_t at = 0, len = 0, from = 0, last_at = 0, last_from = 0, last_shift = 0;
    while (at < s->out_len) {
        int64_t agreed = 0, counted;
        at += len;
        for (counted = at; at < s->out_len; at++) {
            len = longest(s, at, &from);
            for (; counted < at + len; counted++)
                agreed += agrees(s, counted, last_shift);
            if ((len == agreed && len != 0) || len > agreed + BETTER_BY) break;
            agreed -= agrees(s, at, last_shift);
        }
        if (len == agreed && at < s->out_len) continue;
        int64_t ahead = grow(s, last_from, last_at, at);
        int64_t back = at < s->out_len ? grow_back(s, from, at, last_at) : 0;
        int64_t overlap = last_at + ahead - (at - back);
        if (overlap > 0) {
            int64_t first = divide(s, last_from + ahead - overlap, from - back, at - back, overlap);
            ahead += first - overlap;
            back -= first;
        }
        if (ahead > 0) {
            struct pack_copy *copy = pack_list_add(copies, sizeof *copy);
            if (copy == NULL) return false;
            *copy = (struct pack_copy){(uint32_t)last_from, (uint32_t)last_at, (uint32_t)ahead};
        }
        last_at = at - back;
        last_from = from - back;
        last_shift = from - at;
    }
    return true;
}

bool pack_align(const struct pack_index *base, const uint8_t *out, uint32_t out_len, struct pack_list *copies)
{
    struct search s = {base->data, out, base->len, out_len, base};
    return scan(&s, copies);
}

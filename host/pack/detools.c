/* detools.c - patches for ESP-IDF's component esp_delta_ota: detools' "sequential" form, compressed by heatshrink, behind
 * the component's header. Sources: esp_delta_ota_patch_gen.py (header), detools (its README: sequential patch layout),
 * heatshrink (bit stream). Must give the same bytes for the same job. Tests: test/e2e/detools_test.sh. */
#include <stdlib.h>
#include <string.h>

#include "host/pack/pack.h"
#include "host/pack/pack_parts.h"
#include "util/bytes.h"

#define HEADER_LEN   64u
#define HEADER_MAGIC 0xFCCDDE10u
#define SEQUENTIAL   0x04u /* patch type 0, compression 4: heatshrink */
#define WINDOW_BITS  8u    /* what esp_delta_ota is built for */
#define LENGTH_BITS  7u
#define WINDOW       (1u << WINDOW_BITS)
#define LENGTH_MAX   (1u << LENGTH_BITS)
#define LITERAL_COST 9u
#define MATCH_COST   (1u + WINDOW_BITS + LENGTH_BITS)

static bool put(struct pack_list *list, uint32_t byte)
{
    uint8_t *to = pack_list_add(list, 1);
    if (to != NULL) *to = (uint8_t)byte;
    return to != NULL;
}

/* A number as detools writes it: 6 bits and a sign first, then 7 bits each, the low ones first. */
static bool put_size(struct pack_list *list, int64_t value)
{
    uint64_t left = (uint64_t)(value < 0 ? -value : value);
    uint32_t first = (uint32_t)(left & 0x3F) | (value < 0 ? 0x40u : 0);
    left >>= 6;
    bool good = put(list, first | (left != 0 ? 0x80u : 0));
    for (; good && left != 0; left >>= 7)
        good = put(list, (uint32_t)(left & 0x7F) | (left >> 7 != 0 ? 0x80u : 0));
    return good;
}

/* ---- what is compressed: differences and new bytes in turn ---- */

/* out[to, to + diff) less base[from...), then extra bytes as they are, then how far the place in the base jumps. */
static bool put_step(struct pack_list *list, const struct pack_job *job, const struct pack_copy *copy,
                     uint32_t extra, int64_t jump)
{
    bool good = put_size(list, copy->len);
    for (uint32_t i = 0; good && i < copy->len; i++)
        good = put(list, (uint8_t)(job->data[copy->to + i] - job->base[copy->from + i]));
    good = good && put_size(list, extra);
    for (uint32_t i = 0; good && i < extra; i++)
        good = put(list, job->data[copy->to + copy->len + i]);
    return good && put_size(list, jump);
}

static bool put_steps(struct pack_list *list, const struct pack_job *job, const struct pack_list *copies)
{
    const struct pack_copy *all = copies->data;
    struct pack_copy now = {0, 0, 0};
    bool good = put_size(list, 0); /* no data format */
    for (size_t k = 0; good && k <= copies->count; k++) {
        bool last = k == copies->count;
        uint32_t end = now.to + now.len, next = last ? (uint32_t)job->len : all[k].to;
        int64_t jump = last ? 0 : (int64_t)all[k].from - (int64_t)(now.from + now.len);
        if (now.len > 0 || next > end || jump != 0) good = put_step(list, job, &now, next - end, jump);
        if (!last) now = all[k];
    }
    return good;
}

/* ---- heatshrink ---- */

struct bits {
    struct pack_list *to;
    uint32_t held, count;
    bool failed;
};

static void put_bits(struct bits *b, uint32_t value, uint32_t count)
{
    b->held = b->held << count | value;
    for (b->count += count; b->count >= 8; b->count -= 8)
        b->failed = !put(b->to, b->held >> (b->count - 8)) || b->failed;
}

struct hit {
    uint8_t len, back; /* back: distance less 1; len 0: a literal */
};

/* The longest earlier occurrence within the window. */
static struct hit longest(const uint8_t *data, size_t len, size_t at, const uint32_t *chain)
{
    struct hit best = {0, 0};
    uint32_t most = len - at < LENGTH_MAX ? (uint32_t)(len - at) : LENGTH_MAX;
    for (uint32_t from = chain[at]; from != 0 && at - (from - 1) <= WINDOW; from = chain[from - 1]) {
        uint32_t n = 0;
        while (n < most && data[from - 1 + n] == data[at + n])
            n++;
        if (n > best.len) best = (struct hit){(uint8_t)n, (uint8_t)(at - from)};
        if (n == most) break;
    }
    return best;
}

/* The cheapest way from each place to the end, from the end: a longer match is never dearer. */
static void choose(const uint8_t *data, size_t len, const uint32_t *chain, struct hit *hits, uint32_t *cost)
{
    cost[len] = 0;
    for (size_t at = len; at-- > 0;) {
        struct hit hit = longest(data, len, at, chain);
        cost[at] = LITERAL_COST + cost[at + 1];
        hits[at] = (struct hit){0, 0};
        if (hit.len < 2 || MATCH_COST + cost[at + hit.len] >= cost[at]) continue;
        cost[at] = MATCH_COST + cost[at + hit.len];
        hits[at] = hit;
    }
}

/* For each place 1 + the latest one before it that begins with the same two bytes, 0: none. */
static void link_places(const uint8_t *data, size_t len, uint32_t *chain, uint32_t *head)
{
    memset(head, 0, 65536 * sizeof *head);
    for (size_t at = 0; at < len; at++) {
        uint32_t two = at + 1 < len ? data[at] | (uint32_t)data[at + 1] << 8 : 0;
        chain[at] = at + 1 < len ? head[two] : 0;
        if (at + 1 < len) head[two] = (uint32_t)at + 1;
    }
}

static bool heatshrink(const struct pack_list *plain, struct pack_list *to)
{
    const uint8_t *data = plain->data;
    size_t len = plain->count;
    uint32_t *chain = malloc((2 * len + 1 + 65536) * sizeof *chain), *cost = chain + len,
             *head = cost + len + 1;
    struct hit *hits = malloc(len * sizeof *hits);
    struct bits bits = {.to = to};
    bool good = chain != NULL && hits != NULL;
    if (good) {
        link_places(data, len, chain, head);
        choose(data, len, chain, hits, cost);
        for (size_t at = 0; at < len;) {
            if (hits[at].len == 0) {
                put_bits(&bits, 0x100u | data[at], 9);
                at++;
                continue;
            }
            put_bits(&bits, hits[at].back, 1 + WINDOW_BITS);
            put_bits(&bits, hits[at].len - 1u, LENGTH_BITS);
            at += hits[at].len;
        }
        if (bits.count > 0) put_bits(&bits, 0, 8 - bits.count);
    }
    free(chain);
    free(hits);
    return good && !bits.failed;
}

/* ---- the patch ---- */

static bool assemble(const struct pack_job *job, struct pack_list *patch)
{
    struct pack_list copies = {0}, plain = {0};
    struct pack_index index = {0};
    uint8_t header[HEADER_LEN] = {0};
    bool masked, good = true;
    molt_store32le(header, HEADER_MAGIC);
    pack_identity(job->base, job->base_len, header + 4, &masked);
    for (uint32_t i = 0; good && i < HEADER_LEN; i++)
        good = put(patch, header[i]);
    good = good && put(patch, SEQUENTIAL) && put_size(patch, (int64_t)job->len) &&
           put(patch, (WINDOW_BITS - 4u) << 4 | (LENGTH_BITS - 3u)) &&
           pack_index_make(&index, job->base, (uint32_t)job->base_len) &&
           pack_align(&index, job->data, (uint32_t)job->len, &copies) && put_steps(&plain, job, &copies) &&
           heatshrink(&plain, patch);
    pack_index_free(&index);
    free(copies.data);
    free(plain.data);
    return good;
}

int pack_detools(const struct pack_job *job, uint8_t **out, size_t *out_len)
{
    struct pack_list patch = {0};
    *out = NULL;
    if (job->base == NULL || job->len - 1 >= MOLT_PACK_OUT_MAX || job->base_len - 1 >= MOLT_PACK_OUT_MAX)
        return -MOLT_ARG;
    if (!assemble(job, &patch)) {
        free(patch.data);
        return -MOLT_NO_MEMORY;
    }
    *out = patch.data;
    *out_len = patch.count;
    return 0;
}

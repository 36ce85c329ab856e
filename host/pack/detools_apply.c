/* detools_apply.c - applies what detools.c makes, so that nobody is handed a patch that was not tried. Must never write
 * beyond the size that the patch announces, nor read outside base or patch. Tests: test/unit/detools_test.c. */
#include <stdlib.h>
#include <string.h>

#include "host/pack/pack.h"
#include "util/bytes.h"

#define HEADER_LEN   64u
#define HEADER_MAGIC 0xFCCDDE10u
#define WINDOW_BITS  8u
#define LENGTH_BITS  7u
#define WINDOW       (1u << WINDOW_BITS)

struct reader {
    const uint8_t *data;
    size_t len, at; /* of the patch */
    uint32_t bit;   /* of the byte at `at`, from the top */
    uint8_t window[WINDOW];
    uint32_t produced, copy_left, back;
    bool failed;
};

static uint32_t bits(struct reader *r, uint32_t count)
{
    uint32_t value = 0;
    for (; count > 0; count--) {
        if (r->at >= r->len) {
            r->failed = true;
            return 0;
        }
        value = value << 1 | (r->data[r->at] >> (7 - r->bit) & 1u);
        r->bit = (r->bit + 1) & 7u;
        if (r->bit == 0) r->at++;
    }
    return value;
}

/* The next byte of what heatshrink compressed. */
static uint8_t plain(struct reader *r)
{
    uint8_t byte;
    if (r->copy_left == 0 && bits(r, 1) != 0) {
        byte = (uint8_t)bits(r, 8);
    } else {
        if (r->copy_left == 0) {
            r->back = bits(r, WINDOW_BITS) + 1;
            r->copy_left = bits(r, LENGTH_BITS) + 1;
            if (r->back > r->produced) r->failed = true;
        }
        byte = r->window[(r->produced - r->back) % WINDOW];
        r->copy_left--;
    }
    r->window[r->produced++ % WINDOW] = byte;
    return r->failed ? 0 : byte;
}

/* A number of detools', from whatever next() gives. */
static int64_t size_of(struct reader *r, uint8_t (*next)(struct reader *r))
{
    uint8_t byte = next(r);
    bool negative = (byte & 0x40) != 0;
    uint64_t value = byte & 0x3F;
    for (uint32_t shift = 6; (byte & 0x80) != 0; shift += 7) {
        if (shift > 30 || r->failed) {
            r->failed = true;
            return 0;
        }
        byte = next(r);
        value |= (uint64_t)(byte & 0x7F) << shift;
    }
    return negative ? -(int64_t)value : (int64_t)value;
}

static uint8_t raw(struct reader *r)
{
    if (r->at < r->len) return r->data[r->at++];
    r->failed = true;
    return 0;
}

static bool apply(struct reader *r, const uint8_t *base, size_t base_len, uint8_t *out, size_t out_len)
{
    size_t at = 0;
    int64_t from = 0;
    if (size_of(r, plain) != 0) return false; /* a data format */
    while (at < out_len && !r->failed) {
        int64_t diff = size_of(r, plain);
        if (diff < 0 || diff > (int64_t)(out_len - at) || from < 0 || from + diff > (int64_t)base_len)
            return false;
        for (; diff > 0; diff--)
            out[at++] = (uint8_t)(base[from++] + plain(r));
        int64_t extra = size_of(r, plain);
        if (extra < 0 || extra > (int64_t)(out_len - at)) return false;
        for (; extra > 0; extra--)
            out[at++] = plain(r);
        from += size_of(r, plain);
    }
    return !r->failed;
}

int pack_detools_apply(const uint8_t *patch, size_t len, const uint8_t *base, size_t base_len, uint8_t **out,
                       size_t *out_len)
{
    uint8_t digest[MOLT_SHA256_LEN];
    bool masked;
    *out = NULL;
    if (len < HEADER_LEN + 3 || molt_load32le(patch) != HEADER_MAGIC) return -MOLT_BAD_PACK;
    pack_identity(base, base_len, digest, &masked);
    if (memcmp(digest, patch + 4, sizeof digest) != 0) return -MOLT_PACK_BASE;
    struct reader *r = calloc(1, sizeof *r);
    if (r == NULL) return -MOLT_NO_MEMORY;
    *r = (struct reader){.data = patch, .len = len, .at = HEADER_LEN};
    bool good = raw(r) == 0x04;
    int64_t size = size_of(r, raw);
    good = good && size > 0 && size <= (int64_t)MOLT_PACK_OUT_MAX && raw(r) == 0x44 && !r->failed;
    uint8_t *to = good ? malloc((size_t)size) : NULL;
    if (to != NULL && apply(r, base, base_len, to, (size_t)size)) {
        *out = to;
        *out_len = (size_t)size;
    } else {
        free(to);
    }
    free(r);
    return *out != NULL ? 0 : good && to == NULL ? -MOLT_NO_MEMORY : -MOLT_BAD_PACK;
}

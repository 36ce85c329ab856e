/* pack_fuzz.c - any bytes as a pack: no crash, no read outside base or output, never more output than announced, and
 * the answer does not depend on the pieces. The first byte chooses the pieces; a header with a wrong CRC is sealed
 * anew, so that mutations get behind it. */
#include "fuzz.h"

#include <string.h>

#include "pack/pack.h"
#include "util/bytes.h"
#include "util/crc.h"

#define IN_MAX   65536u
#define OUT_MAX  65536u
#define BASE_LEN 8192u

static uint8_t base[BASE_LEN], out[2][OUT_MAX], sealed[IN_MAX];
static uint32_t written;
static const uint8_t *output;

static int read_base(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    (void)ctx;
    FUZZ_CHECK(len <= MOLT_PACK_READ_MAX && off <= BASE_LEN && len <= BASE_LEN - off);
    memcpy(dst, base + off, len);
    return 0;
}

static int read_output(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    (void)ctx;
    FUZZ_CHECK(len <= MOLT_PACK_READ_MAX && off <= written && len <= written - off);
    memcpy(dst, output + off, len);
    return 0;
}

/* The last answer; MORE: starved, or the output is longer than there is room for here. */
static int decode(const uint8_t *data, size_t size, size_t piece, uint8_t *to)
{
    static struct molt_pack pack;
    const struct molt_pack_io io = {NULL, read_base, read_output};
    size_t used = 0, n;
    output = to;
    written = 0;
    molt_pack_begin(&pack, &io);
    for (;;) {
        size_t give = size - used < piece ? size - used : piece, in_len = give;
        size_t room = OUT_MAX - written < piece ? OUT_MAX - written : piece;
        const uint8_t *in = data + used;
        int rc = molt_pack_step(&pack, &in, &in_len, to + written, room, &n);
        FUZZ_CHECK(n <= room && in_len <= give && in == data + used + (give - in_len));
        used += give - in_len;
        written += (uint32_t)n;
        if (rc == MOLT_PACK_HEAD) {
            FUZZ_CHECK(written == 0 && pack.out_len <= MOLT_PACK_OUT_MAX && pack.out_len > 0);
            if (pack.base_len != 0 && pack.base_len != BASE_LEN) return rc; /* as a device refuses it */
            continue;
        }
        FUZZ_CHECK(rc < 0 || written <= pack.out_len);
        FUZZ_CHECK(rc >= 0 || rc == -MOLT_BAD_PACK);
        if (rc == MOLT_PACK_END) FUZZ_CHECK(written == pack.out_len && used == pack.total_in);
        if (rc != MOLT_PACK_MORE || (give == in_len && n == 0)) return rc;
    }
}

/* Makes the header's CRC right where its lengths allow to find it. */
static void seal(uint8_t *data, size_t size)
{
    if (size < MOLT_PACK_FIXED_LEN || data[6] < 12 || data[6] > 24) return;
    uint32_t frames = ((molt_load32le(data + 8) - 1u) >> data[6]) + 1u, map_len = molt_load32le(data + 16);
    if (frames > MOLT_PACK_FRAMES_MAX || map_len > MOLT_PACK_MAP_MAX) return;
    size_t at = MOLT_PACK_FIXED_LEN + 8u * frames + map_len;
    if (at + 4 <= size) molt_store32le(data + at, molt_crc32_lsb(0, data, at));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > IN_MAX) return 0;
    for (uint32_t i = 0; i < BASE_LEN; i++)
        base[i] = (uint8_t)((i * 2654435761u) >> 13);
    size_t piece = (size_t)1 << (data[0] & 15);
    size_t len = size - 1;
    memcpy(sealed, data + 1, len);
    seal(sealed, len);
    int whole = decode(sealed, len, IN_MAX, out[0]);
    uint32_t whole_written = written;
    int pieces = decode(sealed, len, piece, out[1]);
    FUZZ_CHECK(whole == pieces);
    if (whole == MOLT_PACK_END) {
        FUZZ_CHECK(whole_written == written && memcmp(out[0], out[1], written) == 0);
    }
    return 0;
}

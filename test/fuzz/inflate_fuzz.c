/* inflate_fuzz.c - any bytes as gzip: no crash, and the answer is zlib's. The first byte chooses window and pieces. */
#include "fuzz.h"

#include <string.h>
#include <zlib.h>

#include "gzip/inflate.h"

#define OUT_MAX 65536u

static uint8_t expected[OUT_MAX], result[OUT_MAX], window[32768];

/* Z_STREAM_END, Z_DATA_ERROR, or Z_BUF_ERROR when input or room ran out. */
static int zlib_decode(const uint8_t *data, size_t size, size_t *made)
{
    z_stream z = {0};
    FUZZ_CHECK(inflateInit2(&z, 16 + 15) == Z_OK);
    z.next_in = (Bytef *)data;
    z.avail_in = (uInt)size;
    z.next_out = expected;
    z.avail_out = sizeof expected;
    int rc = inflate(&z, Z_FINISH);
    *made = z.total_out;
    inflateEnd(&z);
    return rc == Z_STREAM_END || rc == Z_DATA_ERROR ? rc : Z_BUF_ERROR;
}

/* Decodes in pieces of at most `piece` bytes of input and output. */
static int decode(const uint8_t *data, size_t size, uint32_t window_len, size_t piece, size_t *made)
{
    struct molt_inflate inf;
    size_t used = 0, out = 0;
    FUZZ_CHECK(molt_inflate_begin(&inf, window, window_len) == 0);
    for (;;) {
        size_t give = size - used < piece ? size - used : piece, in_len = give, n;
        size_t room = sizeof result - out < piece ? sizeof result - out : piece;
        const uint8_t *in = data + used;
        int rc = molt_inflate_step(&inf, &in, &in_len, result + out, room, &n);
        FUZZ_CHECK(n <= room && in_len <= give && in == data + used + (give - in_len));
        used += give - in_len;
        out += n;
        *made = out;
        bool stuck = give == in_len && n == 0;
        if (rc != MOLT_INFLATE_MORE || stuck) return rc;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    uint8_t choice = *data++;
    size--;
    size_t zlib_made, made;
    int zlib = zlib_decode(data, size, &zlib_made);
    int rc = decode(data, size, 32768, (size_t)1 << (choice & 15), &made);
    FUZZ_CHECK((rc == MOLT_INFLATE_END) == (zlib == Z_STREAM_END));
    FUZZ_CHECK(rc >= 0 || rc == -MOLT_BAD_GZIP);
    if (rc == MOLT_INFLATE_END) FUZZ_CHECK(made == zlib_made);
    FUZZ_CHECK(memcmp(result, expected, made < zlib_made ? made : zlib_made) == 0);

    size_t small_made;
    int small = decode(data, size, 256u << (choice >> 4 & 7), sizeof result, &small_made);
    FUZZ_CHECK(small == rc || small == -MOLT_GZIP_WINDOW);
    FUZZ_CHECK(small_made <= made &&
               memcmp(result, expected, small_made < zlib_made ? small_made : zlib_made) == 0);
    return 0;
}

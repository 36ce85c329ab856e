/* facts_gzip.c - gzip on the PC: makes it, and opens it within bounds.
 * Must never inflate more than FACTS_FILE_MAX bytes. Tests: test/unit/facts_test.c. */
#define ZLIB_CONST /* zlib: next_in is const */
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>
#include <zopfli/zopfli.h>

#include "facts_parts.h"

#define GZIP_WRAPPER  16         /* zlib: added to window bits, reads or writes RFC 1952 */
#define GZIP_MEMORY   9          /* zlib: memLevel for the densest result */
#define ZOPFLI_MAX    (2u << 20) /* bytes: a second of work for an ESP8266's image */
#define ZOPFLI_ROUNDS 5
#define FIRST_CONTENT (256u * 1024)

/* As dense as deflate gets: 1.5 % smaller than zlib's best, for a second's work. Its window is always 32 KB. */
static bool gzip_densely(const uint8_t *data, size_t len, uint8_t **out, size_t *out_len)
{
    ZopfliOptions options;
    if (len == 0 || len > ZOPFLI_MAX) return false;
    ZopfliInitOptions(&options);
    options.numiterations = ZOPFLI_ROUNDS;
    ZopfliCompress(&options, ZOPFLI_FORMAT_GZIP, data, len, out, out_len);
    return *out != NULL;
}

int facts_gzip(const uint8_t *data, size_t len, int window_bits, uint8_t **out, size_t *out_len)
{
    z_stream z = {0};
    *out = NULL;
    *out_len = 0;
    if (window_bits < 9 || window_bits > 15 || len > FACTS_FILE_MAX) return -MOLT_ARG;
    if (window_bits == 15 && gzip_densely(data, len, out, out_len)) return 0;
    int rc = deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, window_bits + GZIP_WRAPPER, GZIP_MEMORY,
                          Z_DEFAULT_STRATEGY);
    if (rc != Z_OK) return -MOLT_NO_MEMORY;
    uLong bound = deflateBound(&z, (uLong)len);
    uint8_t *buf = malloc(bound);
    if (buf != NULL) {
        z.next_in = data;
        z.avail_in = (uInt)len;
        z.next_out = buf;
        z.avail_out = (uInt)bound;
        if (deflate(&z, Z_FINISH) == Z_STREAM_END) {
            *out = buf;
            *out_len = z.total_out;
            buf = NULL;
        }
    }
    deflateEnd(&z);
    free(buf);
    return *out != NULL ? 0 : -MOLT_NO_MEMORY;
}

/* ---- opening ---- */

static int fail(int reason, const char *text, char *detail, size_t cap)
{
    snprintf(detail, cap, "%s", text);
    return -reason;
}

/* Inflates into a buffer that grows, to the end of the first member. */
static int inflate_growing(z_stream *z, uint8_t **buf, char *detail, size_t cap)
{
    size_t room = FIRST_CONTENT;
    *buf = malloc(room);
    if (*buf == NULL) return fail(MOLT_NO_MEMORY, "", detail, cap);
    for (;;) {
        z->next_out = *buf + z->total_out;
        z->avail_out = (uInt)(room - z->total_out);
        int rc = inflate(z, Z_NO_FLUSH);
        if (rc == Z_STREAM_END) return 0;
        if (rc == Z_MEM_ERROR) return fail(MOLT_NO_MEMORY, "", detail, cap);
        if (rc != Z_OK && rc != Z_BUF_ERROR) {
            return fail(MOLT_BAD_GZIP, z->msg != NULL ? z->msg : "damaged", detail, cap);
        }
        if (z->avail_out > 0)
            return fail(MOLT_BAD_GZIP, "the file ends before its content does", detail, cap);
        if (room > FACTS_FILE_MAX) return fail(MOLT_FILE_TOO_LARGE, "inflated, it is larger", detail, cap);
        room *= 2;
        uint8_t *bigger = realloc(*buf, room);
        if (bigger == NULL) return fail(MOLT_NO_MEMORY, "", detail, cap);
        *buf = bigger;
    }
}

/* One member is all that eboot reads; what stands behind it can only be a signature. */
static int check_end(const z_stream *z, const uint8_t *data, size_t len, char *detail, size_t cap)
{
    if (z->avail_in == 0) return 0;
    if (facts_arduino_trailer(data, len) == z->avail_in) {
        snprintf(detail, cap, "an Arduino ESP8266 signature of %u bytes behind the gzip data", z->avail_in);
        return -MOLT_IMAGE_SIGNED;
    }
    snprintf(detail, cap, "%u bytes behind the end of the gzip data", z->avail_in);
    return -MOLT_BAD_GZIP;
}

int facts_inflate(const uint8_t *data, size_t len, uint8_t **out, size_t *out_len, char *detail, size_t cap)
{
    z_stream z = {0};
    uint8_t *buf = NULL;
    *out = NULL;
    *out_len = 0;
    if (inflateInit2(&z, MAX_WBITS + GZIP_WRAPPER) != Z_OK) return fail(MOLT_NO_MEMORY, "", detail, cap);
    z.next_in = data;
    z.avail_in = (uInt)len;
    int rc = inflate_growing(&z, &buf, detail, cap);
    if (rc == 0) rc = check_end(&z, data, len, detail, cap);
    if (rc == 0 && z.total_out > FACTS_FILE_MAX)
        rc = fail(MOLT_FILE_TOO_LARGE, "inflated, it is larger", detail, cap);
    if (rc == 0 && z.total_out == 0) rc = fail(MOLT_IMAGE_EMPTY, "the gzip file is empty", detail, cap);
    if (rc == 0) {
        *out = buf;
        *out_len = z.total_out;
    } else {
        free(buf);
    }
    inflateEnd(&z);
    return rc;
}

/* pack_small_test.c - the decoder as a device with 4 KB for it builds it (MOLT_PACK_ROWS=120): it takes deltas made for it, and
 * refuses whole images and larger maps by their header. */
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "host/image_build.h"
#include "host/pack/pack.h"
#include "host/pack/pack_parts.h"
#include "util/bytes.h"
#include "util/crc.h"

static uint8_t *was, *is, *out;
static size_t was_len, is_len;
static struct molt_pack decoder;

static int read_base(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    (void)ctx;
    memcpy(dst, was + off, len);
    for (uint32_t i = 2; i < 4; i++) { /* a device's own bytes */
        if (i >= off && i - off < len) ((uint8_t *)dst)[i - off] = 0;
    }
    return 0;
}

static int read_output(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    (void)ctx;
    memcpy(dst, out + off, len);
    return 0;
}

static int decode(const uint8_t *pack, size_t len)
{
    const struct molt_pack_io io = {NULL, read_base, read_output};
    size_t made = 0;
    molt_pack_begin(&decoder, &io);
    int rc = molt_pack_step(&decoder, &pack, &len, out, is_len, &made);
    if (rc != MOLT_PACK_HEAD) return rc;
    return molt_pack_step(&decoder, &pack, &len, out, is_len, &made);
}

static int build(void **state)
{
    (void)state;
    struct image_build how = {.chip = MOLT_CHIP_ESP8266, .size = 200000, .seed = 1, .flash_size = 1u << 20};
    assert_int_equal(image_build(&how, &was, &was_len), 0);
    assert_int_equal(image_build(&how, &is, &is_len), 0);
    for (size_t at = 60000; at < 120000; at++)
        is[at] = was[at + 40];
    out = malloc(is_len);
    assert_non_null(out);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    free(was);
    free(is);
    free(out);
    return 0;
}

static void a_delta_made_for_it_decodes(void **state)
{
    (void)state;
    uint8_t *pack;
    size_t pack_len;
    const struct pack_job job = {.data = is, .len = is_len, .base = was, .base_len = was_len, .small = true};
    assert_int_equal(MOLT_PACK_ROWS, MOLT_PACK_ROWS_SMALL);
    assert_int_equal(pack_encode(&job, &pack, &pack_len, NULL), 0);
    assert_int_equal(decode(pack, pack_len), MOLT_PACK_END);
    assert_memory_equal(out, is, is_len);
    assert_true(decoder.map.end[PACK_MAP_PARTS] > 4 &&
                decoder.map.end[PACK_MAP_PARTS] <= MOLT_PACK_ROWS_SMALL);
    free(pack);
}

static void a_whole_image_is_refused_by_its_header(void **state)
{
    (void)state;
    uint8_t *pack;
    size_t pack_len;
    const struct pack_job job = {.data = is, .len = is_len};
    assert_int_equal(pack_encode(&job, &pack, &pack_len, NULL), 0);
    assert_int_equal(decode(pack, pack_len), -MOLT_BAD_PACK);
    assert_int_equal(decoder.total_out, 0);
    free(pack);
}

/* A header like that of a delta, whose map has so many rows. */
static int decode_rows(uint32_t rows)
{
    uint8_t pack[1000] = {0};
    struct pack_coder c = {0};
    struct pack_models *m = calloc(1, sizeof *m);
    assert_non_null(m);
    pack_models_reset((uint16_t *)m, sizeof *m / sizeof(uint16_t));
    pack_coder_begin(&c);
    for (uint32_t part = 0; part < PACK_MAP_PARTS; part++)
        pack_put_number(&c, &m->base_len, part == 3 ? rows : 0);
    for (uint32_t i = 0; i < rows; i++) {
        pack_put_number(&c, &m->base_pos, 2);
        pack_put_number(&c, &m->shift, 0);
    }
    pack_coder_end(&c);
    memcpy(pack, MOLT_PACK_MAGIC, 4);
    pack[4] = 1;
    pack[6] = 12;
    pack[7] = 1;
    molt_store32le(pack + 8, 1);
    molt_store32le(pack + 12, 1);
    molt_store32le(pack + 16, (uint32_t)c.bytes.count);
    memcpy(pack + 96, c.bytes.data, c.bytes.count);
    const uint32_t len = 96 + (uint32_t)c.bytes.count;
    molt_store32le(pack + len, molt_crc32_lsb(0, pack, len));
    free(c.bytes.data);
    free(m);
    return decode(pack, len + 4);
}

static void a_map_that_is_too_large_is_refused(void **state)
{
    (void)state;
    assert_int_equal(decode_rows(MOLT_PACK_ROWS_SMALL), -MOLT_BAD_PACK); /* of its frame there is nothing */
    assert_int_equal(decoder.map.end[PACK_MAP_PARTS], MOLT_PACK_ROWS_SMALL);
    assert_int_equal(decoder.map.row[MOLT_PACK_ROWS_SMALL].from, MOLT_PACK_ROWS_SMALL);
    assert_int_equal(decode_rows(MOLT_PACK_ROWS_SMALL + 1), -MOLT_BAD_PACK);
    assert_int_equal(decoder.map.row[1].from, 0); /* not even its first row */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_delta_made_for_it_decodes),
        cmocka_unit_test(a_whole_image_is_refused_by_its_header),
        cmocka_unit_test(a_map_that_is_too_large_is_refused),
    };
    return cmocka_run_group_tests(tests, build, drop);
}

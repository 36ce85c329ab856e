/* facts_gzip_test.c - gzip: made, opened within bounds, refused when damaged. */
#define ZLIB_CONST
#include "facts_files.h"

#include <zlib.h>

/* ---- gzip ---- */

static void damaged_gzip_is_refused(void **state)
{
    (void)state;
    for (int damage = 0; damage < 5; damage++) {
        struct file gz = gzip_of(build(MOLT_CHIP_ESP8266, 100000));
        switch (damage) {
        case 0:
            gz.len -= 1;
            break;
        case 1:
            gz.len = 12;
            break;
        case 2:
            gz.data[gz.len - 5] ^= 1;
            break; /* CRC */
        case 3:
            gz.data[gz.len - 1] ^= 1;
            break; /* length */
        case 4:
            gz = wrap(gz, 0, 3);
            break;
        }
        struct facts facts = read_and_free(gz);
        assert_int_equal(facts.refusal, MOLT_BAD_GZIP);
        assert_true(facts.detail[0] != '\0');
        assert_false(facts.is_image);
    }
}

static void a_gzip_bomb_stops_at_the_limit(void **state)
{
    (void)state;
    enum { BOMB = 64 << 20 };
    z_stream z = {0};
    static uint8_t zeros[65536];
    struct file gz = {malloc(1 << 20), 0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_out = gz.data;
    z.avail_out = 1 << 20;
    for (uint32_t at = 0; at < BOMB; at += sizeof zeros) {
        z.next_in = zeros;
        z.avail_in = sizeof zeros;
        deflate(&z, at + sizeof zeros == BOMB ? Z_FINISH : Z_NO_FLUSH);
    }
    gz.len = z.total_out;
    deflateEnd(&z);
    assert_true(gz.len < 100000);
    struct facts facts = read_and_free(gz);
    assert_int_equal(facts.refusal, MOLT_FILE_TOO_LARGE);
}

static void gzip_inside_gzip_is_refused(void **state)
{
    (void)state;
    struct facts facts = read_and_free(gzip_of(gzip_of(build(MOLT_CHIP_ESP8266, 100000))));
    assert_int_equal(facts.refusal, MOLT_IMAGE_UNKNOWN);
    assert_string_equal(facts.detail, "gzip inside gzip");
}

static void gzip_is_the_same_every_time_and_small_windows_suffice(void **state)
{
    (void)state;
    struct file image = build(MOLT_CHIP_ESP8266, 200000);
    for (int bits = 9; bits <= 15; bits += 3) {
        uint8_t *a, *b, *back = malloc(image.len);
        size_t a_len, b_len;
        assert_int_equal(facts_gzip(image.data, image.len, bits, &a, &a_len), 0);
        assert_int_equal(facts_gzip(image.data, image.len, bits, &b, &b_len), 0);
        assert_int_equal(a_len, b_len);
        assert_memory_equal(a, b, a_len);
        static const uint8_t header[8] = {0x1F, 0x8B, 8, 0, 0, 0, 0, 0}; /* no name, no time */
        assert_memory_equal(a, header, sizeof header);
        z_stream z = {.next_in = a + 10, .avail_in = (uInt)a_len - 10};
        z.next_out = back;
        z.avail_out = (uInt)image.len;
        assert_int_equal(inflateInit2(&z, -bits), Z_OK); /* refuses distances beyond its window */
        assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
        assert_memory_equal(back, image.data, image.len);
        inflateEnd(&z);
        free(a);
        free(b);
        free(back);
    }
    uint8_t *out;
    size_t out_len;
    assert_int_equal(facts_gzip(image.data, image.len, 16, &out, &out_len), -MOLT_ARG);
    free(image.data);
}

static void what_stock_clients_get_is_denser_than_zlib_makes_it(void **state)
{
    (void)state;
    struct file image = build(MOLT_CHIP_ESP8266, 200000);
    uLong len = compressBound((uLong)image.len);
    uint8_t *zlib = malloc(len), *gz;
    size_t gz_len;
    assert_non_null(zlib);
    assert_int_equal(compress2(zlib, &len, image.data, (uLong)image.len, 9), Z_OK);
    assert_int_equal(facts_gzip(image.data, image.len, 15, &gz, &gz_len), 0);
    assert_true(gz_len - 18 < len - 6); /* without the frames of gzip and zlib */
    free(gz);
    free(zlib);
    free(image.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_gzip_is_refused),
        cmocka_unit_test(a_gzip_bomb_stops_at_the_limit),
        cmocka_unit_test(gzip_inside_gzip_is_refused),
        cmocka_unit_test(gzip_is_the_same_every_time_and_small_windows_suffice),
        cmocka_unit_test(what_stock_clients_get_is_denser_than_zlib_makes_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

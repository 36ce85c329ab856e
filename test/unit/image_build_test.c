/* image_build_test.c - synthetic firmware passes the verifier for every chip, compresses like firmware does,
 * and is the same for the same seed. */
#include "image_case.h"

#include <zlib.h>

static const struct image_build_tag tags[] = {{"version", "2.0.0"}, {"code", "2000000"}, {"product", "lamp"}};

static void every_chip_and_size_gives_a_good_image_of_that_size(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {IMAGE_BUILD_MIN, IMAGE_BUILD_MIN + 1, 9999, 65536 + 48, 262144, 700001};
    for (int chip = MOLT_CHIP_ESP8266; chip <= MOLT_CHIP_ESP32S31; chip++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct image_build spec = {.chip = (enum molt_chip)chip,
                                       .size = sizes[i],
                                       .seed = (uint32_t)i,
                                       .tags = tags,
                                       .tag_count = 3};
            struct image_case c = case_build(&spec);
            assert_int_equal(c.len, (sizes[i] + 15) & ~15u);
            assert_int_equal(case_plain_verdict(&c), 0);
            free(c.bytes);
        }
    }
}

static void the_largest_images_are_good(void **state)
{
    (void)state;
    struct image_build spec = {.chip = MOLT_CHIP_ESP8266, .size = IMAGE_BUILD_MAX_ESP8266};
    struct image_case c = case_build(&spec);
    assert_int_equal(case_plain_verdict(&c), 0);
    free(c.bytes);
    spec.chip = MOLT_CHIP_ESP32;
    spec.size = IMAGE_BUILD_MAX;
    c = case_build(&spec);
    assert_int_equal(case_plain_verdict(&c), 0);
    free(c.bytes);
}

static void the_same_spec_gives_the_same_bytes_and_another_seed_others(void **state)
{
    (void)state;
    for (int chip = MOLT_CHIP_ESP8266; chip <= MOLT_CHIP_ESP32; chip++) {
        struct image_build spec = {.chip = (enum molt_chip)chip, .size = 50000, .seed = 11};
        struct image_case a = case_build(&spec), b = case_build(&spec);
        assert_int_equal(a.len, b.len);
        assert_memory_equal(a.bytes, b.bytes, a.len);
        spec.seed = 12;
        struct image_case c = case_build(&spec);
        size_t same = 0;
        for (size_t i = 0; i < a.len; i++) {
            same += a.bytes[i] == c.bytes[i];
        }
        assert_true(same < a.len / 4);
        free(a.bytes);
        free(b.bytes);
        free(c.bytes);
    }
}

static void two_versions_differ_in_their_texts_and_sums_only(void **state)
{
    (void)state;
    struct image_build_tag one[] = {{"version", "1.0.0"}}, two[] = {{"version", "1.0.1"}};
    for (int chip = MOLT_CHIP_ESP8266; chip <= MOLT_CHIP_ESP32; chip++) {
        struct image_build spec = {
            .chip = (enum molt_chip)chip, .size = 50000, .version = "1.0.0", .tags = one, .tag_count = 1};
        struct image_case a = case_build(&spec);
        spec.version = "1.0.1";
        spec.tags = two;
        struct image_case b = case_build(&spec);
        size_t differ = 0;
        for (size_t i = 0; i < a.len; i++) {
            differ += a.bytes[i] != b.bytes[i];
        }
        assert_in_range(differ, 2, 40);
        free(a.bytes);
        free(b.bytes);
    }
}

static void the_tag_is_in_the_image_byte_for_byte(void **state)
{
    (void)state;
    static const char want[] = "moltinf\0version\0"
                               "2.0.0\0code\0"
                               "2000000\0product\0lamp\0";
    for (int chip = MOLT_CHIP_ESP8266; chip <= MOLT_CHIP_ESP32S3; chip++) {
        struct image_build spec = {
            .chip = (enum molt_chip)chip, .size = IMAGE_BUILD_MIN, .tags = tags, .tag_count = 3};
        struct image_case c = case_build(&spec);
        size_t found = 0;
        for (size_t i = 0; i + sizeof want <= c.len; i++) {
            found += memcmp(c.bytes + i, want, sizeof want) == 0; /* with the empty key that ends it */
        }
        assert_int_equal(found, 1);
        free(c.bytes);
    }
}

static void content_compresses_like_firmware(void **state)
{
    (void)state;
    for (int chip = MOLT_CHIP_ESP8266; chip <= MOLT_CHIP_ESP32; chip++) {
        for (uint32_t seed = 0; seed < 5; seed++) {
            struct image_build spec = {.chip = (enum molt_chip)chip, .size = 400000, .seed = seed};
            struct image_case c = case_build(&spec);
            uLongf packed_len = compressBound((uLong)c.len);
            uint8_t *packed = malloc(packed_len);
            assert_non_null(packed);
            assert_int_equal(compress2(packed, &packed_len, c.bytes, (uLong)c.len, 9), Z_OK);
            assert_in_range(packed_len * 100 / c.len, 65, 75);
            free(packed);
            free(c.bytes);
        }
    }
}

static void what_cannot_be_built_is_refused(void **state)
{
    (void)state;
    static char long_value[IMAGE_BUILD_TAG_MAX];
    memset(long_value, 'x', sizeof long_value - 1);
    const struct image_build_tag too_long[] = {{"version", long_value}}, no_key[] = {{"", "1"}};
    const struct image_build wrong[] = {
        {.chip = MOLT_CHIP_UNKNOWN, .size = 20000},
        {.chip = (enum molt_chip)30, .size = 20000},
        {.chip = MOLT_CHIP_ESP32, .size = IMAGE_BUILD_MIN - 1},
        {.chip = MOLT_CHIP_ESP32, .size = IMAGE_BUILD_MAX + 1},
        {.chip = MOLT_CHIP_ESP32, .size = UINT32_MAX},
        {.chip = MOLT_CHIP_ESP8266, .size = IMAGE_BUILD_MAX_ESP8266 + 1},
        {.chip = MOLT_CHIP_ESP8266, .size = 20000, .flash_size = 3u << 20},
        {.chip = MOLT_CHIP_ESP32, .size = 20000, .flash_size = 512 * 1024},
        {.chip = MOLT_CHIP_ESP32, .size = 20000, .version = "a version of more than 31 letters"},
        {.chip = MOLT_CHIP_ESP32, .size = 20000, .project = "a project of more than 31 letters"},
        {.chip = MOLT_CHIP_ESP32, .size = 20000, .tags = too_long, .tag_count = 1},
        {.chip = MOLT_CHIP_ESP8266, .size = 20000, .tags = no_key, .tag_count = 1},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        uint8_t *out = long_value[0] == 'x' ? (uint8_t *)long_value : NULL;
        size_t len = 1;
        assert_int_equal(image_build(&wrong[i], &out, &len), -MOLT_ARG);
        assert_null(out);
        assert_int_equal(len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_chip_and_size_gives_a_good_image_of_that_size),
        cmocka_unit_test(the_largest_images_are_good),
        cmocka_unit_test(the_same_spec_gives_the_same_bytes_and_another_seed_others),
        cmocka_unit_test(two_versions_differ_in_their_texts_and_sums_only),
        cmocka_unit_test(the_tag_is_in_the_image_byte_for_byte),
        cmocka_unit_test(content_compresses_like_firmware),
        cmocka_unit_test(what_cannot_be_built_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* facts_property_test.c - no damaged image passes, whatever the damage. */
#include "temp_dir.h"

#include <time.h>

#include "host/facts.h"
#include "host/image_build.h"
#include "util/bytes.h"

enum { ROUNDS = 300 };

static uint32_t random_state;

static uint32_t next_random(uint32_t below)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)random_state * below) >> 32);
}

static int seed_random(void **state)
{
    (void)state;
    random_state = (uint32_t)time(NULL);
    print_message("seed %u\n", random_state);
    return 0;
}

static uint8_t *build(enum molt_chip chip, uint32_t size, size_t *len)
{
    static const struct image_build_tag tags[] = {{"version", "2.0.1"}, {"code", "2000001"}};
    const struct image_build spec = {
        .chip = chip, .size = size, .seed = next_random(1u << 30) + 1, .tags = tags, .tag_count = 2};
    uint8_t *image;
    assert_int_equal(image_build(&spec, &image, len), 0);
    return image;
}

/* Reads an exact copy, so that AddressSanitizer sees any step beyond its end. */
static struct facts read_copy(const uint8_t *data, size_t len)
{
    struct facts facts;
    uint8_t *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, data, len);
    facts_read(copy, len, &facts, NULL, NULL);
    free(copy);
    assert_true(facts.is_image == (facts.refusal == 0));
    return facts;
}

static void an_image_with_any_bit_flipped_is_refused(void **state)
{
    (void)state;
    static const enum molt_chip chips[] = {MOLT_CHIP_ESP8266, MOLT_CHIP_ESP32, MOLT_CHIP_ESP32C3};
    for (size_t c = 0; c < sizeof chips / sizeof chips[0]; c++) {
        size_t len;
        uint8_t *image = build(chips[c], 20000, &len);
        assert_true(read_copy(image, len).is_image);
        for (int i = 0; i < ROUNDS; i++) {
            /* half of them in the first bytes, where the format is */
            uint32_t at = next_random(i % 2 == 0 ? (uint32_t)len : 64), bit = 1u << next_random(8);
            image[at] = (uint8_t)(image[at] ^ bit);
            assert_false(read_copy(image, len).is_image);
            image[at] = (uint8_t)(image[at] ^ bit);
        }
        free(image);
    }
}

static void an_image_cut_anywhere_or_grown_is_refused(void **state)
{
    (void)state;
    static const enum molt_chip chips[] = {MOLT_CHIP_ESP8266, MOLT_CHIP_ESP32S3};
    for (size_t c = 0; c < sizeof chips / sizeof chips[0]; c++) {
        size_t len;
        uint8_t *image = build(chips[c], 20000, &len);
        image = realloc(image, len + 1000);
        for (size_t i = 0; i < 1000; i++)
            image[len + i] = (uint8_t)next_random(256);
        for (int i = 0; i < ROUNDS; i++) {
            assert_false(read_copy(image, next_random((uint32_t)len)).is_image);
            assert_false(read_copy(image, len + 1 + next_random(1000)).is_image);
        }
        free(image);
    }
}

/* Bits that mean nothing (time, system, padding) may differ; the content may not. */
static void a_damaged_gzip_file_never_yields_another_image(void **state)
{
    (void)state;
    size_t len, gz_len;
    uint8_t *image = build(MOLT_CHIP_ESP8266, 20000, &len), *gz;
    assert_int_equal(facts_gzip(image, len, 15, &gz, &gz_len), 0);
    struct facts whole = read_copy(gz, gz_len);
    assert_true(whole.is_image);
    for (int i = 0; i < ROUNDS; i++) {
        uint32_t at = next_random((uint32_t)gz_len), bit = 1u << next_random(8);
        gz[at] = (uint8_t)(gz[at] ^ bit);
        struct facts facts = read_copy(gz, gz_len);
        if (facts.is_image) {
            assert_memory_equal(facts.inner_sha256, whole.inner_sha256, 32);
        }
        gz[at] = (uint8_t)(gz[at] ^ bit);
        assert_false(read_copy(gz, next_random((uint32_t)gz_len)).is_image);
    }
    free(gz);
    free(image);
}

static void noise_is_read_without_harm(void **state)
{
    (void)state;
    static const uint8_t starts[] = {0xE9, 0x1F, 0xEA, 0xAA, 0xFF, '<', 0x7F};
    uint8_t noise[3000];
    for (int i = 0; i < 10 * ROUNDS; i++) {
        uint32_t len = next_random(sizeof noise);
        for (uint32_t at = 0; at < len; at++)
            noise[at] = (uint8_t)next_random(256);
        if (len > 0) noise[0] = starts[next_random(sizeof starts)];
        if (len > 2 && noise[0] == 0x1F) noise[1] = 0x8B, noise[2] = 8;
        if (len > 20) memcpy(noise + next_random(len - 16), "moltinf\0version\0", 16);
        assert_false(read_copy(noise, len).is_image);
        (void)facts_has_code(noise, len, next_random(1000));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_with_any_bit_flipped_is_refused),
        cmocka_unit_test(an_image_cut_anywhere_or_grown_is_refused),
        cmocka_unit_test(a_damaged_gzip_file_never_yields_another_image),
        cmocka_unit_test(noise_is_read_without_harm),
    };
    return cmocka_run_group_tests(tests, seed_random, NULL);
}

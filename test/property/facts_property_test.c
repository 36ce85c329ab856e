/* facts_property_test.c - no damaged image passes, whatever the damage; and where a gzip file may be staged, checked
 * by letting the virtual chip's eboot copy it. */
#include "temp_dir.h"

#include <time.h>

#include "host/facts.h"
#include "host/image_build.h"
#include "sim/eboot.h"
#include "sim/flash.h"
#include "util/bytes.h"

enum { ROUNDS = 300, STAGINGS = 40 };

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
        (void)facts_gzip_min_start(noise, len);
        (void)facts_has_code(noise, len, next_random(1000));
    }
}

/* ---- staging ---- */

/* Content of runs that compress very differently, so that reading and writing race each other. */
static uint8_t *uneven_content(size_t *len)
{
    *len = 8192 + next_random(250000);
    uint8_t *content = malloc(*len);
    for (size_t at = 0; at < *len;) {
        uint32_t run = 1 + next_random(60000), density = next_random(9);
        for (uint32_t i = 0; i < run && at < *len; i++, at++) {
            content[at] = density == 0 ? 0 : (uint8_t)next_random(1u << density);
        }
    }
    content[0] = 0xE9; /* so that a raw copy could never be mistaken for gzip */
    return content;
}

static bool eboot_copies(const uint8_t *gz, size_t gz_len, uint32_t start, const uint8_t *content, size_t len)
{
    struct sim_flash flash;
    struct sim_rtc rtc;
    struct sim_eboot_result result;
    assert_int_equal(sim_flash_open(&flash, &(struct sim_flash_config){.size = 1u << 20}), 0);
    sim_flash_program(&flash, start, gz, (uint32_t)gz_len);
    const struct molt_eboot_command command = {
        .action = MOLT_EBOOT_COPY_RAW, .source = start, .dest = 0, .len = (uint32_t)gz_len};
    molt_eboot_command_encode(rtc.bytes, &command);
    sim_eboot_run(&flash.port, &rtc, &result);
    uint8_t *got = malloc(len);
    assert_int_equal(flash.port.read(flash.port.ctx, 0, got, (uint32_t)len), 0);
    bool right = result.copy == SIM_EBOOT_COPIED && memcmp(got, content, len) == 0;
    free(got);
    sim_flash_close(&flash);
    return right;
}

static void eboot_copies_what_is_staged_at_the_lowest_offset(void **state)
{
    (void)state;
    int tight = 0, loose = 0;
    for (int i = 0; i < STAGINGS; i++) {
        size_t len, gz_len;
        uint8_t *content = uneven_content(&len), *gz;
        assert_int_equal(facts_gzip(content, len, i % 2 == 0 ? 15 : 12, &gz, &gz_len), 0);
        uint32_t start = facts_gzip_min_start(gz, gz_len);
        assert_true(start < len + 4096);
        assert_true(eboot_copies(gz, gz_len, start, content, len));
        assert_true(eboot_copies(gz, gz_len, start + 4096 * next_random(20), content, len));
        /* One sector is caution, and rarely the last few bytes are in RAM already. */
        bool lower = start >= 8192 && eboot_copies(gz, gz_len, start - 8192, content, len);
        loose += lower;
        tight += start >= 8192 && !lower;
        free(gz);
        free(content);
    }
    assert_true(tight > 4 * loose);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_with_any_bit_flipped_is_refused),
        cmocka_unit_test(an_image_cut_anywhere_or_grown_is_refused),
        cmocka_unit_test(a_damaged_gzip_file_never_yields_another_image),
        cmocka_unit_test(noise_is_read_without_harm),
        cmocka_unit_test(eboot_copies_what_is_staged_at_the_lowest_offset),
    };
    return cmocka_run_group_tests(tests, seed_random, NULL);
}

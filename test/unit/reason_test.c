/* reason_test.c - the lists (reasons, chips) are sound, and the small helpers give their published vectors. */
#include "cmocka_all.h"

#include <ctype.h>

#include "molt_chip.h"
#include "molt_reason.h"
#include "ports/bearssl.h"
#include "util/bytes.h"
#include "util/crc.h"

static const struct {
    int number;
    const char *id, *sentence;
} reasons[] = {
#define MOLT_REASON(symbol, number, id, who, sentence) {number, id, sentence},
#include "molt_reason.def"
#undef MOLT_REASON
};
#define REASON_COUNT (sizeof reasons / sizeof reasons[0])

static void reason_numbers_rise_and_leave_a_gap_above_those_that_travel(void **state)
{
    (void)state;
    for (size_t i = 0; i < REASON_COUNT; i++) {
        assert_true(reasons[i].number >= 300 || reasons[i].number <= MOLT_REASON_MAX);
        assert_true(reasons[i].number >= 1);
        if (i > 0) assert_true(reasons[i].number > reasons[i - 1].number);
    }
}

static void reason_ids_are_kebab_case_and_unique(void **state)
{
    (void)state;
    for (size_t i = 0; i < REASON_COUNT; i++) {
        for (const char *c = reasons[i].id; *c != '\0'; c++) {
            assert_true(islower((unsigned char)*c) || isdigit((unsigned char)*c) || *c == '-' || *c == '.');
        }
        assert_int_equal(molt_reason_from_id(reasons[i].id), reasons[i].number);
        assert_string_equal(molt_reason_id(reasons[i].number), reasons[i].id);
    }
    assert_int_equal(molt_reason_from_id("no-such-id"), -1);
    assert_string_equal(molt_reason_id(19), "unknown-reason");
}

static void reason_sentences_end_in_a_full_stop(void **state)
{
    (void)state;
    for (size_t i = 0; i < REASON_COUNT; i++) {
        size_t len = strlen(reasons[i].sentence);
        assert_true(len > 10);
        assert_int_equal(reasons[i].sentence[len - 1], '.');
        assert_string_equal(molt_reason_sentence(reasons[i].number), reasons[i].sentence);
    }
}

static void chips_are_found_by_name_and_by_image_id(void **state)
{
    (void)state;
    assert_int_equal(molt_chip_from_name("esp32c3"), MOLT_CHIP_ESP32C3);
    assert_int_equal(molt_chip_from_image_id(0x0009), MOLT_CHIP_ESP32S3);
    assert_int_equal(molt_chip_from_image_id(0), MOLT_CHIP_ESP32);
    assert_int_equal(molt_chip_from_image_id(0xFFFF), MOLT_CHIP_UNKNOWN);
    assert_int_equal(molt_chip_image_id(MOLT_CHIP_ESP32P4), 0x12);
    assert_string_equal(molt_chip_name(MOLT_CHIP_ESP8266), "esp8266");
    assert_int_equal(molt_chip_from_name("esp9"), MOLT_CHIP_UNKNOWN);
    assert_false(molt_chip_is_esp32_family(MOLT_CHIP_ESP8266));
}

static void crcs_give_their_check_values(void **state)
{
    (void)state;
    assert_int_equal(molt_crc32_msb(MOLT_CRC_MSB_INIT, "123456789", 9), 0x0376E6E7);
    assert_int_equal(molt_crc32_lsb(0, "123456789", 9), 0xCBF43926);
    const uint8_t seq2[4] = {2, 0, 0, 0};
    assert_int_equal(molt_crc32_lsb(0xFFFFFFFF, seq2, 4), 0x55F63774);
}

static void sha256_gives_the_fips_vector(void **state)
{
    (void)state;
    struct molt_hash hash = {.ops = &molt_bearssl_sha256};
    uint8_t digest[MOLT_SHA256_LEN];
    hash.ops->init(&hash.state);
    hash.ops->update(&hash.state, "abc", 3);
    hash.ops->finish(&hash.state, digest);
    assert_int_equal(molt_load32le(digest), 0xbf1678ba);
    assert_int_equal(molt_load32le(digest + 28), 0xad1500f2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reason_numbers_rise_and_leave_a_gap_above_those_that_travel),
        cmocka_unit_test(reason_ids_are_kebab_case_and_unique),
        cmocka_unit_test(reason_sentences_end_in_a_full_stop),
        cmocka_unit_test(chips_are_found_by_name_and_by_image_id),
        cmocka_unit_test(crcs_give_their_check_values),
        cmocka_unit_test(sha256_gives_the_fips_vector),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

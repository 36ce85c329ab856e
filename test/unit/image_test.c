/* image_test.c - the verifier's rules, one by one, for the ESP8266, and those that both families have; of the ESP32 family:
 * image_esp32_test.c. */
#include "image_case.h"

/* esp-devices 1.1: one segment, load 0x40100000, data 01 02 03 04, mode DIO, byte 3 = 0x40: checksum 0xEB. */
static const uint8_t tiny_image[32] = {0xE9, 1, 2, 0x40, 0, 0, 0x10, 0x40, 0, 0,          0x10,
                                       0x40, 4, 0, 0,    0, 1, 2,    3,    4, [31] = 0xEB};

/* ---- ESP8266 ---- */

/* The tiny image as boot stage and as sketch, as cores before 2.6 laid them out. */
static struct image_case tiny_pair(void)
{
    struct image_case c = {malloc(0x1020), 0x1020};
    assert_non_null(c.bytes);
    memset(c.bytes, 0xAA, c.len);
    memcpy(c.bytes, tiny_image, sizeof tiny_image);
    memcpy(c.bytes + 0x1000, tiny_image, sizeof tiny_image);
    return c;
}

static void the_published_vector_is_a_good_boot_stage_and_sketch(void **state)
{
    (void)state;
    struct image_case c = tiny_pair();
    struct molt_image image;
    assert_int_equal(case_verdict(c.bytes, c.len, &expect_nothing, &image), 0);
    assert_int_equal(image.info.chip, MOLT_CHIP_ESP8266);
    assert_int_equal(image.info.flash_mode, 2);
    assert_int_equal(image.info.flash_size, 4u << 20);
    assert_false(image.info.has_crc);
    c.bytes[31] ^= 1;
    assert_int_equal(case_plain_verdict(&c), -MOLT_BAD_CHECKSUM);
    c.bytes[31] ^= 1;
    c.bytes[0x101F] ^= 1;
    assert_int_equal(case_plain_verdict(&c), -MOLT_BAD_CHECKSUM);
    free(c.bytes);
}

static void an_esp8266_image_says_what_it_is(void **state)
{
    (void)state;
    struct image_case c = case_small(MOLT_CHIP_ESP8266);
    struct molt_image image;
    struct molt_hash hash = {.ops = &molt_bearssl_sha256};
    uint8_t body[MOLT_SHA256_LEN];
    assert_int_equal(case_verdict(c.bytes, c.len, &expect_nothing, &image), 0);
    assert_int_equal(image.info.len, c.len);
    assert_true(image.info.has_crc);
    assert_false(image.info.has_hash);
    hash.ops->init(&hash.state);
    hash.ops->update(&hash.state, c.bytes + 0x1000, c.len - 0x1000);
    hash.ops->finish(&hash.state, body);
    assert_memory_equal(image.info.digest, body, sizeof body);
    free(c.bytes);
}

static void a_patched_flash_mode_fails_the_crc_but_not_the_body_digest(void **state)
{
    (void)state;
    struct image_case c = case_small(MOLT_CHIP_ESP8266);
    struct molt_image image;
    uint8_t digest[MOLT_SHA256_LEN];
    assert_int_equal(case_verdict(c.bytes, c.len, &expect_nothing, &image), 0);
    memcpy(digest, image.info.digest, sizeof digest);
    c.bytes[2] = 3;
    assert_int_equal(case_verdict(c.bytes, c.len, &expect_nothing, &image), -MOLT_BAD_CRC);
    assert_memory_equal(image.info.digest, digest, sizeof digest);
    free(c.bytes);
}

static void the_checksum_counts_crc_words_as_zero_only_when_they_are_crc_words(void **state)
{
    (void)state;
    struct image_build spec = {.chip = MOLT_CHIP_ESP8266, .size = 20000, .seed = 3, .old_core = true};
    struct image_case c = case_build(&spec);
    assert_int_equal(case_plain_verdict(&c), 0);
    c.bytes[0x1012] ^= 0x10; /* ordinary code on an old core: part of the checksum */
    assert_int_equal(case_plain_verdict(&c), -MOLT_BAD_CHECKSUM);
    free(c.bytes);
}

static void a_damaged_length_word_is_not_taken_for_an_old_core(void **state)
{
    (void)state;
    /* The one byte value that makes the plain checksum, with the words as they stand, right by accident. */
    struct image_case c = case_small(MOLT_CHIP_ESP8266);
    uint8_t sum = 0;
    for (int i = 0; i < 8; i++) {
        sum ^= c.bytes[0x1010 + i];
    }
    assert_int_not_equal(sum, 0);
    for (int i = 0; i < 4; i++) {
        c.bytes[0x1010 + i] ^= sum;
        assert_int_equal(case_plain_verdict(&c), -MOLT_BAD_CRC);
        c.bytes[0x1010 + i] ^= sum;
    }
    free(c.bytes);
}

static void a_sketch_that_is_not_mapped_where_it_lies_is_refused(void **state)
{
    (void)state;
    struct image_case c = case_small(MOLT_CHIP_ESP8266);
    c.bytes[0x1008] = 0x20; /* irom0 at 0x40201020 */
    case_mend_crc(&c);
    assert_int_equal(case_plain_verdict(&c), -MOLT_BAD_SEGMENT);
    free(c.bytes);
}

static void an_image_without_a_second_one_at_0x1000_is_refused(void **state)
{
    (void)state;
    struct image_case c = case_small(MOLT_CHIP_ESP8266);
    struct molt_image image;
    size_t end;
    c.bytes[0x1000] = 0xE8;
    assert_int_equal(case_plain_verdict(&c), -MOLT_IMAGE_NO_EBOOT);
    (void)case_sum(c.bytes, 0, 8, &end);
    assert_int_equal(case_verdict(c.bytes, (end | 15u) + 1, &expect_nothing, &image), -MOLT_IMAGE_NO_EBOOT);
    assert_int_equal(case_verdict(c.bytes, 0xFF0, &expect_nothing, &image), -MOLT_IMAGE_TRUNCATED);
    c.bytes[0x1000] = 0xE9;
    molt_store32le(c.bytes + 8, 0x40200010); /* its code in flash: no boot stage */
    assert_int_equal(case_plain_verdict(&c), -MOLT_IMAGE_NO_EBOOT);
    molt_store32le(c.bytes + 8, 0x4010F000);
    c.bytes[0x0D] = 0x10; /* the boot stage's segment now runs beyond 0x1000 */
    int rc = 0;
    assert_in_range(case_refused_after(c.bytes, c.len, &rc), 1, 36);
    assert_int_equal(rc, -MOLT_IMAGE_NO_EBOOT);
    free(c.bytes);
}

static void flash_size_is_checked_against_the_device(void **state)
{
    (void)state;
    struct image_build spec = {.chip = MOLT_CHIP_ESP8266, .size = 8192, .flash_size = 4u << 20};
    struct image_case c = case_build(&spec);
    struct molt_image image;
    struct molt_image_expect expect = {.chip = MOLT_CHIP_ESP8266, .flash_size = 1u << 20};
    assert_int_equal(case_verdict(c.bytes, c.len, &expect, &image), -MOLT_FLASH_SIZE);
    expect.flash_size = 4u << 20;
    assert_int_equal(case_verdict(c.bytes, c.len, &expect, &image), 0);
    free(c.bytes);
}

static void every_flash_size_of_the_esp8266_header_is_read(void **state)
{
    (void)state;
    static const uint32_t kb[16] = {512, 256, 1024, 2048, 4096, 2048, 4096, 0, 8192, 16384};
    struct image_case c = case_small(MOLT_CHIP_ESP8266);
    struct molt_image image;
    for (unsigned nibble = 0; nibble < 16; nibble++) {
        c.bytes[3] = (uint8_t)(nibble << 4 | 0xF);
        case_mend_crc(&c);
        assert_int_equal(case_verdict(c.bytes, c.len, &expect_nothing, &image), 0);
        assert_int_equal(image.info.flash_size, kb[nibble] * 1024);
    }
    free(c.bytes);
}

/* ---- length ---- */

static void bytes_behind_the_image_are_refused_at_the_first(void **state)
{
    (void)state;
    for (int chip = MOLT_CHIP_ESP8266; chip <= MOLT_CHIP_ESP32C3; chip++) {
        struct image_case c = case_small((enum molt_chip)chip);
        struct molt_image image;
        molt_image_begin(&image, &expect_nothing, &molt_bearssl_sha256);
        assert_int_equal(molt_image_feed(&image, c.bytes, c.len), 0);
        assert_int_equal(molt_image_feed(&image, "", 1), -MOLT_IMAGE_TRAILING);
        free(c.bytes);
    }
}

static void a_secure_boot_signature_is_named(void **state)
{
    (void)state;
    struct image_case c = case_small(MOLT_CHIP_ESP32C3); /* 8192 bytes: ends with a sector */
    struct molt_image image;
    const uint8_t signature[4] = {0xE7, 2, 0, 0};
    molt_image_begin(&image, &expect_nothing, &molt_bearssl_sha256);
    assert_int_equal(molt_image_feed(&image, c.bytes, c.len), 0);
    assert_int_equal(molt_image_feed(&image, signature, 4), -MOLT_IMAGE_SIGNED);
    free(c.bytes);
    struct image_build spec = {.chip = MOLT_CHIP_ESP32C3, .size = 8208}; /* not at a sector: no signature */
    c = case_build(&spec);
    molt_image_begin(&image, &expect_nothing, &molt_bearssl_sha256);
    assert_int_equal(molt_image_feed(&image, c.bytes, c.len), 0);
    assert_int_equal(molt_image_feed(&image, signature, 4), -MOLT_IMAGE_TRAILING);
    free(c.bytes);
}

static void what_is_plain_has_a_digest_and_nothing_else(void **state)
{
    (void)state;
    static const uint8_t bytes[5000] = {0xE9, 0, 1, 2};
    uint8_t digest[MOLT_SHA256_LEN];
    for (size_t piece = 1; piece <= sizeof bytes; piece += 833) {
        struct molt_image image;
        molt_image_begin_as(&image, &molt_image_plain, &expect_nothing, &molt_bearssl_sha256);
        for (size_t at = 0; at < sizeof bytes; at += piece) {
            size_t n = sizeof bytes - at < piece ? sizeof bytes - at : piece;
            assert_int_equal(molt_image_feed(&image, bytes + at, n), 0);
        }
        assert_int_equal(molt_image_finish(&image), 0);
        assert_int_equal(image.info.len, sizeof bytes);
        struct molt_hash hash;
        molt_bearssl_sha256.init(&hash.state);
        molt_bearssl_sha256.update(&hash.state, bytes, sizeof bytes);
        molt_bearssl_sha256.finish(&hash.state, digest);
        assert_memory_equal(image.info.digest, digest, sizeof digest);
        assert_int_equal(molt_image_feed(&image, bytes, 1), -MOLT_STATE);
    }
}

static void nothing_and_next_to_nothing_are_empty(void **state)
{
    (void)state;
    struct molt_image image;
    const uint8_t e9[8] = {0xE9, 2, 2, 0x40};
    assert_int_equal(case_verdict(e9, 0, &expect_nothing, &image), -MOLT_IMAGE_EMPTY);
    assert_int_equal(case_verdict(e9, 7, &expect_nothing, &image), -MOLT_IMAGE_EMPTY);
    assert_int_equal(case_verdict(e9, 8, &expect_nothing, &image), -MOLT_IMAGE_TRUNCATED);
    assert_int_equal(case_verdict((const uint8_t *)"<", 1, &expect_nothing, &image), -MOLT_IMAGE_TEXT);
}

static void after_finish_nothing_more_is_taken(void **state)
{
    (void)state;
    struct image_case c = case_small(MOLT_CHIP_ESP8266);
    struct molt_image image;
    assert_int_equal(case_verdict(c.bytes, c.len, &expect_nothing, &image), 0);
    assert_int_equal(molt_image_feed(&image, c.bytes, 1), -MOLT_STATE);
    assert_int_equal(molt_image_finish(&image), 0);
    free(c.bytes);
}

/* ---- one format only, as devices ask ---- */

static int verdict_as(const struct molt_image_format *format, const void *bytes, size_t len)
{
    struct molt_image image;
    molt_image_begin_as(&image, format, &expect_nothing, &molt_bearssl_sha256);
    return case_finish(&image, molt_image_feed(&image, bytes, len));
}

static void a_device_takes_its_own_format_and_names_what_else_comes(void **state)
{
    (void)state;
    struct image_case esp8266 = case_small(MOLT_CHIP_ESP8266), c3 = case_small(MOLT_CHIP_ESP32C3);
    uint8_t rtos[64] = {0xE9, 1, 2, 0x20}, rtos3[64] = {0xE9, 1, 2, 0x20};
    uint8_t elf[32] = "\x7F"
                      "ELF",
            gzip[32] = {0x1F, 0x8B, 8}, table[32] = {0xAA, 0x50, 1, 2};
    molt_store32le(rtos + 8, 0x40201010);
    molt_store32le(rtos + 16, 0xABCD5432);  /* a descriptor behind the ESP8266's header */
    molt_store32le(rtos3 + 24, 0x40210000); /* the ESP32's header and the ESP8266's flash window */
    const struct {
        const void *bytes;
        size_t len;
        int esp8266, esp32;
    } rows[] = {
        {esp8266.bytes, esp8266.len, 0, -MOLT_WRONG_CHIP},
        {c3.bytes, c3.len, -MOLT_WRONG_CHIP, 0},
        {rtos, sizeof rtos, -MOLT_IMAGE_RTOS_SDK, -MOLT_WRONG_CHIP},
        {rtos3, sizeof rtos3, -MOLT_IMAGE_RTOS_SDK, -MOLT_IMAGE_RTOS_SDK},
        {"<html><body>not found</body>", 28, -MOLT_IMAGE_TEXT, -MOLT_IMAGE_TEXT},
        {"{}", 2, -MOLT_IMAGE_TEXT, -MOLT_IMAGE_TEXT},
        {elf, sizeof elf, -MOLT_IMAGE_ELF, -MOLT_IMAGE_ELF},
        {gzip, sizeof gzip, -MOLT_IMAGE_UNKNOWN, -MOLT_IMAGE_UNKNOWN},
        {table, sizeof table, -MOLT_IMAGE_UNKNOWN, -MOLT_IMAGE_PARTITIONS},
        {"", 0, -MOLT_IMAGE_EMPTY, -MOLT_IMAGE_EMPTY},
        {esp8266.bytes, 40, -MOLT_IMAGE_TRUNCATED, -MOLT_WRONG_CHIP},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(verdict_as(&molt_image_esp8266, rows[i].bytes, rows[i].len), rows[i].esp8266);
        assert_int_equal(verdict_as(&molt_image_esp32, rows[i].bytes, rows[i].len), rows[i].esp32);
    }
    free(esp8266.bytes);
    free(c3.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_vector_is_a_good_boot_stage_and_sketch),
        cmocka_unit_test(an_esp8266_image_says_what_it_is),
        cmocka_unit_test(a_patched_flash_mode_fails_the_crc_but_not_the_body_digest),
        cmocka_unit_test(the_checksum_counts_crc_words_as_zero_only_when_they_are_crc_words),
        cmocka_unit_test(a_damaged_length_word_is_not_taken_for_an_old_core),
        cmocka_unit_test(a_sketch_that_is_not_mapped_where_it_lies_is_refused),
        cmocka_unit_test(an_image_without_a_second_one_at_0x1000_is_refused),
        cmocka_unit_test(flash_size_is_checked_against_the_device),
        cmocka_unit_test(every_flash_size_of_the_esp8266_header_is_read),
        cmocka_unit_test(bytes_behind_the_image_are_refused_at_the_first),
        cmocka_unit_test(a_secure_boot_signature_is_named),
        cmocka_unit_test(what_is_plain_has_a_digest_and_nothing_else),
        cmocka_unit_test(nothing_and_next_to_nothing_are_empty),
        cmocka_unit_test(after_finish_nothing_more_is_taken),
        cmocka_unit_test(a_device_takes_its_own_format_and_names_what_else_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

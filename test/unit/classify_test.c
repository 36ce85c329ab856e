/* classify_test.c - what a file is: a case for every row of the table of kinds, from whole files and from
 * their first bytes, and the reason that each kind is refused for. */
#include "image_case.h"

#define FLASH_LEN 0x12000u

static enum molt_file_kind kind_of(const void *bytes, size_t len)
{
    return molt_image_classify(bytes, len, len);
}

/* ---- told by their first bytes ---- */

static const struct {
    const char *bytes;
    size_t len;
    enum molt_file_kind kind;
    int refusal;
} beginnings[] = {
    {"", 0, MOLT_FILE_EMPTY, MOLT_IMAGE_EMPTY},
    {"\x1F\x8B\x08\x00\x00\x00\x00\x00\x00\x03", 10, MOLT_FILE_GZIP, 0},
    {"<!DOCTYPE html><html>", 21, MOLT_FILE_TEXT, MOLT_IMAGE_TEXT},
    {"<", 1, MOLT_FILE_TEXT, MOLT_IMAGE_TEXT},
    {"{\"error\":\"not found\"}", 21, MOLT_FILE_TEXT, MOLT_IMAGE_TEXT},
    {"HTTP/1.1 404 Not Found\r\n", 24, MOLT_FILE_TEXT, MOLT_IMAGE_TEXT},
    {"\xEF\xBB\xBF<html>", 9, MOLT_FILE_TEXT, MOLT_IMAGE_TEXT},
    {"\xFE\xFF\0<\0h", 6, MOLT_FILE_TEXT, MOLT_IMAGE_TEXT},
    {"\xFF\xFE<\0h\0", 6, MOLT_FILE_TEXT, MOLT_IMAGE_TEXT},
    {"2017102502\r\n", 12, MOLT_FILE_TEXT, MOLT_IMAGE_TEXT},
    {"\n\n  <html>", 10, MOLT_FILE_TEXT, MOLT_IMAGE_TEXT},
    {"\x7F"
     "ELF\x01\x01\x01",
     7, MOLT_FILE_ELF, MOLT_IMAGE_ELF},
    {":10010000214601360121470136007EFE09D2190140\r\n", 45, MOLT_FILE_HEX, MOLT_IMAGE_HEX},
    {": not a record", 14, MOLT_FILE_TEXT, MOLT_IMAGE_TEXT},
    {"UF2\n\x57\x51\x5D\x9E", 8, MOLT_FILE_UF2, MOLT_IMAGE_UF2},
    {"\xAA\x50\x01\x02\x00\x90\x00\x00", 8, MOLT_FILE_PARTITIONS, MOLT_IMAGE_PARTITIONS},
    {"\x3D\xB8\xF3\x96\x00\x00\x00\x00", 8, MOLT_FILE_MCUBOOT, MOLT_IMAGE_MCUBOOT},
    {"\xEA\x04\x02\x40\x04\x00\x10\x40", 8, MOLT_FILE_ESP8266_SDK_V2, MOLT_IMAGE_SDK_V2},
    {"\xEA\x05\x02\x40\x04\x00\x10\x40", 8, MOLT_FILE_UNKNOWN, MOLT_IMAGE_UNKNOWN},
    {"\x00\x01\x02\x03\x04\x05\x06\x07", 8, MOLT_FILE_UNKNOWN, MOLT_IMAGE_UNKNOWN},
    {"\x1F\x8B\x07", 3, MOLT_FILE_UNKNOWN, MOLT_IMAGE_UNKNOWN},
};

static void first_bytes_tell_files_that_are_no_images(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
        enum molt_file_kind kind = kind_of(beginnings[i].bytes, beginnings[i].len);
        if (kind != beginnings[i].kind) print_error("row %zu: %s\n", i, molt_file_kind_name(kind));
        assert_int_equal(kind, beginnings[i].kind);
        assert_int_equal(molt_file_kind_refusal(kind), beginnings[i].refusal);
    }
}

static void the_verifier_refuses_them_by_the_same_reasons_within_16_bytes(void **state)
{
    (void)state;
    uint8_t file[64];
    for (size_t i = 1; i < sizeof beginnings / sizeof beginnings[0]; i++) {
        struct molt_image image;
        int rc = 0, want = beginnings[i].refusal != 0 ? beginnings[i].refusal : MOLT_IMAGE_UNKNOWN;
        assert_int_equal(
            case_verdict((const uint8_t *)beginnings[i].bytes, beginnings[i].len, &expect_nothing, &image),
            -want);
        if (beginnings[i].len < 16) continue;
        memcpy(file, beginnings[i].bytes, beginnings[i].len);
        assert_in_range(case_refused_after(file, beginnings[i].len, &rc), 1, 16);
        assert_int_equal(rc, -want);
    }
}

/* ---- ESP8266 ---- */

static void an_arduino_esp8266_image_is_told_from_a_bare_one(void **state)
{
    (void)state;
    struct image_case c = case_small(MOLT_CHIP_ESP8266);
    assert_int_equal(kind_of(c.bytes, c.len), MOLT_FILE_ESP8266_ARDUINO);
    assert_int_equal(molt_image_classify(c.bytes, 36, c.len), MOLT_FILE_ESP8266_ARDUINO);
    assert_int_equal(kind_of(c.bytes, 0x1000), MOLT_FILE_ESP8266_BARE); /* nothing behind the boot stage */
    c.bytes[0x1000] = 0xAA;
    assert_int_equal(kind_of(c.bytes, c.len), MOLT_FILE_ESP8266_BARE);
    c.bytes[0x1000] = 0xE9;
    c.bytes[0x0D] = 0x10; /* first segment reaches over 0x1000: that E9 is inside it */
    assert_int_equal(kind_of(c.bytes, c.len), MOLT_FILE_ESP8266_BARE);
    assert_int_equal(molt_image_classify(c.bytes, 36, c.len), MOLT_FILE_ESP8266_BARE);
    assert_int_equal(molt_file_kind_refusal(MOLT_FILE_ESP8266_BARE), MOLT_IMAGE_NO_EBOOT);
    free(c.bytes);
}

static void an_image_of_a_core_before_2_6_is_an_arduino_image(void **state)
{
    (void)state;
    struct image_build spec = {.chip = MOLT_CHIP_ESP8266, .size = 9000, .old_core = true};
    struct image_case c = case_build(&spec);
    assert_int_equal(kind_of(c.bytes, c.len), MOLT_FILE_ESP8266_ARDUINO);
    free(c.bytes);
}

static void rtos_sdk_images_are_known_by_both_their_headers(void **state)
{
    (void)state;
    /* 8-byte header: irom first, with the application descriptor at 0x10. */
    uint8_t v1[64] = {0xE9, 4, 2, 0x40, 0, 0, 0x10, 0x40, 0x10, 0x00, 0x21, 0x40, 0, 0x40};
    molt_store32le(v1 + 0x10, 0xABCD5432);
    assert_int_equal(kind_of(v1, sizeof v1), MOLT_FILE_ESP8266_RTOS_SDK);
    /* 24-byte header as on ESP32, code in the ESP8266's flash window. */
    uint8_t v3[64] = {0xE9, 4, 2, 0x40, 0, 0, 0x10, 0x40, 0xEE, 0, 0, 0, 4, 0};
    molt_store32le(v3 + 24, 0x40210020);
    molt_store32le(v3 + 28, 0x4000);
    assert_int_equal(kind_of(v3, sizeof v3), MOLT_FILE_ESP8266_RTOS_SDK);
    int rc = 0;
    assert_in_range(case_refused_after(v3, sizeof v3, &rc), 1, 36);
    assert_int_equal(rc, -MOLT_IMAGE_RTOS_SDK);
}

/* ---- ESP32 family ---- */

static void an_esp32_family_app_is_known_by_36_bytes(void **state)
{
    (void)state;
    for (int chip = MOLT_CHIP_ESP32; chip <= MOLT_CHIP_ESP32S31; chip++) {
        struct image_case c = case_small((enum molt_chip)chip);
        assert_int_equal(kind_of(c.bytes, c.len), MOLT_FILE_ESP32_APP);
        assert_int_equal(molt_image_classify(c.bytes, 36, c.len), MOLT_FILE_ESP32_APP);
        free(c.bytes);
    }
}

static void a_chip_id_that_nobody_knows_is_an_unknown_file(void **state)
{
    (void)state;
    struct image_case c = case_small(MOLT_CHIP_ESP32C3);
    c.bytes[12] = 0x7F;
    assert_int_equal(kind_of(c.bytes, c.len), MOLT_FILE_UNKNOWN);
    c.bytes[12] = c.bytes[13] = 0xFF;
    assert_int_equal(kind_of(c.bytes, c.len), MOLT_FILE_UNKNOWN);
    free(c.bytes);
}

/* A bootloader as IDF links it: in RAM, with its description at 0x20. */
static void make_bootloader(uint8_t *p, uint16_t chip_id, uint32_t load, bool described)
{
    const uint8_t header[24] = {0xE9, 3, 2, 0x20, 0x40, 0x06, 0x38, 0x40, 0xEE, 0, 0, 0, (uint8_t)chip_id,
                                0,    0, 0, 0,    0xFF, 0xFF, 0,    0,    0,    0, 1};
    memcpy(p, header, sizeof header);
    molt_store32le(p + 24, load);
    molt_store32le(p + 28, 0x100);
    p[0x20] = described ? 0x50 : 0x08;
    if (described) memcpy(p + 0x28, "v5.5.1", 7);
}

static void a_bootloader_is_known_with_and_without_description(void **state)
{
    (void)state;
    uint8_t file[0x200] = {0};
    int rc = 0;
    make_bootloader(file, 5, 0x3FCD5820, true);
    assert_int_equal(kind_of(file, sizeof file), MOLT_FILE_ESP32_BOOTLOADER);
    make_bootloader(file, 0, 0x3FFF0030, false);
    assert_int_equal(kind_of(file, sizeof file), MOLT_FILE_ESP32_BOOTLOADER);
    assert_in_range(case_refused_after(file, sizeof file, &rc), 1, 36);
    assert_int_equal(rc, -MOLT_IMAGE_BOOTLOADER);
}

/* A dump of the whole flash: bootloader, partition table, application. */
static uint8_t *make_flash(uint32_t bootloader_at)
{
    static const uint8_t table[12] = {0xAA, 0x50, 1, 2, 0x00, 0x90, 0, 0, 0x00, 0x50, 0, 0};
    uint8_t *flash = malloc(FLASH_LEN);
    struct image_case app = case_small(MOLT_CHIP_ESP32C3);
    assert_non_null(flash);
    memset(flash, 0xFF, FLASH_LEN);
    make_bootloader(flash + bootloader_at, 5, 0x3FCD5820, true);
    memcpy(flash + 0x8000, table, sizeof table);
    memcpy(flash + 0x10000, app.bytes, app.len);
    free(app.bytes);
    return flash;
}

static void a_merged_image_is_known_wherever_the_bootloader_is(void **state)
{
    (void)state;
    for (uint32_t at = 0; at <= 0x2000; at += 0x1000) {
        uint8_t *flash = make_flash(at);
        assert_int_equal(kind_of(flash, FLASH_LEN), MOLT_FILE_MERGED);
        assert_int_equal(molt_image_classify(flash, 0x8020, FLASH_LEN), MOLT_FILE_MERGED);
        flash[0x8000] =
            0xFF; /* no partition table: a bootloader with something behind it, or nothing known */
        assert_int_equal(kind_of(flash, FLASH_LEN), at == 0 ? MOLT_FILE_ESP32_BOOTLOADER : MOLT_FILE_UNKNOWN);
        flash[0x8000] = 0xAA;
        flash[0x8005] = 0x12; /* nor where its first partition begins inside a sector */
        assert_int_equal(kind_of(flash, FLASH_LEN), at == 0 ? MOLT_FILE_ESP32_BOOTLOADER : MOLT_FILE_UNKNOWN);
        free(flash);
    }
    assert_int_equal(molt_file_kind_refusal(MOLT_FILE_MERGED), MOLT_IMAGE_MERGED);
}

static void the_verifier_stops_a_merged_image_before_the_first_sector_is_full(void **state)
{
    (void)state;
    int rc = 0;
    uint8_t *flash = make_flash(0x1000);
    assert_in_range(case_refused_after(flash, FLASH_LEN, &rc), 1, 16);
    assert_int_equal(rc, -MOLT_IMAGE_MERGED);
    free(flash);
    flash = make_flash(0); /* 36 bytes of it cannot be told from a bootloader */
    assert_in_range(case_refused_after(flash, FLASH_LEN, &rc), 1, 36);
    assert_int_equal(rc, -MOLT_IMAGE_BOOTLOADER);
    free(flash);
}

static void partition_magic_inside_an_application_is_code(void **state)
{
    (void)state;
    struct image_build spec = {.chip = MOLT_CHIP_ESP32C3, .size = 0x9000};
    struct image_case c = case_build(&spec);
    c.bytes[0x8000] = 0xAA;
    c.bytes[0x8001] = 0x50;
    case_mend_esp32(&c);
    assert_int_equal(kind_of(c.bytes, c.len), MOLT_FILE_ESP32_APP);
    assert_int_equal(case_plain_verdict(&c), 0);
    free(c.bytes);
}

/* ---- file systems and nothing ---- */

static void file_systems_are_known_by_their_magics(void **state)
{
    (void)state;
    static uint8_t fs[64 * 1024];
    for (size_t at = 0; at <= 0x2000; at += 0x1000) {
        memset(fs, 0xFF, sizeof fs);
        memcpy(fs + at, "\x01\0\0\0\xF0\x0F\xFF\xF7littlefs", 16);
        assert_int_equal(kind_of(fs, sizeof fs), MOLT_FILE_LITTLEFS);
    }
    /* SPIFFS of 16 blocks of 4 KB, pages of 256: 0x20140529 ^ 256 ^ 16, at the end of the look-up page. */
    memset(fs, 0xFF, sizeof fs);
    fs[252] = 0x29 ^ 16;
    fs[253] = 0x05 ^ 0x01;
    assert_int_equal(kind_of(fs, sizeof fs), MOLT_FILE_SPIFFS);
    assert_int_equal(molt_image_classify(fs, sizeof fs, 3 * sizeof fs), MOLT_FILE_UNKNOWN); /* wrong length */
    assert_int_equal(molt_image_classify(fs, sizeof fs, sizeof fs + 100), MOLT_FILE_UNKNOWN);
    for (int jump = 0xE9; jump <= 0xEB; jump += 2) {
        memset(fs, 0, sizeof fs);
        const uint8_t boot[14] = {(uint8_t)jump, 0xFE, 0x90, 'M', 'S', 'D',  'O',
                                  'S',           '5',  '.',  '0', 0,   0x10, 1};
        memcpy(fs, boot, sizeof boot);
        fs[510] = 0x55;
        fs[511] = 0xAA;
        assert_int_equal(kind_of(fs, sizeof fs), MOLT_FILE_FAT);
    }
    assert_int_equal(molt_file_kind_refusal(MOLT_FILE_LITTLEFS), MOLT_IMAGE_FILESYSTEM);
    assert_int_equal(molt_file_kind_refusal(MOLT_FILE_SPIFFS), MOLT_IMAGE_FILESYSTEM);
    assert_int_equal(molt_file_kind_refusal(MOLT_FILE_FAT), MOLT_IMAGE_FILESYSTEM);
}

static void blank_flash_is_no_merged_image(void **state)
{
    (void)state;
    static uint8_t blank[0x9000];
    memset(blank, 0xFF, sizeof blank);
    assert_int_equal(kind_of(blank, sizeof blank), MOLT_FILE_UNKNOWN);
    assert_int_equal(kind_of(blank, 0x800), MOLT_FILE_UNKNOWN);
    assert_int_equal(kind_of(blank, 0x1000), MOLT_FILE_UNKNOWN);
}

static void an_e9_that_nothing_fits_is_unknown_or_too_short(void **state)
{
    (void)state;
    uint8_t file[64] = {0xE9};
    assert_int_equal(kind_of(file, 1), MOLT_FILE_ESP8266_BARE);
    assert_int_equal(kind_of(file, 20), MOLT_FILE_UNKNOWN);
    memset(file + 1, 0x77, sizeof file - 1);
    assert_int_equal(kind_of(file, sizeof file), MOLT_FILE_UNKNOWN);
}

static void every_kind_has_its_own_name_and_may_be_asked_out_of_range(void **state)
{
    (void)state;
    for (int a = 0; a <= MOLT_FILE_FAT; a++) {
        assert_true(strlen(molt_file_kind_name((enum molt_file_kind)a)) > 2);
        for (int b = 0; b < a; b++) {
            assert_string_not_equal(molt_file_kind_name((enum molt_file_kind)a),
                                    molt_file_kind_name((enum molt_file_kind)b));
        }
    }
    assert_string_equal(molt_file_kind_name((enum molt_file_kind)99), "unknown");
    assert_int_equal(molt_file_kind_refusal((enum molt_file_kind)99), MOLT_IMAGE_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_bytes_tell_files_that_are_no_images),
        cmocka_unit_test(the_verifier_refuses_them_by_the_same_reasons_within_16_bytes),
        cmocka_unit_test(an_arduino_esp8266_image_is_told_from_a_bare_one),
        cmocka_unit_test(an_image_of_a_core_before_2_6_is_an_arduino_image),
        cmocka_unit_test(rtos_sdk_images_are_known_by_both_their_headers),
        cmocka_unit_test(an_esp32_family_app_is_known_by_36_bytes),
        cmocka_unit_test(a_chip_id_that_nobody_knows_is_an_unknown_file),
        cmocka_unit_test(a_bootloader_is_known_with_and_without_description),
        cmocka_unit_test(a_merged_image_is_known_wherever_the_bootloader_is),
        cmocka_unit_test(the_verifier_stops_a_merged_image_before_the_first_sector_is_full),
        cmocka_unit_test(partition_magic_inside_an_application_is_code),
        cmocka_unit_test(file_systems_are_known_by_their_magics),
        cmocka_unit_test(blank_flash_is_no_merged_image),
        cmocka_unit_test(an_e9_that_nothing_fits_is_unknown_or_too_short),
        cmocka_unit_test(every_kind_has_its_own_name_and_may_be_asked_out_of_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

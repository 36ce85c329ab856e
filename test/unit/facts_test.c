/* facts_test.c - what molt says about files: images, wrong files, signed files, tags, codes. Gzip is in
 * facts_gzip_test.c. */
#include "facts_files.h"
#include "temp_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "util/bytes.h"
#include "util/crc.h"

/* ---- images ---- */

static void an_image_passes_and_its_facts_are_read(void **state)
{
    (void)state;
    static const enum molt_chip chips[] = {MOLT_CHIP_ESP8266, MOLT_CHIP_ESP32, MOLT_CHIP_ESP32C3,
                                           MOLT_CHIP_ESP32S3};
    for (size_t i = 0; i < sizeof chips / sizeof chips[0]; i++) {
        struct file file = build(chips[i], 200000);
        size_t len = file.len;
        struct facts facts = read_and_free(file);
        assert_true(facts.is_image);
        assert_int_equal(facts.refusal, 0);
        assert_int_equal(facts.image.chip, chips[i]);
        assert_int_equal(facts.image.len, len);
        assert_int_equal(facts.len, len);
        assert_int_equal(facts.inner_len, len);
        assert_false(facts.gzip);
        assert_memory_equal(facts.sha256, facts.inner_sha256, 32);
        assert_true(facts.has_tag);
        assert_string_equal(facts.tag_version, "2.0.1");
        assert_string_equal(facts.tag_product, "gate");
        assert_string_equal(facts.tag_board, "d1_mini");
        assert_int_equal(facts.tag_code, 2000001);
        assert_true(facts.tag_confirms);
    }
}

static void the_content_of_a_gzip_file_is_judged(void **state)
{
    (void)state;
    struct file image = build(MOLT_CHIP_ESP8266, 200000), gz;
    assert_int_equal(facts_gzip(image.data, image.len, 15, &gz.data, &gz.len), 0);
    struct facts facts;
    uint8_t *inflated;
    size_t inflated_len;
    facts_read(gz.data, gz.len, &facts, &inflated, &inflated_len);
    assert_true(facts.is_image);
    assert_true(facts.gzip);
    assert_int_equal(facts.kind, MOLT_FILE_GZIP);
    assert_int_equal(facts.inner_kind, MOLT_FILE_ESP8266_ARDUINO);
    assert_int_equal(facts.len, gz.len);
    assert_int_equal(inflated_len, image.len);
    assert_memory_equal(inflated, image.data, image.len);
    assert_string_equal(facts.tag_version, "2.0.1");
    free(inflated);
    free(gz.data);
    free(image.data);
}

static void digests_are_those_of_the_published_vectors(void **state)
{
    (void)state;
    static const uint8_t sha256[] = {0xba, 0x78, 0x16, 0xbf}, md5[] = {0x90, 0x01, 0x50, 0x98};
    struct facts facts = read_and_free(gzip_of(text_file("abc")));
    assert_memory_equal(facts.inner_sha256, sha256, 4);
    assert_memory_equal(facts.inner_md5, md5, 4);
    assert_int_equal(facts.refusal, MOLT_IMAGE_TEXT);
}

/* ---- refusals ---- */

static void files_that_are_no_firmware_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        int refusal;
    } files[] = {
        {"<html><body>404 Not Found</body></html>", 39, MOLT_IMAGE_TEXT},
        {"{\"error\": \"no such file, really\"}", 33, MOLT_IMAGE_TEXT},
        {"HTTP/1.1 404 Not Found\r\nServer: nginx\r\n", 39, MOLT_IMAGE_TEXT},
        {"\xEF\xBB\xBF<!doctype html><title>Login</title>", 38, MOLT_IMAGE_TEXT},
        {"\x7F"
         "ELF\1\1\1\0\0\0\0\0\0\0\0\0\2\0\x5E\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
         36, MOLT_IMAGE_ELF},
        {":020000040800F2\r\n:1000000000000120\r\n", 36, MOLT_IMAGE_HEX},
        {"UF2\nWQ]\x9E\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32, MOLT_IMAGE_UF2},
        {"\xAA\x50\1\2\0\x90\0\0\0\x50\0\0nvs\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32, MOLT_IMAGE_PARTITIONS},
        {"\x3D\xB8\xF3\x96\0\0\0\0\x20\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32,
         MOLT_IMAGE_MCUBOOT},
        {"\xEA\4\0\0\0\0\x10\x40\0\0\0\0\x10\0\0\0\1\2\3\4\5\6\7\x8\1\2\3\4\5\6\7\x8", 32, MOLT_IMAGE_SDK_V2},
        {"\xDE\xAD\xBE\xEF\1\2\3\4\5\6\7\x8\1\2\3\4\5\6\7\x8\1\2\3\4\5\6\7\x8\1\2\3\4", 32,
         MOLT_IMAGE_UNKNOWN},
        {"", 0, MOLT_IMAGE_EMPTY},
        {"\xE9", 1, MOLT_IMAGE_EMPTY},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct facts facts;
        facts_read((const uint8_t *)files[i].bytes, files[i].len, &facts, NULL, NULL);
        assert_false(facts.is_image);
        assert_int_equal(facts.refusal, files[i].refusal);
        if (files[i].len == 0) continue;
        struct file copy = {malloc(files[i].len), files[i].len};
        memcpy(copy.data, files[i].bytes, copy.len);
        facts = read_and_free(gzip_of(copy)); /* the same inside gzip */
        assert_int_equal(facts.refusal, files[i].refusal);
    }
}

static void damaged_images_are_refused(void **state)
{
    (void)state;
    struct file file = build(MOLT_CHIP_ESP8266, 200000);
    file.data[150000] ^= 0x10;
    assert_int_equal(read_and_free(file).refusal, MOLT_BAD_CRC);
    file = build(MOLT_CHIP_ESP32, 200000);
    file.data[150000] ^= 0x10;
    int refusal = read_and_free(file).refusal;
    assert_true(refusal == MOLT_BAD_CHECKSUM || refusal == MOLT_BAD_HASH);
    file = build(MOLT_CHIP_ESP32, 200000);
    file.len -= 100;
    assert_int_equal(read_and_free(file).refusal, MOLT_IMAGE_TRUNCATED);
    assert_int_equal(read_and_free(wrap(build(MOLT_CHIP_ESP8266, 200000), 0, 17)).refusal,
                     MOLT_IMAGE_TRAILING);
}

static void a_merged_image_is_refused(void **state)
{
    (void)state;
    static const uint8_t table[] = {0xAA, 0x50, 1, 2, 0, 0x90, 0, 0, 0, 0x50, 0, 0, 'n', 'v', 's', 0};
    struct file app = build(MOLT_CHIP_ESP32C3, 100000);
    uint8_t *head = malloc(0x8000);
    memcpy(head, app.data, 0x8000);
    struct file merged = wrap(app, 0x10000, 0);
    memset(merged.data, 0xFF, 0x10000);
    memcpy(merged.data, head, 0x5000);
    memset(merged.data + 0x20, 0, 4); /* a bootloader's description, not an application's */
    merged.data[0x20] = 0x50;
    molt_store32le(merged.data + 24, 0x3FCD5810); /* which runs from RAM */
    memcpy(merged.data + 0x8000, table, sizeof table);
    free(head);
    assert_int_equal(read_and_free(merged).refusal, MOLT_IMAGE_MERGED);
}

static void an_image_for_a_chip_nobody_knows_is_refused_with_its_number(void **state)
{
    (void)state;
    const struct image_build spec = {.chip = MOLT_CHIP_ESP32, .size = 100000, .no_hash = true};
    struct file file;
    assert_int_equal(image_build(&spec, &file.data, &file.len), 0);
    file.data[12] = 0x42;
    struct facts facts = read_and_free(file);
    assert_int_equal(facts.refusal, MOLT_WRONG_CHIP);
    assert_non_null(strstr(facts.detail, "0x0042"));
}

static void file_systems_pass_as_such(void **state)
{
    (void)state;
    struct file file = {calloc(1, 65536), 65536};
    memcpy(file.data + 8, "littlefs", 8);
    struct facts facts = read_and_free(file);
    assert_true(facts.is_image);
    assert_int_equal(facts.kind, MOLT_FILE_LITTLEFS);
    assert_int_equal(facts.image.chip, MOLT_CHIP_UNKNOWN);
}

static void a_file_larger_than_any_flash_is_refused(void **state)
{
    (void)state;
    struct file file = {calloc(1, FACTS_FILE_MAX + 1), FACTS_FILE_MAX + 1};
    assert_int_equal(read_and_free(file).refusal, MOLT_FILE_TOO_LARGE);
}

/* ---- signed by other tools ---- */

static void signed_files_are_named(void **state)
{
    (void)state;
    struct file file = wrap(build(MOLT_CHIP_ESP8266, 100000), 0, 260);
    molt_store32le(file.data + file.len - 4, 256);
    struct facts facts = read_and_free(file);
    assert_int_equal(facts.refusal, MOLT_IMAGE_SIGNED);
    assert_string_equal(facts.detail, "an Arduino ESP8266 signature of 260 bytes behind the image");

    facts = read_and_free(wrap(build(MOLT_CHIP_ESP32, 100000), 0, 512));
    assert_int_equal(facts.refusal, MOLT_IMAGE_SIGNED);
    assert_string_equal(facts.detail, "an Arduino ESP32 signature of 512 bytes behind the image");

    facts = read_and_free(wrap(build(MOLT_CHIP_ESP32, 100000), 512, 0));
    assert_int_equal(facts.refusal, MOLT_IMAGE_SIGNED);
    assert_string_equal(facts.detail, "an esp32FOTA signature of 512 bytes before the image");

    file = wrap(build(MOLT_CHIP_ESP32, 100000), 0, 68);
    molt_store32le(file.data + file.len - 68, 0);
    facts = read_and_free(file);
    assert_int_equal(facts.refusal, MOLT_IMAGE_SIGNED);
    assert_non_null(strstr(facts.detail, "Secure Boot V1"));
}

static void a_secure_boot_v2_sector_is_named(void **state)
{
    (void)state;
    struct file app = build(MOLT_CHIP_ESP32C3, 100000);
    size_t pad = 0x20000 - app.len;
    struct file file = wrap(app, 0, pad + 4096);
    uint8_t *block = file.data + file.len - 4096;
    memset(block - pad, 0xFF, pad);
    memset(block, 0, 1216);
    block[0] = 0xE7;
    block[1] = 2;
    molt_store32le(block + 1196, molt_crc32_lsb(0, block, 1196));
    struct facts facts = read_and_free(file);
    assert_int_equal(facts.refusal, MOLT_IMAGE_SIGNED);
    assert_non_null(strstr(facts.detail, "Secure Boot V2"));
}

static void a_signed_gzip_file_is_named(void **state)
{
    (void)state;
    struct file file = wrap(gzip_of(build(MOLT_CHIP_ESP8266, 100000)), 0, 260);
    molt_store32le(file.data + file.len - 4, 256);
    struct facts facts = read_and_free(file);
    assert_int_equal(facts.refusal, MOLT_IMAGE_SIGNED);
    assert_non_null(strstr(facts.detail, "behind the gzip data"));
}

/* ---- tags and codes ---- */

static bool tag_of(const char *bytes, size_t len, const char *key, char value[65])
{
    return facts_tag((const uint8_t *)bytes, len, key, value, 65);
}
#define TAG_OF(literal, key, value) tag_of(literal, sizeof(literal) - 1, key, value)

static void tags_are_read_wherever_they_stand(void **state)
{
    (void)state;
    char value[65];
    assert_true(TAG_OF("xxmoltinf\0version\0"
                       "1.0\0code\0"
                       "7\0\0yy",
                       "code", value));
    assert_string_equal(value, "7");
    /* the bare name, as a program that searches for tags has it, then a tag */
    assert_true(TAG_OF("moltinf\0\1\2mmoltinf\0version\0"
                       "2.0\0\0",
                       "version", value));
    assert_string_equal(value, "2.0");
    assert_true(TAG_OF("blnkinf\0mcu\0"
                       "3.1.4\0fw-type\0gate\0build\0Nov 25\0\0",
                       "version", value));
    assert_string_equal(value, "3.1.4");
    assert_true(TAG_OF("blnkinf\0mcu\0"
                       "3.1.4\0fw-type\0gate\0\0",
                       "product", value));
    assert_string_equal(value, "gate");
}

static void broken_tags_are_not_read(void **state)
{
    (void)state;
    char value[65];
    assert_false(TAG_OF("moltinf\0version\0"
                        "1.0",
                        "version", value)); /* ends in a value */
    assert_false(TAG_OF("moltinf\0version\0"
                        "1.0\0",
                        "version", value)); /* no end mark */
    assert_false(TAG_OF("moltinf\0version\0"
                        "1.\xFF\0\0",
                        "version", value)); /* not printable */
    assert_false(TAG_OF("moltinf\0\0", "version", value));
    assert_false(TAG_OF("moltinf", "version", value));
    assert_false(TAG_OF("", "version", value));
    assert_string_equal(value, "");
    char long_value[200] = "moltinf\0version";
    memset(long_value + 16, 'a', 65);
    assert_false(tag_of(long_value, sizeof long_value, "version", value));
    long_value[16 + 64] = '\0';
    assert_true(tag_of(long_value, sizeof long_value, "version", value));
    assert_int_equal(strlen(value), 64);
}

static void versions_become_codes(void **state)
{
    (void)state;
    static const struct {
        const char *version;
        int rc;
        uint32_t code;
    } cases[] = {
        {"1", 0, 1},
        {"2017102501", 0, 2017102501},
        {"2147483647", 0, 2147483647},
        {"2147483648", -MOLT_CODE_RANGE, 0},
        {"99999999999999999999999", -MOLT_CODE_RANGE, 0},
        {"0", -MOLT_CODE_RANGE, 0},
        {"1.2.3", 0, 1002003},
        {"0.0.1", 0, 1},
        {"0.0.0", -MOLT_CODE_RANGE, 0},
        {"2147.483.647", 0, 2147483647},
        {"2147.483.648", -MOLT_CODE_RANGE, 0},
        {"18446744073709551616.0.1", -MOLT_CODE_RANGE, 0},
        {"1.1000.0", -MOLT_CODE_NEEDED, 0},
        {"1.0.1000", -MOLT_CODE_NEEDED, 0},
        {"1.2", -MOLT_CODE_NEEDED, 0},
        {"1.2.3.4", -MOLT_CODE_NEEDED, 0},
        {"1.2.3-rc1", -MOLT_CODE_NEEDED, 0},
        {"v1.2.3", -MOLT_CODE_NEEDED, 0},
        {"-1", -MOLT_CODE_NEEDED, 0},
        {" 1", -MOLT_CODE_NEEDED, 0},
        {"", -MOLT_CODE_NEEDED, 0},
        {"1..2", -MOLT_CODE_NEEDED, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t code = 1;
        assert_int_equal(facts_version_code(cases[i].version, &code), cases[i].rc);
        assert_int_equal(code, cases[i].code);
    }
}

static void a_code_is_found_as_word_and_as_text(void **state)
{
    (void)state;
    static const uint8_t word[] = {9, 9, 9, 0xC5, 0x47, 0x3A, 0x78, 9};
    assert_true(facts_has_code(word, sizeof word, 0x783A47C5));
    assert_false(facts_has_code(word, 6, 0x783A47C5));
    assert_true(facts_has_code((const uint8_t *)"version 2017102501!", 19, 2017102501));
    assert_true(facts_has_code((const uint8_t *)"2017102501", 10, 2017102501));
    assert_false(facts_has_code((const uint8_t *)"12017102501", 11, 2017102501));
    assert_false(facts_has_code((const uint8_t *)"20171025010", 11, 2017102501));
    assert_false(facts_has_code((const uint8_t *)"", 0, 2017102501));
}

/* ---- loading ---- */

static void files_are_loaded_up_to_the_limit(void **state)
{
    (void)state;
    struct temp_dir dir;
    temp_dir_make(&dir);
    char path[128];
    uint8_t *data;
    size_t len;
    snprintf(path, sizeof path, "%s/file", dir.path);
    assert_int_equal(facts_load_file(path, &data, &len), -MOLT_NOT_FOUND);
    assert_null(data);
    assert_int_equal(facts_load_file(dir.path, &data, &len), -MOLT_STORE_FAILED);
    assert_int_equal(errno, EISDIR);

    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(facts_load_file(path, &data, &len), 0);
    assert_int_equal(len, 0);
    free(data);
    assert_int_equal(ftruncate(fd, FACTS_FILE_MAX), 0);
    assert_int_equal(pwrite(fd, "end", 3, FACTS_FILE_MAX - 3), 3);
    assert_int_equal(facts_load_file(path, &data, &len), 0);
    assert_int_equal(len, FACTS_FILE_MAX);
    assert_memory_equal(data + len - 3, "end", 3);
    free(data);
    assert_int_equal(ftruncate(fd, FACTS_FILE_MAX + 1), 0);
    assert_int_equal(facts_load_file(path, &data, &len), -MOLT_FILE_TOO_LARGE);
    assert_null(data);
    close(fd);
    temp_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_passes_and_its_facts_are_read),
        cmocka_unit_test(the_content_of_a_gzip_file_is_judged),
        cmocka_unit_test(digests_are_those_of_the_published_vectors),
        cmocka_unit_test(files_that_are_no_firmware_are_refused_by_name),
        cmocka_unit_test(damaged_images_are_refused),
        cmocka_unit_test(a_merged_image_is_refused),
        cmocka_unit_test(an_image_for_a_chip_nobody_knows_is_refused_with_its_number),
        cmocka_unit_test(file_systems_pass_as_such),
        cmocka_unit_test(a_file_larger_than_any_flash_is_refused),
        cmocka_unit_test(signed_files_are_named),
        cmocka_unit_test(a_secure_boot_v2_sector_is_named),
        cmocka_unit_test(a_signed_gzip_file_is_named),
        cmocka_unit_test(tags_are_read_wherever_they_stand),
        cmocka_unit_test(broken_tags_are_not_read),
        cmocka_unit_test(versions_become_codes),
        cmocka_unit_test(a_code_is_found_as_word_and_as_text),
        cmocka_unit_test(files_are_loaded_up_to_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

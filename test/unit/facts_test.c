/* facts_test.c - what molt says about files: images, gzip, signed files, wrong files, tags, codes; and where a gzip
 * file may be staged, against a byte-by-byte model of eboot's copy. */
#define ZLIB_CONST
#include "temp_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include "host/facts.h"
#include "host/image_build.h"
#include "util/bytes.h"
#include "util/crc.h"

struct file {
    uint8_t *data;
    size_t len;
};

static struct file build(enum molt_chip chip, uint32_t size)
{
    static const struct image_build_tag tags[] = {{"version", "2.0.1"},
                                                  {"code", "2000001"},
                                                  {"product", "gate"},
                                                  {"board", "d1_mini"},
                                                  {"confirm", "1"}};
    const struct image_build spec = {.chip = chip,
                                     .size = size,
                                     .seed = 7,
                                     .version = "2.0.1",
                                     .flash_mode = 2,
                                     .tags = tags,
                                     .tag_count = 5};
    struct file file;
    assert_int_equal(image_build(&spec, &file.data, &file.len), 0);
    return file;
}

/* before zero-filled bytes in front of the file, after bytes of 0x5A behind it. */
static struct file wrap(struct file file, size_t before, size_t after)
{
    struct file out = {calloc(1, before + file.len + after), before + file.len + after};
    assert_non_null(out.data);
    memcpy(out.data + before, file.data, file.len);
    memset(out.data + before + file.len, 0x5A, after);
    free(file.data);
    return out;
}

static struct file gzip_of(struct file file)
{
    struct file out;
    assert_int_equal(facts_gzip(file.data, file.len, 15, &out.data, &out.len), 0);
    free(file.data);
    return out;
}

static struct facts read_and_free(struct file file)
{
    struct facts facts;
    facts_read(file.data, file.len, &facts, NULL, NULL);
    free(file.data);
    return facts;
}

static struct file text_file(const char *text)
{
    struct file file = {malloc(strlen(text)), strlen(text)};
    assert_non_null(file.data);
    memcpy(file.data, text, file.len);
    return file;
}

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

/* ---- staging ---- */

/* eboot's copy on a flash of FLASH bytes: the gzip file lies at start, its content is inflated over the flash from 0.
 * Input is read a sector at a time, each when its first byte is asked for. True when the content comes out right. */
static bool eboot_copies(const struct file *gz, uint32_t start, const struct file *content)
{
    enum { SECTOR = 4096 };
    size_t flash_len = start + gz->len + content->len + 2 * SECTOR;
    uint8_t *flash = malloc(flash_len), in[SECTOR], out[SECTOR];
    memset(flash, 0xFF, flash_len);
    memcpy(flash + start, gz->data, gz->len);
    z_stream z = {0};
    assert_int_equal(inflateInit2(&z, 31), Z_OK);
    uint32_t next = start, to = 0;
    size_t in_at = SECTOR;
    int rc = Z_OK;
    while (rc == Z_OK && to < content->len) {
        memset(out, 0xFF, sizeof out);
        z.next_out = out;
        z.avail_out = SECTOR;
        while (rc == Z_OK &&
               z.avail_out > 0) { /* one byte at a time: nothing is fetched before it is needed */
            if (in_at == SECTOR) {
                memcpy(in, flash + next, SECTOR);
                next += SECTOR;
                in_at = 0;
            }
            z.next_in = in + in_at;
            z.avail_in = 1;
            rc = inflate(&z, Z_NO_FLUSH);
            if (z.avail_in == 0) in_at++;
            if (rc == Z_BUF_ERROR) rc = Z_OK;
        }
        memcpy(flash + to, out, SECTOR);
        to += SECTOR;
    }
    inflateEnd(&z);
    bool right = to >= content->len && memcmp(flash, content->data, content->len) == 0;
    free(flash);
    return right;
}

/* Content whose first part does not compress and whose second does, or the other way round. */
static struct file mixed(bool dense_first)
{
    struct file file = {malloc(120000), 120000};
    uint32_t random = 1;
    for (size_t i = 0; i < file.len; i++) {
        random = random * 1664525u + 1013904223u;
        bool dense = (i < file.len / 2) == dense_first;
        file.data[i] = dense ? (uint8_t)(random >> 24) : (uint8_t)(i / 1000);
    }
    return file;
}

static void check_min_start(struct file content)
{
    struct file gz;
    assert_int_equal(facts_gzip(content.data, content.len, 15, &gz.data, &gz.len), 0);
    uint32_t start = facts_gzip_min_start(gz.data, gz.len);
    assert_int_equal(start % 4096, 0);
    assert_true(start <= content.len + 4095);
    assert_true(eboot_copies(&gz, start, &content));
    assert_true(eboot_copies(&gz, start + 4096, &content));
    if (start >= 8192) assert_false(eboot_copies(&gz, start - 8192, &content)); /* one sector is caution */
    free(gz.data);
    free(content.data);
}

static void staging_at_the_lowest_offset_works_and_lower_does_not(void **state)
{
    (void)state;
    check_min_start(build(MOLT_CHIP_ESP8266, 278396));
    check_min_start(build(MOLT_CHIP_ESP8266, 30000));
    check_min_start(mixed(true));
    check_min_start(mixed(false));
}

static void what_does_not_inflate_has_no_offset(void **state)
{
    (void)state;
    struct file gz = gzip_of(build(MOLT_CHIP_ESP8266, 50000));
    assert_int_equal(facts_gzip_min_start(gz.data, gz.len - 20), UINT32_MAX);
    assert_int_equal(facts_gzip_min_start(gz.data + 1, gz.len - 1), UINT32_MAX);
    assert_int_equal(facts_gzip_min_start((const uint8_t *)"", 0), UINT32_MAX);
    free(gz.data);
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
        cmocka_unit_test(damaged_gzip_is_refused),
        cmocka_unit_test(a_gzip_bomb_stops_at_the_limit),
        cmocka_unit_test(gzip_inside_gzip_is_refused),
        cmocka_unit_test(gzip_is_the_same_every_time_and_small_windows_suffice),
        cmocka_unit_test(staging_at_the_lowest_offset_works_and_lower_does_not),
        cmocka_unit_test(what_does_not_inflate_has_no_offset),
        cmocka_unit_test(tags_are_read_wherever_they_stand),
        cmocka_unit_test(broken_tags_are_not_read),
        cmocka_unit_test(versions_become_codes),
        cmocka_unit_test(a_code_is_found_as_word_and_as_text),
        cmocka_unit_test(files_are_loaded_up_to_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

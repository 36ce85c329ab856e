/* image_build.c - synthetic firmware for virtual chips, see image_build.h.
 * Must never be taken for a linker: the content is noise. Tests: test/unit/image_build_test.c and, with
 * esptool as judge, test/e2e/esptool_test.sh. */
#include "image_build.h"

#include <stdlib.h>
#include <string.h>

#include "ports/bearssl.h"
#include "util/bytes.h"
#include "util/crc.h"

#define MAGIC           0xE9u
#define CHECKSUM_SEED   0xEFu
#define APP_OFFSET      0x1000u
#define CRC_WORDS       0x1010u
#define APP_DESC_LEN    256u
#define APP_DESC_MAGIC  0xABCD5432u
#define MB              (1024u * 1024u)
#define EBOOT_TEXT_LEN  3424u
#define EBOOT_DATA_LEN  40u
#define TAG_GAP         64u /* bytes of content between descriptor or CRC words and the tag */
#define CONTENT_MAX_RUN 64u

/* The image being written. */
struct builder {
    uint8_t *bytes;
    uint32_t len;
    uint32_t random; /* xorshift32 state, never 0 */
};

static uint32_t next_random(struct builder *b)
{
    b->random ^= b->random << 13;
    b->random ^= b->random >> 17;
    b->random ^= b->random << 5;
    return b->random;
}

static uint32_t below(struct builder *b, uint32_t limit)
{
    return (uint32_t)(((uint64_t)next_random(b) * limit) >> 32);
}

/* Bytes as machine code has them: short repeats from further back, else bytes of which small ones are
 * commoner. The mix was set so that gzip -9 leaves about 70 % (real firmware: 65 to 78 %). */
static void fill_content(struct builder *b, uint8_t *p, uint32_t len)
{
    for (uint32_t at = 0; at < len;) {
        uint32_t run = below(b, 8) + 4;
        uint32_t kind = below(b, 100);
        if (run > len - at) run = len - at;
        if (kind < 3) {
            uint32_t zeros = molt_min32(below(b, CONTENT_MAX_RUN) + 4, len - at);
            memset(p + at, 0, zeros);
            at += zeros;
        } else if (kind < 33 && at > 16) {
            uint32_t back = 1 + below(b, molt_min32(at, kind < 18 ? 1024 : 16384));
            for (uint32_t i = 0; i < run; i++) {
                p[at + i] = p[at + i - back];
            }
            at += run;
        } else {
            for (uint32_t i = 0; i < run; i++) {
                uint32_t r = next_random(b);
                uint8_t small = (uint8_t)((r & 0xFF) & (r >> 8));
                p[at + i] = (r >> 24) < 110 ? small : (uint8_t)(r >> 16);
            }
            at += run;
        }
    }
}

static uint8_t *put_segment(struct builder *b, uint32_t load, uint32_t len)
{
    molt_store32le(b->bytes + b->len, load);
    molt_store32le(b->bytes + b->len + 4, len);
    uint8_t *data = b->bytes + b->len + 8;
    fill_content(b, data, len);
    b->len += 8 + len;
    return data;
}

/* Zeros, then the checksum byte as the last of a 16-byte block, counted from where the image starts. */
static void put_checksum(struct builder *b, uint32_t start, uint8_t checksum)
{
    uint32_t pad = 15 - ((b->len - start) & 15u);
    memset(b->bytes + b->len, 0, pad);
    b->len += pad;
    b->bytes[b->len++] = checksum;
}

static uint8_t sum_segments(const uint8_t *image, uint32_t header_len)
{
    uint8_t sum = CHECKSUM_SEED;
    uint32_t at = header_len;
    for (uint32_t i = 0; i < image[1]; i++) {
        uint32_t len = molt_load32le(image + at + 4);
        at += 8;
        for (uint32_t k = 0; k < len; k++) {
            sum ^= image[at + k];
        }
        at += len;
    }
    return sum;
}

static size_t tag_len(const struct image_build *spec)
{
    size_t len = spec->tag_count > 0 ? sizeof "moltinf" + 1 : 0;
    for (size_t i = 0; i < spec->tag_count; i++) {
        len += strlen(spec->tags[i].key) + strlen(spec->tags[i].value) + 2;
    }
    return len;
}

static uint8_t *put_text(uint8_t *p, const char *text)
{
    size_t len = strlen(text) + 1;
    memcpy(p, text, len);
    return p + len;
}

static void put_tag(uint8_t *p, const struct image_build *spec)
{
    if (spec->tag_count == 0) return;
    p = put_text(p, "moltinf");
    for (size_t i = 0; i < spec->tag_count; i++) {
        p = put_text(p, spec->tags[i].key);
        p = put_text(p, spec->tags[i].value);
    }
    *p = 0;
}

/* ---- ESP8266 ---- */

/* Header byte 3: size nibble by esptool's table, 40 MHz. False when the table has no such size. */
static bool esp8266_size_byte(uint32_t flash_size, uint8_t *byte)
{
    static const struct {
        uint32_t size;
        uint8_t nibble;
    } table[] = {{512 * 1024, 0}, {256 * 1024, 1}, {MB, 2},     {2 * MB, 3},
                 {4 * MB, 4},     {8 * MB, 8},     {16 * MB, 9}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].size == flash_size) {
            *byte = (uint8_t)(table[i].nibble << 4);
            return true;
        }
    }
    return false;
}

static void esp8266_header(struct builder *b, uint8_t segments, uint8_t mode, uint8_t size_byte,
                           uint32_t entry)
{
    uint8_t *h = b->bytes + b->len;
    h[0] = MAGIC;
    h[1] = segments;
    h[2] = mode;
    h[3] = size_byte;
    molt_store32le(h + 4, entry);
    b->len += 8;
}

static int build_esp8266(const struct image_build *spec, struct builder *b, uint32_t total)
{
    uint8_t size_byte;
    if (!esp8266_size_byte(spec->flash_size != 0 ? spec->flash_size : 4 * MB, &size_byte)) return -MOLT_ARG;

    /* The boot stage: the two segments that eboot has, at their addresses. */
    esp8266_header(b, 2, spec->flash_mode, size_byte, 0x4010F29C);
    put_segment(b, 0x4010F000, EBOOT_TEXT_LEN);
    put_segment(b, 0x3FFF20B8, EBOOT_DATA_LEN);
    put_checksum(b, 0, sum_segments(b->bytes, 8));
    memset(b->bytes + b->len, 0xAA, APP_OFFSET - b->len);
    b->len = APP_OFFSET;

    /* The sketch: .irom0.text, .text, .text1, .data, .rodata. */
    uint32_t content = total - APP_OFFSET - 8 - 5 * 8 - 4;
    uint32_t text = 0x187, data = 128; /* lengths as linkers leave them: not multiples of 4 */
    uint32_t text1 = molt_min32(content / 8, 26 * 1024) & ~3u;
    uint32_t rodata = molt_min32(content / 16, 4096) & ~3u;
    esp8266_header(b, 5, spec->flash_mode, size_byte, 0x4010057C);
    uint8_t *irom = put_segment(b, 0x40201010, content - text - text1 - data - rodata);
    put_segment(b, 0x40100000, text);
    put_segment(b, 0x40100000 + molt_round_up(text, 4), text1);
    put_segment(b, 0x3FFE8000, data);
    put_segment(b, 0x3FFE8000 + data, rodata);
    put_tag(irom + 8 + TAG_GAP, spec);
    if (!spec->old_core) memset(irom, 0, 8);
    put_checksum(b, APP_OFFSET, sum_segments(b->bytes + APP_OFFSET, 8));
    if (!spec->old_core) {
        /* The CRC is taken while both words are zero, and so was the checksum. */
        uint32_t crc = molt_crc32_msb(MOLT_CRC_MSB_INIT, b->bytes, b->len);
        molt_store32le(b->bytes + CRC_WORDS, b->len);
        molt_store32le(b->bytes + CRC_WORDS + 4, crc);
    }
    return 0;
}

/* ---- ESP32 family ---- */

/* Where each chip maps flash (read-only data, code) and where its internal RAM is; ESP-IDF soc/ext_mem_defs.h
 * and esptool's targets. Data and code lie in different pages also where the chip has one window for both. */
static const struct chip_map {
    enum molt_chip chip;
    uint32_t drom, irom, iram, dram;
} chip_maps[] = {
    {MOLT_CHIP_ESP32, 0x3F400000, 0x400D0000, 0x40080000, 0x3FFB0000},
    {MOLT_CHIP_ESP32S2, 0x3F000000, 0x40080000, 0x40024000, 0x3FFB4000},
    {MOLT_CHIP_ESP32S3, 0x3C000000, 0x42000000, 0x40374000, 0x3FC90000},
    {MOLT_CHIP_ESP32C2, 0x3C000000, 0x42000000, 0x4037C000, 0x3FCA0000},
    {MOLT_CHIP_ESP32C3, 0x3C000000, 0x42000000, 0x4037C000, 0x3FC80000},
    {MOLT_CHIP_ESP32C5, 0x42800000, 0x42000000, 0x40800000, 0x40810000},
    {MOLT_CHIP_ESP32C6, 0x42800000, 0x42000000, 0x40800000, 0x40810000},
    {MOLT_CHIP_ESP32C61, 0x42800000, 0x42000000, 0x40800000, 0x40810000},
    {MOLT_CHIP_ESP32H2, 0x42800000, 0x42000000, 0x40800000, 0x40810000},
    {MOLT_CHIP_ESP32H21, 0x42800000, 0x42000000, 0x40800000, 0x40810000},
    {MOLT_CHIP_ESP32H4, 0x42800000, 0x42000000, 0x40800000, 0x40810000},
    {MOLT_CHIP_ESP32P4, 0x44000000, 0x40000000, 0x4FF00000, 0x4FF40000},
    {MOLT_CHIP_ESP32E22, 0x3E000000, 0x3C000000, 0x40000000, 0x40020000},
    {MOLT_CHIP_ESP32S31, 0x44000000, 0x40000000, 0x2F000000, 0x2F040000},
};

static const struct chip_map *find_map(enum molt_chip chip)
{
    for (size_t i = 0; i < sizeof chip_maps / sizeof chip_maps[0]; i++) {
        if (chip_maps[i].chip == chip) return &chip_maps[i];
    }
    return NULL;
}

/* Header byte 3: size nibble, and the chip's full flash speed (0xF; the ESP32-C6 has 0 for it). */
static bool esp32_size_byte(enum molt_chip chip, uint32_t flash_size, uint8_t *byte)
{
    for (unsigned nibble = 0; nibble <= 7; nibble++) {
        if (flash_size == MB << nibble) {
            *byte = (uint8_t)(nibble << 4 | (chip == MOLT_CHIP_ESP32C6 ? 0 : 0xF));
            return true;
        }
    }
    return false;
}

static void put_app_desc(uint8_t *d, const struct image_build *spec)
{
    memset(d, 0, APP_DESC_LEN);
    molt_store32le(d, APP_DESC_MAGIC);
    molt_store32le(d + 4, spec->secure_version);
    put_text(d + 16, spec->version != NULL ? spec->version : "");
    put_text(d + 48, spec->project != NULL ? spec->project : "molt-demo");
    put_text(d + 80, "12:00:00");
    put_text(d + 96, "Oct 25 2017");
    put_text(d + 112, "v5.5-synthetic");
    for (uint32_t i = 0; i < 32; i++) {
        d[144 + i] = (uint8_t)(spec->seed >> (8 * (i & 3))); /* stands for the ELF's SHA-256 */
    }
    molt_store32le(d + 176, 0xFFFF0000); /* efuse block revision: from 0.0, no limit */
}

static void esp32_header(struct builder *b, const struct image_build *spec, uint8_t size_byte, uint32_t entry)
{
    uint8_t *h = b->bytes;
    uint16_t chip_id = molt_chip_image_id(spec->chip);
    uint16_t max = spec->max_revision != 0 ? spec->max_revision : 0xFFFF;
    memset(h, 0, 24);
    h[0] = MAGIC;
    h[1] = 4;
    h[2] = spec->flash_mode;
    h[3] = size_byte;
    molt_store32le(h + 4, entry);
    h[8] = 0xEE; /* WP pin: not used */
    h[12] = (uint8_t)chip_id;
    h[13] = (uint8_t)(chip_id >> 8);
    h[15] = (uint8_t)spec->min_revision;
    h[16] = (uint8_t)(spec->min_revision >> 8);
    h[17] = (uint8_t)max;
    h[18] = (uint8_t)(max >> 8);
    h[23] = !spec->no_hash;
    b->len = 24;
}

static int build_esp32(const struct image_build *spec, struct builder *b, uint32_t total)
{
    const struct chip_map *map = find_map(spec->chip);
    uint8_t size_byte;
    if (map == NULL ||
        !esp32_size_byte(spec->chip, spec->flash_size != 0 ? spec->flash_size : 4 * MB, &size_byte)) {
        return -MOLT_ARG;
    }
    uint32_t content = total - (spec->no_hash ? 0 : MOLT_SHA256_LEN) - 4 - 24 - 4 * 8;
    uint32_t drom = (content / 4) & ~3u, dram = (content / 64) & ~3u;
    uint32_t iram = molt_min32(content / 8, 64 * 1024) & ~3u;
    esp32_header(b, spec, size_byte, map->iram + 0x80);
    uint8_t *desc = put_segment(b, map->drom + 0x20, drom);
    put_app_desc(desc, spec);
    put_tag(desc + APP_DESC_LEN + TAG_GAP, spec);
    put_segment(b, map->dram, dram);
    put_segment(b, map->iram, iram);
    /* Flash is mapped in 64 KB pages: offset in the file and address must agree below that. */
    put_segment(b, map->irom + ((b->len + 8) & 0xFFFF), content - drom - dram - iram);
    put_checksum(b, 0, sum_segments(b->bytes, 24));
    if (!spec->no_hash) {
        struct molt_hash hash = {.ops = &molt_bearssl_sha256};
        hash.ops->init(&hash.state);
        hash.ops->update(&hash.state, b->bytes, b->len);
        hash.ops->finish(&hash.state, b->bytes + b->len);
        b->len += MOLT_SHA256_LEN;
    }
    return 0;
}

static bool texts_fit(const struct image_build *spec)
{
    if (spec->version != NULL && strlen(spec->version) > 31) return false;
    if (spec->project != NULL && strlen(spec->project) > 31) return false;
    for (size_t i = 0; i < spec->tag_count; i++) {
        if (spec->tags[i].key[0] == '\0') return false;
    }
    return tag_len(spec) <= IMAGE_BUILD_TAG_MAX;
}

int image_build(const struct image_build *spec, uint8_t **out, size_t *out_len)
{
    *out = NULL;
    *out_len = 0;
    bool esp8266 = spec->chip == MOLT_CHIP_ESP8266;
    uint32_t max = esp8266 ? IMAGE_BUILD_MAX_ESP8266 : IMAGE_BUILD_MAX;
    if (spec->size < IMAGE_BUILD_MIN || spec->size > max || !texts_fit(spec)) return -MOLT_ARG;

    uint32_t total = molt_round_up(spec->size, 16);
    struct builder b = {.random = spec->seed * 2654435761u ^ 0x9E3779B9u};
    if (b.random == 0) b.random = 1;
    b.bytes = malloc(total);
    if (b.bytes == NULL) return -MOLT_NO_MEMORY;
    int rc = esp8266 ? build_esp8266(spec, &b, total) : build_esp32(spec, &b, total);
    if (rc < 0) {
        free(b.bytes);
        return rc;
    }
    *out = b.bytes;
    *out_len = b.len;
    return 0;
}

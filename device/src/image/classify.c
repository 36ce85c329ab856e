/* classify.c - what a file is, from its first bytes: the table in doc/images.md, top to bottom.
 * Must never verify: a kind is a guess that the verifier or a person acts on.
 * Tests: test/unit/classify_test.c. */
#include "image_parts.h"

#include <string.h>

#include "../util/bytes.h"

#define PARTITIONS_OFFSET 0x8000u
#define TEXT_SAMPLE       64u
#define BLANK_SAMPLE      16u

/* The bytes at hand. */
struct view {
    const uint8_t *p;
    size_t len;
    uint64_t total;
};

static bool has(const struct view *v, size_t off, const void *bytes, size_t n)
{
    return off + n <= v->len && memcmp(v->p + off, bytes, n) == 0;
}

static bool is_printable(uint8_t c)
{
    return (c >= 0x20 && c < 0x7F) || c == '\t' || c == '\r' || c == '\n';
}

/* HTML, JSON, an HTTP head, a byte order mark, or nothing but printable bytes. len > 0. */
static bool is_text(const uint8_t *p, size_t len)
{
    const struct view v = {p, len, 0};
    if (has(&v, 0, "\xEF\xBB\xBF", 3) || has(&v, 0, "\xFE\xFF", 2)) return true;
    if (has(&v, 0, "\xFF\xFE", 2) && len >= 4 && is_printable(p[2]) && p[3] == 0) return true;
    if (p[0] == '<' || p[0] == '{' || has(&v, 0, "HTTP", 4)) return true;
    size_t n = len < TEXT_SAMPLE ? len : TEXT_SAMPLE;
    for (size_t i = 0; i < n; i++) {
        if (!is_printable(p[i])) return false;
    }
    return true;
}

static bool is_hex_digit(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
}

/* Intel HEX: a colon, then the record's length, address and type, all hexadecimal. */
static bool is_intel_hex(const struct view *v)
{
    if (v->p[0] != ':' || v->len < 9) return false;
    for (size_t i = 1; i < 9; i++) {
        if (!is_hex_digit(v->p[i])) return false;
    }
    return true;
}

/* A partition table begins there: a first entry of a sound type at a sound offset. Two magic bytes alone also
 * occur in code. */
static bool has_partitions(const struct view *v, size_t off)
{
    if (!has(v, off, "\xAA\x50", 2) || off + 12 > v->len) return false;
    uint8_t type = v->p[off + 2];
    uint32_t at = molt_load32le(v->p + off + 4), size = molt_load32le(v->p + off + 8);
    return (type <= 1 || type >= 0x40) && (at & 0xFFF) == 0 && at != 0 && size != 0;
}

static bool is_blank(const struct view *v, size_t from, size_t to)
{
    if (to > v->len) to = v->len;
    for (size_t i = from; i < to; i++) {
        if (v->p[i] != 0xFF) return false;
    }
    return true;
}

/* A dump of the whole flash of a chip whose bootloader is at 0x1000 or 0x2000: blank up to there. */
static bool is_merged_blank(const struct view *v)
{
    if (v->len < BLANK_SAMPLE || !is_blank(v, 0, BLANK_SAMPLE)) return false;
    for (size_t at = 0x1000; at <= 0x2000; at += 0x1000) {
        if (v->total <= at || !is_blank(v, 0, at)) return false;
        if (v->len <= at) return true; /* blank as far as can be seen */
        if (v->p[at] == IMAGE_MAGIC) {
            return v->len < PARTITIONS_OFFSET + 12 || has_partitions(v, PARTITIONS_OFFSET);
        }
    }
    return false;
}

/* ---- file systems ---- */

static bool is_littlefs(const struct view *v)
{
    /* The superblock's name tag is in block 0 or 1; blocks have 4 or 8 KB. */
    return has(v, 8, "littlefs", 8) || has(v, 0x1008, "littlefs", 8) || has(v, 0x2008, "littlefs", 8);
}

/* SPIFFS ends the first block's look-up page with a magic that holds page size and block count. */
static bool is_spiffs(const struct view *v)
{
    for (unsigned page_bits = 8; page_bits <= 10; page_bits++) {
        size_t page = (size_t)1 << page_bits;
        if (v->len < page) return false;
        uint16_t found = molt_load16le(v->p + page - 4);
        for (unsigned block_bits = 12; block_bits <= 16; block_bits++) {
            uint64_t blocks = v->total >> block_bits;
            uint32_t magic = 0x20140529u ^ (uint32_t)page ^ (uint32_t)blocks;
            if (blocks << block_bits == v->total && blocks > 1 && found == (uint16_t)magic) return true;
        }
    }
    return false;
}

/* A FAT boot sector: jump, sector size, sectors a cluster, end mark. */
static bool is_fat(const struct view *v)
{
    if (!has(v, 510, "\x55\xAA", 2) || (v->p[0] != 0xEB && v->p[0] != 0xE9)) return false;
    uint16_t sector = molt_load16le(v->p + 11);
    uint8_t cluster = v->p[13];
    return sector >= 512 && sector <= 4096 && (sector & (sector - 1)) == 0 && cluster != 0 &&
           (cluster & (cluster - 1)) == 0;
}

/* ---- files that begin with E9 ---- */

/* The first image of an ESP8266 file is a boot stage, as far as can be seen. */
static bool is_boot_stage(const struct view *v)
{
    uint32_t at = 8;
    for (unsigned i = 0; i < v->p[1] && at + 8 <= v->len; i++) {
        uint32_t load = molt_load32le(v->p + at), len = molt_load32le(v->p + at + 4);
        at += 8;
        if (!image_esp8266_boot_segment(at, load, len)) return false;
        at += len;
    }
    return true;
}

static enum molt_file_kind classify_esp8266(const struct view *v)
{
    if (v->len >= RTOS_DESC_OFFSET + 4 && molt_load32le(v->p + RTOS_DESC_OFFSET) == APP_DESC_MAGIC) {
        return MOLT_FILE_ESP8266_RTOS_SDK;
    }
    if (v->total <= MOLT_ESP8266_APP_OFFSET || !is_boot_stage(v)) return MOLT_FILE_ESP8266_BARE;
    bool seen = v->len > MOLT_ESP8266_APP_OFFSET;
    return seen && v->p[MOLT_ESP8266_APP_OFFSET] != IMAGE_MAGIC ? MOLT_FILE_ESP8266_BARE
                                                                : MOLT_FILE_ESP8266_ARDUINO;
}

static enum molt_file_kind classify_esp32(const struct view *v)
{
    uint16_t id = molt_load16le(v->p + 12);
    enum molt_chip chip = molt_chip_from_image_id(id);
    uint32_t load = molt_load32le(v->p + 24);
    /* ESP8266_RTOS_SDK's later form borrows this header, with id 0 or 4 and the ESP8266's flash window. */
    if ((id == 0 || id == 4) && load >= ESP8266_IROM && load < ESP8266_IROM_END)
        return MOLT_FILE_ESP8266_RTOS_SDK;
    if (chip == MOLT_CHIP_UNKNOWN) return MOLT_FILE_UNKNOWN;
    if (molt_load32le(v->p + APP_DESC_OFFSET) == APP_DESC_MAGIC) return MOLT_FILE_ESP32_APP;
    if (has_partitions(v, PARTITIONS_OFFSET)) return MOLT_FILE_MERGED;
    /* Recent bootloaders have a description at 0x20 (first byte 0x50), older ones nothing; none runs from
     * mapped flash, and every application does. */
    return image_esp32_is_mapped(chip, load) ? MOLT_FILE_ESP32_APP : MOLT_FILE_ESP32_BOOTLOADER;
}

static enum molt_file_kind classify_e9(const struct view *v)
{
    if (is_fat(v)) return MOLT_FILE_FAT;
    if (v->len < 12) return MOLT_FILE_ESP8266_BARE;
    if (image_esp8266_address(molt_load32le(v->p + 8))) return classify_esp8266(v);
    return v->len >= IMAGE_SNIFF_LEN ? classify_esp32(v) : MOLT_FILE_UNKNOWN;
}

enum molt_file_kind molt_image_classify(const uint8_t *head, size_t head_len, uint64_t total_len)
{
    const struct view v = {head, head_len, total_len};
    if (head_len == 0) return MOLT_FILE_EMPTY;
    if (has(&v, 0, "\x1F\x8B\x08", 3)) return MOLT_FILE_GZIP;
    if (has(&v, 0, "\x7F\x45\x4C\x46", 4)) return MOLT_FILE_ELF;
    if (is_intel_hex(&v)) return MOLT_FILE_HEX;
    if (has(&v, 0, "UF2\n", 4)) return MOLT_FILE_UF2;
    if (has(&v, 0, "\xAA\x50", 2)) return MOLT_FILE_PARTITIONS;
    if (has(&v, 0, "\x3D\xB8\xF3\x96", 4)) return MOLT_FILE_MCUBOOT;
    if (head[0] == IMAGE_MAGIC) return classify_e9(&v);
    if (has(&v, 0, "\xEA\x04", 2)) return MOLT_FILE_ESP8266_SDK_V2;
    if (is_littlefs(&v)) return MOLT_FILE_LITTLEFS;
    if (is_spiffs(&v)) return MOLT_FILE_SPIFFS;
    if (is_fat(&v)) return MOLT_FILE_FAT;
    if (is_merged_blank(&v)) return MOLT_FILE_MERGED;
    return is_text(head, head_len) ? MOLT_FILE_TEXT : MOLT_FILE_UNKNOWN;
}

/* Two tables, not one, so that a device that never prints a kind does not hold the names in its RAM. */
static const uint8_t refusals[] = {
    [MOLT_FILE_UNKNOWN] = MOLT_IMAGE_UNKNOWN,
    [MOLT_FILE_EMPTY] = MOLT_IMAGE_EMPTY,
    [MOLT_FILE_TEXT] = MOLT_IMAGE_TEXT,
    [MOLT_FILE_GZIP] = 0,
    [MOLT_FILE_ELF] = MOLT_IMAGE_ELF,
    [MOLT_FILE_HEX] = MOLT_IMAGE_HEX,
    [MOLT_FILE_UF2] = MOLT_IMAGE_UF2,
    [MOLT_FILE_PARTITIONS] = MOLT_IMAGE_PARTITIONS,
    [MOLT_FILE_MCUBOOT] = MOLT_IMAGE_MCUBOOT,
    [MOLT_FILE_ESP32_APP] = 0,
    [MOLT_FILE_ESP32_BOOTLOADER] = MOLT_IMAGE_BOOTLOADER,
    [MOLT_FILE_MERGED] = MOLT_IMAGE_MERGED,
    [MOLT_FILE_ESP8266_ARDUINO] = 0,
    [MOLT_FILE_ESP8266_BARE] = MOLT_IMAGE_NO_EBOOT,
    [MOLT_FILE_ESP8266_SDK_V2] = MOLT_IMAGE_SDK_V2,
    [MOLT_FILE_ESP8266_RTOS_SDK] = MOLT_IMAGE_RTOS_SDK,
    [MOLT_FILE_LITTLEFS] = MOLT_IMAGE_FILESYSTEM,
    [MOLT_FILE_SPIFFS] = MOLT_IMAGE_FILESYSTEM,
    [MOLT_FILE_FAT] = MOLT_IMAGE_FILESYSTEM,
};

static const char *const names[] = {
    [MOLT_FILE_UNKNOWN] = "unknown",
    [MOLT_FILE_EMPTY] = "empty",
    [MOLT_FILE_TEXT] = "text",
    [MOLT_FILE_GZIP] = "gzip",
    [MOLT_FILE_ELF] = "elf",
    [MOLT_FILE_HEX] = "intel-hex",
    [MOLT_FILE_UF2] = "uf2",
    [MOLT_FILE_PARTITIONS] = "partition-table",
    [MOLT_FILE_MCUBOOT] = "mcuboot-image",
    [MOLT_FILE_ESP32_APP] = "esp32-app",
    [MOLT_FILE_ESP32_BOOTLOADER] = "esp32-bootloader",
    [MOLT_FILE_MERGED] = "merged-image",
    [MOLT_FILE_ESP8266_ARDUINO] = "esp8266-arduino",
    [MOLT_FILE_ESP8266_BARE] = "esp8266-bare",
    [MOLT_FILE_ESP8266_SDK_V2] = "esp8266-sdk-v2",
    [MOLT_FILE_ESP8266_RTOS_SDK] = "esp8266-rtos-sdk",
    [MOLT_FILE_LITTLEFS] = "littlefs",
    [MOLT_FILE_SPIFFS] = "spiffs",
    [MOLT_FILE_FAT] = "fat",
};

int molt_file_kind_refusal(enum molt_file_kind kind)
{
    return (size_t)kind < sizeof refusals / sizeof refusals[0] ? refusals[kind] : MOLT_IMAGE_UNKNOWN;
}

const char *molt_file_kind_name(enum molt_file_kind kind)
{
    return (size_t)kind < sizeof names / sizeof names[0] ? names[kind] : "unknown";
}

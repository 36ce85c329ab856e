/* file.c - where the parts of an ESP image lie in memory, so that addresses in it can be told. Anything that is no
 * image has no layout, which costs only bytes. Must never read outside the file.
 * Sources: ESP-IDF esp_app_format.h; Arduino's elf2bin.py. Tests: test/unit/pack_test.c. */
#include <string.h>

#include "host/pack/pack_parts.h"
#include "util/bytes.h"

#define IMAGE_MAGIC 0xE9u

static const struct pack_range ranges_esp8266[] = {
    {0x3FFE8000, 0x40000000}, {0x40100000, 0x40110000}, {0x40200000, 0x40300000}};
static const struct pack_range ranges_esp32[] = {
    {0x3F400000, 0x3F800000}, {0x3FFA0000, 0x40000000}, {0x40070000, 0x400A0000}, {0x400C0000, 0x40C00000}};
static const struct pack_range ranges_esp32s2[] = {
    {0x3F000000, 0x3FF80000}, {0x3FF9E000, 0x40000000}, {0x40020000, 0x40072000}, {0x40080000, 0x40800000}};
static const struct pack_range ranges_esp32s3[] = {
    {0x3C000000, 0x3E000000}, {0x3FC80000, 0x3FD00000}, {0x40370000, 0x403E0000}, {0x42000000, 0x44000000}};
static const struct pack_range ranges_esp32c6[] = {{0x40800000, 0x40880000}, {0x42000000, 0x44000000}};
static const struct pack_range ranges_esp32p4[] = {{0x40000000, 0x41000000}, {0x4FF00000, 0x50000000}};
static const struct pack_range ranges_esp32c3[] = {
    {0x3C000000, 0x3E000000}, {0x3FC80000, 0x3FD00000}, {0x4037C000, 0x403E0000}, {0x42000000, 0x44000000}};

#define RANGES(file, table) set_ranges(file, table, (uint32_t)(sizeof table / sizeof table[0]))

static void set_ranges(struct pack_file *file, const struct pack_range *ranges, uint32_t count)
{
    memcpy(file->range, ranges, count * sizeof *ranges);
    file->ranges = count;
}

/* The segments of an image that begins at off, behind a header of head bytes. Returns its end, 0 when it is none. */
static uint32_t read_segments(struct pack_file *file, uint32_t off, uint32_t head)
{
    uint32_t at = off + head, count = file->data[off + 1];
    uint32_t kept = file->segments;
    if (count == 0 || count > 16) return 0;
    for (uint32_t i = 0; i < count; i++) {
        if (at > file->len || file->len - at < 8) break;
        uint32_t addr = molt_load32le(file->data + at), len = molt_load32le(file->data + at + 4);
        at += 8;
        if (len > file->len - at) break;
        if (len > 0 && addr < 0x7F000000u && file->segments < PACK_SEGMENTS_MAX)
            file->segment[file->segments++] = (struct pack_segment){at, len, addr};
        at += len;
        if (i + 1 == count) return at;
    }
    file->segments = kept;
    return 0;
}

static bool is_esp8266_address(uint32_t address)
{
    return (address >= 0x40100000 && address < 0x40140000) ||
           (address >= 0x3FFE8000 && address < 0x40000000) || (address >= 0x40200000 && address < 0x40300000);
}

static void read_esp8266(struct pack_file *file)
{
    file->arch = PACK_ARCH_LX106;
    RANGES(file, ranges_esp8266);
    uint32_t end = read_segments(file, 0, 8);
    if (end == 0) return;
    if (end <= 0x1000 && file->len > 0x1010 && file->data[0x1000] == IMAGE_MAGIC) {
        read_segments(file, 0x1000, 8);
    } else if (file->len >
               end + 20000) { /* two images in one file: what is mapped follows on a sector's start */
        uint32_t off = molt_round_up(end, 4096);
        file->segment[file->segments++] = (struct pack_segment){off, file->len - off, 0x40200000u + off};
    }
}

static void read_esp32(struct pack_file *file)
{
    uint32_t chip = molt_load16le(file->data + 12);
    if (read_segments(file, 0, 24) == 0) return;
    file->arch = PACK_ARCH_RISCV;
    switch (chip) {
    case 0x00:
        file->arch = PACK_ARCH_XTENSA;
        RANGES(file, ranges_esp32);
        break;
    case 0x02:
        file->arch = PACK_ARCH_XTENSA;
        RANGES(file, ranges_esp32s2);
        break;
    case 0x09:
        file->arch = PACK_ARCH_XTENSA;
        RANGES(file, ranges_esp32s3);
        break;
    case 0x0D: /* C6, H2, C61, C5, H21, H4 */
    case 0x10:
    case 0x14:
    case 0x17:
    case 0x19:
    case 0x1C:
        RANGES(file, ranges_esp32c6);
        break;
    case 0x12:
        RANGES(file, ranges_esp32p4);
        break;
    default:
        RANGES(file, ranges_esp32c3);
        break;
    }
}

void pack_file_read(struct pack_file *file, const uint8_t *data, size_t len)
{
    memset(file, 0, sizeof *file);
    file->data = data;
    file->len = (uint32_t)len;
    if (len < 64 || data[0] != IMAGE_MAGIC) return;
    if (is_esp8266_address(molt_load32le(data + 8)) && data[8] != 0xEE)
        read_esp8266(file);
    else
        read_esp32(file);
    if (file->segments == 0 || file->segments > PACK_SEGMENTS_MAX) {
        file->segments = 0;
        file->arch = PACK_ARCH_NONE;
    }
}

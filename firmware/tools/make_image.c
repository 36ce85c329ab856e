/* make_image.c - turns an ELF file into what the chip boots: make_image esp32c3|esp8266 IN.elf OUT.bin
 * [BOOT.bin]: what comes into sector 0 of an ESP8266. Runs on the PC while the firmware is built. Must
 * never write an image that the library's own verifier refuses (test/qemu publishes them). Formats:
 * ESP-IDF esp_app_format.h, Arduino elf2bin.py. */
#include <bearssl_hash.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/crc.h"

#define FILE_MAX     (4u << 20)
#define SEGMENTS_MAX 8u
#define PT_LOAD      1u
#define APP_OFFSET   0x1000u
#define CRC_WORDS    0x1010u

struct segment {
    uint32_t address, len;
    const uint8_t *data;
};

static uint8_t elf[FILE_MAX], image[FILE_MAX];

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "make_image: %s\n", what);
    exit(1);
}

static size_t load(const char *path, uint8_t *into, size_t cap)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) die("cannot read a file");
    size_t len = fread(into, 1, cap, file);
    if (len == cap) die("a file is too long");
    fclose(file);
    return len;
}

/* The loadable segments of the ELF file, by address. Returns their number. */
static unsigned segments_of(size_t len, struct segment *list, uint32_t *entry)
{
    unsigned count = 0;
    if (len < 52 || memcmp(elf, "\177ELF\1\1", 6) != 0) die("not a 32-bit little-endian ELF file");
    *entry = molt_load32le(elf + 24);
    uint32_t table = molt_load32le(elf + 28), rows = molt_load16le(elf + 44);
    for (uint32_t i = 0; i < rows; i++) {
        if (table > len || 32 * (i + 1) > len - table) die("bad program headers");
        const uint8_t *row = elf + table + 32 * i;
        uint32_t off = molt_load32le(row + 4), size = molt_load32le(row + 16);
        if (molt_load32le(row) != PT_LOAD || size == 0) continue;
        if (off > len || size > len - off || count == SEGMENTS_MAX) die("bad segment");
        list[count++] = (struct segment){molt_load32le(row + 8), size, elf + off};
    }
    if (count == 0) die("nothing to load");
    return count;
}

/* Writes segment headers and data from at on. Returns the end; the XOR of all data goes to *sum. */
static uint32_t put_segments(uint32_t at, const struct segment *list, unsigned count, uint8_t *sum)
{
    for (unsigned i = 0; i < count; i++) {
        uint32_t padded = (list[i].len + 3) & ~3u;
        if (padded > FILE_MAX / 2 || at > FILE_MAX / 2) die("image too long");
        molt_store32le(image + at, list[i].address);
        molt_store32le(image + at + 4, padded);
        memcpy(image + at + 8, list[i].data, list[i].len);
        at += 8;
        for (uint32_t end = at + padded; at < end; at++)
            *sum ^= image[at];
    }
    return at;
}

static uint32_t put_checksum(uint32_t at, uint8_t sum)
{
    at |= 15u;
    image[at] = sum;
    return at + 1;
}

static uint32_t make_esp32c3(const struct segment *list, unsigned count, uint32_t entry)
{
    uint8_t sum = 0xEF;
    image[0] = 0xE9;
    image[1] = (uint8_t)count;
    image[2] = 2;    /* DIO */
    image[3] = 0x2F; /* 4 MB, 80 MHz */
    molt_store32le(image + 4, entry);
    image[8] = 0xEE;
    image[12] = 5; /* ESP32-C3 */
    image[17] = 0xFF;
    image[18] = 0xFF; /* any revision */
    image[23] = 1;    /* SHA-256 appended */
    uint32_t len = put_segments(24, list, count, &sum);
    len = put_checksum(len, sum);
    br_sha256_context hash;
    br_sha256_init(&hash);
    br_sha256_update(&hash, image, len);
    br_sha256_out(&hash, image + len);
    return len + br_sha256_SIZE;
}

/* Another maker's boot stage. */
static void put_boot(const char *path)
{
    if (load(path, image, APP_OFFSET + 1) != APP_OFFSET) die("a boot stage has 4096 bytes");
}

/* Sector 0 is for `molt image set-boot` to fill; what stands there until then only says so to a reader: a
 * jump to itself. */
static void put_empty_boot(void)
{
    static const uint8_t boot[] = {0xE9, 1,    2, 0x40, 0, 0xF0, 0x10, 0x40, 0,    0xF0,
                                   0x10, 0x40, 4, 0,    0, 0,    0x06, 0xFF, 0xFF, 0};
    memcpy(image, boot, sizeof boot);
    (void)put_checksum(sizeof boot, 0xEF ^ 0x06 ^ 0xFF ^ 0xFF);
}

static uint32_t make_esp8266(const struct segment *list, unsigned count, uint32_t entry, const char *boot)
{
    uint8_t sum = 0xEF;
    if (boot != NULL) {
        put_boot(boot);
    } else {
        put_empty_boot();
    }
    uint8_t *head = image + APP_OFFSET;
    memcpy(head, (const uint8_t[]){0xE9, (uint8_t)count, image[2], image[3]}, 4);
    molt_store32le(head + 4, entry);
    if (list[0].address != 0x40200000u + CRC_WORDS) die("the flash segment must begin at 0x40201010");
    uint32_t len = put_segments(APP_OFFSET + 8, list, count, &sum);
    len = put_checksum(len, sum);
    memset(image + CRC_WORDS, 0, 8);
    uint32_t crc = molt_crc32_msb(MOLT_CRC_MSB_INIT, image, len);
    molt_store32le(image + CRC_WORDS, len);
    molt_store32le(image + CRC_WORDS + 4, crc);
    return len;
}

int main(int argc, char **argv)
{
    struct segment list[SEGMENTS_MAX];
    uint32_t entry, len;
    if (argc != 4 && argc != 5) die("usage: make_image CHIP IN.elf OUT.bin [BOOT.bin]");
    unsigned count = segments_of(load(argv[2], elf, sizeof elf), list, &entry);
    if (strcmp(argv[1], "esp32c3") == 0) {
        len = make_esp32c3(list, count, entry);
    } else if (strcmp(argv[1], "esp8266") == 0) {
        len = make_esp8266(list, count, entry, argv[4]);
    } else {
        die("unknown chip");
    }
    FILE *out = fopen(argv[3], "wb");
    if (out == NULL || fwrite(image, 1, len, out) != len || fclose(out) != 0) die("cannot write");
    return 0;
}

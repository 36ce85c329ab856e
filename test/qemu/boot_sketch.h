/* boot_sketch.h - sketches for molt_boot_test.c: a few bytes of code that print a letter, and filler in the mapped flash. */
#ifndef MOLT_TEST_BOOT_SKETCH_H
#define MOLT_TEST_BOOT_SKETCH_H

static uint8_t app_code[64];
static uint32_t app_code_len;

struct image {
    _Alignas(4) uint8_t bytes[0x10000];
    uint32_t len;
};

/* A sketch that prints its letter; filler: bytes of code in mapped flash, a multiple of 4. */
static void make_sketch(struct image *image, char letter, uint32_t filler)
{
    uint8_t *p = image->bytes;
    memset(p, 0, sizeof image->bytes);
    molt_boot_image_sector(p, 2, 0x40, FS_START);
    p += MOLT_SECTOR;
    const uint8_t header[] = {0xE9, 2, 2, 0x40, 0, 0, 0x10, 0x40};
    memcpy(p, header, sizeof header);
    molt_store32le(p + 8, 0x40201010);
    molt_store32le(p + 12, filler);
    for (uint32_t i = 0; i < filler; i++)
        p[16 + i] = (uint8_t)(letter + i / 251 * 7 + i);
    p += 16 + filler;
    molt_store32le(p, 0x40100000);
    molt_store32le(p + 4, app_code_len);
    memcpy(p + 8, app_code, app_code_len);
    p[8 + 4] = (uint8_t)letter;
    p += 8 + app_code_len;
    image->len = ((uint32_t)(p - image->bytes) + 16) & ~15u;
    uint8_t sum = 0xEF;
    for (uint32_t i = 0; i < filler; i++)
        sum ^= image->bytes[MOLT_SECTOR + 16 + i];
    for (uint32_t i = 0; i < app_code_len; i++)
        sum ^= *(p - app_code_len + i);
    image->bytes[image->len - 1] = sum;
}

static void load_app(void)
{
    int fd = open(MOLT_APP_BIN, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t n = read(fd, app_code, sizeof app_code - 4);
    close(fd);
    assert_true(n > 16 && n < 60);
    app_code_len = ((uint32_t)n + 3) & ~3u;
}

#endif

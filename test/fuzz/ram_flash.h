/* ram_flash.h - a flash for fuzz targets: bytes in memory, and a check that nothing is programmed that is not erased. */
#ifndef MOLT_TEST_FUZZ_RAM_FLASH_H
#define MOLT_TEST_FUZZ_RAM_FLASH_H

#include "fuzz.h"

#include <string.h>

#include "molt_port.h"

#define RAM_FLASH_LEN 0x40000u

static uint8_t ram_flash[RAM_FLASH_LEN];

static int ram_read(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    (void)ctx;
    FUZZ_CHECK(off <= RAM_FLASH_LEN && len <= RAM_FLASH_LEN - off);
    memcpy(dst, ram_flash + off, len);
    return 0;
}

static bool ram_is_blank(void *ctx, uint32_t off, uint32_t len)
{
    (void)ctx;
    FUZZ_CHECK(off <= RAM_FLASH_LEN && len <= RAM_FLASH_LEN - off);
    for (uint32_t i = 0; i < len; i++) {
        if (ram_flash[off + i] != 0xFF) return false;
    }
    return true;
}

static int ram_write(void *ctx, uint32_t off, const void *src, uint32_t len)
{
    FUZZ_CHECK(off % 4 == 0 && len % 4 == 0 && ram_is_blank(ctx, off, len));
    memcpy(ram_flash + off, src, len);
    return 0;
}

static int ram_erase(void *ctx, uint32_t off, uint32_t len)
{
    (void)ctx;
    FUZZ_CHECK(off % MOLT_SECTOR == 0 && len == MOLT_SECTOR && off < RAM_FLASH_LEN);
    memset(ram_flash + off, 0xFF, len);
    return 0;
}

static const struct molt_flash ram_port = {.size = RAM_FLASH_LEN,
                                           .write_unit = 4,
                                           .erase_sizes = {MOLT_SECTOR},
                                           .read = ram_read,
                                           .write = ram_write,
                                           .erase = ram_erase,
                                           .is_blank = ram_is_blank};

/* All erased, but for what the input puts at off; as much of it as max bytes. */
static inline void ram_fill(uint32_t off, uint32_t max, const uint8_t *data, size_t size)
{
    memset(ram_flash, 0xFF, sizeof ram_flash);
    memcpy(ram_flash + off, data, size < max ? size : max);
}

#endif

/* cfi_flash.h - a CFI flash (Intel command set) that behaves like the SPI NOR flash of an ESP module: 4 KB
 * sectors, pages of 256 bytes that a power cut can tear apart, and bits that a write can only clear.
 *
 * The chips that QEMU models erase 64 KB and more at once, and do not mind a write that sets bits. So an
 * erase of 4 KB is a write of ones here, two buffers of 2 KB (a cut can fall between them), and a write that
 * would set a bit is refused with CFI_FLASH_NOT_ERASED before anything is written: what a real chip would
 * store is not what was meant.
 *
 * A board's target.h says where the chip is: FLASH_BASE, FLASH_SIZE (what molt may use), flash_word (the
 * bus), FLASH_REPEAT(c) (a command for every chip on the bus). The driver must run from RAM: while it
 * works nothing can be read from flash. */
#ifndef MOLT_CFI_FLASH_H
#define MOLT_CFI_FLASH_H

#include <stdint.h>

enum cfi_flash_error {
    CFI_FLASH_RANGE = -1,      /* outside the flash, or not aligned */
    CFI_FLASH_CHIP = -2,       /* the chip reports an error or is never ready */
    CFI_FLASH_NOT_ERASED = -3, /* the write would have to set a bit */
};

#define CFI_FLASH_WRITE_UNIT 4u

int cfi_flash_read(void *ctx, uint32_t off, void *dst, uint32_t len);
int cfi_flash_write(void *ctx, uint32_t off, const void *src, uint32_t len);
int cfi_flash_erase(void *ctx, uint32_t off, uint32_t len);
_Bool cfi_flash_is_blank(void *ctx, uint32_t off, uint32_t len);

#endif

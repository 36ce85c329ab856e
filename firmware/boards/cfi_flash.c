/* cfi_flash.c - driver of the CFI flash on QEMU's boards. Must never leave the chip in another mode than
 * reading, and never write what NOR flash could not hold. Runs from RAM. Tests: test/qemu. */
#include "cfi_flash.h"

#include <stdbool.h>
#include <string.h>

#include "board.h"
#include "target.h"

#define WORD(off)    (*(volatile flash_word *)(uintptr_t)(FLASH_BASE + (off)))
#define PAGE         256u  /* of an SPI NOR flash: the most that one program command takes */
#define LINE         2048u /* write buffer of the chip */
#define READY        FLASH_REPEAT(0x80)
#define ERRORS       FLASH_REPEAT(0x3A)
#define POLLS_MAX    1000000u
#define CLEAR_STATUS FLASH_REPEAT(0x50)
#define READ_ARRAY   FLASH_REPEAT(0xFF)
#define WRITE_BUFFER FLASH_REPEAT(0xE8)
#define CONFIRM      FLASH_REPEAT(0xD0)

static bool is_ready(uint32_t off)
{
    for (uint32_t polls = 0; polls < POLLS_MAX; polls++) {
        flash_word status = WORD(off);
        if ((status & READY) == READY) return (status & ERRORS) == 0;
    }
    return false;
}

static bool in_range(uint32_t off, uint32_t len, uint32_t align)
{
    return off <= FLASH_SIZE && len <= FLASH_SIZE - off && (off | len) % align == 0;
}

/* Programs at most LINE bytes within one line; src NULL: ones. */
static int program(uint32_t off, const uint8_t *src, uint32_t len)
{
    WORD(off) = CLEAR_STATUS;
    WORD(off) = WRITE_BUFFER;
    bool ok = is_ready(off);
    WORD(off) = FLASH_REPEAT(len / sizeof(flash_word) - 1);
    for (uint32_t i = 0; i < len; i += sizeof(flash_word)) {
        flash_word word = (flash_word) ~(flash_word)0;
        if (src != NULL) memcpy(&word, src + i, sizeof word);
        WORD(off + i) = word;
    }
    WORD(off) = CONFIRM;
    ok = is_ready(off) && ok;
    WORD(off) = READ_ARRAY;
    return ok ? 0 : CFI_FLASH_CHIP;
}

int cfi_flash_read(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    (void)ctx;
    if (!in_range(off, len, 1)) return CFI_FLASH_RANGE;
    memcpy(dst, (const void *)(uintptr_t)(FLASH_BASE + off), len);
    return 0;
}

/* Would only clear bits? src may lie anywhere. */
static bool only_clears(uint32_t off, const uint8_t *src, uint32_t len)
{
    for (uint32_t i = 0; i < len; i += sizeof(flash_word)) {
        flash_word word;
        memcpy(&word, src + i, sizeof word);
        if ((word & (flash_word)~WORD(off + i)) != 0) return false;
    }
    return true;
}

int cfi_flash_write(void *ctx, uint32_t off, const void *src, uint32_t len)
{
    (void)ctx;
    const uint8_t *bytes = src;
    int rc = 0;
    if (!in_range(off, len, CFI_FLASH_WRITE_UNIT)) return CFI_FLASH_RANGE;
    if (!only_clears(off, bytes, len)) return CFI_FLASH_NOT_ERASED;
    while (len > 0 && rc == 0) {
        uint32_t n = PAGE - off % PAGE;
        if (n > len) n = len;
        rc = program(off, bytes, n);
        off += n;
        bytes += n;
        len -= n;
    }
    return rc;
}

int cfi_flash_erase(void *ctx, uint32_t off, uint32_t len)
{
    (void)ctx;
    int rc = 0;
    if (!in_range(off, len, MOLT_SECTOR)) return CFI_FLASH_RANGE;
    for (uint32_t at = 0; at < len && rc == 0; at += LINE)
        rc = program(off + at, NULL, LINE);
    return rc;
}

bool cfi_flash_is_blank(void *ctx, uint32_t off, uint32_t len)
{
    (void)ctx;
    if (!in_range(off, len, sizeof(flash_word))) return false;
    for (uint32_t i = 0; i < len; i += sizeof(flash_word)) {
        if (WORD(off + i) != (flash_word) ~(flash_word)0) return false;
    }
    return true;
}

const struct molt_flash board_flash = {
    .size = FLASH_SIZE,
    .write_unit = CFI_FLASH_WRITE_UNIT,
    .erase_sizes = {MOLT_SECTOR},
    .read = cfi_flash_read,
    .write = cfi_flash_write,
    .erase = cfi_flash_erase,
    .is_blank = cfi_flash_is_blank,
};

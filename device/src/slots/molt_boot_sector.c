/* molt_boot_sector.c - the boot stage in sector 0, replaced from the running firmware.
 * Must never erase before it knows that what it is to write starts. Tests: test/unit/molt_boot_sector_test.c,
 * test/qemu/molt_boot_test.c. Source of the format: esptool's documentation, "Firmware Image Format". */
#include "molt_boot_sector.h"

#include <string.h>

#include "../util/crc.h"
#include "boot_record.h"

#define MAGIC      0xE9u
#define FIRST_SUM  0xEFu
#define PAGE       256u
#define TRIES      3
#define HEADER_OWN 0xFFFF0000u /* of word 0: flash mode, flash size */

/* One byte, read in a whole word: the bytes may lie in memory that is read in no other way. */
static uint8_t byte_at(const uint32_t *sector, uint32_t at)
{
    return (uint8_t)(sector[at / 4] >> 8 * (at % 4));
}

/* Walks the image in the sector. */
static int check_image(const uint32_t *sector)
{
    const uint32_t count = byte_at(sector, 1), entry = sector[1];
    uint32_t pos = 8;
    uint8_t sum = FIRST_SUM;
    bool starts = false;
    if (byte_at(sector, 0) != MAGIC || count == 0) return -MOLT_IMAGE_UNKNOWN;
    for (uint32_t i = 0; i < count; i++) {
        if (pos > MOLT_SECTOR - 8 || pos % 4 != 0) return -MOLT_BAD_SEGMENT;
        const uint32_t address = sector[pos / 4], len = sector[pos / 4 + 1];
        pos += 8;
        if (len >= MOLT_SECTOR - pos) return -MOLT_BAD_SEGMENT;
        if (entry - address < len) starts = true;
        for (const uint32_t end = pos + len; pos < end; pos++)
            sum ^= byte_at(sector, pos);
    }
    if (!starts) return -MOLT_BAD_SEGMENT;
    return byte_at(sector, pos | 15u) == sum ? 0
                                             : -MOLT_BAD_CHECKSUM; /* pos < MOLT_SECTOR: len was smaller */
}

/* A boot stage without the trailer keeps nothing. */
static int check_trailer(const struct molt_flash *flash, const uint32_t *sector)
{
    const uint32_t *t = sector + MOLT_BOOT_TRAILER_OFF / 4;
    uint32_t words[3] = {t[0], t[1], t[2]};
    if (t[0] != MOLT_BOOT_TRAILER_MAGIC) return 0;
    if (t[3] != molt_crc32_msb(MOLT_CRC_MSB_INIT, words, sizeof words)) return -MOLT_ARG;
    return t[2] % MOLT_SECTOR == 0 && t[2] >= 2 * MOLT_SECTOR && t[2] <= flash->size - 2 * MOLT_SECTOR
               ? 0
               : -MOLT_ARG;
}

/* What molt-boot has not finished needs molt-boot. */
static int check_present(const struct molt_flash *flash)
{
    struct molt_boot_keep keep;
    uint32_t off;
    int rc = molt_boot_keep_off(flash, &off);
    if (rc < 0 || off == 0) return rc;
    rc = molt_boot_keep_open(&keep, flash, off);
    if (rc < 0) return rc;
    return keep.found && molt_boot_phase(keep.state) < MOLT_PHASE_CONFIRMED ? -MOLT_TRIAL_PENDING : 0;
}

static void take_page(const uint32_t *sector, uint32_t at, uint32_t own, uint32_t page[PAGE / 4])
{
    for (uint32_t i = 0; i < PAGE / 4; i++)
        page[i] = sector[at / 4 + i];
    if (at == 0) page[0] = (page[0] & ~HEADER_OWN) | own;
}

/* 1: it is there; 0: it is not; -MOLT_FLASH_READ. */
static int is_there(const struct molt_flash *flash, const uint32_t *sector, uint32_t own)
{
    uint32_t page[PAGE / 4], there[PAGE / 4];
    for (uint32_t at = 0; at < MOLT_SECTOR; at += PAGE) {
        take_page(sector, at, own, page);
        if (flash->read(flash->ctx, at, there, PAGE) != 0) return -MOLT_FLASH_READ;
        if (memcmp(page, there, PAGE) != 0) return 0;
    }
    return 1;
}

/* The window. False when an operation failed. */
static bool write_sector(const struct molt_flash *flash, const uint32_t *sector, uint32_t own)
{
    uint32_t page[PAGE / 4];
    if (flash->erase(flash->ctx, 0, MOLT_SECTOR) != 0) return false;
    for (uint32_t at = 0; at < MOLT_SECTOR; at += PAGE) {
        take_page(sector, at, own, page);
        if (flash->write(flash->ctx, at, page, PAGE) != 0) return false;
    }
    return true;
}

int molt_boot_sector_replace(const struct molt_flash *flash, const uint32_t sector[MOLT_SECTOR / 4])
{
    uint32_t present;
    int rc = check_image(sector);
    if (rc == 0) rc = check_trailer(flash, sector);
    if (rc == 0) rc = check_present(flash);
    if (rc < 0) return rc;
    if (flash->read(flash->ctx, 0, &present, sizeof present) != 0) return -MOLT_FLASH_READ;
    const uint32_t own = ((present & 0xFFu) == MAGIC ? present : sector[0]) & HEADER_OWN;
    rc = is_there(flash, sector, own);
    if (rc < 0) return rc;
    for (int i = 0; i < TRIES && rc != 1; i++) {
        if (write_sector(flash, sector, own)) rc = is_there(flash, sector, own);
    }
    return rc == 1 ? 0 : -MOLT_FLASH_VERIFY;
}

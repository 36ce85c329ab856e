/* swap.c - exchanges the staged image with the running one, sector by sector, in moves that leave every sector that is
 * still needed in one place at least. Undone in reverse order, also from the middle.
 * Must never write a sector whose content is still needed. Tests: test/powercut/boot_test.c.
 *
 * Sectors are numbered from 0. The staged file lies at T: T holds its boot stage, which is never used, so T is the
 * first free place; T + 1 + i holds sector i of the new body, 1 + i is where it runs. Step i of n:
 *     a: what of the old image lies at 1 + i goes to T + i  (free since step i - 1 took the new sector from there)
 *     b: T + 1 + i goes to 1 + i
 * Undoing takes the a moves back, in reverse order; the new image is given up, so the b moves need no undoing.
 * Each sector is written once or twice, none is a scratch sector for all. When the new image is so large that its end
 * reaches over T, displaced old sectors lie in the way and are moved on by the same rule. */
#include "boot.h"

#include "util/crc.h"

struct plan {
    uint32_t stage;     /* T */
    uint32_t new_count; /* n: sectors of the new body */
    uint32_t old_count;
};

static uint32_t body_sectors(uint32_t len)
{
    return (len - 1) / MOLT_BOOT_SECTOR; /* without sector 0 */
}

static struct plan plan_of(const struct molt_boot_record *record)
{
    struct plan p;
    p.stage = record->stage / MOLT_BOOT_SECTOR;
    p.new_count = body_sectors(record->new_len);
    p.old_count = body_sectors(record->old_len);
    return p;
}

/* Does step i find a piece of the old image at 1 + i? At its own place, or displaced to there by an earlier step. */
static bool occupied(const struct plan *p, uint32_t i)
{
    while (i >= p->old_count) {
        if (i + 1 < p->stage) return false;
        i -= p->stage - 1;
    }
    return true;
}

uint32_t molt_boot_moves_total(const struct molt_boot_record *record)
{
    const struct plan p = plan_of(record);
    uint32_t total = 0;
    for (uint32_t i = 0; i < p.new_count; i++)
        total += 1u + occupied(&p, i);
    return total;
}

int molt_boot_move(struct molt_boot *boot, uint32_t index, bool undo)
{
    const struct plan p = plan_of(&boot->keep.record);
    uint32_t i = 0, moves;
    while (index >= (moves = 1u + occupied(&p, i))) {
        index -= moves;
        i++;
    }
    bool displaces = index + 1 < moves; /* the first of two */
    if (undo && !displaces) return MOLT_BOOT_NOT_NEEDED;
    uint32_t source = (displaces ? 1 : p.stage + 1) + i;
    uint32_t dest = (displaces ? p.stage : 1) + i;
    return molt_boot_copy_sector(boot, (undo ? source : dest) * MOLT_BOOT_SECTOR,
                                 (undo ? dest : source) * MOLT_BOOT_SECTOR);
}

/* Where sector k of a body lies. */
static uint32_t place_of(const struct plan *p, enum molt_boot_place place, uint32_t k)
{
    if (place == MOLT_BOOT_AT_STAGE) return p->stage + 1 + k;
    if (place == MOLT_BOOT_AT_EXCHANGE) {
        while (k < p->new_count)
            k += p->stage - 1;
    }
    return 1 + k;
}

bool molt_boot_intact(struct molt_boot *boot, enum molt_boot_place place, uint32_t len, uint32_t crc, int *rc)
{
    const struct plan p = plan_of(&boot->keep.record);
    uint32_t sum = MOLT_CRC_MSB_INIT;
    for (uint32_t k = 0, left = len - MOLT_BOOT_SECTOR; left > 0; k++) {
        uint32_t n = left < MOLT_BOOT_SECTOR ? left : MOLT_BOOT_SECTOR;
        if (boot->flash->read(boot->flash->ctx, place_of(&p, place, k) * MOLT_BOOT_SECTOR, boot->work,
                              MOLT_BOOT_SECTOR) != 0) {
            *rc = -MOLT_FLASH_READ;
            return false;
        }
        sum = molt_crc32_msb(sum, boot->work, n);
        left -= n;
    }
    *rc = 0;
    return sum == crc;
}

#define TRIES 3

int molt_boot_copy_sector(struct molt_boot *boot, uint32_t dest, uint32_t source)
{
    const struct molt_flash *flash = boot->flash;
    uint8_t *wanted = boot->work, *there = boot->work + MOLT_BOOT_SECTOR;
    if (flash->read(flash->ctx, source, wanted, MOLT_BOOT_SECTOR) != 0) return -MOLT_FLASH_READ;
    for (int i = 0; i < TRIES; i++) {
        uint32_t same = 0;
        if (flash->erase(flash->ctx, dest, MOLT_BOOT_SECTOR) != 0) continue;
        if (flash->write(flash->ctx, dest, wanted, MOLT_BOOT_SECTOR) != 0) continue;
        if (flash->read(flash->ctx, dest, there, MOLT_BOOT_SECTOR) != 0) continue;
        while (same < MOLT_BOOT_SECTOR && wanted[same] == there[same])
            same++;
        if (same == MOLT_BOOT_SECTOR) return 0;
    }
    return -MOLT_FLASH_VERIFY;
}

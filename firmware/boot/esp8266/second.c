/* second.c - starts the second stage: from flash to RAM, its CRC first.
 * Must never start a byte that the CRC does not cover. Tests: test/unit/molt_boot_test.c, test/qemu/molt_boot_test.c. */
#include "boot.h"

#include "util/crc.h"

/* To RAM; true when it is the one that libmolt wrote. */
static bool load(struct molt_boot *boot, int *rc)
{
    const struct molt_boot_record *r = &boot->keep.record;
    uint32_t sum = MOLT_CRC_MSB_INIT;
    for (uint32_t at = 0; at < r->second_len; at += MOLT_BOOT_SECTOR) {
        uint32_t n = r->second_len - at;
        if (n > MOLT_BOOT_SECTOR) n = MOLT_BOOT_SECTOR;
        if (boot->flash->read(boot->flash->ctx, r->second_off + at, boot->work, n) != 0) {
            *rc = -MOLT_FLASH_READ;
            return false;
        }
        sum = molt_crc32_msb(sum, boot->work, n);
        boot->second_put(at, boot->work, n);
    }
    return sum == r->second_crc;
}

bool molt_boot_new_intact(struct molt_boot *boot, enum molt_boot_place place, int *rc)
{
    const struct molt_boot_record *r = &boot->keep.record;
    if (!molt_boot_intact(boot, place, r->new_len, r->new_crc, rc)) return false;
    if (r->second_len == 0) return true;
    if (!load(boot, rc)) return false;
    struct molt_second_call call;
    call.flash = boot->flash;
    call.record = r;
    call.staged = place == MOLT_BOOT_AT_STAGE;
    call.off = call.staged ? r->stage : 0;
    call.work = boot->work;
    int said = boot->second_start(&call);
    if (said < 0) *rc = said;
    return said == 0;
}

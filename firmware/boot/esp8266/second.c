/* second.c - starts the second stage: from flash to RAM, its CRC first.
 * Must never start a byte that the CRC does not cover. Tests: test/unit/molt_boot_test.c, test/qemu/molt_boot_test.c. */
#include "boot.h"

#include "util/crc.h"

/* To RAM: 0; 1 when it is not the one that libmolt wrote; -MOLT_FLASH_READ. */
static int load(struct molt_boot *boot)
{
    const struct molt_boot_record *r = &boot->keep.record;
    uint32_t sum = MOLT_CRC_MSB_INIT;
    for (uint32_t at = 0; at < r->second_len; at += MOLT_BOOT_SECTOR) {
        uint32_t n = r->second_len - at;
        if (n > MOLT_BOOT_SECTOR) n = MOLT_BOOT_SECTOR;
        if (boot->flash->read(boot->flash->ctx, r->second_off + at, boot->work, n) != 0)
            return -MOLT_FLASH_READ;
        sum = molt_crc32_msb(sum, boot->work, n);
        boot->second_put(at, boot->work, n);
    }
    return sum == r->second_crc && r->second_len > 0 ? 0 : 1;
}

static int note(void *ctx, uint32_t done)
{
    struct molt_boot_keep *keep = ctx;
    return molt_boot_keep_append(keep, (keep->state & 0xFFFF0000u) | done);
}

int molt_boot_ask_second(struct molt_boot *boot, uint32_t what, uint32_t off)
{
    struct molt_second_call call;
    int rc = load(boot);
    if (rc != 0) return rc;
    call.flash = boot->flash;
    call.record = &boot->keep.record;
    call.what = what;
    call.off = off;
    call.work = boot->work;
    call.done = molt_boot_moves(boot->keep.state);
    call.note = note;
    call.ctx = &boot->keep;
    return boot->second_start(&call);
}

bool molt_boot_new_intact(struct molt_boot *boot, enum molt_boot_place place, int *rc)
{
    const struct molt_boot_record *r = &boot->keep.record;
    if (!molt_boot_intact(boot, place, r->new_len, r->new_crc, rc)) return false;
    if (r->second_len == 0) return true;
    const bool staged = place == MOLT_BOOT_AT_STAGE;
    int said =
        molt_boot_ask_second(boot, staged ? MOLT_SECOND_STAGED : MOLT_SECOND_BODY, staged ? r->stage : 0);
    if (said < 0) *rc = said;
    return said == 0;
}

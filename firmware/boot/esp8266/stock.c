/* stock.c - eboot's command in RTC memory, so that sketches with Arduino's own Updater go on working. As with eboot,
 * a power cut inside such a copy can break the sketch; what eboot would break even without one is refused.
 * Must never replace sector 0 unless the command says so. Tests: test/unit/molt_boot_test.c.
 * Source: esp8266/Arduino bootloaders/eboot/eboot_command.h. */
#include "boot.h"

#include "util/crc.h"

#define MAGIC      0xEB001000u
#define MAGIC_MASK 0xFFFFF000u
#define COPY_RAW   1u
#define LOAD_APP   0xFFFFFFFFu

enum {
    WORD_MAGIC,
    WORD_ACTION,
    WORD_SOURCE,
    WORD_DEST,
    WORD_LEN,
    WORD_REPLACE_0,
    WORD_REPLACE_1,
    WORD_CRC = 31
};

bool molt_boot_stock_command(const uint32_t rtc[MOLT_BOOT_RTC_WORDS])
{
    return (rtc[WORD_MAGIC] & MAGIC_MASK) == MAGIC &&
           rtc[WORD_CRC] == molt_crc32_msb(MOLT_CRC_MSB_INIT, rtc, 4u * WORD_CRC);
}

/* Starting over after a reset must find the source whole; a gzip file is not for this boot stage. */
static bool may_copy(const struct molt_boot *boot, uint32_t source, uint32_t dest, uint32_t len)
{
    const struct molt_flash *flash = boot->flash;
    uint32_t magic;
    if ((source | dest) % MOLT_BOOT_SECTOR != 0 || len == 0 || source >= flash->size ||
        len > flash->size - source || dest >= flash->size || len > flash->size - dest)
        return false;
    if (source > dest ? len > source - dest : len > dest - source) return false;
    if (flash->read(flash->ctx, source, &magic, sizeof magic) != 0) return false;
    return (magic & 0xFFFFu) != 0x8B1Fu && (dest != 0 || (magic & 0xFFu) == 0xE9u);
}

int molt_boot_stock_run(struct molt_boot *boot, const uint32_t rtc[MOLT_BOOT_RTC_WORDS], uint32_t *app)
{
    const uint32_t source = rtc[WORD_SOURCE], dest = rtc[WORD_DEST], len = rtc[WORD_LEN];
    if (rtc[WORD_ACTION] == LOAD_APP) *app = source;
    if (rtc[WORD_ACTION] != COPY_RAW || !may_copy(boot, source, dest, len)) return 0;
    const bool replace =
        rtc[WORD_REPLACE_0] == MOLT_BOOT_REPLACE_0 && rtc[WORD_REPLACE_1] == MOLT_BOOT_REPLACE_1;
    for (uint32_t at = dest == 0 ? MOLT_BOOT_SECTOR : 0; at < len; at += MOLT_BOOT_SECTOR) {
        int rc = molt_boot_copy_sector(boot, dest + at, source + at);
        if (rc < 0) return rc;
    }
    if (dest == 0 && replace) { /* last, so that the chip is without a boot stage as shortly as can be */
        int rc = molt_boot_copy_sector(boot, 0, source);
        if (rc < 0) return rc;
    }
    return dest == 0;
}

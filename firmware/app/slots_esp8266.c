/* slots_esp8266.c - where this board's images live when it boots like an ESP8266: molt-boot's slots, or,
 * when another boot stage is in sector 0, what Arduino's eboot needs. Must never choose by anything but
 * what lies in flash. Tests: test/qemu. */
#include <string.h>

#include "app.h"
#include "boards/board.h"
#include "keep/keep.h"
#include "molt_second_chip.h"
#include "ports/bearssl.h"
#include "slots/esp8266_eboot.h"
#include "slots/molt_boot.h"
#include "target.h"

static struct molt_boot_slots molt_boot;
static struct molt_esp8266_eboot eboot;

/* In words, as the chip's RTC memory takes them. */
static int write_rtc(void *ctx, const uint8_t *data, uint32_t len)
{
    (void)ctx;
    for (uint32_t i = 0; i + 4 <= len; i += 4) {
        uint32_t word;
        memcpy(&word, data + i, sizeof word);
        REG32(RTC_USER_MEMORY + i) = word;
    }
    return 0;
}

struct molt_slots *app_slots_begin(struct molt_agent_config *config, uint32_t *keep_off)
{
    static const struct molt_rtc rtc = {NULL, write_rtc};
    config->expect = (struct molt_image_expect){
        .chip = MOLT_CHIP_ESP8266, .chip_revision = MOLT_REVISION_UNKNOWN, .flash_size = board_flash.size};
    config->fs_start = FS_START;
    if (molt_esp8266_sketch_len(&board_flash, &config->image_len) != 0) return NULL;
    if (molt_boot_slots_begin(&molt_boot, &board_flash, &molt_bearssl_sha256) == 0) {
        if (molt_boot_keep_off(&board_flash, keep_off) != 0 || *keep_off < MOLT_KEEP_LEN) return NULL;
        *keep_off -= MOLT_KEEP_LEN; /* right below molt-boot's own */
        molt_boot.reserved = MOLT_KEEP_LEN;
        molt_boot.second = (const uint32_t *)(const void *)molt_second_chip;
        molt_boot.second_len = sizeof molt_second_chip;
        return &molt_boot.slots;
    }
    molt_esp8266_eboot_begin(&eboot, &board_flash, &molt_bearssl_sha256, &rtc, FS_START, false);
    *keep_off = FS_START - MOLT_KEEP_LEN;
    eboot.reserved = MOLT_KEEP_LEN;
    return &eboot.slots;
}

/* slots_esp8266.c - where this board's images live when it boots like an ESP8266: molt-boot's slots. Tests: test/qemu. */
#include "app.h"
#include "boards/board.h"
#include "keep/keep.h"
#include "ports/bearssl.h"
#include "slots/molt_boot.h"
#include "target.h"

static struct molt_boot_slots backend;

struct molt_slots *app_slots_begin(struct molt_image_expect *expect, uint32_t *keep_off)
{
    *expect = (struct molt_image_expect){
        .chip = MOLT_CHIP_ESP8266, .chip_revision = MOLT_REVISION_UNKNOWN, .flash_size = board_flash.size};
    if (molt_boot_slots_begin(&backend, &board_flash, &molt_bearssl_sha256) != 0) return NULL;
    if (molt_boot_keep_off(&board_flash, keep_off) != 0 || *keep_off < MOLT_KEEP_LEN) return NULL;
    *keep_off -= MOLT_KEEP_LEN; /* right below molt-boot's own */
    backend.reserved = MOLT_KEEP_LEN;
    return &backend.slots;
}

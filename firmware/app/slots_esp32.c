/* slots_esp32.c - where this board's images live when it boots like an ESP32: OTA partitions. Tests:
 * test/qemu. */
#include "app.h"
#include "boards/board.h"
#include "keep/keep.h"
#include "ports/bearssl.h"
#include "slots/esp32_otadata.h"
#include "target.h"

static struct molt_esp32_otadata backend;

struct molt_slots *app_slots_begin(struct molt_agent_config *config, uint32_t *keep_off)
{
    struct molt_partitions partitions;
    uint8_t running = MOLT_OTA_NO_SLOT;
    config->expect = (struct molt_image_expect){
        .chip = MOLT_CHIP_ESP32C3, .chip_revision = 3, .flash_size = board_flash.size};
    *keep_off = SETTINGS_END - MOLT_KEEP_LEN; /* a product has NVS there, and keeps a blob in it */
    if (molt_partitions_read(&board_flash, &partitions) != 0) return NULL;
    for (uint8_t i = 0; i < partitions.slot_count; i++) {
        if (partitions.slot_off[i] == board_booted_from()) running = i;
    }
    if (molt_esp32_otadata_begin(&backend, &board_flash, &molt_bearssl_sha256, running) != 0) return NULL;
    return &backend.slots;
}

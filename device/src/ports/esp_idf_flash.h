/* esp_idf_flash.h - an ESP32 as libmolt sees it, through ESP-IDF: flash by esp_partition, slots by otadata, the keep
 * store in NVS, why the chip was reset. Used by esp_idf.c and by Arduino on the ESP32. Compiled when ESP_PLATFORM is
 * defined; ESP-IDF 5.1 and later, and 4.4 under Arduino's core 2.
 *
 * What may be written: OTA partitions but the running one, otadata, and the file system's partition. All else fails with
 * MOLT_IDF_REFUSED before it reaches the SDK. An erase is one sector, so that caches are off for some 50 ms and
 * neither the watchdogs nor other tasks starve. Tests: test/sdk. */
#ifndef MOLT_PORT_ESP_IDF_FLASH_H
#define MOLT_PORT_ESP_IDF_FLASH_H

#include "../agent/agent.h"
#include "../slots/esp32_otadata.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOLT_IDF_REFUSED (-1000) /* a callback's code: not a place that molt writes to */

/* Caller-allocated; must not move. */
struct molt_idf_chip {
    uint32_t changes; /* erases and writes so far: a caller that must not block long returns after one */
    /* ---- private ---- */
    struct molt_flash flash;
    struct molt_esp32_otadata slots;
    struct molt_slots_ops ops; /* the backend's, but for confirm */
    struct molt_keep keep;
    struct molt_keep_blob blob;
    struct molt_fs_slots fs;
};

/* Fills in what the chip knows, slots, hash, expect, mac, keep, reset and, where config says nothing yet, product and
 * version from the image's descriptor (esp_app_desc). NVS must have been started (nvs_flash_init).
 * 0, or what molt_esp32_otadata_begin() says, or -MOLT_FLASH_READ. */
int molt_idf_chip_begin(struct molt_idf_chip *chip, struct molt_agent_config *config);

/* Takes file systems too (the first of spiffs, littlefs or fat in the partition table). After chip_begin.
 * 0, or -MOLT_ARG when there is none. */
int molt_idf_chip_take_fs(struct molt_idf_chip *chip, struct molt_agent_config *config);

#ifdef __cplusplus
}
#endif
#endif

/* esp32_boot.h - the decisions of ESP-IDF's second-stage bootloader: which slot it boots, what it verifies, and what it
 * writes to otadata on the way, with and without rollback support. The boot stage of the RV32 board (main.c) and the
 * simulator run it.
 *
 *     esp32_boot_run(&flash, &(struct esp32_boot){.chip = MOLT_CHIP_ESP32, .rollback = true}, &r);
 *     if (r.booted) ...   // r.off is the image that runs now
 *
 * Sources: ESP-IDF bootloader_utility.c, bootloader_common.c, esp_image_format.c, esp_flash_partitions.h. */
#ifndef MOLT_ESP32_BOOT_H
#define MOLT_ESP32_BOOT_H

#include "slots/esp32_otadata.h"

/* How the bootloader was built, and the chip that it finds. */
struct esp32_boot {
    enum molt_chip chip;
    uint16_t revision; /* major * 100 + minor */
    bool rollback;     /* CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE */
};

/* Why an image was not booted. */
enum esp32_boot_verdict {
    ESP32_BOOT_BOOTABLE = 0,
    ESP32_BOOT_NOT_TRIED,
    ESP32_BOOT_MAGIC,          /* "invalid magic byte" */
    ESP32_BOOT_CHIP,           /* "mismatch chip ID" */
    ESP32_BOOT_REVISION,       /* "chip revision check failed" */
    ESP32_BOOT_SEGMENT_COUNT,  /* more than 16 */
    ESP32_BOOT_SEGMENT_LENGTH, /* "invalid segment length", or beyond the partition */
    ESP32_BOOT_SEGMENT_PAGE,   /* a mapped segment that no page can map */
    ESP32_BOOT_CHECKSUM,       /* "Checksum failed" */
    ESP32_BOOT_HASH,           /* "Image hash failed - image is corrupt" */
    ESP32_BOOT_UNREADABLE,
};

#define ESP32_BOOT_FACTORY (-1)
#define ESP32_BOOT_TEST    (-2)

struct esp32_boot_result {
    bool booted;       /* false: no bootable partition, or a bad partition table; the chip resets for ever */
    int index;         /* OTA slot, ESP32_BOOT_FACTORY or ESP32_BOOT_TEST */
    uint32_t off, len; /* flash offset of the booted image, and its length with the digest */
    bool wrote_otadata;
    enum esp32_boot_verdict slot[MOLT_OTA_SLOTS_MAX]; /* of every OTA slot that was tried */
};

/* One reset. */
void esp32_boot_run(const struct molt_flash *flash, const struct esp32_boot *boot,
                    struct esp32_boot_result *result);

/* Verifies one image as the bootloader does. part_len: bytes of its partition; *len: of the image. */
enum esp32_boot_verdict esp32_boot_verify(const struct molt_flash *flash, const struct esp32_boot *boot,
                                          uint32_t off, uint32_t part_len, uint32_t *len);

#endif

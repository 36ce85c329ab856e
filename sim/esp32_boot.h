/* esp32_boot.h - a virtual ESP32's second-stage bootloader: which slot it boots, what it verifies, and
 * what it writes to otadata on the way, with and without rollback support.
 *
 *     sim_esp32_boot_run(&flash.port, &(struct sim_esp32_boot){.chip = MOLT_CHIP_ESP32, .rollback =
 * true}, &r);     if (r.booted) ...   // r.off is the image that runs now
 *
 * Sources: ESP-IDF bootloader_utility.c, bootloader_common.c, esp_image_format.c, esp_flash_partitions.h.
 * */
#ifndef MOLT_SIM_ESP32_BOOT_H
#define MOLT_SIM_ESP32_BOOT_H

#include "slots/esp32_otadata.h"

/* How the bootloader was built, and the chip that it finds. */
struct sim_esp32_boot {
    enum molt_chip chip;
    uint16_t revision; /* major * 100 + minor */
    bool rollback;     /* CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE */
};

/* Why an image was not booted. */
enum sim_esp32_verdict {
    SIM_ESP32_BOOTABLE = 0,
    SIM_ESP32_NOT_TRIED,
    SIM_ESP32_MAGIC,          /* "invalid magic byte" */
    SIM_ESP32_CHIP,           /* "mismatch chip ID" */
    SIM_ESP32_REVISION,       /* "chip revision check failed" */
    SIM_ESP32_SEGMENT_COUNT,  /* more than 16 */
    SIM_ESP32_SEGMENT_LENGTH, /* "invalid segment length", or beyond the partition */
    SIM_ESP32_SEGMENT_PAGE,   /* a mapped segment that no page can map */
    SIM_ESP32_CHECKSUM,       /* "Checksum failed" */
    SIM_ESP32_HASH,           /* "Image hash failed - image is corrupt" */
    SIM_ESP32_UNREADABLE,
};

#define SIM_ESP32_FACTORY (-1)
#define SIM_ESP32_TEST    (-2)

struct sim_esp32_result {
    bool booted;       /* false: no bootable partition, or a bad partition table; the chip resets for ever */
    int index;         /* OTA slot, SIM_ESP32_FACTORY or SIM_ESP32_TEST */
    uint32_t off, len; /* flash offset of the booted image, and its length with the digest */
    bool wrote_otadata;
    enum sim_esp32_verdict slot[MOLT_OTA_SLOTS_MAX]; /* of every OTA slot that was tried */
};

/* One reset. */
void sim_esp32_boot_run(const struct molt_flash *flash, const struct sim_esp32_boot *boot,
                        struct sim_esp32_result *result);

/* Verifies one image as the bootloader does. part_len: bytes of its partition; *len: of the image. */
enum sim_esp32_verdict sim_esp32_verify(const struct molt_flash *flash, const struct sim_esp32_boot *boot,
                                        uint32_t off, uint32_t part_len, uint32_t *len);

#endif

/* molt_boot_image.h - puts molt-boot, the boot stage in doc/boot.md, into ESP8266 images. */
#ifndef MOLT_HOST_MOLT_BOOT_IMAGE_H
#define MOLT_HOST_MOLT_BOOT_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "molt_reason.h"

#define MOLT_BOOT_IMAGE_VERSION 1u    /* of molt-boot: in the trailer of sector 0 */
#define MOLT_BOOT_IMAGE_MAX     4080u /* bytes of code and headers; the trailer is behind them */
#define MOLT_BOOT_KEEP_LEN      8192u /* bytes that molt-boot keeps below the file system */

/* Bytes of molt-boot with headers and checksum, at most MOLT_BOOT_IMAGE_MAX. */
uint32_t molt_boot_image_len(void);

/* Writes sector 0. byte2, byte3: flash mode and flash size of the device, as in the image that it shall start.
 * fs_start: where the file system begins (sim/layout.h), a multiple of 4096. */
void molt_boot_image_sector(uint8_t sector[4096], uint8_t byte2, uint8_t byte3, uint32_t fs_start);

/* The second stage that a product with libmolt links and lends to molt_boot_slots (slots/molt_boot.h): code for the chip.
 * Static; *len: bytes, a multiple of 4. */
const uint32_t *molt_boot_second(uint32_t *len);
/* The same, and it writes a staged pack over the running image: for a device whose flash has no room for two. */
const uint32_t *molt_boot_second_in_place(uint32_t *len);

/* True when the image has molt-boot in its first sector, of whatever version. */
bool molt_boot_image_has(const uint8_t *image, size_t len);

/* Puts molt-boot into an Arduino image in memory and makes its CRC words right again.
 * 0; -MOLT_IMAGE_NO_EBOOT (no Arduino image of an ESP8266: the sketch must lie at 0x1000); -MOLT_NO_SPACE (it
 * leaves no room for the keep sectors); -MOLT_ARG (fs_start). Then nothing was changed. */
int molt_boot_image_set(uint8_t *image, size_t len, uint32_t fs_start);

#endif

/* molt_boot_sector.h - replaces the boot stage in sector 0 of an ESP8266 by another one: eboot by molt-boot, molt-boot by a
 * later one or by eboot. From the product's own firmware: a boot stage is never downloaded by itself.
 *
 * The only act of the library that a power cut can turn into a chip that does not start: while it lasts there is no boot
 * stage. It is one erase and sixteen programs of a page, with nothing between them (some 60 to 500 ms, most of it the
 * erase); do it when the power is good, interrupts cannot fail it and nobody waits. A cut needs a serial cable. */
#ifndef MOLT_BOOT_SECTOR_H
#define MOLT_BOOT_SECTOR_H

#include "../molt_port.h"
#include "../molt_reason.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Replaces sector 0 by the MOLT_SECTOR bytes at sector (`molt image set-boot` puts them at the start of an image), but
 * for bytes 2 and 3 of the header: flash mode and size stay the chip's own. Writes nothing when they are there already.
 * Before anything is erased the bytes are checked: an image that ends in this sector, its checksum, its entry, and
 * molt-boot's trailer when there is one.
 * 0: it is there, read back. Nothing was changed: -MOLT_IMAGE_UNKNOWN (no boot stage), -MOLT_BAD_SEGMENT,
 * -MOLT_BAD_CHECKSUM, -MOLT_ARG (a trailer that is wrong or does not fit this flash), -MOLT_TRIAL_PENDING (molt-boot has an
 * install or a trial under way), -MOLT_FLASH_READ. -MOLT_FLASH_VERIFY: three tries failed; the chip must not be
 * restarted, try again. */
int molt_boot_sector_replace(const struct molt_flash *flash, const uint32_t sector[MOLT_SECTOR / 4]);

#ifdef __cplusplus
}
#endif
#endif

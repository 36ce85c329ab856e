/* crc.h - the two CRC-32s of the ESP world, without tables bigger than 64 bytes. */
#ifndef MOLT_UTIL_CRC_H
#define MOLT_UTIL_CRC_H

#include <stddef.h>
#include <stdint.h>

/* MSB first, polynomial 0x04C11DB7, no reflection, no final inversion (CRC-32/MPEG-2). Start with
 * MOLT_CRC_MSB_INIT; "123456789" gives 0x0376E6E7. Used by Arduino's eboot for __crc_val (elf2bin.py)
 * and for the RTC command (eboot_command.c). */
#define MOLT_CRC_MSB_INIT 0xFFFFFFFFu
uint32_t molt_crc32_msb(uint32_t crc, const void *data, size_t len);

/* Reflected, polynomial 0xEDB88320, register inverted on entry and exit (zlib's crc32). Start with 0 for
 * the common CRC-32 ("123456789" gives 0xCBF43926: gzip); otadata starts with 0xFFFFFFFF
 * (esp_rom_crc32_le(UINT32_MAX, ...), ESP-IDF bootloader_common.c). */
uint32_t molt_crc32_lsb(uint32_t crc, const void *data, size_t len);

#endif

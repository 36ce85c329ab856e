/* molt_boot_image.c - sector 0 with molt-boot, and images that bring it.
 * Must never touch a byte behind sector 0 but the two CRC words. Tests: test/unit/molt_boot_sector_test.c. */
#include "molt_boot_image.h"

#include <string.h>

#include "image/image.h"
#include "molt_boot_chip.h"
#include "molt_second_chip.h"
#include "molt_second_in_place_chip.h"
#include "slots/boot_record.h"
#include "util/bytes.h"
#include "util/crc.h"

#define SECTOR      4096u
#define LOAD        0x4010F000u /* firmware/boot/esp8266/chip.ld */
#define HEADERS_LEN 16u         /* image header and one segment header */
#define CRC_WORDS   0x1010u

_Static_assert(sizeof molt_boot_chip % 4 == 0 &&
                   HEADERS_LEN + sizeof molt_boot_chip + 16 <= MOLT_BOOT_IMAGE_MAX,
               "molt-boot does not fit sector 0");

uint32_t molt_boot_image_len(void)
{
    return (HEADERS_LEN + (uint32_t)sizeof molt_boot_chip + 16) & ~15u; /* padding, then the checksum byte */
}

void molt_boot_image_sector(uint8_t sector[4096], uint8_t byte2, uint8_t byte3, uint32_t fs_start)
{
    const uint32_t len = molt_boot_image_len();
    uint8_t checksum = 0xEF;
    for (size_t i = 0; i < sizeof molt_boot_chip; i++)
        checksum ^= molt_boot_chip[i];
    memset(sector, 0xAA, SECTOR); /* as elf2bin.py pads */
    memset(sector, 0, len);
    sector[0] = 0xE9;
    sector[1] = 1;
    sector[2] = byte2;
    sector[3] = byte3;
    memcpy(sector + 4, molt_boot_chip, 4); /* its first word is the entry */
    molt_store32le(sector + 8, LOAD);
    molt_store32le(sector + 12, (uint32_t)sizeof molt_boot_chip);
    memcpy(sector + HEADERS_LEN, molt_boot_chip, sizeof molt_boot_chip);
    sector[len - 1] = checksum;

    uint8_t *trailer = sector + MOLT_BOOT_TRAILER_OFF;
    molt_store32le(trailer, MOLT_BOOT_TRAILER_MAGIC);
    molt_store32le(trailer + 4, MOLT_BOOT_IMAGE_VERSION);
    molt_store32le(trailer + 8, fs_start - MOLT_BOOT_KEEP_LEN);
    molt_store32le(trailer + 12, molt_crc32_msb(MOLT_CRC_MSB_INIT, trailer, 12));
}

const uint32_t *molt_boot_second(uint32_t *len)
{
    _Static_assert(sizeof molt_second_chip % 4 == 0 && sizeof molt_second_chip <= MOLT_BOOT_SECOND_MAX,
                   "the second stage does not fit");
    *len = sizeof molt_second_chip;
    return (const uint32_t *)(const void *)molt_second_chip; /* aligned: embed.cmake */
}

const uint32_t *molt_boot_second_in_place(uint32_t *len)
{
    _Static_assert(sizeof molt_second_in_place_chip % 4 == 0 &&
                       sizeof molt_second_in_place_chip <= MOLT_BOOT_SECOND_MAX,
                   "the second stage that installs does not fit");
    *len = sizeof molt_second_in_place_chip;
    return (const uint32_t *)(const void *)molt_second_in_place_chip;
}

bool molt_boot_image_has(const uint8_t *image, size_t len)
{
    if (len <= SECTOR || image[0] != 0xE9) return false;
    const uint8_t *trailer = image + MOLT_BOOT_TRAILER_OFF;
    return molt_load32le(trailer) == MOLT_BOOT_TRAILER_MAGIC &&
           molt_load32le(trailer + 12) == molt_crc32_msb(MOLT_CRC_MSB_INIT, trailer, 12);
}

int molt_boot_image_set(uint8_t *image, size_t len, uint32_t fs_start)
{
    if (fs_start % SECTOR != 0 || fs_start < 4 * SECTOR) return -MOLT_ARG;
    if (len <= CRC_WORDS + 8 || image[0] != 0xE9 || image[MOLT_ESP8266_APP_OFFSET] != 0xE9)
        return -MOLT_IMAGE_NO_EBOOT;
    if (len > fs_start - MOLT_BOOT_KEEP_LEN) return -MOLT_NO_SPACE;
    const bool has_crc = molt_load32le(image + CRC_WORDS) == len;
    molt_boot_image_sector(image, image[2], image[3], fs_start);
    if (!has_crc) return 0;
    memset(image + CRC_WORDS + 4, 0, 4); /* the CRC is over the image with both words as 0 */
    memset(image + CRC_WORDS, 0, 4);
    const uint32_t crc = molt_crc32_msb(MOLT_CRC_MSB_INIT, image, len);
    molt_store32le(image + CRC_WORDS, (uint32_t)len);
    molt_store32le(image + CRC_WORDS + 4, crc);
    return 0;
}

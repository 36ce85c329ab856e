/* esp8266.c - the rules of Arduino ESP8266 images: boot stage at 0, sketch at 0x1000, CRC words at 0x1010.
 * Must never accept a file that would leave the chip without a boot stage. Tests: test/unit/image_test.c. */
#include "image_parts.h"

#include "../util/bytes.h"

#define KB 1024u

bool image_esp8266_address(uint32_t load)
{
    return (load >= 0x3FFE8000u && load < 0x40000000u) || (load >= 0x40100000u && load < 0x40110000u) ||
           (load >= ESP8266_IROM && load < ESP8266_IROM_END);
}

/* Flash size by header byte 3's high nibble (esptool's table for this chip); 0 when it is not there. */
static uint32_t flash_size(uint8_t nibble)
{
    static const uint8_t log2_kb[10] = {9, 8, 10, 11, 12, 11, 12, 0, 13, 14};
    return nibble < 10 && log2_kb[nibble] != 0 ? KB << log2_kb[nibble] : 0;
}

int image_esp8266_header(struct molt_image *image)
{
    const uint8_t *h = image->head;
    if (image->pos > MOLT_ESP8266_APP_OFFSET) {
        if (h[0] != IMAGE_MAGIC) return -MOLT_IMAGE_NO_EBOOT;
    } else {
        struct molt_image_info *info = &image->info;
        info->chip = MOLT_CHIP_ESP8266;
        info->flash_mode = h[2];
        info->flash_byte3 = h[3];
        info->flash_size = flash_size(h[3] >> 4);
        info->max_revision = MOLT_REVISION_UNKNOWN;
        if (image->expect.chip != MOLT_CHIP_UNKNOWN && image->expect.chip != MOLT_CHIP_ESP8266) {
            return -MOLT_WRONG_CHIP;
        }
        if (image->expect.flash_size != 0 && info->flash_size > image->expect.flash_size)
            return -MOLT_FLASH_SIZE;
    }
    image->segments_left = h[1];
    return 0;
}

static bool in_flash_window(uint32_t load)
{
    return load >= ESP8266_IROM && load < ESP8266_IROM_END;
}

bool image_esp8266_boot_segment(uint32_t off, uint32_t load, uint32_t len)
{
    return off < MOLT_ESP8266_APP_OFFSET && len < MOLT_ESP8266_APP_OFFSET - off && !in_flash_window(load);
}

int image_esp8266_segment(struct molt_image *image, uint32_t load, uint32_t len)
{
    /* Lengths need not be multiples of 4: elf2bin writes .text as long as the linker made it. */
    if (image->pos <= MOLT_ESP8266_APP_OFFSET) {
        return image_esp8266_boot_segment(image->pos, load, len) ? 0 : -MOLT_IMAGE_NO_EBOOT;
    }
    /* Flash is mapped one to one from its start: code runs where it lies. */
    return in_flash_window(load) && load - ESP8266_IROM != image->pos ? -MOLT_BAD_SEGMENT : 0;
}

int image_esp8266_verdict(struct molt_image *image)
{
    bool len_right = image->crc_len == image->pos;
    bool crc_right = image->crc_val == image->crc;
    /* Cores before 2.6 have code in place of the words: then neither is right. One alone is damage. */
    if (len_right != crc_right) return -MOLT_BAD_CRC;
    image->info.has_crc = len_right;
    uint8_t sum = image->checksum;
    if (len_right) sum ^= image->words_xor; /* elf2bin summed up before it wrote the words */
    return sum == image->trailer ? 0 : -MOLT_BAD_CHECKSUM;
}

/* esp8266.c - the rules of Arduino ESP8266 images: boot stage at 0, sketch at 0x1000, CRC words at 0x1010.
 * Must never accept a file that would leave the chip without a boot stage. Tests: test/unit/image_test.c. */
#include "image_parts.h"

#include <string.h>

#include "../util/bytes.h"
#include "../util/crc.h"

#define KB         1024u
#define HEADER_LEN 8u
#define ELF_MAGIC  0x464C457Fu

static bool in_flash_window(uint32_t load)
{
    return load - ESP8266_IROM < ESP8266_IROM_END - ESP8266_IROM;
}

bool image_esp8266_address(uint32_t load)
{
    return load - 0x3FFE8000u < 0x18000u || load - 0x40100000u < 0x10000u || in_flash_window(load);
}

/* Text shows in its first bytes: what a portal or a server says in place of the file. A byte order mark makes all above 0x7F
 * text, too. */
static bool is_text(const uint8_t *head, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++) {
        bool is_printable = head[i] >= 0x20 ? head[i] < 0x7F || head[0] == 0xEF : head[i] - 9u < 5;
        if (!is_printable) return false;
    }
    return true;
}

/* The first bytes are enough to tell most of what people send by mistake; the rest is told as "unknown". */
static int look(struct molt_image *image)
{
    const uint8_t *head = image->head;
    uint32_t words[IMAGE_SNIFF_LEN / 4];
    molt_load_words(words, head, IMAGE_SNIFF_LEN / 4);
    if (head[0] == IMAGE_MAGIC) {
        bool is_ours = image_esp8266_address(words[2]);
        /* The RTOS SDK's images have the same header and a descriptor, the later ones the ESP32's header. */
        bool is_rtos = is_ours ? words[RTOS_DESC_OFFSET / 4] == APP_DESC_MAGIC : in_flash_window(words[6]);
        return is_rtos ? -MOLT_IMAGE_RTOS_SDK : is_ours ? 0 : -MOLT_WRONG_CHIP;
    }
    if (words[0] == ELF_MAGIC) return -MOLT_IMAGE_ELF;
    return head[0] == '<' || is_text(head, image->fill) ? -MOLT_IMAGE_TEXT : -MOLT_IMAGE_UNKNOWN;
}

/* Flash size by header byte 3's high nibble (esptool's table for this chip); 0 when it is not there. */
static uint32_t flash_size(uint32_t nibble)
{
    static const uint8_t log2_kb[10] = {9, 8, 10, 11, 12, 11, 12, 0, 13, 14};
    return nibble < 10 && log2_kb[nibble] != 0 ? KB << log2_kb[nibble] : 0;
}

static int header(struct molt_image *image)
{
    const uint8_t *h = image->head;
    if (image->pos > MOLT_ESP8266_APP_OFFSET) {
        if (h[0] != IMAGE_MAGIC) return -MOLT_IMAGE_NO_EBOOT;
    } else {
        struct molt_image_info *info = &image->info;
        info->chip = MOLT_CHIP_ESP8266;
        info->flash_mode = h[2];
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

bool image_esp8266_boot_segment(uint32_t off, uint32_t load, uint32_t len)
{
    return off < MOLT_ESP8266_APP_OFFSET && len < MOLT_ESP8266_APP_OFFSET - off && !in_flash_window(load);
}

static int segment(struct molt_image *image, uint32_t load, uint32_t len)
{
    /* Lengths need not be multiples of 4: elf2bin writes .text as long as the linker made it. */
    if (image->pos <= MOLT_ESP8266_APP_OFFSET) {
        return image_esp8266_boot_segment(image->pos, load, len) ? 0 : -MOLT_IMAGE_NO_EBOOT;
    }
    /* Flash is mapped one to one from its start: code runs where it lies. */
    return in_flash_window(load) && load - ESP8266_IROM != image->pos ? -MOLT_BAD_SEGMENT : 0;
}

/* The body digest begins with the sketch; the CRC is over all, with its own words as zero. */
static int pass(struct molt_image *image, const uint8_t *p, uint32_t n)
{
    uint8_t zeros[CRC_WORDS_END - CRC_WORDS] = {0};
    uint32_t word_at = image->pos - CRC_WORDS;
    if (image->pos == 0) image->of.esp8266.crc = MOLT_CRC_MSB_INIT;
    if (image->pos >= MOLT_ESP8266_APP_OFFSET) image->hash.ops->update(&image->hash.state, p, n);
    if (word_at < sizeof zeros) {
        memcpy(image->of.esp8266.words + word_at, p, n);
        for (uint32_t i = 0; i < n && image->state == ST_DATA; i++)
            image->of.esp8266.words_xor ^= p[i];
        p = zeros;
    }
    image->of.esp8266.crc = molt_crc32_msb(image->of.esp8266.crc, p, n);
    return 0;
}

static int pad_end(struct molt_image *image, uint8_t checksum)
{
    if (image->pos > MOLT_ESP8266_APP_OFFSET) { /* whether the CRC words count is known when the file ends */
        image->of.esp8266.trailer = checksum;
        image->state = ST_END;
        return 0;
    }
    if (checksum != image->checksum) return -MOLT_BAD_CHECKSUM;
    if (image->pos == MOLT_ESP8266_APP_OFFSET) {
        image_enter(image, ST_HEADER, HEADER_LEN);
    } else {
        image_enter(image, ST_GAP, MOLT_ESP8266_APP_OFFSET - image->pos);
    }
    return 0;
}

/* The file ended where the sketch did. */
static int verdict(struct molt_image *image)
{
    uint32_t words[2];
    molt_load_words(words, image->of.esp8266.words, 2);
    bool len_right = words[0] == image->pos, crc_right = words[1] == image->of.esp8266.crc;
    uint8_t sum = image->checksum;
    image->hash.ops->finish(&image->hash.state, image->info.digest);
    /* Cores before 2.6 have code in place of the words: then neither is right. One alone is damage. */
    if (len_right != crc_right) return -MOLT_BAD_CRC;
    image->info.has_crc = len_right;
    if (len_right) sum ^= image->of.esp8266.words_xor; /* elf2bin summed up before it wrote the words */
    return sum == image->of.esp8266.trailer ? 0 : -MOLT_BAD_CHECKSUM;
}

const struct molt_image_format molt_image_esp8266 = {
    .look = look,
    .header = header,
    .segment = segment,
    .borders = {CRC_WORDS, CRC_WORDS_END},
    .pass = pass,
    .pad_end = pad_end,
    .verdict = verdict,
    .header_len = HEADER_LEN,
};

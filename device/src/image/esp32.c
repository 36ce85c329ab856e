/* esp32.c - the rules of ESP32-family application images: header, segments, application descriptor.
 * Must never be laxer than ESP-IDF's esp_image_format.c. Tests: test/unit/image_esp32_test.c. */
#include "image_parts.h"

#include <stddef.h>
#include <string.h>

#include "../util/bytes.h"

#define HEADER_LEN     24u
#define SECTOR_MASK    0xFFFu
#define SECURE_BOOT_V2 0xE7u /* first byte of a signature sector */

/* Flash windows, in units of 64 KB (ESP-IDF soc.h, ext_mem_defs.h; esptool's targets): data, then code. Chips
 * with one window for both have it twice or as one range. */
static const struct window {
    uint8_t chip;
    uint16_t drom, drom_end, irom, irom_end;
} windows[] = {
    {MOLT_CHIP_ESP32, 0x3F40, 0x3F80, 0x400D, 0x4040},
    {MOLT_CHIP_ESP32S2, 0x3F00, 0x3F3F, 0x4008, 0x40B8},
    {MOLT_CHIP_ESP32S3, 0x3C00, 0x3E00, 0x4200, 0x4400},
    {MOLT_CHIP_ESP32C2, 0x3C00, 0x3C40, 0x4200, 0x4240},
    {MOLT_CHIP_ESP32C3, 0x3C00, 0x3C80, 0x4200, 0x4280},
    {MOLT_CHIP_ESP32C5, 0x4200, 0x4400, 0x4200, 0x4400},
    {MOLT_CHIP_ESP32C6, 0x4200, 0x4300, 0x4200, 0x4300},
    {MOLT_CHIP_ESP32C61, 0x4200, 0x4400, 0x4200, 0x4400},
    {MOLT_CHIP_ESP32H2, 0x4200, 0x4300, 0x4200, 0x4300},
    {MOLT_CHIP_ESP32H21, 0x4200, 0x4300, 0x4200, 0x4300},
    {MOLT_CHIP_ESP32H4, 0x4200, 0x4400, 0x4200, 0x4400},
    {MOLT_CHIP_ESP32P4, 0x4000, 0x4C00, 0x4000, 0x4C00},
    {MOLT_CHIP_ESP32E22, 0x3C00, 0x4000, 0x3C00, 0x4000},
    {MOLT_CHIP_ESP32S31, 0x4000, 0x5400, 0x4000, 0x5400},
};

bool image_esp32_is_mapped(enum molt_chip chip, uint32_t load)
{
    uint32_t page = load >> 16;
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        const struct window *w = &windows[i];
        if (w->chip == (uint8_t)chip) {
            return (page >= w->drom && page < w->drom_end) || (page >= w->irom && page < w->irom_end);
        }
    }
    return false;
}

static int look(struct molt_image *image)
{
    enum molt_file_kind kind = molt_image_classify(image->head, image->fill, UINT64_MAX);
    if (kind == MOLT_FILE_ESP32_APP) return 0;
    if (image->head[0] == IMAGE_MAGIC && image_esp8266_address(molt_load32le(image->head + 8)))
        return -MOLT_WRONG_CHIP;
    int refusal = molt_file_kind_refusal(kind);
    return refusal != 0 ? -refusal : -MOLT_IMAGE_UNKNOWN; /* gzip has none of its own */
}

static int check_revision(const struct molt_image *image)
{
    uint16_t have = image->expect.chip_revision;
    /* Zero is a revision, v0.0; an all-zero `expect` (chip unknown too) says "do not check". */
    if (image->expect.chip == MOLT_CHIP_UNKNOWN || have == MOLT_REVISION_UNKNOWN) return 0;
    return have < image->info.min_revision || have > image->info.max_revision ? -MOLT_CHIP_REVISION : 0;
}

static int header(struct molt_image *image)
{
    const uint8_t *h = image->head;
    struct molt_image_info *info = &image->info;
    info->chip = molt_chip_from_image_id(molt_load16le(h + 12));
    info->flash_mode = h[2];
    info->flash_size = h[3] >> 4 <= 7 ? 0x100000u << (h[3] >> 4) : 0;
    info->min_revision = molt_load16le(h + 15);
    /* Toolchains before the full field say the ESP32's major revision at 14. */
    if (info->min_revision == 0 && info->chip == MOLT_CHIP_ESP32)
        info->min_revision = (uint16_t)(h[14] * 100u);
    info->max_revision = molt_load16le(h + 17);
    if (info->max_revision == 0) info->max_revision = MOLT_REVISION_UNKNOWN;
    image->of.esp32.hash_appended = h[23] != 0;
    image->segments_left = h[1];
    if (image->expect.chip != MOLT_CHIP_UNKNOWN && image->expect.chip != info->chip) return -MOLT_WRONG_CHIP;
    return check_revision(image);
}

/* A flash-mapped segment must lie at the same place in its page as in memory. */
static bool is_aligned(const struct molt_image *image, uint32_t off, uint32_t load)
{
    uint32_t mask = (1u << image->of.esp32.page_bits) - 1;
    return !image_esp32_is_mapped(image->info.chip, load) || ((off ^ load) & mask) == 0;
}

static int segment(struct molt_image *image, uint32_t load, uint32_t len)
{
    if ((len & 3) != 0) return -MOLT_BAD_SEGMENT;
    if (image->pos == APP_DESC_OFFSET) {
        image->of.esp32.first_load = load;
        return len < APP_DESC_END - APP_DESC_OFFSET ? -MOLT_NO_APP_DESC : 0;
    }
    return is_aligned(image, image->pos, load) ? 0 : -MOLT_BAD_SEGMENT;
}

/* The descriptor's fields, copied as their bytes pass so that it need not be held. */
#define FIELD(desc_off, len, member)                                                                         \
    {                                                                                                        \
        (desc_off), (len), (uint16_t)offsetof(struct molt_image_texts, member)                               \
    }
static const struct field {
    uint8_t off, len;
    uint16_t to;
} fields[] = {
    FIELD(16, 32, version),    FIELD(48, 32, project),      FIELD(80, 16, build_time),
    FIELD(96, 16, build_date), FIELD(112, 32, idf_version),
};
#define FIELD_COUNT (sizeof fields / sizeof fields[0])

static void make_printable(char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < 0x20 || *text > 0x7E) *text = '?';
    }
}

static int descriptor_end(struct molt_image *image)
{
    for (size_t i = 0; i < FIELD_COUNT && image->texts != NULL; i++)
        make_printable((char *)image->texts + fields[i].to);
    /* 8, 16 and 32 KB pages exist on some chips; 0, and what older frameworks left there, is 64 KB. */
    uint8_t *page_bits = &image->of.esp32.page_bits;
    if (*page_bits < 13 || *page_bits > 16) *page_bits = 16;
    return is_aligned(image, APP_DESC_OFFSET, image->of.esp32.first_load) ? 0 : -MOLT_BAD_SEGMENT;
}

/* n bytes of segment 0 at file offset `off` pass, none of them beyond APP_DESC_END: keeps those of the descriptor. */
static int descriptor(struct molt_image *image, uint32_t off, const uint8_t *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = off - APP_DESC_OFFSET + i;
        if (at < 4 && p[i] != (uint8_t)(APP_DESC_MAGIC >> (8 * at))) {
            /* Arduino-ESP32 1.0 and IDF before 3.3 wrote none; other chips came later. */
            if (image->info.chip != MOLT_CHIP_ESP32) return -MOLT_NO_APP_DESC;
            image->of.esp32.no_descriptor = true;
        }
        if (image->of.esp32.no_descriptor) continue;
        if (at >= 4 && at < 8) image->info.secure_version |= (uint32_t)p[i] << (8 * (at - 4));
        if (at == 180) image->of.esp32.page_bits = p[i];
        for (size_t f = 0; f < FIELD_COUNT && image->texts != NULL; f++) {
            uint32_t in_field = at - fields[f].off;
            if (in_field < fields[f].len) ((char *)image->texts)[fields[f].to + in_field] = (char)p[i];
        }
    }
    return off + n == APP_DESC_END ? descriptor_end(image) : 0;
}

static int pass(struct molt_image *image, const uint8_t *p, uint32_t n)
{
    if (image->state == ST_END) {
        bool is_signature = (image->pos & SECTOR_MASK) == 0 && p[0] == SECURE_BOOT_V2;
        return is_signature ? -MOLT_IMAGE_SIGNED : 0;
    }
    if (image->state != ST_DIGEST) image->hash.ops->update(&image->hash.state, p, n);
    bool is_descriptor = image->state == ST_DATA && image->pos < APP_DESC_END;
    return is_descriptor ? descriptor(image, image->pos, p, n) : 0;
}

static int pad_end(struct molt_image *image, uint8_t checksum)
{
    if (checksum != image->checksum) return -MOLT_BAD_CHECKSUM;
    if (image->of.esp32.hash_appended) {
        image_enter(image, ST_DIGEST, MOLT_SHA256_LEN);
    } else {
        image->hash.ops->finish(&image->hash.state, image->info.digest);
        image->state = ST_END;
    }
    return 0;
}

static int digest(struct molt_image *image)
{
    image->hash.ops->finish(&image->hash.state, image->info.digest);
    if (memcmp(image->info.digest, image->head, MOLT_SHA256_LEN) != 0) return -MOLT_BAD_HASH;
    image->info.has_hash = true;
    image->state = ST_END;
    return 0;
}

static int verdict(struct molt_image *image)
{
    (void)image; /* all was said on the way */
    return 0;
}

const struct molt_image_format molt_image_esp32 = {
    .look = look,
    .header = header,
    .segment = segment,
    .borders = {APP_DESC_END},
    .pass = pass,
    .pad_end = pad_end,
    .digest = digest,
    .verdict = verdict,
    .header_len = HEADER_LEN,
};

/* image.c - the streaming verifier: cuts the file into header, segments, checksum and digest, whatever the
 * pieces it comes in. Must never accept what it has not read to the end. Tests: test/unit/image_test.c,
 * test/property/image_property_test.c. */
#include "image_parts.h"

#include <string.h>

#include "../util/bytes.h"
#include "../util/crc.h"

#define HEADER_ESP8266 8u
#define HEADER_ESP32   24u
#define SEGMENT_HEADER 8u
#define FIRST_SNIFF    16u /* enough for every kind but E9 */
#define SECTOR_MASK    0xFFFu
#define SECURE_BOOT_V2 0xE7u /* first byte of a signature sector */

enum state {
    ST_SNIFF,   /* collecting the bytes that tell what the file is */
    ST_HEADER,  /* collecting an image header */
    ST_SEGMENT, /* collecting a segment header */
    ST_DATA,    /* in a segment */
    ST_PAD,     /* zeros up to and with the checksum byte */
    ST_GAP,     /* ESP8266: between boot stage and sketch */
    ST_DIGEST,  /* ESP32 family: collecting the appended SHA-256 */
    ST_END,     /* the image is complete: nothing may follow */
    ST_DONE,    /* finish() said yes */
};

static void collect(struct molt_image *image, enum state state, uint32_t need)
{
    image->state = (uint8_t)state;
    image->fill = 0;
    image->need = (uint8_t)need;
}

void molt_image_begin(struct molt_image *image, const struct molt_image_expect *expect,
                      const struct molt_hash_ops *ops)
{
    memset(image, 0, sizeof *image);
    image->expect = *expect;
    image->hash.ops = ops;
    ops->init(&image->hash.state);
    image->crc = MOLT_CRC_MSB_INIT;
    collect(image, ST_SNIFF, FIRST_SNIFF);
}

static int header_done(struct molt_image *image)
{
    int rc = image->esp32 ? image_esp32_header(image) : image_esp8266_header(image);
    if (rc < 0) return rc;
    if (image->segments_left == 0 || image->segments_left > IMAGE_SEGMENTS_MAX) return -MOLT_BAD_SEGMENT;
    image->checksum = IMAGE_CHECKSUM_SEED;
    collect(image, ST_SEGMENT, SEGMENT_HEADER);
    return 0;
}

static void segment_end(struct molt_image *image)
{
    image->segments_left--;
    if (image->segments_left > 0) {
        collect(image, ST_SEGMENT, SEGMENT_HEADER);
    } else {
        image->state = ST_PAD;
    }
}

static int segment_begin(struct molt_image *image)
{
    uint32_t load = molt_load32le(image->head), len = molt_load32le(image->head + 4);
    if (len >= IMAGE_SEGMENT_LIMIT) return -MOLT_BAD_SEGMENT;
    int rc = image->esp32 ? image_esp32_segment(image, load, len) : image_esp8266_segment(image, load, len);
    if (rc < 0) return rc;
    /* Known now, so said before megabytes of it are fetched. */
    if (image->expect.max_len != 0 && image->pos + len > image->expect.max_len) return -MOLT_TOO_LARGE;
    image->segment_left = len;
    image->state = ST_DATA;
    if (len == 0) segment_end(image);
    return 0;
}

static int collected(struct molt_image *image)
{
    if (image->state == ST_HEADER) return header_done(image);
    if (image->state == ST_SEGMENT) return segment_begin(image);
    image->hash.ops->finish(&image->hash.state, image->info.digest);
    if (memcmp(image->info.digest, image->head, MOLT_SHA256_LEN) != 0) return -MOLT_BAD_HASH;
    image->info.has_hash = true;
    image->state = ST_END;
    return 0;
}

/* The checksum byte was read. */
static int pad_end(struct molt_image *image, uint8_t checksum)
{
    if (image->esp32) {
        if (checksum != image->checksum) return -MOLT_BAD_CHECKSUM;
        if (image->hash_appended) {
            collect(image, ST_DIGEST, MOLT_SHA256_LEN);
        } else {
            image->hash.ops->finish(&image->hash.state, image->info.digest);
            image->state = ST_END;
        }
    } else if (image->pos > MOLT_ESP8266_APP_OFFSET) {
        /* Whether the CRC words count is known when the file ends. */
        image->trailer = checksum;
        image->state = ST_END;
    } else {
        if (checksum != image->checksum) return -MOLT_BAD_CHECKSUM;
        collect(image, ST_GAP, 0);
        if (image->pos == MOLT_ESP8266_APP_OFFSET) collect(image, ST_HEADER, HEADER_ESP8266);
    }
    return 0;
}

/* How many of the next len bytes the current state takes in one go. Never crosses an offset at which the
 * bytes change their meaning for the digests. */
static uint32_t run_length(const struct molt_image *image, size_t len)
{
    uint32_t pos = image->pos, most = 0;
    switch ((enum state)image->state) {
    case ST_HEADER:
    case ST_SEGMENT:
    case ST_DIGEST:
        most = (uint32_t)(image->need - image->fill);
        break;
    case ST_DATA:
        most = image->segment_left;
        break;
    case ST_PAD:
        most = 16u - (pos & 15u);
        break;
    case ST_GAP:
        most = MOLT_ESP8266_APP_OFFSET - pos;
        break;
    case ST_SNIFF:
    case ST_END:
    case ST_DONE:
        break;
    }
    if (image->esp32) {
        if (pos < APP_DESC_END) most = molt_min32(most, APP_DESC_END - pos);
    } else if (pos < CRC_WORDS) {
        most = molt_min32(most, CRC_WORDS - pos);
    } else if (pos < CRC_WORDS_END) {
        most = molt_min32(most, CRC_WORDS_END - pos);
    }
    return len < most ? (uint32_t)len : most;
}

static void crc_words(struct molt_image *image, const uint8_t *p, uint32_t n)
{
    static const uint8_t zeros[CRC_WORDS_END - CRC_WORDS];
    image->crc = molt_crc32_msb(image->crc, zeros, n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = image->pos + i - CRC_WORDS;
        uint32_t *word = at < 4 ? &image->crc_len : &image->crc_val;
        *word |= (uint32_t)p[i] << (8 * (at & 3));
        if (image->state == ST_DATA) image->words_xor ^= p[i];
    }
}

/* Counts a run in the digests and moves on. */
static void absorb(struct molt_image *image, const uint8_t *p, uint32_t n)
{
    if (image->esp32) {
        if (image->state != ST_DIGEST) image->hash.ops->update(&image->hash.state, p, n);
    } else {
        if (image->pos >= MOLT_ESP8266_APP_OFFSET) image->hash.ops->update(&image->hash.state, p, n);
        if (image->pos >= CRC_WORDS && image->pos < CRC_WORDS_END) {
            crc_words(image, p, n);
        } else {
            image->crc = molt_crc32_msb(image->crc, p, n);
        }
    }
    image->pos += n;
}

static int data_run(struct molt_image *image, const uint8_t *p, uint32_t n)
{
    uint8_t sum = image->checksum;
    for (uint32_t i = 0; i < n; i++) {
        sum ^= p[i];
    }
    image->checksum = sum;
    image->segment_left -= n;
    int rc = 0;
    if (image->esp32 && image->pos <= APP_DESC_END) rc = image_esp32_descriptor(image, image->pos - n, p, n);
    if (rc == 0 && image->segment_left == 0) segment_end(image);
    return rc;
}

/* One run through the machine; the caller has checked that n > 0 bytes are run_length(). */
static int take_run(struct molt_image *image, const uint8_t *p, uint32_t n)
{
    absorb(image, p, n);
    switch ((enum state)image->state) {
    case ST_HEADER:
    case ST_SEGMENT:
    case ST_DIGEST:
        memcpy(image->head + image->fill, p, n);
        image->fill = (uint8_t)(image->fill + n);
        return image->fill == image->need ? collected(image) : 0;
    case ST_DATA:
        return data_run(image, p, n);
    case ST_PAD:
        return (image->pos & 15u) == 0 ? pad_end(image, p[n - 1]) : 0;
    case ST_GAP:
        image->fill = 1; /* the boot stage alone is no longer all there is */
        if (image->pos == MOLT_ESP8266_APP_OFFSET) collect(image, ST_HEADER, HEADER_ESP8266);
        return 0;
    case ST_SNIFF:
    case ST_END:
    case ST_DONE:
        break;
    }
    return -MOLT_STATE;
}

static int take(struct molt_image *image, const uint8_t *p, size_t len)
{
    while (len > 0) {
        if (image->state == ST_END) {
            bool sector = image->esp32 && (image->pos & SECTOR_MASK) == 0;
            return sector && p[0] == SECURE_BOOT_V2 ? -MOLT_IMAGE_SIGNED : -MOLT_IMAGE_TRAILING;
        }
        uint32_t n = run_length(image, len);
        int rc = take_run(image, p, n);
        if (rc < 0) return rc;
        p += n;
        len -= n;
    }
    return 0;
}

/* The first bytes are all there, or the file ended among them. Refuses, or starts the machine. */
static int sniffed(struct molt_image *image)
{
    enum molt_file_kind kind = molt_image_classify(image->head, image->fill, UINT64_MAX);
    int refusal = molt_file_kind_refusal(kind);
    if (refusal != 0) return -refusal;
    if (kind == MOLT_FILE_GZIP) return -MOLT_IMAGE_UNKNOWN;
    uint8_t first[IMAGE_SNIFF_LEN];
    memcpy(first, image->head, sizeof first);
    image->esp32 = kind == MOLT_FILE_ESP32_APP;
    image->page_bits = 0;
    collect(image, ST_HEADER, image->esp32 ? HEADER_ESP32 : HEADER_ESP8266);
    return take(image, first, sizeof first);
}

static int sniff(struct molt_image *image, const uint8_t **p, size_t *len)
{
    uint32_t n = (uint32_t)(image->need - image->fill);
    if (*len < n) n = (uint32_t)*len;
    memcpy(image->head + image->fill, *p, n);
    image->fill = (uint8_t)(image->fill + n);
    *p += n;
    *len -= n;
    if (image->fill < image->need) return 0;
    if (image->need == FIRST_SNIFF && image->head[0] == IMAGE_MAGIC) {
        image->need = IMAGE_SNIFF_LEN;
        return 0;
    }
    return sniffed(image);
}

int molt_image_feed(struct molt_image *image, const void *data, size_t len)
{
    if (image->failed != 0) return image->failed;
    if (image->state == ST_DONE) return -MOLT_STATE;
    const uint8_t *p = data;
    uint32_t max = image->expect.max_len;
    size_t room = len;
    if (max != 0) {
        room = max - (image->state == ST_SNIFF ? image->fill : image->pos);
        if (room > len) room = len;
    }
    size_t left = room;
    int rc = 0;
    while (rc == 0 && left > 0 && image->state == ST_SNIFF) {
        rc = sniff(image, &p, &left);
    }
    if (rc == 0) rc = take(image, p, left);
    if (rc == 0 && room < len) rc = -MOLT_TOO_LARGE;
    image->failed = rc;
    return rc;
}

/* Why a file that ends here is no image. */
static int incomplete(const struct molt_image *image)
{
    if (image->state != ST_SNIFF) {
        /* A boot stage alone, to its last byte, is no cut download. */
        bool boot_stage = image->state == ST_GAP && image->fill == 0;
        return boot_stage ? -MOLT_IMAGE_NO_EBOOT : -MOLT_IMAGE_TRUNCATED;
    }
    if (image->fill == 0) return -MOLT_IMAGE_EMPTY;
    if (image->head[0] == IMAGE_MAGIC) {
        return image->fill < HEADER_ESP8266 ? -MOLT_IMAGE_EMPTY : -MOLT_IMAGE_TRUNCATED;
    }
    int refusal = molt_file_kind_refusal(molt_image_classify(image->head, image->fill, image->fill));
    return refusal != 0 ? -refusal : -MOLT_IMAGE_UNKNOWN;
}

int molt_image_finish(struct molt_image *image)
{
    if (image->failed != 0 || image->state == ST_DONE) return image->failed;
    int rc = 0;
    if (image->state != ST_END) {
        rc = incomplete(image);
    } else if (!image->esp32) {
        image->hash.ops->finish(&image->hash.state, image->info.digest);
        rc = image_esp8266_verdict(image);
    }
    image->info.len = image->pos;
    image->failed = rc;
    if (rc == 0) image->state = ST_DONE;
    return rc;
}

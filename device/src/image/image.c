/* image.c - the streaming verifier: cuts the file into header, segments, checksum and digest, whatever the
 * pieces it comes in. Must never accept what it has not read to the end. Tests: test/unit/image_test.c,
 * test/property/image_property_test.c. */
#include "image_parts.h"

#include <string.h>

#include "../util/bytes.h"

#define SEGMENT_HEADER 8u
#define FIRST_SNIFF    16u /* enough for every kind but E9 */
#define SHORTEST       8u  /* bytes of the shortest header */
#define SECTOR_MASK    0xFFFu
#define SECURE_BOOT_V2 0xE7u /* first byte of a signature sector */

void image_collect(struct molt_image *image, enum image_state state, uint32_t need)
{
    image->state = (uint8_t)state;
    image->fill = 0;
    image->need = (uint8_t)need;
}

void molt_image_begin_as(struct molt_image *image, const struct molt_image_format *format,
                         const struct molt_image_expect *expect, const struct molt_hash_ops *ops)
{
    memset(image, 0, sizeof *image);
    image->format = format;
    image->expect = *expect;
    image->hash.ops = ops;
    ops->init(&image->hash.state);
    image->need = FIRST_SNIFF; /* of ST_SNIFF */
}

static int header_done(struct molt_image *image)
{
    int rc = image->format->header(image);
    if (rc < 0) return rc;
    if (image->segments_left == 0 || image->segments_left > IMAGE_SEGMENTS_MAX) return -MOLT_BAD_SEGMENT;
    image->checksum = IMAGE_CHECKSUM_SEED;
    image_collect(image, ST_SEGMENT, SEGMENT_HEADER);
    return 0;
}

static void segment_end(struct molt_image *image)
{
    image->segments_left--;
    if (image->segments_left > 0) {
        image_collect(image, ST_SEGMENT, SEGMENT_HEADER);
    } else {
        image->state = ST_PAD;
    }
}

static int segment_begin(struct molt_image *image)
{
    uint32_t load = molt_load32le(image->head), len = molt_load32le(image->head + 4);
    if (len >= IMAGE_SEGMENT_LIMIT) return -MOLT_BAD_SEGMENT;
    int rc = image->format->segment(image, load, len);
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
    return image->format->digest(image);
}

/* How many of the next len bytes the current state takes in one go. */
static uint32_t run_length(const struct molt_image *image, size_t len)
{
    uint32_t most;
    switch ((enum image_state)image->state) {
    case ST_DATA:
        most = image->segment_left;
        break;
    case ST_PAD:
        most = 16u - (image->pos & 15u);
        break;
    case ST_GAP:
        most = MOLT_ESP8266_APP_OFFSET - image->pos;
        break;
    default:
        most = (uint32_t)(image->need - image->fill);
    }
    most = molt_min32(most, image->format->border(image->pos) - image->pos);
    return len < most ? (uint32_t)len : most;
}

static void data_run(struct molt_image *image, const uint8_t *p, uint32_t n)
{
    uint8_t sum = image->checksum;
    for (uint32_t i = 0; i < n; i++)
        sum ^= p[i];
    image->checksum = sum;
    image->segment_left -= n;
    if (image->segment_left == 0) segment_end(image);
}

/* Keeps n bytes of what is collected; true when it is complete. */
static bool keep(struct molt_image *image, const uint8_t *p, uint32_t n)
{
    memcpy(image->head + image->fill, p, n);
    image->fill = (uint8_t)(image->fill + n);
    return image->fill == image->need;
}

/* One run through the machine; the caller has checked that n > 0 bytes are run_length(). */
static int take_run(struct molt_image *image, const uint8_t *p, uint32_t n)
{
    int rc = image->format->pass(image, p, n);
    image->pos += n;
    if (rc < 0) return rc;
    switch ((enum image_state)image->state) {
    case ST_DATA:
        data_run(image, p, n);
        return 0;
    case ST_PAD:
        return (image->pos & 15u) == 0 ? image->format->pad_end(image, p[n - 1]) : 0;
    case ST_GAP:
        image->fill = 1; /* the boot stage alone is no longer all there is */
        if (image->pos == MOLT_ESP8266_APP_OFFSET) image_collect(image, ST_HEADER, image->format->header_len);
        return 0;
    default:
        return keep(image, p, n) ? collected(image) : 0;
    }
}

static int take(struct molt_image *image, const uint8_t *p, size_t len)
{
    while (len > 0) {
        if (image->state == ST_END) {
            bool is_sector = image->info.chip != MOLT_CHIP_ESP8266 && (image->pos & SECTOR_MASK) == 0;
            return is_sector && p[0] == SECURE_BOOT_V2 ? -MOLT_IMAGE_SIGNED : -MOLT_IMAGE_TRAILING;
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
    uint8_t first[IMAGE_SNIFF_LEN];
    int rc = image->format->look(image);
    if (rc < 0) return rc;
    memcpy(first, image->head, sizeof first);
    image_collect(image, ST_HEADER, image->format->header_len);
    return take(image, first, sizeof first);
}

static int sniff(struct molt_image *image, const uint8_t **p, size_t *len)
{
    uint32_t n = (uint32_t)(image->need - image->fill);
    if (*len < n) n = (uint32_t)*len;
    bool is_complete = keep(image, *p, n);
    *p += n;
    *len -= n;
    if (!is_complete) return 0;
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
static int incomplete(struct molt_image *image)
{
    if (image->state != ST_SNIFF) {
        /* A boot stage alone, to its last byte, is no cut download. */
        bool boot_stage = image->state == ST_GAP && image->fill == 0;
        return boot_stage ? -MOLT_IMAGE_NO_EBOOT : -MOLT_IMAGE_TRUNCATED;
    }
    if (image->fill == 0) return -MOLT_IMAGE_EMPTY;
    if (image->head[0] != IMAGE_MAGIC) return image->format->look(image);
    return image->fill < SHORTEST ? -MOLT_IMAGE_EMPTY : -MOLT_IMAGE_TRUNCATED;
}

int molt_image_finish(struct molt_image *image)
{
    if (image->failed != 0 || image->state == ST_DONE) return image->failed;
    int rc = image->state == ST_END ? image->format->verdict(image) : incomplete(image);
    image->info.len = image->pos;
    image->failed = rc;
    if (rc == 0) image->state = ST_DONE;
    return rc;
}

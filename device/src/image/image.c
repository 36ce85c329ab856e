/* image.c - the streaming verifier: cuts the file into header, segments, checksum and digest, whatever the
 * pieces it comes in. Must never accept what it has not read to the end. Tests: test/unit/image_test.c,
 * test/property/image_property_test.c. */
#include "image_parts.h"

#include <string.h>

#include "../util/bytes.h"

#define SEGMENT_HEADER 8u
#define FIRST_SNIFF    16u /* enough for every kind but E9 */
#define SHORTEST       8u  /* bytes of the shortest header */

void image_enter(struct molt_image *image, enum image_state state, uint32_t len)
{
    image->state = (uint8_t)state;
    image->fill = 0;
    image->left = len;
}

void molt_image_begin_as(struct molt_image *image, const struct molt_image_format *format,
                         const struct molt_image_expect *expect, const struct molt_hash_ops *ops)
{
    memset(image, 0, sizeof *image);
    image->format = format;
    image->expect = *expect;
    image->hash.ops = ops;
    ops->init(&image->hash.state);
    image->left = FIRST_SNIFF; /* of ST_SNIFF */
    if (format->is_plain) image_enter(image, ST_GAP, UINT32_MAX);
}

static void keep(struct molt_image *image, const uint8_t *p, uint32_t n)
{
    memcpy(image->head + image->fill, p, n);
    image->fill = (uint8_t)(image->fill + n);
}

static int header_done(struct molt_image *image)
{
    int rc = image->format->header(image);
    if (rc < 0) return rc;
    if (image->segments_left == 0 || image->segments_left > IMAGE_SEGMENTS_MAX) return -MOLT_BAD_SEGMENT;
    image->checksum = IMAGE_CHECKSUM_SEED;
    image_enter(image, ST_SEGMENT, SEGMENT_HEADER);
    return 0;
}

static int segment_end(struct molt_image *image)
{
    image->segments_left--;
    if (image->segments_left > 0) {
        image_enter(image, ST_SEGMENT, SEGMENT_HEADER);
    } else {
        image_enter(image, ST_PAD, 16u - (image->pos & 15u));
    }
    return 0;
}

static int segment_begin(struct molt_image *image)
{
    uint32_t words[2];
    molt_load_words(words, image->head, 2);
    uint32_t load = words[0], len = words[1];
    if (len >= IMAGE_SEGMENT_LIMIT) return -MOLT_BAD_SEGMENT;
    int rc = image->format->segment(image, load, len);
    if (rc < 0) return rc;
    image_enter(image, ST_DATA, len);
    return 0;
}

/* The last byte of what the state is about has passed. */
static int state_end(struct molt_image *image, uint8_t last)
{
    switch ((enum image_state)image->state) {
    case ST_HEADER:
        return header_done(image);
    case ST_SEGMENT:
        return segment_begin(image);
    case ST_DATA:
        return segment_end(image);
    case ST_PAD:
        return image->format->pad_end(image, last);
    case ST_GAP:
        image_enter(image, ST_HEADER, image->format->header_len);
        return 0;
    default:
        return image->format->digest(image);
    }
}

/* How many of the next len bytes the current state takes in one go. */
static uint32_t run_length(const struct molt_image *image, size_t len)
{
    uint32_t most = image->left;
    for (int i = 0; i < IMAGE_BORDERS; i++) {
        uint32_t to_border = image->format->borders[i] - image->pos; /* huge when it is behind */
        if (to_border != 0) most = molt_min32(most, to_border);
    }
    return len < most ? (uint32_t)len : most;
}

/* One run through the machine; n bytes are run_length(), none where nothing may follow. */
static int take_run(struct molt_image *image, const uint8_t *p, uint32_t n)
{
    int rc = image->format->pass(image, p, n);
    if (rc == 0 && image->state == ST_END) rc = -MOLT_IMAGE_TRAILING;
    image->pos += n;
    image->left -= n;
    if (rc < 0) return rc;
    if (image->state == ST_DATA) {
        uint32_t sum = image->checksum;
        for (uint32_t i = 0; i < n; i++)
            sum ^= p[i];
        image->checksum = (uint8_t)sum;
    } else if (image->state == ST_GAP) {
        image->fill = 1; /* the boot stage alone is no longer all there is */
    } else if (image->state != ST_PAD) {
        keep(image, p, n);
    }
    while (rc >= 0 && image->left == 0 && image->state != ST_END)
        rc = state_end(image, p[n - 1]); /* twice where a segment has no data */
    return rc;
}

static int take(struct molt_image *image, const uint8_t *p, size_t len)
{
    while (len > 0) {
        uint32_t n = run_length(image, len);
        int rc = take_run(image, p, n);
        if (rc < 0) return rc;
        p += n;
        len -= n;
    }
    return 0;
}

/* Collects the first bytes of the file. They are all there, or the file ended among them: refuses, or starts the machine.
 * Gives the number of bytes taken, or a refusal. */
static int sniff(struct molt_image *image, const uint8_t *p, size_t len)
{
    uint8_t first[IMAGE_SNIFF_LEN];
    uint32_t n = len < image->left ? (uint32_t)len : image->left;
    keep(image, p, n);
    image->left -= n;
    if (image->left > 0) return (int)n;
    if (image->fill == FIRST_SNIFF && image->head[0] == IMAGE_MAGIC) {
        image->left = IMAGE_SNIFF_LEN - FIRST_SNIFF;
        return (int)n;
    }
    int rc = image->format->look(image);
    if (rc < 0) return rc;
    memcpy(first, image->head, sizeof first);
    image_enter(image, ST_HEADER, image->format->header_len);
    rc = take(image, first, sizeof first);
    return rc < 0 ? rc : (int)n;
}

int molt_image_feed(struct molt_image *image, const void *data, size_t len)
{
    if (image->failed != 0) return image->failed;
    if (image->state == ST_DONE) return -MOLT_STATE;
    const uint8_t *p = data;
    int rc = 0;
    while (rc >= 0 && len > 0 && image->state == ST_SNIFF) {
        rc = sniff(image, p, len);
        if (rc > 0) p += rc, len -= (size_t)rc;
    }
    if (rc >= 0) rc = take(image, p, len);
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
    bool is_whole = image->state == ST_END || image->format->is_plain;
    int rc = is_whole ? image->format->verdict(image) : incomplete(image);
    image->info.len = image->pos;
    image->failed = rc;
    if (rc == 0) image->state = ST_DONE;
    return rc;
}

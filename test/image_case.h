/* image_case.h - helpers of the image tests: build an image, break it, mend its sums, ask for the verdict. */
#ifndef MOLT_TEST_IMAGE_CASE_H
#define MOLT_TEST_IMAGE_CASE_H

#include "cmocka_all.h"

#include <stdlib.h>

#include "host/image_build.h"
#include "image/image.h"
#include "ports/bearssl.h"
#include "util/bytes.h"
#include "util/crc.h"

struct image_case {
    uint8_t *bytes;
    size_t len;
};

static const struct molt_image_expect expect_nothing = {.chip = MOLT_CHIP_UNKNOWN};

static inline struct image_case case_build(const struct image_build *spec)
{
    struct image_case c;
    assert_int_equal(image_build(spec, &c.bytes, &c.len), 0);
    return c;
}

static inline struct image_case case_small(enum molt_chip chip)
{
    struct image_build spec = {
        .chip = chip, .size = IMAGE_BUILD_MIN, .seed = 42, .version = "1.2.3", .flash_mode = 2};
    return case_build(&spec);
}

static inline int case_finish(struct molt_image *image, int fed)
{
    return fed < 0 ? fed : molt_image_finish(image);
}

/* The verdict when fed whole; *image may be read afterwards. */
static inline int case_verdict(const uint8_t *bytes, size_t len, const struct molt_image_expect *expect,
                               struct molt_image *image)
{
    molt_image_begin(image, expect, &molt_bearssl_sha256);
    return case_finish(image, molt_image_feed(image, bytes, len));
}

static inline int case_plain_verdict(const struct image_case *c)
{
    struct molt_image image;
    return case_verdict(c->bytes, c->len, &expect_nothing, &image);
}

/* Bytes fed until the first refusal, one at a time; len + 1 when there is none before the end. */
static inline size_t case_refused_after(const uint8_t *bytes, size_t len, int *rc)
{
    struct molt_image image;
    molt_image_begin(&image, &expect_nothing, &molt_bearssl_sha256);
    for (size_t i = 0; i < len; i++) {
        *rc = molt_image_feed(&image, bytes + i, 1);
        if (*rc < 0) return i + 1;
    }
    return len + 1;
}

/* XOR over the data of the segments that follow the header at `start`, and where the last one ends. */
static inline uint8_t case_sum(const uint8_t *bytes, size_t start, size_t header_len, size_t *end)
{
    uint8_t sum = 0xEF;
    size_t at = start + header_len;
    for (unsigned i = 0; i < bytes[start + 1]; i++) {
        size_t len = molt_load32le(bytes + at + 4);
        at += 8;
        for (size_t k = 0; k < len; k++) {
            sum ^= bytes[at + k];
        }
        at += len;
    }
    *end = at;
    return sum;
}

/* Makes checksum and SHA-256 of a changed ESP32-family image right again. */
static inline void case_mend_esp32(struct image_case *c)
{
    size_t end;
    uint8_t sum = case_sum(c->bytes, 0, 24, &end);
    size_t last = end | 15u;
    c->bytes[last] = sum;
    struct molt_hash hash = {.ops = &molt_bearssl_sha256};
    hash.ops->init(&hash.state);
    hash.ops->update(&hash.state, c->bytes, last + 1);
    if (c->bytes[23] != 0) hash.ops->finish(&hash.state, c->bytes + last + 1);
}

/* Makes the CRC word of a changed ESP8266 image right again. */
static inline void case_mend_crc(struct image_case *c)
{
    memset(c->bytes + 0x1010, 0, 8);
    uint32_t crc = molt_crc32_msb(MOLT_CRC_MSB_INIT, c->bytes, c->len);
    molt_store32le(c->bytes + 0x1010, (uint32_t)c->len);
    molt_store32le(c->bytes + 0x1014, crc);
}

#endif

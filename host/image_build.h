/* image_build.h - synthetic firmware for virtual chips: images that are valid in every byte that a boot
 * stage, a stock client or molt looks at (headers, segments, checksums, CRC words, app descriptor, SHA-256,
 * tag), filled with pseudo-random content that compresses like real firmware. There is no code in them: a
 * real chip would crash at the first instruction. For tests, the simulator and the demo; never publish one to
 * a real device.
 *
 *     struct image_build_tag tags[] = {{"version", "2.0.0"}, {"code", "2000000"}};
 *     struct image_build spec = {.chip = MOLT_CHIP_ESP8266, .size = 300000, .seed = 7,
 *                                .flash_size = 4 << 20, .flash_mode = 2, .tags = tags, .tag_count = 2};
 *     rc = image_build(&spec, &image, &len);
 *
 * The same spec always gives the same bytes. Two specs that differ in version or tags only give images that
 * differ in those texts and in the checks over them, as two builds of one program would.
 * Formats: Arduino tools/elf2bin.py; ESP-IDF esp_app_format.h, esp_app_desc.h. */
#ifndef MOLT_HOST_IMAGE_BUILD_H
#define MOLT_HOST_IMAGE_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "molt_chip.h"
#include "molt_reason.h"

#define IMAGE_BUILD_MIN         (0x2000u)          /* bytes: smallest size */
#define IMAGE_BUILD_MAX         (8u * 1024 * 1024) /* bytes: largest size, ESP32 family */
#define IMAGE_BUILD_MAX_ESP8266 (1044464u)         /* bytes: largest size, ESP8266 (its irom window) */
#define IMAGE_BUILD_TAG_MAX     (1024u)            /* bytes of all tag texts with their NULs */

/* One pair of the "moltinf\0" tag (format: host/facts.h). Neither text is empty, nor key the end mark. */
struct image_build_tag {
    const char *key, *value;
};

/* What to build. Zero means the default in brackets. */
struct image_build {
    enum molt_chip chip;
    uint32_t size;         /* bytes of the file, rounded up to a multiple of 16 */
    uint32_t seed;         /* of the content */
    const char *version;   /* ESP32 family: app descriptor, at most 31 bytes [""]; ESP8266: not used */
    const char *project;   /* ESP32 family: app descriptor, at most 31 bytes ["molt-demo"] */
    uint32_t flash_size;   /* bytes, a size the chip's header can say [4 MB] */
    uint8_t flash_mode;    /* header byte 2: 0 QIO, 1 QOUT, 2 DIO, 3 DOUT */
    uint16_t min_revision; /* ESP32 family: major * 100 + minor */
    uint16_t max_revision; /* ESP32 family [0xFFFF: no limit] */
    uint32_t secure_version;
    bool old_core; /* ESP8266: no CRC words at 0x1010, as Arduino cores before 2.6 wrote it */
    bool no_hash;  /* ESP32 family: no SHA-256 appended */
    const struct image_build_tag *tags;
    size_t tag_count; /* 0: no tag at all */
};

/* Builds it. *out is malloc'ed, the caller frees it. Returns 0, or -MOLT_ARG (chip unknown, size or a text
 * out of range, a flash size that the header cannot say) or -MOLT_NO_MEMORY; *out is NULL then. */
int image_build(const struct image_build *spec, uint8_t **out, size_t *out_len);

#endif

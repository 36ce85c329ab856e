/* any.c - a verification that takes the format from the file itself, for tools that meet every kind.
 * Must never be linked into a device's firmware: it brings all formats with it. Tests: test/unit/image_test.c. */
#include "image_parts.h"

static int look(struct molt_image *image)
{
    enum molt_file_kind kind = molt_image_classify(image->head, image->fill, UINT64_MAX);
    int refusal = molt_file_kind_refusal(kind);
    if (refusal != 0) return -refusal;
    if (kind == MOLT_FILE_GZIP) return -MOLT_IMAGE_UNKNOWN;
    image->format = kind == MOLT_FILE_ESP32_APP ? &molt_image_esp32 : &molt_image_esp8266;
    return 0;
}

static const struct molt_image_format any = {.look = look};

void molt_image_begin(struct molt_image *image, const struct molt_image_expect *expect,
                      const struct molt_hash_ops *ops)
{
    molt_image_begin_as(image, &any, expect, ops);
}

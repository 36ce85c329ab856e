/* image_fuzz.c - any bytes as an image: no crash, and whole, cut and classified they give answers that agree.
 * The first byte chooses the pieces and what is expected of the image; the rest is the file. */
#include "fuzz.h"

#include <string.h>

#include "image/image.h"
#include "ports/bearssl.h"

static struct molt_image_texts texts;

/* format: NULL for any. */
static int verdict(const uint8_t *p, size_t len, const struct molt_image_format *format,
                   const struct molt_image_expect *expect, size_t piece, struct molt_image *image)
{
    int rc = 0;
    if (format == NULL) molt_image_begin(image, expect, &molt_bearssl_sha256);
    if (format != NULL) molt_image_begin_as(image, format, expect, &molt_bearssl_sha256);
    memset(&texts, 0, sizeof texts);
    image->texts = &texts;
    for (size_t at = 0; at < len && rc == 0; at += piece) {
        rc = molt_image_feed(image, p + at, piece < len - at ? piece : len - at);
    }
    return rc < 0 ? rc : molt_image_finish(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    uint8_t choice = *data++;
    size--;
    const struct molt_image_expect expect = {.chip = (choice & 0x80) != 0 ? (enum molt_chip)(choice >> 3 & 15)
                                                                          : 0,
                                             .flash_size = (choice & 0x40) != 0 ? 1u << 20 : 0};
    struct molt_image whole, cut, as;
    int rc = verdict(data, size, NULL, &expect, size > 0 ? size : 1, &whole);
    FUZZ_CHECK(verdict(data, size, NULL, &expect, (size_t)1 << (choice & 7), &cut) == rc);
    FUZZ_CHECK(memcmp(&whole.info, &cut.info, sizeof whole.info) == 0);
    FUZZ_CHECK(memchr(texts.version, 0, sizeof texts.version) != NULL);

    /* a device that knows one format accepts what a tool that knows all accepts, when it is of that format */
    bool is_esp8266 = whole.info.chip == MOLT_CHIP_ESP8266;
    FUZZ_CHECK((verdict(data, size, &molt_image_esp8266, &expect, 64, &as) == 0) == (rc == 0 && is_esp8266));
    FUZZ_CHECK((verdict(data, size, &molt_image_esp32, &expect, 64, &as) == 0) == (rc == 0 && !is_esp8266));
    if (rc == 0 && !is_esp8266) FUZZ_CHECK(memcmp(&whole.info, &as.info, sizeof as.info) == 0);

    enum molt_file_kind kind = molt_image_classify(data, size, size);
    FUZZ_CHECK(molt_file_kind_name(kind) != NULL);
    if (rc == 0) {
        FUZZ_CHECK(whole.info.len == size);
        FUZZ_CHECK(kind == MOLT_FILE_ESP32_APP || kind == MOLT_FILE_ESP8266_ARDUINO);
    }
    return 0;
}

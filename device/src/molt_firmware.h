/* molt_firmware.h - what a firmware says of itself: product, version, version code. One line in the product's own
 * source, at file scope:
 *
 *     MOLT_FIRMWARE("lamp", "1.4.2", 2017102501)
 *
 * The three also stand in the image as a tag ("moltinf", host/facts.h), where molt publish, molt inspect and the server
 * find them, whatever the chip. Product and version: 1 to 64 characters of printable ASCII, literals; code: a decimal
 * literal, or a macro that is one, 1 to 2147483647. A product whose versions are numbers has one place for them:
 *
 *     #define FW_VERSION 2017102501
 *     MOLT_FIRMWARE("lamp", MOLT_TEXT(FW_VERSION), FW_VERSION)
 *
 * The tag says as well that this firmware confirms its trial, which one with an agent does.
 * Tests: test/sdk. */
#ifndef MOLT_FIRMWARE_H
#define MOLT_FIRMWARE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct molt_firmware {
    const char *product, *version;
    uint32_t code;
    const char *tag; /* only so that the linker keeps it */
};

/* Weak: a firmware without the line above has none, and its address is NULL. */
extern const struct molt_firmware molt_firmware __attribute__((weak));
extern const char molt_firmware_tag[] __attribute__((weak));

#ifdef __cplusplus
}
#endif

/* On an ESP8266 constants lie in RAM unless they are told to stay in flash. */
#if defined(ARDUINO_ARCH_ESP8266) && defined(__XTENSA__)
#define MOLT_TAG_PLACE __attribute__((used, aligned(4), section(".irom.text.molt_tag")))
#else
#define MOLT_TAG_PLACE __attribute__((used))
#endif

#define MOLT_TEXT(x)                          MOLT_TEXT_OF(x) /* of a number, or of the macro that is one */
#define MOLT_TEXT_OF(x)                       #x
#define MOLT_FIRMWARE(product, version, code) MOLT_FIRMWARE_(product, version, code, MOLT_TEXT_OF(code))
#define MOLT_FIRMWARE_(product, version, code, code_text)                                                    \
    const char molt_firmware_tag[] MOLT_TAG_PLACE =                                                          \
        "moltinf\0product\0" product "\0version\0" version "\0code\0" code_text "\0confirm\0"                \
        "1\0";                                                                                               \
    const struct molt_firmware molt_firmware = {product, version, code, molt_firmware_tag};

#endif

/* facts_signed.c - recognises images that another tool signed, so that the refusal can name it.
 * Must never accept such a file: the four kinds do not validate each other's, and molt serves unsigned images.
 * Tests: test/unit/facts_test.c.
 * Sources: esp8266/Arduino tools/signing.py; arduino-esp32 tools/bin_signing.py; esp32FOTA README;
 * ESP-IDF components/bootloader_support/include/esp_secure_boot.h, docs secure-boot-v1/v2. */
#include <stdio.h>
#include <string.h>

#include "facts_parts.h"
#include "util/bytes.h"
#include "util/crc.h"

#define ARDUINO_SIGNATURE_MIN 64u
#define ARDUINO_SIGNATURE_MAX 1024u /* RSA-8192 */
#define ESP32_SIGNATURE       512u /* arduino-esp32's trailer and esp32FOTA's prefix, always padded to this */
#define SECURE_BOOT_V1        68u  /* a zero word and an ECDSA P-256 signature */
#define SECURE_BOOT_V2_SECTOR 4096u
#define SECURE_BOOT_V2_MAGIC  0xE7u
#define SECURE_BOOT_V2_CRC_AT 1196u

static bool is_image(const uint8_t *data, size_t len)
{
    struct molt_image_info info;
    struct molt_image_texts texts;
    return facts_verify(data, len, &info, &texts) == 0;
}

size_t facts_arduino_trailer(const uint8_t *data, size_t len)
{
    if (len < ARDUINO_SIGNATURE_MIN + 4) return 0;
    uint32_t signature = molt_load32le(data + len - 4);
    if (signature < ARDUINO_SIGNATURE_MIN || signature > ARDUINO_SIGNATURE_MAX || signature + 4 > len)
        return 0;
    return signature + 4u;
}

/* The signature sector behind an image that was padded to a page of the cache. */
static bool has_secure_boot_v2(const uint8_t *data, size_t len)
{
    if (len < 2 * SECURE_BOOT_V2_SECTOR || len % SECURE_BOOT_V2_SECTOR != 0) return false;
    const uint8_t *block = data + len - SECURE_BOOT_V2_SECTOR;
    return block[0] == SECURE_BOOT_V2_MAGIC && (block[1] == 2 || block[1] == 3) &&
           molt_crc32_lsb(0, block, SECURE_BOOT_V2_CRC_AT) == molt_load32le(block + SECURE_BOOT_V2_CRC_AT);
}

static const char *find_signature(const uint8_t *data, size_t len, size_t *size)
{
    *size = SECURE_BOOT_V2_SECTOR;
    if (has_secure_boot_v2(data, len)) return "an ESP32 Secure Boot V2 signature sector";
    *size = facts_arduino_trailer(data, len);
    if (*size > 0 && is_image(data, len - *size)) return "an Arduino ESP8266 signature";
    *size = ESP32_SIGNATURE;
    if (len > *size && is_image(data, len - *size)) return "an Arduino ESP32 signature";
    if (len > *size && data[*size] == 0xE9 && is_image(data + *size, len - *size))
        return "an esp32FOTA signature";
    *size = SECURE_BOOT_V1;
    if (len > *size && molt_load32le(data + len - *size) == 0 && is_image(data, len - *size)) {
        return "an ESP32 Secure Boot V1 signature";
    }
    return NULL;
}

const char *facts_signature(const uint8_t *data, size_t len, char *detail, size_t cap)
{
    size_t size;
    const char *name = find_signature(data, len, &size);
    if (name == NULL) return NULL;
    snprintf(detail, cap, "%s of %zu bytes %s the image", name, size,
             strstr(name, "FOTA") != NULL ? "before" : "behind");
    return name;
}

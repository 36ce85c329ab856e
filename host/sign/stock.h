/* stock.h - the signed files of other updaters: written and verified, never mixed up with molt's own manifest.
 *
 *   STOCK_ARDUINO_ESP8266  file, RSA PKCS#1 v1.5 over SHA-256, u32 length   (esp8266/Arduino tools/signing.py; also of .gz)
 *   STOCK_ARDUINO_ESP32    image, RSA-PSS or ECDSA (DER) over SHA-256, zeros up to 512 bytes
 *                                                                     (espressif/arduino-esp32 tools/bin_signing.py)
 *   STOCK_ESP32FOTA        RSA-4096 PKCS#1 v1.5 over SHA-256, 512 bytes, then image        (chrisjoyce911/esp32FOTA)
 *   STOCK_SECURE_BOOT_V2   image, 0xFF up to a sector, one signature block in a sector: RSA-3072-PSS or ECDSA P-256
 *                                              (ESP-IDF components/bootloader_support/include/esp_secure_boot.h)
 *
 * None of the four validates another's. Tests: test/e2e/stock_sign_test.sh (openssl and espsecure as oracles). */
#ifndef MOLT_HOST_SIGN_STOCK_H
#define MOLT_HOST_SIGN_STOCK_H

#include "sign.h"

enum stock_format {
    STOCK_NONE = 0,
    STOCK_ARDUINO_ESP8266,
    STOCK_ARDUINO_ESP32,
    STOCK_ESP32FOTA,
    STOCK_SECURE_BOOT_V2,
};

/* "arduino-esp8266", "arduino-esp32", "esp32fota", "secure-boot-v2"; STOCK_NONE for anything else. */
enum stock_format stock_format_from_name(const char *name);

/* True when devices of the chip know the format. */
bool stock_format_is_for(enum stock_format format, enum molt_chip chip);

/* Signs len bytes by the private key in a PEM file; passphrase as in sign_key_open(). *out: malloc'ed, the caller frees.
 * 0, -MOLT_NOT_FOUND, -MOLT_KEY_INVALID (also a kind or size of key that the format has not), -MOLT_SIGNING_FAILED,
 * -MOLT_NO_MEMORY. */
int stock_sign(enum stock_format format, const char *key_path, const char *passphrase, const uint8_t *data,
               size_t len, uint8_t **out, size_t *out_len, char err[SIGN_ERROR_LEN]);

/* Verifies a signed file by the public key in a PEM file; *content, *content_len: the part that was signed, as it was
 * before (secure-boot-v2: with its padding). 0, -MOLT_NOT_FOUND, -MOLT_KEY_INVALID, -MOLT_IMAGE_TRUNCATED (not of this
 * format), -MOLT_MANIFEST_SIGNATURE. */
int stock_verify(enum stock_format format, const char *key_path, const uint8_t *data, size_t len,
                 const uint8_t **content, size_t *content_len, char err[SIGN_ERROR_LEN]);

#endif

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

/* ---- a signed file is uploaded: whose is it, and what is in it? ---- */

#define STOCK_KEY_MAX 600u /* bytes of a SubjectPublicKeyInfo (RFC 5280, DER): RSA-4096 has 550 */

/* The public key in a PEM file, of any kind that a format has, as SubjectPublicKeyInfo. 0, -MOLT_NOT_FOUND,
 * -MOLT_KEY_INVALID. */
int stock_public_load(const char *path, uint8_t out[STOCK_KEY_MAX], size_t *len, char err[SIGN_ERROR_LEN]);
/* A P-256 point as SubjectPublicKeyInfo; its length. */
size_t stock_public_of_point(const uint8_t key[MOLT_KEY_LEN], uint8_t out[STOCK_KEY_MAX]);

/* As Base64 text in requests, and back. Decoding returns the length, 0 when text is none or too long. */
#define STOCK_KEY_TEXT (STOCK_KEY_MAX / 3 * 4 + 5)
void stock_key_encode(const uint8_t *key, size_t len, char out[STOCK_KEY_TEXT]);
size_t stock_key_decode(const char *text, uint8_t out[STOCK_KEY_MAX]);

/* Which format verifies with this key, and the image as it was before it was signed, without the padding of secure-boot-v2:
 * *content points into data. STOCK_NONE: none does, or key is no public key. */
enum stock_format stock_unsign(const uint8_t *key, size_t key_len, const uint8_t *data, size_t len,
                               const uint8_t **content, size_t *content_len);
const char *stock_format_name(enum stock_format format); /* "" for STOCK_NONE */

#endif

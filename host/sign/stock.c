/* stock.c - where signature and image stand in the files of other updaters (stock.h).
 * Must never take the file of one format for that of another. Tests: test/e2e/stock_sign_test.sh. */
#include "stock.h"

#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "stock_parts.h"
#include "util/bytes.h"

#define FIXED_LEN  512u /* arduino-esp32's trailer, esp32FOTA's prefix */
#define SECTOR_LEN 4096u

static const char *const names[] = {
    [STOCK_ARDUINO_ESP8266] = "arduino-esp8266",
    [STOCK_ARDUINO_ESP32] = "arduino-esp32",
    [STOCK_ESP32FOTA] = "esp32fota",
    [STOCK_SECURE_BOOT_V2] = "secure-boot-v2",
};

enum stock_format stock_format_from_name(const char *name)
{
    for (size_t i = 1; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0) return (enum stock_format)i;
    }
    return STOCK_NONE;
}

bool stock_format_is_for(enum stock_format format, enum molt_chip chip)
{
    return format == STOCK_ARDUINO_ESP8266 ? chip == MOLT_CHIP_ESP8266 : molt_chip_is_esp32_family(chip);
}

const char *stock_format_name(enum stock_format format)
{
    return format == STOCK_NONE ? "" : names[format];
}

/* ---- writing ---- */

/* before, data, behind in one piece. */
static int join(const uint8_t *before, size_t before_len, const uint8_t *data, size_t len,
                const uint8_t *behind, size_t behind_len, uint8_t **out, size_t *out_len)
{
    *out_len = before_len + len + behind_len;
    *out = malloc(*out_len);
    if (*out == NULL) return -MOLT_NO_MEMORY;
    if (before_len > 0) memcpy(*out, before, before_len);
    memcpy(*out + before_len, data, len);
    if (behind_len > 0) memcpy(*out + before_len + len, behind, behind_len);
    return 0;
}

static int write_secure_boot(EVP_PKEY *key, const uint8_t *data, size_t len, uint8_t **out, size_t *out_len)
{
    size_t padded = (len + SECTOR_LEN - 1) / SECTOR_LEN * SECTOR_LEN;
    *out_len = padded + SECTOR_LEN;
    *out = malloc(*out_len);
    if (*out == NULL) return -MOLT_NO_MEMORY;
    memcpy(*out, data, len);
    memset(*out + len, 0xFF, *out_len - len);
    int rc = secure_boot_block(key, *out, padded, *out + padded);
    if (rc == 0) return 0;
    free(*out);
    *out = NULL;
    return rc;
}

int stock_sign(enum stock_format format, const char *key_path, const char *passphrase, const uint8_t *data,
               size_t len, uint8_t **out, size_t *out_len, char err[SIGN_ERROR_LEN])
{
    uint8_t signature[STOCK_SIGNATURE_MAX + 4] = {0};
    size_t signature_len = STOCK_SIGNATURE_MAX;
    EVP_PKEY *key = NULL;
    *out = NULL;
    int rc = stock_key_open(&key, key_path, passphrase, format, err);
    if (rc < 0) return rc;
    if (format == STOCK_SECURE_BOOT_V2) {
        rc = write_secure_boot(key, data, len, out, out_len);
    } else {
        rc = stock_signature(key, format == STOCK_ARDUINO_ESP32, data, len, signature, &signature_len);
        if (rc == 0 && format == STOCK_ARDUINO_ESP8266) {
            molt_store32le(signature + signature_len, (uint32_t)signature_len);
            rc = join(NULL, 0, data, len, signature, signature_len + 4, out, out_len);
        } else if (rc == 0) {
            bool prefix = format == STOCK_ESP32FOTA;
            memset(signature + signature_len, 0, FIXED_LEN - signature_len);
            rc = join(signature, prefix ? FIXED_LEN : 0, data, len, signature, prefix ? 0 : FIXED_LEN, out,
                      out_len);
        }
    }
    EVP_PKEY_free(key);
    return rc < 0 ? sign_fail(err, -rc, "the signature could not be made") : 0;
}

/* ---- reading ---- */

/* Where the parts are. False when the file is too short or its lengths do not fit. */
static bool split(enum stock_format format, const uint8_t *data, size_t len, const uint8_t **content,
                  size_t *content_len, const uint8_t **signature, size_t *signature_len)
{
    if (format == STOCK_ARDUINO_ESP8266) {
        if (len < 4) return false;
        *signature_len = molt_load32le(data + len - 4);
        if (*signature_len == 0 || *signature_len > STOCK_SIGNATURE_MAX || *signature_len > len - 4)
            return false;
        *content_len = len - 4 - *signature_len;
    } else {
        *signature_len = format == STOCK_SECURE_BOOT_V2 ? SECTOR_LEN : FIXED_LEN;
        if (len <= *signature_len) return false;
        *content_len = len - *signature_len;
    }
    bool prefix = format == STOCK_ESP32FOTA;
    *content = prefix ? data + FIXED_LEN : data;
    *signature = prefix ? data : data + *content_len;
    return *content_len > 0 && (format != STOCK_SECURE_BOOT_V2 || *content_len % SECTOR_LEN == 0);
}

static bool is_good(enum stock_format format, EVP_PKEY *key, const uint8_t *content, size_t content_len,
                    const uint8_t *signature, size_t signature_len)
{
    if (format == STOCK_SECURE_BOOT_V2) return secure_boot_good(key, content, content_len, signature);
    return stock_signature_good(key, format == STOCK_ARDUINO_ESP32, content, content_len, signature,
                                signature_len);
}

int stock_verify(enum stock_format format, const char *key_path, const uint8_t *data, size_t len,
                 const uint8_t **content, size_t *content_len, char err[SIGN_ERROR_LEN])
{
    const uint8_t *signature;
    size_t signature_len;
    EVP_PKEY *key = NULL;
    int rc = stock_public_open(&key, key_path, format, err);
    if (rc < 0) return rc;
    if (!split(format, data, len, content, content_len, &signature, &signature_len))
        rc = sign_fail(err, MOLT_IMAGE_TRUNCATED, "the file is not of this format");
    else if (!is_good(format, key, *content, *content_len, signature, signature_len))
        rc = sign_fail(err, MOLT_MANIFEST_SIGNATURE, "the file is not signed by this key");
    EVP_PKEY_free(key);
    return rc;
}

/* Images of the ESP32 family are whole 16 bytes (and a SHA-256): what is 0xFF behind that filled the sector. */
static size_t without_padding(const uint8_t *data, size_t len)
{
    size_t end = len;
    while (end > 0 && len - end < SECTOR_LEN && data[end - 1] == 0xFF)
        end--;
    return (end + 15) / 16 * 16;
}

enum stock_format stock_unsign(const uint8_t *key, size_t key_len, const uint8_t *data, size_t len,
                               const uint8_t **content, size_t *content_len)
{
    const uint8_t *signature, *at = key;
    size_t signature_len;
    EVP_PKEY *public_key = key_len <= STOCK_KEY_MAX ? d2i_PUBKEY(NULL, &at, (long)key_len) : NULL;
    enum stock_format found = STOCK_NONE;
    for (int i = STOCK_ARDUINO_ESP8266; i <= STOCK_SECURE_BOOT_V2 && found == STOCK_NONE; i++) {
        enum stock_format format = (enum stock_format)i;
        if (stock_key_fits(public_key, format) &&
            split(format, data, len, content, content_len, &signature, &signature_len) &&
            is_good(format, public_key, *content, *content_len, signature, signature_len))
            found = format;
    }
    EVP_PKEY_free(public_key);
    if (found == STOCK_SECURE_BOOT_V2) *content_len = without_padding(*content, *content_len);
    return found;
}

/* stock_keys.c - keys of the kinds that other updaters use, and their plain signatures.
 * Must never accept a key that devices of the format cannot verify by. Tests: test/e2e/stock_sign_test.sh. */
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

#include "stock_parts.h"

static bool kind_ok(const EVP_PKEY *key, enum stock_format format)
{
    int bits = key != NULL ? EVP_PKEY_get_bits(key) : 0;
    bool rsa = bits > 0 && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
    bool p256 = bits == 256 && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC;
    switch (format) {
    case STOCK_ARDUINO_ESP8266:
        return rsa && bits >= 2048 && bits <= 4096;
    case STOCK_ARDUINO_ESP32:
        return p256 || (rsa && bits >= 2048 && bits <= 4096);
    case STOCK_ESP32FOTA:
        return rsa && bits == 4096;
    case STOCK_SECURE_BOOT_V2:
        return p256 || (rsa && bits == 3072);
    case STOCK_NONE:
        break;
    }
    return false;
}

static int check(EVP_PKEY **out, EVP_PKEY *key, enum stock_format format, const char *path,
                 char err[SIGN_ERROR_LEN])
{
    static const char *const wanted[] = {
        [STOCK_ARDUINO_ESP8266] = "an RSA key of 2048 to 4096 bits",
        [STOCK_ARDUINO_ESP32] = "an RSA key of 2048 to 4096 bits, or a P-256 key",
        [STOCK_ESP32FOTA] = "an RSA key of 4096 bits",
        [STOCK_SECURE_BOOT_V2] = "an RSA key of 3072 bits, or a P-256 key",
    };
    if (kind_ok(key, format)) {
        *out = key;
        return 0;
    }
    bool no_key = key == NULL;
    EVP_PKEY_free(key);
    return sign_fail(err, MOLT_KEY_INVALID,
                     no_key ? "%s: is no such key, or its passphrase is wrong; wanted: %s"
                            : "%s: the format wants %s",
                     path, wanted[format]);
}

int stock_key_open(EVP_PKEY **out, const char *path, const char *passphrase, enum stock_format format,
                   char err[SIGN_ERROR_LEN])
{
    EVP_PKEY *key = NULL;
    int rc = sign_private_read(&key, path, passphrase, err);
    return rc < 0 ? rc : check(out, key, format, path, err);
}

int stock_public_open(EVP_PKEY **out, const char *path, enum stock_format format, char err[SIGN_ERROR_LEN])
{
    EVP_PKEY *key = NULL;
    int rc = sign_public_read(&key, path, err);
    return rc < 0 ? rc : check(out, key, format, path, err);
}

static bool pad(EVP_PKEY *key, EVP_PKEY_CTX *ctx, bool modern, int salt)
{
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) return true;
    if (!modern) return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
    return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, salt) == 1;
}

int stock_signature(EVP_PKEY *key, bool modern, const uint8_t *data, size_t len, uint8_t *signature,
                    size_t *signature_len)
{
    EVP_PKEY_CTX *key_ctx = NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestSignInit(ctx, &key_ctx, EVP_sha256(), NULL, key) == 1 &&
              pad(key, key_ctx, modern, RSA_PSS_SALTLEN_MAX) &&
              EVP_DigestSign(ctx, signature, signature_len, data, len) == 1;
    EVP_MD_CTX_free(ctx);
    return ok ? 0 : -MOLT_SIGNING_FAILED;
}

/* The bytes of an ECDSA signature say how long it is; an RSA one is as long as the key. */
static size_t true_length(const EVP_PKEY *key, const uint8_t *signature, size_t len)
{
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) return (size_t)EVP_PKEY_get_size(key);
    return len > 2 && signature[0] == 0x30 && signature[1] < 0x80 ? signature[1] + 2u : 0;
}

bool stock_signature_good(EVP_PKEY *key, bool modern, const uint8_t *data, size_t len,
                          const uint8_t *signature, size_t signature_len)
{
    size_t exact = modern ? true_length(key, signature, signature_len) : signature_len;
    if (exact == 0 || exact > signature_len) return false;
    for (size_t i = exact; i < signature_len; i++) {
        if (signature[i] != 0) return false;
    }
    EVP_PKEY_CTX *key_ctx = NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestVerifyInit(ctx, &key_ctx, EVP_sha256(), NULL, key) == 1 &&
              pad(key, key_ctx, modern, RSA_PSS_SALTLEN_AUTO) &&
              EVP_DigestVerify(ctx, signature, exact, data, len) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

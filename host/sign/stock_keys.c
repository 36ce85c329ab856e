/* stock_keys.c - keys of the kinds that other updaters use, and their plain signatures.
 * Must never accept a key that devices of the format cannot verify by. Tests: test/e2e/stock_sign_test.sh. */
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

#include "stock_parts.h"

bool stock_key_fits(const EVP_PKEY *key, enum stock_format format)
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
    if (stock_key_fits(key, format)) {
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

static bool fits_any(const EVP_PKEY *key)
{
    for (int format = STOCK_ARDUINO_ESP8266; format <= STOCK_SECURE_BOOT_V2; format++) {
        if (stock_key_fits(key, (enum stock_format)format)) return true;
    }
    return false;
}

int stock_public_load(const char *path, uint8_t out[STOCK_KEY_MAX], size_t *len, char err[SIGN_ERROR_LEN])
{
    EVP_PKEY *key = NULL;
    int rc = sign_public_read(&key, path, err);
    if (rc < 0) return rc;
    int size = fits_any(key) ? i2d_PUBKEY(key, NULL) : 0;
    if (size > 0 && (size_t)size <= STOCK_KEY_MAX) *len = (size_t)i2d_PUBKEY(key, &out);
    EVP_PKEY_free(key);
    if (size > 0 && (size_t)size <= STOCK_KEY_MAX) return 0;
    return sign_fail(
        err, MOLT_KEY_INVALID,
        "%s: no public key of a kind that firmware is signed by (RSA of 2048 to 4096 bits, P-256)", path);
}

void stock_key_encode(const uint8_t *key, size_t len, char out[STOCK_KEY_TEXT])
{
    EVP_EncodeBlock((unsigned char *)out, key, (int)(len <= STOCK_KEY_MAX ? len : 0));
}

size_t stock_key_decode(const char *text, uint8_t out[STOCK_KEY_MAX])
{
    size_t digits = strnlen(text, STOCK_KEY_TEXT), padding = 0;
    if (digits == 0 || digits % 4 != 0 || digits / 4 * 3 > STOCK_KEY_MAX) return 0;
    while (padding < 2 && text[digits - 1 - padding] == '=')
        padding++;
    int len = EVP_DecodeBlock(out, (const unsigned char *)text, (int)digits);
    return len > (int)padding ? (size_t)len - padding : 0;
}

size_t stock_public_of_point(const uint8_t key[MOLT_KEY_LEN], uint8_t out[STOCK_KEY_MAX])
{
    /* SEQUENCE {SEQUENCE {id-ecPublicKey, prime256v1}, BIT STRING 04 x y} (RFC 5480) */
    static const uint8_t head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48,
                                   0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48,
                                   0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};
    memcpy(out, head, sizeof head);
    memcpy(out + sizeof head, key, MOLT_KEY_LEN);
    return sizeof head + MOLT_KEY_LEN;
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

/* secure_boot.c - one signature block of Secure Boot V2, as the ROMs and bootloaders of the ESP32 family read it.
 * Sources: ESP-IDF components/bootloader_support/include/esp_secure_boot.h, docs/en/security/secure-boot-v2.rst.
 * Must never leave a byte of the block unset. Tests: test/e2e/stock_sign_test.sh (espsecure verifies). */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <string.h>

#include "stock_parts.h"
#include "util/bytes.h"
#include "util/crc.h"

#define BLOCK_LEN   1216u
#define RSA_LEN     384 /* bytes: RSA-3072 */
#define DIGEST_AT   4u
#define RSA_N_AT    36u
#define RSA_E_AT    420u
#define RSA_R_AT    424u
#define RSA_M_AT    808u
#define RSA_SIG_AT  812u
#define EC_CURVE_AT 36u
#define EC_POINT_AT 37u
#define EC_SIG_AT   101u
#define CRC_AT      1196u
#define CURVE_P256  2u
#define SALT_LEN    32

/* n, e, R = 2^6144 mod n and m' = -n^-1 mod 2^32: what the chip's multiplier wants to know. */
static bool put_rsa_key(EVP_PKEY *key, uint8_t *block)
{
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *n = NULL, *e = NULL, *r = BN_new(), *word = BN_new(), *inverse = BN_new();
    bool ok = ctx != NULL && r != NULL && word != NULL && inverse != NULL &&
              EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
              EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
              BN_bn2lebinpad(n, block + RSA_N_AT, RSA_LEN) == RSA_LEN &&
              BN_bn2lebinpad(e, block + RSA_E_AT, 4) == 4 && BN_set_bit(r, 2 * 8 * RSA_LEN) == 1 &&
              BN_mod(r, r, n, ctx) == 1 && BN_bn2lebinpad(r, block + RSA_R_AT, RSA_LEN) == RSA_LEN &&
              BN_set_bit(word, 32) == 1 && BN_mod_inverse(inverse, n, word, ctx) != NULL &&
              BN_sub(inverse, word, inverse) == 1 && BN_bn2lebinpad(inverse, block + RSA_M_AT, 4) == 4;
    BN_free(n);
    BN_free(e);
    BN_free(r);
    BN_free(word);
    BN_free(inverse);
    BN_CTX_free(ctx);
    return ok;
}

static void reverse(uint8_t *to, const uint8_t *from, size_t len)
{
    for (size_t i = 0; i < len; i++)
        to[i] = from[len - 1 - i];
}

static bool put_ec_key(EVP_PKEY *key, uint8_t *block)
{
    BIGNUM *x = NULL, *y = NULL;
    block[EC_CURVE_AT] = CURVE_P256;
    bool ok = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_X, &x) == 1 &&
              EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_Y, &y) == 1 &&
              BN_bn2lebinpad(x, block + EC_POINT_AT, 32) == 32 &&
              BN_bn2lebinpad(y, block + EC_POINT_AT + 32, 32) == 32;
    BN_free(x);
    BN_free(y);
    return ok;
}

static EVP_PKEY_CTX *context(EVP_PKEY *key, bool sign)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    bool rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
    bool ok = ctx != NULL && (sign ? EVP_PKEY_sign_init(ctx) : EVP_PKEY_verify_init(ctx)) == 1 &&
              (!rsa || EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1) &&
              EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1 &&
              (!rsa || EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, SALT_LEN) == 1);
    if (ok) return ctx;
    EVP_PKEY_CTX_free(ctx);
    return NULL;
}

/* The block but for its signature and CRC. */
static bool put_head(EVP_PKEY *key, const uint8_t *image, size_t len, uint8_t *block)
{
    bool rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
    memset(block, 0, BLOCK_LEN);
    block[0] = 0xE7;
    block[1] = rsa ? 2 : 3;
    return EVP_Digest(image, len, block + DIGEST_AT, NULL, EVP_sha256(), NULL) == 1 &&
           (rsa ? put_rsa_key(key, block) : put_ec_key(key, block));
}

int secure_boot_block(EVP_PKEY *key, const uint8_t *image, size_t len, uint8_t *block)
{
    uint8_t made[STOCK_SIGNATURE_MAX], raw[MOLT_SIGNATURE_LEN];
    size_t made_len = sizeof made;
    bool rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
    if (!put_head(key, image, len, block)) return -MOLT_SIGNING_FAILED;
    EVP_PKEY_CTX *ctx = context(key, true);
    bool ok = ctx != NULL && EVP_PKEY_sign(ctx, made, &made_len, block + DIGEST_AT, MOLT_SHA256_LEN) == 1;
    EVP_PKEY_CTX_free(ctx);
    if (ok && rsa) {
        ok = made_len == RSA_LEN;
        reverse(block + RSA_SIG_AT, made, RSA_LEN);
    } else if (ok) {
        ok = signature_to_raw(made, made_len, raw);
        reverse(block + EC_SIG_AT, raw, 32);
        reverse(block + EC_SIG_AT + 32, raw + 32, 32);
    }
    molt_store32le(block + CRC_AT, molt_crc32_lsb(0, block, CRC_AT));
    return ok ? 0 : -MOLT_SIGNING_FAILED;
}

/* Back from the block into what OpenSSL reads. */
static int signature_of(const uint8_t *block, bool rsa, uint8_t out[STOCK_SIGNATURE_MAX])
{
    uint8_t raw[MOLT_SIGNATURE_LEN];
    if (rsa) {
        reverse(out, block + RSA_SIG_AT, RSA_LEN);
        return RSA_LEN;
    }
    reverse(raw, block + EC_SIG_AT, 32);
    reverse(raw + 32, block + EC_SIG_AT + 32, 32);
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, 32, NULL), *s = BN_bin2bn(raw + 32, 32, NULL);
    uint8_t *at = out;
    int len = 0;
    if (sig != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1) {
        len = i2d_ECDSA_SIG(sig, &at);
    } else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(sig);
    return len;
}

bool secure_boot_good(EVP_PKEY *key, const uint8_t *image, size_t len, const uint8_t *block)
{
    uint8_t expected[BLOCK_LEN], signature[STOCK_SIGNATURE_MAX];
    bool rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
    size_t head = rsa ? RSA_SIG_AT : EC_SIG_AT;
    if (!put_head(key, image, len, expected) || memcmp(expected, block, head) != 0) return false;
    if (molt_crc32_lsb(0, block, CRC_AT) != molt_load32le(block + CRC_AT)) return false;
    int signature_len = signature_of(block, rsa, signature);
    EVP_PKEY_CTX *ctx = context(key, false);
    bool ok = ctx != NULL && signature_len > 0 &&
              EVP_PKEY_verify(ctx, signature, (size_t)signature_len, block + DIGEST_AT, MOLT_SHA256_LEN) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

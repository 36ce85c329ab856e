/* seal.c - encrypts an image for a device key, as manifest/seal.h says. Must never use a content key twice, nor let one
 * leave this file but wrapped. Tests: test/unit/seal_test.c, test/e2e/sealed_test.sh, test/e2e/manifest_interop.py. */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <string.h>

#include "sign_parts.h"

/* x, y -> a key; NULL when it is no point of the curve. */
static EVP_PKEY *public_of(const uint8_t point[MOLT_KEY_LEN])
{
    uint8_t full[1 + MOLT_KEY_LEN] = {0x04};
    char group[] = "P-256";
    EVP_PKEY *key = NULL;
    memcpy(full + 1, point, MOLT_KEY_LEN);
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
                           OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, full, sizeof full),
                           OSSL_PARAM_construct_end()};
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    bool ok = ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
              EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok ? key : NULL;
}

static bool ecdh(EVP_PKEY *own, EVP_PKEY *other, uint8_t shared[32])
{
    size_t len = 32;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL);
    bool ok = ctx != NULL && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, other) == 1 &&
              EVP_PKEY_derive(ctx, shared, &len) == 1 && len == 32;
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

static bool derive(const uint8_t shared[32], uint8_t kek[32])
{
    size_t len = 32;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
    bool ok = ctx != NULL && EVP_PKEY_derive_init(ctx) == 1 &&
              EVP_PKEY_CTX_set_hkdf_md(ctx, EVP_sha256()) == 1 &&
              EVP_PKEY_CTX_set1_hkdf_key(ctx, shared, 32) == 1 &&
              EVP_PKEY_CTX_add1_hkdf_info(ctx, molt_seal_context, MOLT_SEAL_CONTEXT_LEN) == 1 &&
              EVP_PKEY_derive(ctx, kek, &len) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

static bool encrypt(const EVP_CIPHER *cipher, const uint8_t key[32], const uint8_t *iv, const uint8_t *in,
                    size_t len, uint8_t *out)
{
    int n = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (ctx != NULL) EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    bool ok = ctx != NULL && EVP_EncryptInit_ex(ctx, cipher, NULL, key, iv) == 1 &&
              EVP_EncryptUpdate(ctx, out, &n, in, (int)len) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

static bool point_of_key(EVP_PKEY *key, uint8_t out[MOLT_KEY_LEN])
{
    uint8_t full[1 + MOLT_KEY_LEN];
    size_t len = 0;
    bool ok = EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, full, sizeof full, &len) == 1 &&
              len == sizeof full && full[0] == 0x04;
    if (ok) memcpy(out, full + 1, MOLT_KEY_LEN);
    return ok;
}

/* The content key, wrapped for other by an ephemeral key whose point is given back. */
static bool wrap(EVP_PKEY *other, const uint8_t content_key[32], uint8_t point[MOLT_KEY_LEN],
                 uint8_t wrapped[40])
{
    uint8_t shared[32], kek[32];
    EVP_PKEY *ephemeral = EVP_EC_gen("P-256");
    bool ok = ephemeral != NULL && point_of_key(ephemeral, point) && ecdh(ephemeral, other, shared) &&
              derive(shared, kek) && encrypt(EVP_aes_256_wrap(), kek, NULL, content_key, 32, wrapped);
    OPENSSL_cleanse(shared, sizeof shared);
    OPENSSL_cleanse(kek, sizeof kek);
    EVP_PKEY_free(ephemeral);
    return ok;
}

int sign_seal(const uint8_t recipient[MOLT_KEY_LEN], uint8_t *data, size_t len, uint8_t out[MOLT_SEAL_LEN],
              char err[SIGN_ERROR_LEN])
{
    uint8_t content_key[32], iv[MOLT_SEAL_IV_LEN] = {0}, point[MOLT_KEY_LEN], wrapped[40];
    EVP_PKEY *other = public_of(recipient);
    if (other == NULL) return sign_fail(err, MOLT_KEY_INVALID, "the key to encrypt for is no point of P-256");
    bool ok = RAND_bytes(content_key, sizeof content_key) == 1 && RAND_bytes(iv, 12) == 1 &&
              wrap(other, content_key, point, wrapped) &&
              encrypt(EVP_aes_256_ctr(), content_key, iv, data, len, data);
    OPENSSL_cleanse(content_key, sizeof content_key);
    EVP_PKEY_free(other);
    if (!ok) return sign_fail(err, MOLT_SIGNING_FAILED, "OpenSSL could not encrypt");
    molt_seal_write(iv, point, wrapped, out);
    return 0;
}

int sign_private_scalar(const char *path, uint8_t out[MOLT_PRIVATE_KEY_LEN], char err[SIGN_ERROR_LEN])
{
    EVP_PKEY *key = NULL;
    BIGNUM *scalar = NULL;
    int rc = sign_private_read(&key, path, NULL, err);
    if (rc < 0) return rc;
    bool ok = key != NULL && EVP_PKEY_get_bits(key) == 256 &&
              EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &scalar) == 1 &&
              BN_bn2binpad(scalar, out, MOLT_PRIVATE_KEY_LEN) == (int)MOLT_PRIVATE_KEY_LEN;
    BN_clear_free(scalar);
    EVP_PKEY_free(key);
    return ok ? 0 : sign_fail(err, MOLT_KEY_INVALID, "%s: no P-256 private key without a passphrase", path);
}

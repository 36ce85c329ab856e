/* oidc_token.c - verifying ID tokens. Must never let the token say how it is to be verified beyond two algorithms, nor believe a
 * claim before its signature. Tests: test/unit/oidc_test.c. */
#include "oidc_token.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <string.h>

#define RSA_BITS_MIN 2048
#define RSA_BYTES    1024 /* of a modulus, at most */
#define SKEW_S       60   /* that clocks may differ */

int oidc_base64url(const char *text, size_t len, uint8_t *out, size_t cap)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    unsigned held = 0;
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        const char *digit = text[i] != '\0' ? strchr(alphabet, text[i]) : NULL;
        if (digit == NULL) return -1;
        bits = bits << 6 | (uint32_t)(digit - alphabet);
        held += 6;
        if (held < 8) continue;
        held -= 8;
        if (used == cap) return -1;
        out[used++] = (uint8_t)(bits >> held);
    }
    /* what is left over must be a part of no byte, and zero */
    return len % 4 != 1 && (bits & ((1u << held) - 1)) == 0 ? (int)used : -1;
}

static int field_bytes(const json_t *jwk, const char *field, uint8_t *out, size_t cap)
{
    const char *text = json_string_value(json_object_get(jwk, field));
    return text != NULL ? oidc_base64url(text, strlen(text), out, cap) : -1;
}

static EVP_PKEY *key_of_params(const char *type, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *ctx = params != NULL ? EVP_PKEY_CTX_new_from_name(NULL, type, NULL) : NULL;
    if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return key;
}

static EVP_PKEY *rsa_key(const json_t *jwk)
{
    uint8_t n[RSA_BYTES], e[8];
    const int n_len = field_bytes(jwk, "n", n, sizeof n), e_len = field_bytes(jwk, "e", e, sizeof e);
    if (n_len <= 0 || e_len <= 0) return NULL;
    EVP_PKEY *key = NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *modulus = BN_bin2bn(n, n_len, NULL), *exponent = BN_bin2bn(e, e_len, NULL);
    if (builder != NULL && modulus != NULL && exponent != NULL &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
        key = key_of_params("RSA", builder);
    BN_free(modulus);
    BN_free(exponent);
    OSSL_PARAM_BLD_free(builder);
    if (key != NULL && EVP_PKEY_get_bits(key) >= RSA_BITS_MIN) return key;
    EVP_PKEY_free(key);
    return NULL;
}

static EVP_PKEY *p256_key(const json_t *jwk)
{
    uint8_t point[65] = {4};
    const char *curve = json_string_value(json_object_get(jwk, "crv"));
    if (curve == NULL || strcmp(curve, "P-256") != 0 || field_bytes(jwk, "x", point + 1, 32) != 32 ||
        field_bytes(jwk, "y", point + 33, 32) != 32)
        return NULL;
    EVP_PKEY *key = NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    if (builder != NULL &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) == 1)
        key = key_of_params("EC", builder);
    OSSL_PARAM_BLD_free(builder);
    return key;
}

static bool verify(EVP_PKEY *key, const char *bytes, size_t len, const uint8_t *signature,
                   size_t signature_len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const bool good = ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
                      EVP_DigestVerify(ctx, signature, signature_len, (const unsigned char *)bytes, len) == 1;
    EVP_MD_CTX_free(ctx);
    return good;
}

/* JOSE's r and s, as OpenSSL reads them. */
static bool verify_es256(EVP_PKEY *key, const char *bytes, size_t len, const uint8_t *signature)
{
    bool good = false;
    unsigned char *der = NULL;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature, 32, NULL), *s = BN_bin2bn(signature + 32, 32, NULL);
    if (pair != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(pair, r, s) == 1) {
        r = s = NULL; /* the pair's now */
        const int der_len = i2d_ECDSA_SIG(pair, &der);
        good = der_len > 0 && verify(key, bytes, len, der, (size_t)der_len);
    }
    OPENSSL_free(der);
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(pair);
    return good;
}

bool oidc_signature_ok(const json_t *jwk, const char *alg, const char *bytes, size_t len,
                       const uint8_t *signature, size_t signature_len)
{
    const char *type = json_string_value(json_object_get(jwk, "kty"));
    const char *use = json_string_value(json_object_get(jwk, "use"));
    const char *its = json_string_value(json_object_get(jwk, "alg"));
    const bool rsa = strcmp(alg, "RS256") == 0, ec = strcmp(alg, "ES256") == 0;
    if (type == NULL || (use != NULL && strcmp(use, "sig") != 0) || (its != NULL && strcmp(its, alg) != 0))
        return false;
    if (!(rsa && strcmp(type, "RSA") == 0) && !(ec && strcmp(type, "EC") == 0)) return false;
    EVP_PKEY *key = rsa ? rsa_key(jwk) : p256_key(jwk);
    bool good = false;
    if (key != NULL && rsa) good = verify(key, bytes, len, signature, signature_len);
    if (key != NULL && ec) good = signature_len == 64 && verify_es256(key, bytes, len, signature);
    EVP_PKEY_free(key);
    return good;
}

/* ---- the token ---- */

static json_t *part_json(const char *part, size_t len)
{
    uint8_t bytes[OIDC_TOKEN_MAX];
    const int decoded = oidc_base64url(part, len, bytes, sizeof bytes);
    json_t *json =
        decoded > 0 ? json_loadb((const char *)bytes, (size_t)decoded, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (json_is_object(json)) return json;
    json_decref(json);
    return NULL;
}

/* By the key that the head names, or by any when it names none. */
static bool signed_by_one(const json_t *jwks, const json_t *head, const char *bytes, size_t len,
                          const uint8_t *signature, size_t signature_len)
{
    const char *alg = json_string_value(json_object_get(head, "alg"));
    const char *kid = json_string_value(json_object_get(head, "kid"));
    size_t i;
    const json_t *jwk;
    if (alg == NULL || json_object_get(head, "crit") != NULL) return false;
    json_array_foreach(json_object_get(jwks, "keys"), i, jwk)
    {
        const char *name = json_string_value(json_object_get(jwk, "kid"));
        if (kid != NULL && (name == NULL || strcmp(name, kid) != 0)) continue;
        if (oidc_signature_ok(jwk, alg, bytes, len, signature, signature_len)) return true;
    }
    return false;
}

static bool text_is(const json_t *claims, const char *name, const char *wanted)
{
    const char *text = json_string_value(json_object_get(claims, name));
    return text != NULL && strcmp(text, wanted) == 0;
}

/* For us: alone, or among others and then issued to us. */
static bool is_for(const json_t *claims, const char *client_id)
{
    const json_t *audience = json_object_get(claims, "aud"), *one;
    size_t i;
    bool named = json_is_string(audience) && strcmp(json_string_value(audience), client_id) == 0;
    json_array_foreach(audience, i, one) named =
        named || (json_is_string(one) && strcmp(json_string_value(one), client_id) == 0);
    const bool several = json_array_size(audience) > 1;
    const json_t *azp = json_object_get(claims, "azp");
    return named && ((azp == NULL && !several) || text_is(claims, "azp", client_id));
}

static const char *look_at(const json_t *claims, const struct oidc_expected *expected)
{
    const json_t *exp = json_object_get(claims, "exp"), *iat = json_object_get(claims, "iat");
    const int64_t now_s = expected->now_ms / 1000;
    if (!text_is(claims, "iss", expected->issuer)) return "it is of another provider";
    if (!is_for(claims, expected->client_id)) return "it is for another client";
    if (!text_is(claims, "nonce", expected->nonce)) return "it is of another login";
    if (!json_is_number(exp) || json_number_value(exp) + SKEW_S <= (double)now_s) return "it has expired";
    if (!json_is_number(iat) || json_number_value(iat) > (double)(now_s + SKEW_S))
        return "it is of the future; are the clocks right?";
    return NULL;
}

json_t *oidc_claims(const char *token, const json_t *jwks, const struct oidc_expected *expected,
                    const char **why)
{
    uint8_t signature[RSA_BYTES];
    const char *first = strchr(token, '.'), *second = first != NULL ? strchr(first + 1, '.') : NULL;
    *why = "it is no signed token";
    if (second == NULL || strlen(token) >= OIDC_TOKEN_MAX || strchr(second + 1, '.') != NULL) return NULL;
    const int signature_len = oidc_base64url(second + 1, strlen(second + 1), signature, sizeof signature);
    json_t *head = part_json(token, (size_t)(first - token)), *claims = NULL;
    if (head != NULL && signature_len > 0) {
        *why = "no key of the provider signed it";
        if (signed_by_one(jwks, head, token, (size_t)(second - token), signature, (size_t)signature_len))
            claims = part_json(first + 1, (size_t)(second - first - 1));
    }
    json_decref(head);
    if (claims == NULL) return NULL;
    *why = look_at(claims, expected);
    if (*why == NULL) return claims;
    json_decref(claims);
    return NULL;
}

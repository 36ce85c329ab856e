/* oidc_test.c - signatures by the vectors of RFC 7515, and every token that must be refused: made here with keys of our own. */
#include "cmocka_all.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/access/oidc_token.h"

#define NOW_MS INT64_C(1700000000000)

/* ---- RFC 7515, appendix A.2 (RS256) and A.3 (ES256); the payload is the same ---- */

#define PAYLOAD                                                                                              \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
static const char rsa_jwk[] = "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_"
                              "wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1P"
                              "t0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-"
                              "bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-"
                              "UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-"
                              "DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAc"
                              "DTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"}";
static const char rsa_input[] = "eyJhbGciOiJSUzI1NiJ9." PAYLOAD;
static const char rsa_signature[] =
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
    "O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcA"
    "cQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--"
    "xi12jzDwusC-eOkHW"
    "EsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_"
    "IoypGlUPQGe77Rw";
static const char ec_jwk[] =
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}";
static const char ec_input[] = "eyJhbGciOiJFUzI1NiJ9." PAYLOAD;
static const char ec_signature[] =
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

static bool check(const char *jwk, const char *alg, const char *input, const char *signature)
{
    uint8_t bytes[512];
    json_t *json = json_loads(jwk, 0, NULL);
    assert_non_null(json);
    int len = oidc_base64url(signature, strlen(signature), bytes, sizeof bytes);
    assert_true(len > 0);
    bool good = oidc_signature_ok(json, alg, input, strlen(input), bytes, (size_t)len);
    json_decref(json);
    return good;
}

static void the_vectors_of_rfc_7515(void **state)
{
    (void)state;
    assert_true(check(rsa_jwk, "RS256", rsa_input, rsa_signature));
    assert_true(check(ec_jwk, "ES256", ec_input, ec_signature));
    assert_false(check(rsa_jwk, "RS256", ec_input, rsa_signature));
    assert_false(check(ec_jwk, "ES256", rsa_input, ec_signature));
    assert_false(check(rsa_jwk, "ES256", rsa_input, rsa_signature));
    assert_false(check(ec_jwk, "RS256", ec_input, ec_signature));
    static const char *const others[] = {"none", "HS256", "RS384", "ES384", "PS256", "", "rs256"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_false(check(rsa_jwk, others[i], rsa_input, rsa_signature));
        assert_false(check(ec_jwk, others[i], ec_input, ec_signature));
    }
}

static void base64url_is_strict(void **state)
{
    (void)state;
    uint8_t out[8];
    assert_int_equal(oidc_base64url("", 0, out, sizeof out), 0);
    assert_int_equal(oidc_base64url("_-8", 3, out, sizeof out), 2);
    assert_memory_equal(out, "\xff\xef", 2);
    assert_int_equal(oidc_base64url("_-8=", 4, out, sizeof out), -1);
    assert_int_equal(oidc_base64url("+/8", 3, out, sizeof out), -1);
    assert_int_equal(oidc_base64url("A", 1, out, sizeof out), -1);
    assert_int_equal(oidc_base64url("AB", 2, out, sizeof out), -1); /* bits that belong to no byte */
    assert_int_equal(oidc_base64url("A\0AA", 4, out, sizeof out), -1);
    assert_int_equal(oidc_base64url("AAAAAAAAAAAAAAAA", 16, out, sizeof out), -1); /* no room */
}

/* ---- tokens of our own ---- */

static EVP_PKEY *key;
static json_t *jwks;

static void encode(const uint8_t *bytes, size_t len, char *out)
{
    int n = EVP_EncodeBlock((unsigned char *)out, bytes, (int)len);
    while (n > 0 && out[n - 1] == '=')
        n--;
    out[n] = '\0';
    for (char *c = out; *c != '\0'; c++)
        *c = (char)(*c == '+' ? '-' : *c == '/' ? '_' : *c);
}

static int make_key(void **state)
{
    (void)state;
    uint8_t point[65];
    size_t len;
    char x[48], y[48];
    key = EVP_EC_gen("P-256");
    assert_non_null(key);
    assert_int_equal(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &len),
                     1);
    assert_int_equal(len, 65);
    encode(point + 1, 32, x);
    encode(point + 33, 32, y);
    jwks = json_pack("{s:[{s:s, s:s, s:s, s:s, s:s, s:s}]}", "keys", "kty", "EC", "crv", "P-256", "kid",
                     "one", "use", "sig", "x", x, "y", y);
    return 0;
}

static int drop_key(void **state)
{
    (void)state;
    EVP_PKEY_free(key);
    json_decref(jwks);
    return 0;
}

static void sign(const char *head, const char *claims, char *out, size_t cap)
{
    uint8_t der[128], pair[64] = {0};
    size_t der_len = sizeof der;
    char text[4096];
    const unsigned char *at = der;
    encode((const uint8_t *)head, strlen(head), text);
    strncat(text, ".", 2);
    encode((const uint8_t *)claims, strlen(claims), text + strlen(text));
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, der, &der_len, (const unsigned char *)text, strlen(text)), 1);
    EVP_MD_CTX_free(ctx);
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)der_len);
    assert_true(BN_bn2binpad(ECDSA_SIG_get0_r(sig), pair, 32) == 32 &&
                BN_bn2binpad(ECDSA_SIG_get0_s(sig), pair + 32, 32) == 32);
    ECDSA_SIG_free(sig);
    char signature[96];
    encode(pair, sizeof pair, signature);
    assert_true(snprintf(out, cap, "%s.%s", text, signature) < (int)cap);
}

#define HEAD "{\"alg\":\"ES256\",\"kid\":\"one\"}"
#define GOOD                                                                                                 \
    "{\"iss\":\"https://"                                                                                    \
    "id.example\",\"aud\":\"molt\",\"nonce\":\"n1\",\"exp\":1700000300,\"iat\":1699999999,"                  \
    "\"email\":\"anna@example.org\"}"

/* NULL: it is good; else why not. */
static const char *try(const char *head, const char *claims)
{
    static const struct oidc_expected expected = {"https://id.example", "molt", "n1", NOW_MS};
    char token[6000];
    const char *why;
    sign(head, claims, token, sizeof token);
    json_t *json = oidc_claims(token, jwks, &expected, &why);
    json_decref(json);
    return json != NULL ? NULL : why;
}

static void a_good_token_is_taken_and_every_other_refused(void **state)
{
    (void)state;
    static const struct {
        const char *head, *claims, *why;
    } bad[] = {
        {"{\"alg\":\"none\"}", GOOD, "no key"},
        {"{\"alg\":\"HS256\"}", GOOD, "no key"},
        {"{\"alg\":\"RS256\",\"kid\":\"one\"}", GOOD, "no key"},
        {"{\"alg\":\"ES256\",\"kid\":\"two\"}", GOOD, "no key"},
        {"{\"alg\":\"ES256\",\"kid\":\"one\",\"crit\":[\"exp\"]}", GOOD, "no key"},
        {"{\"kid\":\"one\"}", GOOD, "no key"},
        {"[]", GOOD, "no signed"},
        {HEAD, "[]", "no key"},
        {HEAD,
         "{\"iss\":\"https://"
         "id.example.evil\",\"aud\":\"molt\",\"nonce\":\"n1\",\"exp\":1700000300,\"iat\":1}",
         "provider"},
        {HEAD,
         "{\"iss\":\"https://id.example\",\"aud\":\"other\",\"nonce\":\"n1\",\"exp\":1700000300,\"iat\":1}",
         "client"},
        {HEAD,
         "{\"iss\":\"https://"
         "id.example\",\"aud\":[\"molt\",\"x\"],\"nonce\":\"n1\",\"exp\":1700000300,\"iat\":1}",
         "client"},
        {HEAD,
         "{\"iss\":\"https://"
         "id.example\",\"aud\":\"molt\",\"azp\":\"x\",\"nonce\":\"n1\",\"exp\":1700000300,\"iat\":1}",
         "client"},
        {HEAD, "{\"iss\":\"https://id.example\",\"nonce\":\"n1\",\"exp\":1700000300,\"iat\":1}", "client"},
        {HEAD,
         "{\"iss\":\"https://id.example\",\"aud\":\"molt\",\"nonce\":\"n2\",\"exp\":1700000300,\"iat\":1}",
         "login"},
        {HEAD, "{\"iss\":\"https://id.example\",\"aud\":\"molt\",\"exp\":1700000300,\"iat\":1}", "login"},
        {HEAD,
         "{\"iss\":\"https://id.example\",\"aud\":\"molt\",\"nonce\":\"n1\",\"exp\":1699999940,\"iat\":1}",
         "expired"},
        {HEAD,
         "{\"iss\":\"https://"
         "id.example\",\"aud\":\"molt\",\"nonce\":\"n1\",\"exp\":\"1700000300\",\"iat\":1}",
         "expired"},
        {HEAD,
         "{\"iss\":\"https://"
         "id.example\",\"aud\":\"molt\",\"nonce\":\"n1\",\"exp\":1700000300,\"iat\":1700000061}",
         "future"},
        {HEAD, "{\"iss\":\"https://id.example\",\"aud\":\"molt\",\"nonce\":\"n1\",\"exp\":1700000300}",
         "future"},
    };
    assert_null(try(HEAD, GOOD));
    assert_null(try("{\"alg\":\"ES256\"}", GOOD)); /* any key of the provider */
    assert_null(try(
        HEAD, "{\"iss\":\"https://id.example\",\"aud\":[\"molt\",\"x\"],\"azp\":\"molt\",\"nonce\":\"n1\","
              "\"exp\":1700000300,\"iat\":1}"));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *why = try(bad[i].head, bad[i].claims);
        if (why == NULL || strstr(why, bad[i].why) == NULL)
            fail_msg("%s %s: %s", bad[i].head, bad[i].claims, why != NULL ? why : "taken");
    }
}

static void a_changed_byte_is_refused(void **state)
{
    (void)state;
    static const struct oidc_expected expected = {"https://id.example", "molt", "n1", NOW_MS};
    char token[6000];
    const char *why;
    sign(HEAD, GOOD, token, sizeof token);
    for (size_t i = 0; token[i] != '\0'; i++) {
        const char was = token[i];
        token[i] = was == 'A' ? 'B' : 'A';
        assert_null(oidc_claims(token, jwks, &expected, &why));
        token[i] = was;
    }
    json_t *json = oidc_claims(token, jwks, &expected, &why);
    assert_non_null(json);
    json_decref(json);
    strncat(token, ".AAAA", 6);
    assert_null(oidc_claims(token, jwks, &expected, &why));
    assert_null(oidc_claims("", jwks, &expected, &why));
    assert_null(oidc_claims("..", jwks, &expected, &why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc_7515),
        cmocka_unit_test(base64url_is_strict),
        cmocka_unit_test_setup_teardown(a_good_token_is_taken_and_every_other_refused, make_key, drop_key),
        cmocka_unit_test_setup_teardown(a_changed_byte_is_refused, make_key, drop_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

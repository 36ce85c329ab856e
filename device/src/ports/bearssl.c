/* bearssl.c - SHA-256 and ECDSA P-256 from BearSSL, as the library wants it. Must hold no state of its own.
 * Tests: test/unit/reason_test.c (FIPS 180-4 vector), test/unit/manifest_test.c. */
#if defined(MOLT_WITH_BEARSSL) || defined(ARDUINO_ARCH_ESP8266)

#include "bearssl.h"

#if defined(ARDUINO_ARCH_ESP8266) /* the core keeps them in a folder */
#include <bearssl/bearssl_ec.h>
#include <bearssl/bearssl_hash.h>
#else
#include <bearssl_ec.h>
#include <bearssl_hash.h>
#endif
#include <string.h>

#include "../util/secret.h"

typedef char hash_state_fits[sizeof(br_sha256_context) <= MOLT_HASH_CTX_LEN ? 1 : -1];

static void sha256_init(void *state)
{
    br_sha256_init(state);
}

static void sha256_update(void *state, const void *data, size_t len)
{
    br_sha256_update(state, data, len);
}

static void sha256_finish(void *state, uint8_t digest[MOLT_SHA256_LEN])
{
    br_sha256_out(state, digest);
}

const struct molt_hash_ops molt_bearssl_sha256 = {sha256_init, sha256_update, sha256_finish};

static uint32_t verify(br_ecdsa_vrfy algorithm, const br_ec_impl *curves, const uint8_t *digest,
                       const uint8_t *key, const uint8_t *signature)
{
    uint8_t point[1 + MOLT_KEY_LEN]; /* uncompressed */
    point[0] = 0x04;
    memcpy(point + 1, key, MOLT_KEY_LEN);
    const br_ec_public_key public_key = {BR_EC_secp256r1, point, sizeof point};
    volatile uint32_t good =
        algorithm(curves, digest, MOLT_SHA256_LEN, &public_key, signature, MOLT_SIGNATURE_LEN);
    return good == 1 && (good ^ 1u) == 0 ? MOLT_YES : MOLT_NO;
}

static uint32_t verify_i15(const uint8_t *digest, const uint8_t *key, const uint8_t *signature)
{
    return verify(br_ecdsa_i15_vrfy_raw, &br_ec_p256_m15, digest, key, signature);
}

static uint32_t verify_i31(const uint8_t *digest, const uint8_t *key, const uint8_t *signature)
{
    return verify(br_ecdsa_i31_vrfy_raw, &br_ec_p256_m31, digest, key, signature);
}

const struct molt_signature_ops molt_bearssl_es256_i15 = {verify_i15};
const struct molt_signature_ops molt_bearssl_es256_i31 = {verify_i31};

#else
typedef int molt_bearssl_not_built_here;
#endif

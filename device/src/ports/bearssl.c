/* bearssl.c - SHA-256 from BearSSL, as the library wants it. Must hold no state of its own.
 * Tests: test/unit/reason_test.c (FIPS 180-4 vector). */
#if defined(MOLT_WITH_BEARSSL)

#include "bearssl.h"

#include <bearssl_hash.h>

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

#else
typedef int molt_bearssl_not_built_here;
#endif

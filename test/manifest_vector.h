/* manifest_vector.h - example 1 of draft-ietf-suit-manifest, with its public key, vendor and class. */
#ifndef MOLT_TEST_MANIFEST_VECTOR_H
#define MOLT_TEST_MANIFEST_VECTOR_H

#include "cmocka_all.h"

#include "manifest/manifest.h"
#include "ports/bearssl.h"
#include "util/text.h"

#define EXAMPLE_LEN      272u
#define EXAMPLE_SEQUENCE 1u

static const char example_hex[] =
    "d86ba2025873825824822f58201f2e7acca0dc2786f2fe4eb947f50873a6a3cfaa98866c5b02e621f42074daf2584ad2"
    "8443a10126a0f6584027a3d7986eddcc1bee04e1436746408c308ed3c15ac590a1ca0cf96f85671ccac216cb9a1497fc"
    "59e21c15f33c95cf75203e25c287b31a57d6cd2ef950b27a7a035894a50101020103585fa202818141000458568614a4"
    "0150fa6b4a53d5ad5fdfbe9de663e4d41ffe02501492af1425695e48bf429b2d51f2ab45035824822f58200011223344"
    "5566778899aabbccddeeff0123456789abcdeffedcba98765432100e1987d0010f020f074382030f1458258614a11578"
    "1b687474703a2f2f6578616d706c652e636f6d2f66696c652e62696e1502030f";

static const char example_key_hex[] = "8496811aae0baaabd26157189eecda26beaa8bf11b6f3fe6e2b5659c85dbc0ad"
                                      "3b1f2a4b6c098131c0a36dacd1d78bd381dcdfb09c052db33991db7338b4a896";

static inline void from_hex(const char *hex, uint8_t *out, size_t len)
{
    assert_true(molt_hex_decode(hex, strlen(hex), out, len));
}

static inline void example_read(uint8_t out[EXAMPLE_LEN])
{
    from_hex(example_hex, out, EXAMPLE_LEN);
}

/* A device that believes the draft's key. keys: storage of one key. */
static inline struct molt_trust example_trust(uint8_t keys[1][MOLT_KEY_LEN])
{
    struct molt_trust trust = {
        .hash = &molt_bearssl_sha256, .signature = &molt_bearssl_es256_i31, .key_count = 1};
    from_hex(example_key_hex, keys[0], MOLT_KEY_LEN);
    trust.keys = (const uint8_t(*)[MOLT_KEY_LEN])keys;
    from_hex("fa6b4a53d5ad5fdfbe9de663e4d41ffe", trust.vendor, MOLT_UUID_LEN);
    from_hex("1492af1425695e48bf429b2d51f2ab45", trust.class_id, MOLT_UUID_LEN);
    return trust;
}

#endif

/* manifest.c - is it signed, and is it for this device? The signature first, the parser after it.
 * Must never let an unsigned byte reach the parser on a device, nor decide by one comparison alone.
 * Tests: test/unit/manifest_test.c, test/property/manifest_property_test.c. */
#include "manifest.h"

#include <string.h>

#include "../util/secret.h"
#include "manifest_parts.h"

typedef char accepted_is_yes[(uint32_t)MOLT_MANIFEST_ACCEPTED == MOLT_YES ? 1 : -1];

/* Tag 107, map of 2, key 2, then what COSE and SUIT leave no choice about. */
static const uint8_t head_to_hash[ENVELOPE_HASH_AT] = {0xD8, 0x6B, 0xA2, 0x02, 0x58, 0x73, 0x82,
                                                       0x58, 0x24, 0x82, 0x2F, 0x58, 0x20};
static const uint8_t head_to_alg[] = {0x58, 0x4A, 0xD2, 0x84, 0x43, 0xA1, 0x01};
static const uint8_t head_to_signature[] = {0xA0, 0xF6, 0x58, 0x40};
static const uint8_t signed_begin[] = {0x84, 0x6A, 'S', 'i', 'g',  'n',  'a', 't',
                                       'u',  'r',  'e', '1', 0x43, 0xA1, 0x01};
static const uint8_t signed_middle[] = {0x40, 0x58, 0x24};

bool envelope_head_ok(const uint8_t *data, size_t len)
{
    if (len <= ENVELOPE_BODY_AT || len > MOLT_MANIFEST_MAX) return false;
    return memcmp(data, head_to_hash, sizeof head_to_hash) == 0 &&
           memcmp(data + ENVELOPE_HASH_AT + MOLT_SHA256_LEN, head_to_alg, sizeof head_to_alg) == 0 &&
           (data[ENVELOPE_ALG_AT] == 0x26 || data[ENVELOPE_ALG_AT] == 0x28) &&
           memcmp(data + ENVELOPE_ALG_AT + 1, head_to_signature, sizeof head_to_signature) == 0 &&
           data[ENVELOPE_HEAD_LEN] == 0x03;
}

/* One whole look at the signature, by one key: H is the hash of all that follows the head, and the key signed the
 * COSE Sig_structure ["Signature1", protected, h'', the encoded SUIT_Digest]. MOLT_YES or another pattern. */
static uint32_t signed_by(const struct molt_trust *trust, const uint8_t *key, const uint8_t *data, size_t len)
{
    const struct molt_hash_ops *ops = trust->hash;
    struct molt_hash hash;
    uint8_t digest[MOLT_SHA256_LEN];
    ops->init(&hash.state);
    ops->update(&hash.state, data + ENVELOPE_BODY_AT, len - ENVELOPE_BODY_AT);
    ops->finish(&hash.state, digest);
    if (molt_same_bytes(digest, data + ENVELOPE_HASH_AT, sizeof digest) != MOLT_YES) return MOLT_NO;
    ops->init(&hash.state);
    ops->update(&hash.state, signed_begin, sizeof signed_begin);
    ops->update(&hash.state, data + ENVELOPE_ALG_AT, 1);
    ops->update(&hash.state, signed_middle, sizeof signed_middle);
    ops->update(&hash.state, data + ENVELOPE_DIGEST_AT, ENVELOPE_DIGEST_LEN);
    ops->finish(&hash.state, digest);
    return trust->signature->verify(digest, key, data + ENVELOPE_SIG_AT);
}

static bool trust_is_sound(const struct molt_trust *trust)
{
    return trust != NULL && trust->hash != NULL && trust->signature != NULL && trust->keys != NULL &&
           trust->key_count > 0 && trust->key_count <= MOLT_TRUST_KEYS_MAX;
}

uint32_t molt_manifest_signed(const struct molt_trust *trust, const uint8_t *data, size_t len)
{
    if (!trust_is_sound(trust) || !envelope_head_ok(data, len)) return MOLT_NO;
    for (unsigned i = 0; i < trust->key_count; i++) {
        volatile uint32_t first = signed_by(trust, trust->keys[i], data, len);
        if (first != MOLT_YES) continue;
        volatile uint32_t second =
            signed_by(trust, trust->keys[i], data, len); /* a fault must strike twice */
        return second == MOLT_YES ? first & second : MOLT_NO;
    }
    return MOLT_NO;
}

int molt_manifest_read(const uint8_t *data, size_t len, struct molt_manifest *out)
{
    memset(out, 0, sizeof *out);
    if (envelope_head_ok(data, len) && manifest_walk(data + ENVELOPE_BODY_AT, len - ENVELOPE_BODY_AT, out))
        return 0;
    memset(out, 0, sizeof *out);
    return -MOLT_MANIFEST_MALFORMED;
}

/* 0, or why a signed and well-formed manifest is not for this device. */
static int policy(const struct molt_trust *trust, uint64_t lowest, const struct molt_manifest *manifest)
{
    if (molt_same_bytes(manifest->vendor, trust->vendor, MOLT_UUID_LEN) != MOLT_YES)
        return -MOLT_MANIFEST_CLASS;
    if (molt_same_bytes(manifest->class_id, trust->class_id, MOLT_UUID_LEN) != MOLT_YES)
        return -MOLT_MANIFEST_CLASS;
    return manifest->sequence < lowest ? -MOLT_MANIFEST_OLDER : 0;
}

int molt_manifest_accept(const struct molt_trust *trust, uint64_t lowest, const uint8_t *data, size_t len,
                         struct molt_manifest *out)
{
    memset(out, 0, sizeof *out);
    if (!trust_is_sound(trust)) return -MOLT_ARG;
    if (!envelope_head_ok(data, len)) return -MOLT_MANIFEST_MALFORMED;
    volatile uint32_t is_signed = molt_manifest_signed(trust, data, len);
    if (is_signed != MOLT_YES) return -MOLT_MANIFEST_SIGNATURE;
    int rc = molt_manifest_read(data, len, out);
    if (rc == 0) rc = policy(trust, lowest, out);
    if (rc == 0 && policy(trust, lowest, out) != 0) rc = -MOLT_MANIFEST_CLASS;
    if (rc == 0 && (is_signed ^ MOLT_YES) == 0) return (int)is_signed; /* the second look at the pattern */
    memset(out, 0, sizeof *out);
    return rc < 0 ? rc : -MOLT_MANIFEST_SIGNATURE;
}

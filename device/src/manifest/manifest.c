/* manifest.c - is it signed, and is it for this device? The signature first, the parser after it.
 * Must never let an unsigned byte reach the parser on a device, nor decide by one comparison alone.
 * Tests: test/unit/manifest_test.c, test/property/manifest_property_test.c. */
#include "manifest.h"

#include <string.h>

#include "../util/secret.h"
#include "manifest_parts.h"

typedef char accepted_is_yes[(uint32_t)MOLT_MANIFEST_ACCEPTED == MOLT_YES ? 1 : -1];

/* Tag 107, map of 2, key 2; then, behind two bytes that say how many signatures: what COSE and SUIT leave no choice about. */
static const uint8_t head_begin[5] = {0xD8, 0x6B, 0xA2, 0x02, 0x58};
static const uint8_t head_digest[ENVELOPE_HASH_AT - 7] = {0x58, 0x24, 0x82, 0x2F, 0x58, 0x20};
static const uint8_t sign_to_alg[SIGN_ALG] = {0x58, 0x4A, 0xD2, 0x84, 0x43, 0xA1, 0x01};
static const uint8_t alg_to_signature[] = {0xA0, 0xF6, 0x58, 0x40};
static const uint8_t signed_begin[] = {0x84, 0x6A, 'S', 'i', 'g',  'n',  'a', 't',
                                       'u',  'r',  'e', '1', 0x43, 0xA1, 0x01};
static const uint8_t signed_middle[] = {0x40, 0x58, 0x24};

/* Of an envelope that envelope_signatures() found good. */
static unsigned signatures_of(const uint8_t *data)
{
    return data[6] - 0x81u;
}

unsigned envelope_signatures(const uint8_t *data, size_t len)
{
    if (len <= ENVELOPE_BODY_AT(1) || len > MOLT_MANIFEST_MAX) return 0;
    unsigned count = signatures_of(data);
    if (count - 1u > 1u || len <= ENVELOPE_BODY_AT(count)) return 0;
    if (memcmp(data, head_begin, sizeof head_begin) != 0 ||
        memcmp(data + 7, head_digest, sizeof head_digest) != 0 ||
        data[5] != ENVELOPE_SIGN_AT - 6u + count * ENVELOPE_SIGN_LEN)
        return 0;
    const uint8_t *sign = data + ENVELOPE_SIGN_AT;
    for (unsigned i = 0; i < count; i++, sign += ENVELOPE_SIGN_LEN) {
        if (memcmp(sign, sign_to_alg, sizeof sign_to_alg) != 0 ||
            (sign[SIGN_ALG] != 0x26 && sign[SIGN_ALG] != 0x28) ||
            memcmp(sign + SIGN_ALG + 1, alg_to_signature, sizeof alg_to_signature) != 0)
            return 0;
    }
    return *sign == 0x03 ? count : 0;
}

size_t molt_manifest_end(const uint8_t *data, size_t len)
{
    unsigned count = envelope_signatures(data, len < MOLT_MANIFEST_MAX ? len : MOLT_MANIFEST_MAX);
    if (count == 0) return 0;
    const uint8_t *body = data + ENVELOPE_BODY_AT(count);
    size_t left = len - ENVELOPE_BODY_AT(count), end = 0;
    if (left < 3) return 0;
    if (*body == 0x58) end = 2u + body[1];
    if (*body == 0x59) end = 3u + ((unsigned)body[1] << 8 | body[2]);
    return end > 0 && end <= left ? ENVELOPE_BODY_AT(count) + end : 0;
}

/* One whole look at the n-th signature, by one key: H is the hash of all that follows the head, and the key signed the
 * COSE Sig_structure ["Signature1", protected, h'', the encoded SUIT_Digest]. MOLT_YES or another pattern. */
static uint32_t signed_by(const struct molt_trust *trust, const uint8_t *key, const uint8_t *data, size_t len,
                          unsigned n)
{
    const struct molt_hash_ops *ops = trust->hash;
    const size_t body = ENVELOPE_BODY_AT(signatures_of(data));
    const uint8_t *sign = data + ENVELOPE_SIGN_AT + n * ENVELOPE_SIGN_LEN;
    struct molt_hash hash;
    uint8_t digest[MOLT_SHA256_LEN];
    ops->init(&hash.state);
    ops->update(&hash.state, data + body, len - body);
    ops->finish(&hash.state, digest);
    if (molt_same_bytes(digest, data + ENVELOPE_HASH_AT, sizeof digest) != MOLT_YES) return MOLT_NO;
    ops->init(&hash.state);
    ops->update(&hash.state, signed_begin, sizeof signed_begin);
    ops->update(&hash.state, sign + SIGN_ALG, 1);
    ops->update(&hash.state, signed_middle, sizeof signed_middle);
    ops->update(&hash.state, data + ENVELOPE_DIGEST_AT, ENVELOPE_DIGEST_LEN);
    ops->finish(&hash.state, digest);
    return trust->signature->verify(digest, key, sign + SIGN_SIGNATURE);
}

/* A fault must strike twice. */
static uint32_t surely_signed_by(const struct molt_trust *trust, const uint8_t *key, const uint8_t *data,
                                 size_t len, unsigned n)
{
    volatile uint32_t first = signed_by(trust, key, data, len, n);
    if (first != MOLT_YES) return MOLT_NO;
    volatile uint32_t second = signed_by(trust, key, data, len, n);
    return second == MOLT_YES ? first & second : MOLT_NO;
}

static bool trust_is_sound(const struct molt_trust *trust)
{
    return trust != NULL && trust->hash != NULL && trust->signature != NULL && trust->keys != NULL &&
           trust->key_count > 0 && trust->key_count <= MOLT_TRUST_KEYS_MAX;
}

/* By one of the keys. */
static uint32_t is_signed_by_maker(const struct molt_trust *trust, const uint8_t *data, size_t len)
{
    for (unsigned i = 0; i < trust->key_count; i++) {
        uint32_t result = surely_signed_by(trust, trust->keys[i], data, len, 0);
        if (result == MOLT_YES) return result;
    }
    return MOLT_NO;
}

/* By the approver, where the device has one. */
static uint32_t is_approved(const struct molt_trust *trust, const uint8_t *data, size_t len)
{
    if (trust->approver == NULL) return MOLT_YES;
    if (signatures_of(data) < 2) return MOLT_NO;
    return surely_signed_by(trust, trust->approver, data, len, 1);
}

uint32_t molt_manifest_signed(const struct molt_trust *trust, const uint8_t *data, size_t len)
{
    if (!trust_is_sound(trust) || envelope_signatures(data, len) == 0) return MOLT_NO;
    volatile uint32_t by_maker = is_signed_by_maker(trust, data, len);
    volatile uint32_t approved = is_approved(trust, data, len);
    return by_maker == MOLT_YES && approved == MOLT_YES ? by_maker & approved : MOLT_NO;
}

int molt_manifest_read(const uint8_t *data, size_t len, struct molt_manifest *out)
{
    memset(out, 0, sizeof *out);
    unsigned signatures = envelope_signatures(data, len);
    size_t body = ENVELOPE_BODY_AT(signatures);
    if (signatures > 0 && manifest_walk(data + body, len - body, out)) return 0;
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
    if (envelope_signatures(data, len) == 0) return -MOLT_MANIFEST_MALFORMED;
    volatile uint32_t is_signed = is_signed_by_maker(trust, data, len);
    if (is_signed != MOLT_YES) return -MOLT_MANIFEST_SIGNATURE;
    volatile uint32_t approved = is_approved(trust, data, len);
    if (approved != MOLT_YES) return -MOLT_MANIFEST_UNAPPROVED;
    int rc = molt_manifest_read(data, len, out);
    if (rc == 0) rc = policy(trust, lowest, out);
    if (rc == 0 && policy(trust, lowest, out) != 0) rc = -MOLT_MANIFEST_CLASS;
    if (rc == 0 && ((is_signed ^ MOLT_YES) | (approved ^ MOLT_YES)) == 0)
        return (int)(is_signed & approved); /* the second look at the patterns */
    memset(out, 0, sizeof *out);
    return rc < 0 ? rc : -MOLT_MANIFEST_SIGNATURE;
}
